"""Keep who may open the review pages."""

from alembic import op
from sqlalchemy import Column, Integer, Text

from tasks.store.migrations.rebuild import text_columns

revision = "9"
down_revision = "8"


def upgrade() -> None:
    """Add the table of those who have a token; all others stay as they are."""
    op.create_table(
        "people",
        Column("id", Integer, primary_key=True),
        *text_columns("name", "role", "token_hash", "since", "entry"),
        Column("ended_at", Text),
        *text_columns("digest"),
    )
