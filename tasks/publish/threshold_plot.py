"""Draw one threshold of an instrument: the cells on both sides, the value and its sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gating.thresholds.valley import to_scale
from tasks.publish.figure_bytes import png_bytes
from tasks.publish.figure_style import DPI, FADED, INK, paper_style, say_empty

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (5.2, 2.3)
VALUE, INTERVAL, DRAWN, CELLS = "#a3123f", "#f0c6d2", "#0b5c8e", "#c9d2dc"
STYLES = {
    "landmark": "-.",
    "valley": ":",
    "negative": (0, (5, 1, 1, 1, 1, 1)),
    "tail": (0, (3, 2)),
    "fmo": "--",
}
DECADES = (-1_000, 0, 1_000, 10_000, 100_000)
LABELS = ("-10³", "0", "10³", "10⁴", "10⁵")


@dataclass(frozen=True)
class ThresholdPlot:
    """What is drawn of one threshold; values are linear, ``edges`` on the asinh scale.

    ``counts`` (bins,) are the cells of ``gate`` in all tubes; ``interval`` is that of the value,
    ``drawn_on`` the value of the instrument that the strategy is drawn on, ``others`` what the
    sources give that were not taken.
    """

    marker: str
    gate: str
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    value: float | None
    interval: tuple[float, float] | None
    drawn_on: float
    others: Mapping[str, float]


def draw_threshold(plot: ThresholdPlot) -> bytes:
    """Draw a threshold as PNG."""
    from matplotlib.figure import Figure

    with paper_style():
        figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        if plot.counts.sum():
            _draw(axes, plot)
        else:
            say_empty(axes, f"no cell of {plot.gate or 'the gate'} in these tubes")
            axes.set(xticks=[], yticks=[])
        return png_bytes(figure)


def _draw(axes: Axes, plot: ThresholdPlot) -> None:
    counts = np.convolve(plot.counts, np.ones(5) / 5, mode="same")
    filled = np.flatnonzero(counts > 0)
    axes.stairs(counts, plot.edges, fill=True, color=CELLS)
    marks = [plot.drawn_on, *plot.others.values(), *([plot.value] if plot.value else [])]
    low = min(plot.edges[filled[0]], *(float(to_scale(each)) for each in marks)) - 0.3
    high = max(plot.edges[filled[-1] + 1], *(float(to_scale(each)) for each in marks)) + 0.3
    if plot.interval is not None and np.all(np.isfinite(plot.interval)):
        axes.axvspan(*(float(to_scale(each)) for each in plot.interval), color=INTERVAL, zorder=0.5)
    axes.axvline(float(to_scale(plot.drawn_on)), color=DRAWN, lw=1, ls="-", label="strategy's own")
    for source, value in plot.others.items():
        place = float(to_scale(value))
        axes.axvline(place, color=FADED, lw=1.2, ls=STYLES.get(source, ":"), label=source)
    if plot.value is not None:
        axes.axvline(float(to_scale(plot.value)), color=VALUE, lw=1.8, label="proposed")
    axes.set(xlim=(low, high), ylim=(0, None), yticks=[])
    shown = [(v, t) for v, t in zip(DECADES, LABELS, strict=True) if low < to_scale(v) < high]
    axes.set_xticks([float(to_scale(v)) for v, _ in shown], [t for _, t in shown])
    axes.set_xlabel(f"{plot.marker} of {plot.gate}", color=INK)
    axes.legend(frameon=False, fontsize=7.5, loc="upper left", bbox_to_anchor=(1, 1))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
