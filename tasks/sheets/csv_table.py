"""Read a sheet with a header as a laboratory's spreadsheet saves it, and say what to correct."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panels.files.user_file import MEGABYTE, NotReadable
from panels.files.yaml_scalars import shortened
from panels.text.printable import printable
from tasks.sheets.csv_text import CsvLine, NotUtf8, csv_lines, read_csv_text

HOW_TO_SAVE = "Save it from the spreadsheet as 'CSV UTF-8 (comma delimited)'."
MOST_BYTES = 10 * MEGABYTE
MOST_LINES = 50_000
"""A trial of 500 patients has some 20,000 tubes, 200 bytes each; more takes memory and minutes."""
MOST_LINES_BY_HAND = 5_000
"""Of the sheets with a line for each patient, or each course of a drug."""
MOST_COLUMNS = 500
LONGEST_NAME = 200
LONGEST_CELL = 1_000
"""Letters; a remark has at most 500."""


@dataclass(frozen=True, slots=True)
class SheetProblem:
    """One thing wrong with a sheet: where, and what to do.

    ``column`` is empty when the whole line is meant. ``concerns`` are the files (or patients) that
    cannot be used for it; ``patient`` is whom a sample's line is about, where that could be read.
    """

    file: str
    line: int
    column: str
    sentence: str
    concerns: tuple[str, ...] = ()
    patient: str = ""

    def __str__(self) -> str:
        """Write the place and the sentence."""
        column = f", column {shortened(self.column)}" if self.column else ""
        return printable(f"{self.file}, line {self.line}{column}: {self.sentence}")


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Header and lines of a sheet, or the ``fault`` for which it could not be read."""

    name: str
    header: tuple[str, ...]
    lines: tuple[CsvLine, ...]
    fault: SheetProblem | None = None


def read_table(
    path: Path, name: str, most_lines: int = MOST_LINES, *, follow: bool = True
) -> CsvTable:
    """Read a comma-separated sheet; ``name`` is what it is called in sentences.

    Column names are trimmed and lower-cased; a link is read with ``follow``. Raises
    FileNotFoundError where there is no such file; whatever else is wrong with it is the table's
    ``fault``.
    """
    try:
        lines = csv_lines(read_csv_text(path, MOST_BYTES, follow=follow), most_lines)
    except NotReadable as error:
        reason = str(error)
        return _unread(name, 1, f"{reason[:1].upper()}{reason[1:]}")
    except NotUtf8 as error:
        return _unread(name, 1, _letters_fault(error.line))
    except csv.Error as error:
        return _unread(name, 1, f"This is not a CSV file that can be read ({error}). {HOW_TO_SAVE}")
    if not lines:
        return _unread(name, 1, "The sheet is empty: its first line must name the columns.")
    return _table(name, lines[0], lines[1:])


def line_problem(table: CsvTable, line: CsvLine, longest_cell: int = LONGEST_CELL) -> str | None:
    """Say when a line has more or fewer values than the header has columns, or one too long."""
    present, wanted = len(line.cells), len(table.header)
    if present > wanted:
        return (
            f"The line has {present} values, but there are {wanted} columns. Is there a decimal "
            f"comma? Write 4.5, not 4,5; "
            "put a text that holds a comma between double quotes."
        )
    if present < wanted:
        return (
            f"The line has {present} values, but there are {wanted} columns. Write a comma for "
            f"every empty cell."
        )
    longest = max(map(len, line.cells), default=0)
    if longest > longest_cell:
        return (
            f"A value has {longest:,} letters, more than a cell has ({longest_cell:,} at most). "
            f"Is a double quote missing?"
        )
    return None


def _letters_fault(line: int | None) -> str:
    if line is None:
        return f"The sheet is saved as UTF-16 ('Unicode text') or is no text. {HOW_TO_SAVE}"
    return (
        f"Line {line} has a letter that is not UTF-8 (an old Windows or Latin-1 file?). "
        f"{HOW_TO_SAVE}"
    )


def _table(name: str, first: CsvLine, lines: list[CsvLine]) -> CsvTable:
    """Take the first line for the columns' names."""
    fault = _separator_fault(first.cells)
    if fault:
        return _unread(name, first.number, fault)
    header = tuple(cell.lower() for cell in first.cells)
    width = _used_columns(header, lines)
    if width < len(header):
        # Excel saves columns that were once formatted as empty ones at the right.
        header = header[:width]
        lines = [CsvLine(line.number, _without_empty_end(line.cells, width)) for line in lines]
    fault = _names_fault(header)
    if fault:
        return _unread(name, first.number, fault)
    return CsvTable(name, header, tuple(lines))


def _separator_fault(header: Sequence[str]) -> str:
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if any(mark in cell for cell in header):
            return (
                f"The columns are separated by {word}, not commas. {HOW_TO_SAVE} "
                f"Decimal numbers need a point (4.5), not a comma."
            )
    return ""


def _names_fault(header: Sequence[str]) -> str:
    """Say when there are too many names of columns, one too long, or one twice."""
    if len(header) > MOST_COLUMNS:
        return (
            f"The first line names {len(header):,} columns, more than a sheet has "
            f"({MOST_COLUMNS} at most). Is it another file?"
        )
    longest = max(map(len, header))
    if longest > LONGEST_NAME:
        return (
            f"The first line has a name of {longest:,} letters, more than a column's "
            f"({LONGEST_NAME} at most). Is it another file?"
        )
    twice = sorted(column for column, times in Counter(header).items() if times > 1)
    if twice:
        return f"The column '{shortened(twice[0])}' is there twice. Remove or rename one."
    return ""


def _used_columns(header: Sequence[str], lines: Sequence[CsvLine]) -> int:
    """Count the columns up to the last that has a name, or a value in some line."""
    named = max((place for place, cell in enumerate(header, 1) if cell), default=0)
    filled = (_filled(line.cells, named, len(header)) for line in lines)
    return max(filled, default=named)


def _without_empty_end(cells: tuple[str, ...], width: int) -> tuple[str, ...]:
    return cells if any(cells[width:]) else cells[:width]


def _filled(cells: Sequence[str], named: int, width: int) -> int:
    """Count the cells up to the last that holds something, from the last named column on."""
    places = range(min(width, len(cells)), named, -1)
    return next((place for place in places if cells[place - 1]), named)


def _unread(name: str, line: int, sentence: str) -> CsvTable:
    return CsvTable(name, (), (), SheetProblem(name, line, "", sentence))
