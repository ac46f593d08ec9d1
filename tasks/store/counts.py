"""Read the counts that the tables are made of, with each tube's identity as it is now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, tuple_

from tasks.counting.counts import Detector, TubeCounts
from tasks.store.corrections import read_corrections
from tasks.store.exclusions import excluded_tubes
from tasks.store.gatings import GatingRows, TubeGating, gatings_from, rows_of
from tasks.store.opening import Store
from tasks.store.schema.results import counts, gatings
from tasks.store.tubes import Tube, taken_in
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.tube_identity import TubeIdentity


@dataclass(frozen=True, slots=True)
class CountsRead:
    """Counts read from the store, and the tubes whose counts were altered since they were written.

    ``altered`` are the SHA-256 of those tubes; they have no entry in ``counted``.
    """

    counted: list[TubeCounts]
    altered: frozenset[str]


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
    calibrations: Mapping[str, str] | None = None,
    known: Sequence[Tube] | None = None,
    rows: GatingRows | None = None,
    corrected: bool = True,
) -> CountsRead:
    """Give the counts of all tubes taken in under the strategy of their panel.

    ``strategies`` maps panel to ``name@1.0.0``. Each tube comes with its identity as it is now, in
    the order of the tubes; tubes not yet counted are left out.

    Without ``engine_version`` the latest counting of each tube is given, the one with its present
    ``reference_sets`` (by SHA-256 of the tube) where there is one, or without any. With ``panels``
    (panel → SHA-256 of its content now) counts made with another content are none; those that do
    not know theirs stand until the tube is counted again. With ``calibrations`` (tube → SHA-256 of
    the content that holds for it now) counts made with another are none. With ``patient`` only that
    patient's tubes are read; without, ``known`` may be all tubes taken in and ``rows`` what
    ``gating_rows`` gives, where they were read already. A tube that a person corrected is counted
    with that correction as long as it holds, ``corrected`` False: never.
    """
    if known is None:
        known = taken_in(store, patient=patient)
    tubes = None
    if patient is not None:
        tubes = [tube.identity.tube_sha256 for tube in known]
    if rows is None:
        rows = gating_rows(store, strategies.values(), engine_version, tubes)
    read = gatings_from(rows)
    read = _with_corrections(store, read) if corrected else _uncorrected(read)
    if calibrations is not None:
        read = _with_calibration(read, calibrations)
    pairs = _in_use(read, known, strategies, reference_sets=reference_sets, panels=panels)
    excluded = excluded_tubes(store)
    return CountsRead(
        counted=[
            counts_of(identity, gating, is_excluded=gating.tube_sha256 in excluded)
            for identity, gating in pairs
            if gating.intact
        ],
        altered=frozenset(gating.tube_sha256 for _, gating in pairs if not gating.intact),
    )


def gatings_in_use(
    store: Store,
    strategies: Mapping[str, str],
    *,
    known: Sequence[Tube],
    panels: Mapping[str, str],
    calibrations: Mapping[str, str],
    reference_sets: Mapping[str, str] | None = None,
) -> list[tuple[TubeIdentity, TubeGating]]:
    """Give the latest gating of each tube, with all that the store keeps of it.

    What is given is as in ``read_counts``. What was altered in the store since it was written is
    left out.
    """
    read = _with_corrections(store, gatings_from(gating_rows(store, strategies.values())))
    read = _with_calibration(read, calibrations)
    pairs = _in_use(read, known, strategies, reference_sets=reference_sets, panels=panels)
    return [(identity, gating) for identity, gating in pairs if gating.intact]


def gating_rows(
    store: Store,
    strategies: Collection[str],
    engine_version: str | None = None,
    tubes: Collection[str] | None = None,
) -> GatingRows:
    """Give the rows of all gatings under some strategies, oldest first, and those of their counts.

    None stands for any engine or tube. Whether the rows are as they were written is not asked.
    """
    versions = [tuple(strategy.split("@")) for strategy in sorted(set(strategies))]
    gated = select(gatings).where(tuple_(gatings.c.strategy, gatings.c.version).in_(versions))
    counted = select(counts).where(tuple_(counts.c.strategy, counts.c.version).in_(versions))
    if engine_version is not None:
        gated = gated.where(gatings.c.engine_version == engine_version)
    if tubes is not None:
        gated = gated.where(gatings.c.tube_sha256.in_(tubes))
        counted = counted.where(counts.c.tube_sha256.in_(tubes))
    gated = gated.order_by(gatings.c.counted_at, gatings.c.engine_version)
    with store.reading() as connection:
        return rows_of(connection, gated, counted)


def _in_use(
    read: Sequence[TubeGating],
    known: Sequence[Tube],
    strategies: Mapping[str, str],
    *,
    reference_sets: Mapping[str, str] | None,
    panels: Mapping[str, str] | None,
) -> list[tuple[TubeIdentity, TubeGating]]:
    """Choose for each tube the gating that counts it; tubes not yet counted are left out."""
    if panels is not None:
        read = _with_panel_content(read, known, panels)
    latest = _latest(read, reference_sets or {}, prefer_known_panel=bool(panels))
    pairs = []
    for tube in known:
        identity = tube.identity
        strategy = strategies.get(identity.panel, "")
        gating = latest.get((identity.tube_sha256, strategy))
        if gating is not None:
            pairs.append((identity, gating))
    return pairs


def _with_corrections(store: Store, read: Sequence[TubeGating]) -> list[TubeGating]:
    """Leave out what was counted without the corrections in force, or with others."""
    in_force = read_corrections(store).hashes()
    return [each for each in read if each.correction_sha256 == in_force.get(each.binding, "")]


def _uncorrected(read: Sequence[TubeGating]) -> list[TubeGating]:
    return [each for each in read if not each.correction_sha256]


def _with_calibration(
    read: Sequence[TubeGating], calibrations: Mapping[str, str]
) -> list[TubeGating]:
    """Leave out what was counted with another calibration than the one that holds now."""
    return [each for each in read if each.calibration_sha256 == calibrations.get(each.tube_sha256)]


def _with_panel_content(
    read: Sequence[TubeGating], known: Sequence[Tube], panels: Mapping[str, str]
) -> list[TubeGating]:
    """Leave out what was counted with another content of the tube's panel than the present one."""
    contents = {tube.identity.tube_sha256: panels.get(tube.identity.panel) for tube in known}
    return [
        gating for gating in read if gating.panel_sha256 in {"", contents.get(gating.tube_sha256)}
    ]


def _latest(
    read: Sequence[TubeGating], reference_sets: Mapping[str, str], *, prefer_known_panel: bool
) -> dict[tuple[str, str], TubeGating]:
    """Choose one gating of each tube (SHA-256) and strategy, of some in order of their making.

    It is one made with the tube's present reference tubes or without any, where there is one; of
    those one that knows its panel's content, if that is preferred; of those the latest.
    """

    def preference(gating: TubeGating) -> tuple[bool, bool]:
        present = gating.reference_set_sha256 in {"", reference_sets.get(gating.tube_sha256)}
        return present, prefer_known_panel and bool(gating.panel_sha256)

    in_order = sorted(read, key=preference)
    return {(gating.tube_sha256, gating.strategy): gating for gating in in_order}


def stain_ratios(qc: Mapping[str, Any]) -> dict[str, float]:
    """Give the medians of stained cells over their calibrated places, by threshold.

    A tube that an earlier release counted has none.
    """
    return {name: float(each["ratio"]) for name, each in qc.get("stains", {}).items()}


def counts_of(identity: TubeIdentity, gating: TubeGating, *, is_excluded: bool) -> TubeCounts:
    """Give what tables are made of from a tube and its gating, kept or made just now."""
    quality = gating.qc
    beads = quality.get("beads", {})
    detectors = {
        marker: Detector(each["detector"], each["voltage"])
        for marker, each in quality.get("detectors", {}).items()
    }
    return TubeCounts(
        identity=identity,
        strategy=gating.strategy,
        strategy_sha256=gating.strategy_sha256,
        counts={count.population: count for count in gating.counts},
        beads=gating.beads,
        total_events=gating.total_events,
        flags=gating.flags,
        kept=1 - float(quality.get("time", {}).get("removed", 0.0)),
        bead_proof=beads.get("state", "proven"),
        bead_rate=beads.get("per_second"),
        alone=float(quality.get("coincidence", {}).get("share", 1.0)),
        panel=gating.panel,
        panel_sha256=gating.panel_sha256,
        calibration=gating.calibration,
        calibration_sha256=gating.calibration_sha256,
        detectors=detectors,
        stain_ratios=stain_ratios(quality),
        corrected=frozenset(
            count.population for count in gating.counts if Flag.CORRECTED in count.flags
        ),
        review="excluded" if is_excluded else "",
        counted_as=gating.counted_as,
        correction_sha256=gating.correction_sha256,
    )
