"""Bring numbers of one axis from the instrument a strategy was drawn on to another instrument.

One landmark tells a gain: what is drawn is multiplied by it. Two or more (lymphocytes and
granulocytes on scatter) make a line through each pair of neighbours, because light scattered at
other angles does not grow alike for small and large cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gating.calibration.model import Calibration
from gating.strategy.content import StrategyContent
from gating.strategy.display_scale import FULL_SCALE

LEAST_STEP = 1.25
"""Landmarks of one axis that lie closer than this (as a ratio) tell nothing of the axis between."""


@dataclass(frozen=True, slots=True)
class AxisMap:
    """The landmarks of one axis: where they lie for the strategy, and on the instrument.

    Both rise. Without any the axis stays as it is.
    """

    drawn: tuple[float, ...] = ()
    found: tuple[float, ...] = ()

    @property
    def gain(self) -> float:
        """Give the factor at the first landmark."""
        return self.found[0] / self.drawn[0] if self.drawn else 1.0

    @property
    def back(self) -> AxisMap:
        """Give the map of the way back, from the instrument to where the strategy is drawn."""
        return AxisMap(self.found, self.drawn)

    def at(self, value: float) -> float:
        """Give the place on the instrument of a value of the strategy, in linear units.

        What lies at the end of the range or beyond it stands for "without limit" and stays there.
        """
        moved = self._moved(value)
        if value >= FULL_SCALE - 1:
            return max(value, moved)
        return float(f"{moved:.6g}") if moved != value else value

    def _moved(self, value: float) -> float:
        if not self.drawn or value <= self.drawn[0]:
            return value * self.gain
        if value >= self.drawn[-1]:
            return value * self.found[-1] / self.drawn[-1]
        place = next(i for i, each in enumerate(self.drawn) if each > value)
        (low, high), (to_low, to_high) = (
            self.drawn[place - 1 : place + 1],
            self.found[place - 1 : place + 1],
        )
        return to_low + (value - low) / (high - low) * (to_high - to_low)


def axis_maps(strategy: StrategyContent, calibration: Calibration) -> dict[str, AxisMap]:
    """Make the map of every axis on which strategy and calibration share a landmark."""
    return {axis: _map_of(pairs) for axis, pairs in landmark_pairs(strategy, calibration).items()}


def landmark_pairs(
    strategy: StrategyContent, calibration: Calibration
) -> dict[str, list[tuple[float, float]]]:
    """List by axis where each shared landmark lies for the strategy, and on the instrument."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for name, landmark in strategy.landmarks.items():
        found = calibration.landmarks.get(name, {})
        for axis in landmark.axes:
            if axis in found and axis in landmark.at:
                pairs.setdefault(axis, []).append((landmark.at[axis], found[axis]))
    return pairs


def moved_axes(maps: Mapping[str, AxisMap], axes: Iterable[str]) -> list[str]:
    """List those of some axes on which anything moves."""
    return [axis for axis in axes if axis in maps and maps[axis].drawn != maps[axis].found]


def _map_of(pairs: Sequence[tuple[float, float]]) -> AxisMap:
    """Keep the first landmark, and each further one that lies clearly beyond the one before."""
    kept = [pairs[0]]
    for drawn, found in sorted(pairs[1:]):
        if drawn >= LEAST_STEP * kept[-1][0] and found >= LEAST_STEP * kept[-1][1]:
            kept.append((drawn, found))
    return AxisMap(tuple(each[0] for each in kept), tuple(each[1] for each in kept))
