"""Keep a log of what persons decided, their reviews and their signatures."""

from alembic import op
from sqlalchemy import Column, Integer, UniqueConstraint

from tasks.store.migrations.rebuild import text_columns

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Add the tables of the log, of reviews and of signatures; all others stay as they are."""
    op.create_table(
        "audit",
        Column("id", Integer, primary_key=True, autoincrement=False),
        *text_columns("at", "actor", "action", "subject", "details", "previous", "sha256"),
        UniqueConstraint("previous"),
    )
    op.create_table(
        "reviews",
        Column("id", Integer, primary_key=True),
        *text_columns("at", "patient", "visit", "tube_sha256"),
        *text_columns("decision", "reviewer", "comment", "saw", "entry", "digest"),
    )
    op.create_table(
        "signatures",
        Column("id", Integer, primary_key=True),
        *text_columns("at", "patient", "data_cut", "state", "signer", "meaning"),
        *text_columns("content", "entry", "digest"),
    )
