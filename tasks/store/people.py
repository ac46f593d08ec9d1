"""Keep who may open the review pages, with which role, and the hash of the token they show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Update, insert, select, update

from tasks.store.audit import AuditEntry, KeptEntry, add_entry
from tasks.store.digests import sealed
from tasks.store.opening import Store, utc_now
from tasks.store.schema.decisions import audit, people
from tasks.store.told import Details, Matched, matched, values_of

Role = Literal["reader", "reviewer", "approver"]
ROLES: tuple[Role, ...] = ("reader", "reviewer", "approver")
"""In order: each may do all that those before it may."""
LET_IN, SHUT_OUT = "let in", "shut out"
"""What the log says was done."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may open the review pages; ``token_hash`` is of the present token.

    ``row`` is another one with every token that the person gets.
    """

    name: str
    role: Role
    token_hash: str
    since: str
    row: int


def people_of(store: Store) -> list[Person]:
    """List those who may open the review pages now, by name.

    The log says who: a row that was altered, or that it does not tell of, lets nobody in.
    """
    with store.reading() as connection:
        rows = _present(connection)
    return sorted(map(_person, rows), key=lambda each: each.name)


def was_anybody_let_in(store: Store) -> bool:
    """Tell whether anybody was ever given a token, by the table or by the log, ended or not."""
    told = select(audit.c.id).where(audit.c.action == LET_IN).limit(1)
    with store.reading() as connection:
        by_table = connection.execute(select(people.c.id).limit(1)).first()
        return by_table is not None or connection.execute(told).first() is not None


def save_person(store: Store, name: str, role: Role, token_hash: str, *, by: str) -> None:
    """Let somebody in with a role and a token; an earlier token of the same name ends."""
    now = utc_now()
    with store.writing() as connection:
        connection.execute(_ending(name, now))
        details = {"name": name, "role": role, "token_sha256": _sha256(token_hash)}
        entry = add_entry(connection, AuditEntry(by, LET_IN, f"person {name}", details))
        values = {"name": name, "role": role, "token_hash": token_hash, "since": now}
        connection.execute(insert(people).values(**sealed(people, values | {"entry": entry})))


def end_person(store: Store, name: str, *, by: str) -> bool:
    """Let somebody in no more; False when nobody of that name may."""
    with store.writing() as connection:
        by_table = connection.execute(_ending(name, utc_now())).rowcount > 0
        ended = by_table or f"person {name}" in _last_entries(connection)
        if ended:
            details = {"name": name}
            add_entry(connection, AuditEntry(by, SHUT_OUT, f"person {name}", details))
    return ended


def matched_people(connection: Connection) -> Matched:
    """Hold the tokens against the log."""
    return matched(connection, people, [LET_IN], _of_row, _of_entry)


def misdated_people(connection: Connection) -> list[Row[Any]]:
    """List the tokens that ended, or did not end, otherwise than the log tells."""
    last = set(_last_entries(connection).values())
    rows = matched_people(connection).rows
    return [row for row in rows if (row.ended_at is None) != (row.entry in last)]


def _present(connection: Connection) -> list[Row[Any]]:
    """List the tokens that the log tells of last for their names."""
    last = set(_last_entries(connection).values())
    rows = matched_people(connection).rows
    return [row for row in rows if row.ended_at is None and row.entry in last]


def _last_entries(connection: Connection) -> dict[str, str]:
    """Map who has a token by the log to the hash of the entry that tells of it."""
    chosen = select(audit).where(audit.c.action.in_([LET_IN, SHUT_OUT])).order_by(audit.c.id)
    last: dict[str, str] = {}
    for row in connection.execute(chosen):
        entry = KeptEntry(*row)
        last.pop(entry.subject, None)
        if entry.action == LET_IN:
            last[entry.subject] = entry.sha256
    return last


def _of_row(row: Row[Any]) -> object:
    return [row.entry, row.name, row.role, _sha256(row.token_hash)]


def _of_entry(entry: KeptEntry, details: Details) -> Iterator[object]:
    yield [entry.sha256, *values_of(details, ("name", "role", "token_sha256"))]


def _sha256(token_hash: str) -> str:
    return hashlib.sha256(token_hash.encode()).hexdigest()


def _ending(name: str, now: str) -> Update:
    present = (people.c.name == name) & people.c.ended_at.is_(None)
    return update(people).where(present).values(ended_at=now)


def _person(row: Row[Any]) -> Person:
    return Person(row.name, row.role, row.token_hash, row.since, row.id)
