"""Evaluate FlowKit gates on a tube, parent by parent, on the events that survived.

A gate reads only the channels it needs, of only the events its parent kept; compensation and display transforms are
computed for those alone. Membership is the same, event for event, as FlowKit's own ``gate_sample`` gives: gates are applied
by FlowKit's gate objects, except rectangles on monotone scales, which are compared on the linear scale (a bound is brought
there by the transform's inverse, and the few events nearer to it than rounding could tell are judged on the display scale);
a polygon is asked only about events within the reach of its vertices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gating.channels import Channels, EventSource, Rows
from panels.errors import StrategyFault

if TYPE_CHECKING:
    import flowkit

    from gating.events import TubeHeader

ENGINE_VERSION = "2"
"""Raised when the same tube could be counted otherwise than before; a part of every count's key."""

Path = tuple[str, ...]
NEAR = 1e-9


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Which events each gate kept: ``rows`` maps a gate's path to sorted event indices.

    Root holds every one of the ``total`` events, or those of ``root`` when others were left out beforehand.
    """

    total: int
    rows: Mapping[Path, Rows]
    root: Rows | None = None

    def count(self, path: Path) -> int:
        """Count the events of a gate."""
        if path == ("root",):
            return self.total if self.root is None else len(self.root)
        return len(self.rows[path])

    def mask(self, path: Path) -> np.ndarray:
        """Give the membership of a gate as a Boolean for each event."""
        inside = np.zeros(self.total, dtype=bool)
        rows = self.of(path)
        inside[slice(None) if rows is None else rows] = True
        return inside

    def of(self, path: Path) -> Rows | None:
        """Give the rows of a gate, None for every event."""
        return self.root if path == ("root",) else self.rows[path]


def evaluate(gating: flowkit.GatingStrategy, events: EventSource, header: TubeHeader, rows: Rows | None = None) -> Evaluation:
    """Evaluate every gate of ``gating`` on one tube (``rows``: sorted indices of the only events that count).

    Raises PanelMismatch when a gate names a channel the tube lacks, CompensationFault when it names a matrix that
    does not fit, StrategyFault when its references do not resolve.
    """
    walk = _Walk(gating, Channels(gating, events, header), rows)
    walk.run()
    return Evaluation(total=events.count, rows={path: walk.done[path] for path in walk.order}, root=rows)


@dataclass(slots=True)
class _Side:
    """One side of a gate as it is evaluated: where its linear values come from, and its display transform."""

    key: tuple[int, str | None] | None
    transform: flowkit.transforms.Transform | None
    ratio: tuple[tuple[int, int], flowkit.transforms.RatioTransform] | None = None
    low: float | None = None
    high: float | None = None


class _Walk:
    """One evaluation under way: what is done, and the linear columns that siblings share."""

    def __init__(self, gating: flowkit.GatingStrategy, channels: Channels, root: Rows | None) -> None:
        self.gating = gating
        self.channels = channels
        self.root = root
        self.done: dict[Path, Rows] = {}
        self.order = list(gate_paths(gating))
        self._nodes = {path: self._gate_at(path) for path in self.order}
        self._shared_for: Path | None = None
        self._shared: dict[tuple[int, str | None], np.ndarray] = {}

    def run(self) -> None:
        """Evaluate every gate, brothers and sisters together."""
        for parent in dict.fromkeys(parent for _, parent in self._nodes.values()):
            for path, (_, above) in self._nodes.items():
                if above == parent:
                    self.rows_of(path)

    def rows_of(self, path: Path) -> Rows:
        """Give the events of a gate, evaluating it and what it stands on first."""
        if path not in self.done:
            if path not in self._nodes:
                raise StrategyFault(f"a gate refers to '{'/'.join(path)}', which does not exist.")
            gate, parent = self._nodes[path]
            self._evaluate(gate, path, parent)
        return self.done[path]

    def _gate_at(self, path: Path) -> tuple[flowkit.gates.Gate, Path]:
        from flowkit.exceptions import QuadrantReferenceError

        try:
            return self.gating.get_gate(path[-1], path[:-1]), path[:-1]
        except QuadrantReferenceError:
            return self.gating.get_gate(path[-2], path[:-2]), path[:-2]

    def _evaluate(self, gate: flowkit.gates.Gate, path: Path, parent: Path) -> None:
        from flowkit import gates

        rows = self.root if parent == ("root",) else self.rows_of(parent)
        if isinstance(gate, gates.BooleanGate):
            self._keep(path, rows, self._boolean(gate, rows))
        elif isinstance(gate, gates.QuadrantGate):
            sides = [self._side(d) for d in gate.dimensions]
            frame = _Frame({d.dimension_ref: self._displayed(s, parent, rows) for d, s in zip(gate.dimensions, sides, strict=True)})
            for name, inside in gate.apply(frame).items():
                self._keep((*parent, gate.gate_name, name), rows, inside)
        elif isinstance(gate, gates.RectangleGate):
            self._keep(path, rows, self._rectangle(gate, parent, rows))
        else:
            self._keep(path, rows, self._shape(gate, parent, rows))

    def _shape(self, gate: flowkit.gates.Gate, parent: Path, rows: Rows | None) -> np.ndarray:
        """Apply a polygon or an ellipse; events beside a polygon's outermost vertices need no display scale to be outside."""
        from flowkit import gates

        sides = [self._side(d) for d in gate.dimensions]
        names = [getattr(d, "ratio_ref", None) or d.id for d in gate.dimensions]
        if not isinstance(gate, gates.PolygonGate) or any(side.ratio or not _is_monotone(side.transform) for side in sides):
            values = [self._displayed(side, parent, rows) for side in sides]
            return np.asarray(gate.apply(_Frame(dict(zip(names, values, strict=True)))))
        linear = [self._linear(side, parent, rows) for side in sides]
        corners = np.asarray(gate.vertices, dtype=np.float64)
        near = np.ones(len(linear[0]), dtype=bool)
        for column, side, places in zip(linear, sides, corners.T, strict=True):
            low, high = _linear_bound(places.min(), side.transform), _linear_bound(places.max(), side.transform)
            room = NEAR * max(abs(low), abs(high), 1.0)
            near &= (column >= low - room) & (column <= high + room)
        shown = [v[near] if s.transform is None else apply_transform(s.transform, v[near]) for v, s in zip(linear, sides, strict=True)]
        inside = np.full(len(near), fill_value=gate.use_complement)
        inside[near] = gate.apply(_Frame(dict(zip(names, shown, strict=True))))
        return inside

    def _keep(self, path: Path, rows: Rows | None, inside: np.ndarray) -> None:
        kept = np.flatnonzero(inside)
        self.done[path] = kept if rows is None else rows[kept]

    def _boolean(self, gate: flowkit.gates.BooleanGate, rows: Rows | None) -> np.ndarray:
        """Combine other gates on the parent's events."""
        parts = []
        for reference in gate.gate_refs:
            inside = np.zeros(self.channels.count, dtype=bool)
            inside[self.rows_of((*reference["path"], reference["ref"]))] = True
            part = inside if rows is None else inside[rows]
            parts.append(~part if reference["complement"] else part)
        if gate.type == "not":
            return ~parts[0]
        return np.asarray((np.logical_or if gate.type == "or" else np.logical_and).reduce(parts))

    def _rectangle(self, gate: flowkit.gates.RectangleGate, parent: Path, rows: Rows | None) -> np.ndarray:
        inside: np.ndarray | None = None
        for dimension in gate.dimensions:
            side = self._side(dimension)
            within = self._within(side, parent, rows)
            inside = within if inside is None else inside & within
        if inside is None:
            raise StrategyFault(f"the rectangle '{gate.gate_name}' has no dimension.")
        return ~inside if gate.use_complement else inside

    def _within(self, side: _Side, parent: Path, rows: Rows | None) -> np.ndarray:
        if side.ratio is not None or not _is_monotone(side.transform):
            values = self._displayed(side, parent, rows)
            above = np.ones(len(values), dtype=bool) if side.low is None else values >= side.low
            return above if side.high is None else above & (values < side.high)
        values = self._linear(side, parent, rows)
        above = np.ones(len(values), dtype=bool) if side.low is None else _at_least(values, side.low, side.transform)
        return above if side.high is None else above & ~_at_least(values, side.high, side.transform)

    def _displayed(self, side: _Side, parent: Path, rows: Rows | None) -> np.ndarray:
        """Give the values of one side of a gate on its display scale."""
        if side.ratio is not None:
            (over, under), ratio = side.ratio
            top, bottom = self._columns(parent, rows, [(over, None), (under, None)])
            with np.errstate(divide="ignore", invalid="ignore"):
                values = ratio.param_a * ((top - ratio.param_b) / (bottom - ratio.param_c))
        else:
            values = self._linear(side, parent, rows)
        return values if side.transform is None else apply_transform(side.transform, values)

    def _linear(self, side: _Side, parent: Path, rows: Rows | None) -> np.ndarray:
        if side.key is None:
            raise StrategyFault("a ratio has no linear values.")
        return self._columns(parent, rows, [side.key])[0]

    def _columns(self, parent: Path, rows: Rows | None, keys: list[tuple[int, str | None]]) -> list[np.ndarray]:
        """Give linear columns on a parent's events; what its children need is read in one go and kept until the next parent."""
        if self._shared_for != parent:
            self._shared_for, self._shared = parent, {}
        if any(key not in self._shared for key in keys):
            wanted = sorted({*keys, *self._needed_below(parent)} - set(self._shared), key=str)
            self._shared |= dict(zip(wanted, self.channels.linear(wanted, rows), strict=True))
        return [self._shared[key] for key in keys]

    def _needed_below(self, parent: Path) -> set[tuple[int, str | None]]:
        gates = {id(gate): gate for gate, above in self._nodes.values() if above == parent}
        return {side.key for gate in gates.values() for side in map(self._side, gate.dimensions) if side.key is not None}

    def _side(self, dimension: flowkit.Dimension | flowkit.RatioDimension | flowkit.QuadrantDivider) -> _Side:
        name = getattr(dimension, "ratio_ref", None)
        transform = self._transform(dimension.transformation_ref)
        low, high = getattr(dimension, "min", None), getattr(dimension, "max", None)
        if name is not None:
            ratio = self._transform(str(name))
            if ratio is None:
                raise StrategyFault(f"the ratio '{name}' is not defined.")
            pair = (self.channels.index(ratio.dimensions[0]), self.channels.index(ratio.dimensions[1]))
            return _Side(None, transform, (pair, ratio), low, high)
        compensation = None if dimension.compensation_ref in (None, "uncompensated") else dimension.compensation_ref
        channel = self.channels.index(getattr(dimension, "dimension_ref", None) or dimension.id, compensation)
        return _Side((channel, compensation), transform, None, low, high)

    def _transform(self, reference: str | None) -> flowkit.transforms.Transform | None:
        if reference is None:
            return None
        if reference not in self.gating.transformations:
            raise StrategyFault(f"a gate refers to the transformation '{reference}', which is not defined.")
        return self.gating.transformations[reference]


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


def gate_paths(gating: flowkit.GatingStrategy) -> Iterator[Path]:
    """Yield the path of every gate and quadrant, parents before children (a quadrant gate itself holds no events)."""
    from flowkit import gates
    from flowkit.exceptions import QuadrantReferenceError

    for name, ancestors in gating.get_gate_ids():
        try:
            if isinstance(gating.get_gate(name, ancestors), gates.QuadrantGate):
                continue
        except QuadrantReferenceError:
            pass
        yield (*ancestors, name)


def apply_transform(transform: flowkit.transforms.Transform, values: np.ndarray) -> np.ndarray:
    """Bring a column of linear values to a display scale."""
    return np.asarray(transform.apply(values.reshape(-1, 1)))[:, 0]


def _is_monotone(transform: flowkit.transforms.Transform | None) -> bool:
    """Tell whether a scale rises everywhere and its inverse can be trusted to rounding; no transform is such a scale."""
    from flowkit import transforms

    return transform is None or isinstance(
        transform, transforms.LogicleTransform | transforms.AsinhTransform | transforms.HyperlogTransform
    )


def _linear_bound(bound: float, transform: flowkit.transforms.Transform | None) -> float:
    """Bring a bound from the display scale to the linear one."""
    return float(bound) if transform is None else float(np.asarray(transform.inverse(np.array([[bound]])))[0, 0])


def _at_least(values: np.ndarray, bound: float, transform: flowkit.transforms.Transform | None) -> np.ndarray:
    """Compare linear values with a bound on the display scale."""
    if transform is None:
        return values >= bound
    linear = _linear_bound(bound, transform)
    inside = values >= linear
    close = np.flatnonzero(np.abs(values - linear) <= NEAR * max(abs(linear), 1.0))
    if len(close):
        inside[close] = apply_transform(transform, values[close]) >= bound
    return inside
