"""Lay out the store: what is kept of files, tubes, counts and runs, and what is unique in it.

The same tables serve SQLite (one folder, one machine) and PostgreSQL (many workers). Times are ISO
8601 texts: those the laboratory wrote are kept as written, those of the program are UTC. Nothing in
``transitions``, ``gatings``, ``counts``, ``audit``, ``reviews``, ``signatures``, ``corrections``,
``withdrawals`` and ``exclusions`` is ever changed once written. A ``digest`` is that of its row
(tasks/store/digests.py) and the last column.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

SCHEMA_VERSION = 9
STATES = ("settling", "waiting", "accepted", "counted", "failed", "quarantined", "duplicate")

metadata = MetaData()


def _texts(*names: str) -> list[Column[str]]:
    """Describe columns of text that always hold a value."""
    return [Column(name, Text, nullable=False) for name in names]


versions = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

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
    *_texts("file", "patient", "collected", "panel", "visit", "specimen"),
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

MADE_WITH = ("panel_sha256", "calibration_sha256")
GATING_KEY = (
    "tube_sha256",
    "strategy",
    "version",
    "engine_version",
    "evidence",
    *MADE_WITH,
    "correction_sha256",
)

gatings = Table(
    "gatings",
    metadata,
    *(Column(name, Text, primary_key=True) for name in GATING_KEY),
    Column("strategy_sha256", Text, nullable=False),
    Column("panel", Text, nullable=False),
    Column("calibration", Text, nullable=False),
    Column("total_events", BigInteger, nullable=False),
    Column("beads", BigInteger),
    Column("flags", Text, nullable=False),
    Column("qc", Text, nullable=False),
    Column("counted_at", Text, nullable=False),
    Column("digest", Text, nullable=False),
)
"""One row a tube × strategy version × engine version × evidence × content of the panel × content of
the calibration × corrections: what holds for all its counts.

``evidence`` is a hash of the reference tubes that this tube's thresholds depend on (empty when they
depend on nothing but the tube itself and the strategy). When a control or a baseline tube comes
late, a row with other evidence supersedes the earlier one, which stays. ``panel_sha256`` is empty
in rows of stores older than version 4, which did not know with which content of the panel they
counted: such tubes are counted once more. ``calibration_sha256`` and ``calibration`` (its pin) are
empty where the strategy's own numbers counted. ``correction_sha256`` is the hash of the corrections
that a person made in the tube (tasks/store/corrections.py), empty where there are none. ``digest``
is that of the row and its counts.
"""

counts = Table(
    "counts",
    metadata,
    *(Column(name, Text, primary_key=True) for name in (*GATING_KEY, "population")),
    Column("position", Integer, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("parent", Text, nullable=False),
    Column("parent_events", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("reference_events", BigInteger, nullable=False),
    Column("flags", Text, nullable=False),
    Column("negatives", Text),
    CheckConstraint("events >= 0 AND events <= parent_events", name="child_within_parent"),
)
"""One row a gating × population."""

thresholds = Table(
    "thresholds",
    metadata,
    *(Column(name, Text, primary_key=True) for name in (*GATING_KEY, "threshold")),
    *_texts("marker", "detector", "source", "evidence_text", "tried"),
    Column("value", Float, nullable=False),
)
"""One row a gating × threshold: its value, its source and, as JSON, what was tried before."""

readings = Table(
    "readings",
    metadata,
    *(
        Column(name, Text, primary_key=True)
        for name in ("tube_sha256", "strategy", "version", "engine_version", *MADE_WITH)
    ),
    Column("document", Text, nullable=False),
    Column("digest", Text, nullable=False),
)
"""One row a tube × strategy version × engine version × content of the panel × content of the
calibration: what was measured of the tube's thresholds, as JSON."""

corrections = Table(
    "corrections",
    metadata,
    Column("id", Integer, primary_key=True),
    *_texts("tube_sha256", "strategy", "version", "strategy_sha256"),
    *_texts("calibration", "calibration_sha256", "kind", "name", "value", "value_before"),
    *_texts("limits", "populations", "at", "made_by", "second", "reason"),
    *_texts("sha256_before", "sha256_after", "digest"),
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
    *_texts("at", "made_by", "reason", "digest"),
)
"""One row a correction that a person took back, in order of ``id``; append-only."""

exclusions = Table(
    "exclusions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tube_sha256", Text, nullable=False, index=True),
    *_texts("action", "at", "made_by", "reason", "digest"),
    CheckConstraint("action IN ('exclude', 'include')", name="known_action"),
)
"""One row each time a person took a tube out of every series, or let it in again, in order of
``id``; append-only."""

editions = Table(
    "editions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("patient", Text, nullable=False, index=True),
    Column("at", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    *(Column(name, LargeBinary, nullable=False) for name in ("kinetics", "parameters", "recovery")),
    Column("digest", Text, nullable=False),
)
"""One row each time a patient's tables changed: the tables as they were written (CSV, compressed),
in order of ``id``; append-only.

A patient whose tubes all went elsewhere gets an edition without rows.
"""

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    *_texts("panel", "from_strategy", "to_strategy", "approved_by", "reason", "concordance"),
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

counted_with = Table(
    "counted_with",
    metadata,
    Column("panel", Text, primary_key=True),
    Column("strategy", Text, nullable=False),
    Column("at", Text, nullable=False),
)
"""One row a panel of which tubes were counted: the strategy version (``cart@2.0.0``) in use then,
and since when."""

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

people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("name", "role", "token_hash", "since")),
    *_texts("entry"),
    Column("ended_at", Text),
    Column("digest", Text, nullable=False),
)
"""One row a token for the review pages: whose it is, its salted hash, from when to when it opened
them.

``entry`` is the hash of its entry of ``audit``. ``digest`` does not cover ``ended_at``, which comes
later and of which the log tells.
"""

Index("files_by_inbox_path", files.c.inbox_path)
Index("tubes_by_patient", tubes.c.patient)
Index("corrections_by_tube", corrections.c.tube_sha256)
