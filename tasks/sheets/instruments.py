"""Read ``instruments.csv``: services and other events of a cytometer, marked on its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from panels.files.yaml_scalars import shortened
from tasks.sheets.columns import FIRST_YEAR, LAST_YEAR, read_text
from tasks.sheets.csv_table import (
    MOST_LINES_BY_HAND,
    CsvTable,
    SheetProblem,
    line_problem,
    read_table,
)
from tasks.sheets.csv_text import CsvLine

NAME = "instruments.csv"
COLUMNS = ("instrument", "date", "event")


@dataclass(frozen=True, slots=True)
class InstrumentEvent:
    """What was done to an instrument, and on which day; ``line`` is that of the sheet."""

    instrument: str
    day: date
    event: str
    line: int


def read_instrument_events(
    path: Path,
) -> tuple[Sequence[InstrumentEvent], tuple[SheetProblem, ...]]:
    """Read the sheet, which may be missing; gives the events and what is wrong with other lines."""
    try:
        table = read_table(path, NAME, MOST_LINES_BY_HAND)
    except FileNotFoundError:
        return (), ()
    fault = table.fault or _header_fault(table)
    if fault:
        return (), (fault,)
    events: list[InstrumentEvent] = []
    problems: list[SheetProblem] = []
    for line in table.lines:
        read = _event(table, line)
        if isinstance(read, SheetProblem):
            problems.append(read)
        else:
            events.append(read)
    return events, tuple(problems)


def _header_fault(table: CsvTable) -> SheetProblem | None:
    missing = [column for column in COLUMNS if column not in table.header]
    if not missing:
        return None
    sentence = f"The column '{missing[0]}' is missing. The first line is {','.join(COLUMNS)}."
    return SheetProblem(NAME, 1, missing[0], sentence)


def _event(table: CsvTable, line: CsvLine) -> InstrumentEvent | SheetProblem:
    wrong = line_problem(table, line)
    if wrong:
        return SheetProblem(NAME, line.number, "", wrong)
    cells: Mapping[str, str] = dict(zip(table.header, line.cells, strict=False))
    for column in COLUMNS:
        if not cells[column]:
            return SheetProblem(NAME, line.number, column, f"The {column} is missing.")
    for column in ("instrument", "event"):
        try:
            read_text(cells[column])
        except ValueError as error:
            return SheetProblem(NAME, line.number, column, f"{error}.")
    day = _day(cells["date"])
    if day is None:
        sentence = f"'{shortened(cells['date'])}' is no day: write it as 2026-03-31."
        return SheetProblem(NAME, line.number, "date", sentence)
    return InstrumentEvent(cells["instrument"], day, cells["event"], line.number)


def _day(text: str) -> date | None:
    """Read a day; None when it is written otherwise or no year of a study."""
    if len(text) != len("2026-03-31"):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None
