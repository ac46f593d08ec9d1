"""Write the shells of the maps' pages: one of each patient that is on a map, one of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from panels.text.errors import UsageFault
from tasks.explore.compartments import USUAL, compartment
from tasks.publish.app_files import write_app
from tasks.publish.map_page import PAGE, MapPage, render_map_page
from tasks.publish.tables import write_atomically
from tasks.results.stored_tables import patient_folder

if TYPE_CHECKING:
    from tasks.study.folder import Study
    from tasks.study.snapshot import StudySnapshot

FOLDER = "maps"


def write_map_pages(snapshot: StudySnapshot) -> dict[str, Path]:
    """Write a page beside each folder of maps' data, and give the pages by patient ("": of all).

    A page that would be the same again is not written.
    """
    write_app(snapshot.study.results)
    of_all = tuple(_compartments(snapshot, snapshot.study.results / "cohort" / FOLDER))
    written: dict[str, Path] = {}
    for patient, folder in _folders(snapshot.study, sorted(snapshot.patients.patients)):
        compartments = _compartments(snapshot, folder / FOLDER)
        if not compartments:
            continue
        page = (
            MapPage(patient, compartments, of_all=of_all)
            if patient
            else MapPage(patient, compartments, tuple(written))
        )
        content, path = render_map_page(page).encode(), folder / PAGE
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
        written[patient] = path
    return written


def _folders(study: Study, patients: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Give the folder of each patient, and at the end that of all together."""
    for patient in patients:
        yield patient, patient_folder(study, patient)
    yield "", study.results / "cohort"


def _compartments(snapshot: StudySnapshot, folder: Path) -> dict[str, str]:
    """Name the compartments of which a folder has data, the usual ones first."""
    found = {path.stem for path in folder.glob("*.js")}
    ordered = [*(name for name in USUAL if name in found), *sorted(found - {*USUAL})]
    return {name: _label(snapshot, name) for name in ordered}


def _label(snapshot: StudySnapshot, name: str) -> str:
    """Give what pages call a compartment; its id, where no strategy reports it any more."""
    try:
        return compartment(snapshot, name).label.split(" (")[0]
    except UsageFault:
        return name
