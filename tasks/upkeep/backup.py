"""Back up what a study knows: its store, settings, sheets and versions, in one file.

The FCS files of the archive are not in it: they never change, and any backup of files keeps them.
The hashes of all of them are, so that a restore can say which are missing or others.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from panels.files.durable import full_disk_named, sync_folder
from panels.text.errors import UsageFault
from tasks.review.audit_trail import HEADS
from tasks.store.ledger import TAKEN_IN, all_files
from tasks.store.opening import utc_now
from tasks.store.schema.layout import SCHEMA_VERSION
from tasks.study.folder import Study
from tasks.upkeep.store_copy import copy_to_file

FORMAT = 1
MANIFEST, STORE = "manifest.json", "store.db"
SHEETS = ("study.yaml", "patients.csv", "samples.csv", "drugs.csv", "instruments.csv")
MAPS = "maps"
VERSIONS = ("panels", "strategies", "calibrations", MAPS)
DERIVED = ("placed", "tubes", "clusters", "clusters.npz")
"""Folders and files of maps that are made again."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A tube's file as the ledger knows it; its bytes are not in the backup."""

    place: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds: ``files`` are its members by name, with the SHA-256 of each."""

    format: int
    study: str
    made_at: str
    program: str
    store_version: int
    files: dict[str, str]
    archive: tuple[ArchivedFile, ...]


def back_up(study: Study, path: Path) -> Manifest:
    """Write the backup of a study to a file that does not exist yet; readable by its owner alone.

    It is of one moment, also while a pass is under way. Raises UsageFault where the file exists.
    """
    if path.exists():
        raise UsageFault(f"{path} exists already: name a new file, so that no backup is lost.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            copy = Path(folder) / STORE
            # Before the store: what it says of the log must be in the store that is copied.
            heads = _heads(study)
            with study.store() as store:
                copy_to_file(store, copy)
                archive = tuple(
                    ArchivedFile(each.place or "", each.sha256 or "", each.size or 0)
                    for each in all_files(store, TAKEN_IN)
                )
            with full_disk_named(path):
                manifest = _write(study, partial, {STORE: copy.read_bytes()} | heads, archive)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
    return manifest


def _write(
    study: Study,
    partial: Path,
    contents: Mapping[str, bytes],
    archive: tuple[ArchivedFile, ...],
) -> Manifest:
    files: dict[str, str] = {}
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archived:
            for name, content in (*contents.items(), *_members(study)):
                files[name] = hashlib.sha256(content).hexdigest()
                archived.writestr(name, content)
            manifest = Manifest(
                format=FORMAT,
                study=study.settings.study,
                made_at=utc_now(),
                program=version("reconflow"),
                store_version=SCHEMA_VERSION,
                files=files,
                archive=archive,
            )
            archived.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
        file.flush()
        os.fsync(file.fileno())
    return manifest


def _heads(study: Study) -> dict[str, bytes]:
    """Read how far the log of decisions went at each time that was kept outside the store."""
    path = study.results / HEADS
    return {f"results/{HEADS}": path.read_bytes()} if path.is_file() else {}


def _members(study: Study) -> Iterator[tuple[str, bytes]]:
    """Read settings, sheets and the study's own versions."""
    for name in SHEETS:
        path = study.folder / name
        if path.is_file():
            yield f"study/{name}", path.read_bytes()
    for folder in VERSIONS:
        for path in sorted((study.folder / folder).rglob("*")):
            inside = path.relative_to(study.folder)
            if path.is_file() and not path.is_symlink() and not _is_derived(inside):
                yield f"study/{inside.as_posix()}", path.read_bytes()


def _is_derived(name: Path) -> bool:
    """Tell whether a file of a study is a map's, below its compartment, and is made again."""
    folder, _, *below = name.parts
    return folder == MAPS and not {*DERIVED}.isdisjoint(below)
