"""Keep who signed which tables of a patient, with what meaning."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, insert, text

from panels.text.printable import printable
from tasks.store.audit import AuditEntry, KeptEntry, add_entry
from tasks.store.digests import sealed
from tasks.store.opening import Store, utc_now
from tasks.store.schema.decisions import signatures
from tasks.store.told import Details, Matched, matched, values_of

Signed = Literal["reviewed", "approved", "released"]
_TOLD = ("patient", "data_cut", "meaning", "content")


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
    told = {name: kept[name] for name in _TOLD}
    subject = " ".join(filter(None, (signature.patient, signature.data_cut)))
    action = signing_action(signature.state)
    entry = AuditEntry(signature.signer, action, subject, told | details)
    kept["entry"] = add_entry(connection, entry)
    connection.execute(insert(signatures).values(**sealed(signatures, kept)))


def signing_action(state: Signed) -> str:
    """Give what the log says was done when a state was signed."""
    return f"signed as {state}"


def signatures_of(store: Store, patient: str | None = None) -> list[Signature]:
    """List the signatures of a patient (None: of all), in the order of the log.

    Rows that were altered, or that the log does not tell of, are left out.
    """
    with store.reading() as connection:
        rows = matched_signatures(connection).rows
    return [_signature(row) for row in rows if patient in {None, row.patient}]


def matched_signatures(connection: Connection) -> Matched:
    """Hold the signatures against the log."""
    actions = map(signing_action, get_args(Signed))
    return matched(connection, signatures, actions, _of_row, _of_entry)


def _of_row(row: Row[Any]) -> object:
    told = [getattr(row, name) for name in _TOLD]
    return [row.entry, signing_action(row.state), printable(row.signer), *told]


def _of_entry(entry: KeptEntry, details: Details) -> Iterator[object]:
    yield [entry.sha256, entry.action, entry.actor, *values_of(details, _TOLD)]


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
