"""Read where events lie on the axes of a tube, in 256 even parts of each axis.

A part's border is brought to linear units once, instead of each event to the display scale.
"""

from __future__ import annotations

from collections.abc import Sequence
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

PARTS = 256
AxisName = tuple[str, bool]
"""A marker, scatter parameter or Time, and whether it is read uncompensated."""


def displayed_values(
    compiled: Compiled, channels: Channels, names: Sequence[AxisName], rows: Rows
) -> list[NDArray[np.float64]]:
    """Read some events (n,) on the display scale of some axes, one array (n,) an axis."""
    columns = channels.linear([_column(compiled, channels, name) for name in names], rows)
    return [
        on_display_scale(_transform(compiled, axis), column)
        for (axis, _), column in zip(names, columns, strict=True)
    ]


def parts_of(
    compiled: Compiled, channels: Channels, axes: Sequence[DrawnAxis], rows: Rows
) -> NDArray[np.uint8]:
    """Read in which part of each axis some events (n,) lie: 0 to 255 (axes × n).

    What lies beyond an end is in the part at that end.
    """
    names = [(each.name, each.raw) for each in axes]
    wanted = [_column(compiled, channels, name) for name in names]
    borders = [_borders(compiled, each) for each in axes]
    parts = np.empty((len(axes), len(rows)), dtype=np.uint8)
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        for place, column in enumerate(channels.linear(wanted, some)):
            found = np.searchsorted(borders[place], column, side="right")
            parts[place, start : start + len(some)] = found
    return parts


def _borders(compiled: Compiled, drawn: DrawnAxis) -> NDArray[np.float64]:
    """Give the 255 borders between the parts of an axis, in the file's linear units."""
    borders = np.linspace(*drawn.axis.limits, PARTS + 1)[1:-1]
    transform = _transform(compiled, drawn.name)
    if transform is None:
        return borders
    return np.asarray(transform.inverse(borders.reshape(-1, 1)))[:, 0]


def _column(compiled: Compiled, channels: Channels, name: AxisName) -> tuple[int, str | None]:
    axis, raw = name
    compensation = None if raw or axis in SCATTER else compiled.applied_compensation
    return channels.index(compiled.detector_of[axis], compensation), compensation


def _transform(compiled: Compiled, axis: str) -> LogicleTransform | None:
    return transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
