"""Give stored rows a digest, so that one that was changed afterwards is noticed and never used.

The digest guards against slips, damaged databases and edits by hand. It holds no secret: whoever
owns the database and knows this module can compute it anew.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Row, Table

from tasks.store.schema.results import GATING_KEY

_write = json.JSONEncoder(ensure_ascii=False).encode
"""As ``json.dumps``, which would make a new encoder for each of some ten thousand rows."""


def row_digest(values: Iterable[Any]) -> str:
    """Hash the values of one row, in the order of the table's columns and without its digest."""
    document = _write([_plain(value) for value in values])
    return hashlib.sha256(document.encode()).hexdigest()


def gating_digest(gating: Iterable[Any], its_counts: Iterable[Sequence[Any]]) -> str:
    """Hash a row of ``gatings`` (without its digest) with its rows of ``counts``, in any order.

    The rows of ``counts`` come without the key that they share with that of ``gatings``.
    """
    rows = sorted(map(tuple, its_counts))
    document = _write([list(gating), rows])
    return hashlib.sha256(document.encode()).hexdigest()


def sealed(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """Add its digest to the values of a new row."""
    return values | {"digest": row_digest(values.get(name) for name in _covered_columns(table))}


def is_intact(table: Table, row: Row[Any]) -> bool:
    """Tell whether a row that holds all columns of a table is as it was written."""
    return are_intact(table, row._mapping)  # noqa: SLF001 - the public name of a row's columns in SQLAlchemy


def are_intact(table: Table, cells: Mapping[Any, Any]) -> bool:
    """Tell whether the cells of a row (column → value) are as they were written."""
    expected = row_digest(cells[name] for name in _covered_columns(table))
    return bool(cells["digest"] == expected)


def is_intact_gating(row: Sequence[Any], its_counts: Iterable[Sequence[Any]]) -> bool:
    """Tell whether a whole row of ``gatings`` and its counts are as they were written."""
    of_populations = [tuple(each)[len(GATING_KEY) :] for each in its_counts]
    return bool(row[-1] == gating_digest(row[:-1], of_populations))


@cache
def _covered_columns(table: Table) -> tuple[str, ...]:
    """Name the columns that a digest covers.

    A running number is the database's own; the end of something is written later.
    """
    left_out = {"digest", "id", "ended_at"}
    return tuple(column.name for column in table.c if column.name not in left_out)


def _plain(value: object) -> object:
    """Write a value as JSON can; a database may give back 30.0 where 30 was written."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, int):
        return float(value)
    return value
