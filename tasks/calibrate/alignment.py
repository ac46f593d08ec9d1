"""Bring a strategy to an instrument's scale: gate, see where the landmarks lie, gate there again.

Cells that are well apart from others (T cells by CD3, granulocytes by side scatter) are found in
part even where boundaries lie wrong by a factor of two; their modes bring the boundaries nearer,
and after a few rounds nothing moves any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gating.calibration.model import Calibration
from gating.strategy.calibrated import calibrated
from gating.strategy.model import Strategy
from tasks.calibrate.landmark_estimates import (
    LandmarkEstimate,
    found_places,
    landmark_estimates,
)
from tasks.calibrate.observation import Observation, observe
from tasks.calibrate.tube import CalibrationTube

MOST_ROUNDS = 8
SETTLED = 0.05
"""Landmarks that all move by less (as a ratio) have been found: a mode is known no better."""
TUBES_A_ROUND = 8
CLEAR_AT_FIRST = 1.15
"""Less than ``landmark_estimates`` asks at the end: at first boundaries lie wrong by a gain."""

Estimates = Mapping[tuple[str, str], LandmarkEstimate]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A strategy at an instrument's scale, its landmarks there, and how often it was gated."""

    strategy: Strategy
    landmarks: Estimates
    rounds: int
    settled: bool


def align(strategy: Strategy, tubes: Sequence[CalibrationTube]) -> Alignment:
    """Move a strategy until its landmarks stay where they are.

    Rounds see at most eight of the tubes; the last estimate is of all. Raises as ``observe`` does.
    """
    current, before = strategy, _places(strategy)
    few = tubes[:: max(1, -(-len(tubes) // TUBES_A_ROUND))]
    settled, rounds = False, 0
    while not settled and rounds < MOST_ROUNDS:
        estimates = landmark_estimates(current, observe_all(current, few), clear=CLEAR_AT_FIRST)
        places = found_places(estimates)
        settled = _is_settled(before, estimates)
        current, before, rounds = at_landmarks(strategy, places), places, rounds + 1
    estimates = landmark_estimates(current, observe_all(current, tubes))
    return Alignment(at_landmarks(strategy, found_places(estimates)), estimates, rounds, settled)


def observe_all(strategy: Strategy, tubes: Sequence[CalibrationTube]) -> list[Observation]:
    """Observe some tubes under a strategy."""
    return [observe(strategy, tube.match, tube.header, tube.events, tube.rows) for tube in tubes]


def at_landmarks(strategy: Strategy, places: Mapping[str, Mapping[str, float]]) -> Strategy:
    """Give a strategy whose boundaries moved with its landmarks."""
    found = Calibration(
        panel=strategy.panel,
        instrument="draft",
        version="0.0.0",
        title="landmarks of a draft",
        strategy=strategy.name,
        thresholds={},
        landmarks=places,
    )
    return calibrated(strategy, found)


def _places(strategy: Strategy) -> dict[str, dict[str, float]]:
    return {name: dict(landmark.at) for name, landmark in strategy.landmarks.items()}


def _is_settled(before: Mapping[str, Mapping[str, float]], estimates: Estimates) -> bool:
    """Tell whether every landmark stayed where it is known to be, and none came or went."""
    for (name, axis), found in estimates.items():
        earlier = before.get(name, {}).get(axis)
        if (earlier is None) != (found.value is None):
            return False
        if earlier is None or found.value is None:
            continue
        known = max(SETTLED, 0.5 * float(np.log(found.high / found.low)))
        if abs(np.log(found.value / earlier)) > known:
            return False
    return True
