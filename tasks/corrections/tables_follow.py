"""Write the tables of one patient anew at once, and say which of its numbers read otherwise."""

from __future__ import annotations

import io
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from panels.text.errors import ReconflowError
from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.kinetics.wide_table import print_result
from tasks.publish.tables import read_table
from tasks.results.cohort_tables import build_cohort, cohort_is_due
from tasks.results.corrections_table import write_corrections_table
from tasks.results.front_page import rewrite_front_page
from tasks.results.patient_inputs import tables_due
from tasks.results.patient_tables import build_patient
from tasks.store.editions import Edition, last_editions
from tasks.store.faults import in_words
from tasks.store.tubes import Tube
from tasks.strategies.in_use import read_snapshot
from tasks.strategies.pins import finish_promotions
from tasks.study.folder import Study, open_study
from tasks.study.snapshot import StudySnapshot

Row = Mapping[Hashable, Any]


@dataclass(frozen=True, slots=True)
class NumberChange:
    """One published number of a patient that reads otherwise than before.

    ``what`` is empty for a result of a visit, else the name of a parameter; ``panel`` and
    ``tube_sha256`` are empty for a parameter.
    """

    visit: str
    specimen: str
    population: str
    what: str
    before: str
    after: str
    panel: str = ""
    tube_sha256: str = ""


@dataclass(frozen=True, slots=True)
class TablesChanged:
    """What became of a patient's tables; ``later`` counts the patients that the next pass writes.

    ``faults`` are the sentences of what could not be written; the next pass tries again.
    """

    patient: str
    changes: tuple[NumberChange, ...]
    later: int
    faults: tuple[str, ...]


def present_snapshot(study: Study) -> StudySnapshot:
    """Read a study as it is now, with a promotion finished that was killed.

    To be called under the study's lock.
    """
    return read_snapshot(finish_promotions(open_study(study.folder)))


@contextmanager
def finished_by_the_next_pass(decision: str) -> Iterator[None]:
    """Say of whatever fails in the block that the decision before it is kept all the same.

    Raises ReconflowError.
    """
    try:
        yield
    except (ReconflowError, OSError) as error:
        why = in_words(error) if isinstance(error, OSError) else str(error)
        raise ReconflowError(
            f"{decision} is kept; its counts and tables could not be written now; the next "
            f"run (`reconflow run`) writes them. {why}"
        ) from error


def tables_follow(snapshot: StudySnapshot, tube: Tube) -> TablesChanged:
    """Write a tube's patient, the cohort, corrections.csv and the front page as they are now.

    Other patients whose numbers hang on the tube are left to the next pass. To be called under the
    study's lock.
    """
    (changed,) = patients_follow(snapshot, [tube.identity.patient])
    return changed


def patients_follow(snapshot: StudySnapshot, patients: Sequence[str]) -> list[TablesChanged]:
    """Write the tables of patients, the cohort, corrections.csv and the front page, each once.

    To be called under the study's lock.
    """
    before = _editions(snapshot.study, patients)
    due = tables_due(snapshot).patients
    faults: dict[str, tuple[str, ...]] = {}
    for inputs in due:
        if inputs.patient in patients:
            try:
                build_patient(snapshot, inputs)
            except ReconflowError as fault:
                faults[inputs.patient] = (f"{inputs.patient}: {fault}",)
    if cohort_is_due(snapshot.study):
        build_cohort(snapshot)
    write_corrections_table(snapshot)
    rewrite_front_page(snapshot)
    after = _editions(snapshot.study, patients)
    later = sum(inputs.patient not in patients for inputs in due)
    return [
        TablesChanged(
            patient,
            tuple(_changes(before.get(patient), after.get(patient))),
            later,
            faults.get(patient, ()),
        )
        for patient in patients
    ]


def _editions(study: Study, patients: Sequence[str]) -> dict[str, Edition]:
    """Give the last tables of patients by name."""
    with study.store() as store:
        return {
            name: edition
            for patient in patients
            for name, edition in last_editions(store, patient).items()
        }


def _changes(before: Edition | None, after: Edition | None) -> Iterator[NumberChange]:
    """Yield every result and parameter that is printed otherwise."""
    for results in (_results, _parameters):
        then, now = results(before), results(after)
        for key in dict.fromkeys((*now, *then)):
            old, new = then.get(key, "–"), now.get(key, "–")
            if old != new:
                visit, specimen, population, what, panel, tube = key
                yield NumberChange(visit, specimen, population, what, old, new, panel, tube)


Key = tuple[str, str, str, str, str, str]
"""Visit, specimen, population, parameter, panel and tube of a number."""


def _results(edition: Edition | None) -> dict[Key, str]:
    return {
        (
            *(row["visit"], row["specimen"], row["population"], ""),
            *(row["panel"], row["tube_sha256"]),
        ): _result(row)
        for row in _rows(edition, "kinetics")
    }


def _result(row: Row) -> str:
    """Print a result with its unit; one of an excluded tube is used for nothing."""
    if row.get("review") == "excluded":
        return "excluded"
    printed, space, mark = print_result(row).partition(" ")
    is_concentration = row["specimen"] == "blood" and printed[0] in "<0123456789"
    return f"{printed}{'/µL' if is_concentration else ''}{space}{mark}"


def _parameters(edition: Edition | None) -> dict[Key, str]:
    return {
        ("", row["specimen"], row["population"], row["parameter"], "", ""): _parameter(row)
        for row in _rows(edition, "parameters")
    }


def _parameter(row: Row) -> str:
    value, low, high = (_number(row[name]) for name in ("value", "low", "high"))
    if row["censoring"] in {"interval", "left", "right"}:
        return f"({low}, {high}]"
    return value


def _number(value: Any) -> str:
    return "–" if value is None or value != value else f"{value:.4g}"  # noqa: PLR0124 - NaN


def _rows(edition: Edition | None, table: str) -> list[dict[Hashable, Any]]:
    if edition is None or not getattr(edition, table):
        return []
    schema = {"kinetics": KINETICS, "parameters": PARAMETERS}[table]
    return read_table(io.BytesIO(getattr(edition, table)), schema).to_dict("records")
