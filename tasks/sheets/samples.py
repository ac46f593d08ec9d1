"""Read the sample sheets: the study's ``samples.csv`` and those dropped in the inbox.

A line that is wrong does not stop the others: the files it names wait, with the sentence that says
what to correct. A sheet with a column nobody knows is not used at all, because the column may be
the one that matters.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from panels.text.printable import printable
from panels.text.spelling import nearest
from tasks.sheets.columns import SHEET_COLUMNS, Cell, contradiction, read_cell, read_patient
from tasks.sheets.csv_table import CsvTable, SheetProblem, line_problem, read_table
from tasks.sheets.csv_text import CsvLine
from tasks.sheets.globs import WILDCARD, Glob, glob_of

NAME = "samples.csv"
_SHEETS_KEPT = 4


@dataclass(frozen=True, slots=True, eq=False)
class SampleRow:
    """One line of a sheet: the files it names and what it says of them.

    ``file`` is relative to the inbox; empty cells are not in ``values``.
    """

    sheet: str
    line: int
    file: str
    values: Mapping[str, Cell]

    @property
    def many(self) -> bool:
        """Tell whether the line is meant for several files."""
        return bool(WILDCARD.search(self.file))

    def __str__(self) -> str:
        """Name the line."""
        return f"{self.sheet}, line {self.line}"


@dataclass(frozen=True, slots=True)
class SampleSheet:
    """Every line of all sheets together, and what is wrong with them.

    ``named`` and ``globs`` find the lines, good and bad, that concern a file.
    """

    rows: tuple[SampleRow, ...]
    faults: tuple[SheetProblem, ...]
    named: Mapping[str, Sequence[SampleRow | SheetProblem]] = field(repr=False)
    globs: tuple[tuple[Glob, Sequence[SampleRow | SheetProblem]], ...] = field(repr=False)

    def naming(self, inbox_path: str) -> list[SampleRow | SheetProblem]:
        """List the lines that name a file: by its path in the inbox, its bare name, or a glob."""
        path = _plain(inbox_path)
        lines = list(self.named.get(path, ()))
        if "/" in path:
            lines += self.named.get(path.rpartition("/")[2], ())
        for pattern, rows in self.globs:
            if pattern.matches(path):
                lines += rows
        return list(dict.fromkeys(lines))

    def unread(self) -> list[SheetProblem]:
        """List the faults of whole sheets, of which it cannot be known which files they concern."""
        return [fault for fault in self.faults if not fault.concerns]


def read_samples(samples: Path, inbox: Path, dropped: Iterable[Path] = ()) -> SampleSheet:
    """Read the study's sheet and the sheets ``dropped`` below the inbox.

    Names in a sheet of a sub-folder may be relative to the inbox or to that folder.
    """
    sheets = [(samples, NAME, "")]
    for path in dropped:
        place = path.relative_to(inbox)
        name = printable(f"{inbox.name}/{place.as_posix()}")
        folder = place.as_posix().removesuffix(place.name)
        sheets.append((path, name, folder))
    rows: list[SampleRow] = []
    faults: list[SheetProblem] = []
    named: dict[str, list[SampleRow | SheetProblem]] = {}
    globs: dict[str, tuple[Glob, list[SampleRow | SheetProblem]]] = {}
    for path, name, folder in sheets:
        for line in _read_sheet(path, name):
            if isinstance(line, SampleRow):
                rows.append(line)
            else:
                faults.append(line)
            for form in _forms(line, folder):
                named.setdefault(form, []).append(line)
                if WILDCARD.search(form):
                    globs.setdefault(form, (glob_of(form), []))[1].append(line)
    return SampleSheet(tuple(rows), tuple(faults), named, tuple(globs.values()))


def _forms(line: SampleRow | SheetProblem, folder: str) -> set[str]:
    """Give the names of a line as they may stand relative to the inbox, or below ``folder``."""
    names = (line.file,) if isinstance(line, SampleRow) else line.concerns
    return {_plain(form) for name in names for form in (name, f"{folder}{name}") if name}


def _read_sheet(path: Path, name: str) -> Sequence[SampleRow | SheetProblem]:
    try:
        table = read_table(path, name, follow=name == NAME)  # no link of the inbox
    except FileNotFoundError:
        # There is none, or it was taken away a moment ago.
        return ()
    return _rows_of(table)


@lru_cache(maxsize=_SHEETS_KEPT)
def _rows_of(table: CsvTable) -> tuple[SampleRow | SheetProblem, ...]:
    """Read the lines of a sheet; a pass asks this of the same ten thousand lines six times."""
    return tuple(_lines_of(table))


def _lines_of(table: CsvTable) -> Iterator[SampleRow | SheetProblem]:
    fault = table.fault or _header_fault(table)
    if fault:
        every = sorted({file for line in table.lines for file in _named_files(table, line)})
        yield SheetProblem(fault.file, fault.line, fault.column, fault.sentence, tuple(every))
        return
    for line in table.lines:
        yield _row(table, line)


def _header_fault(table: CsvTable) -> SheetProblem | None:
    """Find a column that is not of the sample sheet, or the lack of the one that names the file."""
    if not set(table.header) & set(SHEET_COLUMNS):
        sentence = (
            f"This is not a sample sheet: its first line is not {','.join(SHEET_COLUMNS[:4])},… "
            f"Remove it from here."
        )
        return SheetProblem(table.name, 1, "", sentence)
    for column in table.header:
        if column not in SHEET_COLUMNS:
            hint = nearest(column, SHEET_COLUMNS) or f"; known are: {', '.join(SHEET_COLUMNS)}"
            sentence = (
                f"'{column}' is not a column of the sample sheet{hint}. No line of this sheet is "
                f"used until it is corrected."
            )
            return SheetProblem(table.name, 1, column, sentence)
    if "file" not in table.header:
        sentence = "The column 'file' is missing: it says which file each line is about."
        return SheetProblem(table.name, 1, "file", sentence)
    return None


def _row(table: CsvTable, line: CsvLine) -> SampleRow | SheetProblem:
    wrong = line_problem(table, line)
    if wrong:
        return SheetProblem(table.name, line.number, "", wrong, _named_files(table, line))
    cells = dict(zip(table.header, line.cells, strict=True))
    if not cells["file"]:
        sentence = "The line does not say which file it is about."
        return SheetProblem(table.name, line.number, "file", sentence)
    values: dict[str, Cell] = {}
    for column, text in cells.items():
        if not text or column == "file":
            continue
        try:
            values[column] = read_cell(column, text)
        except ValueError as error:
            return _wrong(table, line, column, f"{error}.")
    wrong = contradiction(values)
    if wrong:
        return _wrong(table, line, "lymphocytes_per_ul", wrong)
    return SampleRow(table.name, line.number, _plain(cells["file"]), values)


def _wrong(table: CsvTable, line: CsvLine, column: str, sentence: str) -> SheetProblem:
    """Say what is wrong with a line, of which files, and of whom if its id at least can be one."""
    cells = dict(zip(table.header, line.cells, strict=True))
    try:
        patient = read_patient(cells.get("patient", ""))
    except ValueError:
        patient = ""
    named = _named_files(table, line)
    return SheetProblem(table.name, line.number, column, sentence, named, patient)


def _named_files(table: CsvTable, line: CsvLine) -> tuple[str, ...]:
    """List the cells of a line that name a file, even where a decimal comma has shifted them."""
    named = {cell for cell in line.cells if cell.lower().endswith((".fcs", ".lmd"))}
    # A line may have more cells than the header, or fewer.
    named.update(
        cell for column, cell in zip(table.header, line.cells, strict=False) if column == "file"
    )
    return tuple(sorted(named - {""}))


@lru_cache(maxsize=65_536)
def _plain(name: str) -> str:
    """Write a file name as it is compared: forward slashes, and composed letters.

    macOS writes é as two letters.
    """
    return unicodedata.normalize("NFC", str(PurePosixPath(name.replace("\\", "/"))))
