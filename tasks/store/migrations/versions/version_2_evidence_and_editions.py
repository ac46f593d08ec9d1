"""Keep by which reference tubes a count came about, and every edition of a patient's tables."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Float, Integer, LargeBinary, Text

from tasks.store.migrations.rebuild import rebuild_table, text_columns

revision = "2"
down_revision = "1"

_MEASURED_KEY = ("tube_sha256", "strategy", "version", "engine_version")
_KEY = (*_MEASURED_KEY, "evidence")


def upgrade() -> None:
    """Add ``evidence`` to the key of every count, flags and negatives to counts, and new tables.

    Earlier counts were made by the tube alone: their ``evidence`` is empty, and they had no flags.
    """
    rebuild_table(
        "gatings",
        *text_columns(*_KEY, primary_key=True),
        *text_columns("strategy_sha256", "panel"),
        Column("total_events", BigInteger, nullable=False),
        Column("beads", BigInteger),
        *text_columns("flags", "qc", "counted_at"),
        filled={"evidence": ""},
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
        filled={"evidence": "", "flags": "[]", "negatives": None},
    )
    op.create_table(
        "thresholds",
        *text_columns(*_KEY, "threshold", primary_key=True),
        *text_columns("marker", "detector", "source", "evidence_text", "tried"),
        Column("value", Float, nullable=False),
    )
    op.create_table(
        "readings",
        *text_columns(*_MEASURED_KEY, primary_key=True),
        *text_columns("document"),
    )
    _make_editions_and_promotions()


def _make_editions_and_promotions() -> None:
    op.create_table(
        "editions",
        Column("id", Integer, primary_key=True),
        *text_columns("patient", "at", "fingerprint"),
        Column("kinetics", LargeBinary, nullable=False),
        Column("parameters", LargeBinary, nullable=False),
        Column("recovery", LargeBinary, nullable=False),
    )
    op.create_index("ix_editions_patient", "editions", ["patient"])
    op.create_table(
        "promotions",
        Column("id", Integer, primary_key=True),
        *text_columns("at", "panel", "from_strategy", "to_strategy"),
        *text_columns("approved_by", "reason", "concordance"),
    )
