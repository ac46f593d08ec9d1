"""Translate between another program's axes and a strategy's: which marker a channel is, and where a place on its scale lies on ours."""

from __future__ import annotations

from collections.abc import Sequence
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
MOST_DIGITS = 18

Point = tuple[float, float]


class ChannelNames:
    """Which marker or scatter parameter of a panel each channel is, and how far its values reach."""

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
            self._axis |= {
                plain(name): stain.marker
                for name in (stain.marker, *stain.synonyms)
                if plain(name) not in self._axis
            }

    def _match(self, panel: Panel, channels: Sequence[RangedChannel]) -> None:
        """Find the panel in the channels of a file; what its labels do not settle is known by its detector."""
        found = {index: axis for axis, index in match_panel(panel, channels).channel.items()}
        by_detector = {
            plain(stain.detector): stain.marker
            for stain in panel.markers
            if stain.marker not in found.values()
        }
        for channel in channels:
            axis = found.get(channel.index) or by_detector.get(plain(channel.detector))
            if axis is not None:
                names = (channel.detector, channel.label, channel.detector.replace("/", "_"))
                self._axis |= {
                    plain(name): axis for name in names if name and plain(name) not in self._axis
                }
                self._maximum[axis] = channel.maximum

    def axis(self, name: str, matrix: flowkit.Matrix | None = None) -> str | None:
        """Give the marker or scatter parameter of a channel; None when the panel does not read it."""
        found = self._axis.get(plain(name))
        if found is None and self._timed and is_time_channel(name):
            return TIME
        if found is None and matrix is not None and name in matrix.fluorochromes:
            found = self._axis.get(plain(matrix.detectors[list(matrix.fluorochromes).index(name)]))
        return found

    def learn(self, axis: str, maximum: float) -> None:
        """Take in how far the values of an axis reach, where no file says it."""
        self._maximum.setdefault(axis, maximum)

    def knows(self, axis: str) -> bool:
        """Tell whether it is known how far the values of an axis reach."""
        return axis in self._maximum

    def maximum(self, axis: str) -> float:
        """Give the range of an axis in the file's linear units."""
        return self._maximum.get(axis, FULL_SCALE)

    def factor(self, axis: str) -> float:
        """Give the factor from the strategy's linear units to the file's."""
        return 1.0 if axis == TIME else self.maximum(axis) / FULL_SCALE


def linear_bound(transform: flowkit.transforms.Transform | None, place: float) -> float:
    """Bring a place on a foreign scale to linear units, as the shortest number that lies there."""
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
    return kind == "LogicleTransform" and _parameters(transform) == (
        maximum,
        scale.w,
        scale.m,
        scale.a,
    )


def top_of(transform: flowkit.transforms.Transform | None) -> float | None:
    """Give where a scale ends, in linear units; None for one that says nothing of it."""
    kind = type(transform).__name__
    if transform is None or kind == "RatioTransform":
        return None
    if kind == "WSPBiexTransform":
        return float(transform.max_value)
    if kind == "WSPLogTransform":
        return float(transform.offset * 10**transform.decades)
    return float(transform.param_t)


def scale_like(transform: flowkit.transforms.Transform | None, maximum: float) -> Scale:
    """Choose the scale of ours that is, or comes nearest to, a foreign one."""
    kind = type(transform).__name__
    if transform is None or kind == "LinearTransform":
        return Scale(kind="linear")
    if kind == "LogicleTransform" and _parameters(transform)[0] == maximum:
        _, w, m, a = _parameters(transform)
        return Scale(w=w, m=m, a=a)
    return Scale()


def redraw(
    corners: Sequence[Point],
    transforms: Sequence[flowkit.transforms.Transform | None],
    ours: Sequence[tuple[Scale, float]],
) -> list[Point]:
    """Redraw a polygon with straight edges on foreign scales as one whose many edges are straight on ours; linear units."""
    drawn: list[Point] = []
    for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        shares = _shares(np.array(start), np.array(end), transforms, ours, (0.0, 1.0), 0)
        places = np.array(start) + np.array(shares[:-1])[:, None] * (
            np.array(end) - np.array(start)
        )
        drawn += [(float(x), float(y)) for x, y in _linear(places, transforms)]
    return drawn


def _shares(
    start: np.ndarray,
    end: np.ndarray,
    transforms: Sequence[flowkit.transforms.Transform | None],
    ours: Sequence[tuple[Scale, float]],
    part: tuple[float, float],
    depth: int,
) -> list[float]:
    """Cut an edge until each piece is straight on our scales."""
    inner = np.linspace(part[0], part[1], 5)
    places = _displayed(_linear(start + inner[:, None] * (end - start), transforms), ours)
    chord = places[0] + np.linspace(0, 1, 5)[:, None] * (places[-1] - places[0])
    if depth >= DEEPEST or float(_away(places, chord)) <= BEND:
        return [part[0], part[1]]
    middle = (part[0] + part[1]) / 2
    left = _shares(start, end, transforms, ours, (part[0], middle), depth + 1)
    return left[:-1] + _shares(start, end, transforms, ours, (middle, part[1]), depth + 1)


def _away(places: np.ndarray, chord: np.ndarray) -> float:
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
    columns = [
        places[:, i] if t is None else _inverse(t, places[:, i]) for i, t in enumerate(transforms)
    ]
    return np.column_stack(columns)


def _displayed(linear: np.ndarray, ours: Sequence[tuple[Scale, float]]) -> np.ndarray:
    """Show linear places on our scales, whole axes having length 1."""
    columns = []
    for i, (scale, maximum) in enumerate(ours):
        transform = transform_of(scale, maximum)
        columns.append(
            linear[:, i] / maximum
            if transform is None
            else apply_transform(transform, linear[:, i])
        )
    return np.column_stack(columns)


def _inverse(transform: flowkit.transforms.Transform, places: np.ndarray) -> np.ndarray:
    if type(transform).__name__ == "WSPLogTransform":
        return np.asarray(transform.offset * 10 ** (places * transform.decades), dtype=np.float64)
    return np.asarray(
        transform.inverse(np.ascontiguousarray(places, dtype=np.float64).reshape(-1, 1)),
        dtype=np.float64,
    )[:, 0]


def _parameters(transform: flowkit.transforms.Transform) -> tuple[float, float, float, float]:
    return transform.param_t, transform.param_w, transform.param_m, transform.param_a


def is_scatter(axis: str) -> bool:
    """Tell whether an axis is scatter or time, which no matrix touches."""
    return axis in SCATTER
