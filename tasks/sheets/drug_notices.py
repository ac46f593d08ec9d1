"""Say what ``drugs.csv`` leaves open: a course without stop, a drug or a patient nobody knows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches

from panels.text.spelling import nearest
from tasks.sheets.drug_names import ANTI_CD19, KNOWN, names
from tasks.sheets.drugs import NAME, ONGOING, Exposure
from tasks.vocabulary.flags import Flag

ALIKE = 0.8
"""So much of two names is the same where one is the other mistyped; names of antibodies share their
ends."""
MOST_HINTS = 50
"""For so many unknown patients the likeliest name is searched for, each among all names."""


def drug_notices(
    exposures: Mapping[str, Sequence[Exposure]], patients: Collection[str]
) -> tuple[str, ...]:
    """Give a sentence for each thing that was read but cannot be used, in order of lines."""
    every = [exposure for courses in exposures.values() for exposure in courses]
    every.sort(key=lambda exposure: exposure.line)
    strangers = dict.fromkeys(each.patient for each in every if each.patient not in patients)
    hints = {patient: nearest(patient, patients) for patient in list(strangers)[:MOST_HINTS]}
    return tuple(sentence for each in every for sentence in _notices(each, patients, hints))


def _notices(
    exposure: Exposure, patients: Collection[str], hints: Mapping[str, str]
) -> Iterator[str]:
    where = f"{NAME}, line {exposure.line}"
    if exposure.patient not in patients:
        hint = hints.get(exposure.patient, "")
        yield (
            f"{where}, column patient: '{exposure.patient}' is not in patients.csv{hint or '.'} "
            f"No count is flagged for this line."
        )
    if exposure.lacks_its_stop:
        days = max(group.lasts for group in exposure.masking).days
        yield (
            f"{where}, column stop: {exposure.drug} of {exposure.patient} was begun on "
            f"{exposure.start} and has no stop. Write the day of the last "
            f"dose, or '{ONGOING}'. Until then the counts it may hide say "
            f"{Flag.DRUG_STOP_MISSING} from {days} days after its start on."
        )
    yield from _of_the_drug(where, exposure.drug)


def _of_the_drug(where: str, drug: str) -> Iterator[str]:
    if names(drug, ANTI_CD19):
        yield (
            f"{where}, column drug: {drug} binds CD19, by which B cells are found; there is "
            f"no flag for it. "
            "Read b_cells_cd20 beside b_cells and its subsets."
        )
    elif not names(drug, KNOWN):
        near = get_close_matches(drug.casefold(), KNOWN, n=1, cutoff=ALIKE)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        yield (
            f"{where}, column drug: '{drug}' is not known here{hint} No count is flagged for it. "
            "If it binds CD20 or CD38 or is an immunoglobulin, add its substance (rituximab, "
            "daratumumab, IVIG)."
        )
