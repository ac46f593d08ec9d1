"""Say how far one person may move a threshold or a polygon in a tube."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.axis_units import to_display, transform_reference
from gating.evaluation.corrections import Vertices
from panels.acquisition_time import TIME

if TYPE_CHECKING:
    from gating.evaluation.compiled_strategy import Compiled
    from gating.strategy.gates import Polygon

UNDECLARED = 2.0
"""Where a threshold declares no limits, it may be moved by this factor: the 0.3 decades that a
value found in the tube may lie from what is expected (gating/thresholds/resolution.py)."""
VERTEX_SHARE = 0.15
"""So large a part of an axis a vertex may be moved along it."""


def threshold_limits(compiled: Compiled, name: str) -> tuple[float, float] | None:
    """Give from where to where one person may set a threshold, in the file's linear units.

    None where nothing is declared and the declared value is no positive number.
    """
    threshold = compiled.strategy.thresholds[name]
    limits = threshold.limits
    if limits is None:
        if threshold.value <= 0:
            return None
        limits = threshold.value / UNDECLARED, threshold.value * UNDECLARED
    factor = compiled.factor(threshold.marker)
    return limits[0] * factor, limits[1] * factor


def vertices_of(compiled: Compiled, polygon: Polygon) -> Vertices:
    """Give where a polygon's vertices lie in a tube, in the file's linear units."""
    across, up = compiled.factor(polygon.x), compiled.factor(polygon.y)
    return tuple((x * across, y * up) for x, y in compiled.vertices(polygon))


def farthest_move(compiled: Compiled, polygon: Polygon, vertices: Vertices) -> float | None:
    """Give the largest part of an axis (0 to 1, as displayed) by which a vertex would be moved.

    ``vertices`` are in the file's linear units and the order of the polygon's own. None where
    their number is another one: then nothing says which vertex was moved.
    """
    before = vertices_of(compiled, polygon)
    if len(before) != len(vertices):
        return None
    moves = [
        np.abs(np.subtract(*(_shares(compiled, axis, [each[k] for each in of]) for of in pair)))
        for k, axis in enumerate((polygon.x, polygon.y))
        for pair in [(before, vertices)]
    ]
    return float(np.max(moves))


def _shares(compiled: Compiled, axis: str, values: list[float]) -> np.ndarray:
    """Give places on an axis as parts of it, as it is displayed."""
    if transform_reference(compiled, axis) is None or axis == TIME:
        return np.array(values) / compiled.maximum_of[axis]
    return to_display(compiled, axis, [value / compiled.factor(axis) for value in values])
