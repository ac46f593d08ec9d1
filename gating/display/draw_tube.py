"""Draw all gates of a tube: shared axes, shared densities, a sample of single events, outlines."""

from __future__ import annotations

from collections.abc import Sequence
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

BINS = 128
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
    read = _ReadEvents(compiled, channels, axes, [sampled, *shown.values()])
    codes, sets, shares = membership(evaluation, paths, sampled)
    return TubeDrawing(
        axes=axes,
        gates=tuple(_gate(compiled, evaluation, plots, plot, axes) for plot in plots),
        densities=tuple(_density(read, plots, each, shown[each[0]]) for each in pictures),
        sample=EventSample(sampled, read.parts(sampled), codes, sets, shares),
    )


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
    def picture(self) -> tuple[Path, AxisName, AxisName]:
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
    return tuple(
        DrawnAxis(axis, raw, describe_axis(compiled, axis, shown, raw=raw))
        for (axis, raw), shown in zip(names, values, strict=True)
    )


class _ReadEvents:
    """The parts of all axes in which the events lie that are drawn at all, read once."""

    def __init__(
        self,
        compiled: Compiled,
        channels: Channels,
        axes: Sequence[DrawnAxis],
        wanted: Sequence[Rows],
    ) -> None:
        needed = np.zeros(channels.count, dtype=bool)
        for rows in wanted:
            needed[rows] = True
        self.place = {(each.name, each.raw): place for place, each in enumerate(axes)}
        self._at = np.cumsum(needed) - 1
        self._parts = parts_of(compiled, channels, axes, np.flatnonzero(needed))

    def parts(self, rows: Rows) -> np.ndarray:
        """Give the parts of some events (axes × n)."""
        return self._parts[:, self._at[rows]]

    def histogram(self, rows: Rows, x: int, y: int) -> np.ndarray:
        """Count some events in a square grid on two axes (bins × bins, first index x)."""
        at = self._at[rows]
        across, up = (self._parts[axis, at].astype(np.intp) * BINS // PARTS for axis in (x, y))
        counts = np.bincount(across * BINS + up, minlength=BINS * BINS)
        return counts.reshape(BINS, BINS).astype(np.uint32)


def _density(
    read: _ReadEvents, plots: Sequence[_Plot], picture: tuple[Path, AxisName, AxisName], rows: Rows
) -> Density:
    parent, across, up = picture
    x, y = read.place[across], read.place[up]
    return Density(x, y, _place_of(plots, parent), len(rows), read.histogram(rows, x, y))


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
