"""Find the tubes of a patient without reading all tubes."""

from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Index the tubes by patient."""
    op.create_index("tubes_by_patient", "tubes", ["patient"])
