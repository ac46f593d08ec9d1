"""Measure reference tubes with a draft's numbers, when a tube asks for them.

A night measures them before it counts and keeps what they show. Of a draft nothing is kept: they
are measured when the first tube contradicts a number, and held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


class DraftReferences:
    """The reference tubes as a night would have them that counts with a draft.

    With ``lent`` they show what they showed under another content of the draft: that is known
    already, and nearly the same.
    """

    def __init__(self, snapshot: StudySnapshot, lent: DraftReferences | None = None) -> None:
        self._snapshot, self._lent = snapshot, lent
        self._made: dict[int, tuple[StrategyInUse, ReferenceIndex]] = {}
        self._known: dict[str, Tube] = {}
        self._shown: dict[tuple[str, str, str], Mapping[str, ThresholdMeasurement]] = {}
        self.asked = False

    def __call__(self, used: StrategyInUse) -> ReferenceIndex:
        """Give the reference tubes for what counts with the draft."""
        if id(used) not in self._made:
            self._made[id(used)] = used, self._index(used)
        return self._made[id(used)][1]

    def _index(self, used: StrategyInUse) -> ReferenceIndex:
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
        return replace(index, measured=measured, measure=lambda sha: self._measure(sha, used))

    def _measure(self, sha256: str, used: StrategyInUse) -> Mapping[str, ThresholdMeasurement]:
        """Give what a tube shows, each measured once; one that cannot be gated shows nothing."""
        self.asked = True
        tube = self._known[sha256]
        key = (sha256, used.name, used.for_tube(tube).sha256)
        if key not in self._shown:
            lent = self._lent and self._lent.shown_by(sha256)
            self._shown[key] = lent or self._measured(tube, used)
        return self._shown[key]

    def shown_by(self, sha256: str) -> Mapping[str, ThresholdMeasurement] | None:
        """Give what a tube showed that was measured already."""
        return next((each for key, each in self._shown.items() if key[0] == sha256), None)

    def _measured(self, tube: Tube, used: StrategyInUse) -> Mapping[str, ThresholdMeasurement]:
        try:
            return measure_tube(self._snapshot.study, tube, used)
        except (TubeFault, OSError):
            return {}


def references_now(snapshot: StudySnapshot) -> References:
    """Give the reference tubes of what counts now, read once when they are asked for."""
    held: list[ReferenceIndex] = []

    def given(_: StrategyInUse) -> ReferenceIndex:
        if not held:
            with snapshot.study.store() as store:
                held.append(reference_index(snapshot, store))
        return held[0]

    return given
