"""Put a study's store back from a backup, and say what the archive lacks of it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from panels.files.durable import sync_folder, write_durably
from panels.files.plain_file import regular_sha256
from panels.text.errors import FieldFault, ReconflowError, UsageFault
from panels.text.plural import counted
from tasks.review.audit_trail import HEADS, read_trail
from tasks.store.audit import AuditEntry, add_entry
from tasks.store.opening import BUSY_SECONDS
from tasks.store.schema.layout import SCHEMA_VERSION
from tasks.study.folder import Study, open_study
from tasks.study.lock import study_lock
from tasks.upkeep.backup import FORMAT, MANIFEST, STORE, ArchivedFile, Manifest
from tasks.upkeep.store_copy import copy_from_file, is_empty

MOST_MANIFEST_BYTES = 512 * 2**20
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: ``differing`` are settings and sheets that the study has otherwise.

    ``faults`` are sentences on the log of decisions and on files that the archive lacks.
    """

    manifest: Manifest
    aside: tuple[Path, ...]
    written: tuple[str, ...]
    differing: tuple[str, ...]
    faults: tuple[str, ...]


def read_manifest(path: Path) -> Manifest:
    """Read what a backup holds, and check every part of it.

    Raises UsageFault when the file is no backup, was damaged, or is of a newer program.
    """
    try:
        with zipfile.ZipFile(path) as archived:
            manifest = _manifest(archived, path)
            for name, sha256 in manifest.files.items():
                if _sha256(archived, name) != sha256:
                    raise UsageFault(f"{path} is damaged: {name} is not as it was written.")
    except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        raise UsageFault(f"{path} is no backup of a study, or it is damaged.") from error
    return manifest


def restore(folder: Path, path: Path, *, by: str) -> Restored:
    """Put the store of a backup in the place of the study's, which is moved aside.

    In a folder without ``study.yaml`` settings, sheets and versions are put back too; elsewhere
    they stay as they are. The log of decisions tells of the restore. Raises UsageFault when the
    backup cannot be used, and changes nothing then.
    """
    if not by.strip():
        raise FieldFault("by", " is empty: say who puts the store back.")
    manifest = read_manifest(path)
    folder.mkdir(parents=True, exist_ok=True)
    written = tuple(_put_back(folder, path, manifest)) if not _is_study(folder) else ()
    study = open_study(folder)
    with tempfile.TemporaryDirectory(dir=folder) as place, zipfile.ZipFile(path) as archived:
        copy = Path(archived.extract(STORE, place))
        aside = tuple(_replace_store(study, copy))
        if f"results/{HEADS}" in manifest.files:
            write_durably(study.results / HEADS, archived.read(f"results/{HEADS}"))
    _note(study, manifest, by.strip())
    return Restored(
        manifest=manifest,
        aside=aside,
        written=written,
        differing=tuple(_differing(folder, manifest)) if not written else (),
        faults=tuple(_faults(study, manifest)),
    )


def _manifest(archived: zipfile.ZipFile, path: Path) -> Manifest:
    if archived.getinfo(MANIFEST).file_size > MOST_MANIFEST_BYTES:
        raise ValueError(MANIFEST)
    document = json.loads(archived.read(MANIFEST))
    if isinstance(document, Mapping) and document.get("format", FORMAT) != FORMAT:
        raise UsageFault(f"{path} was written by another version of reconflow: use that one.")
    try:
        manifest = TypeAdapter(Manifest).validate_python(document)
    except ValidationError as error:
        raise ValueError(MANIFEST) from error
    if manifest.store_version > SCHEMA_VERSION:
        raise UsageFault(
            f"{path} was written by a newer reconflow ({manifest.program}): install that one."
        )
    if STORE not in manifest.files or set(archived.namelist()) != {MANIFEST, *manifest.files}:
        raise ValueError(MANIFEST)
    if not all(_is_inside(name) for name in manifest.files):
        raise ValueError(MANIFEST)
    return manifest


def _sha256(archived: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with archived.open(name) as member:
        while piece := member.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _is_inside(name: str) -> bool:
    """Tell whether a member's name leads nowhere but into the study."""
    parts = name.split("/")
    known = name == STORE or parts[0] in ("study", "results")
    return known and not any(part in ("", ".", "..") or "\\" in part for part in parts)


def _is_study(folder: Path) -> bool:
    return (folder / "study.yaml").exists()


def _put_back(folder: Path, path: Path, manifest: Manifest) -> Iterator[str]:
    """Write settings, sheets and versions into a folder that is no study yet; settings last."""
    names = [name for name in manifest.files if name.startswith("study/")]
    with zipfile.ZipFile(path) as archived:
        for name in sorted(names, key=lambda each: each == "study/study.yaml"):
            target = folder / name.removeprefix("study/")
            if target.exists():
                raise UsageFault(
                    f"{target} exists, and {folder} has no study.yaml. Name an empty folder, or "
                    f"the study that the backup is of."
                )
            write_durably(target, archived.read(name))
            yield name.removeprefix("study/")


def _differing(folder: Path, manifest: Manifest) -> Iterator[str]:
    for name, sha256 in manifest.files.items():
        own = folder / name.removeprefix("study/")
        if not name.startswith("study/"):
            continue
        if not own.is_file() or hashlib.sha256(own.read_bytes()).hexdigest() != sha256:
            yield name.removeprefix("study/")


def _replace_store(study: Study, copy: Path) -> Iterator[Path]:
    """Put a store in the place of the study's; yields where the one before lies now."""
    place = study.store_file
    if place is None:
        with study.store() as store:
            if not is_empty(store):
                raise UsageFault(
                    f"The store {store.shown} is not empty. Make a new database and name it under "
                    f"'store' in study.yaml; the one before stays as it is."
                )
            copy_from_file(copy, store)
        return
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    heads = study.results / HEADS
    if heads.exists():
        yield _moved(heads, stamp)
    if not place.exists():
        shutil.copyfile(copy, place)
        sync_folder(place.parent)
        return
    aside = place.with_name(f"{place.name}.before-restore-{stamp}")
    try:
        with study_lock(study):
            _overwrite(place, aside)
            _overwrite(copy, place)
    except ReconflowError:
        # It cannot be opened, so that nobody works with it.
        for end in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                place.with_name(place.name + end).replace(aside.with_name(aside.name + end))
        place.replace(aside)
        shutil.copyfile(copy, place)
    sync_folder(place.parent)
    yield aside


def _overwrite(source: Path, target: Path) -> None:
    """Make a SQLite file what another is at one moment, in one transaction of the target."""
    with (
        closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as read,
        closing(sqlite3.connect(target, timeout=BUSY_SECONDS)) as write,
    ):
        read.backup(write)


def _moved(path: Path, stamp: str) -> Path:
    target = path.with_name(f"{path.name}.before-restore-{stamp}")
    path.replace(target)
    return target


def _note(study: Study, manifest: Manifest, by: str) -> None:
    details = {"made_at": manifest.made_at, "program": manifest.program}
    with study.store() as store, store.writing() as connection:
        add_entry(connection, AuditEntry(by, "restored", "store", details))


def _faults(study: Study, manifest: Manifest) -> Iterator[str]:
    with study.store() as store:
        yield from (f"The log of decisions: {each}" for each in read_trail(study, store).sentences)
    missing = [each for each in manifest.archive if not _is_there(study, each)]
    if missing:
        named = ", ".join(each.place for each in missing[:MOST_NAMED])
        more = " …" if len(missing) > MOST_NAMED else ""
        yield (
            f"{counted(len(missing), 'file')} of {len(manifest.archive)} are missing in the "
            f"archive or hold other bytes: {named}{more}. Put them back from the backup of the "
            f"archive."
        )


def _is_there(study: Study, each: ArchivedFile) -> bool:
    path = study.path_of(each.place)
    try:
        return path.stat().st_size == each.size and regular_sha256(path) == each.sha256
    except OSError:
        return False
