"""Measure the calibration of one panel on one instrument from its tubes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gating.calibration.model import END_OF_SCALE, Calibration, Cytometer, ThresholdNumbers
from gating.strategy.axis_map import axis_maps
from gating.strategy.calibrated import calibrated
from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.model import Strategy
from gating.strategy.threshold import Threshold
from gating.thresholds.measure import StretchMeasurement, ThresholdMeasurement
from gating.thresholds.measured_threshold import NEGATIVE_EVENTS
from tasks.calibrate.alignment import Alignment, align, observe_all
from tasks.calibrate.control_targets import control_targets
from tasks.calibrate.landmark_estimates import found_places
from tasks.calibrate.negative_tail import too_many_beyond
from tasks.calibrate.observation import Observation
from tasks.calibrate.threshold_proposals import Proposal, propose, raised, refused
from tasks.calibrate.threshold_sources import SeenTube
from tasks.calibrate.tube import CalibrationTube

MOST_STEPS = 14
"""So often a boundary is moved up by a step: 2.3 times as high at most."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A calibration as it was measured, with all that it rests on.

    ``drawn`` is the strategy with the numbers of the instrument it is drawn on, ``strategy`` with
    those measured. ``final`` is what each of the full ``tubes`` shows under it.
    """

    calibration: Calibration
    drawn: Strategy
    strategy: Strategy
    alignment: Alignment
    proposals: tuple[Proposal, ...]
    tubes: tuple[CalibrationTube, ...]
    final: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """What a calibration is called and which instrument it is of."""

    instrument: str
    version: str
    title: str
    cytometers: tuple[Cytometer, ...]
    known_as: tuple[str, ...] = ()


def measure_calibration(
    strategy: Strategy, heading: Heading, tubes: Sequence[CalibrationTube]
) -> Measured:
    """Measure every number of a strategy on an instrument's tubes.

    ``strategy`` has the numbers of the instrument it is drawn on. Raises as ``observe`` does.
    """
    full = [tube for tube in tubes if not tube.left_out]
    alignment = align(strategy, full)
    seen = _seen(alignment.strategy, tubes)
    maps = axis_maps(strategy, _calibration(strategy, heading, alignment, ()))
    proposals = tuple(
        propose(name, strategy, alignment, seen, maps) for name in strategy.thresholds
    )
    held = _Held(strategy, heading, alignment, full)
    proposals, first, final = held.to_negative_cells(proposals)
    calibration = first.model_copy(
        update={
            "thresholds": {
                name: _with_reference_cells(strategy.thresholds[name], numbers, name, final)
                for name, numbers in first.thresholds.items()
            },
            "beads": _beads(strategy, final),
            "targets": control_targets(strategy, final),
        }
    )
    return Measured(
        Calibration.model_validate(calibration.model_dump()),
        strategy,
        calibrated(strategy, calibration),
        alignment,
        proposals,
        tuple(full),
        tuple(final),
    )


def _seen(strategy: Strategy, tubes: Sequence[CalibrationTube]) -> list[SeenTube]:
    observations = observe_all(strategy, tubes)
    return [SeenTube(tube, seen) for tube, seen in zip(tubes, observations, strict=True)]


@dataclass(frozen=True, slots=True)
class _Held:
    """What proposals are tried on: the strategy, and the tubes with all stains."""

    strategy: Strategy
    heading: Heading
    alignment: Alignment
    tubes: Sequence[CalibrationTube]

    def to_negative_cells(
        self, proposals: tuple[Proposal, ...]
    ) -> tuple[tuple[Proposal, ...], Calibration, list[Observation]]:
        """Raise boundaries while too many cells that cannot be positive lie beyond them.

        Gives the proposals, their calibration, and what the tubes show under it. Where the last
        step does not suffice nothing is proposed: these cells are no negative ones, or the stain
        tells nothing.
        """
        calibration, seen = self._tried(proposals)
        for step in range(MOST_STEPS + 1):
            beyond = [
                None
                if each.value is None
                else too_many_beyond(self.strategy, each.threshold, self.tubes, seen)
                for each in proposals
            ]
            if not any(beyond):
                break
            answer = raised if step < MOST_STEPS else refused
            proposals = tuple(
                each if excess is None else answer(each, excess)
                for each, excess in zip(proposals, beyond, strict=True)
            )
            calibration, seen = self._tried(proposals)
        return proposals, calibration, seen

    def _tried(self, proposals: Sequence[Proposal]) -> tuple[Calibration, list[Observation]]:
        calibration = _calibration(self.strategy, self.heading, self.alignment, proposals)
        return calibration, observe_all(calibrated(self.strategy, calibration), self.tubes)


def _calibration(
    strategy: Strategy, heading: Heading, alignment: Alignment, proposals: Sequence[Proposal]
) -> Calibration:
    return Calibration(
        panel=strategy.panel,
        instrument=heading.instrument,
        version=heading.version,
        title=heading.title,
        strategy=strategy.name,
        relative_to=strategy.calibration,
        known_as=heading.known_as,
        cytometers=heading.cytometers,
        thresholds={
            each.threshold: _numbers(strategy.thresholds[each.threshold], each.value)
            for each in proposals
            if each.value is not None
        },
        landmarks=found_places(alignment.landmarks),
        unmeasured={
            each.threshold: "; ".join(f"{s.source}: {s.fault}" for s in each.sources)
            for each in proposals
            if each.value is None
        },
    )


def _numbers(declared: Threshold, value: float) -> ThresholdNumbers:
    """Give a threshold's value, and limits as far from it as they are declared."""
    limits = None
    if declared.limits is not None and declared.value:
        ratio = value / declared.value
        low, high = (_short(each * ratio) for each in declared.limits)
        limits = (min(low, value), min(max(high, value), END_OF_SCALE))
    return ThresholdNumbers(value=value, limits=limits)


def _with_reference_cells(
    declared: Threshold, numbers: ThresholdNumbers, name: str, final: Sequence[Observation]
) -> ThresholdNumbers:
    """Add the medians, spreads and clearances of a threshold's reference cells."""
    seen = [each.measurements[name] for each in final if name in each.measurements]
    update: dict[str, object] = {}
    anchors = [each.usable_anchor.median for each in seen if each.usable_anchor is not None]
    if declared.anchor is not None and anchors:
        update["anchor"] = _short(float(np.median(anchors)))
    if declared.negative is not None:
        spreads = [
            each.negative.spread
            for each in seen
            if each.negative is not None
            and each.negative.events >= NEGATIVE_EVENTS
            and each.negative.spread > 0
        ]
        if spreads:
            update["spread"] = _short(float(np.median(spreads)))
        update["clears"] = tuple(
            _clears(place, stretch.clears, seen)
            for place, stretch in enumerate(declared.negative.clearance)
        )
    return numbers.model_copy(update=update)


def _clears(place: int, declared: float, seen: Sequence[ThresholdMeasurement]) -> float:
    """Give how many SDs the boundary lies above the mode in one stretch; as declared if unseen."""
    stretches: list[StretchMeasurement] = [
        each.negative.stretches[place]
        for each in seen
        if each.negative is not None and each.negative.stretches[place].events >= NEGATIVE_EVENTS
    ]
    measured = [(each.border - each.mode) / each.spread for each in stretches if each.spread > 0]
    clear = _short(float(np.median(measured))) if measured else declared
    return clear if clear > 0 else declared


def _beads(strategy: Strategy, final: Sequence[Observation]) -> dict[str, float]:
    """Give where the bead cluster lies in each detector, in the tubes that have it."""
    cluster = strategy.bead_cluster
    if cluster is None:
        return {}
    centres = [each.beads.centre for each in final if each.beads.centre]
    return {
        marker: _short(float(np.median([each[marker] for each in centres])) * FULL_SCALE)
        for marker in cluster.markers
        if centres and all(marker in each for each in centres)
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")
