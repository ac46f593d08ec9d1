"""Name the tubes that may be asked about another tube's thresholds: controls of its batch, its patient's baseline, earlier references.

References (batch controls, FMO controls, tubes taken before infusion) are measured before anything
is counted. What a tube may ask is derived from the ledger alone, so the same ledger gives the same
thresholds whatever the order in which files came or were counted.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, product
from typing import TYPE_CHECKING

from gating.evaluation.engine import ENGINE_VERSION
from gating.thresholds.resolution import ReferenceMeasurements, priors_of
from tasks.store.measurements import MeasuredWith, measured, measurements_of
from tasks.store.tubes import taken_in
from tasks.vocabulary.tube_identity import TubeIdentity

if TYPE_CHECKING:
    from datetime import datetime

    from gating.strategy.model import Strategy
    from tasks.sheets.patients import Patient
    from tasks.store.opening import Store
    from tasks.store.tubes import Tube
    from tasks.strategies.in_use import InUse
    from tasks.study.folder import Study

BATCH_CONTROL = "batch"
FMO = "fmo:"
REFERENCE_SOURCES = frozenset({"control", "fmo", "baseline", "pooled"})
EARLIER_TUBES = 50
"""So many of the latest earlier references tell where a threshold usually lies."""


@dataclass(frozen=True, slots=True)
class ReferenceTubes:
    """The tubes one tube may ask, by SHA-256, in order of collection; FMO controls by marker."""

    controls: tuple[str, ...] = ()
    fmo: tuple[tuple[str, str], ...] = ()
    baseline: str | None = None
    pool: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()

    @property
    def tubes(self) -> frozenset[str]:
        """List them all."""
        own = {*self.controls, *self.pool, *self.earlier, *(tube for _, tube in self.fmo)}
        return frozenset(own | {self.baseline} if self.baseline else own)

    @property
    def sha256(self) -> str:
        """Hash who may be asked: a count made with other evidence is superseded."""
        said = [self.controls, self.fmo, self.baseline, self.pool, self.earlier]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True)
class ReferenceIndex:
    """All tubes of a study and what is needed to say who may be asked about whom."""

    tubes: Sequence[TubeIdentity]
    patients: Mapping[str, Patient]
    have: Collection[tuple[str, str]]

    @cached_property
    def references(self) -> dict[str, list[TubeIdentity]]:
        """Give by panel the tubes that others may ask, in order of collection."""
        found: dict[str, list[TubeIdentity]] = {}
        for tube in sorted(self.tubes, key=_when):
            if tube.control or self._is_before_infusion(tube):
                found.setdefault(tube.panel, []).append(tube)
        return found

    @cached_property
    def _near(self) -> dict[tuple[str | None, ...], list[TubeIdentity]]:
        """Give the measured references by strategy, panel and batch, instrument, or patient and specimen, in order of collection."""
        strategies: dict[str, list[str]] = {}
        for sha, strategy in self.have:
            strategies.setdefault(sha, []).append(strategy)
        found: dict[tuple[str | None, ...], list[TubeIdentity]] = {}
        for tube in chain.from_iterable(self.references.values()):
            keys = (
                ("batch", tube.batch),
                ("instrument", tube.instrument),
                ("patient", tube.patient, tube.specimen),
            )
            for strategy, key in product(strategies.get(tube.tube_sha256, ()), keys):
                found.setdefault((strategy, tube.panel, *key), []).append(tube)
        return found

    def references_for(self, tube: TubeIdentity, strategy: str) -> ReferenceTubes:
        """Give the measured tubes that may be asked about a tube counted under ``strategy``."""

        def others(*key: str | None) -> list[TubeIdentity]:
            return [
                other
                for other in self._near.get((strategy, tube.panel, *key), ())
                if other.tube_sha256 != tube.tube_sha256
            ]

        batch = others("batch", tube.batch) if tube.batch is not None else []
        own = others("patient", tube.patient, tube.specimen)
        fmo = {
            other.tube_sha256: other
            for other in (*batch, *own)
            if is_fmo(other) and (other in batch or _same_draw(other, tube))
        }
        instrument = self._near.get((strategy, tube.panel, "instrument", tube.instrument), [])
        before = instrument[
            : bisect_left(instrument, tube.drawn_at, key=lambda other: other.drawn_at)
        ]
        earlier = (other.tube_sha256 for other in reversed(before) if not is_fmo(other))
        return ReferenceTubes(
            controls=tuple(other.tube_sha256 for other in batch if other.control == BATCH_CONTROL),
            fmo=tuple(
                (_left_out(other), other.tube_sha256) for other in sorted(fmo.values(), key=_when)
            ),
            baseline=self._baseline(tube, [other for other in own if not other.control]),
            pool=tuple(other.tube_sha256 for other in batch if not is_fmo(other)),
            earlier=tuple(islice(earlier, EARLIER_TUBES))[::-1],
        )

    def _is_before_infusion(self, tube: TubeIdentity) -> bool:
        patient = self.patients.get(tube.patient)
        return patient is not None and tube.drawn_at < patient.infused_at

    def _baseline(self, tube: TubeIdentity, own: Sequence[TubeIdentity]) -> str | None:
        """Choose of the patient's ``own`` references that of the named baseline visit, else the last before infusion."""
        if tube.control or self._is_before_infusion(tube):
            return None
        named = (
            self.patients[tube.patient].baseline_visit if tube.patient in self.patients else None
        )
        chosen = [other for other in own if other.visit == named] or own
        return chosen[-1].tube_sha256 if chosen else None


def is_fmo(tube: TubeIdentity) -> bool:
    """Tell whether a tube leaves a stain out on purpose."""
    return (tube.control or "").startswith(FMO)


def needs_references(strategy: Strategy) -> bool:
    """Tell whether any threshold of a strategy may be taken from another tube."""
    return any(
        REFERENCE_SOURCES & set(threshold.sources) for threshold in strategy.thresholds.values()
    )


def reference_index(
    study: Study,
    store: Store,
    known: Sequence[Tube] | None = None,
    *,
    panels: Collection[str] | None = None,
) -> ReferenceIndex:
    """Read the ledger for who may be asked; ``known`` are all tubes taken in, where they were read already.

    With ``panels`` only what was measured with one of these contents (SHA-256) of a panel is asked.
    """
    tubes = [
        tube.identity
        for tube in (taken_in(store) if known is None else known)
        if tube.file.state != "failed"
    ]
    return ReferenceIndex(tubes, study.patients().patients, measured(store, ENGINE_VERSION, panels))


def current_reference_sets(
    study: Study, store: Store, used: Mapping[str, InUse], known: Sequence[Tube] | None = None
) -> dict[str, str]:
    """Give for each tube whose strategy may ask other tubes the hash of whom it may ask now; ``known`` as for ``reference_index``."""
    asking = {
        panel: each.name for panel, each in used.items() if needs_references(each.release.strategy)
    }
    if not asking:
        return {}
    found = reference_index(study, store, known, panels=panel_contents(used))
    return {
        t.tube_sha256: found.references_for(t, asking[t.panel]).sha256
        for t in found.tubes
        if t.panel in asking and not is_fmo(t)
    }


def panel_contents(used: Mapping[str, InUse]) -> frozenset[str]:
    """Give the contents (SHA-256) of the panels in use."""
    return frozenset(each.panel_sha256 for each in used.values())


def reference_measurements(
    store: Store, references: ReferenceTubes, used: InUse
) -> ReferenceMeasurements:
    """Fetch what the tubes of ``references`` told, measured as ``used`` has it."""
    told = measurements_of(store, references.tubes, measured_with(used))
    return ReferenceMeasurements(
        controls=[told[tube] for tube in references.controls],
        fmo={marker: told[tube] for marker, tube in references.fmo},
        baseline=told[references.baseline] if references.baseline else None,
        pool=[told[tube] for tube in references.pool],
        priors=priors_of(used.release.strategy, [told[tube] for tube in references.earlier]),
    )


def measured_with(used: InUse) -> MeasuredWith:
    """Say what a tube's readings are made with."""
    return MeasuredWith(used.name, ENGINE_VERSION, used.panel_sha256)


def _when(tube: TubeIdentity) -> tuple[datetime, str]:
    return tube.drawn_at, tube.tube_sha256


def _left_out(tube: TubeIdentity) -> str:
    return (tube.control or "").removeprefix(FMO)


def _same_draw(one: TubeIdentity, other: TubeIdentity) -> bool:
    return (one.patient, one.visit, one.specimen) == (other.patient, other.visit, other.specimen)
