"""Keep what controls and baseline tubes tell about thresholds, so that other tubes can ask without opening their files."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gating.thresholds.measure import ThresholdMeasurement, measurement_from
from tasks.store.digests import is_intact, sealed
from tasks.store.opening import Store
from tasks.store.schema import readings


@dataclass(frozen=True, slots=True)
class MeasuredWith:
    """What a tube is measured with: strategy (``bcell@2.0.0``), engine, and the content of the panel that finds its markers."""

    strategy: str
    engine_version: str
    panel_sha256: str = ""


def save_measurements(
    store: Store, tube_sha256: str, made: MeasuredWith, found: Mapping[str, ThresholdMeasurement]
) -> None:
    """Write a tube's readings; they never change once written."""
    document = json.dumps(
        {name: reading.document() for name, reading in found.items()}, separators=(",", ":")
    )
    values = {"tube_sha256": tube_sha256, "document": document} | _key(made)
    values = sealed(readings, values)
    with store.writing() as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(readings).values(**values).on_conflict_do_nothing())


def measured(
    store: Store, engine_version: str, panels: Collection[str] | None = None
) -> set[tuple[str, str]]:
    """List the tubes with readings as (SHA-256, strategy); with ``panels`` only those made with one of these contents of a panel."""
    chosen = select(readings.c.tube_sha256, readings.c.strategy, readings.c.version).where(
        readings.c.engine_version == engine_version
    )
    if panels is not None:
        chosen = chosen.where(readings.c.panel_sha256.in_(sorted(panels)))
    with store.reading() as connection:
        return {
            (row.tube_sha256, f"{row.strategy}@{row.version}") for row in connection.execute(chosen)
        }


def measurements_of(
    store: Store, tubes: Collection[str], made: MeasuredWith
) -> dict[str, dict[str, ThresholdMeasurement]]:
    """Give the readings of some tubes that were made alike: SHA-256 → threshold → reading; tubes without any are left out."""
    chosen = (
        select(readings).where(readings.c.tube_sha256.in_(sorted(tubes))).filter_by(**_key(made))
    )
    with store.reading() as connection:
        rows = [row for row in connection.execute(chosen) if is_intact(readings, row)]
    return {
        row.tube_sha256: {
            key: measurement_from(each) for key, each in json.loads(row.document).items()
        }
        for row in rows
    }


def remove_altered_measurements(store: Store) -> list[str]:
    """Remove the readings that were altered since they were written, which the next pass measures again; gives their tubes."""
    removed = []
    with store.reading() as connection:
        altered = [
            row for row in connection.execute(select(readings)) if not is_intact(readings, row)
        ]
    with store.writing() as connection:
        for row in altered:
            key = {column.name: row._mapping[column.name] for column in readings.primary_key}  # noqa: SLF001
            connection.execute(delete(readings).filter_by(**key))
            removed.append(row.tube_sha256)
    return sorted(set(removed))


def _key(made: MeasuredWith) -> dict[str, str]:
    name, _, version = made.strategy.partition("@")
    return {
        "strategy": name,
        "version": version,
        "engine_version": made.engine_version,
        "panel_sha256": made.panel_sha256,
    }
