"""Keep who may open the review pages, with which role, and the hash of the token they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, Update, insert, select, update

from tasks.store.audit import AuditEntry, add_entry
from tasks.store.opening import Store, utc_now
from tasks.store.schema import people

Role = Literal["reader", "reviewer", "approver"]
ROLES: tuple[Role, ...] = ("reader", "reviewer", "approver")
"""In order: each may do all that those before it may."""


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
    """List those who may open the review pages now, by name."""
    with store.reading() as connection:
        rows = connection.execute(
            select(people).where(people.c.ended_at.is_(None)).order_by(people.c.name)
        ).all()
    return [_person(row) for row in rows]


def was_anybody_let_in(store: Store) -> bool:
    """Tell whether anybody was ever given a token for the review pages, ended or not."""
    with store.reading() as connection:
        return connection.execute(select(people.c.id).limit(1)).first() is not None


def save_person(store: Store, name: str, role: Role, token_hash: str, *, by: str) -> None:
    """Let somebody in with a role and a token; an earlier token of the same name ends."""
    now = utc_now()
    with store.writing() as connection:
        connection.execute(_ending(name, now))
        connection.execute(
            insert(people).values(name=name, role=role, token_hash=token_hash, since=now)
        )
        add_entry(connection, AuditEntry(by, "let in", f"person {name}", {"role": role}))


def end_person(store: Store, name: str, *, by: str) -> bool:
    """Let somebody in no more; False when nobody of that name may."""
    with store.writing() as connection:
        ended = connection.execute(_ending(name, utc_now())).rowcount > 0
        if ended:
            add_entry(connection, AuditEntry(by, "shut out", f"person {name}", {}))
    return ended


def _ending(name: str, now: str) -> Update:
    present = (people.c.name == name) & people.c.ended_at.is_(None)
    return update(people).where(present).values(ended_at=now)


def _person(row: Row[Any]) -> Person:
    return Person(row.name, row.role, row.token_hash, row.since, row.id)
