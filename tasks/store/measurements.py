"""Keep what was measured of thresholds in controls and baseline tubes.

Other tubes use these measurements as references without opening the files again.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select

from gating.thresholds.measure import ThresholdMeasurement, measurement_from
from tasks.store.digests import is_intact, sealed
from tasks.store.opening import Store
from tasks.store.schema.results import readings
from tasks.store.upsert import insert_into


@dataclass(frozen=True, slots=True)
class MeasuredWith:
    """What a tube is measured with: strategy (``bcell@2.0.0``), engine, panel and calibration.

    ``panel_sha256`` is that of the panel that names the tube's markers, ``calibration_sha256`` that
    of the calibration of its instrument (empty: the strategy's own numbers).
    """

    strategy: str
    engine_version: str
    panel_sha256: str = ""
    calibration_sha256: str = ""


def save_measurements(
    store: Store,
    tube_sha256: str,
    made: MeasuredWith,
    measurements: Mapping[str, ThresholdMeasurement],
) -> None:
    """Write a tube's measurements (by threshold); they never change once written."""
    documents = {name: measurement.document() for name, measurement in measurements.items()}
    document = json.dumps(documents, separators=(",", ":"))
    values = sealed(readings, {"tube_sha256": tube_sha256, "document": document} | _key(made))
    with store.writing() as connection:
        statement = insert_into(connection, readings).values(**values)
        connection.execute(statement.on_conflict_do_nothing())


def measured(
    store: Store, engine_version: str, panels: Collection[str] | None = None
) -> set[tuple[str, str, str]]:
    """List the tubes that this engine has measured, as (SHA-256, strategy, calibration's SHA-256).

    With ``panels`` only those measured with one of these contents of a panel.
    """
    names = ("tube_sha256", "strategy", "version", "calibration_sha256")
    chosen = select(*(readings.c[name] for name in names))
    chosen = chosen.where(readings.c.engine_version == engine_version)
    if panels is not None:
        chosen = chosen.where(readings.c.panel_sha256.in_(sorted(panels)))
    with store.reading() as connection:
        rows = connection.execute(chosen).all()
    return {
        (row.tube_sha256, f"{row.strategy}@{row.version}", row.calibration_sha256) for row in rows
    }


def measurements_of(
    store: Store, tubes: Collection[str], made: MeasuredWith
) -> dict[str, dict[str, ThresholdMeasurement]]:
    """Give the measurements of some tubes that were made alike: SHA-256 → threshold → measurement.

    Tubes without any are left out, as are those whose measurements were altered in the store.
    """
    chosen = select(readings).where(readings.c.tube_sha256.in_(sorted(tubes)))
    with store.reading() as connection:
        rows = connection.execute(chosen.filter_by(**_key(made))).all()
    return {row.tube_sha256: _read(row.document) for row in rows if is_intact(readings, row)}


def remove_altered_measurements(store: Store) -> list[str]:
    """Remove the measurements that were altered since they were written, and give their tubes.

    The next pass measures these tubes again.
    """
    with store.reading() as connection:
        rows = connection.execute(select(readings)).all()
    altered = [row for row in rows if not is_intact(readings, row)]
    with store.writing() as connection:
        for row in altered:
            key = {column.name: getattr(row, column.name) for column in readings.primary_key}
            connection.execute(delete(readings).filter_by(**key))
    return sorted({row.tube_sha256 for row in altered})


def _read(document: str) -> dict[str, ThresholdMeasurement]:
    return {name: measurement_from(each) for name, each in json.loads(document).items()}


def _key(made: MeasuredWith) -> dict[str, str]:
    name, _, version = made.strategy.partition("@")
    return {
        "strategy": name,
        "version": version,
        "engine_version": made.engine_version,
        "panel_sha256": made.panel_sha256,
        "calibration_sha256": made.calibration_sha256,
    }
