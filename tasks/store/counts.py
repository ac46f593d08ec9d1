"""Keep what was counted: once written, never changed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gating.evaluation.compiled_strategy import RealisedThreshold
from panels.text.errors import TubeFault
from tasks.counting.counts import Detector, PopulationCount, TubeCounts
from tasks.store.digests import gating_digest, is_intact_gating
from tasks.store.ledger import FileRecord, set_tube_state
from tasks.store.opening import Store, utc_now
from tasks.store.schema import GATING_KEY, counts, gatings, thresholds
from tasks.store.tubes import Tube, taken_in


@dataclass(frozen=True, slots=True)
class TubeGating:
    """What gating one tube gave under one strategy version (``bcell@1.0.0``) by one engine version.

    ``flags`` and ``qc`` (values JSON can hold) say what quality control found; ``beads`` is None
    without bead gate. ``reference_set_sha256`` stands for the other tubes that had a say in this tube's
    thresholds (empty: none). ``thresholds`` are written, and not read back. ``panel`` names the
    panel's version, ``panel_sha256`` its content (empty: counted by a program that did not note
    it). One that is not ``intact`` was altered in the store since it was written, and has no
    counts.
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
    intact: bool = True


@dataclass(frozen=True, slots=True)
class CountsRead:
    """Counts read from the store; ``altered`` are the tubes whose counts were changed since they were written."""

    counted: list[TubeCounts]
    altered: frozenset[str]


def save_gating(store: Store, gating: TubeGating, *, seen: FileRecord | None = None) -> bool:
    """Write the counts of a tube, which makes its file ``counted``, and tell whether they are new.

    With ``seen``, its file when counting began, a state or reason that it got since stays.

    Writing the same again changes nothing; quality figures that a later release of the program
    words otherwise are no other count. Stored counts that were altered since they were written are
    replaced.

    Raises TubeFault when the same engine version counted the same tube otherwise before: the
    earlier counts stay.
    """
    with store.writing() as connection:
        new = _insert(connection, gating)
        kept = gating if new else _gating(connection, gating)
        if kept is None:
            # What was stored is not what was written: only the tube's bytes can tell now.
            _remove(connection, gating)
            new, kept = _insert(connection, gating), gating
        same = replace(kept, qc={}, thresholds=()) == replace(gating, qc={}, thresholds=())
        if same:
            set_tube_state(connection, gating.tube_sha256, "counted", seen=seen)
    if kept.strategy_sha256 != gating.strategy_sha256:
        raise TubeFault(
            f"Tube {gating.tube_sha256[:12]} was counted before under another "
            f"{gating.strategy} (content {kept.strategy_sha256[:12]}, now "
            f"{gating.strategy_sha256[:12]}). The earlier counts are kept. A released "
            f"strategy never changes: put its files back, or "
            "release the change under a new version and name that in study.yaml; then run: "
            "reconflow retry"
        )
    if not same:
        raise TubeFault(
            f"Tube {gating.tube_sha256[:12]} was counted before under {gating.strategy} by "
            f"engine {gating.engine_version} with other "
            "numbers. The earlier counts are kept; this is a fault of the program or of the "
            "strategy's files: report it."
        )
    return new


def gatings_of(store: Store, tube_sha256: str) -> list[TubeGating]:
    """List everything ever counted in one tube, oldest first."""
    with store.reading() as connection:
        rows = connection.execute(
            select(gatings)
            .where(gatings.c.tube_sha256 == tube_sha256)
            .order_by(gatings.c.counted_at)
        )
        chosen = counts.c.tube_sha256 == tube_sha256
        found = _assemble(
            rows.all(), connection.execute(_in_order(select(counts).where(chosen))).all()
        )
    return [gating for gating in found if gating.intact]


def tube_counts(
    store: Store, strategies: Mapping[str, str], engine_version: str | None = None, **options: Any
) -> list[TubeCounts]:
    """Give the counts of ``read_counts``, without the tubes whose counts were altered."""
    return read_counts(store, strategies, engine_version, **options).counted


def read_counts(  # noqa: PLR0913 - keyword-only options of one query
    store: Store,
    strategies: Mapping[str, str],
    engine_version: str | None = None,
    *,
    patient: str | None = None,
    reference_sets: Mapping[str, str] | None = None,
    panels: Mapping[str, str] | None = None,
    known: Sequence[Tube] | None = None,
) -> CountsRead:
    """Give the counts of all tubes taken in under the strategy of their panel (panel → ``name@1.0.0``), with their identity as it is now.

    Without ``engine_version`` the latest counting of each tube is given, the one with its present
    ``reference_sets`` (by SHA-256 of the tube) where there is one, or without any. With ``panels`` (panel
    → SHA-256 of its content now) counts made with another content are none; those that do not know
    theirs stand until the tube is counted again. Ordered as the tubes are; tubes not yet counted
    are left out. With ``patient`` only that patient's tubes are read; without, ``known`` may be all
    tubes taken in, where they were read already.
    """
    wanted = {tuple(strategy.split("@")) for strategy in strategies.values()}
    own = taken_in(store, patient=patient) if known is None else known
    hashes = [tube.identity.tube_sha256 for tube in own]
    with store.reading() as connection:
        gated, counted = (
            select(gatings),
            select(counts).where(counts.c.strategy.in_(sorted({name for name, _ in wanted}))),
        )
        if patient is not None:
            gated, counted = (
                gated.where(gatings.c.tube_sha256.in_(hashes)),
                counted.where(counts.c.tube_sha256.in_(hashes)),
            )
        rows = connection.execute(
            gated.order_by(gatings.c.counted_at, gatings.c.engine_version)
        ).all()
        rows = [
            row
            for row in rows
            if (row.strategy, row.version) in wanted
            and engine_version in {None, row.engine_version}
        ]
        found = _assemble(rows, connection.execute(_in_order(counted)).all())
    current = {"": ""} if reference_sets is None else reference_sets
    if panels is not None:
        contents = {t.identity.tube_sha256: panels.get(t.identity.panel) for t in own}
        found = [
            gating
            for gating in found
            if gating.panel_sha256 in {"", contents.get(gating.tube_sha256)}
        ]
    found.sort(
        key=lambda gating: (
            gating.reference_set_sha256 in {"", current.get(gating.tube_sha256)},
            bool(panels and gating.panel_sha256),
        )
    )
    latest = {(gating.tube_sha256, gating.strategy): gating for gating in found}
    pairs = [
        (t.identity, latest.get((t.identity.tube_sha256, strategies.get(t.identity.panel, ""))))
        for t in own
    ]
    altered = frozenset(gating.tube_sha256 for _, gating in pairs if gating and not gating.intact)
    usable = [
        TubeCounts(
            identity=identity,
            strategy=gating.strategy,
            strategy_sha256=gating.strategy_sha256,
            counts={count.population: count for count in gating.counts},
            beads=gating.beads,
            total_events=gating.total_events,
            flags=gating.flags,
            kept=1 - float(gating.qc.get("time", {}).get("removed", 0.0)),
            bead_proof=gating.qc.get("beads", {}).get("state", "proven"),
            bead_rate=gating.qc.get("beads", {}).get("per_second"),
            alone=float(gating.qc.get("coincidence", {}).get("share", 1.0)),
            panel=gating.panel,
            panel_sha256=gating.panel_sha256,
            detectors={
                marker: Detector(each["detector"], each["voltage"])
                for marker, each in gating.qc.get("detectors", {}).items()
            },
        )
        for identity, gating in pairs
        if gating is not None and gating.intact
    ]
    return CountsRead(usable, altered)


def _insert(connection: Connection, gating: TubeGating) -> bool:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    key = _key(gating)
    rows = [
        key | {"position": place} | _count_values(count)
        for place, count in enumerate(gating.counts)
    ]
    values = key | {
        "strategy_sha256": gating.strategy_sha256,
        "panel": gating.panel,
        "total_events": gating.total_events,
        "beads": gating.beads,
        "flags": json.dumps(gating.flags),
        "qc": json.dumps(gating.qc, sort_keys=True, ensure_ascii=False, allow_nan=False),
        "counted_at": utc_now(),
    }
    written = [[row[column.name] for column in counts.c] for row in rows]
    digest = gating_digest(
        [values[column.name] for column in gatings.c if column.name != "digest"], written
    )
    statement = dialect.insert(gatings).values(**values, digest=digest)
    statement = statement.on_conflict_do_nothing(index_elements=list(GATING_KEY))
    if connection.execute(statement.returning(gatings.c.tube_sha256)).first() is None:
        return False
    if rows:
        connection.execute(dialect.insert(counts), rows)
    if gating.thresholds:
        connection.execute(
            dialect.insert(thresholds),
            [key | _threshold_values(each) for each in gating.thresholds],
        )
    return True


def _threshold_values(realised: RealisedThreshold) -> dict[str, object]:
    tried = json.dumps([asdict(each) for each in realised.tried], ensure_ascii=False)
    named = {
        name: getattr(realised, name)
        for name in ("threshold", "marker", "detector", "value", "source")
    }
    return named | {"evidence_text": realised.rationale, "tried": tried}


def _gating(connection: Connection, like: TubeGating) -> TubeGating | None:
    """Read the gating with the same key; None when it was altered since it was written."""
    row = connection.execute(select(gatings).filter_by(**_key(like))).all()
    found = _assemble(
        row, connection.execute(_in_order(select(counts).filter_by(**_key(like)))).all()
    )
    return found[0] if found[0].intact else None


def _remove(connection: Connection, like: TubeGating) -> None:
    for table in (thresholds, counts, gatings):
        connection.execute(delete(table).filter_by(**_key(like)))


def _key(gating: TubeGating) -> dict[str, str]:
    name, _, version = gating.strategy.partition("@")
    values = (
        gating.tube_sha256,
        name,
        version,
        gating.engine_version,
        gating.reference_set_sha256,
        gating.panel_sha256,
    )
    return dict(zip(GATING_KEY, values, strict=True))


def _in_order(chosen: Select[Any]) -> Select[Any]:
    return chosen.order_by(*(counts.c[name] for name in GATING_KEY), counts.c.position)


def _assemble(rows: Any, count_rows: Any) -> list[TubeGating]:
    by_key: dict[tuple[str, ...], list[Row[Any]]] = {}
    for key, row in zip(_keys_of(count_rows), count_rows, strict=True):
        by_key.setdefault(key, []).append(row)
    return [
        _gating_of(row, by_key.get(key, [])) for key, row in zip(_keys_of(rows), rows, strict=True)
    ]


def _gating_of(row: Row[Any], its_counts: Sequence[Row[Any]]) -> TubeGating:
    intact = is_intact_gating(row, its_counts)
    return TubeGating(
        tube_sha256=row.tube_sha256,
        strategy=f"{row.strategy}@{row.version}",
        strategy_sha256=row.strategy_sha256,
        engine_version=row.engine_version,
        panel=row.panel,
        total_events=row.total_events,
        counts=tuple(map(_population_count, its_counts)) if intact else (),
        beads=row.beads,
        flags=_words(row.flags) if intact else (),
        qc=json.loads(row.qc) if intact else {},
        reference_set_sha256=row.evidence,
        panel_sha256=row.panel_sha256,
        intact=intact,
    )


def _keys_of(rows: Any) -> Iterator[tuple[str, ...]]:
    return (tuple(row[: len(GATING_KEY)]) for row in rows)  # both tables begin with their key


_COUNT_FIELDS = ("population", "events", "parent", "parent_events", "reference", "reference_events")


def _count_values(count: PopulationCount) -> dict[str, object]:
    found = {name: getattr(count, name) for name in _COUNT_FIELDS}
    return found | {
        "flags": json.dumps(count.flags),
        "negatives": json.dumps(count.negatives) if count.negatives else None,
    }


def _population_count(row: Row[Any]) -> PopulationCount:
    population, _, events, parent, parent_events, reference, reference_events, flags, negatives = (
        row[len(GATING_KEY) :]
    )
    found = _words(negatives) if negatives else None
    return PopulationCount(
        population, events, parent, parent_events, reference, reference_events, _words(flags), found
    )


@lru_cache
def _words(document: str) -> tuple[Any, ...]:
    """Read a JSON list; the same few lists stand in most rows."""
    return tuple(json.loads(document))
