"""Keep every edition of a patient's tables, to show again what was known on an earlier day."""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, insert, select, text

from panels.text.errors import ReconflowError
from tasks.store.audit import AuditEntry, add_entry
from tasks.store.digests import is_intact, sealed
from tasks.store.opening import Store, utc_now
from tasks.store.schema.results import editions

WITHDRAWN = "withdrawn"
"""Fingerprint of the edition without rows that a patient gets whose tubes all went elsewhere."""


@dataclass(frozen=True, slots=True)
class Edition:
    """The tables of one patient as they were written once (CSV).

    ``fingerprint`` stands for what they were made of.
    """

    patient: str
    fingerprint: str
    kinetics: bytes = b""
    parameters: bytes = b""
    recovery: bytes = b""


def save_edition(store: Store, edition: Edition, entry: AuditEntry | None = None) -> bool:
    """Add an edition unless the patient's last one is the same, and tell whether it was added.

    ``entry`` is added to the log with it: what the edition restates of numbers published before.
    """
    values = {
        "patient": edition.patient,
        "at": utc_now(),
        "fingerprint": edition.fingerprint,
        "kinetics": zlib.compress(edition.kinetics, 6),
        "parameters": zlib.compress(edition.parameters, 6),
        "recovery": zlib.compress(edition.recovery, 6),
    }
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            # Two that add the same edition at once would both find it missing.
            connection.execute(text("LOCK TABLE editions IN SHARE ROW EXCLUSIVE MODE"))
        last = connection.execute(_last_rows(edition.patient)).first()
        same = last is not None and last.fingerprint == edition.fingerprint
        if last is not None and same and is_intact(editions, last):
            return False
        connection.execute(insert(editions).values(**sealed(editions, values)))
        if entry is not None:
            add_entry(connection, entry)
    return True


def last_editions(store: Store, patient: str | None = None) -> dict[str, Edition]:
    """Give each patient's last edition by patient (or one patient's); a withdrawn patient has none.

    A patient whose last edition was altered since it was written is left out: the tables have to be
    made again.
    """
    return {row.patient: _edition(row) for row in _intact_rows(store, patient)}


def last_fingerprints(store: Store) -> dict[str, str]:
    """Map each patient of ``last_editions`` to the fingerprint of what the tables were made of.

    The tables themselves are not unpacked.
    """
    return {row.patient: row.fingerprint for row in _intact_rows(store)}


def last_digests(store: Store) -> dict[str, str]:
    """Map each patient to the digest of the last edition, withdrawn ones with them.

    Nothing of the tables is read, nor whether they are as they were written.
    """
    newest = select(func.max(editions.c.id)).group_by(editions.c.patient)
    chosen = select(editions.c.patient, editions.c.digest).where(editions.c.id.in_(newest))
    with store.reading() as connection:
        return {row.patient: row.digest for row in connection.execute(chosen)}


def last_edition_number(store: Store) -> int:
    """Give the number of the edition that was written last, of whichever patient; 0 before any."""
    with store.reading() as connection:
        return connection.execute(select(func.max(editions.c.id))).scalar() or 0


def earlier_editions(store: Store, patient: str) -> list[Edition]:
    """List all editions of a patient that are as they were written, newest first."""
    chosen = select(editions).where(editions.c.patient == patient).order_by(editions.c.id.desc())
    with store.reading() as connection:
        rows = connection.execute(chosen).all()
    return [_edition(row) for row in rows if is_intact(editions, row)]


def last_edition_at(store: Store, patient: str) -> datetime | None:
    """Give the time at which a patient's last edition was written; None without any."""
    rows = _intact_rows(store, patient)
    return datetime.fromisoformat(rows[0].at) if rows else None


def editions_as_of(store: Store, moment: datetime | None = None) -> list[Edition]:
    """Give each patient's last edition at a moment (an aware time; None: now), by patient.

    Withdrawn patients are left out.

    Raises ReconflowError when one of them was altered since it was written: what was known then
    cannot be told any more.
    """
    chosen = select(editions).order_by(editions.c.id)
    with store.reading() as connection:
        rows = connection.execute(chosen).all()
    if moment is not None:
        rows = [row for row in rows if datetime.fromisoformat(row.at) <= moment]
    last = {row.patient: row for row in rows}
    altered = sorted(row.patient for row in last.values() if not is_intact(editions, row))
    if altered:
        raise ReconflowError(
            f"The tables that the store kept of {', '.join(altered)} were altered since they "
            f"were written. Run `reconflow run`, which "
            "makes the present ones again; earlier ones can only come from a copy of the store."
        )
    known = [_edition(row) for row in last.values()]
    return sorted((each for each in known if each.kinetics), key=lambda each: each.patient)


def first_edition(store: Store) -> str | None:
    """Give the time of the first edition of all, None without any."""
    with store.reading() as connection:
        return connection.execute(select(editions.c.at).order_by(editions.c.id).limit(1)).scalar()


def _intact_rows(store: Store, patient: str | None = None) -> list[Row[Any]]:
    with store.reading() as connection:
        rows = connection.execute(_last_rows(patient).order_by(editions.c.patient)).all()
    return [row for row in rows if row.fingerprint != WITHDRAWN and is_intact(editions, row)]


def _last_rows(patient: str | None = None) -> Select[Any]:
    newest = select(func.max(editions.c.id)).group_by(editions.c.patient)
    if patient is not None:
        newest = newest.where(editions.c.patient == patient)
    return select(editions).where(editions.c.id.in_(newest))


def _edition(row: Row[Any]) -> Edition:
    return Edition(
        patient=row.patient,
        fingerprint=row.fingerprint,
        kinetics=zlib.decompress(row.kinetics),
        parameters=zlib.decompress(row.parameters),
        recovery=zlib.decompress(row.recovery),
    )
