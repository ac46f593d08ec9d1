"""List the axes on which a gate is drawn as numbers, and not by a threshold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gating.strategy.display_scale import FULL_SCALE
from panels.acquisition_time import TIME

if TYPE_CHECKING:
    from gating.strategy.content import StrategyContent
    from gating.strategy.gates import Gate


def drawn_axes(strategy: StrategyContent, gate: Gate) -> frozenset[str]:
    """List the axes on which an instrument's scale decides what a gate keeps.

    A number at or below 0, or at the end of the range, leaves nothing out; time has no scale.
    """
    drawn = {axis for axis, number in _numbers(strategy, gate) if 0 < number < FULL_SCALE - 1}
    if gate.ratio is not None:
        drawn |= {gate.ratio.numerator, gate.ratio.denominator}
    return frozenset(drawn - {TIME})


def _numbers(strategy: StrategyContent, gate: Gate) -> Iterator[tuple[str, float]]:
    """Yield every number a gate is drawn with, and its axis."""
    for axis, bound in gate.bounds():
        if not isinstance(bound, str):
            yield axis, bound
    polygon, ellipse = gate.polygon, gate.ellipse
    if polygon is not None:
        followed = strategy.thresholds[polygon.follows].marker if polygon.follows else None
        for x, y in polygon.vertices:
            yield from (
                (axis, at) for axis, at in ((polygon.x, x), (polygon.y, y)) if axis != followed
            )
    if ellipse is not None:
        yield ellipse.x, ellipse.centre[0]
        yield ellipse.y, ellipse.centre[1]
