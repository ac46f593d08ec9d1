"""Lay a kinetics table out with one column a population, printed as a laboratory would."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tasks.kinetics.rows import Row
from tasks.kinetics.winning_rows import DETECT_EVENTS, KineticRows, kinetic_rows
from tasks.vocabulary.populations import population_rank

VISIT_COLUMNS = ["patient", "visit", "day", "collected", "specimen"]
_MISSING = ""


def wide_frame(
    frame: pd.DataFrame, detect_events: int = DETECT_EVENTS, rows: KineticRows | None = None
) -> pd.DataFrame:
    """Lay a kinetics table out with one row a visit × specimen and one column a population.

    Where tubes share a population ``winning_rows`` decides; day and time are those of the visit's
    first tube. An empty cell means that no tube of the visit measures the population.
    ``detect_events`` is the study's; ``rows`` are those of ``kinetic_rows``, where they are known
    already.
    """
    read = rows or kinetic_rows(frame, detect_events)
    populations = sorted({row["population"] for row in read.tubes}, key=population_rank)
    visits: dict[tuple[str, str, str], list[object]] = {}
    for row in read.tubes:
        visits.setdefault(_visit_of(row), [row[name] for name in VISIT_COLUMNS])
    printed = {(*_visit_of(row), row["population"]): print_result(row) for row in read.visits}
    lines = [
        [*cells, *(printed.get((*visit, population), _MISSING) for population in populations)]
        for visit, cells in visits.items()
    ]
    return pd.DataFrame(lines, columns=[*VISIT_COLUMNS, *populations])


def _visit_of(row: Row) -> tuple[str, str, str]:
    return row["patient"], row["visit"], row["specimen"]


def print_result(row: Mapping[Any, Any]) -> str:
    """Print one result as a laboratory would: ``12.3``, ``2.1 (DNQ)``, ``<1.1``, ``ND`` or ``NE``.

    A value that was detected but not quantified is printed and marked, as the rare-event
    laboratories report it; one that was not detected is "less than" the tube's limit of detection.
    Marrow has no concentration: percent of reference, with ``lod_percent`` as the limit of what was
    not detected (``<0.03 %``).
    """
    code = row["code"]
    value, limit, unit = row["per_ul"], row["lod_per_ul"], ""
    if row["specimen"] != "blood":
        value, limit, unit = row["percent_reference"], row.get("lod_percent"), " %"
    if code == "ND":
        if pd.notna(limit):
            return f"<{_digits(limit)}{unit}"
        return "ND"
    if code == "NE" or pd.isna(value):
        return "NE"
    mark = " (DNQ)" if code == "DNQ" else ""
    return f"{_digits(value)}{unit}{mark}"


def _digits(value: object) -> str:
    """Round to what a count can carry.

    Whole numbers from 100, one decimal from 1, else two significant digits.
    """
    number = float(str(value))
    if number >= 100:
        return f"{number:.0f}"
    if number >= 1:
        return f"{number:.1f}"
    return f"{float(f'{number:.2g}'):.10f}".rstrip("0").rstrip(".")
