"""Draw all gates of a tube: shared axes, shared densities, a sample of single events, outlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gating.display.axis_parts import PARTS, AxisName, displayed_values, parts_of
from gating.display.drawn_axes import axes_of, describe_axis, is_raw
from gating.display.event_sample import EventOrder, membership
from gating.display.hidden_cuts import hidden_cuts
from gating.display.outlines import Outlines, outlines_of
from gating.display.tube_drawing import (
    ALL_EVENTS,
    Density,
    DrawnAxis,
    DrawnGate,
    EventSample,
    TubeDrawing,
)
from gating.evaluation.compensated_values import Channels
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import Evaluation, Path
from gating.fcs.event_source import EventSource, Rows
from gating.strategy.gates import SCATTER, Gate

if TYPE_CHECKING:
    from gating.fcs.header import TubeHeader

BINS = 96
Picture = tuple[Path, AxisName, AxisName]
"""What a density shows: its parent's path, and its axes."""
MOST_IN_DENSITY = 100_000
"""The density of a parent with more events is that of an even sample of so many."""


def draw_tube(
    compiled: Compiled, evaluation: Evaluation, events: EventSource, header: TubeHeader, seed: int
) -> TubeDrawing:
    """Draw the gates of a tube in the order in which its strategy lists them.

    ``seed`` is the tube's own number: it decides which events a sample holds. Counts are of all
    events. Raises UnreadableFile when an event holds no number.
    """
    plots = _plots(compiled)
    paths = [plot.path for plot in plots]
    order = EventOrder(evaluation, seed)
    sampled = order.stratified(paths)
    pictures = list(dict.fromkeys(plot.picture for plot in plots))
    shown = {parent: order.first(parent, MOST_IN_DENSITY) for parent, _, _ in pictures}
    channels = Channels(compiled.gating, events, header)
    axes = _described_axes(compiled, channels, plots, sampled)
    rows, place = _drawn_events([sampled, *shown.values()], events.count)
    among = {parent: place[drawn] for parent, drawn in shown.items()}
    needed = _needed(pictures, among, place[sampled], len(rows))
    parts = parts_of(compiled, channels, axes, rows, needed)
    codes, sets, shares = membership(evaluation, paths, sampled)
    columns = np.stack([each[place[sampled]] // (PARTS // 256) for each in parts.values()])
    return TubeDrawing(
        axes=axes,
        gates=tuple(_gate(compiled, evaluation, plots, plot, axes) for plot in plots),
        densities=tuple(_density(plots, each, among[each[0]], parts) for each in pictures),
        sample=EventSample(sampled, columns.astype(np.uint8), codes, sets, shares),
    )


def outlines_with(
    compiled: Compiled, axes: Sequence[DrawnAxis]
) -> dict[str, tuple[Outlines, tuple[DrawnAxis, DrawnAxis]]]:
    """Draw the outline of every gate of ``compiled``, by name, on axes that were drawn before.

    Each comes with the two axes it lies on; a gate on an axis that was not drawn is left out.
    """
    place = {(each.name, each.raw): each for each in axes}
    found = {}
    for plot in _plots(compiled):
        if any(name not in place for name in plot.columns):
            continue
        x, y = (place[name] for name in plot.columns)
        lines = outlines_of(compiled, plot.gate, plot.name, plot.axes, (x.axis, y.axis))
        found[plot.name] = (lines, (x, y))
    return found


@dataclass(frozen=True, slots=True)
class GatePlace:
    """Where a gate is drawn: the gate whose events lie under it, and its two axes."""

    parent: str
    axes: tuple[AxisName, AxisName]


def gate_places(compiled: Compiled) -> dict[str, GatePlace]:
    """Say by name where each gate of a tube is drawn."""
    return {plot.name: GatePlace(plot.gate.parent, plot.columns) for plot in _plots(compiled)}


@dataclass(frozen=True, slots=True)
class _Plot:
    """One population of a gate, and where it is drawn: its place in the order, path and axes."""

    gate: Gate
    name: str
    path: Path
    parent: Path
    axes: tuple[str, str]
    raw: bool

    @property
    def columns(self) -> tuple[AxisName, AxisName]:
        """Name what is read of an event to place it; scatter is never compensated."""
        x, y = self.axes
        return (x, self.raw and x not in SCATTER), (y, self.raw and y not in SCATTER)

    @property
    def picture(self) -> Picture:
        """Name the density under the gate: its parent's, on its axes."""
        return (self.parent, *self.columns)


def _plots(compiled: Compiled) -> list[_Plot]:
    return [
        _Plot(
            gate,
            name,
            compiled.path_of[name],
            compiled.path_of[gate.parent],
            axes_of(compiled, gate),
            is_raw(compiled, gate),
        )
        for gate in compiled.strategy.gates
        for name in gate.names
    ]


def _described_axes(
    compiled: Compiled, channels: Channels, plots: Sequence[_Plot], sampled: Rows
) -> tuple[DrawnAxis, ...]:
    """Describe each axis once, so that all gates of the tube on it have the same limits.

    They hold nearly all sampled events, in which rare populations weigh as much as large ones.
    """
    names = list(dict.fromkeys(name for plot in plots for name in plot.columns))
    values = displayed_values(compiled, channels, names, sampled)
    described = []
    for (axis, raw), shown in zip(names, values, strict=True):
        each = describe_axis(compiled, axis, shown, raw=raw)
        # Rounded, because compensation may differ in the last digit from one processor to another.
        low, high = (float(f"{limit:.5g}") for limit in each.limits)
        described.append(DrawnAxis(axis, raw, replace(each, limits=(low, high))))
    return tuple(described)


def _drawn_events(drawn: Sequence[Rows], total: int) -> tuple[Rows, np.ndarray]:
    """List the events that are drawn anywhere, and give for each of the tube its place there."""
    chosen = np.zeros(total, dtype=bool)
    for rows in drawn:
        chosen[rows] = True
    return np.flatnonzero(chosen), np.cumsum(chosen, dtype=np.int32) - 1


def _needed(
    pictures: Sequence[Picture], among: Mapping[Path, np.ndarray], sampled: np.ndarray, number: int
) -> dict[AxisName, np.ndarray]:
    """Tell by axis which of the drawn events (``number``,) are drawn on it.

    ``among`` gives by parent, and ``sampled`` for the sample, their places among these.
    """
    needed: dict[AxisName, np.ndarray] = {}
    for parent, *names in pictures:
        for name in names:
            if name not in needed:
                needed[name] = np.zeros(number, dtype=bool)
                needed[name][sampled] = True
            needed[name][among[parent]] = True
    return needed


def _density(
    plots: Sequence[_Plot], picture: Picture, at: np.ndarray, parts: Mapping[AxisName, np.ndarray]
) -> Density:
    """Count a parent's events (``at`` their places in ``parts``) in a square grid on two axes."""
    parent, across, up = picture
    index = list(parts).index
    x, y = (parts[name][at].astype(np.intp) // (PARTS // BINS) for name in (across, up))
    counts = np.bincount(x * BINS + y, minlength=BINS * BINS).reshape(BINS, BINS)
    return Density(
        index(across), index(up), _place_of(plots, parent), len(at), counts.astype(np.uint32)
    )


def _gate(
    compiled: Compiled,
    evaluation: Evaluation,
    plots: Sequence[_Plot],
    plot: _Plot,
    axes: Sequence[DrawnAxis],
) -> DrawnGate:
    place = {(each.name, each.raw): place for place, each in enumerate(axes)}
    x, y = (place[name] for name in plot.columns)
    drawn = (axes[x].axis, axes[y].axis)
    outlines = outlines_of(compiled, plot.gate, plot.name, plot.axes, drawn)
    declared = outlines_of(replace(compiled, resolved={}), plot.gate, plot.name, plot.axes, drawn)
    pictures = list(dict.fromkeys(each.picture for each in plots))
    return DrawnGate(
        name=plot.name,
        kind=plot.gate.shape,
        parent=_place_of(plots, plot.parent),
        x=x,
        y=y,
        density=pictures.index(plot.picture),
        events=evaluation.count(plot.path),
        parent_events=evaluation.count(plot.parent),
        outlines=outlines,
        declared=() if _same(outlines, declared) else declared,
        hidden=hidden_cuts(compiled, plot.gate, plot.name, plot.axes, outlined=bool(outlines)),
        thresholds=tuple(
            name for name in compiled.strategy.thresholds if name in plot.gate.thresholds
        ),
    )


def _place_of(plots: Sequence[_Plot], path: Path) -> int:
    """Give the place of a gate among all; ``ALL_EVENTS`` for the root."""
    return next((place for place, plot in enumerate(plots) if plot.path == path), ALL_EVENTS)


def _same(one: Outlines, other: Outlines) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))
