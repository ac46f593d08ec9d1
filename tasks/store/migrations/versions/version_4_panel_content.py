"""Keep with which content of its panel a tube was counted, and which strategy counts a panel."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Float, Integer, Text

from tasks.store.migrations.rebuild import rebuild_table, text_columns

revision = "4"
down_revision = "3"

_MEASURED_KEY = ("tube_sha256", "strategy", "version", "engine_version", "panel_sha256")
_KEY = ("tube_sha256", "strategy", "version", "engine_version", "evidence", "panel_sha256")
_UNKNOWN = {"panel_sha256": ""}
"""Earlier rows do not know with which content of the panel they were made."""


def upgrade() -> None:
    """Add ``panel_sha256`` to the key of counts, thresholds and readings, and make new tables."""
    _add_panel_to_counts()
    rebuild_table(
        "thresholds",
        *text_columns(*_KEY, "threshold", primary_key=True),
        *text_columns("marker", "detector", "source", "evidence_text", "tried"),
        Column("value", Float, nullable=False),
        filled=_UNKNOWN,
    )
    rebuild_table(
        "readings",
        *text_columns(*_MEASURED_KEY, primary_key=True),
        *text_columns("document"),
        filled=_UNKNOWN,
    )
    op.create_table(
        "pin_changes",
        *text_columns("panel", primary_key=True),
        *text_columns("from_strategy", "to_strategy"),
    )
    op.create_table(
        "counted_with", *text_columns("panel", primary_key=True), *text_columns("strategy", "at")
    )


def _add_panel_to_counts() -> None:
    rebuild_table(
        "gatings",
        *text_columns(*_KEY, primary_key=True),
        *text_columns("strategy_sha256", "panel"),
        Column("total_events", BigInteger, nullable=False),
        Column("beads", BigInteger),
        *text_columns("flags", "qc", "counted_at"),
        filled=_UNKNOWN,
    )
    rebuild_table(
        "counts",
        *text_columns(*_KEY, "population", primary_key=True),
        Column("position", Integer, nullable=False),
        Column("events", BigInteger, nullable=False),
        *text_columns("parent"),
        Column("parent_events", BigInteger, nullable=False),
        *text_columns("reference"),
        Column("reference_events", BigInteger, nullable=False),
        *text_columns("flags"),
        Column("negatives", Text),
        CheckConstraint("events >= 0 AND events <= parent_events", name="child_within_parent"),
        filled=_UNKNOWN,
    )
