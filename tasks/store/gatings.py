"""Keep what gating a tube gave: numbers once written are never changed."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select

from gating.evaluation.compiled_strategy import RealisedThreshold
from panels.files.lock import canonical_sha256
from panels.text.errors import TubeFault
from tasks.counting.counts import PopulationCount
from tasks.store.corrections import Binding
from tasks.store.digests import gating_digest, is_intact_gating
from tasks.store.ledger import FileRecord, set_tube_state
from tasks.store.opening import Store, utc_now
from tasks.store.schema.results import GATING_KEY, counts, gatings, thresholds
from tasks.store.upsert import insert_into

STAINS = "stains"
"""The key of ``qc`` that says how brightly cells are stained; gatings of earlier releases lack it,
and tables read it."""


@dataclass(frozen=True, slots=True)
class TubeGating:
    """What gating one tube gave under one strategy version (``bcell@1.0.0``) by one engine version.

    ``flags`` and ``qc`` (values JSON can hold) are the results of quality control; ``beads`` is
    None without bead gate. ``reference_set_sha256`` stands for the other tubes that this tube's
    thresholds depend on (empty: none). ``thresholds`` are written, and not read back. ``panel``
    names the panel's version, ``panel_sha256`` its content (empty: counted by a program that did
    not note it). ``calibration`` names the calibration whose numbers counted,
    ``calibration_sha256`` its content (both empty: the strategy's own numbers).
    ``correction_sha256`` stands for what a person corrected in the tube (empty: nothing). One that
    is not ``intact`` was altered in the store since it was written, and has no counts.
    ``counted_at`` (UTC) is the store's, and empty until it is read from there.
    """

    tube_sha256: str
    strategy: str
    strategy_sha256: str
    engine_version: str
    panel: str
    total_events: int
    counts: tuple[PopulationCount, ...]
    beads: int | None = None
    flags: tuple[str, ...] = ()
    qc: Mapping[str, Any] = field(default_factory=dict)
    reference_set_sha256: str = ""
    thresholds: tuple[RealisedThreshold, ...] = ()
    panel_sha256: str = ""
    calibration: str = ""
    calibration_sha256: str = ""
    correction_sha256: str = ""
    intact: bool = True
    counted_at: str = field(default="", compare=False)

    @property
    def binding(self) -> Binding:
        """Give what a correction would have to hold for to count in it."""
        return Binding(
            self.tube_sha256, self.strategy, self.strategy_sha256, self.calibration_sha256
        )

    @property
    def counted_as(self) -> str:
        """Hash everything that decides which events of the tube belong to which gate."""
        names = (
            "tube_sha256 strategy strategy_sha256 engine_version panel_sha256 calibration_sha256 "
            "correction_sha256 reference_set_sha256"
        )
        return canonical_sha256({name: getattr(self, name) for name in names.split()})


@dataclass(frozen=True, slots=True)
class GatingRows:
    """Rows of ``gatings`` and of ``counts`` as they lie in the store; nothing was checked yet."""

    gated: Sequence[Row[Any]]
    counted: Sequence[Row[Any]]

    @property
    def sha256(self) -> str:
        """Hash every cell: of the same rows the same follows, altered ones among them."""
        digest = hashlib.sha256()
        for row in (*self.gated, *self.counted):
            digest.update(repr(tuple(row)).encode())
        return digest.hexdigest()


def save_gating(store: Store, gating: TubeGating, *, seen: FileRecord | None = None) -> bool:
    """Write the counts of a tube, which makes its file ``counted``, and tell whether they are new.

    With ``seen``, its file when counting began, a state or reason that it got since stays.

    Writing the same again changes nothing; quality figures that a later release of the program
    words otherwise do not make another count. Where they say for the first time how brightly cells
    are stained, quality figures and thresholds are written anew beside the same numbers. Stored
    counts that were altered since they were written are replaced.

    Raises TubeFault when the same engine version counted the same tube otherwise before: the
    earlier counts stay.
    """
    with store.writing() as connection:
        new = _insert(connection, gating)
        kept: TubeGating | None = gating
        if not new:
            kept = _with_same_key(connection, gating)
        if kept is None:
            # What is stored is not what was written, and only the tube's bytes can say what was.
            _remove(connection, gating)
            new, kept = _insert(connection, gating), gating
        same = _numbers(kept) == _numbers(gating)
        if same and STAINS in gating.qc and STAINS not in kept.qc:
            _remove(connection, gating)
            _insert(connection, gating, counted_at=kept.counted_at)
        if same:
            set_tube_state(connection, gating.tube_sha256, "counted", seen=seen)
    if not same:
        raise TubeFault(_contradiction(kept, gating))
    return new


def gatings_of(store: Store, tube_sha256: str) -> list[TubeGating]:
    """List everything ever counted in one tube, oldest first, without what was altered since."""
    gated = select(gatings).where(gatings.c.tube_sha256 == tube_sha256)
    counted = select(counts).where(counts.c.tube_sha256 == tube_sha256)
    with store.reading() as connection:
        read = read_gatings(connection, gated.order_by(gatings.c.counted_at), counted)
    return [gating for gating in read if gating.intact]


def read_gatings(
    connection: Connection, gated: Select[Any], counted: Select[Any]
) -> list[TubeGating]:
    """Read the rows of ``gatings`` that one query chooses, and of ``counts`` that another does.

    Both queries choose all columns. The gatings stay in the order of theirs; counts without a
    gating are left out.
    """
    return gatings_from(rows_of(connection, gated, counted))


def rows_of(connection: Connection, gated: Select[Any], counted: Select[Any]) -> GatingRows:
    """Give the rows of ``read_gatings`` as they lie in the store."""
    rows = connection.execute(gated).all()
    in_order = counted.order_by(*(counts.c[name] for name in GATING_KEY), counts.c.position)
    return GatingRows(rows, connection.execute(in_order).all())


def gatings_from(rows: GatingRows) -> list[TubeGating]:
    """Read some rows, each gating with its counts, and tell which are as they were written."""
    by_key: dict[tuple[str, ...], list[Row[Any]]] = {}
    for key, row in zip(_keys_of(rows.counted), rows.counted, strict=True):
        by_key.setdefault(key, []).append(row)
    return [
        _gating_of(row, by_key.get(key, []))
        for key, row in zip(_keys_of(rows.gated), rows.gated, strict=True)
    ]


def _contradiction(kept: TubeGating, gating: TubeGating) -> str:
    """Say how a gating contradicts the one with the same key that is kept."""
    sha = gating.tube_sha256[:12]
    if kept.strategy_sha256 != gating.strategy_sha256:
        return (
            f"Tube {sha} was counted before under another "
            f"{gating.strategy} (content {kept.strategy_sha256[:12]}, now "
            f"{gating.strategy_sha256[:12]}). The earlier counts are kept. A released "
            f"strategy never changes: put its files back, or "
            "release the change under a new version and name that in study.yaml; then run: "
            "reconflow retry"
        )
    return (
        f"Tube {sha} was counted before under {gating.strategy} by "
        f"engine {gating.engine_version} with other "
        "numbers. The earlier counts are kept; this is a fault of the program or of the "
        "strategy's files: report it."
    )


def _numbers(gating: TubeGating) -> TubeGating:
    """Give a gating without what two programs may word differently."""
    return replace(gating, qc={}, thresholds=())


def _insert(connection: Connection, gating: TubeGating, *, counted_at: str = "") -> bool:
    """Write a gating unless one with the same key is there; tells whether it was written.

    ``counted_at`` is when its numbers were counted (UTC, empty: now).
    """
    key = _key(gating)
    values = key | _gating_values(gating) | {"counted_at": counted_at or utc_now()}
    rows = [
        key | {"position": place} | _count_values(count)
        for place, count in enumerate(gating.counts)
    ]
    digest = gating_digest(
        [values[column.name] for column in gatings.c if column.name != "digest"],
        [[row[column.name] for column in counts.c if column.name not in key] for row in rows],
    )
    statement = insert_into(connection, gatings).values(**values, digest=digest)
    statement = statement.on_conflict_do_nothing(index_elements=list(GATING_KEY))
    if connection.execute(statement.returning(gatings.c.tube_sha256)).first() is None:
        return False
    if rows:
        connection.execute(insert(counts), rows)
    if gating.thresholds:
        realised = [key | _threshold_values(each) for each in gating.thresholds]
        connection.execute(insert(thresholds), realised)
    return True


def _with_same_key(connection: Connection, gating: TubeGating) -> TubeGating | None:
    """Read the gating with the same key; None when it was altered since it was written."""
    key = _key(gating)
    gated, counted = select(gatings).filter_by(**key), select(counts).filter_by(**key)
    (stored,) = read_gatings(connection, gated, counted)
    return stored if stored.intact else None


def _remove(connection: Connection, gating: TubeGating) -> None:
    for table in (thresholds, counts, gatings):
        connection.execute(delete(table).filter_by(**_key(gating)))


def _key(gating: TubeGating) -> dict[str, str]:
    name, _, version = gating.strategy.partition("@")
    return {
        "tube_sha256": gating.tube_sha256,
        "strategy": name,
        "version": version,
        "engine_version": gating.engine_version,
        "evidence": gating.reference_set_sha256,
        "panel_sha256": gating.panel_sha256,
        "calibration_sha256": gating.calibration_sha256,
        "correction_sha256": gating.correction_sha256,
    }


def _gating_values(gating: TubeGating) -> dict[str, Any]:
    return {
        "strategy_sha256": gating.strategy_sha256,
        "panel": gating.panel,
        "calibration": gating.calibration,
        "total_events": gating.total_events,
        "beads": gating.beads,
        "flags": json.dumps(gating.flags),
        "qc": json.dumps(gating.qc, sort_keys=True, ensure_ascii=False, allow_nan=False),
    }


def _count_values(count: PopulationCount) -> dict[str, object]:
    negatives = None
    if count.negatives:
        negatives = json.dumps(count.negatives)
    return {
        "population": count.population,
        "events": count.events,
        "parent": count.parent,
        "parent_events": count.parent_events,
        "reference": count.reference,
        "reference_events": count.reference_events,
        "flags": json.dumps(count.flags),
        "negatives": negatives,
    }


def _threshold_values(realised: RealisedThreshold) -> dict[str, object]:
    tried = [asdict(each) for each in realised.tried]
    return {
        "threshold": realised.threshold,
        "marker": realised.marker,
        "detector": realised.detector,
        "value": realised.value,
        "source": realised.source,
        "evidence_text": realised.rationale,
        "tried": json.dumps(tried, ensure_ascii=False),
    }


def _keys_of(rows: Sequence[Row[Any]]) -> Iterator[tuple[str, ...]]:
    return (tuple(row[: len(GATING_KEY)]) for row in rows)  # both tables begin with their key


def _gating_of(row: Row[Any], its_counts: Sequence[Row[Any]]) -> TubeGating:
    gating = TubeGating(
        tube_sha256=row.tube_sha256,
        strategy=f"{row.strategy}@{row.version}",
        strategy_sha256=row.strategy_sha256,
        engine_version=row.engine_version,
        panel=row.panel,
        total_events=row.total_events,
        counts=(),
        beads=row.beads,
        reference_set_sha256=row.evidence,
        panel_sha256=row.panel_sha256,
        calibration=row.calibration,
        calibration_sha256=row.calibration_sha256,
        correction_sha256=row.correction_sha256,
        intact=False,
        counted_at=row.counted_at,
    )
    if not is_intact_gating(row, its_counts):
        return gating
    return replace(
        gating,
        counts=tuple(map(_population_count, its_counts)),
        flags=_json_list(row.flags),
        qc=json.loads(row.qc),
        intact=True,
    )


def _population_count(row: Row[Any]) -> PopulationCount:
    # By position, not by name: a large study has a hundred thousand of these rows.
    population, _, events, parent, parent_events, reference, reference_events, flags, negatives = (
        row[len(GATING_KEY) :]
    )
    return PopulationCount(
        population,
        events,
        parent,
        parent_events,
        reference,
        reference_events,
        _json_list(flags),
        _json_list(negatives) if negatives else None,
    )


@lru_cache
def _json_list(document: str) -> tuple[Any, ...]:
    """Read a JSON list; the same few lists stand in most rows."""
    return tuple(json.loads(document))
