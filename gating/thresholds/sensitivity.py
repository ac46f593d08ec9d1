"""Say of each gate how much its count hangs on where exactly the boundaries lie, and which boundaries it stands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.gate_membership import GateDimension, Key, dimension_of, membership_of
from gating.fcs.event_source import EventSource, Rows
from gating.strategy.gates import SCATTER, Gate
from gating.strategy.model import Strategy
from panels.acquisition_time import TIME

if TYPE_CHECKING:
    import flowkit

    from gating.evaluation.compile import Compiled
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
"""Of larger gates every k-th event is asked: a share of a tenth is then known to within one
hundredth."""

Move = Mapping[str, float]
"""The axes on which events are displaced together, each with its factor."""
NOWHERE: Move = {}


def stands_on(strategy: Strategy, gate: str) -> tuple[str, ...]:
    """List the thresholds a gate stands on: its own, its ancestors' and those of the gates it combines, in the strategy's order."""
    found = {
        threshold for each in _family(strategy, (gate,)).values() for threshold in each.thresholds
    }
    return tuple(name for name in strategy.thresholds if name in found)


def border_share(
    compiled: Compiled,
    evaluation: Evaluation,
    events: EventSource,
    header: TubeHeader,
    gates: tuple[str, ...],
) -> dict[str, float]:
    """Give for each gate the share of its events that lies within 15 % (on scatter 5 %) of a boundary it stands on (0 to 1).

    An event does when so much more or less of one of its values would take it out of the gate, as
    if the outlines were drawn that much larger or smaller along one axis: whatever their shape,
    however they are combined. An edge at the end of an axis or at 0 leaves nothing out, and time
    has no such boundary. Of gates with more than 2,000 events every k-th is asked.
    """
    family = _family(compiled.strategy, gates)
    asked_of = {gate: _some(evaluation.rows[compiled.path_of[gate]]) for gate in gates}
    rows = (
        np.unique(np.concatenate(list(asked_of.values())))
        if asked_of
        else np.empty(0, dtype=np.int64)
    )
    if len(rows) == 0:
        return dict.fromkeys(gates, 0.0)
    asked = _Asked.of(compiled, Channels(compiled.gating, events, header), family, rows)
    place = {gate: np.searchsorted(rows, own) for gate, own in asked_of.items()}
    near = {gate: np.zeros(len(own), dtype=bool) for gate, own in asked_of.items()}
    still = _Displaced(asked, NOWHERE)
    for move in _moves(_axes(family)):
        displaced = _Displaced(asked, move, still)
        for gate in gates:
            if asked.touches(gate, move):
                near[gate] |= ~displaced.members(gate)[place[gate]]
    return {gate: float(own.mean()) if len(own) else 0.0 for gate, own in near.items()}


def _some(rows: Rows) -> Rows:
    """Take every k-th of many events."""
    return rows[:: max(1, -(-len(rows) // MOST_EVENTS))]


def _family(strategy: Strategy, names: Iterable[str]) -> dict[str, Gate]:
    """Gather some gates with their ancestors and all that they are combined of, by name."""
    return _under({own: each for each in strategy.gates for own in each.names}, names)


def _under(gates: Mapping[str, Gate], names: Iterable[str]) -> dict[str, Gate]:
    found: dict[str, Gate] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name != "root" and name not in found:
            found[name] = gates[name]
            waiting += [gates[name].parent, *gates[name].combined]
    return found


def _axes(gates: Mapping[str, Gate]) -> frozenset[str]:
    return frozenset(axis for gate in gates.values() for axis in gate.axes)


def _moves(axes: frozenset[str]) -> list[Move]:
    """List how events are displaced: up and down on one axis after the other."""
    factors = {
        axis: SCATTER_WINDOW if axis in SCATTER else WINDOW for axis in sorted(axes) if axis != TIME
    }
    return [{axis: factor} for axis, most in factors.items() for factor in (most, 1 / most)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Some events of a tube, with all that some gates read of them.

    ``shapes`` are the gates as FlowKit has them, with their sides; ``axis_of`` and ``end_of`` tell
    by channel which axis it is and where that ends; ``reach`` lists the axes a gate stands on;
    ``still`` is who is inside each shape as the events are.
    """

    family: Mapping[str, Gate]
    columns: Mapping[Key, np.ndarray]
    shapes: Mapping[str, tuple[flowkit.gates.Gate, list[GateDimension]]]
    axis_of: Mapping[int, str]
    end_of: Mapping[int, float]
    reach: Mapping[str, frozenset[str]]
    still: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls, compiled: Compiled, channels: Channels, family: Mapping[str, Gate], rows: Rows
    ) -> _Asked:
        """Read what the gates of a family ask of the events at ``rows``."""
        shapes = {}
        for gate in {each.gate: each for each in family.values() if each.axes}.values():
            shape = compiled.gating.get_gate(gate.gate, compiled.path_of[gate.parent])
            shapes[gate.gate] = (
                shape,
                [
                    dimension_of(compiled.gating, channels, dimension)
                    for dimension in shape.dimensions
                ],
            )
        keys = sorted(
            {key for _, sides in shapes.values() for side in sides for key in side.keys}, key=str
        )
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
            reach={name: _axes(_under(family, (name,))) for name in family},
        )

    def touches(self, name: str, move: Move) -> bool:
        """Tell whether a displacement could change who is in a gate."""
        return name != "root" and not self.reach[name].isdisjoint(move)

    def shaped(self, name: str, move: Move) -> np.ndarray:
        """Tell which events lie inside a gate's own shape when they are displaced."""
        gate = self.family[name]
        if not move.keys() & set(gate.axes):
            if name not in self.still:
                self.still.update(self._inside(gate, NOWHERE))
            return self.still[name]
        return self._inside(gate, move)[name]

    def _inside(self, gate: Gate, move: Move) -> dict[str, np.ndarray]:
        shape, sides = self.shapes[gate.gate]
        columns = {key: self._displaced(key, move) for side in sides for key in side.keys}
        return {path[-1]: inside for path, inside in membership_of(shape, sides, columns)}

    def _displaced(self, key: Key, move: Move) -> np.ndarray:
        """Displace the events on one channel, none of them beyond its end."""
        values, factor = self.columns[key], move.get(self.axis_of[key[0]])
        if factor is None:
            return values
        return np.asarray(np.minimum(values * factor, np.maximum(values, self.end_of[key[0]])))


@dataclass(frozen=True, slots=True)
class _Displaced:
    """Who is in which gate when events are displaced."""

    asked: _Asked
    move: Move
    still: _Displaced | None = None
    known: dict[str, np.ndarray] = field(default_factory=dict)

    def members(self, name: str) -> np.ndarray:
        """Tell which of the events a gate holds."""
        if self.still is not None and not self.asked.touches(name, self.move):
            return self.still.members(name)
        if name not in self.known:
            gate = self.asked.family[name]
            own = self._combined(gate) if gate.combined else self.asked.shaped(name, self.move)
            self.known[name] = own if gate.parent == "root" else own & self.members(gate.parent)
        return self.known[name]

    def _combined(self, gate: Gate) -> np.ndarray:
        parts = [self.members(other) for other in gate.combined]
        if gate.all_of:
            return np.asarray(np.logical_and.reduce(parts))
        return (
            np.asarray(np.logical_or.reduce(parts)) if gate.any_of else ~np.logical_or.reduce(parts)
        )
