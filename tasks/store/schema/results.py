"""Lay out what the store keeps of results: counts, thresholds, readings, patients' tables."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, Integer, LargeBinary, Table, Text

from tasks.store.schema.layout import metadata, texts

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
    *texts("marker", "detector", "source", "evidence_text", "tried"),
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

counted_with = Table(
    "counted_with",
    metadata,
    Column("panel", Text, primary_key=True),
    Column("strategy", Text, nullable=False),
    Column("at", Text, nullable=False),
)
"""One row a panel of which tubes were counted: the strategy version (``cart@2.0.0``) in use then,
and since when."""

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
