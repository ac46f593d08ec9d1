"""Keep with which calibration a tube was counted, and which cytometer its file names."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    Integer,
    RowMapping,
    Text,
    bindparam,
    column,
    select,
    table,
)

from tasks.store.digests import gating_digest, row_digest
from tasks.store.migrations.rebuild import rebuild_table, text_columns

revision = "6"
down_revision = "5"

_KEY = ("tube_sha256", "strategy", "version", "engine_version", "evidence", "panel_sha256")
_NEW_KEY = (*_KEY, "calibration_sha256")
_MEASURED_KEY = ("tube_sha256", "strategy", "version", "engine_version", "panel_sha256")
_COUNTS = (
    "population position events parent parent_events reference reference_events flags negatives"
).split()
_OWN_NUMBERS = {"calibration_sha256": ""}
"""Earlier rows were made with the numbers that the strategy itself holds."""
_COVERED = {
    "gatings": (*_KEY, *"strategy_sha256 panel total_events beads flags qc counted_at".split()),
    "tubes": (
        "tube_sha256 file patient collected panel visit specimen acquired instrument batch "
        "operator control car_reagent comment leukocytes_per_ul lymphocytes_per_ul beads_per_tube "
        "blood_volume_ul acquired_volume_ul dilution keywords"
    ).split(),
    "readings": (*_MEASURED_KEY, "document"),
}
"""What a digest of version 5 covers, in this order; one of version 6 covers every column."""

Digest = Callable[[RowMapping, Sequence[str]], str]


def upgrade() -> None:
    """Add the calibration to keys and gatings and the cytometer to tubes; seal the rows anew."""
    gatings = _rebuilt_gatings()
    _rebuild_counts()
    rebuild_table(
        "thresholds",
        *text_columns(*_NEW_KEY, "threshold", primary_key=True),
        *text_columns("marker", "detector", "source", "evidence_text", "tried"),
        Column("value", Float, nullable=False),
        filled=_OWN_NUMBERS,
    )
    readings = [
        *text_columns(*_MEASURED_KEY, "calibration_sha256", primary_key=True),
        *text_columns("document", "digest"),
    ]
    rebuild_table("readings", *readings, filled=_OWN_NUMBERS)
    tubes = _rebuilt_tubes()
    of_populations = _counts_by_gating()
    _seal(
        "gatings",
        gatings,
        lambda row, names: gating_digest(
            [row[name] for name in names], of_populations[tuple(row[name] for name in _NEW_KEY)]
        ),
    )
    for name, columns in {"readings": readings, "tubes": tubes}.items():
        _seal(name, columns, lambda row, names: row_digest(row[name] for name in names))


def _rebuilt_gatings() -> list[Column[Any]]:
    columns: list[Column[Any]] = [
        *text_columns(*_NEW_KEY, primary_key=True),
        *text_columns("strategy_sha256", "panel", "calibration"),
        Column("total_events", BigInteger, nullable=False),
        Column("beads", BigInteger),
        *text_columns("flags", "qc", "counted_at", "digest"),
    ]
    rebuild_table("gatings", *columns, filled=_OWN_NUMBERS | {"calibration": ""})
    return columns


def _rebuild_counts() -> None:
    rebuild_table(
        "counts",
        *text_columns(*_NEW_KEY, "population", primary_key=True),
        Column("position", Integer, nullable=False),
        Column("events", BigInteger, nullable=False),
        *text_columns("parent"),
        Column("parent_events", BigInteger, nullable=False),
        *text_columns("reference"),
        Column("reference_events", BigInteger, nullable=False),
        *text_columns("flags"),
        Column("negatives", Text),
        CheckConstraint("events >= 0 AND events <= parent_events", name="child_within_parent"),
        filled=_OWN_NUMBERS,
    )


def _rebuilt_tubes() -> list[Column[Any]]:
    texts = "acquired instrument batch operator control car_reagent comment".split()
    numbers = (
        "leukocytes_per_ul lymphocytes_per_ul beads_per_tube blood_volume_ul acquired_volume_ul "
        "dilution"
    ).split()
    columns: list[Column[Any]] = [
        *text_columns("tube_sha256", primary_key=True),
        *text_columns("file", "patient", "collected", "panel", "visit", "specimen"),
        *(Column(name, Text) for name in texts),
        *(Column(name, Float) for name in numbers),
        *(Column(name, Text) for name in ("cytometer", "serial")),
        *text_columns("keywords", "digest"),
    ]
    rebuild_table("tubes", *columns, filled={"cytometer": None, "serial": None})
    op.create_index("tubes_by_patient", "tubes", ["patient"])
    return columns


def _counts_by_gating() -> Mapping[tuple[Any, ...], list[tuple[Any, ...]]]:
    counts: defaultdict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    chosen = select(table("counts", *map(column, (*_NEW_KEY, *_COUNTS))))
    for row in op.get_bind().execute(chosen):
        counts[tuple(row[: len(_NEW_KEY)])].append(tuple(row[len(_NEW_KEY) :]))
    return counts


def _seal(name: str, columns: Sequence[Column[Any]], digest: Digest) -> None:
    """Write the digests of the wider rows; one that did not match its row before does not now."""
    key = [each.name for each in columns if each.primary_key]
    covered = [each.name for each in columns if each.name != "digest"]
    chosen = select(table(name, *(column(each.name) for each in columns)))
    rows = op.get_bind().execute(chosen).mappings().all()
    sealed = [
        {"new": digest(row, covered)} | {f"of_{each}": row[each] for each in key}
        for row in rows
        if row["digest"] == digest(row, _COVERED[name])
    ]
    if not sealed:
        return
    statement = table(name, column("digest"), *map(column, key)).update()
    for each in key:
        statement = statement.where(column(each) == bindparam(f"of_{each}"))
    op.get_bind().execute(statement.values(digest=bindparam("new")), sealed)
