"""Keep which tubes a person took out of every series, when and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import Connection, insert, select

from tasks.store.digests import sealed
from tasks.store.opening import Store
from tasks.store.schema import exclusions

Action = Literal["exclude", "include"]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A tube that was taken out of every series, or let in again: by whom, when and why."""

    tube_sha256: str
    action: Action
    at: str
    made_by: str
    reason: str


def write_exclusion(connection: Connection, made: Exclusion) -> None:
    """Write that a tube was taken out or let in, in the transaction of the connection."""
    connection.execute(insert(exclusions).values(**sealed(exclusions, asdict(made))))


def exclusions_of(store: Store, tube_sha256: str | None = None) -> list[Exclusion]:
    """List what was ever decided, oldest first: on all tubes, or on one."""
    chosen = select(exclusions).order_by(exclusions.c.id)
    if tube_sha256 is not None:
        chosen = chosen.where(exclusions.c.tube_sha256 == tube_sha256)
    with store.reading() as connection:
        rows = connection.execute(chosen).all()
    return [Exclusion(row.tube_sha256, row.action, row.at, row.made_by, row.reason) for row in rows]


def excluded_tubes(store: Store) -> frozenset[str]:
    """Give the SHA-256 of the tubes that are in no series now."""
    last = {each.tube_sha256: each.action for each in exclusions_of(store)}
    return frozenset(tube for tube, action in last.items() if action == "exclude")
