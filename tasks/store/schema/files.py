"""Lay out what the store keeps of files and tubes: where, in what state, and whose they are."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
)

from tasks.store.schema.layout import metadata, texts

STATES = ("settling", "waiting", "accepted", "counted", "failed", "quarantined", "duplicate")

files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("inbox_path", Text, nullable=False),
    Column("place", Text, unique=True),
    Column("sha256", Text, index=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("duplicate_of", Text),
    Column("changed_at", Text, nullable=False),
    CheckConstraint("state IN ('" + "', '".join(STATES) + "')", name="known_state"),
)
"""One row a file that ever entered the inbox. ``place`` is where its bytes lie now, None when they
are gone."""

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file_id", Integer, ForeignKey("files.id"), nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
)
"""One row a change of a file's state, reason or identity, in order of ``id``; append-only."""

moves = Table(
    "moves",
    metadata,
    Column("file_id", Integer, ForeignKey("files.id"), primary_key=True),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("duplicate_of", Text),
)
"""One row a file that is about to be moved: written before, removed after, so that a run that was
killed is finished."""

tubes = Table(
    "tubes",
    metadata,
    Column("tube_sha256", Text, primary_key=True),
    *texts("file", "patient", "collected", "panel", "visit", "specimen"),
    *(
        Column(name, Text)
        for name in (
            "acquired",
            "instrument",
            "batch",
            "operator",
            "control",
            "car_reagent",
            "comment",
        )
    ),
    *(
        Column(name, Float)
        for name in ("leukocytes_per_ul", "lymphocytes_per_ul", "beads_per_tube", "blood_volume_ul")
    ),
    *(Column(name, Float) for name in ("acquired_volume_ul", "dilution")),
    *(Column(name, Text) for name in ("cytometer", "serial")),
    Column("keywords", Text, nullable=False),
    Column("digest", Text, nullable=False),
)
"""One row an accepted tube: its identity; ``keywords`` is what the file itself says of it, as
JSON.

``cytometer`` and ``serial`` are the file's own (``$CYT`` and its serial number; empty: it names
none). They are None in rows of stores older than version 6 until the file was asked.
"""

Index("files_by_inbox_path", files.c.inbox_path)
Index("tubes_by_patient", tubes.c.patient)
