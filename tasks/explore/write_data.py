"""Write what the maps' pages show: a data file of each patient, and one of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panels.text.errors import ReconflowError
from tasks.explore.explore import Exploration, explore
from tasks.explore.map_values import Results, map_values
from tasks.publish.page_data import data_script
from tasks.publish.tables import write_atomically
from tasks.results.stored_tables import frames_of, patient_folder, stored_tables

if TYPE_CHECKING:
    from tasks.study.folder import Study
    from tasks.study.snapshot import StudySnapshot

FOLDER = "maps"


def map_compartments(snapshot: StudySnapshot) -> list[str]:
    """Lay all tubes of the compartments that the study names on their maps, and write the data.

    Gives the sentence of each that was not brought up to date; the others are.
    """
    faults = []
    for name in snapshot.study.settings.explore.compartments:
        try:
            write_map_data(snapshot, explore(snapshot, name))
        except (ReconflowError, OSError) as fault:
            faults.append(f"The map of {name} was not brought up to date: {fault}")
    return faults


def write_map_data(
    snapshot: StudySnapshot, done: Exploration, patients: Sequence[str] = ()
) -> list[Path]:
    """Write the data of a compartment's map: of some patients, or of all and the cohort.

    Gives the files. A file that would be the same again is not written.
    """
    results, labels = _results(snapshot.study, done.compartment.population), snapshot.labels()
    written = []
    for patient, path in _places(snapshot.study, done, patients):
        value = map_values(done, results, labels, patient)
        content = data_script("map", f"{patient or ''}/{done.compartment.id}", value)
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
        written.append(path)
    return written


def _places(
    study: Study, done: Exploration, patients: Sequence[str]
) -> Iterator[tuple[str | None, Path]]:
    name = f"{done.compartment.id}.js"
    on_it = dict.fromkeys(each.identity.patient for each in done.tubes)
    for patient in on_it:
        if not patients or patient in patients:
            yield patient, patient_folder(study, patient) / FOLDER / name
    if not patients:
        yield None, study.results / "cohort" / FOLDER / name


def _results(study: Study, population: str) -> Results:
    """Give the published rows of a population by tube."""
    found: dict[str, Mapping[Any, Any]] = {}
    for frame in frames_of(stored_tables(study).values(), "kinetics"):
        rows = frame[frame["population"] == population]
        known = rows.astype(object).where(rows.notna(), None)
        found |= {str(row["tube_sha256"]): row for row in known.to_dict("records")}
    return found
