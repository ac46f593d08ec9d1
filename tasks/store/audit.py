"""Keep a log of what persons decided and what it changed: append-only, each entry chained by hash.

An entry is written in the transaction of the change it tells of, so that there is never one without
the other. Its hash is the SHA-256 of the JSON array of its number, time, actor, action, subject,
details and the hash of the entry before it, without blanks: ``jq`` and ``sha256sum`` compute it
too. How far the log goes is noted beside it, and that note is what the next entry follows, so
that entries removed from the end leave a gap for ever. Nothing here is a secret: whoever owns the
database can write a whole new chain, which only a copy of an earlier hash elsewhere can show.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text

from panels.text.printable import printable
from tasks.store.opening import Store, utc_now
from tasks.store.schema.decisions import audit
from tasks.store.schema.passes import notes
from tasks.store.upsert import insert_into

HEAD = "audit head"
"""The note of how far the log goes: the number of its last entry and its hash."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who (``actor``) did what (``action``) to what (``subject``), and what else is to be known.

    ``details`` are values that JSON can hold.
    """

    actor: str
    action: str
    subject: str
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """One entry as it is kept; ``details`` is JSON in ASCII, as it was hashed."""

    number: int
    at: str
    actor: str
    action: str
    subject: str
    details: str
    previous: str
    sha256: str

    @property
    def expected(self) -> str:
        """Compute the hash that the entry has unless it was altered."""
        return entry_sha256(
            self.number,
            (self.at, self.actor, self.action, self.subject, self.details, self.previous),
        )


@dataclass(frozen=True, slots=True)
class Head:
    """How far the log went at some time: the number of its last entry and that entry's hash."""

    number: int
    sha256: str


def add_entry(connection: Connection, entry: AuditEntry) -> str:
    """Append an entry in the transaction of the change it tells of, and give its hash.

    To be called after the change itself: from here on until the end of the transaction, whoever
    else appends waits. Characters that cannot be seen are written as their escapes.
    """
    if connection.dialect.name == "postgresql":
        # Two that append at once would both follow the same entry. SQLite lets one write at a time.
        connection.execute(text("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE"))
    last = _last(connection)
    texts = (
        utc_now(),
        *(printable(each) for each in (entry.actor, entry.action, entry.subject)),
        canonical(entry.details),
        last.sha256,
    )
    number = last.number + 1
    sha256 = entry_sha256(number, texts)
    names = ("at", "actor", "action", "subject", "details", "previous")
    values = dict(zip(names, texts, strict=True))
    connection.execute(insert(audit).values(id=number, sha256=sha256, **values))
    _note_head(connection, Head(number, sha256))
    return sha256


def entry_sha256(number: int, texts: Sequence[str]) -> str:
    """Hash an entry: its number, then time, actor, action, subject, details and previous hash."""
    document = json.dumps([number, *texts], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()


def canonical(details: Mapping[str, object]) -> str:
    """Write values as JSON in one way only: keys in order, no blanks, ASCII."""
    return json.dumps(details, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)


def entries(store: Store) -> list[KeptEntry]:
    """List all entries in their order."""
    with store.reading() as connection:
        return [KeptEntry(*row) for row in connection.execute(select(audit).order_by(audit.c.id))]


def entries_on(store: Store, action: str, subject: str) -> list[KeptEntry]:
    """List the entries that tell of one action on one subject, in their order."""
    chosen = select(audit).where(audit.c.action == action, audit.c.subject == subject)
    with store.reading() as connection:
        return [KeptEntry(*row) for row in connection.execute(chosen.order_by(audit.c.id))]


def noted_head(store: Store) -> Head | None:
    """Give how far the log went when its last entry was written; None before the first."""
    with store.reading() as connection:
        return _noted(connection)


def _last(connection: Connection) -> Head:
    """Give what the next entry follows: the noted head, or the last entry where that is later."""
    noted = _noted(connection) or Head(0, "")
    chosen = select(audit.c.id, audit.c.sha256).order_by(audit.c.id.desc()).limit(1)
    row = connection.execute(chosen).first()
    return noted if row is None or row.id <= noted.number else Head(row.id, row.sha256)


def _noted(connection: Connection) -> Head | None:
    note = connection.execute(select(notes.c.value).where(notes.c.name == HEAD)).scalar()
    number, _, sha256 = (note or "").partition(" ")
    return Head(int(number), sha256) if number.isdecimal() else None


def _note_head(connection: Connection, head: Head) -> None:
    value = f"{head.number} {head.sha256}"
    statement = insert_into(connection, notes).values(name=HEAD, value=value)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    connection.execute(statement)
