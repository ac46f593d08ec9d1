"""Match rows of the store with the entries of the log that tell of them.

A row counts when it is as it was written and an entry tells of the same; each entry tells of one
row only (or of as many as it names). So a row that another hand put in, doubled or changed does
nothing, and an order is always that of the log.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, select

from tasks.store.audit import KeptEntry
from tasks.store.digests import is_intact
from tasks.store.schema.decisions import audit

Details = dict[str, Any]
KeysOfEntry = Callable[[KeptEntry, Details], Iterable[object]]
"""Give what an entry says of each row it tells of."""


@dataclass(frozen=True, slots=True)
class Told:
    """An entry of the log, what it says of a row, and that row (None: it is not there)."""

    entry: KeptEntry
    key: str
    row: Row[Any] | None


@dataclass(frozen=True, slots=True)
class Matched:
    """Rows and the log held against each other: ``told`` in the order of the log.

    ``altered`` are rows that are not as they were written, ``untold`` those that no entry tells of.
    """

    told: tuple[Told, ...]
    altered: tuple[Row[Any], ...]
    untold: tuple[Row[Any], ...]

    @property
    def rows(self) -> list[Row[Any]]:
        """List the rows that count, in the order of the log."""
        return [each.row for each in self.told if each.row is not None]


def matched(
    connection: Connection,
    table: Table,
    actions: Iterable[str],
    key_of_row: Callable[[Row[Any]], object],
    keys_of_entry: KeysOfEntry,
) -> Matched:
    """Hold all rows of a table against the entries of the log that tell of some actions.

    Of rows that say the very same the earlier ones are taken for what the log tells.
    """
    rows = connection.execute(select(table).order_by(table.c.id)).all()
    intact = [row for row in rows if is_intact(table, row)]
    waiting: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in intact:
        waiting[as_key(key_of_row(row))].append(row)
    told = []
    for entry, key in _keys(connection, actions, keys_of_entry):
        same = waiting[key]
        told.append(Told(entry, key, same.pop(0) if same else None))
    return Matched(
        told=tuple(told),
        altered=tuple(row for row in rows if not is_intact(table, row)),
        untold=tuple(row for same in waiting.values() for row in same),
    )


def as_key(value: object) -> str:
    """Write values in one way only, so that those of a row and of an entry can be compared."""
    return json.dumps(value, sort_keys=True)


def details_of(entry: KeptEntry) -> Details:
    """Read the details of an entry; nothing where a hand made them unreadable."""
    try:
        details = json.loads(entry.details)
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}


def values_of(details: Details, names: Sequence[str]) -> list[object]:
    """Give some details, empty where one is missing."""
    return [details.get(name, "") for name in names]


def _keys(
    connection: Connection, actions: Iterable[str], keys_of_entry: KeysOfEntry
) -> Iterator[tuple[KeptEntry, str]]:
    chosen = select(audit).where(audit.c.action.in_(list(actions))).order_by(audit.c.id)
    for row in connection.execute(chosen):
        entry = KeptEntry(*row)
        for key in keys_of_entry(entry, details_of(entry)):
            yield entry, as_key(key)
