"""Read where events lie on the axes of a tube, in 768 even parts of each axis.

A part's border is brought to linear units once, instead of each event to the display scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gating.evaluation.axis_units import on_display_scale
from gating.evaluation.compensated_values import Channels
from gating.evaluation.compiled_strategy import Compiled
from gating.fcs.event_source import CHUNK, Rows
from gating.strategy.display_scale import transform_of
from gating.strategy.gates import SCATTER

if TYPE_CHECKING:
    from flowkit.transforms import LogicleTransform

    from gating.display.tube_drawing import DrawnAxis

PARTS = 768
"""A multiple of the 256 parts of a sample and of the 96 bins of a density."""
CROWDED = 4
"""Axes on which less than a quarter of the events are drawn are read by themselves."""
Floats = NDArray[np.float64]
AxisName = tuple[str, bool]
"""A marker, scatter parameter or Time, and whether it is read uncompensated."""


def displayed_values(
    compiled: Compiled, channels: Channels, names: Sequence[AxisName], rows: Rows
) -> list[Floats]:
    """Read some events (n,) on the display scale of some axes, one array (n,) an axis."""
    columns = channels.linear([_column(compiled, channels, name) for name in names], rows)
    return [
        on_display_scale(_transform(compiled, axis), column)
        for (axis, _), column in zip(names, columns, strict=True)
    ]


def parts_of(
    compiled: Compiled,
    channels: Channels,
    axes: Sequence[DrawnAxis],
    rows: Rows,
    needed: Mapping[AxisName, NDArray[np.bool_]],
) -> dict[AxisName, NDArray[np.uint16]]:
    """Read in which part of each axis some events lie: 0 to 767, one number (n,) an axis.

    What lies beyond an end is in the part at that end. ``needed`` tells by axis which of the events
    (n,) are read at all; the others are left at 0.
    """
    parts = {(each.name, each.raw): np.zeros(len(rows), dtype=np.uint16) for each in axes}
    numbers = {name: int(np.count_nonzero(needed[name])) for name in parts}
    most = max(numbers.values(), default=0)
    for crowded in (True, False):
        group = [
            each for each in axes if (numbers[each.name, each.raw] * CROWDED > most) is crowded
        ]
        _read(compiled, channels, group, rows, needed, parts)
    return parts


def _read(
    compiled: Compiled,
    channels: Channels,
    axes: Sequence[DrawnAxis],
    rows: Rows,
    needed: Mapping[AxisName, NDArray[np.bool_]],
    parts: Mapping[AxisName, NDArray[np.uint16]],
) -> None:
    """Read the needed events of some axes together into ``parts``."""
    names = [(each.name, each.raw) for each in axes]
    wanted = [_column(compiled, channels, name) for name in names]
    places = [_places_on(compiled, each) for each in axes]
    of_any = np.flatnonzero(np.logical_or.reduce([needed[name] for name in names]))
    for start in range(0, len(of_any), CHUNK):
        some = of_any[start : start + CHUNK]
        columns = channels.linear(wanted, rows[some])
        for name, place, column in zip(names, places, columns, strict=True):
            here = needed[name][some]
            parts[name][some[here]] = place(column[here])


def _places_on(compiled: Compiled, drawn: DrawnAxis) -> Callable[[Floats], NDArray[np.uint16]]:
    """Give what places linear values on the parts of an axis."""
    low, high = drawn.axis.limits
    transform = _transform(compiled, drawn.name)
    if transform is None:
        return lambda values: _even_parts(values, low, high)
    borders = np.linspace(low, high, PARTS + 1)[1:-1].reshape(-1, 1)
    linear = np.asarray(transform.inverse(borders))[:, 0]
    return lambda values: np.searchsorted(linear, values, side="right").astype(np.uint16)


def _even_parts(values: Floats, low: float, high: float) -> NDArray[np.uint16]:
    return ((values - low) * (PARTS / (high - low))).clip(0, PARTS - 1).astype(np.uint16)


def _column(compiled: Compiled, channels: Channels, name: AxisName) -> tuple[int, str | None]:
    axis, raw = name
    compensation = None if raw or axis in SCATTER else compiled.applied_compensation
    return channels.index(compiled.detector_of[axis], compensation), compensation


def _transform(compiled: Compiled, axis: str) -> LogicleTransform | None:
    return transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
