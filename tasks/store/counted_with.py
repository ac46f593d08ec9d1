"""Keep which strategy version counts each panel.

So a newer default of the program does not change a running study by itself.
"""

import csv
import io
import zlib
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from tasks.store.opening import Store, utc_now
from tasks.store.schema.files import tubes
from tasks.store.schema.results import counted_with, editions, gatings
from tasks.store.upsert import insert_into


def strategies_counted_with(store: Store, panels: Collection[str]) -> dict[str, str]:
    """Give for some panels the strategy (``cart@2.0.0``) that counted their tubes last.

    Panels never counted are left out. An older store does not hold it yet: there it is read from
    the tables that were written last, or, before any table, from the first count of the panel.
    """
    with store.reading() as connection:
        noted = _noted(connection)
        known = {panel: strategy for panel, strategy in noted.items() if panel in panels}
        first = {panel: _first_count(connection, panel) for panel in panels if panel not in known}
        counted = {panel: strategy for panel, strategy in first.items() if strategy}
        if counted:
            counted |= _in_tables(connection, counted)
    return known | counted


def remember_strategies(store: Store, strategies: Mapping[str, str]) -> None:
    """Write down what counts each panel from now on (panel → ``cart@2.0.0``)."""
    with store.reading() as connection:
        if not _changes(connection, strategies):
            return
    with store.writing() as connection:
        write_strategies(connection, strategies)


def write_strategies(connection: Connection, strategies: Mapping[str, str]) -> None:
    """Write down what counts each panel as a part of a larger change."""
    for panel, strategy in _changes(connection, strategies).items():
        values = {"panel": panel, "strategy": strategy, "at": utc_now()}
        statement = insert_into(connection, counted_with).values(**values)
        connection.execute(statement.on_conflict_do_update(index_elements=["panel"], set_=values))


def _changes(connection: Connection, strategies: Mapping[str, str]) -> dict[str, str]:
    noted = _noted(connection)
    return {
        panel: strategy for panel, strategy in strategies.items() if noted.get(panel) != strategy
    }


def _noted(connection: Connection) -> dict[str, str]:
    """Read which strategy counts each panel, where it was written down."""
    return {row.panel: row.strategy for row in connection.execute(select(counted_with))}


def _first_count(connection: Connection, panel: str) -> str | None:
    """Name the strategy of a panel's first count of all, None without any.

    Not of its last: counts under another version may have been made only to be compared with it.
    """
    chosen = select(gatings.c.strategy, gatings.c.version)
    chosen = chosen.join(tubes, tubes.c.tube_sha256 == gatings.c.tube_sha256)
    chosen = chosen.where(tubes.c.panel == panel).order_by(gatings.c.counted_at)
    row = connection.execute(chosen.limit(1)).first()
    return f"{row.strategy}@{row.version}" if row else None


def _in_tables(connection: Connection, wanted: Mapping[str, str]) -> dict[str, str]:
    """Read which strategy the last tables name that have rows of each panel."""
    named: dict[str, str] = {}
    for edition in connection.execute(select(editions.c.kinetics).order_by(editions.c.id.desc())):
        text = zlib.decompress(edition.kinetics).decode()
        for row in csv.DictReader(io.StringIO(text)):
            named.setdefault(row["panel"], row["strategy"])
        if named.keys() >= wanted.keys():
            break
    return {panel: strategy for panel, strategy in named.items() if panel in wanted}
