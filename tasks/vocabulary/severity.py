"""Say of every flag how urgent it is for whoever uses the value, and why it was judged so.

``stop``: the value may be wrong by more than its interval says, or there is none where one is
needed; it is not to be used before a person decided. ``look``: something of the tube is out of the
ordinary and a person should see its gate; the value usually stands. ``know``: what is expected of
such a tube, or what the value, its interval or its code says already.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from tasks.vocabulary.flags import Flag

Severity = Literal["stop", "look", "know"]
WORST_FIRST: Final[tuple[Severity, ...]] = ("stop", "look", "know")

_STOP: Mapping[Flag, str] = {
    Flag.UNCALIBRATED: "An error of any size can be in any of the counts.",
    Flag.THRESHOLD_UNPROVEN: "The count may be biased, and its interval does not hold the bias.",
    Flag.ACQUISITION_UNUSABLE: "A visit without a value: whether to stain again is for today.",
    Flag.VERY_LOW_VIABILITY: "Dead cells that bind antibodies look like rare populations.",
    Flag.COMPENSATION_DOUBTFUL: "Every gate of the tube hangs on the compensation.",
    Flag.CAR_DOUBLE_POSITIVE_EXCESS: "The internal control of the CAR stain failed.",
    Flag.CARRY_OVER_SUSPECTED: "A few cells of another patient look like a recovery or a relapse.",
    Flag.BEADS_INCOMPLETE: "Lost beads raise every concentration of the draw.",
    Flag.CONCENTRATION_CONTRADICTED: "One of two concentrations is wrong; which is not known.",
    Flag.REPLICATES_DIFFER: "By the usual rule of bead counting such a count is repeated.",
    Flag.VOLTAGE_BEYOND_LIMITS: "The boundaries were set for signals of another size.",
    Flag.POSITIVE_BEFORE_INFUSION: "The stain finds cells that cannot be there.",
}
_LOOK: Mapping[Flag, str] = {
    Flag.THRESHOLD_MOVED: "A person should see the boundary that replaced the declared one.",
    Flag.CORRECTED: "The value is a person's; whoever signs should see what was changed.",
    Flag.ANCHORED_ON_CORRECTED: "A correction moved this value too, though its own gates are as "
    "they were.",
    Flag.BACKGROUND_CORRECTED: "A correction in another tube moved what counts as detected here.",
    Flag.UNSTEADY_ACQUISITION: "What was left out is in no count; the rest should look steady.",
    Flag.SIGNAL_DRIFT: "Cells may have crossed a boundary while the tube ran.",
    Flag.LOW_VIABILITY: "Unusual of fresh blood; rare populations suffer first.",
    Flag.MANY_DOUBLETS: "Doublets are in no count; many say that the cytometer ran too fast.",
    Flag.LATE_ACQUISITION: "The value may be too low, and no interval knows by how much.",
    Flag.COMPENSATION_RESIDUAL: "The boundary beside a bright marker should be seen.",
    Flag.LYMPHOSUM_OFF: "One of the lymphocyte gates is too narrow or too wide.",
    Flag.CD19_LOW_B_CELLS: "B cells may be called depleted that are only hidden from CD19.",
    Flag.CD19_BRIGHTNESS_OFF: "Another clone, lot or detector, or CD19 that is masked: no interval "
    "knows how many dim cells were missed.",
    Flag.NO_VOLUME: "Tubes of a trial should have a concentration; the sheet may lack a column.",
    Flag.FEW_BEADS: "The bead count was left out; another way to the concentration was taken.",
    Flag.ANCHORS_DIFFER: "Two tubes of one draw disagree; the wider interval holds it.",
    Flag.BEAD_LOT_MISSING: "The sample sheet can be completed, and the count is then better.",
    Flag.DILUTION_MISSING: "The sample sheet can be completed, and the count is then better.",
    Flag.ANALYSER_COUNTS_DIFFER: "The sample sheet contradicts itself and can be corrected.",
    Flag.REFERENCE_NOT_PARENT: "One of the two gates may be misplaced.",
    Flag.REAGENT_CHANGED: "A step of the curve at this visit may be the reagent's.",
    Flag.VOLTAGE_CHANGED: "The boundaries should be seen at the new voltage.",
    Flag.PANEL_CHANGED: "A step of the curve at this visit may be the panel's.",
    Flag.MANY_AT_THE_MARGIN: "Populations may run together at the end of the range.",
}
_KNOW: Mapping[Flag, str] = {
    Flag.SEVERAL_DATA_SETS: "Usual of some manufacturers' files; the data set counted is the one.",
    Flag.THRESHOLD_SENSITIVE: "A property of populations that lie close together; nothing in the "
    "tube contradicts the boundary.",
    Flag.MANY_SECRETING_B_CELLS: "Expected early in recovery; the count is right.",
    Flag.CD20_MASKED: "Expected of the drug for months; the count by CD19 stands.",
    Flag.CD38_MASKED: "Expected of the drug for months.",
    Flag.IMMUNOGLOBULIN_GIVEN: "Expected of the treatment at each visit after it.",
    Flag.DRUG_STOP_MISSING: "The front page asks for the line of drugs.csv once, not tube by tube.",
    Flag.FEW_LYMPHOCYTES: "Expected in leukopenia; the interval says how imprecise it is.",
    Flag.ANCHOR_LEUKOCYTES: "The way that was taken instead is sound; the interval holds it.",
    Flag.ANCHOR_LYMPHOCYTES: "The way that was taken instead is sound; the interval holds it.",
    Flag.ANCHOR_T_CELLS: "The way that was taken instead is sound; the interval holds it.",
    Flag.ANCHOR_B_CELLS: "The way that was taken instead is sound; the interval holds it.",
    Flag.ANCHOR_OTHER: "The way that was taken instead is sound; the interval holds it.",
    Flag.ANCHOR_ITSELF: "Normal of every draw with more than one tube.",
    Flag.FEW_PARENT_EVENTS: "Expected while B cells are depleted; the percentage is not given.",
    Flag.FEW_T_CELLS: "Expected in leukopenia; the interval says how imprecise it is.",
    Flag.FEW_MARROW_CELLS: "The code NE says it.",
    Flag.INDICATIVE_PERCENTAGE: "Expected early in recovery; the interval says how sure it is.",
    Flag.LLOQ_ABOVE_THRESHOLD: "The code NE says it; expected in leukopenia.",
    Flag.LIMIT_RAISED: "The limits hold it.",
    Flag.NO_BACKGROUND: "True of every tube of the patient; the limits hold it.",
    Flag.BACKGROUND_FEW_EVENTS: "True of every tube of the patient; the limits hold it.",
}
JUDGED: Mapping[Severity, Mapping[Flag, str]] = MappingProxyType(
    {"stop": _STOP, "look": _LOOK, "know": _KNOW}
)
"""Every flag by its severity, with the sentence that says why."""
_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {str(flag): severity for severity, flags in JUDGED.items() for flag in flags}
)


def severity_of(word: str) -> Severity:
    """Give how urgent a flag is; one that this release does not know is to be looked at."""
    return _SEVERITY.get(word, "look")


def worst(words: Iterable[str]) -> Severity | Literal[""]:
    """Give the worst severity of some flags; empty where there is none."""
    found = {severity_of(word) for word in words}
    return next((severity for severity in WORST_FIRST if severity in found), "")


def worst_first(words: Iterable[str]) -> list[str]:
    """Put flags in order, those of the worst severity first, else as they come."""
    return sorted(words, key=lambda word: WORST_FIRST.index(severity_of(word)))
