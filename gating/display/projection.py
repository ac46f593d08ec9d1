"""Show each gate of a tube on its own axes: the parent's events as a picture would have them, and the gate's outline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gating.display.gate_view import Axis, GateView
from gating.evaluation.compensated_values import Channels
from gating.evaluation.compile import Compiled, ellipse_on, ratio_on
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.strategy.display_scale import FULL_SCALE, apply_transform, transform_of
from gating.strategy.gates import SCATTER, Gate, Limits, Ratio
from panels.acquisition_time import TIME

if TYPE_CHECKING:
    from gating.fcs.header import TubeHeader

BINS = 96
SHOWN_EVENTS = 40_000
FEW_EVENTS = 1_500
LINEAR_ROOM = 1.02


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


def _view(
    compiled: Compiled, evaluation: Evaluation, channels: Channels, gate: Gate, name: str
) -> GateView:
    axes, raw = _axes(compiled, gate), _is_raw(compiled, gate)
    parent = compiled.path_of[gate.parent]
    parent_events = evaluation.count(parent)
    rows = _sample(evaluation, parent)
    shown = [_displayed(compiled, channels, axis, rows, raw=raw) for axis in axes]
    drawn = [
        _axis(compiled, axis, values, raw=raw) for axis, values in zip(axes, shown, strict=True)
    ]
    edges = [np.linspace(*axis.limits, BINS + 1) for axis in drawn]
    return GateView(
        path=(*parent, name),
        kind=gate.shape,
        x=drawn[0],
        y=drawn[1],
        counts=_histogram(shown, drawn),
        x_edges=edges[0],
        y_edges=edges[1],
        outlines=_outlines(compiled, gate, name, axes, drawn),
        points=np.column_stack(shown) if parent_events <= FEW_EVENTS else None,
        events=evaluation.count(compiled.path_of[name]),
        parent_events=parent_events,
        source="; ".join(
            sorted({t.source for t in compiled.thresholds if t.threshold in gate.thresholds})
        ),
    )


def outlines_on(
    view: GateView, shown: Compiled, other: Compiled, name: str
) -> tuple[np.ndarray, ...] | None:
    """Give the outlines of gate ``name`` of another version on the axes of a view; None when it is drawn on other axes or scales."""
    gate = next(gate for gate in other.strategy.gates if name in gate.names)
    marker_of = {detector: axis for axis, detector in shown.detector_of.items()}
    axes = (marker_of[view.x.detector], marker_of[view.y.detector])
    if set(axes) != set(_axes(other, gate)) or any(
        shown.strategy.scale_of(axis) != other.strategy.scale_of(axis) for axis in axes
    ):
        return None
    return _outlines(other, gate, name, axes, [view.x, view.y])


def _axes(compiled: Compiled, gate: Gate) -> tuple[str, str]:
    """Choose the two axes to draw a gate on: its own, those the strategy asks for, or side scatter beside a single one."""
    if gate.cluster is not None:
        return _bead_axes(compiled)
    own = list(gate.axes)
    if not own and gate.combined and gate.plot.x is None:
        own = list(_axes(compiled, _first_combined(compiled, gate)))
    known = [
        axis
        for axis in ("SSC-A", "FSC-A", *sorted(compiled.detector_of))
        if axis in compiled.detector_of
    ]
    wanted = [axis for axis in (gate.plot.x, *own) if axis in known]
    x = next(iter([*wanted, *known]))
    return x, next(
        (axis for axis in (gate.plot.y, *wanted, *known) if axis in known and axis != x), x
    )


def _first_combined(compiled: Compiled, gate: Gate) -> Gate:
    return next(g for g in compiled.strategy.gates if gate.combined[0] in g.names)


def _is_raw(compiled: Compiled, gate: Gate) -> bool:
    """Tell whether a gate is drawn on uncompensated signals: a bead cluster, and what is combined of one on the same axes."""
    if gate.combined and gate.plot.x is None:
        return _is_raw(compiled, _first_combined(compiled, gate))
    return gate.cluster is not None


def _bead_axes(compiled: Compiled) -> tuple[str, str]:
    """Choose two detectors in which the beads of this tube are seen as a cluster, not at the end of the range; else side scatter."""
    beads, cluster = compiled.beads, compiled.strategy.bead_cluster
    within = sorted(
        (place, marker) for marker, place in beads.centre.items() if marker not in beads.at_end
    )
    if len(within) > 1:
        return within[-2][1], within[-1][1]
    return within[0][1] if within else cluster.markers[0] if cluster else "FSC-A", "SSC-A"


def _sample(evaluation: Evaluation, path: tuple[str, ...]) -> np.ndarray:
    rows = evaluation.of(path)
    n = evaluation.count(path)
    step = max(1, -(-n // SHOWN_EVENTS))
    return np.arange(0, n, step) if rows is None else rows[::step]


def _displayed(
    compiled: Compiled, channels: Channels, axis: str, rows: np.ndarray, *, raw: bool = False
) -> np.ndarray:
    compensation = (
        "spill" if compiled.matrix is not None and axis not in SCATTER and not raw else None
    )
    index = channels.index(compiled.detector_of[axis], compensation)
    linear = channels.linear([(index, compensation)], rows)[0]
    transform = transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
    return linear if transform is None else apply_transform(transform, linear)


def _axis(compiled: Compiled, axis: str, values: np.ndarray, *, raw: bool = False) -> Axis:
    detector, maximum = compiled.detector_of[axis], compiled.maximum_of[axis]
    transform = transform_of(compiled.strategy.scale_of(axis), maximum)
    label = "" if axis in SCATTER else f"{axis}, uncompensated" if raw else axis
    if axis == TIME:  # in seconds, which have nothing to do with the channel's range
        maximum = float(values.max()) if len(values) and values.max() > 0 else 1.0
    if transform is None:
        step = _round_step(maximum / 4)
        ticks = tuple((float(place), _short(place)) for place in np.arange(0, maximum, step))
        return Axis(label, detector, "linear", ticks, (0.0, maximum * LINEAR_ROOM))
    first = _first_decade(maximum)
    decades = [-(10.0**first), 0.0, *(10.0**p for p in range(first, int(np.log10(maximum)) + 1))]
    places = apply_transform(transform, np.array(decades))
    lowest = float(np.quantile(values, 0.002)) if len(values) else 0.0
    limits = (min(-0.05, max(lowest, -0.6)), 1.06 if raw else 1.02)
    texts = [_power(value) for value in decades]
    return Axis(
        label,
        detector,
        "logicle",
        tuple(t for t in zip(map(float, places), texts, strict=True) if t[0] >= limits[0]),
        limits,
    )


def _first_decade(maximum: float) -> int:
    """Give the lowest decade with room for a label: 10³ on an axis that ends at 262144."""
    return max(0, round(3 + float(np.log10(maximum / FULL_SCALE))))


def _round_step(most: float) -> float:
    """Give the largest of 1, 2, 5, 10, 20, 50 … that is not above ``most``."""
    magnitude = 10.0 ** np.floor(np.log10(most))
    return float(magnitude * max(k for k in (1, 2, 5) if k * magnitude <= most))


def _short(value: float) -> str:
    if value < 1000:
        return f"{value:g}"
    return f"{value / 1000:.0f}K" if value < 1e6 else f"{value / 1e6:.1f}M"


def _power(value: float) -> str:
    superscript = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    return (
        "0"
        if value == 0
        else f"{'-' if value < 0 else ''}10{str(round(np.log10(abs(value)))).translate(superscript)}"
    )


def _histogram(shown: list[np.ndarray], drawn: list[Axis]) -> np.ndarray:
    """Count events in a square grid; an event beyond an edge is drawn in the outermost bin, as cytometers do."""
    places = [
        np.clip(
            ((values - axis.limits[0]) / (axis.limits[1] - axis.limits[0]) * BINS).astype(np.int64),
            0,
            BINS - 1,
        )
        for values, axis in zip(shown, drawn, strict=True)
    ]
    return np.bincount(places[0] * BINS + places[1], minlength=BINS * BINS).reshape(BINS, BINS)


def _outlines(
    compiled: Compiled, gate: Gate, name: str, axes: tuple[str, str], drawn: list[Axis]
) -> tuple[np.ndarray, ...]:
    """Draw the gate's border in display units; a side without a bound runs to the edge of the picture.

    A border that is none on the axes of the picture is not drawn.
    """
    own = _own_outlines(
        compiled, gate, {axis: each.limits[1] for axis, each in zip(axes, drawn, strict=True)}
    )
    if own is not None:
        if set(axes) != set(gate.axes):
            return ()
        return own if axes == gate.axes else tuple(line[:, ::-1] for line in own)
    if gate.cluster is not None:
        return _bead_outline(compiled, axes, drawn)
    sides = _sides(gate, name)
    if not any(axis in sides for axis in axes):
        return ()
    ranges = [
        _range(compiled, axis, sides.get(axis), drawn[i].limits) for i, axis in enumerate(axes)
    ]
    return (_box(*ranges),)


def _bead_outline(
    compiled: Compiled, axes: tuple[str, str], drawn: list[Axis]
) -> tuple[np.ndarray, ...]:
    """Draw from where on an event holds a bead; an axis of no bead's detector is open, and so is its upper end."""
    floor = compiled.beads.floor
    ranges = [
        (
            float(_place(compiled, axis, [floor[axis] * FULL_SCALE])[0])
            if axis in floor
            else shown.limits[0],
            shown.limits[1],
        )
        for axis, shown in zip(axes, drawn, strict=True)
    ]
    return (_box(*ranges),) if floor else ()


def _box(x: tuple[float, float], y: tuple[float, float]) -> np.ndarray:
    return np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]), (x[0], y[0])])


def _own_outlines(
    compiled: Compiled, gate: Gate, top: Mapping[str, float]
) -> tuple[np.ndarray, ...] | None:
    """Draw a border that needs two axes on the gate's own, in their order; None where each axis has sides of its own."""
    if gate.polygon is not None:
        columns = zip(*compiled.vertices(gate.polygon), strict=True)
        corners = np.column_stack(
            [_place(compiled, axis, list(v)) for axis, v in zip(gate.axes, columns, strict=True)]
        )
        return (np.vstack([corners, corners[:1]]),)
    if gate.ellipse is not None:
        centre, covariance = ellipse_on(compiled, gate.ellipse)
        angles = np.linspace(0, 2 * np.pi, 73)
        root = np.linalg.cholesky(covariance) * np.sqrt(gate.ellipse.distance_square)
        return ((centre[:, None] + root @ np.vstack([np.cos(angles), np.sin(angles)])).T,)
    if gate.ratio is not None:
        return _rays(compiled, gate.ratio, top.get(gate.ratio.denominator, 0.0))
    return None


def _sides(gate: Gate, name: str) -> dict[str, Limits]:
    """Give the limits of a rectangle, or of one quadrant, by axis."""
    if gate.quadrant is None:
        return dict(gate.rectangle or {})
    signs = next(signs for signs, quadrant in gate.quadrant.quadrants.items() if quadrant == name)
    cuts = ((gate.quadrant.x, gate.quadrant.x_divider), (gate.quadrant.y, gate.quadrant.y_divider))
    return {
        axis: Limits(above=cut) if sign == "+" else Limits(below=cut)
        for sign, (axis, cut) in zip(signs, cuts, strict=True)
    }


def _range(
    compiled: Compiled, axis: str, limits: Limits | None, shown: tuple[float, float]
) -> tuple[float, float]:
    ends = (None, None) if limits is None else (limits.above, limits.below)
    low, high = (
        edge if bound is None else float(_place(compiled, axis, [compiled.value_of(bound)])[0])
        for bound, edge in zip(ends, shown, strict=True)
    )
    return low, high


def _place(compiled: Compiled, axis: str, values: list[float]) -> np.ndarray:
    linear = np.array(values) * compiled.factor(axis)
    transform = transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
    return linear if transform is None else apply_transform(transform, linear)


def _rays(compiled: Compiled, ratio: Ratio, top: float) -> tuple[np.ndarray, ...]:
    """Draw the two borders between which a ratio lies, from 0 to the ``top`` of the denominator's axis.

    A ratio is of what the detectors saw: on compensated axes it has no border that could be drawn.
    """
    axes = (ratio.numerator, ratio.denominator)
    scales = [
        transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis]) for axis in axes
    ]
    if compiled.matrix is not None and not set(axes) <= set(SCATTER):
        return ()
    below = (
        np.array([0.0, top])
        if scales[1] is None
        else np.asarray(scales[1].inverse(np.linspace(0, top, 73).reshape(-1, 1)))[:, 0]
    )
    lines = []
    for bound in ratio_on(compiled, ratio):
        linear = (bound * below, below)
        lines.append(
            np.column_stack(
                [
                    v if t is None else apply_transform(t, v)
                    for v, t in zip(linear, scales, strict=True)
                ]
            )
        )
    return tuple(lines)
