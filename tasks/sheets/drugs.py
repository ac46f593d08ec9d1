"""Read ``drugs.csv``: what a patient was given that may hide a marker from its stain."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path

from panels.files.yaml_scalars import shortened
from panels.text.spelling import nearest
from tasks.sheets.columns import read_patient, read_text
from tasks.sheets.csv_table import (
    MOST_LINES_BY_HAND,
    CsvTable,
    SheetProblem,
    line_problem,
    read_table,
)
from tasks.sheets.csv_text import CsvLine
from tasks.sheets.drug_names import ANTI_CD19, ANTI_CD20, ANTI_CD38, IMMUNOGLOBULIN, KNOWN, names
from tasks.vocabulary.flags import Flag

NAME = "drugs.csv"
COLUMNS = ("patient", "drug", "start", "stop")
B_SUBSETS = (
    "naive_b",
    "naive_igm_igd_b",
    "transitional_b",
    "unswitched_memory_b",
    "switched_memory_b",
    "double_negative_b",
)
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
        ANTI_CD20,
        timedelta(days=365),
        Flag.CD20_MASKED,
        ("b_cells_cd20",),
    ),
    Masking(ANTI_CD38, timedelta(days=183), Flag.CD38_MASKED, (*SECRETING, "transitional_b")),
    Masking(IMMUNOGLOBULIN, timedelta(days=28), Flag.IMMUNOGLOBULIN_GIVEN, B_SUBSETS),
)
"""After SCIENCE 2.1: anti-CD20 within 12 months, daratumumab for months, immunoglobulin as long as
the next dose is due."""
ONGOING = "ongoing"
"""What is written as the stop of a course that has none yet."""
FIRST_YEAR, LAST_YEAR = 1900, 2100
ALIKE = 0.8
"""So much of two names is the same where one is the other mistyped; names of antibodies share their
ends."""
MOST_HINTS = 50
"""Of so many patients whom nobody knows the likeliest name is looked for, each among all names."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """One drug of one patient, from ``start`` to ``stop`` (None: not known, or ``ongoing``); ``line`` is that of the sheet."""

    patient: str
    drug: str
    start: date
    stop: date | None
    ongoing: bool = False
    line: int = 0

    @property
    def masking(self) -> tuple[Masking, ...]:
        """List the groups this drug belongs to."""
        return tuple(group for group in MASKING if names(self.drug, group.names))

    @property
    def asks_for_its_stop(self) -> bool:
        """Tell whether it hides something and nobody said until when it was given."""
        return self.stop is None and not self.ongoing and bool(self.masking)

    def flags_on(self, day: date) -> dict[str, Flag]:
        """Give for each population concerned on a day the word that says so."""
        felt = [(group, self._flag_on(day, group)) for group in self.masking]
        return {
            population: flag for group, flag in felt if flag for population in group.populations
        }

    def _flag_on(self, day: date, group: Masking) -> Flag | None:
        """Choose the word: a course without stop counts as given at its start; what it did later is not known, and that is said."""
        if day < self.start:
            return None
        if self.ongoing or day <= (self.stop or self.start) + group.lasts:
            return group.flag
        return Flag.DRUG_STOP_MISSING if self.stop is None else None


def read_drugs(path: Path) -> tuple[Mapping[str, Sequence[Exposure]], tuple[SheetProblem, ...]]:
    """Read the sheet, which may be missing: exposures by patient, and what is wrong with the lines left out."""
    try:
        table = read_table(path, NAME, MOST_LINES_BY_HAND)
    except FileNotFoundError:
        return {}, ()
    fault = table.fault or _header_fault(table)
    if fault:
        return {}, (fault,)
    read = [_exposure(table, line) for line in table.lines]
    found: dict[str, list[Exposure]] = {}
    for each in read:
        if isinstance(each, Exposure):
            found.setdefault(each.patient, []).append(each)
    return found, tuple(each for each in read if isinstance(each, SheetProblem))


def drug_questions(
    exposures: Mapping[str, Sequence[Exposure]], patients: Collection[str]
) -> tuple[str, ...]:
    """Ask about what can be read but not be used: a course without stop, a drug or a patient nobody knows; in order of lines."""
    every = sorted((each for own in exposures.values() for each in own), key=lambda each: each.line)
    strangers = dict.fromkeys(each.patient for each in every if each.patient not in patients)
    hints = {patient: nearest(patient, patients) for patient in list(strangers)[:MOST_HINTS]}
    return tuple(sentence for each in every for sentence in _questions(each, patients, hints))


def _questions(
    exposure: Exposure, patients: Collection[str], hints: Mapping[str, str]
) -> Iterator[str]:
    where, drug = f"{NAME}, line {exposure.line}", exposure.drug
    if exposure.patient not in patients:
        hint = hints.get(exposure.patient, "")
        yield (
            f"{where}, column patient: '{exposure.patient}' is not in patients.csv{hint or '.'} "
            f"No count is flagged for this line."
        )
    if exposure.asks_for_its_stop:
        days = max(group.lasts for group in exposure.masking).days
        yield (
            f"{where}, column stop: {drug} of {exposure.patient} was begun on "
            f"{exposure.start} and has no stop. Write the day of the last "
            f"dose, or '{ONGOING}'. Until then the counts it may hide say "
            f"{Flag.DRUG_STOP_MISSING} from {days} days after its start on."
        )
    if names(drug, ANTI_CD19):
        yield (
            f"{where}, column drug: {drug} binds CD19, by which B cells are found; there is "
            f"no flag for it. "
            "Read b_cells_cd20 beside b_cells and its subsets."
        )
    elif not names(drug, KNOWN):
        near = get_close_matches(drug.casefold(), KNOWN, n=1, cutoff=ALIKE)
        meant = f"; did you mean '{near[0]}'?" if near else "."
        yield (
            f"{where}, column drug: '{drug}' is not known here{meant} No count is flagged for it. "
            "If it binds CD20 or CD38 or is an immunoglobulin, add its substance (rituximab, "
            "daratumumab, IVIG)."
        )


def _header_fault(table: CsvTable) -> SheetProblem | None:
    for column in COLUMNS:
        near = [
            other
            for other in get_close_matches(column, table.header, n=3, cutoff=0.75)
            if other not in COLUMNS
        ]
        if column not in table.header and (near or column != "stop"):
            meant = f" Is '{near[0]}' meant to be it?" if near else ""
            sentence = (
                f"The column '{column}' is missing. The first line is {','.join(COLUMNS)}.{meant}"
            )
            return SheetProblem(NAME, 1, column, sentence)
    return None


class _WrongCell(ValueError):
    """A cell that cannot be used: its column, and the sentence that says how to mend it."""


def _exposure(table: CsvTable, line: CsvLine) -> Exposure | SheetProblem:
    wrong = line_problem(table, line)
    if wrong:
        return SheetProblem(NAME, line.number, "", wrong)
    cells = dict(zip(table.header, line.cells, strict=False))
    try:
        return _read(cells, line.number)
    except _WrongCell as error:
        column, sentence = error.args
        return SheetProblem(
            NAME,
            line.number,
            column,
            sentence,
            patient="" if column == "patient" else cells["patient"],
        )


def _read(cells: Mapping[str, str], line: int) -> Exposure:
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
    start, stop = (
        _day("start", cells["start"]),
        None if ongoing else _day("stop", cells.get("stop", "")),
    )
    if start is None:
        raise _WrongCell("start", "The day of the first dose is missing: write it as 2026-03-31.")
    if stop is not None and stop < start:
        raise _WrongCell(
            "stop", f"The drug was stopped on {stop} but started on {start}: correct the wrong day."
        )
    return Exposure(patient, drug, start, stop, ongoing, line)


def _day(column: str, text: str) -> date | None:
    if not text:
        return None
    try:
        day = (
            date.fromisoformat(text[:10])
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ].*)?", text)
            else None
        )
    except ValueError:
        day = None
    still = f", or '{ONGOING}' if it is still given" if column == "stop" else ""
    if day is None:
        raise _WrongCell(column, f"'{shortened(text)}' is no day: write it as 2026-03-31{still}.")
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise _WrongCell(
            column,
            f"{day} is no day of a treatment: write the true one, such as 2026-03-31{still}.",
        )
    return day
