"""Judge most events of a polygon or an ellipse by the cell of a grid in which they lie.

Bringing a value to a logicle scale costs a hundred times a comparison. A shape's surroundings are
cut into cells, whose edges are known on the display scale and on the linear one. A cell that the
outline does not touch lies inside or outside as a whole; only events in the cells that it touches
are brought to the display scale and judged by FlowKit's gate. Cells count as touched with a margin
wider than every rounding on the way, so that membership is the same, event for event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gating.strategy.display_scale import apply_transform

if TYPE_CHECKING:
    import flowkit

LEAST_EVENTS = 20_000
"""With fewer events the grid costs more than it saves."""
CELLS = 256
"""Cells along each axis between the ends of the shape."""
SHIFT = 14
"""Bits of a 32-bit decimal that do not decide its cell: values within 0.2 % may share one."""
HALF = 1 << (31 - SHIFT)
WIDENED = 2.0 ** (SHIFT - 22)
"""Part of an edge by which a cell may reach beyond it: two steps of the bits that are kept."""
BESIDE = 0.02
"""Part of the shape's width that the grid reaches beyond it, so that its outermost cells are free
of it."""
MARGIN = 1e-6
"""Part of the shape's width by which a cell is taken to be larger than it is."""
OUTSIDE, INSIDE, TOUCHED = 0, 1, 2

Judge = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Tells which points of the display scale, given by x and y, a gate keeps."""


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """One axis cut into cells: what each covers in display units, and a table to find it by bits.

    The first and the last cell have no outer end.
    """

    low: np.ndarray
    high: np.ndarray
    cell_of: np.ndarray

    def cells(self, values: np.ndarray) -> np.ndarray:
        """Give the cell of each linear value."""
        with np.errstate(over="ignore"):
            bits = values.astype(np.float32).view(np.uint32)
        cells: np.ndarray = self.cell_of[(bits >> SHIFT).astype(np.intp)]
        return cells

    def inner_points(self) -> np.ndarray:
        """Give one place in each cell."""
        places: np.ndarray = (self.low + self.high) / 2
        places[0], places[-1] = self.high[0] - 1.0, self.low[-1] + 1.0
        return places


@dataclass(frozen=True, slots=True, eq=False)
class ShapeGrid:
    """A shape on a grid: which cells lie inside, outside, or are touched by its outline."""

    x: _Axis
    y: _Axis
    kinds: np.ndarray

    def judge(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell of linear values which lie inside, and the indices of those it cannot tell."""
        cells = self.x.cells(x) * self.kinds.shape[1] + self.y.cells(y)
        kinds: np.ndarray = self.kinds.ravel()[cells]
        return kinds == INSIDE, np.flatnonzero(kinds == TOUCHED)


def shape_grid(
    gate: flowkit.gates.PolygonGate | flowkit.gates.EllipsoidGate,
    transforms: Sequence[flowkit.transforms.Transform | None],
    judge: Judge,
) -> ShapeGrid | None:
    """Lay a grid around a polygon or an ellipse on two axes; None where that is not possible.

    ``transforms`` are the axes' display scales, which rise everywhere (None: linear); ``judge`` is
    the gate itself.
    """
    from flowkit import gates

    polygon = isinstance(gate, gates.PolygonGate)
    ends = _polygon_ends(gate) if polygon else _ellipse_ends(gate)
    if ends is None:
        return None
    x, y = (
        _axis(low, high, transform) for (low, high), transform in zip(ends, transforms, strict=True)
    )
    if x is None or y is None:
        return None
    kinds = _polygon_kinds(gate, x, y, judge) if polygon else _ellipse_kinds(gate, x, y)
    return ShapeGrid(x, y, kinds)


def _axis(low: float, high: float, transform: flowkit.transforms.Transform | None) -> _Axis | None:
    """Cut an axis between two display places into cells; None where the scale does not allow it."""
    beside = BESIDE * (high - low)
    places = np.linspace(low - beside, high + beside, CELLS + 1)
    edges = places if transform is None else np.asarray(transform.inverse(places[:, None]))[:, 0]
    if not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
        return None
    room = WIDENED * np.abs(edges) + np.finfo(np.float32).tiny
    reach = [edges - room, edges + room]
    if transform is not None:
        reach = [apply_transform(transform, each) for each in reach]
    margin = MARGIN * (high - low)
    return _Axis(
        low=np.concatenate([[-np.inf], reach[0] - margin]),
        high=np.concatenate([reach[1] + margin, [np.inf]]),
        cell_of=_cells_by_bits(edges),
    )


def _cells_by_bits(edges: np.ndarray) -> np.ndarray:
    """Give the cell of every value's leading bits: how many edges it has reached.

    Values that share their leading bits with an edge count as having reached it.
    """
    steps = np.abs(edges).astype(np.float32).view(np.uint32) >> SHIFT
    positive = np.sort(steps[edges > 0])
    negative = np.sort(steps[edges <= 0])
    reached = np.arange(len(positive) + 1) + len(negative)
    upward = np.repeat(reached, np.diff(positive, prepend=0, append=HALF))
    left = len(negative) - np.arange(len(negative) + 1)
    downward = np.repeat(left, np.diff(negative.astype(np.int64) + 1, prepend=0, append=HALF))
    return np.concatenate([upward, downward]).astype(np.int32)


def _polygon_ends(gate: flowkit.gates.PolygonGate) -> np.ndarray | None:
    """Give the lowest and the highest vertex on each axis; None for an outline without area."""
    corners = np.asarray(gate.vertices, dtype=np.float64)
    ends = np.column_stack([corners.min(axis=0), corners.max(axis=0)])
    return ends if (ends[:, 1] > ends[:, 0]).all() else None


def _polygon_kinds(gate: flowkit.gates.PolygonGate, x: _Axis, y: _Axis, judge: Judge) -> np.ndarray:
    """Judge one point of each cell, and mark the cells that an edge of the polygon touches."""
    across, up = (
        places.ravel() for places in np.meshgrid(x.inner_points(), y.inner_points(), indexing="ij")
    )
    kinds = judge(across, up).astype(np.uint8).reshape(len(x.low), len(y.low))
    corners = np.asarray(gate.vertices, dtype=np.float64)
    begun = np.zeros((len(x.low), len(y.low) + 1), dtype=np.int32)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        column, first, last = _touched(start, end, x, y)
        np.add.at(begun, (column, first), 1)
        np.add.at(begun, (column, last), -1)
    kinds[np.cumsum(begun, axis=1)[:, :-1] > 0] = TOUCHED
    return kinds


def _touched(
    start: np.ndarray, end: np.ndarray, x: _Axis, y: _Axis
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the columns of cells that a line touches, and the first and last (excluded) row."""
    if start[0] > end[0]:
        start, end = end, start
    column = np.flatnonzero((x.high >= start[0]) & (x.low <= end[0]))
    width = end[0] - start[0]
    if width > 0:
        share = [
            (np.clip(each[column], start[0], end[0]) - start[0]) / width for each in (x.low, x.high)
        ]
    else:
        share = [np.zeros(len(column)), np.ones(len(column))]
    height = [start[1] + each * (end[1] - start[1]) for each in share]
    room = MARGIN * (y.high[-2] - y.low[1])
    first = np.searchsorted(y.high, np.minimum(*height) - room, side="left")
    last = np.searchsorted(y.low, np.maximum(*height) + room, side="right")
    return column, first, last


def _ellipse_ends(gate: flowkit.gates.EllipsoidGate) -> np.ndarray | None:
    """Give the ends of an ellipse on each axis; None where its matrix makes none."""
    spread = np.asarray(gate.covariance_matrix, dtype=np.float64)
    reach_square = np.diag(spread) * gate.distance_square
    if not (reach_square > 0).all() or spread[0, 1] != spread[1, 0] or np.linalg.det(spread) <= 0:
        return None
    centre = np.asarray(gate.coordinates, dtype=np.float64)
    return np.column_stack([centre - np.sqrt(reach_square), centre + np.sqrt(reach_square)])


def _ellipse_kinds(gate: flowkit.gates.EllipsoidGate, x: _Axis, y: _Axis) -> np.ndarray:
    """Judge each cell by its middle's distance from the centre, and by how far its corners lie off.

    Distances are Mahalanobis'; no point of a cell is farther from its middle than a corner.
    """
    kinds = np.full((len(x.low), len(y.low)), TOUCHED, dtype=np.uint8)
    inverse = np.linalg.inv(np.asarray(gate.covariance_matrix, dtype=np.float64))
    size = np.sqrt(gate.distance_square)
    centre = np.asarray(gate.coordinates, dtype=np.float64)
    bounded = [(axis.low[1:-1], axis.high[1:-1]) for axis in (x, y)]
    offsets = [(low + high) / 2 - place for (low, high), place in zip(bounded, centre, strict=True)]
    halves = [(high - low) / 2 for low, high in bounded]
    middle = _lengths(inverse, inverse[0, 1], *offsets)
    corner = _lengths(inverse, abs(inverse[0, 1]), *halves)
    inner = kinds[1:-1, 1:-1]
    inner[middle + corner < size * (1 - MARGIN)] = INSIDE
    inner[middle - corner > size * (1 + MARGIN)] = OUTSIDE
    ends = _ellipse_ends(gate)
    assert ends is not None
    kinds[(x.high < ends[0, 0]) | (x.low > ends[0, 1])] = OUTSIDE
    kinds[:, (y.high < ends[1, 0]) | (y.low > ends[1, 1])] = OUTSIDE
    return kinds


def _lengths(inverse: np.ndarray, mixed: float, across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Give Mahalanobis' length of each pair of steps, with ``mixed`` between the axes."""
    squares = inverse[0, 0] * across[:, None] ** 2 + inverse[1, 1] * up**2
    lengths: np.ndarray = np.sqrt(np.maximum(squares + 2 * mixed * np.outer(across, up), 0.0))
    return lengths
