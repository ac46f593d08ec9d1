"""Keep which tubes a person took out of every series, when and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert

from panels.text.printable import printable
from tasks.store.audit import KeptEntry
from tasks.store.digests import sealed
from tasks.store.opening import Store
from tasks.store.schema.decisions import exclusions
from tasks.store.told import Details, Matched, matched, values_of

Action = Literal["exclude", "include"]
DONE: dict[Action, str] = {"exclude": "excluded", "include": "included"}
"""What the log says was done."""


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
    """List what was ever decided, in the order of the log: on all tubes, or on one.

    Rows that were altered, or that the log does not tell of, are left out.
    """
    with store.reading() as connection:
        rows = matched_exclusions(connection).rows
    made = [Exclusion(row.tube_sha256, row.action, row.at, row.made_by, row.reason) for row in rows]
    return [each for each in made if tube_sha256 in {None, each.tube_sha256}]


def matched_exclusions(connection: Connection) -> Matched:
    """Hold the exclusions against the log."""
    return matched(connection, exclusions, DONE.values(), _of_row, _of_entry)


def _of_row(row: Row[Any]) -> object:
    return [DONE.get(row.action), printable(row.made_by), row.tube_sha256, row.reason]


def _of_entry(entry: KeptEntry, details: Details) -> Iterator[object]:
    yield [entry.action, entry.actor, *values_of(details, ("tube_sha256", "reason"))]


def excluded_tubes(store: Store) -> frozenset[str]:
    """Give the SHA-256 of the tubes that are in no series now."""
    last = {each.tube_sha256: each.action for each in exclusions_of(store)}
    return frozenset(tube for tube, action in last.items() if action == "exclude")
