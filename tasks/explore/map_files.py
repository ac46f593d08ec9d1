"""Keep maps in a study's folder ``maps``: written once, locked, and refused where altered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panels.files.durable import write_durably
from panels.files.lock import canonical_sha256, lock_content, read_locked, version_order
from panels.files.yaml_document import parse_yaml, read_yaml
from panels.files.yaml_scalars import block
from panels.text.errors import MapFault
from tasks.explore.arrays_file import Arrays, NotArrays, arrays_bytes, read_arrays
from tasks.explore.embedding import coordinates_sha256
from tasks.explore.map_record import MapRecord
from tasks.explore.reference import Reference

if TYPE_CHECKING:
    from tasks.study.folder import Study

FOLDER = "maps"
MAP, REFERENCE = "map.yaml", "reference.npz"
DAYS = (("made",),)
_HEADER = """\
# A map of cells, made once and never changed: tubes are placed in it as they come.
# docs/explore.md says what each key means. Another map:
# reconflow explore --compartment {compartment} --new-map REASON
"""


@dataclass(frozen=True, slots=True)
class FittedMap:
    """A map: what it is made of, its cells and their coordinates (N, 2)."""

    record: MapRecord
    sha256: str
    reference: Reference
    coordinates: NDArray[np.float32]


def maps_folder(study: Study, compartment: str) -> Path:
    """Give the folder of the maps of a compartment."""
    return study.folder / FOLDER / compartment


def newest_version(study: Study, compartment: str) -> str | None:
    """Give the newest map of a compartment; None where there is none.

    Raises MapFault when the LOCK cannot be read, or does not know a map that is there.
    """
    locked = read_locked(study.folder / FOLDER, MapFault)
    _refuse_unlocked(maps_folder(study, compartment), compartment, locked)
    versions = [
        version
        for name, _, version in (pin.rpartition("@") for pin in locked)
        if name == compartment
    ]
    return max(versions, key=version_order, default=None)


def _refuse_unlocked(folder: Path, compartment: str, locked: Mapping[str, str]) -> None:
    """Raise MapFault where a map is there that LOCK does not know: it would be written over."""
    for path in sorted(folder.glob(f"*/{MAP}")):
        if f"{compartment}@{path.parent.name}" not in locked:
            raise MapFault(
                f"{path} is a map that {folder.parent / 'LOCK'} does not list. Put LOCK back from "
                f"the backup. If that map was never finished, move {path.parent} out of the study."
            )


def next_version(study: Study, compartment: str) -> str:
    """Give the version of a new map: other coordinates mean another thing, so the next major.

    A folder without a map.yaml is of a map that was not finished, and is written over.
    """
    newest = newest_version(study, compartment)
    major = 1 if newest is None else version_order(newest)[0] + 1
    return f"{major}.0.0"


def write_map(study: Study, fitted: FittedMap) -> str:
    """Write a map and its line in LOCK; gives the hash of its content.

    Raises MapFault when there is this version already.
    """
    record = fitted.record
    compartment, _, version = record.map.rpartition("@")
    folder = maps_folder(study, compartment) / version
    if record.map in read_locked(study.folder / FOLDER, MapFault):
        raise MapFault(f"{record.map} is there already: a map is never changed.")
    write_durably(folder / REFERENCE, reference_bytes(fitted.reference, fitted.coordinates))
    text = _HEADER.format(compartment=compartment) + block(record.model_dump(mode="json"))
    sha256 = canonical_sha256(parse_yaml(text, folder / MAP, MapFault, days=DAYS).content)
    write_durably(folder / MAP, text.encode())
    lock_content(study.folder / FOLDER, record.map, sha256, MapFault)
    return sha256


def read_map(study: Study, compartment: str, version: str) -> FittedMap:
    """Read a map as it was made.

    Raises MapFault when map.yaml, the reference or the coordinates are not what was locked.
    """
    folder = maps_folder(study, compartment) / version
    pin, path = f"{compartment}@{version}", folder / MAP
    try:
        document = read_yaml(path, MapFault, days=DAYS)
    except FileNotFoundError as error:
        raise MapFault(f"{path} is missing. {_put_back(compartment)}") from error
    sha256 = canonical_sha256(document.content)
    if read_locked(study.folder / FOLDER, MapFault).get(pin) != sha256:
        raise MapFault(f"{path} was changed after the map was made. {_put_back(compartment)}")
    record = document.validate(MapRecord, MapFault)
    reference, coordinates = _read_reference(folder / REFERENCE, record)
    return FittedMap(record, sha256, reference, coordinates)


def _put_back(compartment: str) -> str:
    return (
        f"Put it back from the backup, or make another map: reconflow explore --compartment "
        f"{compartment} --new-map REASON."
    )


def _read_reference(path: Path, record: MapRecord) -> tuple[Reference, NDArray[np.float32]]:
    compartment = record.map.rpartition("@")[0]
    try:
        content, head, arrays = read_arrays(path)
    except FileNotFoundError as error:
        raise MapFault(f"{path} is missing. {_put_back(compartment)}") from error
    except NotArrays as error:
        raise MapFault(f"{path}: {error} {_put_back(compartment)}") from error
    same = hashlib.sha256(content).hexdigest() == record.reference_sha256
    if not same or coordinates_sha256(arrays["coordinates"]) != record.coordinates_sha256:
        raise MapFault(f"{path} was changed after the map was made. {_put_back(compartment)}")
    coordinates = arrays.pop("coordinates")
    reference = Reference(
        tubes=tuple(head["tubes"]),
        events=tuple(head["events"]),
        markers=tuple(head["markers"]),
        sets=tuple(map(tuple, head["sets"])),
        **arrays,
    )
    return reference, coordinates


def reference_bytes(reference: Reference, coordinates: NDArray[np.float32]) -> bytes:
    """Write the cells of a map and their coordinates as a file of arrays."""
    head = {
        "tubes": reference.tubes,
        "events": reference.events,
        "markers": reference.markers,
        "sets": reference.sets,
    }
    arrays: Arrays = {
        name: getattr(reference, name) for name in ("tube", "rows", "values", "codes", "weights")
    }
    return arrays_bytes(head, arrays | {"coordinates": coordinates})
