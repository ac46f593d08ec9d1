"""Lay out what the store keeps of passes: their locks, their ends, what is left for the next."""

from sqlalchemy import Column, Integer, Table, Text

from tasks.store.schema.layout import metadata

notes = Table(
    "notes", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False)
)
"""What the program keeps from one pass to the next; losing it costs time, never a result."""

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("holder", "host", "machine")),
    Column("pid", Integer, nullable=False),
    *(Column(name, Text, nullable=False) for name in ("started", "taken_at")),
    Column("heartbeat", Integer, nullable=False),
)
"""One row a lock of the study that is held now: by whom, and that it still lives."""

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("outcome", Text, nullable=False),
    Column("summary", Text, nullable=False),
)
"""One row a pass over the study."""
