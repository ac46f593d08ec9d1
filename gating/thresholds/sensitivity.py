"""Measure how sensitive a gate's count is to its boundaries, and list the thresholds it uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.gate_membership import GateDimension, Key, dimension_of, membership_of
from gating.fcs.event_source import EventSource, Rows
from gating.strategy.drawn_numbers import drawn_axes
from gating.strategy.gates import SCATTER, Gate
from gating.strategy.model import Strategy
from panels.acquisition_time import TIME

if TYPE_CHECKING:
    import flowkit

    from gating.evaluation.compiled_strategy import Compiled
    from gating.evaluation.engine import Evaluation
    from gating.fcs.header import TubeHeader

WINDOW = 1.15
"""A boundary on a marker is taken to be uncertain by this factor (0.06 decades), as its stain and
its detector's gain are."""
SCATTER_WINDOW = 1.05
"""The same on scatter, which no stain changes, and between area and height of a pulse, which vary
against each other by so much."""
OPEN_END = 0.99
"""Part of an axis from which an edge leaves nothing out: there the axis ends, and no boundary
lies."""
MOST_EVENTS = 2_000
"""Of larger gates every k-th event is tested: a share of a tenth is then known to within one
hundredth."""

Displacement = Mapping[str, float]
"""The axes on which events are displaced together, each with its factor."""
IN_PLACE: Displacement = {}


def thresholds_of(strategy: Strategy, gate: str) -> tuple[str, ...]:
    """List the thresholds a gate depends on, in the strategy's order.

    They are the gate's, its ancestors' and those of the gates it combines.
    """
    used = {name for each in _family(strategy, (gate,)).values() for name in each.thresholds}
    return tuple(name for name in strategy.thresholds if name in used)


def lower_bounds_of(strategy: Strategy, gate: str) -> frozenset[str]:
    """List the thresholds that the cells of a gate lie above, by its rectangles.

    They are the gate's, its ancestors' and those of the gates that it is made of; what a gate
    leaves out counts for none.
    """
    by_name = {name: each for each in strategy.gates for name in each.names}
    bounds: set[str] = set()
    waiting = [gate]
    while waiting:
        found = by_name.get(waiting.pop())
        if found is None:
            continue
        limits = (found.rectangle or {}).values()
        bounds.update(each.above for each in limits if isinstance(each.above, str))
        waiting += [found.parent, *(found.all_of or ()), *(found.any_of or ())]
    return frozenset(bounds)


def gates_of(strategy: Strategy, gate: str) -> frozenset[str]:
    """List the gates a gate depends on: itself, its ancestors and those it combines."""
    return frozenset(each.gate for each in _family(strategy, (gate,)).values())


def axes_drawn_by(strategy: Strategy, gate: str) -> frozenset[str]:
    """List the axes on which a gate, its ancestors or those it combines are drawn as numbers."""
    family = _family(strategy, (gate,)).values()
    return frozenset().union(*(drawn_axes(strategy, each) for each in family))


def border_share(
    compiled: Compiled,
    evaluation: Evaluation,
    events: EventSource,
    header: TubeHeader,
    gates: tuple[str, ...],
) -> dict[str, float]:
    """Give for each gate the share (0 to 1) of its events that lie near one of its boundaries.

    Near is within 15 % (on scatter 5 %). An event is near a boundary when so much more or less of
    one of its values would take it out of the gate, as if the outlines were drawn that much larger
    or smaller along one axis: whatever their shape, however they are combined. An edge at the end
    of an axis or at 0 leaves nothing out, and time has no such boundary. Of gates with more than
    2,000 events every k-th is tested.
    """
    family = _family(compiled.strategy, gates)
    sample_of = {gate: _sampled(evaluation.rows[compiled.path_of[gate]]) for gate in gates}
    rows = np.unique(np.concatenate([np.empty(0, dtype=np.int32), *sample_of.values()]))
    if len(rows) == 0:
        return dict.fromkeys(gates, 0.0)
    channels = Channels(compiled.gating, events, header)
    sample = _EventSample.of(compiled, channels, family, rows)
    place = {gate: np.searchsorted(rows, sampled) for gate, sampled in sample_of.items()}
    near = {gate: np.zeros(len(sampled), dtype=bool) for gate, sampled in sample_of.items()}
    in_place = _Membership(sample, IN_PLACE)
    for displacement in _displacements(_axes(family)):
        displaced = _Membership(sample, displacement, in_place)
        for gate in gates:
            if sample.is_affected(gate, displacement):
                near[gate] |= ~displaced.members(gate)[place[gate]]
    return {gate: _share(each) for gate, each in near.items()}


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0


def _sampled(rows: Rows) -> Rows:
    """Take every k-th of many events."""
    return rows[:: max(1, -(-len(rows) // MOST_EVENTS))]


def _family(strategy: Strategy, names: Iterable[str]) -> dict[str, Gate]:
    """Gather some gates with their ancestors and all that they are combined of, by name."""
    return _with_ancestors({name: gate for gate in strategy.gates for name in gate.names}, names)


def _with_ancestors(gates: Mapping[str, Gate], names: Iterable[str]) -> dict[str, Gate]:
    gathered: dict[str, Gate] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name == "root" or name in gathered:
            continue
        gathered[name] = gates[name]
        waiting += [gates[name].parent, *gates[name].combined]
    return gathered


def _axes(gates: Mapping[str, Gate]) -> frozenset[str]:
    return frozenset(axis for gate in gates.values() for axis in gate.axes)


def _displacements(axes: frozenset[str]) -> list[Displacement]:
    """List how events are displaced: up and down on one axis after the other."""
    displacements: list[Displacement] = []
    for axis in sorted(axes - {TIME}):
        most = SCATTER_WINDOW if axis in SCATTER else WINDOW
        displacements += [{axis: most}, {axis: 1 / most}]
    return displacements


@dataclass(frozen=True, slots=True)
class _EventSample:
    """Some events of a tube, with the values that some gates read of them.

    ``shapes`` are the gates as FlowKit has them, with their dimensions; ``axis_of`` and ``end_of``
    give by channel its axis and where that ends; ``reach`` lists the axes a gate depends on;
    ``in_place`` is the membership of each shape without a displacement.
    """

    family: Mapping[str, Gate]
    columns: Mapping[Key, np.ndarray]
    shapes: Mapping[str, tuple[flowkit.gates.Gate, list[GateDimension]]]
    axis_of: Mapping[int, str]
    end_of: Mapping[int, float]
    reach: Mapping[str, frozenset[str]]
    in_place: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls, compiled: Compiled, channels: Channels, family: Mapping[str, Gate], rows: Rows
    ) -> _EventSample:
        """Read what the gates of a family need of the events at ``rows``."""
        shapes = _shapes(compiled, channels, family)
        used = {key for _, dimensions in shapes.values() for d in dimensions for key in d.keys}
        keys = sorted(used, key=str)
        index_of = {
            axis: channels.index(detector) for axis, detector in compiled.detector_of.items()
        }
        return cls(
            family=family,
            columns=dict(zip(keys, channels.linear(keys, rows), strict=True)),
            shapes=shapes,
            axis_of={index: axis for axis, index in index_of.items()},
            end_of={
                index: OPEN_END * compiled.maximum_of[axis] for axis, index in index_of.items()
            },
            reach={name: _axes(_with_ancestors(family, (name,))) for name in family},
        )

    def is_affected(self, name: str, displacement: Displacement) -> bool:
        """Tell whether a displacement could change which events are in a gate."""
        return name != "root" and not self.reach[name].isdisjoint(displacement)

    def inside_shape(self, name: str, displacement: Displacement) -> np.ndarray:
        """Tell which events lie inside a gate's shape when displaced, whatever its parent holds."""
        gate = self.family[name]
        if displacement.keys() & set(gate.axes):
            return self._inside(gate, displacement)[name]
        if name not in self.in_place:
            self.in_place.update(self._inside(gate, IN_PLACE))
        return self.in_place[name]

    def _inside(self, gate: Gate, displacement: Displacement) -> dict[str, np.ndarray]:
        shape, dimensions = self.shapes[gate.gate]
        columns = {
            key: self._displaced(key, displacement)
            for dimension in dimensions
            for key in dimension.keys
        }
        return {path[-1]: inside for path, inside in membership_of(shape, dimensions, columns)}

    def _displaced(self, key: Key, displacement: Displacement) -> np.ndarray:
        """Displace the events on one channel, none of them beyond its end."""
        values, factor = self.columns[key], displacement.get(self.axis_of[key[0]])
        if factor is None:
            return values
        return np.asarray(np.minimum(values * factor, np.maximum(values, self.end_of[key[0]])))


def _shapes(
    compiled: Compiled, channels: Channels, family: Mapping[str, Gate]
) -> dict[str, tuple[flowkit.gates.Gate, list[GateDimension]]]:
    """Give FlowKit's gate and its dimensions for every gate that reads axes."""
    shapes = {}
    for gate in {each.gate: each for each in family.values() if each.axes}.values():
        shape = compiled.gating.get_gate(gate.gate, compiled.path_of[gate.parent])
        dimensions = [dimension_of(compiled.gating, channels, each) for each in shape.dimensions]
        shapes[gate.gate] = (shape, dimensions)
    return shapes


@dataclass(frozen=True, slots=True)
class _Membership:
    """Which events are in which gate when all are displaced.

    ``in_place`` is the membership without a displacement, for gates that it does not affect.
    """

    sample: _EventSample
    displacement: Displacement
    in_place: _Membership | None = None
    known: dict[str, np.ndarray] = field(default_factory=dict)

    def members(self, name: str) -> np.ndarray:
        """Tell which of the events a gate holds."""
        if self.in_place is not None and not self.sample.is_affected(name, self.displacement):
            return self.in_place.members(name)
        if name not in self.known:
            gate = self.sample.family[name]
            inside = self._alone(name, gate)
            if gate.parent != "root":
                inside = inside & self.members(gate.parent)
            self.known[name] = inside
        return self.known[name]

    def _alone(self, name: str, gate: Gate) -> np.ndarray:
        """Tell which events a gate's shape or combination holds, whatever its parent holds."""
        if not gate.combined:
            return self.sample.inside_shape(name, self.displacement)
        parts = [self.members(other) for other in gate.combined]
        if gate.all_of:
            return np.asarray(np.logical_and.reduce(parts))
        any_of = np.asarray(np.logical_or.reduce(parts))
        return any_of if gate.any_of else ~any_of
