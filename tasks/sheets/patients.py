"""Read ``patients.csv``: who takes part, when each product was infused, and further columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from tasks.sheets.columns import read_patient, read_text, read_time
from tasks.sheets.csv_table import (
    MOST_LINES_BY_HAND,
    CsvTable,
    SheetProblem,
    line_problem,
    read_table,
)
from tasks.sheets.csv_text import CsvLine
from tasks.vocabulary.moments import ambiguous_time, comparable, instant, same_moment

NAME = "patients.csv"
COLUMNS = ("patient", "infused", "baseline_visit")
_PRODUCT = "infused_"
_ALIKE = 0.85
"""So much of two names is the same where one is the other mistyped."""


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient: first infusion, infusion of each product, and baseline visit.

    ``strata`` is every further column as text, by which patients may be grouped. Times are as they
    were written; those without an offset are meant in ``time_zone``, the study's.
    """

    patient: str
    infused: datetime
    line: int
    products: Mapping[str, datetime] = field(default_factory=dict)
    baseline_visit: str | None = None
    strata: Mapping[str, str] = field(default_factory=dict)
    time_zone: str | None = None

    @property
    def infused_at(self) -> datetime:
        """Give the time of the first infusion in UTC: what is compared with other times."""
        return instant(self.infused, self.time_zone)


@dataclass(frozen=True, slots=True)
class PatientSheet:
    """All patients whose line can be used, and what is wrong with the other lines."""

    patients: Mapping[str, Patient]
    faults: tuple[SheetProblem, ...]

    def why_not(self, patient: str, called: str | None = None) -> str:
        """Say why there is no such patient; ``called`` replaces an id that must not be shown."""
        for fault in self.faults:
            if not fault.concerns or patient in fault.concerns:
                return str(fault)
        named = called or f"'{patient}'"
        return (
            f"Patient {named} is not in {NAME}: "
            f"add a line with the patient's infusion there, or correct the id."
        )


def read_patients(path: Path, time_zone: str | None = None) -> PatientSheet:
    """Read the patients sheet of a study with this time zone.

    A line that is wrong does not stop the others.
    """
    try:
        table = read_table(path, NAME, MOST_LINES_BY_HAND)
    except FileNotFoundError:
        sentence = (
            f"There is no {NAME} in the study folder: write it with the columns patient,infused."
        )
        return PatientSheet({}, (SheetProblem(NAME, 1, "", sentence),))
    faults = [table.fault] if table.fault else _header_faults(table)
    if faults:
        return PatientSheet({}, tuple(faults))
    patients: dict[str, Patient] = {}
    # P01 and p01 would share a folder on Windows and macOS.
    folders: dict[str, Patient] = {}
    refused: set[str] = set()
    for line in table.lines:
        patient = _patient(table, line, time_zone)
        if isinstance(patient, SheetProblem):
            faults.append(patient)
            continue
        twin = folders.setdefault(patient.patient.lower(), patient)
        if twin is not patient:
            refused |= {twin.patient, patient.patient}
            faults.append(_twice(twin, patient))
        patients.setdefault(patient.patient, patient)
    usable = {name: patient for name, patient in patients.items() if name not in refused}
    return PatientSheet(usable, tuple(faults))


def _twice(first: Patient, second: Patient) -> SheetProblem:
    """Say that a patient has two lines; another infusion is a second course of treatment."""
    course = ""
    if first.patient == second.patient and not same_moment(
        first.infused, second.infused, second.time_zone
    ):
        course = (
            f" A second course of treatment is a patient of its own here, such as "
            f"{second.patient}-2."
        )
    sentence = (
        f"Patient '{second.patient}' is in line {first.line} already ('{first.patient}'). "
        f"Keep one of the two lines.{course}"
    )
    concerns = tuple(sorted({first.patient, second.patient}))
    return SheetProblem(NAME, second.line, "patient", sentence, concerns)


def _header_faults(table: CsvTable) -> list[SheetProblem]:
    faults = []
    for column in COLUMNS[:2]:
        if column not in table.header:
            sentence = (
                f"The column '{column}' is missing. The first line is patient,infused and what "
                f"else is known."
            )
            faults.append(SheetProblem(NAME, 1, column, sentence))
    for column in table.header:
        near = get_close_matches(column, COLUMNS, n=1, cutoff=_ALIKE)
        if near and column not in COLUMNS and near[0] not in table.header:
            sentence = f"Is '{column}' meant to be '{near[0]}'? Correct it, or choose another name."
            faults.append(SheetProblem(NAME, 1, column, sentence))
        if not column:
            faults.append(SheetProblem(NAME, 1, "", "A column has no name. Name it or remove it."))
    return faults


def _patient(table: CsvTable, line: CsvLine, time_zone: str | None) -> Patient | SheetProblem:
    cells = dict(zip(table.header, line.cells, strict=False))
    concerns = (cells.get("patient", ""),)
    wrong = line_problem(table, line)
    if wrong:
        return SheetProblem(NAME, line.number, "", wrong, concerns)
    times: dict[str, datetime] = {}
    for column, text in cells.items():
        try:
            moment = _read(column, text, time_zone)
        except ValueError as error:
            return SheetProblem(NAME, line.number, column, f"{error}.", concerns)
        if moment:
            times[column] = moment
    wrong = _contradictory(times, time_zone)
    if wrong:
        return SheetProblem(NAME, line.number, "infused", wrong, concerns)
    infused = times.pop("infused")
    return Patient(
        patient=cells["patient"],
        infused=infused,
        line=line.number,
        products={column.removeprefix(_PRODUCT): moment for column, moment in times.items()},
        baseline_visit=cells.get("baseline_visit") or None,
        strata={column: text for column, text in cells.items() if _is_stratum(column)},
        time_zone=time_zone,
    )


def _is_stratum(column: str) -> bool:
    return column not in COLUMNS and not column.startswith(_PRODUCT)


def _contradictory(times: Mapping[str, datetime], time_zone: str | None) -> str | None:
    """Say why the times of one patient cannot all be true, or not be compared."""
    infused = times["infused"]
    if not all(comparable(infused, moment, time_zone) for moment in times.values()):
        return (
            "One time has an offset from UTC and another has none: write both alike, "
            "or the study's time zone in study.yaml (time_zone: Europe/Berlin)."
        )
    products = [column for column in times if column != "infused"]
    first = min(products, key=lambda column: instant(times[column], time_zone), default=None)
    if first is None or same_moment(times[first], infused, time_zone):
        return None
    return (
        f"infused is {infused.isoformat()}, but the earliest of the products is {first} "
        f"{times[first].isoformat()}. "
        "infused is when the first product was given: correct the wrong one, or add the "
        "column of the product that is missing."
    )


def _read(column: str, text: str, time_zone: str | None) -> datetime | None:
    """Check one cell, and read it when it is a time; raises ValueError with a sentence."""
    if not text and column == "patient":
        raise ValueError("patient is empty")
    if not text and column == "infused":
        raise ValueError("infused is empty: write when it was, as 2026-03-01T11:00")
    if text and (column == "infused" or column.startswith(_PRODUCT)):
        return _unambiguous(read_time(text), time_zone)
    if column == "patient":
        read_patient(text)
    else:
        read_text(text)
    return None


def _unambiguous(moment: datetime, time_zone: str | None) -> datetime:
    """Give the time; raises ValueError for one that could be two moments, or none."""
    ambiguity = ambiguous_time(moment, time_zone)
    if ambiguity:
        raise ValueError(ambiguity)
    return moment
