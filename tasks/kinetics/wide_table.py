"""Lay a kinetics table out with one column a population, printed as a laboratory would."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tasks.kinetics.rows import Row, undetected_below
from tasks.kinetics.winning_rows import DETECT_EVENTS, KineticRows, kinetic_rows
from tasks.vocabulary.amounts import concentration_text, percent_text
from tasks.vocabulary.populations import population_rank

VISIT_COLUMNS = ["patient", "visit", "day", "collected", "specimen"]
IN_MARROW = "_marrow_percent"
"""What the name of a column of percentages in marrow ends with, after the population's id."""
_MISSING = ""


def wide_frame(
    frame: pd.DataFrame, detect_events: int = DETECT_EVENTS, rows: KineticRows | None = None
) -> pd.DataFrame:
    """Lay a kinetics table out with one row a visit × specimen and one column a population.

    Cells per µL of blood stand in the column that bears the population's id; percentages of the
    reference in marrow have columns of their own (``IN_MARROW``), so that no column has two units.
    Where tubes share a population ``winning_rows`` decides; day and time are those of the visit's
    first tube. An empty cell means that no tube of the visit measures the population; of excluded
    tubes there is nothing. ``detect_events`` is the study's; ``rows`` are those of
    ``kinetic_rows``, where they are known already.
    """
    read = rows or kinetic_rows(frame, detect_events)
    columns = sorted({_column_of(row) for row in read.tubes}, key=_column_rank)
    visits: dict[tuple[str, str, str], list[object]] = {}
    for row in read.tubes:
        visits.setdefault(_visit_of(row), [row[name] for name in VISIT_COLUMNS])
    printed = {
        (*_visit_of(row), _column_of(row)): print_result(row, with_unit=False)
        for row in read.visits
    }
    lines = [
        [*cells, *(printed.get((*visit, column), _MISSING) for column in columns)]
        for visit, cells in visits.items()
    ]
    return pd.DataFrame(lines, columns=[*VISIT_COLUMNS, *columns])


def _visit_of(row: Row) -> tuple[str, str, str]:
    return row["patient"], row["visit"], row["specimen"]


def _column_of(row: Row) -> str:
    return f"{row['population']}{'' if row['specimen'] == 'blood' else IN_MARROW}"


def _column_rank(column: str) -> tuple[object, ...]:
    """Put the columns of blood first, in each specimen by the order of the populations."""
    return column.endswith(IN_MARROW), *population_rank(column.removesuffix(IN_MARROW))


def print_result(row: Mapping[Any, Any], *, with_unit: bool = True) -> str:
    """Print one result as a laboratory would: ``12.3``, ``2.1 (DNQ)``, ``<1.1``, ``ND`` or ``NE``.

    A value that was detected but not quantified is printed and marked, as the rare-event
    laboratories report it; one that was not detected is "less than" ``undetected_below``. Marrow
    has no concentration: percent of reference, with ``lod_percent`` as the limit of what was not
    detected (``<0.03 %``). ``with_unit`` is to be false where a header names the percent.
    """
    code, unit = row["code"], ""
    value, limit = row["per_ul"], undetected_below(row)
    text: Callable[[float], str] = concentration_text
    if row["specimen"] != "blood":
        value, text = row["percent_reference"], percent_text
        unit = " %" if with_unit else ""
    if code == "ND":
        return "ND" if limit is None else f"<{text(limit)}{unit}"
    if code == "NE" or pd.isna(value):
        return "NE"
    mark = " (DNQ)" if code == "DNQ" else ""
    return f"{text(float(value))}{unit}{mark}"
