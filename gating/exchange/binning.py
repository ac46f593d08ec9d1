"""Give the range in which FlowJo's count of a gate may lie.

FlowJo decides which events are in a polygon or an ellipse by parts of the axes. It cuts each axis
into 256 parts (or as many as the gate's resolution says), from one end of its scale to the other,
and what lies beyond an end it puts into the last part there. An event in a part through which an
edge runs may so be counted differently than by its exact place; an event elsewhere may not. A
rectangle is decided exactly, but for events that lie on a bound to the digits it is written with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.axis_units import on_display_scale
from gating.evaluation.compensated_values import Channels
from gating.evaluation.engine import evaluate, gate_paths
from gating.exchange.ellipses import ellipse_corners
from gating.exchange.flowjo_axes import length_of
from gating.exchange.foreign_document import Foreign, Path
from gating.exchange.scale_conversion import linear_bound
from gating.fcs.event_source import EventSource

if TYPE_CHECKING:
    import flowkit

    from gating.fcs.header import TubeHeader

ON_THE_BOUND = 1e-6
HALF = 0.5
Mask = np.ndarray


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the most events FlowJo may count in a gate."""

    least: int
    most: int


def recorded_ranges(foreign: Foreign, events: EventSource, header: TubeHeader) -> dict[Path, Range]:
    """Give for each gate of a FlowJo sample how many events of its tube FlowJo may count.

    Raises TubeFault when the tube lacks what a gate reads.
    """
    membership = _Membership(foreign, events, header)
    ranges = {}
    for path in gate_paths(foreign.gating):
        certain, possible = membership.of(path)
        ranges[path] = Range(int(np.count_nonzero(certain)), int(np.count_nonzero(possible)))
    return ranges


@dataclass(slots=True)
class _Membership:
    """Which events are certainly in a gate, and which may be."""

    foreign: Foreign
    events: EventSource
    header: TubeHeader
    _known: dict[Path, tuple[Mask, Mask]] = field(default_factory=dict)
    _alone: Mapping[Path, Mask] = field(default_factory=dict)

    def of(self, path: Path) -> tuple[Mask, Mask]:
        """Give the events certainly in a gate, and those possibly in it."""
        from flowkit import gates

        if path == ("root",):
            every = np.ones(self.events.count, dtype=bool)
            return every, every
        if path not in self._known:
            gate = self.foreign.gating.get_gate(path[-1], path[:-1])
            certain, possible = self.of(path[:-1])
            if isinstance(gate, gates.BooleanGate):
                least, most = self._combined(gate)
            else:
                least, most = self._shape(path, gate)
            self._known[path] = (certain & least, possible & most)
        return self._known[path]

    def _combined(self, gate: flowkit.gates.BooleanGate) -> tuple[Mask, Mask]:
        parts = [self.of((*reference["path"], reference["ref"])) for reference in gate.gate_refs]
        if gate.type == "not":
            return ~parts[0][1], ~parts[0][0]
        joined = np.logical_or if gate.type == "or" else np.logical_and
        least = joined.reduce([certain for certain, _ in parts])
        return least, joined.reduce([possible for _, possible in parts])

    def _shape(self, path: Path, gate: flowkit.gates.Gate) -> tuple[Mask, Mask]:
        from flowkit import gates

        inside = self._all_events()[path]
        if isinstance(gate, gates.RectangleGate):
            uncertain = self._on_a_bound(gate)
        elif path in self.foreign.bins:
            uncertain = self._in_an_edge_part(gate, self.foreign.bins[path], inside)
        else:
            return inside, inside
        return inside & ~uncertain, inside | uncertain

    def _all_events(self) -> Mapping[Path, Mask]:
        """Tell for every shape which of all events, whatever their parent, are in it."""
        if not self._alone:
            flat, names = _side_by_side(self.foreign.gating)
            evaluation = evaluate(flat, self.events, self.header)
            self._alone = {path: evaluation.mask(("root", name)) for path, name in names.items()}
        return self._alone

    def _on_a_bound(self, gate: flowkit.gates.RectangleGate) -> Mask:
        """Tell which events lie on a bound to the digits it is written with."""
        on_a_bound = np.zeros(self.events.count, dtype=bool)
        for values, dimension in zip(self._values(gate), gate.dimensions, strict=True):
            transform = self._transform(dimension)
            for bound in (dimension.min, dimension.max):
                if bound is not None:
                    place = linear_bound(transform, bound)
                    on_a_bound |= np.isclose(values, place, rtol=ON_THE_BOUND, atol=0)
        return on_a_bound

    def _in_an_edge_part(self, gate: flowkit.gates.Gate, bins: int, inside: Mask) -> Mask:
        """Tell which events FlowJo may put on the other side of a polygon or an ellipse."""
        shown, lengths = [], []
        for values, dimension in zip(self._values(gate), gate.dimensions, strict=True):
            transform = self._transform(dimension)
            shown.append(on_display_scale(transform, values))
            lengths.append(self._length(dimension, transform))
        unit = np.array(lengths) / bins
        return _uncertain(gate, np.column_stack(shown) / unit, unit, bins, inside)

    def _values(self, gate: flowkit.gates.Gate) -> list[np.ndarray]:
        channels = Channels(self.foreign.gating, self.events, self.header)
        keys = [
            (channels.index(d.id, d.compensation_ref), d.compensation_ref) for d in gate.dimensions
        ]
        return channels.linear(keys, None)

    def _transform(self, dimension: flowkit.Dimension) -> flowkit.transforms.Transform | None:
        reference = dimension.transformation_ref
        return None if reference is None else self.foreign.gating.transformations[reference]

    def _length(
        self, dimension: flowkit.Dimension, transform: flowkit.transforms.Transform | None
    ) -> float:
        """Give how long FlowJo's axis of a dimension is, in display units."""
        if transform is None:
            channels = Channels(self.foreign.gating, self.events, self.header)
            index = channels.index(dimension.id, dimension.compensation_ref)
            return float(self.header.channels[index].maximum)
        return length_of(transform)


def _side_by_side(gating: flowkit.GatingStrategy) -> tuple[flowkit.GatingStrategy, dict[Path, str]]:
    """Put every shape directly under all events."""
    import copy

    import flowkit
    from flowkit import gates

    flat, names = flowkit.GatingStrategy(), {}
    for reference, matrix in gating.comp_matrices.items():
        flat.add_comp_matrix(reference, matrix)
    for reference, transform in gating.transformations.items():
        flat.add_transform(reference, transform)
    for number, path in enumerate(gate_paths(gating)):
        gate = gating.get_gate(path[-1], path[:-1])
        if not isinstance(gate, gates.BooleanGate):
            alone = copy.copy(gate)
            alone.gate_name = names[path] = f"gate_{number}"
            flat.add_gate(alone, ("root",))
    return flat, names


def _uncertain(
    gate: flowkit.gates.Gate, places: np.ndarray, unit: np.ndarray, bins: int, inside: Mask
) -> Mask:
    """Tell which events lie in a part an edge runs through, or are moved across it by FlowJo.

    FlowJo moves events beyond an axis to its end. ``places`` (n × 2) are in parts of the axes,
    ``unit`` (2,) is the size of a part on the display scale.
    """
    import pandas as pd

    held = np.clip(places, 0, bins * (1 - 1e-12))
    parts = np.floor(held).astype(np.int64)
    met, which = np.unique(parts @ np.array([bins, 1]), return_inverse=True)
    cells = np.column_stack([met // bins, met % bins]) + HALF
    uncertain = np.asarray(_crossed(cells, _outline(gate) / unit)[which.reshape(-1)])
    beyond = np.flatnonzero((held != places).any(axis=1))
    if len(beyond):
        frame = pd.DataFrame(dict(enumerate((held[beyond] * unit).T)))
        frame.columns = pd.Index([dimension.id for dimension in gate.dimensions])
        uncertain[beyond] |= np.asarray(gate.apply(frame)) != inside[beyond]
    return uncertain


def _outline(gate: flowkit.gates.Gate) -> np.ndarray:
    from flowkit import gates

    if isinstance(gate, gates.EllipsoidGate):
        centre = np.array(gate.coordinates, dtype=np.float64)
        covariance = np.array(gate.covariance_matrix, dtype=np.float64)
        return np.array(ellipse_corners(centre, covariance, gate.distance_square))
    return np.array(gate.vertices, dtype=np.float64)


def _crossed(cells: np.ndarray, corners: np.ndarray) -> Mask:
    """Tell which squares of side 1 (their centres, m × 2) an outline runs through.

    Each segment is tested against each square by separating axes.
    """
    crossed = np.zeros(len(cells), dtype=bool)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        half = np.abs(end - start) / 2
        away = (start + end) / 2 - cells
        across = np.abs((end - start)[0] * away[:, 1] - (end - start)[1] * away[:, 0])
        near = (np.abs(away) <= HALF + half).all(axis=1)
        crossed |= near & (across <= HALF * np.abs(end - start).sum())
    return crossed
