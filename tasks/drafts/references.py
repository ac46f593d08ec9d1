"""Measure reference tubes with a draft's numbers, when a tube asks for them.

A night measures them before it counts and keeps what they show. Of a draft nothing is kept: they
are measured when the first tube contradicts a number, and held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from panels.text.errors import TubeFault
from tasks.store.tubes import Tube, taken_in
from tasks.tubes.gate_tube import measure_tube
from tasks.tubes.reference_tubes import ReferenceIndex, reference_index

if TYPE_CHECKING:
    from gating.thresholds.measure import ThresholdMeasurement
    from tasks.study.snapshot import StrategyInUse, StudySnapshot

References = Callable[["StrategyInUse"], ReferenceIndex]
"""Gives the reference tubes of what gates a tube; they are looked up when they are asked for."""
Shown = Mapping[str, "ThresholdMeasurement"]
"""What a tube shows of each threshold."""


class DraftReferences:
    """The reference tubes as a night would have them that counts with a draft.

    ``lent`` gives what a tube shows under another content of the draft, instead of measuring it
    under this one: it is nearly the same, and at hand while a number is being moved.
    """

    def __init__(
        self, snapshot: StudySnapshot, lent: Callable[[Tube], Shown] | None = None
    ) -> None:
        self._snapshot, self._lent = snapshot, lent
        self._made: dict[Hashable, ReferenceIndex] = {}
        self._known: dict[str, Tube] = {}
        self._shown: dict[tuple[str, Hashable], Shown] = {}
        self.has_lent = False

    def __call__(self, used: StrategyInUse) -> ReferenceIndex:
        """Give the reference tubes for what counts with the draft."""
        numbers = used.numbers
        key = (
            used.release.sha256,
            tuple((each.pin, each.since, each.batches) for each in numbers.calibrations),
            tuple(each.sha256 for each in numbers.strategies),
        )
        if key not in self._made:
            self._made[key] = self._index(used, key)
        return self._made[key]

    def shown_by(self, tube: Tube, used: StrategyInUse) -> Shown:
        """Give what a tube shows under ``used``."""
        measure = self(used).measure
        return {} if measure is None else measure(tube.identity.tube_sha256)

    def _index(self, used: StrategyInUse, key: Hashable) -> ReferenceIndex:
        snapshot = self._snapshot
        with snapshot.study.store() as store:
            self._known = {each.identity.tube_sha256: each for each in taken_in(store)}
            known = list(self._known.values())
            index = reference_index(snapshot, store, known, strategies=(used,))
        calibrations = index.calibrations[used.name]
        measured = {
            (each.tube_sha256, used.name, calibrations[each.tube_sha256])
            for each in index.references.get(used.panel.panel, ())
        }
        return replace(index, measured=measured, measure=lambda sha: self._measure(sha, used, key))

    def _measure(self, sha256: str, used: StrategyInUse, key: Hashable) -> Shown:
        """Give what a tube shows, each measured once; one that cannot be gated shows nothing."""
        tube = self._known[sha256]
        if self._lent is not None:
            self.has_lent = True
            return self._lent(tube)
        if (sha256, key) not in self._shown:
            try:
                shown: Shown = measure_tube(self._snapshot.study, tube, used)
            except (TubeFault, OSError):
                shown = {}
            self._shown[sha256, key] = shown
        return self._shown[sha256, key]


def references_now(snapshot: StudySnapshot) -> References:
    """Give the reference tubes of what counts now, read once when they are asked for."""
    held: list[ReferenceIndex] = []

    def given(_: StrategyInUse) -> ReferenceIndex:
        if not held:
            with snapshot.study.store() as store:
                held.append(reference_index(snapshot, store))
        return held[0]

    return given
