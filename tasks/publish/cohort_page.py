"""Write the page of a cohort: its figures, each with what it shows and does not, and medians.

A median is given as an interval where some patients are known only by an interval or a bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from tasks.kinetics.recovery_shares import SHARES
from tasks.kinetics.rows import number
from tasks.kinetics.summary import BETWEEN_VISITS, YES_OR_NO
from tasks.kinetics.turnbull import EVERYONE, RecoveryCurve
from tasks.publish.wording import (
    CANNOT,
    FEW_PATIENTS,
    NAMES,
    UNITS,
    Row,
    amount_text,
    definition_words,
    in_percent,
    is_point_in_time,
    median_words,
)
from tasks.vocabulary.populations import B_CELLS, CAR_PRODUCTS, PLASMA_CELLS, short_label

if TYPE_CHECKING:
    import pandas as pd


_CAR = ("Cmax", "Tmax", "AUC0-28", "Tlast", "Tbql", "half_life", "persistence_wk24")
MAIN_PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(CAR_PRODUCTS, _CAR),
        B_CELLS: ("depletion_onset", "aplasia_duration", *(name for name, _, _ in SHARES)),
        PLASMA_CELLS: ("nadir", "nadir_day", "percent_of_baseline_last"),
    }
)


class SummaryCell(NamedTuple):
    """What the patients of a group show together of one parameter.

    ``known`` says of how many of them anything is known.
    """

    amount: str
    known: str


@dataclass(frozen=True, slots=True)
class CohortRecord:
    """What the page says beside the tables: the study and its recovery curves.

    ``stratify_by`` is the column patients are grouped by, if any, ``strata`` maps patients to their
    groups; ``labels`` names the populations in words; ``gates`` maps strategy and population to
    the gate that holds the population, where it has another name.
    """

    study: str
    curves: tuple[RecoveryCurve, ...]
    stratify_by: str | None = None
    strata: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    gates: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def label(self, population: str) -> str:
        """Name a population in few words, without its markers; an unknown one by its id."""
        return short_label(self.labels, population)


def recovery_lines(
    record: CohortRecord, summary: "pd.DataFrame"
) -> list[tuple[str, str, tuple[SummaryCell, ...]]]:
    """Lay the estimated times to recovery out as ``summary_lines`` does the parameters."""
    strata = list(dict.fromkeys(summary["stratum"])) or [EVERYONE]
    curves = {(curve.stratum, curve.definition): curve for curve in record.curves}
    lines = []
    for definition in dict.fromkeys(curve.definition for curve in record.curves):
        of_strata = [curves.get((stratum, definition)) for stratum in strata]
        cells = tuple(_recovery_cell(curve) for curve in of_strata)
        words = f"Time to recovery: {definition_words(definition)}"
        lines.append((record.label(B_CELLS), words, cells))
    return lines


def _recovery_cell(curve: RecoveryCurve | None) -> SummaryCell:
    if curve is None:
        return SummaryCell("", "")
    return SummaryCell(median_words(curve), f"{curve.recovered} of {curve.patients}")


def summary_lines(
    record: CohortRecord, summary: "pd.DataFrame"
) -> list[tuple[str, str, tuple[SummaryCell, ...]]]:
    """Lay the main parameters out: population and parameter in words, and a cell a stratum."""
    blood = summary[summary["specimen"] == "blood"].to_dict("records")
    rows = {(row["stratum"], row["population"], row["parameter"]): row for row in blood}
    strata = list(dict.fromkeys(summary["stratum"]))
    lines = []
    for population, parameters in MAIN_PARAMETERS.items():
        label = record.label(population)
        for parameter in parameters:
            of_strata = [rows.get((stratum, population, parameter)) for stratum in strata]
            if any(of_strata):
                lines.append((label, NAMES[parameter], tuple(map(summary_cell, of_strata))))
    return lines


def summary_cell(row: Row | None) -> SummaryCell:
    """Put one row of the summary into words."""
    if row is None:
        return SummaryCell("", "")
    known = f"{row['estimated']} of {row['patients']}"
    if row["parameter"] not in YES_OR_NO:
        return SummaryCell(_median_words(row), known)
    if not row["estimated"]:
        return SummaryCell("nobody can tell", known)
    return SummaryCell(f"yes in {row['share_yes'] * row['estimated']:.0f}", known)


def _median_words(row: Row) -> str:
    """Write the median with the smallest and largest value, or the interval it lies in."""
    row = in_percent(row)
    median, low, high, least, most = (
        number(row[name]) for name in ("median", "median_low", "median_high", "minimum", "maximum")
    )
    is_day = is_point_in_time(str(row["parameter"]), str(row["unit"]))

    def written(value: float) -> str:
        return amount_text(value, str(row["unit"]), in_time=is_day)

    before, unit = "day ", ""
    if not is_day:
        before, unit = "", f" {UNITS.get(row['unit'], row['unit'])}".rstrip()
    if median is not None and least is not None and most is not None:
        return f"{before}{written(median)}{unit} ({written(least)} to {written(most)})"
    # An amount of at least 0 is no bound.
    lower = written(low) if low else ""
    upper = written(high) if high is not None else ""
    if not lower and not upper:
        return "fewer than two patients" if row["estimated"] == 1 else CANNOT
    if is_day:
        few = row["parameter"] in BETWEEN_VISITS and row["estimated"] < FEW_PATIENTS
        return _day_between(lower, upper) + " (few patients)" * few
    return f"{_amount_between(lower, upper)}{unit}"


def _day_between(low: str, high: str) -> str:
    if not high:
        return f"after day {low}"
    if not low:
        return f"by day {high}"
    return f"between day {low} and {high}"


def _amount_between(low: str, high: str) -> str:
    if not high:
        return f"at least {low}"
    if not low:
        return f"at most {high}"
    return f"between {low} and {high}"


def render_cohort_page(
    record: CohortRecord,
    kinetics: "pd.DataFrame",
    summary: "pd.DataFrame",
    pictures: Mapping[str, str],
    sentences: Sequence[str] = (),
) -> str:
    """Write cohort.html.

    ``summary`` is that of ``summary_frame``, ``pictures`` maps the names of ``cohort_figures`` to
    their markup; ``sentences`` are those of ``cohort_sentences``.
    """
    from tasks.publish.pages import render

    values = {
        "record": record,
        "sentences": sentences,
        "pictures": pictures,
        "patients": sorted(set(kinetics["patient"])),
        "summary": [*recovery_lines(record, summary), *summary_lines(record, summary)],
        "strata": list(dict.fromkeys(summary["stratum"])),
        "few": FEW_PATIENTS,
        "two_phases": (summary["parameter"] == "half_life_beta").any(),
    }
    return render("cohort.html", values)
