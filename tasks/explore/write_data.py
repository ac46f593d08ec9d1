"""Write what the maps' pages show: a data file of each patient, and one of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from panels.text.errors import ReconflowError
from tasks.explore.explore import Exploration, explore
from tasks.explore.map_values import map_values
from tasks.explore.parts import published_results
from tasks.explore.write_pages import FOLDER, write_map_pages
from tasks.publish.page_data import data_script
from tasks.publish.tables import write_atomically
from tasks.results.stored_tables import patient_folder

if TYPE_CHECKING:
    from tasks.study.snapshot import StudySnapshot


LEAST_VISITS = 3
"""A night makes no first map of fewer visits: a map of the baseline alone would be kept."""


@dataclass(slots=True)
class Mapped:
    """Compartments on their maps, each with the files of its pages' data; and what stopped others.

    ``faults`` are by compartment.
    """

    done: list[tuple[Exploration, list[Path]]] = field(default_factory=list)
    faults: dict[str, ReconflowError | OSError] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """Say of each compartment that was not mapped why."""
        said = "was not brought up to date"
        return [f"The map of {name} {said}: {fault}" for name, fault in self.faults.items()]


def named_compartments(snapshot: StudySnapshot) -> list[str]:
    """List the compartments that study.yaml names."""
    return list(dict.fromkeys(snapshot.study.settings.explore.compartments))


def map_compartment(snapshot: StudySnapshot, name: str) -> list[str]:
    """Map a compartment as a night does; gives the sentence of what stopped it."""
    return map_each(snapshot, [name], least_visits=LEAST_VISITS).sentences


def map_each(
    snapshot: StudySnapshot,
    names: Sequence[str],
    *,
    new_map: str = "",
    patients: Sequence[str] = (),
    least_visits: int = 1,
) -> Mapped:
    """Lay the tubes of compartments on their maps, and write the data of the pages.

    A fault of one compartment stops no other. ``new_map`` and ``least_visits`` are as for
    ``explore``, ``patients`` as for ``write_map_data``.
    """
    mapped = Mapped()
    for name in dict.fromkeys(names):
        try:
            done = explore(snapshot, name, new_map=new_map, least_visits=least_visits)
            mapped.done.append((done, write_map_data(snapshot, done, patients)))
        except (ReconflowError, OSError) as fault:
            mapped.faults[name] = fault
    return mapped


def write_map_data(
    snapshot: StudySnapshot, done: Exploration, patients: Sequence[str] = ()
) -> list[Path]:
    """Write a compartment's map for some patients, or for all and the cohort: data and pages.

    Gives the pages. A file that would be the same again is not written; of a patient whose last
    tube left the map it is written without a cell.
    """
    results = published_results(snapshot.study)
    for patient, path in _places(snapshot, done, patients):
        value = map_values(done, results, snapshot, patient)
        content = data_script("map", f"{patient or ''}/{done.compartment.id}", value)
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
    pages = write_map_pages(snapshot)
    return [path for patient, path in pages.items() if not patients or patient in patients]


def _places(
    snapshot: StudySnapshot, done: Exploration, patients: Sequence[str]
) -> Iterator[tuple[str | None, Path]]:
    """Give the file of each patient who is on the map, or was, and that of all (None)."""
    study, name = snapshot.study, f"{done.compartment.id}.js"
    on_it = dict.fromkeys(each.identity.patient for each in done.tubes)
    for patient in dict.fromkeys([*on_it, *sorted(snapshot.patients.patients)]):
        path = patient_folder(study, patient) / FOLDER / name
        is_due = patient in on_it or path.is_file()
        if is_due and (not patients or patient in patients):
            yield patient, path
    if not patients:
        yield None, study.results / "cohort" / FOLDER / name
