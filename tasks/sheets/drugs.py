"""Read ``drugs.csv``: what a patient was given that may hide a marker from its stain."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path

from panels.files.yaml_scalars import shortened
from tasks.sheets.columns import FIRST_YEAR, LAST_YEAR, read_patient, read_text
from tasks.sheets.csv_table import (
    MOST_LINES_BY_HAND,
    CsvTable,
    SheetProblem,
    line_problem,
    read_table,
)
from tasks.sheets.csv_text import CsvLine
from tasks.sheets.drug_masking import Masking, masking_of
from tasks.vocabulary.flags import Flag

NAME = "drugs.csv"
COLUMNS = ("patient", "drug", "start", "stop")
ONGOING = "ongoing"
"""What is written as the stop of a course that has none yet."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
_ALIKE = 0.75
"""So much of two names is the same where one is the other mistyped."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """One drug of one patient, from ``start`` to ``stop``.

    ``stop`` is None where it is not known, or the course is ``ongoing``; ``line`` is that of the
    sheet.
    """

    patient: str
    drug: str
    start: date
    stop: date | None
    ongoing: bool = False
    line: int = 0

    @property
    def masking(self) -> tuple[Masking, ...]:
        """List the groups this drug belongs to."""
        return masking_of(self.drug)

    @property
    def lacks_its_stop(self) -> bool:
        """Tell whether it hides something and the sheet does not say until when it was given."""
        return self.stop is None and not self.ongoing and bool(self.masking)

    def flags_on(self, day: date) -> dict[str, Flag]:
        """Give the flag of each population that the drug concerns on a day."""
        flags: dict[str, Flag] = {}
        for group in self.masking:
            flag = self._flag_on(day, group)
            if flag:
                flags |= dict.fromkeys(group.populations, flag)
        return flags

    def _flag_on(self, day: date, group: Masking) -> Flag | None:
        """Choose the flag of a group on a day.

        A course without stop counts as given at its start; whether it still hides anything later
        is not known, for which there is a flag of its own.
        """
        if day < self.start:
            return None
        if self.ongoing or day <= (self.stop or self.start) + group.lasts:
            return group.flag
        return Flag.DRUG_STOP_MISSING if self.stop is None else None


def read_drugs(path: Path) -> tuple[Mapping[str, Sequence[Exposure]], tuple[SheetProblem, ...]]:
    """Read the sheet, which may be missing.

    Gives the exposures by patient, and what is wrong with the lines left out.
    """
    try:
        table = read_table(path, NAME, MOST_LINES_BY_HAND)
    except FileNotFoundError:
        return {}, ()
    fault = table.fault or _header_fault(table)
    if fault:
        return {}, (fault,)
    exposures: dict[str, list[Exposure]] = {}
    problems: list[SheetProblem] = []
    for line in table.lines:
        read = _exposure(table, line)
        if isinstance(read, SheetProblem):
            problems.append(read)
        else:
            exposures.setdefault(read.patient, []).append(read)
    return exposures, tuple(problems)


def _header_fault(table: CsvTable) -> SheetProblem | None:
    """Find a column that is missing or mistyped; ``stop`` may be missing."""
    for column in COLUMNS:
        if column in table.header:
            continue
        alike = get_close_matches(column, table.header, n=3, cutoff=_ALIKE)
        near = [other for other in alike if other not in COLUMNS]
        if near or column != "stop":
            sentence = f"The column '{column}' is missing. The first line is {','.join(COLUMNS)}."
            if near:
                sentence += f" Is '{near[0]}' meant to be it?"
            return SheetProblem(NAME, 1, column, sentence)
    return None


class _WrongCell(ValueError):
    """A cell that cannot be used: its column, and the sentence that says how to correct it."""


def _exposure(table: CsvTable, line: CsvLine) -> Exposure | SheetProblem:
    wrong = line_problem(table, line)
    if wrong:
        return SheetProblem(NAME, line.number, "", wrong)
    cells = dict(zip(table.header, line.cells, strict=False))
    try:
        return _read(cells, line.number)
    except _WrongCell as error:
        column, sentence = error.args
        patient = "" if column == "patient" else cells["patient"]
        return SheetProblem(NAME, line.number, column, sentence, patient=patient)


def _read(cells: Mapping[str, str], line: int) -> Exposure:
    """Read the cells of one line; raises _WrongCell."""
    try:
        patient = read_patient(cells["patient"])
    except ValueError as error:
        raise _WrongCell("patient", f"{error}.") from error
    if not cells["drug"]:
        raise _WrongCell("drug", "The name of the drug is missing.")
    try:
        drug = read_text(cells["drug"])
    except ValueError as error:
        raise _WrongCell("drug", f"{error}.") from error
    ongoing = cells.get("stop", "").casefold() == ONGOING
    start = _day("start", cells["start"])
    stop = None if ongoing else _day("stop", cells.get("stop", ""))
    if start is None:
        raise _WrongCell("start", "The day of the first dose is missing: write it as 2026-03-31.")
    if stop is not None and stop < start:
        raise _WrongCell(
            "stop", f"The drug was stopped on {stop} but started on {start}: correct the wrong day."
        )
    return Exposure(patient, drug, start, stop, ongoing, line)


def _day(column: str, text: str) -> date | None:
    """Read a day, with or without a time behind it; None for an empty cell."""
    if not text:
        return None
    still = ""
    if column == "stop":
        still = f", or '{ONGOING}' if it is still given"
    try:
        day = date.fromisoformat(text[:10]) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise _WrongCell(column, f"'{shortened(text)}' is no day: write it as 2026-03-31{still}.")
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise _WrongCell(
            column,
            f"{day} is no day of a treatment: write the true one, such as 2026-03-31{still}.",
        )
    return day
