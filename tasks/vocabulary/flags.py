"""List every word of the ``flags`` column, each with the sentence that explains it."""

from functools import cache

from tasks.vocabulary.explained_word import Explained, ExplainedWord
from tasks.vocabulary.populations import ANCHORS


class Flag(ExplainedWord):
    """One word of the ``flags`` column; ``sentence`` explains it to the reader of the table."""

    SEVERAL_DATA_SETS = Explained(
        "several_data_sets",
        "The file holds more than one data set: only the last FCS 3 one was counted.",
    )
    UNCALIBRATED = Explained(
        "uncalibrated",
        "Counted with numbers that were not measured on the tube's own instrument: the count may "
        "be wrong by any amount (qc.json says why).",
    )
    THRESHOLD_MOVED = Explained(
        "threshold_moved",
        "A gate boundary lay more than a tenth from its declared value in this tube; "
        "thresholds.csv says where, why and by which source.",
    )
    THRESHOLD_UNPROVEN = Explained(
        "threshold_unproven",
        "The tube contradicts the declared value of a gate boundary and no other source passed "
        "its test: the count may be biased.",
    )
    THRESHOLD_SENSITIVE = Explained(
        "threshold_sensitive",
        "More than a tenth of these events lie within 15 % (on scatter 5 %) of a gate boundary: "
        "the count hangs on where exactly it was drawn.",
    )
    CORRECTED = Explained(
        "corrected",
        "A person set a threshold or gate of this tube; corrections.csv says who, when and why.",
    )
    ANCHORED_ON_CORRECTED = Explained(
        "anchored_on_corrected",
        "The concentration is tied to a count that a person corrected, in this tube or another of "
        "the draw; corrections.csv says who, when and why.",
    )
    BACKGROUND_CORRECTED = Explained(
        "background_corrected",
        "The background that this count is held against is that of a tube before infusion in which "
        "a person corrected it; corrections.csv says who, when and why.",
    )
    UNSTEADY_ACQUISITION = Explained(
        "unsteady_acquisition",
        "More than 20 % of the acquisition was left out: the signal or the flow jumped (qc.json: "
        "time).",
    )
    ACQUISITION_UNUSABLE = Explained(
        "acquisition_unusable",
        "More than 40 % of the acquisition would have to be left out: nothing in this tube is "
        "evaluated.",
    )
    SIGNAL_DRIFT = Explained(
        "signal_drift",
        "A signal changed by more than 15 % from the beginning of the tube to its end (qc.json: "
        "time).",
    )
    LOW_VIABILITY = Explained(
        "low_viability",
        "Less than 90 % of the CD45+ cells are alive: dead cells bind antibodies.",
    )
    VERY_LOW_VIABILITY = Explained(
        "very_low_viability",
        "Less than 70 % of the CD45+ cells are alive: subsets of CAR-T cells are not to be read.",
    )
    MANY_DOUBLETS = Explained(
        "many_doublets",
        "Less than 90 % of the events are single cells: the sample was acquired too fast or is "
        "clumped.",
    )
    LATE_ACQUISITION = Explained(
        "late_acquisition",
        "More than 24 hours lie between collection and acquisition: CAR-T cells are lost within "
        "a day, and CD138 is shed.",
    )
    COMPENSATION_RESIDUAL = Explained(
        "compensation_residual",
        "Cells that lack a marker shift with another's brightness by over 0.3 of a boundary: the "
        "compensation is off (qc.json).",
    )
    COMPENSATION_DOUBTFUL = Explained(
        "compensation_doubtful",
        "The stored compensation is nearly singular: small errors of it become large ones of the "
        "signals.",
    )
    LYMPHOSUM_OFF = Explained(
        "lymphosum_off",
        "T, B and NK cells do not add up to 90 to 110 % of the lymphocytes.",
    )
    CAR_DOUBLE_POSITIVE_EXCESS = Explained(
        "car_double_positive_excess",
        "More T cells carry both CARs than doublets explain: the products are separate, so a "
        "stain or its compensation is at fault.",
    )
    CD19_LOW_B_CELLS = Explained(
        "cd19_low_b_cells",
        "More than a tenth of the CD20+ B cells lack CD19 (masked or lost): read b_cells_cd20 "
        "beside b_cells.",
    )
    CD19_BRIGHTNESS_OFF = Explained(
        "cd19_brightness_off",
        "The tube's B cells carry under 0.67 or over 1.5 times the calibrated CD19: dim cells "
        "(plasmablasts first) may be missed, or others counted (thresholds.csv).",
    )
    MANY_SECRETING_B_CELLS = Explained(
        "many_secreting_b_cells",
        "More than a tenth of the CD19+ B cells are plasmablasts or plasma cells: read "
        "b_cells_cd20 and the subsets beside b_cells.",
    )
    CARRY_OVER_SUSPECTED = Explained(
        "carry_over_suspected",
        "These cells came in the first seconds far more often than later: they may be of the "
        "tube before.",
    )
    CD20_MASKED = Explained(
        "cd20_masked_by_drug",
        "The patient had an antibody against CD20 within 12 months: B cells may not stain for "
        "CD20.",
    )
    CD38_MASKED = Explained(
        "cd38_masked_by_drug",
        "The patient had an antibody against CD38 within 6 months: plasma cells and transitional "
        "B cells may not stain for CD38.",
    )
    IMMUNOGLOBULIN_GIVEN = Explained(
        "immunoglobulin_given",
        "The patient had immunoglobulin within 4 weeks: the stains for IgM and IgD depend on how "
        "well the cells were washed.",
    )
    DRUG_STOP_MISSING = Explained(
        "drug_stop_missing",
        "A drug that can hide this population was begun earlier and drugs.csv gives no stop: "
        "whether it still does is not known.",
    )
    NO_VOLUME = Explained(
        "no_volume",
        "No trusted beads, acquired volume, counted tube of the same draw or analyser count: "
        "there is no concentration.",
    )
    FEW_BEADS = Explained(
        "few_beads",
        "Fewer than 1,000 counting beads were acquired: the bead count is not trusted and not "
        "used.",
    )
    BEADS_INCOMPLETE = Explained(
        "beads_incomplete",
        "The counting beads are not proven to be all there (qc.json: beads), so the bead count "
        "is not used.",
    )
    CONCENTRATION_CONTRADICTED = Explained(
        "concentration_contradicted",
        "Two independent concentrations of this draw differ by more than the study allows "
        "(qc.json: draw); beyond twofold none is given.",
    )
    ANCHORS_DIFFER = Explained(
        "anchors_differ",
        "The populations that both tubes of the chain counted do not agree on its volume; the "
        "interval is widened by what they differ.",
    )
    BEAD_LOT_MISSING = Explained(
        "bead_lot_missing",
        "Beads were counted, but beads_per_tube or blood_volume_ul is missing in the sample "
        "sheet, so they could not be used.",
    )
    DILUTION_MISSING = Explained(
        "dilution_missing",
        "The acquired volume is known, but not the dilution of the blood in it, so it could not "
        "be used.",
    )
    FEW_LYMPHOCYTES = Explained(
        "few_lymphocytes",
        "Fewer than 2,500 lymphocytes were acquired in a directly counted tube: expected in "
        "leukopenia, imprecise all the same.",
    )
    REPLICATES_DIFFER = Explained(
        "replicates_differ",
        "Duplicate direct counts of this draw differ by more than 10 % (or what the study "
        "allows): the count should be repeated.",
    )
    ANALYSER_COUNTS_DIFFER = Explained(
        "analyser_counts_differ",
        "Tubes of the same draw carry different analyser counts and this tube carries none: none "
        "was used.",
    )
    ANCHOR_LEUKOCYTES = Explained(
        "anchor_leukocytes",
        "The preferred anchor could not be used: the count is tied to the leukocytes instead.",
    )
    ANCHOR_LYMPHOCYTES = Explained(
        "anchor_lymphocytes",
        "The preferred anchor could not be used: the count is tied to the lymphocytes instead.",
    )
    ANCHOR_T_CELLS = Explained(
        "anchor_t_cells",
        "The preferred anchor could not be used: the count is tied to the T cells instead.",
    )
    ANCHOR_B_CELLS = Explained(
        "anchor_b_cells",
        "The preferred anchor could not be used: the count is tied to the B cells instead.",
    )
    ANCHOR_OTHER = Explained(
        "anchor_other",
        "The preferred anchor could not be used: the count is tied to another population of its "
        "list.",
    )
    ANCHOR_ITSELF = Explained(
        "anchor_itself",
        "The concentration repeats the one measured for the same population in another tube or "
        "by the analyser.",
    )
    FEW_PARENT_EVENTS = Explained(
        "few_parent_events",
        "The denominator has fewer events than the population's minimum: that percentage is not "
        "given.",
    )
    REFERENCE_NOT_PARENT = Explained(
        "reference_not_parent",
        "There are more of these cells than of their reference population, which cannot hold "
        "them all: that percentage is not given.",
    )
    FEW_T_CELLS = Explained(
        "few_t_cells",
        "The percentage of CAR T cells rests on fewer than 5,000 T cells (or what the study asks "
        "for): an indication only.",
    )
    FEW_MARROW_CELLS = Explained(
        "few_marrow_cells",
        "Too few marrow cells to miss this population (limit of detection above 0.1 % of "
        "leukocytes, or below 2,500 lymphocytes).",
    )
    INDICATIVE_PERCENTAGE = Explained(
        "indicative_percentage",
        "The percentage of a B-cell subset rests on 50 to 99 B cells: an indication only.",
    )
    LLOQ_ABOVE_THRESHOLD = Explained(
        "lloq_above_threshold",
        "So little blood was analysed that the limit of quantification lies above the clinical "
        "threshold: not evaluable.",
    )
    LIMIT_RAISED = Explained(
        "limit_raised_by_background",
        "The background of the stain, the patient's before infusion or what is assumed where no "
        "tube tells, raised the number of events needed to detect or to quantify.",
    )
    NO_BACKGROUND = Explained(
        "no_background",
        "No pre-infusion tube of the patient tells the background of this stain: 0.05 % of its "
        "reference (or what the study says) is taken to be background.",
    )
    REAGENT_CHANGED = Explained(
        "reagent_changed",
        "An earlier tube of the patient was stained with another CAR reagent: values before and "
        "after are not one series.",
    )
    VOLTAGE_CHANGED = Explained(
        "voltage_changed",
        "A detector ran at another voltage than in the patient's first such tube: signals move "
        "by more than 5 % (qc.json: detectors).",
    )
    VOLTAGE_BEYOND_LIMITS = Explained(
        "voltage_beyond_limits",
        "A detector's voltage is off by more than 50 V, or signals by more than 0.7 to 1.4 "
        "times, from the patient's first such tube.",
    )
    PANEL_CHANGED = Explained(
        "panel_changed",
        "A marker was read on another detector, or under another version of the panel, than in "
        "the patient's first such tube.",
    )
    MANY_AT_THE_MARGIN = Explained(
        "many_at_the_margin",
        "More than 10 % of the cells lie at the end of a detector's range, where they cannot be "
        "told apart (qc.json: margins).",
    )
    BACKGROUND_FEW_EVENTS = Explained(
        "background_few_events",
        "The pre-infusion tube has fewer than 5,000 T cells (or what the study asks for): its "
        "background is poorly known.",
    )
    POSITIVE_BEFORE_INFUSION = Explained(
        "positive_before_infusion",
        "The population was detected in the pre-infusion tube that serves as its background: an "
        "assay fault, not subtracted.",
    )


def anchor_flag(population: str) -> Flag:
    """Give the word for a count tied to ``population`` because a preferred anchor failed."""
    if population in ANCHORS:
        return Flag[f"ANCHOR_{population.upper()}"]
    return Flag.ANCHOR_OTHER


def meanings() -> dict[str, str]:
    """Map every word of the flags column to the sentence that explains it."""
    return dict(_sentences())


@cache
def _sentences() -> dict[str, str]:
    return {flag.value: flag.sentence for flag in Flag}
