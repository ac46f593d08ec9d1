"""Convert places that were dragged to on a display into the file's linear units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gating.evaluation.axis_units import to_display, to_linear
from panels.text.errors import UsageFault
from panels.text.printable import shown
from tasks.corrections.boundaries import refuse_no_outline

if TYPE_CHECKING:
    from gating.display.tube_drawing import DrawnAxis
    from gating.evaluation.compiled_strategy import Compiled
    from gating.strategy.gates import Polygon
    from tasks.store.corrections import Vertices

Places = Mapping[str, float]
"""Positions of thresholds on their axes, by name."""
Outlined = Mapping[str, Sequence[tuple[float, float]]]
"""Vertices of polygons, by gate."""
Limits = dict[str, tuple[float, float]]


def in_channel_units(
    compiled: Compiled, axes: Sequence[DrawnAxis], thresholds: Places, gates: Outlined
) -> tuple[dict[str, float], dict[str, Vertices]]:
    """Convert display positions to the file's linear units.

    Raises UsageFault for a threshold or polygon that the tube has not, an outline of too few or too
    many vertices, and a place that lies further beyond its axis than the axis is long.
    """
    strategy = compiled.strategy
    polygons = {gate.gate: gate.polygon for gate in strategy.gates if gate.polygon}
    _refuse_unknown("threshold", thresholds, strategy.thresholds)
    _refuse_unknown("polygon", gates, polygons)
    for name, vertices in gates.items():
        refuse_no_outline(name, len(vertices))
    limits = {each.name: _around(*each.axis.limits) for each in axes}
    values = {
        name: _linear(compiled, strategy.thresholds[name].marker, place, limits)
        for name, place in thresholds.items()
    }
    outlines = {
        name: _outline(compiled, polygons[name], vertices, limits)
        for name, vertices in gates.items()
    }
    return values, outlines


def _outline(
    compiled: Compiled, polygon: Polygon, vertices: Sequence[tuple[float, float]], limits: Limits
) -> Vertices:
    """Convert vertices; one may lie as far out as the polygon's own lie now."""
    now = list(zip(*compiled.vertices(polygon), strict=True))
    widened = dict(limits)
    for axis, values in zip((polygon.x, polygon.y), now, strict=True):
        reached = to_display(compiled, axis, list(values))
        low, high = limits.get(axis, (math.inf, -math.inf))
        widened[axis] = min(low, float(reached.min())), max(high, float(reached.max()))
    return tuple(
        (_linear(compiled, polygon.x, x, widened), _linear(compiled, polygon.y, y, widened))
        for x, y in vertices
    )


def _linear(compiled: Compiled, axis: str, place: float, limits: Limits) -> float:
    low, high = limits.get(axis, (-math.inf, math.inf))
    value = math.inf
    if low <= place <= high:
        value = to_linear(compiled, axis, place) * compiled.factor(axis)
    if not math.isfinite(value):
        raise UsageFault(
            f"The place {place:g} lies far beyond the axis of {axis}: nothing is there."
        )
    return float(f"{value:.6g}")


def _around(low: float, high: float) -> tuple[float, float]:
    return low - (high - low), high + (high - low)


def _refuse_unknown(thing: str, names: Mapping[str, object], known: Mapping[str, object]) -> None:
    for name in names:
        if name not in known:
            raise UsageFault(f"This tube has no {thing} '{shown(name)}'.")
