"""Choose a tube's reference tubes: controls of its batch, its baseline, and earlier ones.

Where a tube contradicts a declared threshold, the threshold may be taken from reference tubes:
batch controls, FMO controls, and tubes taken before infusion. These are measured before anything
is counted. Which of them are references of a tube follows from the ledger alone, so the same ledger
gives the same thresholds whatever the order in which files came or were counted.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, product
from typing import TYPE_CHECKING

from gating.evaluation.engine import ENGINE_VERSION
from gating.thresholds.reference_measurements import (
    Measurements,
    ReferenceMeasurements,
    priors_of,
)
from tasks.store.exclusions import excluded_tubes
from tasks.store.measurements import MeasuredWith, measured, measurements_of
from tasks.store.tubes import taken_in
from tasks.vocabulary.tube_identity import TubeIdentity

if TYPE_CHECKING:
    from datetime import datetime

    from gating.strategy.calibrated import CalibratedStrategy
    from gating.strategy.model import Strategy
    from tasks.sheets.patients import Patient
    from tasks.store.opening import Store
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StrategyInUse, StudySnapshot

BATCH_CONTROL = "batch"
FMO = "fmo:"
REFERENCE_SOURCES = frozenset({"control", "fmo", "baseline", "pooled"})
EARLIER_TUBES = 50
"""So many of the latest earlier references tell where a threshold usually lies."""


@dataclass(frozen=True, slots=True)
class ReferenceTubes:
    """The reference tubes of a tube (SHA-256) in order of collection; FMO controls by marker."""

    controls: tuple[str, ...] = ()
    fmo: tuple[tuple[str, str], ...] = ()
    baseline: str | None = None
    pool: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()

    @property
    def tubes(self) -> frozenset[str]:
        """List them all."""
        listed = {*self.controls, *self.pool, *self.earlier, *(tube for _, tube in self.fmo)}
        if self.baseline:
            listed.add(self.baseline)
        return frozenset(listed)

    @property
    def sha256(self) -> str:
        """Hash which tubes they are: a count made with other references is superseded."""
        listed = [self.controls, self.fmo, self.baseline, self.pool, self.earlier]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


@dataclass(frozen=True)
class ReferenceIndex:
    """All tubes of a study, and what is needed to choose the reference tubes of each.

    ``measured`` lists which reference tube was measured under which strategy and calibration;
    ``calibrations`` is, by strategy, which one holds for a tube now (SHA-256; empty: the strategy's
    own numbers). A measurement under another one is none. ``excluded`` tubes lend nothing; a tube
    that a person corrected lends what it shows, as without the correction, which is of that tube
    alone. ``measure`` measures a tube now (None: its measurements are in the store): those of a
    draft are kept nowhere.
    """

    tubes: Sequence[TubeIdentity]
    patients: Mapping[str, Patient]
    measured: Collection[tuple[str, str, str]]
    calibrations: Mapping[str, Mapping[str, str]]
    excluded: Collection[str] = frozenset()
    measure: Callable[[str], Measurements] | None = None

    @cached_property
    def references(self) -> dict[str, list[TubeIdentity]]:
        """List the tubes of each panel that may be references, in order of collection."""
        by_panel: dict[str, list[TubeIdentity]] = {}
        for tube in sorted(self.tubes, key=_when):
            if tube.tube_sha256 in self.excluded:
                continue
            if tube.control or self._is_before_infusion(tube):
                by_panel.setdefault(tube.panel, []).append(tube)
        return by_panel

    @cached_property
    def _measured_references(self) -> dict[tuple[str | None, ...], list[TubeIdentity]]:
        """List the measured references that share something, in order of collection.

        Keys: strategy, calibration, panel and a batch, an instrument, or a patient with a specimen.
        """
        made: dict[str, list[tuple[str, str]]] = {}
        for sha, strategy, calibration in self.measured:
            if self.calibrations.get(strategy, {}).get(sha) == calibration:
                made.setdefault(sha, []).append((strategy, calibration))
        listed: dict[tuple[str | None, ...], list[TubeIdentity]] = {}
        for tube in chain.from_iterable(self.references.values()):
            keys = (
                ("batch", tube.batch),
                ("instrument", tube.instrument),
                ("patient", tube.patient, tube.specimen),
            )
            for made_with, key in product(made.get(tube.tube_sha256, ()), keys):
                listed.setdefault((*made_with, tube.panel, *key), []).append(tube)
        return listed

    @cached_property
    def _earlier_on(self) -> dict[tuple[str | None, ...], tuple[list[datetime], list[str]]]:
        """Keep the times and hashes of an instrument's references without FMO controls, in order.

        Keys are those of ``_measured_references``; what was not asked for yet is missing.
        """
        return {}

    def is_measured(self, tube: TubeIdentity, strategy: str) -> bool:
        """Tell whether a tube was measured under a strategy with the numbers that hold for it."""
        calibration = self.calibrations[strategy][tube.tube_sha256]
        return (tube.tube_sha256, strategy, calibration) in self.measured

    def references_for(
        self, tube: TubeIdentity, strategy: str, calibration_sha256: str
    ) -> ReferenceTubes:
        """Choose the reference tubes of a tube that is counted under a strategy and calibration.

        Only tubes that were measured with the same calibration are: linear values are those of one
        instrument.
        """
        made_with = (strategy, calibration_sha256)
        batch = self._others(tube, made_with, "batch", tube.batch) if tube.batch is not None else []
        patient = self._others(tube, made_with, "patient", tube.patient, tube.specimen)
        same_draw = [other for other in patient if _same_draw(other, tube)]
        fmo = {other.tube_sha256: other for other in (*batch, *same_draw) if is_fmo(other)}
        return ReferenceTubes(
            controls=tuple(other.tube_sha256 for other in batch if other.control == BATCH_CONTROL),
            fmo=tuple(
                (_left_out(other), other.tube_sha256) for other in sorted(fmo.values(), key=_when)
            ),
            baseline=self._baseline(tube, [other for other in patient if not other.control]),
            pool=tuple(other.tube_sha256 for other in batch if not is_fmo(other)),
            earlier=self._earlier(tube, made_with),
        )

    def _others(
        self, tube: TubeIdentity, made_with: tuple[str, str], *key: str | None
    ) -> list[TubeIdentity]:
        """List the other measured references of a tube's panel that share ``key`` with it."""
        sharing = self._measured_references.get((*made_with, tube.panel, *key), ())
        return [other for other in sharing if other.tube_sha256 != tube.tube_sha256]

    def _earlier(self, tube: TubeIdentity, made_with: tuple[str, str]) -> tuple[str, ...]:
        """List the last references that the tube's instrument measured before it."""
        key = (*made_with, tube.panel, "instrument", tube.instrument)
        if key not in self._earlier_on:
            whole = [other for other in self._measured_references.get(key, ()) if not is_fmo(other)]
            times = [other.drawn_at for other in whole]
            self._earlier_on[key] = times, [other.tube_sha256 for other in whole]
        times, tubes = self._earlier_on[key]
        end = bisect_left(times, tube.drawn_at)
        return tuple(tubes[max(0, end - EARLIER_TUBES) : end])

    def _is_before_infusion(self, tube: TubeIdentity) -> bool:
        patient = self.patients.get(tube.patient)
        return patient is not None and tube.drawn_at < patient.infused_at

    def _baseline(self, tube: TubeIdentity, references: Sequence[TubeIdentity]) -> str | None:
        """Choose the patient's tube of the named baseline visit, else the last before infusion."""
        if tube.control or self._is_before_infusion(tube) or not references:
            return None
        patient = self.patients.get(tube.patient)
        named = [other for other in references if patient and other.visit == patient.baseline_visit]
        return (named or references)[-1].tube_sha256


def is_fmo(tube: TubeIdentity) -> bool:
    """Tell whether a tube leaves a stain out on purpose (fluorescence minus one)."""
    return (tube.control or "").startswith(FMO)


def needs_references(strategy: Strategy) -> bool:
    """Tell whether any threshold of a strategy may be taken from another tube."""
    return any(
        REFERENCE_SOURCES & set(threshold.sources) for threshold in strategy.thresholds.values()
    )


def reference_index(
    snapshot: StudySnapshot,
    store: Store,
    known: Sequence[Tube] | None = None,
    *,
    strategies: Sequence[StrategyInUse] | None = None,
) -> ReferenceIndex:
    """Read from the ledger which tubes there are and which references were measured.

    ``known`` are all tubes taken in, where they were read already. Measurements count that were
    made under ``strategies`` (None: those in use), with their panel and their calibrations of now.
    """
    present = [
        tube
        for tube in (taken_in(store) if known is None else known)
        if tube.file.state != "failed"
    ]
    used = list(snapshot.strategies.values()) if strategies is None else strategies
    contents = {each.panel_sha256 for each in used}
    return ReferenceIndex(
        [tube.identity for tube in present],
        snapshot.patients.patients,
        measured(store, ENGINE_VERSION, contents),
        {each.name: _calibrations(each, present) for each in used},
        excluded_tubes(store),
    )


def _calibrations(used: StrategyInUse, tubes: Sequence[Tube]) -> dict[str, str]:
    """Map the tubes of a strategy's panel to the calibration that holds for them (SHA-256)."""
    return {
        tube.identity.tube_sha256: used.for_tube(tube).sha256
        for tube in tubes
        if tube.identity.panel == used.panel.panel
    }


def reference_sets(
    snapshot: StudySnapshot, store: Store, known: Sequence[Tube] | None = None
) -> dict[str, str]:
    """Map each tube whose strategy may take thresholds from others to the hash of its references.

    ``known`` as for ``reference_index``.
    """
    strategies = {
        panel: used.name
        for panel, used in snapshot.strategies.items()
        if needs_references(used.release.strategy)
    }
    if not strategies:
        return {}
    index = reference_index(snapshot, store, known)
    sets = {}
    for tube in index.tubes:
        if tube.panel in strategies and not is_fmo(tube):
            strategy = strategies[tube.panel]
            calibration = index.calibrations[strategy][tube.tube_sha256]
            sets[tube.tube_sha256] = index.references_for(tube, strategy, calibration).sha256
    return sets


def reference_measurements(
    store: Store, references: ReferenceTubes, used: StrategyInUse, calibrated: CalibratedStrategy
) -> ReferenceMeasurements:
    """Fetch what the reference tubes measured for the thresholds of the strategy in use.

    ``calibrated`` is that strategy with the numbers of the tube's instrument, and of theirs.
    """
    kept = measurements_of(store, references.tubes, measured_with(used, calibrated))
    return measurements_among(kept, references, calibrated)


def measurements_among(
    kept: Mapping[str, Measurements], references: ReferenceTubes, calibrated: CalibratedStrategy
) -> ReferenceMeasurements:
    """Arrange what some reference tubes measured (by SHA-256) by what they are to a tube."""
    return ReferenceMeasurements(
        controls=[kept[tube] for tube in references.controls],
        fmo={marker: kept[tube] for marker, tube in references.fmo},
        baseline=kept[references.baseline] if references.baseline else None,
        pool=[kept[tube] for tube in references.pool],
        priors=priors_of(calibrated.strategy, [kept[tube] for tube in references.earlier]),
    )


def measured_with(used: StrategyInUse, calibrated: CalibratedStrategy) -> MeasuredWith:
    """Describe what a tube is measured with: strategy, engine, panel and calibration."""
    return MeasuredWith(used.name, ENGINE_VERSION, used.panel_sha256, calibrated.sha256)


def _when(tube: TubeIdentity) -> tuple[datetime, str]:
    return tube.drawn_at, tube.tube_sha256


def _left_out(tube: TubeIdentity) -> str:
    return (tube.control or "").removeprefix(FMO)


def _same_draw(one: TubeIdentity, other: TubeIdentity) -> bool:
    return (one.patient, one.visit, one.specimen) == (other.patient, other.visit, other.specimen)
