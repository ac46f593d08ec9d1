"""Lay out what the store keeps of persons: what they decided, their log and their tokens."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from tasks.store.schema.layout import metadata, texts

corrections = Table(
    "corrections",
    metadata,
    Column("id", Integer, primary_key=True),
    *texts("tube_sha256", "strategy", "version", "strategy_sha256"),
    *texts("calibration", "calibration_sha256", "kind", "name", "value", "value_before"),
    *texts("limits", "populations", "at", "made_by", "second", "reason"),
    *texts("sha256_before", "sha256_after", "digest"),
    CheckConstraint("kind IN ('threshold', 'gate')", name="known_kind"),
)
"""One row a threshold or gate that a person set in a tube, in order of ``id``; append-only.

It holds for one tube under one content of strategy and calibration. ``value`` and ``value_before``
are JSON: a number or a list of vertices, in the file's linear units. ``limits`` says in words how
far one person may go. ``sha256_before`` and ``sha256_after`` are the ``correction_sha256`` of the
tube's gatings before it and with it.
"""

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("correction_id", Integer, ForeignKey("corrections.id"), nullable=False, index=True),
    *texts("at", "made_by", "reason", "digest"),
)
"""One row a correction that a person took back, in order of ``id``; append-only."""

exclusions = Table(
    "exclusions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tube_sha256", Text, nullable=False, index=True),
    *texts("action", "at", "made_by", "reason", "digest"),
    CheckConstraint("action IN ('exclude', 'include')", name="known_action"),
)
"""One row each time a person took a tube out of every series, or let it in again, in order of
``id``; append-only."""

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    *texts("panel", "from_strategy", "to_strategy", "approved_by", "reason", "concordance"),
)
"""One row a strategy version that was made the current one of a panel, in order of ``id``;
append-only."""

pin_changes = Table(
    "pin_changes",
    metadata,
    Column("panel", Text, primary_key=True),
    Column("from_strategy", Text, nullable=False),
    Column("to_strategy", Text, nullable=False),
)
"""One row a pin that study.yaml is about to get: written with its promotion, removed after, so that
a killed promotion is finished."""

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False) for name in ("at", "actor", "action", "subject")),
    Column("details", Text, nullable=False),
    Column("previous", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False),
)
"""One row something that a person decided, or that changed published numbers; append-only.

``id`` counts from 1 without gaps. ``sha256`` is that of the row with ``previous``, the hash of the
row before it (tasks/store/audit.py).
"""

reviews = Table(
    "reviews",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("at", "patient", "visit", "tube_sha256")),
    *(Column(name, Text, nullable=False) for name in ("decision", "reviewer", "comment")),
    *(Column(name, Text, nullable=False) for name in ("saw", "entry", "digest")),
)
"""One row a decision on a visit, or on one tube of it (``tube_sha256``); append-only.

``saw`` is, as JSON, what the reviewer decided on; ``entry`` is the hash of its entry of ``audit``.
"""

signatures = Table(
    "signatures",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("at", "patient", "data_cut", "state")),
    *(Column(name, Text, nullable=False) for name in ("signer", "meaning")),
    *(Column(name, Text, nullable=False) for name in ("content", "entry", "digest")),
)
"""One row a signature under a patient's tables; append-only.

``data_cut`` is the day they are of (empty: as they were at ``at``), ``content`` the hash of what
was signed, ``entry`` that of its entry of ``audit``.
"""

people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("name", "role", "token_hash", "since")),
    *texts("entry"),
    Column("ended_at", Text),
    Column("digest", Text, nullable=False),
)
"""One row a token for the review pages: whose it is, its salted hash, from when to when it opened
them.

``entry`` is the hash of its entry of ``audit``. ``digest`` does not cover ``ended_at``, which comes
later and of which the log tells.
"""

Index("corrections_by_tube", corrections.c.tube_sha256)
