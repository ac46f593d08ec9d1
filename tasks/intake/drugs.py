"""Read ``drugs.csv``: what a patient was given that may hide a marker from its stain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tasks.counting.flags import Flag
from tasks.intake.columns import read_patient
from tasks.intake.csv_text import CsvLine, CsvTable, SheetProblem, read_table, width_problem

NAME = "drugs.csv"
COLUMNS = ("patient", "drug", "start", "stop")
B_SUBSETS = ("naive_b", "naive_igm_igd_b", "transitional_b", "unswitched_memory_b", "switched_memory_b", "double_negative_b")
SECRETING = ("plasmablasts", "plasma_cells", "long_lived_plasma_cells")


@dataclass(frozen=True, slots=True)
class Masking:
    """A group of drugs, by parts of their names, that is felt for some days after the last dose on some populations."""

    names: tuple[str, ...]
    lasts: timedelta
    flag: Flag
    populations: tuple[str, ...]


MASKING = (
    Masking(
        ("rituximab", "obinutuzumab", "ocrelizumab", "ofatumumab", "mabthera", "rituxan"),
        timedelta(days=365),
        Flag.CD20_MASKED,
        ("b_cells_cd20",),
    ),
    Masking(("daratumumab", "isatuximab", "darzalex"), timedelta(days=183), Flag.CD38_MASKED, (*SECRETING, "transitional_b")),
    Masking(("ivig", "scig", "immunoglobulin", "immune globulin"), timedelta(days=28), Flag.IMMUNOGLOBULIN_GIVEN, B_SUBSETS),
)
"""After SCIENCE 2.1: anti-CD20 within 12 months, daratumumab for months, immunoglobulin as long as the next dose is due."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """One drug of one patient, from ``start`` to ``stop`` (None: not stopped)."""

    patient: str
    drug: str
    start: date
    stop: date | None

    def flags_on(self, day: date) -> dict[str, Flag]:
        """Give for each population concerned on a day the word that says so."""
        return {
            population: group.flag
            for group in MASKING
            if any(name in self.drug.casefold() for name in group.names)
            and self.start <= day
            and (self.stop is None or day <= self.stop + group.lasts)
            for population in group.populations
        }


def read_drugs(path: Path) -> tuple[Mapping[str, Sequence[Exposure]], tuple[SheetProblem, ...]]:
    """Read the sheet, which may be missing: exposures by patient, and what is wrong with the lines left out."""
    if not path.is_file():
        return {}, ()
    table = read_table(path, NAME)
    if table.fault:
        return {}, (table.fault,)
    missing = [column for column in COLUMNS[:3] if column not in table.header]
    if missing:
        sentence = f"The column '{missing[0]}' is missing. The first line is {','.join(COLUMNS)}."
        return {}, (SheetProblem(NAME, 1, missing[0], sentence),)
    read = [_exposure(table, line) for line in table.lines]
    found: dict[str, list[Exposure]] = {}
    for each in read:
        if isinstance(each, Exposure):
            found.setdefault(each.patient, []).append(each)
    return found, tuple(each for each in read if isinstance(each, SheetProblem))


class _WrongCell(ValueError):
    """A cell that cannot be used: its column, and the sentence that says how to mend it."""


def _exposure(table: CsvTable, line: CsvLine) -> Exposure | SheetProblem:
    wrong = width_problem(table, line)
    if wrong:
        return SheetProblem(NAME, line.number, "", wrong)
    try:
        return _read(dict(zip(table.header, line.cells, strict=False)))
    except _WrongCell as error:
        column, sentence = error.args
        return SheetProblem(NAME, line.number, column, sentence)


def _read(cells: Mapping[str, str]) -> Exposure:
    try:
        patient = read_patient(cells["patient"])
    except ValueError as error:
        raise _WrongCell("patient", f"{error}.") from error
    if not cells["drug"]:
        raise _WrongCell("drug", "The name of the drug is missing.")
    start, stop = (_day(column, cells.get(column, "")) for column in ("start", "stop"))
    if start is None:
        raise _WrongCell("start", "The day of the first dose is missing: write it as 2026-03-31.")
    if stop is not None and stop < start:
        raise _WrongCell("stop", f"The drug was stopped on {stop} but started on {start}: correct the wrong day.")
    return Exposure(patient, cells["drug"], start, stop)


def _day(column: str, text: str) -> date | None:
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ].*)?", text):
            return date.fromisoformat(text[:10])
    except ValueError:
        pass
    raise _WrongCell(column, f"'{text}' is no day: write it as 2026-03-31.")
