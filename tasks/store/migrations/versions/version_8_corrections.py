"""Keep what a person corrected in a tube, beside what was counted without it."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    Text,
    bindparam,
    column,
    select,
    table,
)

from tasks.store.digests import gating_digest
from tasks.store.migrations.rebuild import rebuild_table, text_columns

revision = "8"
down_revision = "7"

_KEY = (
    "tube_sha256 strategy version engine_version evidence panel_sha256 calibration_sha256".split()
)
_NEW_KEY = [*_KEY, "correction_sha256"]
_GATING = "strategy_sha256 panel calibration total_events beads flags qc counted_at".split()
_COUNTS = (
    "population position events parent parent_events reference reference_events flags negatives"
).split()
_NONE = {"correction_sha256": ""}
"""Nobody corrected anything in what earlier programs counted."""

Key = tuple[Any, ...]


def upgrade() -> None:
    """Add the tables of corrections and exclusions, and the correction to the key of gatings."""
    _create_tables()
    _rebuild_gatings()
    _rebuild_counts()
    rebuild_table(
        "thresholds",
        *text_columns(*_NEW_KEY, "threshold", primary_key=True),
        *text_columns("marker", "detector", "source", "evidence_text", "tried"),
        Column("value", Float, nullable=False),
        filled=_NONE,
    )
    _seal_gatings()


def _create_tables() -> None:
    op.create_table(
        "corrections",
        Column("id", Integer, primary_key=True),
        *text_columns(
            *"tube_sha256 strategy version strategy_sha256 calibration calibration_sha256".split(),
            *"kind name value value_before limits populations at made_by second reason".split(),
            *"sha256_before sha256_after digest".split(),
        ),
        CheckConstraint("kind IN ('threshold', 'gate')", name="known_kind"),
    )
    op.create_index("corrections_by_tube", "corrections", ["tube_sha256"])
    op.create_table(
        "withdrawals",
        Column("id", Integer, primary_key=True),
        Column("correction_id", Integer, ForeignKey("corrections.id"), nullable=False, index=True),
        *text_columns("at", "made_by", "reason", "digest"),
    )
    op.create_table(
        "exclusions",
        Column("id", Integer, primary_key=True),
        Column("tube_sha256", Text, nullable=False, index=True),
        *text_columns("action", "at", "made_by", "reason", "digest"),
        CheckConstraint("action IN ('exclude', 'include')", name="known_action"),
    )


def _rebuild_gatings() -> None:
    rebuild_table(
        "gatings",
        *text_columns(*_NEW_KEY, primary_key=True),
        *text_columns("strategy_sha256", "panel", "calibration"),
        Column("total_events", BigInteger, nullable=False),
        Column("beads", BigInteger),
        *text_columns("flags", "qc", "counted_at", "digest"),
        filled=_NONE,
    )


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
        filled=_NONE,
    )


def _seal_gatings() -> None:
    """Write the digests of the wider rows; one that did not match its row before does not now."""
    counts = _counts_by_gating()
    chosen = select(table("gatings", *map(column, (*_NEW_KEY, *_GATING, "digest"))))
    sealed = []
    for row in op.get_bind().execute(chosen):
        key, others = tuple(row[: len(_KEY)]), tuple(row[len(_NEW_KEY) : -1])
        if row.digest == gating_digest((*key, *others), counts[key]):
            digest = gating_digest((*key, "", *others), counts[key])
            named = {f"of_{name}": cell for name, cell in zip(_KEY, key, strict=True)}
            sealed.append({"new": digest} | named)
    if not sealed:
        return
    statement = table("gatings", column("digest"), *map(column, _KEY)).update()
    for name in _KEY:
        statement = statement.where(column(name) == bindparam(f"of_{name}"))
    op.get_bind().execute(statement.values(digest=bindparam("new")), sealed)


def _counts_by_gating() -> Mapping[Key, list[Key]]:
    counts: defaultdict[Key, list[Key]] = defaultdict(list)
    chosen = select(table("counts", *map(column, (*_KEY, *_COUNTS))))
    for row in op.get_bind().execute(chosen):
        counts[tuple(row[: len(_KEY)])].append(tuple(row[len(_KEY) :]))
    return counts
