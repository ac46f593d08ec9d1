"""Translate another program's axes to a strategy's.

Which marker a channel is, how far its values reach, and where a place on its scale lies on ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gating.exchange.read_document import RangedChannel
from gating.strategy.display_scale import FULL_SCALE, apply_transform, transform_of
from gating.strategy.gates import SCATTER, Scale
from panels.acquisition_time import TIME, is_time_channel
from panels.panel import Panel, match_panel, plain

if TYPE_CHECKING:
    import flowkit

BEND = 1e-4
"""How far from a straight edge, in parts of the displayed axis, an edge redrawn on another scale
may run."""
DEEPEST = 9
SAME_END = 0.001
"""Two scales whose ends differ by less than this part of a decade end at the same place."""
SAME_TOP = 1e-5
"""Two logicle scales of one shape whose ends differ by less than this part are one, to less than a
millionth of the axis: some programs end them at 262143 where ``$PnR`` is 262144."""
PLACES = 6
DIGITS = 12
"""A corner that was calculated is written to this many digits."""
MOST_DIGITS = 18

Point = tuple[float, float]


class ChannelNames:
    """The marker or scatter parameter of a panel that each channel is, and how far it reaches."""

    def __init__(self, panel: Panel, channels: Sequence[RangedChannel]) -> None:
        self._axis: dict[str, str] = {}
        self._maximum: dict[str, float] = {}
        self._timed = TIME in panel.scatter
        if channels:
            self._match(panel, channels)
            return
        for detectors in panel.detectors().values():
            self._axis |= {
                plain(detector): marker
                for marker, detector in detectors.items()
                if plain(detector) not in self._axis
            }
        self._axis |= {plain(detector): name for name, detector in panel.scatter.items()}
        for stain in panel.markers:
            for name in (stain.marker, *stain.synonyms):
                self._axis.setdefault(plain(name), stain.marker)

    def _match(self, panel: Panel, channels: Sequence[RangedChannel]) -> None:
        """Match the panel to the channels of a file: by their labels, else by their detectors."""
        axis_of = {index: axis for axis, index in match_panel(panel, channels).channel.items()}
        by_detector = {
            plain(stain.detector): stain.marker
            for stain in panel.markers
            if stain.marker not in axis_of.values()
        }
        for channel in channels:
            axis = axis_of.get(channel.index) or by_detector.get(plain(channel.detector))
            if axis is None:
                continue
            for name in (channel.detector, channel.label, channel.detector.replace("/", "_")):
                if name:
                    self._axis.setdefault(plain(name), axis)
            self._maximum[axis] = channel.maximum

    def axis(self, name: str, matrix: flowkit.Matrix | None = None) -> str | None:
        """Give the marker or scatter parameter of a channel; None when the panel lacks it."""
        axis = self._axis.get(plain(name))
        if axis is not None:
            return axis
        if self._timed and is_time_channel(name):
            return TIME
        if matrix is None or name not in matrix.fluorochromes:
            return None
        detector = matrix.detectors[list(matrix.fluorochromes).index(name)]
        return self._axis.get(plain(detector))

    def set_maximum(self, axis: str, maximum: float) -> None:
        """Set how far the values of an axis reach, where no file gives it."""
        self._maximum.setdefault(axis, maximum)

    def has_maximum(self, axis: str) -> bool:
        """Tell whether it is known how far the values of an axis reach."""
        return axis in self._maximum

    def maximum(self, axis: str) -> float:
        """Give the range of an axis in the file's linear units."""
        return self._maximum.get(axis, FULL_SCALE)

    def factor(self, axis: str) -> float:
        """Give the factor from the strategy's linear units to the file's."""
        return 1.0 if axis == TIME else self.maximum(axis) / FULL_SCALE


def linear_bound(transform: flowkit.transforms.Transform | None, place: float) -> float:
    """Convert a place on a foreign scale to linear units, as the shortest number that fits."""
    if transform is None:
        return float(place)
    exact = float(_inverse(transform, np.array([place]))[0])
    if not np.isfinite(exact):
        return exact
    rounding = 4 * np.finfo(float).eps * max(1.0, abs(place))
    for digits in range(3, MOST_DIGITS):
        short = float(f"{exact:.{digits}g}")
        if abs(float(apply_transform(transform, np.array([short]))[0]) - place) <= rounding:
            return short
    return exact


def same_scale(
    transform: flowkit.transforms.Transform | None, scale: Scale, maximum: float
) -> bool:
    """Tell whether a straight edge on the foreign scale is straight on ours."""
    kind = type(transform).__name__
    if scale.kind == "linear":
        return transform is None or kind == "LinearTransform"
    if transform is None or kind != "LogicleTransform":
        return False
    top, *shape = _parameters(transform)
    return shape == [scale.w, scale.m, scale.a] and math.isclose(top, maximum, rel_tol=SAME_TOP)


def top_of(transform: flowkit.transforms.Transform | None) -> float | None:
    """Give where a scale ends, in linear units; None for one that does not define it."""
    kind = type(transform).__name__
    if transform is None or kind == "RatioTransform":
        return None
    if kind == "WSPBiexTransform":
        return float(transform.max_value)
    if kind == "WSPLogTransform":
        return float(transform.offset * 10**transform.decades)
    return float(transform.param_t)


def scale_like(transform: flowkit.transforms.Transform | None, maximum: float) -> Scale:
    """Choose the scale of ours that is, or comes nearest to, a foreign one.

    A logicle scale that ends elsewhere is the same scale with other decades (Gating-ML 2.0, 6.2).
    FlowJo's biexponential is drawn after a logicle one: its width w and its decades are those of
    log10(-width)/2 and of the positive decades.
    """
    kind = type(transform).__name__
    if transform is None or kind == "LinearTransform":
        return Scale(kind="linear")
    if kind == "LogicleTransform":
        top, w, m, a = _parameters(transform)
    elif kind == "WSPBiexTransform":
        top, m, a = transform.max_value, transform.positive, transform.negative
        w = math.log10(-transform.width) / 2
    else:
        return Scale()
    longer = math.log10(maximum / top)
    if abs(longer) > SAME_END:
        m = round(m + longer, PLACES)
    fits = 0 <= w <= m / 2 and -w <= a <= m - 2 * w
    return Scale(w=float(w), m=float(m), a=float(a)) if fits else Scale()


def redraw(
    corners: Sequence[Point],
    transforms: Sequence[flowkit.transforms.Transform | None],
    ours: Sequence[tuple[Scale, float]],
) -> list[Point]:
    """Redraw a polygon with straight edges on foreign scales as one straight on ours.

    It has as many edges as that needs. ``ours`` is the scale and the maximum of each axis; vertices
    come in linear units.
    """
    drawn: list[Point] = []
    for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        edge = _Edge(np.array(start), np.array(end), transforms, ours)
        linear = edge.linear(np.array(edge.cuts(0.0, 1.0)[:-1]))
        drawn += [(_rounded(x), _rounded(y)) for x, y in linear]
    return drawn


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """An edge that is straight on foreign scales, from ``start`` (2,) to ``end`` (2,)."""

    start: np.ndarray
    end: np.ndarray
    transforms: Sequence[flowkit.transforms.Transform | None]
    ours: Sequence[tuple[Scale, float]]

    def linear(self, shares: np.ndarray) -> np.ndarray:
        """Give places on the edge (shares of its length, n) in linear units (n × 2)."""
        return _linear(self.start + shares[:, None] * (self.end - self.start), self.transforms)

    def cuts(self, low: float, high: float, depth: int = 0) -> list[float]:
        """Cut a part of the edge until each piece is straight on our scales.

        Parts and cuts are shares of the edge's length.
        """
        places = _displayed(self.linear(np.linspace(low, high, 5)), self.ours)
        chord = places[0] + np.linspace(0, 1, 5)[:, None] * (places[-1] - places[0])
        if depth >= DEEPEST or _distance(places, chord) <= BEND:
            return [low, high]
        middle = (low + high) / 2
        return self.cuts(low, middle, depth + 1)[:-1] + self.cuts(middle, high, depth + 1)


def _distance(places: np.ndarray, chord: np.ndarray) -> float:
    """Give the largest distance of places from a chord, across it."""
    along = chord[-1] - chord[0]
    length = float(np.hypot(*along))
    apart = places - chord[0]
    if length == 0:
        return float(np.hypot(apart[:, 0], apart[:, 1]).max())
    return float(np.abs(apart[:, 0] * along[1] - apart[:, 1] * along[0]).max() / length)


def _linear(
    places: np.ndarray, transforms: Sequence[flowkit.transforms.Transform | None]
) -> np.ndarray:
    """Convert places (n × 2) on foreign scales to linear units."""
    columns = [
        places[:, i] if t is None else _inverse(t, places[:, i]) for i, t in enumerate(transforms)
    ]
    return np.column_stack(columns)


def _displayed(linear: np.ndarray, ours: Sequence[tuple[Scale, float]]) -> np.ndarray:
    """Show linear places on our scales, whole axes having length 1."""
    columns = []
    for i, (scale, maximum) in enumerate(ours):
        transform = transform_of(scale, maximum)
        if transform is None:
            columns.append(linear[:, i] / maximum)
        else:
            columns.append(apply_transform(transform, linear[:, i]))
    return np.column_stack(columns)


def _inverse(transform: flowkit.transforms.Transform, places: np.ndarray) -> np.ndarray:
    if type(transform).__name__ == "WSPLogTransform":
        return np.asarray(transform.offset * 10 ** (places * transform.decades), dtype=np.float64)
    column = np.ascontiguousarray(places, dtype=np.float64).reshape(-1, 1)
    return np.asarray(transform.inverse(column), dtype=np.float64)[:, 0]


def _parameters(transform: flowkit.transforms.Transform) -> tuple[float, float, float, float]:
    return transform.param_t, transform.param_w, transform.param_m, transform.param_a


def is_scatter(axis: str) -> bool:
    """Tell whether an axis is scatter or time, which no matrix touches."""
    return axis in SCATTER
