"""Keep who signed which tables of a patient, with what meaning."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, text

from tasks.store.audit import AuditEntry, add_entry
from tasks.store.digests import is_intact, sealed
from tasks.store.opening import Store, utc_now
from tasks.store.schema import signatures

Signed = Literal["reviewed", "approved", "released"]


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature; ``data_cut`` is the day the tables are of (empty: those of its time).

    ``content`` is the hash of what was signed. ``at`` and ``entry``, the hash of its entry in the
    log, are given by the store.
    """

    patient: str
    state: Signed
    signer: str
    meaning: str
    content: str
    data_cut: str = ""
    at: str = ""
    entry: str = ""


@contextmanager
def signing(store: Store) -> Iterator[Connection]:
    """Give a connection for one signature; whoever else is about to sign waits."""
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE signatures IN SHARE ROW EXCLUSIVE MODE"))
        yield connection


def add_signature(connection: Connection, signature: Signature, **details: object) -> None:
    """Keep a signature together with its entry in the log, which gets these details too."""
    kept = asdict(signature) | {"at": utc_now()}
    told = {name: kept[name] for name in ("patient", "data_cut", "meaning", "content")}
    subject = " ".join(filter(None, (signature.patient, signature.data_cut)))
    action = signing_action(signature.state)
    entry = AuditEntry(signature.signer, action, subject, told | details)
    kept["entry"] = add_entry(connection, entry)
    connection.execute(insert(signatures).values(**sealed(signatures, kept)))


def signing_action(state: Signed) -> str:
    """Give what the log says was done when a state was signed."""
    return f"signed as {state}"


def signatures_of(store: Store, patient: str | None = None) -> list[Signature]:
    """List the signatures of a patient (None: of all), oldest first, without altered ones."""
    return [_signature(row) for row in _rows(store, patient) if is_intact(signatures, row)]


def _rows(store: Store, patient: str | None) -> list[Row[Any]]:
    chosen = select(signatures).order_by(signatures.c.id)
    if patient is not None:
        chosen = chosen.where(signatures.c.patient == patient)
    with store.reading() as connection:
        return list(connection.execute(chosen).all())


def _signature(row: Row[Any]) -> Signature:
    return Signature(
        patient=row.patient,
        state=row.state,
        signer=row.signer,
        meaning=row.meaning,
        content=row.content,
        data_cut=row.data_cut,
        at=row.at,
        entry=row.entry,
    )
