"""Read a sheet of corrections: one threshold or polygon of one tube a line.

Either a sheet that a person wrote (``file, threshold, value, gate, vertices, reason``), or the
``DEVIATIONS.csv`` that the import of a workspace wrote. Nothing of a study is asked here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panels.text.errors import SheetFault, UsageFault
from panels.text.printable import shown
from tasks.corrections.boundaries import gates_given, thresholds_given
from tasks.corrections.spelt import LISTED
from tasks.sheets.csv_table import CsvTable, line_problem, read_table
from tasks.sheets.csv_text import CsvLine
from tasks.store.corrections import Vertices
from tasks.vocabulary.person import explanation

MOST_LINES = 5_000
LONGEST_CELL = 10_000
"""Letters; an outline of 200 vertices has some 4,000."""
COLUMNS = ("file", "threshold", "value", "gate", "vertices", "reason")
OF_AN_IMPORT = frozenset({"file", "strategy_gate", "deviation", "own", "common"})
"""Columns by which a ``DEVIATIONS.csv`` is known."""
DRAWN = "drawn otherwise"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A gate as a workspace has it in one sample, ``own``, and in the strategy, ``common``.

    Shapes are those of a strategy file, in its linear units.
    """

    own: Mapping[str, Any]
    common: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SheetLine:
    """One line of a sheet: what is to be set in which tube, and why.

    ``file`` is a tube's file or the beginning of its hash. ``set`` is a threshold's value or an
    outline in channel units, or what a workspace draws.
    """

    number: int
    file: str
    name: str
    set: float | Vertices | Drawn
    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line of which no correction can be made, and the sentence that says why."""

    number: int
    sentence: str


@dataclass(frozen=True, slots=True)
class CorrectionSheet:
    """What a sheet wants set, and the lines of an import that no correction can carry over.

    ``faults`` are the numbers of the lines that cannot be read, and why.
    """

    lines: tuple[SheetLine, ...]
    left_out: tuple[LeftOut, ...] = ()
    faults: tuple[tuple[int, str], ...] = ()


def read_correction_sheet(path: Path, reason: str = "") -> CorrectionSheet:
    """Read a sheet of corrections; ``reason`` stands for those lines that give none.

    Lines that are wrong are in its ``faults``. Raises SheetFault when it is no such sheet.
    """
    table = _table(path)
    is_import = set(table.header) >= OF_AN_IMPORT
    _refuse_columns(path, table, is_import=is_import)
    read = _imported_line if is_import else _written_line
    found: list[SheetLine | LeftOut] = []
    faults = []
    for line in table.lines:
        try:
            cells = _cells(table, line)
            found.append(read(line.number, cells, cells.get("reason", "") or reason))
        except UsageFault as fault:
            faults.append((line.number, str(fault)))
    if not found and not faults:
        raise SheetFault(f"{path}: no corrections. Add one line a correction below the header.")
    return CorrectionSheet(
        tuple(each for each in found if isinstance(each, SheetLine)),
        tuple(each for each in found if isinstance(each, LeftOut)),
        tuple(faults),
    )


def refused(path: Path, faults: Sequence[tuple[int, str]]) -> SheetFault:
    """Give the fault for a sheet of which nothing was set, with what is wrong in which lines.

    A list of names that a sentence ends with is written once, below all lines.
    """
    told, lists = [f"{path}: nothing was set."], dict[frozenset[str], tuple[list[int], list[str]]]()
    for number, sentence in sorted(faults):
        first, *listed = sentence.splitlines()
        told.append(f"  line {number}: {first.removesuffix(LISTED)}")
        if listed:
            names = frozenset(each.split()[0] for each in listed)
            lists.setdefault(names, ([], listed))[0].append(number)
    for numbers, listed in lists.values():
        lines = f"{'line' if len(numbers) == 1 else 'lines'} {', '.join(map(str, numbers))}"
        told.append(f"  What {lines} can name, as it lies in the tube of line {numbers[0]}:")
        told += [f"  {each}" for each in listed]
    return SheetFault("\n".join(told))


def _table(path: Path) -> CsvTable:
    try:
        table = read_table(path, str(path), MOST_LINES)
    except FileNotFoundError as error:
        raise SheetFault(f"{path}: there is no such file.") from error
    if table.fault:
        raise SheetFault(str(table.fault))
    return table


def _cells(table: CsvTable, line: CsvLine) -> dict[str, str]:
    """Give the cells of a line by column; raises UsageFault where they do not fit the columns."""
    problem = line_problem(table, line, LONGEST_CELL)
    if problem:
        raise UsageFault(problem)
    return dict(zip(table.header, line.cells, strict=True))


def _refuse_columns(path: Path, table: CsvTable, *, is_import: bool) -> None:
    header = set(table.header)
    if is_import or ({"file"} < header and header & {"threshold", "gate"}):
        return
    raise SheetFault(
        f"{path}, line 1: the columns are {', '.join(COLUMNS)} (file, and threshold with value or "
        f"gate with vertices), or those of a DEVIATIONS.csv; found: "
        f"{shown(', '.join(table.header), 200)}."
    )


def _written_line(number: int, cells: Mapping[str, str], reason: str) -> SheetLine:
    threshold, gate = cells.get("threshold", ""), cells.get("gate", "")
    value, vertices = cells.get("value", ""), cells.get("vertices", "")
    _refuse_no_file(cells)
    if bool(threshold) == bool(gate):
        both = "both a threshold and a gate" if gate else "neither a threshold nor a gate"
        raise UsageFault(f"it names {both}; write one correction a line.")
    if (vertices if threshold else value) or not (value if threshold else vertices):
        raise UsageFault("a threshold has a value, a gate has vertices (x1,y1;x2,y2;…).")
    why = explanation("column reason (or --reason)", reason)
    if threshold:
        ((name, number_set),) = thresholds_given([f"{threshold}={value}"]).items()
        return SheetLine(number, cells["file"], name, number_set, why)
    ((name, outline),) = gates_given([f"{gate}={vertices}"]).items()
    return SheetLine(number, cells["file"], name, outline, why)


def _imported_line(number: int, cells: Mapping[str, str], reason: str) -> SheetLine | LeftOut:
    gate, deviation = cells["strategy_gate"], cells["deviation"]
    if deviation != DRAWN:
        return LeftOut(number, f"{_named(cells)} is {deviation}: a correction moves a boundary.")
    if not gate or not cells["own"] or not cells["common"]:
        return LeftOut(number, f"{_named(cells)} was not carried over into the strategy.")
    _refuse_no_file(cells)
    why = explanation("--reason", reason)
    drawn = Drawn(_shape(cells, "own"), _shape(cells, "common"))
    return SheetLine(number, cells["file"], gate, drawn, why)


def _named(cells: Mapping[str, str]) -> str:
    place = cells.get("gate", "") or cells["own"] or "the whole sample"
    return shown(f"{place} in {cells.get('sample', '') or cells['file']}", 120)


def _refuse_no_file(cells: Mapping[str, str]) -> None:
    if not cells["file"]:
        raise UsageFault("it names no file.")


def _shape(cells: Mapping[str, str], column: str) -> dict[str, Any]:
    try:
        shape = json.loads(cells[column])
    except (ValueError, RecursionError):
        shape = None
    if not isinstance(shape, dict):
        raise UsageFault(f"column {column} is no shape as DEVIATIONS.csv writes it (JSON).")
    return shape
