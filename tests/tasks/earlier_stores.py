"""Stores as earlier releases made them: their tables and some rows, in tests/data/stores.

``version_N.DATABASE.sql`` holds the statements by which the release with store version N (0.1.0 to
0.8.0) made its tables; ``version_N.rows.json`` what its own functions wrote into them, by table.
Running numbers are left out, and binary cells are written as ``{"hex": …}``.
"""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, column, create_engine, event, insert, select, table, text

STORES = Path(__file__).parents[1] / "data" / "stores"
EARLIER = (1, 2, 3, 4, 5, 6, 7, 8)
NUMBERED = (
    "files",
    "transitions",
    "editions",
    "promotions",
    "reviews",
    "signatures",
    "runs",
    "people",
)
Rows = dict[str, list[dict[str, Any]]]


def make_earlier_store(url: str, version: int) -> Rows:
    """Make a store of an earlier version at an empty address, and give its rows by table."""
    rows = rows_of_version(version)
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute(WRITE_AHEAD))
    statements = (STORES / f"version_{version}.{engine.dialect.name}.sql").read_text("utf-8")
    with engine.begin() as connection:
        for statement in statements.split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
        for name, written in rows.items():
            columns = [column(each) for each in written[0]]
            connection.execute(insert(table(name, *columns)), written)
    engine.dispose()
    return rows


WRITE_AHEAD = "PRAGMA journal_mode = WAL"


def rows_of_version(version: int) -> Rows:
    document = (STORES / f"version_{version}.rows.json").read_text("utf-8")
    return {
        name: [{key: _cell(value) for key, value in row.items()} for row in rows]
        for name, rows in json.loads(document).items()
    }


def rows_in(connection: Connection, like: Rows) -> Rows:
    """Read the tables that ``like`` has, in its columns and its order."""
    found = {}
    for name, written in like.items():
        columns = [column(each) for each in written[0]]
        chosen = select(*columns).select_from(table(name))
        if name in NUMBERED:
            chosen = chosen.order_by(column("id"))
        found[name] = [dict(row) for row in connection.execute(chosen).mappings()]
    return found


def _cell(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
