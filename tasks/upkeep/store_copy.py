"""Copy a whole store: from SQLite or PostgreSQL into a SQLite file, and from there back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select, text

from tasks.store.opening import Store, open_store
from tasks.store.schema.layout import versions
from tasks.store.schema.passes import leases
from tasks.store.schema.whole import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import RowMapping, Table

ROWS = 1_000
"""Rows that are read and written at a time."""


def copy_to_file(store: Store, path: Path) -> None:
    """Write the store as it is at one moment into a new SQLite file; others may go on writing.

    Locks that are held are left out. Raises StoreFault when the store cannot be read.
    """
    if store.engine.dialect.name == "sqlite":
        with (
            closing(sqlite3.connect(store.engine.url.database or "")) as source,
            closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)
    else:
        with open_store(f"sqlite:///{path}") as copy:
            _copy_rows(store, copy)
    with closing(sqlite3.connect(path)) as target:
        target.execute(f"DELETE FROM {leases.name}")  # noqa: S608 - a name of ours
        target.commit()
        # Everything in the one file, so that it can be carried away by itself.
        target.execute("PRAGMA journal_mode = DELETE")


def copy_from_file(path: Path, store: Store) -> None:
    """Write the rows of a SQLite file into an empty store of the same version."""
    with open_store(f"sqlite:///{path}") as source:
        _copy_rows(source, store)


def is_empty(store: Store) -> bool:
    """Tell whether a store knows nothing of any file and no decision."""
    with store.reading() as connection:
        return not any(
            connection.execute(select(func.count()).select_from(table)).scalar()
            for table in _tables()
        )


def _copy_rows(source: Store, target: Store) -> None:
    """Copy all rows as they are at one moment, in one transaction of the target."""
    with source.reading() as read, target.writing() as write:
        if read.dialect.name == "postgresql":
            read.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for table in _tables():
            for rows in _parts(read, table):
                write.execute(insert(table), [dict(row) for row in rows])
            _go_on_counting(write, table)


def _parts(read: Connection, table: Table) -> Iterator[list[RowMapping]]:
    result = read.execute(select(table)).mappings()
    yield from (list(part) for part in result.partitions(ROWS))


def _go_on_counting(write: Connection, table: Table) -> None:
    """Let PostgreSQL number the next row after the last one that was copied."""
    if write.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        asked = select(func.pg_get_serial_sequence(table.name, column.name))
        sequence = write.execute(asked).scalar()
        if sequence is not None:
            last = write.execute(select(func.max(column))).scalar()
            if last is not None:
                write.execute(select(func.setval(sequence, last)))


def _tables() -> list[Table]:
    """List the tables whose rows are copied; each comes after those it refers to."""
    return [table for table in metadata.sorted_tables if table not in (versions, leases)]
