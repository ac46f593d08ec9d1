"""Lay a patient's results out as tables: populations across, visits down."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tasks.publish.patient_record import PatientRecord
from tasks.publish.result_words import result_link, worst_flag
from tasks.publish.wording import Row
from tasks.vocabulary.populations import in_family

if TYPE_CHECKING:
    import pandas as pd

B_CELLS_TITLE = "B cells"
SECRETING = in_family("secreting")
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CAR T cells", in_family("car_t")),
    (B_CELLS_TITLE, in_family("b_cells")),
    ("Plasmablasts and plasma cells", SECRETING),
    ("Leukocytes, T and NK cells", in_family("leukocytes")),
)
"""The tables of a report, each with its populations in order."""
UNITS = (("blood", "cells per µL"), ("marrow", "percent of the reference population"))


class PrintedCell(NamedTuple):
    """One result as it is printed.

    That is: its text, its code as a style class, what it rests on, the address of its gate and the
    worst severity among its flags.
    """

    text: str
    style: str
    basis: str
    address: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class VisitTable:
    """One table of printed results: populations across, visits down.

    ``rows`` hold visit, day and the printed cells; ``gates`` are those of the populations,
    ``references`` name what percentages are of, where the unit is percent.
    """

    title: str
    unit: str
    populations: tuple[str, ...]
    gates: tuple[str, ...]
    references: tuple[str, ...]
    rows: tuple[tuple[str, float, tuple[PrintedCell, ...]], ...]


def visit_tables(record: PatientRecord, kinetics: "pd.DataFrame") -> list[VisitTable]:
    """Lay out what was measured as one table a group of populations and specimen."""
    from tasks.kinetics.winning_rows import with_percent_limits

    chosen = with_percent_limits(kinetics, record.limits.detect_events)
    grouped = {name for _, group in GROUPS for name in group}
    others = tuple(name for name in dict.fromkeys(chosen["population"]) if name not in grouped)
    tables = []
    for specimen, unit in UNITS:
        rows = chosen[chosen["specimen"] == specimen]
        measured = set(rows["population"])
        for title, group in (*GROUPS, ("Other populations", others)):
            populations = tuple(name for name in group if name in measured)
            if populations:
                heading = f"{title} in marrow" if specimen == "marrow" else title
                lines = _lines(record, rows[rows["population"].isin(populations)], populations)
                names = tuple(map(record.label, populations))
                references = _references(record, rows, populations)
                gates = tuple(map(record.some_gate, populations))
                tables.append(VisitTable(heading, unit, names, gates, references, lines))
    return tables


def _references(
    record: PatientRecord, rows: "pd.DataFrame", populations: Sequence[str]
) -> tuple[str, ...]:
    """Name the reference population of each percentage; a concentration has none."""
    of_marrow = rows[rows["specimen"] != "blood"]
    first = dict(zip(of_marrow["population"], of_marrow["reference"], strict=True))
    return tuple(
        f"of {record.label_within(str(first[name]))}" if name in first else ""
        for name in populations
    )


def _lines(
    record: PatientRecord, rows: "pd.DataFrame", populations: Sequence[str]
) -> tuple[tuple[str, float, tuple[PrintedCell, ...]], ...]:
    """Give a line for each visit, by day, with a cell for each population."""
    lines = []
    for visit, group in rows.groupby("visit", sort=False):
        by_population = {str(row["population"]): row for row in group.to_dict("records")}
        cells = tuple(_cell(record, by_population.get(name)) for name in populations)
        lines.append((str(visit), float(group["day"].min()), cells))
    return tuple(sorted(lines, key=lambda line: line[1]))


def _cell(record: PatientRecord, row: Row | None) -> PrintedCell:
    from tasks.kinetics.wide_table import print_result

    if row is None:
        return PrintedCell("", "absent", "not measured")
    link = result_link(record, row)
    return PrintedCell(
        print_result(row), str(row["code"]), link.text, link.address, worst_flag(row)
    )
