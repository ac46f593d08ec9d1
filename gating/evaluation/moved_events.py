"""Find the events that a boundary passes over when it is moved from one place to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.axis_units import compensation_reference
from gating.evaluation.compiled_strategy import UNCOMPENSATED
from gating.evaluation.correction_limits import vertices_of
from gating.evaluation.corrections import Vertices

if TYPE_CHECKING:
    from gating.evaluation.compensated_values import Channels
    from gating.evaluation.compiled_strategy import Compiled
    from gating.evaluation.corrections import Corrections
    from gating.fcs.event_source import Rows
    from gating.strategy.gates import Polygon

ROUNDING = 1e-6
"""Part of a bound by which the band around it is wider, so that rounding leaves nothing out."""
Box = tuple[tuple[str, float, float], ...]
"""A part of the space of events: axes, each with its lower and upper end in linear units."""


def moved_events(
    before: Compiled, after: Compiled, corrections: Corrections, channels: Channels
) -> Rows:
    """Give the sorted indices of all events whose gates may be others, and perhaps of some more.

    ``before`` and ``after`` are the tube's gates without and with the corrections.
    """
    inside = np.zeros(channels.count, dtype=bool)
    for box in dict.fromkeys(_boxes(before, after, corrections)):
        within = np.ones(channels.count, dtype=bool)
        for axis, low, high in box:
            column = _column(before, channels, axis)
            room = ROUNDING * max(abs(low), abs(high), 1.0)
            within &= (column >= low - room) & (column <= high + room)
        inside |= within
    return np.flatnonzero(inside)


def _boxes(before: Compiled, after: Compiled, corrections: Corrections) -> Iterator[Box]:
    """Yield parts of the space that hold everything a moved boundary passes over."""
    redrawn = {gate.gate: gate.polygon for gate in after.strategy.gates}
    for gate in before.strategy.gates:
        for axis, bound in gate.bounds():
            if isinstance(bound, str) and bound in corrections.thresholds:
                ends = before.value(axis, bound), after.value(axis, bound)
                yield ((axis, min(ends), max(ends)),)
        then, now = gate.polygon, redrawn[gate.gate]
        if then is None or now is None:
            continue
        if gate.gate in corrections.gates or then.follows in corrections.thresholds:
            yield from _polygon_boxes(then, vertices_of(before, then), vertices_of(after, now))


def _polygon_boxes(polygon: Polygon, then: Vertices, now: Vertices) -> Iterator[Box]:
    """Yield a box around each vertex that moved, with its neighbours before and after.

    Moving the vertices one after the other, each passes over no more than the two triangles that
    its old and its new place make with its neighbours.
    """
    if len(then) != len(now):
        yield _around(polygon, (*then, *now))
        return
    for place, (old, new) in enumerate(zip(then, now, strict=True)):
        if old != new:
            near = [(place - 1) % len(now), place, (place + 1) % len(now)]
            yield _around(polygon, [each[other] for other in near for each in (then, now)])


def _around(polygon: Polygon, vertices: Sequence[tuple[float, float]]) -> Box:
    across, up = zip(*vertices, strict=True)
    return (polygon.x, min(across), max(across)), (polygon.y, min(up), max(up))


def _column(compiled: Compiled, channels: Channels, axis: str) -> np.ndarray:
    """Give all values on an axis as its gates read them."""
    compensation: str | None = compensation_reference(compiled, axis)
    if compensation == UNCOMPENSATED:
        compensation = None
    index = channels.index(compiled.detector_of[axis], compensation)
    return channels.linear([(index, compensation)], None)[0]
