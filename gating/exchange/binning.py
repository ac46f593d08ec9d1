"""Say between which counts FlowJo's own may lie: it decides who is in a polygon or an ellipse by parts of the axes, not by events.

FlowJo cuts each axis of a polygon or ellipse into 256 parts (or as many as the gate's resolution
says), from one end of its scale to the other, and what lies beyond an end it puts into the last
part there. An event in a part through which an edge runs may so be counted otherwise than by its
own place; an event elsewhere may not. A rectangle is decided exactly, but for events that lie on a
bound to the digits it is written with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.engine import evaluate, gate_paths
from gating.exchange.ellipses import ellipse_corners
from gating.exchange.foreign_document import Foreign, Path
from gating.exchange.scale_conversion import linear_bound
from gating.fcs.event_source import EventSource
from gating.strategy.display_scale import apply_transform

if TYPE_CHECKING:
    import flowkit

    from gating.fcs.header import TubeHeader

BIEX_PLACES = 4096.0
ON_THE_BOUND = 1e-6
HALF = 0.5
Mask = np.ndarray


@dataclass(frozen=True, slots=True)
class Range:
    """The least and the most events FlowJo may count in a gate."""

    least: int
    most: int


def recorded_ranges(foreign: Foreign, events: EventSource, header: TubeHeader) -> dict[Path, Range]:
    """Give for each gate of a FlowJo sample how many events FlowJo may count, on the sample's own tube.

    Raises TubeFault when the tube has not what a gate reads.
    """
    walk = _Walk(foreign, events, header)
    return {
        path: Range(*(int(np.count_nonzero(mask)) for mask in walk.of(path)))
        for path in gate_paths(foreign.gating)
    }


@dataclass(slots=True)
class _Walk:
    """Who is in a gate for certain, and who may be."""

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
            least, most = (
                self._combined(gate)
                if isinstance(gate, gates.BooleanGate)
                else self._shape(path, gate)
            )
            self._known[path] = (certain & least, possible & most)
        return self._known[path]

    def _combined(self, gate: flowkit.gates.BooleanGate) -> tuple[Mask, Mask]:
        parts = [self.of((*reference["path"], reference["ref"])) for reference in gate.gate_refs]
        if gate.type == "not":
            return ~parts[0][1], ~parts[0][0]
        joined = np.logical_or if gate.type == "or" else np.logical_and
        return joined.reduce([least for least, _ in parts]), joined.reduce(
            [most for _, most in parts]
        )

    def _shape(self, path: Path, gate: flowkit.gates.Gate) -> tuple[Mask, Mask]:
        inside, doubt = self._all_events()[path], self._doubt(path, gate)
        return inside & ~doubt, inside | doubt

    def _all_events(self) -> Mapping[Path, Mask]:
        """Tell of every shape who of all events, whatever their parent, is in it."""
        if not self._alone:
            flat, names = _side_by_side(self.foreign.gating)
            found = evaluate(flat, self.events, self.header)
            self._alone = {path: found.mask(("root", name)) for path, name in names.items()}
        return self._alone

    def _doubt(self, path: Path, gate: flowkit.gates.Gate) -> Mask:
        """Tell which events FlowJo may put on the other side."""
        from flowkit import gates

        values = self._values(gate)
        transforms = [self._transform(dimension) for dimension in gate.dimensions]
        if isinstance(gate, gates.RectangleGate):
            doubt = np.zeros(self.events.count, dtype=bool)
            for column, dimension, transform in zip(
                values, gate.dimensions, transforms, strict=True
            ):
                for bound in (dimension.min, dimension.max):
                    if bound is not None:
                        doubt |= np.isclose(
                            column, linear_bound(transform, bound), rtol=ON_THE_BOUND, atol=0
                        )
            return doubt
        bins = self.foreign.bins.get(path)
        if bins is None:
            return np.zeros(self.events.count, dtype=bool)
        shown = [
            v if t is None else apply_transform(t, v)
            for v, t in zip(values, transforms, strict=True)
        ]
        unit = (
            np.array([self._length(d, t) for d, t in zip(gate.dimensions, transforms, strict=True)])
            / bins
        )
        return _doubtful(gate, np.column_stack(shown) / unit, unit, bins, self._alone[path])

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
        if transform is None:
            channels = Channels(self.foreign.gating, self.events, self.header)
            return float(
                self.header.channels[
                    channels.index(dimension.id, dimension.compensation_ref)
                ].maximum
            )
        return BIEX_PLACES if type(transform).__name__ == "WSPBiexTransform" else 1.0


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


def _doubtful(
    gate: flowkit.gates.Gate, places: np.ndarray, unit: np.ndarray, bins: int, inside: Mask
) -> Mask:
    """Tell which events lie in a part an edge runs through, or beyond an axis where its end is on the other side.

    ``places`` (n × 2) are in parts of the axes, ``unit`` what a part is on the display scale.
    """
    import pandas as pd

    held = np.clip(places, 0, bins * (1 - 1e-12))
    parts = np.floor(held).astype(np.int64)
    met, which = np.unique(parts @ np.array([bins, 1]), return_inverse=True)
    cells = np.column_stack([met // bins, met % bins]) + HALF
    doubt = np.asarray(_crossed(cells, _outline(gate) / unit)[which.reshape(-1)])
    beyond = np.flatnonzero((held != places).any(axis=1))
    if len(beyond):
        frame = pd.DataFrame(dict(enumerate((held[beyond] * unit).T)))
        frame.columns = pd.Index([dimension.id for dimension in gate.dimensions])
        doubt[beyond] |= np.asarray(gate.apply(frame)) != inside[beyond]
    return doubt


def _outline(gate: flowkit.gates.Gate) -> np.ndarray:
    from flowkit import gates

    if isinstance(gate, gates.EllipsoidGate):
        centre, covariance = (
            np.array(gate.coordinates, dtype=np.float64),
            np.array(gate.covariance_matrix, dtype=np.float64),
        )
        return np.array(ellipse_corners(centre, covariance, gate.distance_square))
    return np.array(gate.vertices, dtype=np.float64)


def _crossed(cells: np.ndarray, corners: np.ndarray) -> Mask:
    """Tell which squares of side 1 (their centres, m × 2) an outline runs through (a segment and a square, by separating axes)."""
    crossed = np.zeros(len(cells), dtype=bool)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        half = np.abs(end - start) / 2
        away = (start + end) / 2 - cells
        across = np.abs((end - start)[0] * away[:, 1] - (end - start)[1] * away[:, 0])
        near = (np.abs(away) <= HALF + half).all(axis=1)
        crossed |= near & (across <= HALF * np.abs(end - start).sum())
    return crossed
