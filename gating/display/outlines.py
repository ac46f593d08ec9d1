"""Draw the border of a gate as polylines in display units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gating.display.gate_view import Axis
from gating.evaluation.axis_units import ellipse_on, on_display_scale, ratio_on, to_display
from gating.evaluation.compiled_strategy import Compiled
from gating.strategy.display_scale import FULL_SCALE, transform_of
from gating.strategy.gates import SCATTER, Bound, Ellipse, Gate, Limits, Polygon, Ratio

Outlines = tuple[np.ndarray, ...]
"""Polylines (k × 2) in display units."""
Span = tuple[float, float]
CURVE_POINTS = 73


def outlines_of(
    compiled: Compiled, gate: Gate, name: str, axes: tuple[str, str], drawn: Sequence[Axis]
) -> Outlines:
    """Draw the border of population ``name`` of a gate on two axes.

    A dimension without a bound runs to the edge of the picture. A border that does not exist on the
    axes of the picture is not drawn.
    """
    if gate.cluster is not None:
        return _bead_outline(compiled, axes, drawn)
    top = {axis: shown.limits[1] for axis, shown in zip(axes, drawn, strict=True)}
    shape = _two_axis_outlines(compiled, gate, top)
    if shape is not None:
        if set(axes) != set(gate.axes):
            return ()
        return shape if axes == gate.axes else tuple(line[:, ::-1] for line in shape)
    limits = limits_of(gate, name)
    if not any(axis in limits for axis in axes):
        return ()
    across, up = (
        _span(compiled, axis, limits.get(axis), shown.limits)
        for axis, shown in zip(axes, drawn, strict=True)
    )
    return (_box(across, up),)


def _bead_outline(compiled: Compiled, axes: tuple[str, str], drawn: Sequence[Axis]) -> Outlines:
    """Draw the region from which on an event holds a bead.

    An axis of no bead's detector is open, and so is the upper end of the others.
    """
    floor = compiled.beads.floor
    if not floor:
        return ()
    spans = []
    for axis, shown in zip(axes, drawn, strict=True):
        low, high = shown.limits
        if axis in floor:
            low = _displayed_bound(compiled, axis, floor[axis] * FULL_SCALE)
        spans.append((low, high))
    return (_box(*spans),)


def _box(x: Span, y: Span) -> np.ndarray:
    return np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]), (x[0], y[0])])


def _two_axis_outlines(compiled: Compiled, gate: Gate, top: Mapping[str, float]) -> Outlines | None:
    """Draw a border that needs two axes on the gate's axes, in their order.

    None for a gate that bounds each axis by itself. ``top`` is the upper limit of each axis drawn.
    """
    if gate.polygon is not None:
        return (_polygon(compiled, gate.polygon),)
    if gate.ellipse is not None:
        return (_ellipse(compiled, gate.ellipse),)
    if gate.ratio is not None:
        return _rays(compiled, gate.ratio, top.get(gate.ratio.denominator, 0.0))
    return None


def _polygon(compiled: Compiled, shape: Polygon) -> np.ndarray:
    vertices = compiled.vertices(shape)
    across = to_display(compiled, shape.x, [x for x, _ in vertices])
    up = to_display(compiled, shape.y, [y for _, y in vertices])
    corners = np.column_stack([across, up])
    return np.vstack([corners, corners[:1]])


def _ellipse(compiled: Compiled, shape: Ellipse) -> np.ndarray:
    centre, covariance = ellipse_on(compiled, shape)
    angles = np.linspace(0, 2 * np.pi, CURVE_POINTS)
    root = np.linalg.cholesky(covariance) * np.sqrt(shape.distance_square)
    circle = np.vstack([np.cos(angles), np.sin(angles)])
    return np.asarray((centre[:, None] + root @ circle).T)


def _rays(compiled: Compiled, ratio: Ratio, top: float) -> Outlines:
    """Draw the two borders between which a ratio lies, from 0 to the ``top`` of the denominator.

    A ratio is of uncompensated signals: on compensated axes it has no border that could be drawn.
    """
    if compiled.matrix is not None and not {ratio.numerator, ratio.denominator} <= set(SCATTER):
        return ()
    below = _linear_grid(compiled, ratio.denominator, top)
    return tuple(
        np.column_stack(
            [
                _on_scale(compiled, ratio.numerator, bound * below),
                _on_scale(compiled, ratio.denominator, below),
            ]
        )
        for bound in ratio_on(compiled, ratio)
    )


def _linear_grid(compiled: Compiled, axis: str, top: float) -> np.ndarray:
    """Give places from 0 to ``top`` on the display scale of an axis, in the file's linear units."""
    transform = transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
    if transform is None:
        return np.array([0.0, top])
    places = np.linspace(0, top, CURVE_POINTS).reshape(-1, 1)
    return np.asarray(transform.inverse(places))[:, 0]


def _on_scale(compiled: Compiled, axis: str, linear: np.ndarray) -> np.ndarray:
    """Convert values in the file's linear units to the display scale of an axis."""
    transform = transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
    return on_display_scale(transform, linear)


def limits_of(gate: Gate, name: str) -> dict[str, Limits]:
    """Give the limits of a rectangle, or of one quadrant, by axis."""
    if gate.quadrant is None:
        return dict(gate.rectangle or {})
    signs = next(signs for signs, quadrant in gate.quadrant.quadrants.items() if quadrant == name)
    return {
        gate.quadrant.x: _beyond(signs[0], gate.quadrant.x_divider),
        gate.quadrant.y: _beyond(signs[1], gate.quadrant.y_divider),
    }


def _beyond(sign: str, divider: Bound) -> Limits:
    return Limits(above=divider) if sign == "+" else Limits(below=divider)


def _span(compiled: Compiled, axis: str, limits: Limits | None, shown: Span) -> Span:
    """Give from where to where a gate reaches on one axis; without a bound to the drawn end."""
    if limits is None:
        return shown
    low, high = shown
    if limits.above is not None:
        low = _displayed_bound(compiled, axis, compiled.value_of(limits.above))
    if limits.below is not None:
        high = _displayed_bound(compiled, axis, compiled.value_of(limits.below))
    return low, high


def _displayed_bound(compiled: Compiled, axis: str, value: float) -> float:
    return float(to_display(compiled, axis, [value])[0])
