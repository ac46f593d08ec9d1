"""Insert rows that may be there already, on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Begin an INSERT whose ``on_conflict_do_…`` says what to do with a row that is there."""
    if connection.dialect.name == "postgresql":
        # Here, because most stores are SQLite files: it takes every command a tenth of its start.
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    return sqlite.insert(table)
