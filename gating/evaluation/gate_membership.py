"""Apply one gate to a part of the events: bounds on the linear scale where that is exact, FlowKit's own gate objects elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    """A bound on the display scale, and the same on the linear one (None where the scale's inverse cannot be trusted)."""

    shown: float
    linear: float | None


@dataclass(frozen=True, slots=True)
class GateDimension:
    """One side of a gate: the linear columns it comes from, its display transform, its bounds."""

    name: str
    keys: tuple[Key, ...]
    transform: flowkit.transforms.Transform | None
    ratio: flowkit.transforms.RatioTransform | None
    low: Bound | None
    high: Bound | None

    @property
    def is_monotone(self) -> bool:
        """Tell whether linear values can stand for displayed ones."""
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
        return values if self.transform is None else apply_transform(self.transform, values)

    def within(self, columns: Columns) -> np.ndarray:
        """Tell which events lie between the bounds: the lower one is included, the upper one is not."""
        values = self.linear(columns) if self.is_monotone else self.displayed(columns)
        if self.low is None:
            return (
                np.ones(len(values), dtype=bool)
                if self.high is None
                else ~self._at_least(values, self.high)
            )
        inside = self._at_least(values, self.low)
        return inside if self.high is None else inside & ~self._at_least(values, self.high)

    def _at_least(self, values: np.ndarray, bound: Bound) -> np.ndarray:
        """Compare values with a bound; the few that lie nearer to it than rounding could tell are judged on the display scale."""
        if bound.linear is None or self.transform is None:
            return values >= bound.shown
        inside = values >= bound.linear
        close = np.flatnonzero(np.abs(values - bound.linear) <= NEAR * max(abs(bound.linear), 1.0))
        if len(close):
            inside[close] = apply_transform(self.transform, values[close]) >= bound.shown
        return inside


def dimension_of(
    gating: flowkit.GatingStrategy,
    channels: Channels,
    dimension: flowkit.Dimension | flowkit.RatioDimension | flowkit.QuadrantDivider,
) -> GateDimension:
    """Resolve what one side of a gate refers to; raises StrategyFault when it is not defined, PanelMismatch when the tube lacks it."""
    transform = _transform(gating, dimension.transformation_ref)
    name = getattr(dimension, "ratio_ref", None)
    ratio: flowkit.transforms.RatioTransform | None = None
    if name is not None:
        ratio = _transform(gating, str(name))
        if ratio is None:
            raise StrategyFault(f"the ratio '{shown(name)}' is not defined.")
        keys: tuple[Key, ...] = tuple((channels.index(each), None) for each in ratio.dimensions)
    else:
        compensation = (
            None
            if dimension.compensation_ref in (None, "uncompensated")
            else dimension.compensation_ref
        )
        keys = (
            (
                channels.index(
                    getattr(dimension, "dimension_ref", None) or dimension.id, compensation
                ),
                compensation,
            ),
        )
    exact = ratio is None and is_monotone(transform)
    low, high = (
        bound_on(transform, getattr(dimension, end, None), exact=exact) for end in ("min", "max")
    )
    return GateDimension(str(name or dimension.id), keys, transform, ratio, low, high)


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


def bound_on(
    transform: flowkit.transforms.Transform | None, shown: float | None, *, exact: bool
) -> Bound | None:
    """Bring a bound from the display scale to the linear one, where that is ``exact``."""
    return (
        None
        if shown is None
        else Bound(float(shown), linear_bound(shown, transform) if exact else None)
    )


def membership_of(
    gate: flowkit.gates.Gate, sides: list[GateDimension], columns: Columns
) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Tell which events each population of a gate keeps: its own, or its quadrants'; raises StrategyFault for one without sides."""
    from flowkit import gates

    if isinstance(gate, gates.QuadrantGate):
        frame = _Frame(
            {
                d.dimension_ref: side.displayed(columns)
                for d, side in zip(gate.dimensions, sides, strict=True)
            }
        )
        yield from (((gate.gate_name, name), inside) for name, inside in gate.apply(frame).items())
    elif isinstance(gate, gates.RectangleGate):
        if not sides:
            raise StrategyFault(f"the rectangle '{shown(gate.gate_name)}' has no dimension.")
        within = sides[0].within(columns)
        for side in sides[1:]:
            within &= side.within(columns)
        yield (gate.gate_name,), ~within if gate.use_complement else within
    else:
        yield (gate.gate_name,), _in_shape(gate, sides, columns)


def _in_shape(gate: flowkit.gates.Gate, sides: list[GateDimension], columns: Columns) -> np.ndarray:
    """Apply a polygon or an ellipse; events beside a polygon's outermost vertices need no display scale to be outside."""
    from flowkit import gates

    if not isinstance(gate, gates.PolygonGate) or not all(side.is_monotone for side in sides):
        return np.asarray(
            gate.apply(_Frame({side.name: side.displayed(columns) for side in sides}))
        )
    linear = [side.linear(columns) for side in sides]
    near = np.ones(len(linear[0]), dtype=bool)
    for column, side, places in zip(
        linear, sides, np.asarray(gate.vertices, dtype=np.float64).T, strict=True
    ):
        low, high = (
            linear_bound(places.min(), side.transform),
            linear_bound(places.max(), side.transform),
        )
        room = NEAR * max(abs(low), abs(high), 1.0)
        near &= (column >= low - room) & (column <= high + room)
    inside = np.full(len(near), fill_value=gate.use_complement)
    if near.any():
        shown = [
            v[near] if s.transform is None else apply_transform(s.transform, v[near])
            for v, s in zip(linear, sides, strict=True)
        ]
        inside[near] = gate.apply(
            _Frame(dict(zip((side.name for side in sides), shown, strict=True)))
        )
    return inside


class _Frame:
    """The little of a data frame that FlowKit's gates ask for: columns by name, as arrays."""

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
