"""Read a CSV file as a laboratory's spreadsheet saves it, and say what to mend where it cannot be read for certain."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from tasks.intake.plain_file import NotRegular, open_regular

HOW_TO_SAVE = "Save it from the spreadsheet as 'CSV UTF-8 (comma delimited)'."


@dataclass(frozen=True, slots=True)
class SheetProblem:
    """One thing wrong with a sheet: where, and what to do.

    ``column`` is empty when the whole line is meant. ``concerns`` are the files (or patients) that cannot be used for it;
    ``patient`` is whom a sample's line is about, where that could be read.
    """

    file: str
    line: int
    column: str
    sentence: str
    concerns: tuple[str, ...] = ()
    patient: str = ""

    def __str__(self) -> str:
        """Write the place and the sentence."""
        place = f"{self.file}, line {self.line}" + (f", column {self.column}" if self.column else "")
        return f"{place}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class CsvLine:
    """One line of cells, trimmed; ``number`` counts lines of the file from 1."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CsvTable:
    """Header and lines of a CSV file; ``fault`` says why it could not be read (then there are no lines)."""

    name: str
    header: tuple[str, ...]
    lines: tuple[CsvLine, ...]
    fault: SheetProblem | None = None


def read_table(path: Path, name: str, *, follow: bool = True) -> CsvTable:
    """Read a comma-separated file; ``name`` is what it is called in sentences. Column names are trimmed and lower-cased.

    A file that cannot be opened, and what is no file at all, is a fault of the sheet. A link is read
    with ``follow``.
    """
    text, fault = _text_of(path, follow=follow)
    if fault:
        return _unread(name, 1, fault)
    try:
        rows = _rows(text)
    except csv.Error as error:
        return _unread(name, 1, f"This is not a CSV file that can be read ({error}). {HOW_TO_SAVE}")
    if not rows:
        return _unread(name, 1, "The sheet is empty: its first line must name the columns.")
    first, lines = rows[0], rows[1:]
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if any(mark in cell for cell in first.cells):
            return _unread(
                name, first.number,
                f"The columns are separated by {word}, not commas. {HOW_TO_SAVE} Decimal numbers need a point (4.5), not a comma.",
            )  # fmt: skip
    header = tuple(cell.lower() for cell in first.cells)
    while header and not header[-1] and all(len(line.cells) < len(header) or not line.cells[len(header) - 1] for line in lines):
        # Excel saves columns that were once formatted as empty ones at the right.
        header, lines = header[:-1], [CsvLine(line.number, line.cells[: len(header) - 1]) for line in lines]
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        return _unread(name, first.number, f"The column '{twice[0]}' is there twice. Remove or rename one.")
    return CsvTable(name, header, tuple(lines))


def width_problem(table: CsvTable, line: CsvLine) -> str | None:
    """Say what is wrong when a line has more or fewer values than the header has columns."""
    found, wanted = len(line.cells), len(table.header)
    if found > wanted:
        return (
            f"The line has {found} values, but there are {wanted} columns. Is there a decimal comma? Write 4.5, not 4,5; "
            "put a text that holds a comma between double quotes."
        )
    if found < wanted:
        return f"The line has {found} values, but there are {wanted} columns. Write a comma for every empty cell."
    return None


def _text_of(path: Path, *, follow: bool) -> tuple[str, str]:
    """Give the text of a sheet, or the sentence why it cannot be read."""
    try:
        with open_regular(path, follow=follow) as file:
            return _decoded(file.read())
    except NotRegular as error:
        return "", f"The sheet cannot be read: {error.strerror}. Put the sheet itself in its place."
    except OSError as error:
        mend = "Close it in the spreadsheet program, or correct its rights."
        return "", f"The sheet cannot be opened ({error.strerror}). {mend}"


def _decoded(content: bytes) -> tuple[str, str]:
    """Give the text, or the sentence why its letters cannot be known."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:4000]:
        return "", f"The sheet is saved as UTF-16 ('Unicode text') or is no text. {HOW_TO_SAVE}"
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return "", f"Line {line} has a letter that is not UTF-8 (an old Windows or Latin-1 file?). {HOW_TO_SAVE}"


def _rows(text: str) -> list[CsvLine]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, start = [], 1
    for cells in reader:
        trimmed = tuple(cell.strip() for cell in cells)
        if any(trimmed):
            rows.append(CsvLine(start, trimmed))
        start = reader.line_num + 1
    return rows


def _unread(name: str, line: int, sentence: str) -> CsvTable:
    return CsvTable(name, (), (), SheetProblem(name, line, "", sentence))
