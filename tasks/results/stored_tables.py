"""Read the tables of all patients from the store, and notice when a published copy was changed.

The files in ``results`` are copies for people. Whatever is computed from tables is computed from
what the store kept of them.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from panels.files.durable import remove_unfinished
from tasks.kinetics.schema import KINETICS, PARAMETERS, RECOVERY
from tasks.publish.tables import read_table, write_atomically
from tasks.store.editions import Edition, last_editions, last_fingerprints
from tasks.study.folder import Study

if TYPE_CHECKING:
    import pandas as pd

SCHEMAS = {"kinetics": KINETICS, "parameters": PARAMETERS, "recovery": RECOVERY}
MARK = ".inputs.sha256"
"""Beside published tables: what they were made of, and the SHA-256 of each table as written."""


def patient_folder(study: Study, patient: str) -> Path:
    """Give the results folder of a patient."""
    return study.results / "patients" / patient


def built_patients(study: Study) -> list[str]:
    """List the patients who have tables, by name."""
    with study.store() as store:
        return sorted(last_fingerprints(store))


def stored_tables(study: Study) -> dict[str, Edition]:
    """Give the present tables of every patient who has any, by patient."""
    with study.store() as store:
        return last_editions(store)


def frames_of(editions: Iterable[Edition], table: str) -> list[pd.DataFrame]:
    """Read one table (a key of ``SCHEMAS``) of all editions, in their order.

    Those that follow each other with the same columns are read as one frame: to read a table costs
    as much as to read some thousand rows.
    """
    contents = (getattr(each, table).partition(b"\n") for each in editions)
    return [
        read_table(
            io.BytesIO(b"".join([header, b"\n", *(rows for _, _, rows in same)])), SCHEMAS[table]
        )
        for header, same in itertools.groupby(contents, lambda content: content[0])
    ]


def write_mark(folder: Path, fingerprint: str, tables: Sequence[str]) -> None:
    """Note what the tables of a folder were made of, and what they hold."""
    lines = [fingerprint, *(f"{_sha256(folder / name)}  {name}" for name in tables)]
    write_atomically(folder / MARK, ("\n".join(lines) + "\n").encode())


def made_of(folder: Path) -> str:
    """Give what the tables of a folder were made of by its mark; empty without one."""
    mark = folder / MARK
    return mark.read_text(encoding="utf-8").partition("\n")[0] if mark.is_file() else ""


def edited_tables(folder: Path) -> list[str]:
    """List the tables of a folder that are not as they were written.

    A missing table is not an edited one.
    """
    mark = folder / MARK
    if not mark.is_file():
        return []
    listed = [line.split("  ", 1) for line in mark.read_text(encoding="utf-8").splitlines()[1:]]
    present = [(sha256, name) for sha256, name in listed if (folder / name).is_file()]
    return [name for sha256, name in present if _sha256(folder / name) != sha256]


def begin_tables(folder: Path) -> None:
    """Make a folder ready for tables to be written anew.

    Tables that somebody edited are renamed, so that nothing is lost. The mark goes first of all:
    tables without it are made again by the next pass when this one does not end.
    """
    edited = edited_tables(folder)
    (folder / MARK).unlink(missing_ok=True)
    remove_unfinished(folder)
    for name in edited:
        path = folder / name
        numbered = (f"{path.stem}.edited-{number}{path.suffix}" for number in itertools.count(1))
        path.rename(next(folder / other for other in numbered if not (folder / other).exists()))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
