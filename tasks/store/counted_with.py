"""Keep which strategy version counts each panel, so that a newer default of the program changes no running study by itself."""

import csv
import io
import zlib
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from tasks.store.opening import Store, utc_now
from tasks.store.schema import counted_with, editions, gatings, tubes


def strategies_counted_with(store: Store, panels: Collection[str]) -> dict[str, str]:
    """Give for some panels the strategy (``cart@2.0.0``) their tubes were counted with last; panels never counted are left out.

    A store that does not remember it yet tells by the tables it wrote last, or, before any table,
    by the first count of the panel.
    """
    with store.reading() as connection:
        found = {
            row.panel: row.strategy
            for row in connection.execute(select(counted_with))
            if row.panel in panels
        }
        first = {panel: _first_count(connection, panel) for panel in panels if panel not in found}
        counted = {panel: strategy for panel, strategy in first.items() if strategy}
        return found | counted | (_in_tables(connection, counted) if counted else {})


def remember_strategies(store: Store, strategies: Mapping[str, str]) -> None:
    """Write down what counts each panel from now on (panel → ``cart@2.0.0``)."""
    with store.reading() as connection:
        if not _changes(connection, strategies):
            return
    with store.writing() as connection:
        write_strategies(connection, strategies)


def write_strategies(connection: Connection, strategies: Mapping[str, str]) -> None:
    """Write down what counts each panel as a part of a larger change."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    for panel, strategy in _changes(connection, strategies).items():
        values = {"panel": panel, "strategy": strategy, "at": utc_now()}
        statement = dialect.insert(counted_with).values(**values)
        connection.execute(statement.on_conflict_do_update(index_elements=["panel"], set_=values))


def _changes(connection: Connection, strategies: Mapping[str, str]) -> dict[str, str]:
    known = {row.panel: row.strategy for row in connection.execute(select(counted_with))}
    return {
        panel: strategy for panel, strategy in strategies.items() if known.get(panel) != strategy
    }


def _first_count(connection: Connection, panel: str) -> str | None:
    """Name the strategy of a panel's first count of all: a comparison with another version needs counts to compare with."""
    chosen = select(gatings.c.strategy, gatings.c.version).join(
        tubes, tubes.c.tube_sha256 == gatings.c.tube_sha256
    )
    row = connection.execute(
        chosen.where(tubes.c.panel == panel).order_by(gatings.c.counted_at).limit(1)
    ).first()
    return f"{row.strategy}@{row.version}" if row else None


def _in_tables(connection: Connection, wanted: Mapping[str, str]) -> dict[str, str]:
    """Read of the last tables that have rows of each panel which strategy they name."""
    found: dict[str, str] = {}
    for edition in connection.execute(select(editions.c.kinetics).order_by(editions.c.id.desc())):
        text = zlib.decompress(edition.kinetics).decode()
        for row in csv.DictReader(io.StringIO(text)):
            found.setdefault(row["panel"], row["strategy"])
        if found.keys() >= wanted.keys():
            break
    return {panel: strategy for panel, strategy in found.items() if panel in wanted}
