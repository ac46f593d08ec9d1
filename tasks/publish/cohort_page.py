"""Write the page of a cohort: its figures, each with what it shows and what it does not, and the medians as intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.kinetics.turnbull import RecoveryCurve

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class CohortRecord:
    """What the page says beside the tables: the study, the column patients are grouped by (if any), the recovery curves."""

    study: str
    stratify_by: str | None
    curves: tuple[RecoveryCurve, ...]


def cohort_figures(
    record: CohortRecord, kinetics: "pd.DataFrame", parameters: "pd.DataFrame", recovery: "pd.DataFrame"
) -> dict[str, "Figure"]:
    """Draw the cohort's figures, by the name of their file."""
    from tasks.publish.cohort_overviews import draw_completeness, draw_exposure, draw_swimmers
    from tasks.publish.cohort_plots import draw_cohort_curves, draw_recovery

    return {
        "time_to_recovery": draw_recovery(record.curves),
        "curves": draw_cohort_curves(kinetics),
        "swimmer": draw_swimmers(kinetics, parameters, recovery),
        "completeness": draw_completeness(kinetics),
        "exposure": draw_exposure(parameters, sorted(set(kinetics["patient"]))),
    }


def render_cohort_page(record: CohortRecord, kinetics: "pd.DataFrame", parameters: "pd.DataFrame", pictures: Mapping[str, bytes]) -> str:
    """Write cohort.html; ``pictures`` maps the names of ``cohort_figures`` to PNG bytes."""
    from tasks.publish.cohort_plots import definition_words, median_words
    from tasks.publish.report import render

    medians = [(curve, definition_words(curve.definition), median_words(curve)) for curve in record.curves]
    values = {
        "record": record,
        "pictures": pictures,
        "medians": medians,
        "patients": len(set(kinetics["patient"])),
        "two_phases": (parameters["parameter"] == "half_life_beta").any(),
    }
    return render("cohort.html", values)
