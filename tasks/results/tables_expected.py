"""Keep what all patients' tables were found to be made of, for nights with nothing new.

What a table is made of follows from the store, the sheets, the settings and the program alone.
While none of them changes by a single cell, it is enough to look whether the files in ``results``
are those that were expected.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from operator import attrgetter
from typing import TYPE_CHECKING

from gating.evaluation.engine import ENGINE_VERSION
from tasks.publish.tables import write_atomically
from tasks.results.gate_pages import has_gate_pages
from tasks.results.patient_pages import controls_shown, has_map
from tasks.results.stored_tables import edited_tables, patient_folder
from tasks.store.corrections import read_corrections
from tasks.store.exclusions import excluded_tubes
from tasks.store.ledger import FileRecord
from tasks.store.measurements import measured
from tasks.store.reviews import reviews_of
from tasks.vocabulary.tube_identity import TubeIdentity

if TYPE_CHECKING:
    from tasks.store.gatings import GatingRows
    from tasks.store.opening import Store
    from tasks.store.tubes import Tube
    from tasks.study.folder import Study
    from tasks.study.snapshot import StrategyInUse, StudySnapshot

KEPT = ".tables.json"
_FORMAT = 1
"""Raised when something else is expected of the same."""
_OF_TUBE = attrgetter(
    *(f"identity.{field.name}" for field in fields(TubeIdentity)),
    *(f"file.{field.name}" for field in fields(FileRecord)),
    "cytometer",
    "serial",
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the folder of one patient has to hold.

    ``fingerprint`` is what its tables are made of, ``controls`` the mark of the controls that its
    pages name (with a page of maps, or without: ``has_map``), ``gates`` those that have a page.
    """

    fingerprint: str
    controls: str
    has_map: bool
    gates: tuple[str, ...]


def study_sha256(
    snapshot: StudySnapshot,
    store: Store,
    known: Sequence[Tube],
    rows: GatingRows,
    notes: Mapping[str, Sequence[str]],
) -> str:
    """Hash everything that decides what the patients' tables are made of.

    ``known`` are all tubes taken in, ``rows`` all gatings under the strategies in use, ``notes``
    what the reports begin with. The counts are hashed as they lie in the store: a cell that was
    altered makes another hash.
    """
    panels = {used.panel_sha256 for used in snapshot.strategies.values()}
    digest = hashlib.sha256(rows.sha256.encode())
    for part in (
        (_FORMAT, version("reconflow"), ENGINE_VERSION),
        snapshot.study.settings.model_dump_json(),
        sorted(map(_used, snapshot.strategies.values())),
        sorted(snapshot.patients.patients.items()),
        snapshot.patients.faults,
        sorted(snapshot.exposures.items()),
        snapshot.drug_problems,
        sorted(notes.items()),
        sorted(read_corrections(store).hashes().items()),
        sorted(excluded_tubes(store)),
        [each.entry for each in reviews_of(store)],
        sorted(measured(store, ENGINE_VERSION, panels)),
        *map(_OF_TUBE, known),
    ):
        digest.update(repr(part).encode())
    return digest.hexdigest()


def _used(used: StrategyInUse) -> tuple[object, ...]:
    """Name what counts a panel's tubes by the hashes of its content."""
    numbers = used.numbers
    return (
        used.panel.panel,
        used.name,
        used.release.sha256,
        used.panel_sha256,
        [(each.calibration, each.sha256) for each in (numbers.default, *numbers.strategies)],
        [each.pin for each in (*numbers.calibrations, *numbers.drawn_on)],
    )


def keep_expected(study: Study, made_of: str, expected: Mapping[str, Expected]) -> None:
    """Write what is expected of every patient's folder while ``study_sha256`` stays ``made_of``."""
    patients = {patient: asdict(each) for patient, each in expected.items()}
    document = json.dumps({"made_of": made_of, "patients": patients})
    write_atomically(study.results / KEPT, f"{document}\n".encode())


def is_all_as_expected(study: Study, made_of: str, built: Mapping[str, str]) -> bool:
    """Tell whether every patient's folder holds what was expected of just what there is now.

    ``built`` maps the patients with complete results to what these were made of. False where
    nothing was kept, or of something else.
    """
    kept = _kept(study, made_of)
    if kept is None:
        return False
    return all(
        is_as_expected(study, patient, each, built)
        and not edited_tables(patient_folder(study, patient))
        for patient, each in kept.items()
    )


def is_as_expected(
    study: Study, patient: str, expected: Expected, built: Mapping[str, str]
) -> bool:
    """Tell whether the folder of one patient holds what is expected, edited tables among them.

    ``built`` is as in ``is_all_as_expected``.
    """
    folder = patient_folder(study, patient)
    return (
        built.get(patient) == expected.fingerprint
        and controls_shown(folder) == expected.controls
        and has_map(folder) == expected.has_map
        and has_gate_pages(folder, expected.gates)
    )


def _kept(study: Study, made_of: str) -> dict[str, Expected] | None:
    try:
        kept = json.loads((study.results / KEPT).read_text(encoding="utf-8"))
        if kept["made_of"] != made_of:
            return None
        return {str(patient): Expected(**each) for patient, each in kept["patients"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
