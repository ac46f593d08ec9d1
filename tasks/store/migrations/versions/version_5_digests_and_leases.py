"""Give rows a digest, so that one altered afterwards is noticed, and hold locks in the store."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from alembic import op
from sqlalchemy import Column, Integer, Text, bindparam, column, select, table

from tasks.store.digests import gating_digest, row_digest
from tasks.store.migrations.rebuild import text_columns

revision = "5"
down_revision = "4"

_GATING_KEY = ("tube_sha256", "strategy", "version", "engine_version", "evidence", "panel_sha256")
_KEYS = {
    "gatings": _GATING_KEY,
    "tubes": ("tube_sha256",),
    "readings": ("tube_sha256", "strategy", "version", "engine_version", "panel_sha256"),
    "editions": ("id",),
}
_OTHER_COLUMNS = {
    "gatings": "strategy_sha256 panel total_events beads flags qc counted_at".split(),
    "tubes": (
        "file patient collected panel visit specimen acquired instrument batch operator control "
        "car_reagent comment leukocytes_per_ul lymphocytes_per_ul beads_per_tube blood_volume_ul "
        "acquired_volume_ul dilution keywords"
    ).split(),
    "readings": ["document"],
    "editions": "patient at fingerprint kinetics parameters recovery".split(),
}
"""A digest covers the key and these columns in this order, but no running number."""
_COUNTS = (
    "population position events parent parent_events reference reference_events flags negatives"
).split()
"""The digest of a gating covers these columns of its counts, too."""

Row = tuple[Any, ...]


def upgrade() -> None:
    """Add a digest of what each row holds now, and the table of locks."""
    for name in _KEYS:
        op.add_column(name, Column("digest", Text))
        _write_digests(name)
        with op.batch_alter_table(name) as batch:
            batch.alter_column("digest", existing_type=Text(), nullable=False)
    op.create_table(
        "leases",
        *text_columns("name", primary_key=True),
        *text_columns("holder", "host", "machine"),
        Column("pid", Integer, nullable=False),
        *text_columns("started", "taken_at"),
        Column("heartbeat", Integer, nullable=False),
    )


def _write_digests(name: str) -> None:
    key = _KEYS[name]
    digests = _digests(name)
    if not digests:
        return
    sealed = table(name, column("digest"), *map(column, key)).update()
    for each in key:
        sealed = sealed.where(column(each) == bindparam(f"of_{each}"))
    parameters = [
        {"new": digest} | {f"of_{each}": cell for each, cell in zip(key, row, strict=True)}
        for row, digest in digests.items()
    ]
    op.get_bind().execute(sealed.values(digest=bindparam("new")), parameters)


def _digests(name: str) -> Mapping[Row, str]:
    """Compute the digest of every row of a table, by the row's key."""
    key = _KEYS[name]
    rows = _rows(name, *key, *_OTHER_COLUMNS[name])
    if name == "gatings":
        counts = _counts_by_gating()
        return {row[: len(key)]: gating_digest(row, counts[row[: len(key)]]) for row in rows}
    covered_from = 1 if key == ("id",) else 0
    return {row[: len(key)]: row_digest(row[covered_from:]) for row in rows}


def _counts_by_gating() -> Mapping[Row, list[Row]]:
    counts: defaultdict[Row, list[Row]] = defaultdict(list)
    for row in _rows("counts", *_GATING_KEY, *_COUNTS):
        counts[row[: len(_GATING_KEY)]].append(row[len(_GATING_KEY) :])
    return counts


def _rows(name: str, *columns: str) -> list[Row]:
    chosen = select(table(name, *map(column, columns)))
    return [tuple(row) for row in op.get_bind().execute(chosen)]
