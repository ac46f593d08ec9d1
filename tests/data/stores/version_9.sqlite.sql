-- The tables of a store of version 9, as its program made them.
CREATE TABLE schema_version (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE notes (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE leases (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    host TEXT NOT NULL,
    machine TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started TEXT NOT NULL,
    taken_at TEXT NOT NULL,
    heartbeat INTEGER NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE files (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    inbox_path TEXT NOT NULL,
    place TEXT,
    sha256 TEXT,
    size BIGINT NOT NULL,
    mtime_ns BIGINT NOT NULL,
    seen_at FLOAT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    duplicate_of TEXT,
    changed_at TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_state CHECK (state IN ('settling', 'waiting', 'accepted', 'counted', 'failed', 'quarantined', 'duplicate')),
    UNIQUE (place)
);
CREATE INDEX files_by_inbox_path ON files (inbox_path);
CREATE INDEX ix_files_sha256 ON files (sha256);
CREATE INDEX ix_files_state ON files (state);
CREATE TABLE transitions (
    id INTEGER NOT NULL,
    file_id INTEGER NOT NULL,
    at TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(file_id) REFERENCES files (id)
);
CREATE INDEX ix_transitions_file_id ON transitions (file_id);
CREATE TABLE moves (
    file_id INTEGER NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    duplicate_of TEXT,
    PRIMARY KEY (file_id),
    FOREIGN KEY(file_id) REFERENCES files (id)
);
CREATE TABLE tubes (
    tube_sha256 TEXT NOT NULL,
    file TEXT NOT NULL,
    patient TEXT NOT NULL,
    collected TEXT NOT NULL,
    panel TEXT NOT NULL,
    visit TEXT NOT NULL,
    specimen TEXT NOT NULL,
    acquired TEXT,
    instrument TEXT,
    batch TEXT,
    operator TEXT,
    control TEXT,
    car_reagent TEXT,
    comment TEXT,
    leukocytes_per_ul FLOAT,
    lymphocytes_per_ul FLOAT,
    beads_per_tube FLOAT,
    blood_volume_ul FLOAT,
    acquired_volume_ul FLOAT,
    dilution FLOAT,
    cytometer TEXT,
    serial TEXT,
    keywords TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (tube_sha256)
);
CREATE INDEX tubes_by_patient ON tubes (patient);
CREATE TABLE gatings (
    tube_sha256 TEXT NOT NULL,
    strategy TEXT NOT NULL,
    version TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    evidence TEXT NOT NULL,
    panel_sha256 TEXT NOT NULL,
    calibration_sha256 TEXT NOT NULL,
    correction_sha256 TEXT NOT NULL,
    strategy_sha256 TEXT NOT NULL,
    panel TEXT NOT NULL,
    calibration TEXT NOT NULL,
    total_events BIGINT NOT NULL,
    beads BIGINT,
    flags TEXT NOT NULL,
    qc TEXT NOT NULL,
    counted_at TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (tube_sha256, strategy, version, engine_version, evidence, panel_sha256, calibration_sha256, correction_sha256)
);
CREATE TABLE counts (
    tube_sha256 TEXT NOT NULL,
    strategy TEXT NOT NULL,
    version TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    evidence TEXT NOT NULL,
    panel_sha256 TEXT NOT NULL,
    calibration_sha256 TEXT NOT NULL,
    correction_sha256 TEXT NOT NULL,
    population TEXT NOT NULL,
    position INTEGER NOT NULL,
    events BIGINT NOT NULL,
    parent TEXT NOT NULL,
    parent_events BIGINT NOT NULL,
    reference TEXT NOT NULL,
    reference_events BIGINT NOT NULL,
    flags TEXT NOT NULL,
    negatives TEXT,
    PRIMARY KEY (tube_sha256, strategy, version, engine_version, evidence, panel_sha256, calibration_sha256, correction_sha256, population),
    CONSTRAINT child_within_parent CHECK (events >= 0 AND events <= parent_events)
);
CREATE TABLE thresholds (
    tube_sha256 TEXT NOT NULL,
    strategy TEXT NOT NULL,
    version TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    evidence TEXT NOT NULL,
    panel_sha256 TEXT NOT NULL,
    calibration_sha256 TEXT NOT NULL,
    correction_sha256 TEXT NOT NULL,
    threshold TEXT NOT NULL,
    marker TEXT NOT NULL,
    detector TEXT NOT NULL,
    source TEXT NOT NULL,
    evidence_text TEXT NOT NULL,
    tried TEXT NOT NULL,
    value FLOAT NOT NULL,
    PRIMARY KEY (tube_sha256, strategy, version, engine_version, evidence, panel_sha256, calibration_sha256, correction_sha256, threshold)
);
CREATE TABLE readings (
    tube_sha256 TEXT NOT NULL,
    strategy TEXT NOT NULL,
    version TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    panel_sha256 TEXT NOT NULL,
    calibration_sha256 TEXT NOT NULL,
    document TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (tube_sha256, strategy, version, engine_version, panel_sha256, calibration_sha256)
);
CREATE TABLE corrections (
    id INTEGER NOT NULL,
    tube_sha256 TEXT NOT NULL,
    strategy TEXT NOT NULL,
    version TEXT NOT NULL,
    strategy_sha256 TEXT NOT NULL,
    calibration TEXT NOT NULL,
    calibration_sha256 TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    value_before TEXT NOT NULL,
    limits TEXT NOT NULL,
    populations TEXT NOT NULL,
    at TEXT NOT NULL,
    made_by TEXT NOT NULL,
    second TEXT NOT NULL,
    reason TEXT NOT NULL,
    sha256_before TEXT NOT NULL,
    sha256_after TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_kind CHECK (kind IN ('threshold', 'gate'))
);
CREATE INDEX corrections_by_tube ON corrections (tube_sha256);
CREATE TABLE withdrawals (
    id INTEGER NOT NULL,
    correction_id INTEGER NOT NULL,
    at TEXT NOT NULL,
    made_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(correction_id) REFERENCES corrections (id)
);
CREATE INDEX ix_withdrawals_correction_id ON withdrawals (correction_id);
CREATE TABLE exclusions (
    id INTEGER NOT NULL,
    tube_sha256 TEXT NOT NULL,
    action TEXT NOT NULL,
    at TEXT NOT NULL,
    made_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_action CHECK (action IN ('exclude', 'include'))
);
CREATE INDEX ix_exclusions_tube_sha256 ON exclusions (tube_sha256);
CREATE TABLE editions (
    id INTEGER NOT NULL,
    patient TEXT NOT NULL,
    at TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    kinetics BLOB NOT NULL,
    parameters BLOB NOT NULL,
    recovery BLOB NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX ix_editions_patient ON editions (patient);
CREATE TABLE promotions (
    id INTEGER NOT NULL,
    at TEXT NOT NULL,
    panel TEXT NOT NULL,
    from_strategy TEXT NOT NULL,
    to_strategy TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    concordance TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE pin_changes (
    panel TEXT NOT NULL,
    from_strategy TEXT NOT NULL,
    to_strategy TEXT NOT NULL,
    PRIMARY KEY (panel)
);
CREATE TABLE counted_with (
    panel TEXT NOT NULL,
    strategy TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (panel)
);
CREATE TABLE audit (
    id INTEGER NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL,
    previous TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (previous)
);
CREATE TABLE reviews (
    id INTEGER NOT NULL,
    at TEXT NOT NULL,
    patient TEXT NOT NULL,
    visit TEXT NOT NULL,
    tube_sha256 TEXT NOT NULL,
    decision TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    comment TEXT NOT NULL,
    saw TEXT NOT NULL,
    entry TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE signatures (
    id INTEGER NOT NULL,
    at TEXT NOT NULL,
    patient TEXT NOT NULL,
    data_cut TEXT NOT NULL,
    state TEXT NOT NULL,
    signer TEXT NOT NULL,
    meaning TEXT NOT NULL,
    content TEXT NOT NULL,
    entry TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE runs (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE people (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    since TEXT NOT NULL,
    entry TEXT NOT NULL,
    ended_at TEXT,
    digest TEXT NOT NULL,
    PRIMARY KEY (id)
);
