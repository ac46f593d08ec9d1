"""Write the page of a cohort: its figures, each with what it shows and what it does not, and the medians as intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tasks.kinetics.recovery_shares import SHARES
from tasks.kinetics.rows import number
from tasks.kinetics.summary import YES_OR_NO
from tasks.kinetics.turnbull import EVERYONE, RecoveryCurve
from tasks.publish.wording import NAMES, POINTS_IN_TIME, UNITS, Row, significant
from tasks.vocabulary.populations import B_CELLS, CAR_PRODUCTS, PLASMA_CELLS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


_CAR = ("Cmax", "Tmax", "AUC0-28", "Tlast", "Tbql", "half_life", "persistence_wk24")
MAIN_PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(CAR_PRODUCTS, _CAR),
        B_CELLS: ("depletion_onset", "aplasia_duration", *(name for name, _, _ in SHARES)),
        PLASMA_CELLS: ("nadir", "nadir_day", "percent_of_baseline_last"),
    }
)


class SummaryCell(NamedTuple):
    """What the patients of a group show together of one parameter, and of how many of them anything is known."""

    amount: str
    known: str


@dataclass(frozen=True, slots=True)
class CohortRecord:
    """What the page says beside the tables: the study, the recovery curves, the column patients are grouped by (if any), their groups.

    ``labels`` names the populations in words.
    """

    study: str
    curves: tuple[RecoveryCurve, ...]
    stratify_by: str | None = None
    strata: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def summary_lines(
    record: CohortRecord, summary: "pd.DataFrame"
) -> list[tuple[str, str, tuple[SummaryCell, ...]]]:
    """Lay the main parameters out: population and parameter in words, and for each stratum what its patients show together."""
    blood = summary[summary["specimen"] == "blood"].to_dict("records")
    rows = {(row["stratum"], row["population"], row["parameter"]): row for row in blood}
    strata = list(dict.fromkeys(summary["stratum"]))
    lines = []
    for population, parameters in MAIN_PARAMETERS.items():
        label = record.labels.get(population, population).split(" (")[0]
        for parameter in parameters:
            own = [rows.get((stratum, population, parameter)) for stratum in strata]
            if any(own):
                lines.append((label, NAMES[parameter], tuple(map(summary_cell, own))))
    return lines


def summary_cell(row: Row | None) -> SummaryCell:
    """Put one row of the summary into words."""
    if row is None:
        return SummaryCell("", "")
    return SummaryCell(
        _yes_words(row) if row["parameter"] in YES_OR_NO else _middle_words(row),
        f"{row['estimated']} of {row['patients']}",
    )


def _yes_words(row: Row) -> str:
    return (
        f"yes in {row['share_yes'] * row['estimated']:.0f}"
        if row["estimated"]
        else "nobody can tell"
    )


def _middle_words(row: Row) -> str:
    middle, low, high, least, most = (
        number(row[name]) for name in ("median", "median_low", "median_high", "minimum", "maximum")
    )
    day = "day " if row["parameter"] in POINTS_IN_TIME else ""
    after = "" if day else f" {UNITS.get(row['unit'], row['unit'])}".rstrip()
    sized = _in_days if row["unit"] == "d" else significant
    if middle is not None and least is not None and most is not None:
        return f"{day}{sized(middle)}{after} ({sized(least)} to {sized(most)})"
    # An amount of at least 0 is no bound.
    if high is None:
        if not low:
            return "fewer than two patients" if row["estimated"] == 1 else "cannot be given"
        return f"after {day}{sized(low)}" if day else f"at least {sized(low)}{after}"
    if not low:
        return f"by {day}{sized(high)}" if day else f"at most {sized(high)}{after}"
    return f"between {day}{sized(low)} and {sized(high)}{after}"


def _in_days(days: float) -> str:
    return f"{days:.1f}".removesuffix(".0")


def cohort_figures(
    record: CohortRecord,
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    recovery: "pd.DataFrame",
    composition: "pd.DataFrame",
) -> dict[str, "Figure"]:
    """Draw the cohort's figures, by the name of their file; the frames have the columns of the schemas that bear their names."""
    from tasks.publish.cohort_overviews import draw_completeness, draw_exposure, draw_swimmers
    from tasks.publish.cohort_plots import draw_cohort_curves, draw_recovery
    from tasks.publish.composition_plots import cohort_bars, draw_composition

    groups = composition.groupby(
        composition["patient"].map(record.strata) if record.strata else lambda _: EVERYONE
    )
    bars = {str(name): cohort_bars(own) for name, own in groups}
    return {
        "time_to_recovery": draw_recovery(record.curves),
        "curves": draw_cohort_curves(kinetics, strata=record.strata),
        "composition": draw_composition(bars, "n ="),
        "swimmer": draw_swimmers(kinetics, parameters, recovery, record.strata),
        "completeness": draw_completeness(kinetics, record.strata),
        "exposure": draw_exposure(parameters, sorted(set(kinetics["patient"])), record.strata),
    }


def render_cohort_page(
    record: CohortRecord,
    kinetics: "pd.DataFrame",
    summary: "pd.DataFrame",
    pictures: Mapping[str, bytes],
) -> str:
    """Write cohort.html; ``summary`` is that of ``summary_frame``, ``pictures`` maps the names of ``cohort_figures`` to PNG bytes."""
    from tasks.publish.cohort_plots import definition_words, median_words
    from tasks.publish.pages import render

    medians = [
        (curve, definition_words(curve.definition), median_words(curve)) for curve in record.curves
    ]
    values = {
        "record": record,
        "pictures": pictures,
        "medians": medians,
        "patients": len(set(kinetics["patient"])),
        "summary": summary_lines(record, summary),
        "strata": list(dict.fromkeys(summary["stratum"])),
        "two_phases": (summary["parameter"] == "half_life_beta").any(),
    }
    return render("cohort.html", values)
