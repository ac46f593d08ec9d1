"""Show each gate of a tube on its axes: a histogram of the parent's events, and its outline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gating.display.drawn_axes import axes_of, describe_axis, is_raw
from gating.display.gate_view import Axis, GateView
from gating.display.outlines import Outlines, outlines_of
from gating.evaluation.axis_units import on_display_scale
from gating.evaluation.compensated_values import Channels
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.strategy.display_scale import transform_of
from gating.strategy.gates import SCATTER, Gate

if TYPE_CHECKING:
    from gating.fcs.header import TubeHeader

BINS = 96
SHOWN_EVENTS = 40_000
FEW_EVENTS = 1_500


def project(
    compiled: Compiled, evaluation: Evaluation, events: EventSource, header: TubeHeader
) -> list[GateView]:
    """Give one view for each gate of the strategy, in the order in which the strategy lists them.

    A parent of more than 40,000 events is shown by an even sample of them; counts and percentages
    are of all.
    """
    channels = Channels(compiled.gating, events, header)
    return [
        _view(compiled, evaluation, channels, gate, name)
        for gate in compiled.strategy.gates
        for name in gate.names
    ]


def outlines_on(view: GateView, shown: Compiled, other: Compiled, name: str) -> Outlines | None:
    """Give the outlines of gate ``name`` of another version on the axes of a view.

    ``shown`` is the version the view is of. None when the other version draws the gate on other
    axes or scales.
    """
    gate = next(gate for gate in other.strategy.gates if name in gate.names)
    marker_of = {detector: axis for axis, detector in shown.detector_of.items()}
    axes = (marker_of[view.x.detector], marker_of[view.y.detector])
    if set(axes) != set(axes_of(other, gate)):
        return None
    if any(shown.strategy.scale_of(axis) != other.strategy.scale_of(axis) for axis in axes):
        return None
    return outlines_of(other, gate, name, axes, [view.x, view.y])


def _view(
    compiled: Compiled, evaluation: Evaluation, channels: Channels, gate: Gate, name: str
) -> GateView:
    axes, raw = axes_of(compiled, gate), is_raw(compiled, gate)
    parent = compiled.path_of[gate.parent]
    parent_events = evaluation.count(parent)
    rows = evaluation.sample(parent, SHOWN_EVENTS)
    shown = [_displayed(compiled, channels, axis, rows, raw=raw) for axis in axes]
    x, y = (
        describe_axis(compiled, axis, values, raw=raw)
        for axis, values in zip(axes, shown, strict=True)
    )
    sources = {t.source for t in compiled.thresholds if t.threshold in gate.thresholds}
    return GateView(
        path=(*parent, name),
        kind=gate.shape,
        x=x,
        y=y,
        counts=_histogram(shown, (x, y)),
        x_edges=np.linspace(*x.limits, BINS + 1),
        y_edges=np.linspace(*y.limits, BINS + 1),
        outlines=outlines_of(compiled, gate, name, axes, (x, y)),
        points=np.column_stack(shown) if parent_events <= FEW_EVENTS else None,
        events=evaluation.count(compiled.path_of[name]),
        parent_events=parent_events,
        source="; ".join(sorted(sources)),
    )


def _displayed(
    compiled: Compiled, channels: Channels, axis: str, rows: np.ndarray, *, raw: bool
) -> np.ndarray:
    """Read the values of an axis on its display scale, uncompensated when ``raw``."""
    compensation = compiled.applied_compensation
    if raw or axis in SCATTER:
        compensation = None
    index = channels.index(compiled.detector_of[axis], compensation)
    linear = channels.linear([(index, compensation)], rows)[0]
    transform = transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
    return on_display_scale(transform, linear)


def _histogram(shown: list[np.ndarray], axes: tuple[Axis, Axis]) -> np.ndarray:
    """Count events in a square grid (bins × bins, first index x).

    An event beyond an edge is drawn in the outermost bin, as cytometers do.
    """
    places = [_bins(values, axis) for values, axis in zip(shown, axes, strict=True)]
    return np.bincount(places[0] * BINS + places[1], minlength=BINS * BINS).reshape(BINS, BINS)


def _bins(values: np.ndarray, axis: Axis) -> np.ndarray:
    low, high = axis.limits
    return np.clip(((values - low) / (high - low) * BINS).astype(np.int64), 0, BINS - 1)
