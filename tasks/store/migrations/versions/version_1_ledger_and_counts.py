"""Make the first store: the ledger of files, the tubes, their counts, and the runs."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Integer, Text

from tasks.store.migrations.rebuild import text_columns

revision = "1"
down_revision = None

_STATES = "'settling', 'waiting', 'accepted', 'counted', 'failed', 'quarantined', 'duplicate'"


def upgrade() -> None:
    """Make the tables of version 1."""
    op.create_table("schema_version", Column("version", Integer, primary_key=True))
    op.create_table("notes", *text_columns("name", primary_key=True), *text_columns("value"))
    _make_ledger()
    _make_tubes()
    _make_counts()
    op.create_table(
        "runs",
        Column("id", Integer, primary_key=True),
        *text_columns("kind", "started_at"),
        Column("ended_at", Text),
        *text_columns("outcome", "summary"),
    )


def _make_ledger() -> None:
    op.create_table(
        "files",
        Column("id", Integer, primary_key=True),
        *text_columns("name", "inbox_path"),
        Column("place", Text, unique=True),
        Column("sha256", Text),
        Column("size", BigInteger, nullable=False),
        Column("mtime_ns", BigInteger, nullable=False),
        Column("seen_at", Float, nullable=False),
        *text_columns("state", "reason"),
        Column("duplicate_of", Text),
        *text_columns("changed_at"),
        CheckConstraint(f"state IN ({_STATES})", name="known_state"),
    )
    op.create_index("ix_files_sha256", "files", ["sha256"])
    op.create_index("ix_files_state", "files", ["state"])
    op.create_index("files_by_inbox_path", "files", ["inbox_path"])
    op.create_table(
        "transitions",
        Column("id", Integer, primary_key=True),
        Column("file_id", Integer, ForeignKey("files.id"), nullable=False),
        *text_columns("at"),
        Column("from_state", Text),
        *text_columns("to_state", "reason"),
    )
    op.create_index("ix_transitions_file_id", "transitions", ["file_id"])
    op.create_table(
        "moves",
        Column("file_id", Integer, ForeignKey("files.id"), primary_key=True),
        *text_columns("source", "target", "state", "reason"),
        Column("duplicate_of", Text),
    )


def _make_tubes() -> None:
    texts = ("acquired", "instrument", "batch", "operator", "control", "car_reagent", "comment")
    numbers = (
        "leukocytes_per_ul",
        "lymphocytes_per_ul",
        "beads_per_tube",
        "blood_volume_ul",
        "acquired_volume_ul",
        "dilution",
    )
    op.create_table(
        "tubes",
        *text_columns("tube_sha256", primary_key=True),
        *text_columns("file", "patient", "collected", "panel", "visit", "specimen"),
        *(Column(name, Text) for name in texts),
        *(Column(name, Float) for name in numbers),
        *text_columns("keywords"),
    )


def _make_counts() -> None:
    key = ("tube_sha256", "strategy", "version", "engine_version")
    op.create_table(
        "gatings",
        *text_columns(*key, primary_key=True),
        *text_columns("strategy_sha256", "panel"),
        Column("total_events", BigInteger, nullable=False),
        Column("beads", BigInteger),
        *text_columns("flags", "qc", "counted_at"),
    )
    op.create_table(
        "counts",
        *text_columns(*key, "population", primary_key=True),
        Column("position", Integer, nullable=False),
        Column("events", BigInteger, nullable=False),
        *text_columns("parent"),
        Column("parent_events", BigInteger, nullable=False),
        *text_columns("reference"),
        Column("reference_events", BigInteger, nullable=False),
        CheckConstraint("events >= 0 AND events <= parent_events", name="child_within_parent"),
    )
