"""Evaluate FlowKit gates on a tube, parent by parent, on the events that survived.

A gate reads only the channels it needs, of only the events its parent kept; compensation and
display transforms are computed for those alone, a part of the events at a time, so that what is
held in memory is little more than the membership of the gates. Membership is the same, event for
event, as FlowKit's own ``gate_sample`` gives: gates are applied by FlowKit's gate objects, except
rectangles on monotone scales, which are compared on the linear scale (a bound is converted by the
transform's inverse, and the few events nearer to it than rounding can decide are compared on the
display scale), and polygons and ellipses over many events, most of which are judged by the cell of
a grid in which they lie (gating/evaluation/shape_grid.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.gate_membership import (
    GateDimension,
    dimension_of,
    grid_of,
    membership_of,
)
from gating.evaluation.shape_grid import LEAST_EVENTS
from gating.fcs.event_source import CHUNK, EventSource, Rows
from panels.text.errors import StrategyFault
from panels.text.printable import shown

if TYPE_CHECKING:
    import flowkit

    from gating.fcs.header import TubeHeader

ENGINE_VERSION = "4"
"""Raised when the same tube could be counted otherwise than before; a part of every count's key."""

Path = tuple[str, ...]
MOST_INT32 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Which events each gate kept: ``rows`` maps a gate's path to sorted event indices.

    The root holds all ``total`` events, or those of ``root`` when others were left out beforehand.
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

    def sample(self, path: Path, most: int) -> Rows:
        """Take every k-th event of a gate, at most ``most``; gives sorted event indices."""
        rows = self.of(path)
        if rows is None:
            rows = np.arange(self.total)
        return rows[:: max(1, -(-len(rows) // most))]

    def codes(self) -> tuple[np.ndarray, tuple[tuple[Path, ...], ...]]:
        """Give every event's membership as one number, and for each number its set of gates.

        The numbers (total,) have the smallest unsigned type that fits. Gates may overlap: a number
        means a set of gates, in the order of ``rows``; the empty set is that of events in no gate.
        """
        codes = np.zeros(self.total, dtype=np.uint32)
        sets: list[tuple[Path, ...]] = [()]
        for path, rows in self.rows.items():
            before = codes[rows]
            met = np.flatnonzero(np.bincount(before, minlength=len(sets)))
            after = np.zeros(len(sets), dtype=np.uint32)
            after[met] = len(sets) + np.arange(len(met), dtype=np.uint32)
            codes[rows] = after[before]
            sets += [(*sets[number], path) for number in met]
        used = np.flatnonzero(np.bincount(codes, minlength=len(sets)))
        final = np.zeros(len(sets), dtype=np.min_scalar_type(max(len(used) - 1, 0)))
        final[used] = np.arange(len(used))
        return final[codes], tuple(sets[number] for number in used)


def evaluate(
    gating: flowkit.GatingStrategy,
    events: EventSource,
    header: TubeHeader,
    rows: Rows | None = None,
) -> Evaluation:
    """Evaluate every gate of ``gating`` on one tube.

    ``rows`` are the sorted indices of the only events that count (None: all).

    Raises PanelMismatch when a gate names a channel the tube lacks, CompensationFault when it names
    a matrix that does not fit, StrategyFault when its references do not resolve.
    """
    return evaluate_again(gating, Channels(gating, events, header), rows)


def evaluate_again(
    gating: flowkit.GatingStrategy,
    channels: Channels,
    rows: Rows | None,
    known: Mapping[Path, Rows] | None = None,
) -> Evaluation:
    """Evaluate a tube again on channels that are open already (``rows`` as for ``evaluate``).

    ``known`` are the events of gates that need not be evaluated. Raises as ``evaluate`` does.
    """
    walk = _Walk(gating, channels, rows)
    walk.done = dict(known or {})
    walk.run()
    found = {path: walk.done[path] for path in walk.order}
    return Evaluation(total=channels.count, rows=found, root=rows)


class _Walk:
    """One evaluation under way: the gates, and the events of those that are evaluated."""

    def __init__(
        self, gating: flowkit.GatingStrategy, channels: Channels, root: Rows | None
    ) -> None:
        self.gating = gating
        self.channels = channels
        self.root = root
        self.done: dict[Path, Rows] = {}
        self.order = list(gate_paths(gating))
        self._nodes = {path: self._gate_at(path) for path in self.order}

    def run(self) -> None:
        """Evaluate every gate."""
        for path in self.order:
            self.rows_of(path)

    def rows_of(self, path: Path) -> Rows:
        """Give the events of a gate; it is evaluated, with its sibling gates, after its parent."""
        from flowkit import gates

        if path not in self.done:
            if path not in self._nodes:
                raise StrategyFault(
                    f"a gate refers to '{shown('/'.join(path))}', which does not exist."
                )
            gate, parent = self._nodes[path]
            if isinstance(gate, gates.BooleanGate):
                self.done[path] = self._boolean(gate, self._parent_rows(parent))
            else:
                self._siblings(parent)
        return self.done[path]

    def _parent_rows(self, parent: Path) -> Rows | None:
        return self.root if parent == ("root",) else self.rows_of(parent)

    def _gate_at(self, path: Path) -> tuple[flowkit.gates.Gate, Path]:
        from flowkit.exceptions import QuadrantReferenceError

        try:
            return self.gating.get_gate(path[-1], path[:-1]), path[:-1]
        except QuadrantReferenceError:
            return self.gating.get_gate(path[-2], path[:-2]), path[:-2]

    def _siblings(self, parent: Path) -> None:
        """Evaluate the gates under one parent together, in one pass over the columns they need.

        Boolean gates, which read no events, are left out, and so are gates that are done.
        """
        from flowkit import gates

        rows = self._parent_rows(parent)
        siblings = {
            id(gate): gate
            for path, (gate, above) in self._nodes.items()
            if above == parent and path not in self.done
            if not isinstance(gate, gates.BooleanGate)
        }
        dimensioned = [(gate, self._dimensions(gate)) for gate in siblings.values()]
        keys = sorted({key for _, each in dimensioned for d in each for key in d.keys}, key=str)
        grids = {}
        if (self.channels.count if rows is None else len(rows)) >= LEAST_EVENTS:
            grids = {id(gate): grid_of(gate, dimensions) for gate, dimensions in dimensioned}
        kept: dict[Path, list[Rows]] = {}
        for part in _parts(rows, self.channels.count):
            columns = dict(zip(keys, self.channels.linear(keys, part), strict=True))
            for gate, dimensions in dimensioned:
                for name, inside in membership_of(gate, dimensions, columns, grids.get(id(gate))):
                    kept.setdefault((*parent, *name), []).append(
                        _chosen(part, inside, self.channels.count)
                    )
        self.done |= {path: np.concatenate(pieces) for path, pieces in kept.items()}

    def _dimensions(self, gate: flowkit.gates.Gate) -> list[GateDimension]:
        return [dimension_of(self.gating, self.channels, each) for each in gate.dimensions]

    def _boolean(self, gate: flowkit.gates.BooleanGate, rows: Rows | None) -> Rows:
        """Combine other gates on the parent's events."""
        total = self.channels.count
        part: Rows | slice = slice(0, total) if rows is None else rows
        members = []
        for reference in gate.gate_refs:
            inside = np.zeros(total, dtype=bool)
            inside[self.rows_of((*reference["path"], reference["ref"]))] = True
            member = inside[part]
            members.append(~member if reference["complement"] else member)
        if gate.type == "not":
            kept = ~members[0]
        elif gate.type == "or":
            kept = np.logical_or.reduce(members)
        else:
            kept = np.logical_and.reduce(members)
        return _chosen(part, np.asarray(kept), total)


def _parts(rows: Rows | None, total: int) -> Iterator[Rows | slice]:
    """Cut the events of a parent into parts; an empty parent gives one empty part."""
    count = total if rows is None else len(rows)
    for start in range(0, max(count, 1), CHUNK):
        stop = min(start + CHUNK, count)
        yield slice(start, stop) if rows is None else rows[start:stop]


def _chosen(part: Rows | slice, inside: np.ndarray, total: int) -> Rows:
    """Give the indices of the events of a part that are inside, in the smallest type that fits."""
    chosen = np.flatnonzero(inside)
    if isinstance(part, slice):
        kind = np.int32 if total <= MOST_INT32 else np.int64
        return np.asarray(chosen + part.start, dtype=kind)
    kept: Rows = part.take(chosen)
    return kept


def gate_paths(gating: flowkit.GatingStrategy) -> Iterator[Path]:
    """Yield the path of every gate and quadrant, parents before children.

    A quadrant gate itself holds no events, so it is left out.
    """
    from flowkit import gates
    from flowkit.exceptions import QuadrantReferenceError

    for name, ancestors in gating.get_gate_ids():
        try:
            if isinstance(gating.get_gate(name, ancestors), gates.QuadrantGate):
                continue
        except QuadrantReferenceError:
            pass
        yield (*ancestors, name)
