"""Keep what controls and baseline tubes tell about thresholds, so that other tubes can ask without opening their files."""

import json
from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from gating.thresholds.measure import Reading, reading_from
from tasks.store.opening import Store
from tasks.store.schema import readings


def save_readings(store: Store, tube_sha256: str, strategy: str, engine_version: str, found: Mapping[str, Reading]) -> None:
    """Write a tube's readings under one strategy (``bcell@2.0.0``); they never change once written."""
    document = json.dumps({name: reading.document() for name, reading in found.items()}, separators=(",", ":"))
    name, _, version = strategy.partition("@")
    values = {"tube_sha256": tube_sha256, "strategy": name, "version": version, "engine_version": engine_version, "document": document}
    with store.writing() as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(readings).values(**values).on_conflict_do_nothing())


def measured(store: Store, engine_version: str) -> set[tuple[str, str]]:
    """List the tubes with readings as (SHA-256, strategy)."""
    chosen = select(readings.c.tube_sha256, readings.c.strategy, readings.c.version).where(readings.c.engine_version == engine_version)
    with store.reading() as connection:
        return {(row.tube_sha256, f"{row.strategy}@{row.version}") for row in connection.execute(chosen)}


def readings_of(store: Store, tubes: Collection[str], strategy: str, engine_version: str) -> dict[str, dict[str, Reading]]:
    """Give the readings of some tubes under one strategy: SHA-256 → threshold → reading; tubes without any are left out."""
    name, _, version = strategy.partition("@")
    chosen = select(readings.c.tube_sha256, readings.c.document).where(
        readings.c.tube_sha256.in_(sorted(tubes)),
        readings.c.strategy == name,
        readings.c.version == version,
        readings.c.engine_version == engine_version,
    )
    with store.reading() as connection:
        rows = connection.execute(chosen).all()
    return {row.tube_sha256: {key: reading_from(each) for key, each in json.loads(row.document).items()} for row in rows}
