"""Decide which of some events lie inside one gate.

Bounds are compared on the linear scale where that is exact; elsewhere FlowKit's gate objects
decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.shape_grid import ShapeGrid, shape_grid
from gating.strategy.display_scale import apply_transform, is_monotone, linear_bound
from panels.text.errors import StrategyFault
from panels.text.printable import shown

if TYPE_CHECKING:
    import flowkit

    from gating.evaluation.compensated_values import Channels

Key = tuple[int, str | None]
"""A channel's index and the compensation it is read with."""
Columns = Mapping[Key, np.ndarray]
NEAR = 1e-9


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on the display scale, and the same on the linear one.

    ``linear`` is None where the scale's inverse is not exact.
    """

    shown: float
    linear: float | None


@dataclass(frozen=True, slots=True)
class GateDimension:
    """One dimension of a gate: its linear columns, its display transform and its bounds."""

    name: str
    keys: tuple[Key, ...]
    transform: flowkit.transforms.Transform | None
    ratio: flowkit.transforms.RatioTransform | None
    low: Bound | None
    high: Bound | None

    @property
    def is_monotone(self) -> bool:
        """Tell whether linear values can be compared instead of displayed ones."""
        return self.ratio is None and is_monotone(self.transform)

    def linear(self, columns: Columns) -> np.ndarray:
        """Give the linear values."""
        return columns[self.keys[0]]

    def displayed(self, columns: Columns) -> np.ndarray:
        """Give the values on the display scale."""
        values = self.linear(columns)
        if self.ratio is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = self.ratio.param_a * (
                    (values - self.ratio.param_b) / (columns[self.keys[1]] - self.ratio.param_c)
                )
        return self.on_scale(values)

    def on_scale(self, values: np.ndarray) -> np.ndarray:
        """Convert linear values or ratios to the display scale."""
        return values if self.transform is None else apply_transform(self.transform, values)

    def within(self, columns: Columns) -> np.ndarray:
        """Tell which events lie between the bounds: the lower is included, the upper is not."""
        values = self.linear(columns) if self.is_monotone else self.displayed(columns)
        if self.low is None:
            return self._below_high(values)
        inside = self._at_least(values, self.low)
        return inside if self.high is None else inside & ~self._at_least(values, self.high)

    def _below_high(self, values: np.ndarray) -> np.ndarray:
        if self.high is None:
            return np.ones(len(values), dtype=bool)
        below: np.ndarray = ~self._at_least(values, self.high)
        return below

    def _at_least(self, values: np.ndarray, bound: Bound) -> np.ndarray:
        """Tell which values reach a bound.

        Those that lie nearer to it than rounding can decide are compared on the display scale.
        """
        if bound.linear is None or self.transform is None:
            return values >= bound.shown
        room = NEAR * max(abs(bound.linear), 1.0)
        inside: np.ndarray = values >= bound.linear - room
        beyond = values > bound.linear + room
        if np.count_nonzero(inside) != np.count_nonzero(beyond):
            close = np.flatnonzero(inside & ~beyond)
            inside[close] = apply_transform(self.transform, values[close]) >= bound.shown
        return inside


def dimension_of(
    gating: flowkit.GatingStrategy,
    channels: Channels,
    dimension: flowkit.Dimension | flowkit.RatioDimension | flowkit.QuadrantDivider,
) -> GateDimension:
    """Resolve the channels, transform and bounds that one dimension of a gate refers to.

    Raises StrategyFault when one is not defined, PanelMismatch when the tube lacks a channel.
    """
    transform = _transform(gating, dimension.transformation_ref)
    name = getattr(dimension, "ratio_ref", None)
    ratio: flowkit.transforms.RatioTransform | None = None
    keys: tuple[Key, ...]
    if name is not None:
        ratio = _transform(gating, str(name))
        if ratio is None:
            raise StrategyFault(f"the ratio '{shown(name)}' is not defined.")
        keys = tuple((channels.index(each), None) for each in ratio.dimensions)
    else:
        compensation = dimension.compensation_ref
        if compensation == "uncompensated":
            compensation = None
        channel = getattr(dimension, "dimension_ref", None) or dimension.id
        keys = ((channels.index(channel, compensation), compensation),)
    exact = ratio is None and is_monotone(transform)
    return GateDimension(
        name=str(name or dimension.id),
        keys=keys,
        transform=transform,
        ratio=ratio,
        low=_bound_on(transform, getattr(dimension, "min", None), exact=exact),
        high=_bound_on(transform, getattr(dimension, "max", None), exact=exact),
    )


def _transform(
    gating: flowkit.GatingStrategy, reference: str | None
) -> flowkit.transforms.Transform | None:
    if reference is None:
        return None
    if reference not in gating.transformations:
        raise StrategyFault(
            f"a gate refers to the transformation '{shown(reference)}', which is not defined."
        )
    return gating.transformations[reference]


def _bound_on(
    transform: flowkit.transforms.Transform | None, displayed: float | None, *, exact: bool
) -> Bound | None:
    """Convert a bound from the display scale to the linear one, where that is ``exact``."""
    if displayed is None:
        return None
    return Bound(float(displayed), linear_bound(displayed, transform) if exact else None)


def membership_of(
    gate: flowkit.gates.Gate,
    dimensions: list[GateDimension],
    columns: Columns,
    grid: ShapeGrid | None = None,
) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Yield each population of a gate, itself or its quadrants, with the events it keeps.

    A population is given by its names below the gate's parent, the events as a Boolean for each;
    ``grid`` is the gate's, where it has one.
    Raises StrategyFault for a rectangle without dimensions.
    """
    from flowkit import gates

    if isinstance(gate, gates.QuadrantGate):
        frame = _Frame(
            {
                divider.dimension_ref: dimension.displayed(columns)
                for divider, dimension in zip(gate.dimensions, dimensions, strict=True)
            }
        )
        yield from (((gate.gate_name, name), inside) for name, inside in gate.apply(frame).items())
    elif isinstance(gate, gates.RectangleGate):
        if not dimensions:
            raise StrategyFault(f"the rectangle '{shown(gate.gate_name)}' has no dimension.")
        within = dimensions[0].within(columns)
        for dimension in dimensions[1:]:
            within &= dimension.within(columns)
        yield (gate.gate_name,), ~within if gate.use_complement else within
    else:
        yield (gate.gate_name,), _in_shape(gate, dimensions, columns, grid)


def grid_of(gate: flowkit.gates.Gate, dimensions: Sequence[GateDimension]) -> ShapeGrid | None:
    """Lay the grid by which most events of a polygon or an ellipse are judged.

    None for gates of other shapes, on scales that do not rise everywhere, and for one that names
    the same channel twice.
    """
    from flowkit import gates

    shaped = isinstance(gate, gates.PolygonGate | gates.EllipsoidGate)
    if not shaped or len(dimensions) != 2 or not all(each.is_monotone for each in dimensions):
        return None
    names = [each.name for each in dimensions]
    if names[0] == names[1]:
        return None

    def keeps(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(gate.apply(_Frame(dict(zip(names, (x, y), strict=True)))))

    return shape_grid(gate, [each.transform for each in dimensions], keeps)


def _in_shape(
    gate: flowkit.gates.Gate,
    dimensions: list[GateDimension],
    columns: Columns,
    grid: ShapeGrid | None,
) -> np.ndarray:
    """Tell which events lie in a polygon or an ellipse.

    Events beyond a polygon's outermost vertices are outside whatever the display scale.
    """
    from flowkit import gates

    if grid is not None:
        x, y = (dimension.linear(columns) for dimension in dimensions)
        inside, unsure = grid.judge(x, y)
        if len(unsure):
            unjudged = {key: columns[key][unsure] for each in dimensions for key in each.keys}
            inside[unsure] = _in_shape(gate, dimensions, unjudged, None)
        return inside
    if not isinstance(gate, gates.PolygonGate) or not all(d.is_monotone for d in dimensions):
        return np.asarray(gate.apply(_Frame({d.name: d.displayed(columns) for d in dimensions})))
    linear = [dimension.linear(columns) for dimension in dimensions]
    near = np.ones(len(linear[0]), dtype=bool)
    corners = np.asarray(gate.vertices, dtype=np.float64).T
    for column, dimension, ends in zip(linear, dimensions, corners, strict=True):
        low = linear_bound(ends.min(), dimension.transform)
        high = linear_bound(ends.max(), dimension.transform)
        room = NEAR * max(abs(low), abs(high), 1.0)
        near &= (column >= low - room) & (column <= high + room)
    inside = np.full(len(near), fill_value=gate.use_complement)
    if near.any():
        displayed = {
            dimension.name: dimension.on_scale(column[near])
            for dimension, column in zip(dimensions, linear, strict=True)
        }
        inside[near] = gate.apply(_Frame(displayed))
    return inside


class _Frame:
    """The part of a data frame that FlowKit's gates read: columns by name, as arrays."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self._columns = columns
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __getitem__(self, names: str | list[str]) -> _Values:
        if isinstance(names, str):
            return _Values(self._columns[names])
        return _Values(np.column_stack([self._columns[name] for name in names]))


@dataclass(frozen=True, slots=True)
class _Values:
    """What ``frame[names].values`` gives."""

    values: np.ndarray
