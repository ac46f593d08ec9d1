"""Draw the frames, ticks and tick labels of all gates on the page of a tube."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gating.display.gate_view import Axis
from tasks.publish.figure_style import INK
from tasks.publish.gating_panel import PLOT_SIZE, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path as Outline

TICK_PIXELS = 10.5


def draw_frames(canvas: "Axes", panels: Sequence[Panel]) -> None:
    """Draw all frames and ticks as one set of lines, all tick labels as one set of outlines."""
    from matplotlib.collections import LineCollection, PathCollection

    lines: list[list[tuple[float, float]]] = []
    letters: list[Outline] = []
    for panel in panels:
        bottom = panel.top + PLOT_SIZE
        x_ticks = list(
            zip(
                panel.x_pixels(_positions(panel.view.x)).tolist(), _texts(panel.view.x), strict=True
            )
        )
        y_ticks = list(
            zip(
                panel.y_pixels(_positions(panel.view.y)).tolist(), _texts(panel.view.y), strict=True
            )
        )
        lines.append(panel.corners())
        lines.extend([(x, bottom), (x, bottom + 4)] for x, _ in x_ticks)
        lines.extend([(panel.left, y), (panel.left - 4, y)] for y, _ in y_ticks)
        letters += [
            _moved(text, x - text_width(text) / 2, bottom + 16)
            for x, text in _uncrowded(x_ticks, 4, text_width)
        ]
        letters += [
            _moved(text, panel.left - 7 - text_width(text), y + 3.5)
            for y, text in _uncrowded(y_ticks, 1, lambda _: TICK_PIXELS)
        ]
    canvas.add_collection(
        LineCollection(lines, colors=INK, linewidths=0.8, gid="frames", zorder=4), autolim=False
    )
    canvas.add_collection(
        PathCollection(letters, facecolors=INK, linewidths=0, gid="tick labels", zorder=4),
        autolim=False,
    )


def _positions(axis: Axis) -> NDArray[np.float64]:
    return np.array([position for position, _ in _inside(axis)], dtype=np.float64)


def _texts(axis: Axis) -> list[str]:
    return [text for _, text in _inside(axis)]


def _inside(axis: Axis) -> list[tuple[float, str]]:
    return [tick for tick in axis.ticks if axis.limits[0] <= tick[0] <= axis.limits[1]]


def _uncrowded(
    ticks: Sequence[tuple[float, str]], gap: float, length: Callable[[str], float]
) -> list[tuple[float, str]]:
    """Keep the tick labels that do not touch: zero first, then from the high end.

    It is at the high end that populations are distinguished.
    """
    kept: list[tuple[float, str]] = []
    labelled = [tick for tick in ticks if tick[1]]
    highest_first = reversed(labelled)
    for position, text in sorted(highest_first, key=lambda tick: tick[1] != "0"):
        if all(
            abs(position - other) >= (length(text) + length(word)) / 2 + gap for other, word in kept
        ):
            kept.append((position, text))
    return kept


@lru_cache(maxsize=512)
def _letters(text: str, weight: str = "normal") -> "Outline":
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    return TextPath(
        (0, 0), text, size=TICK_PIXELS, prop=FontProperties(family="DejaVu Sans", weight=weight)
    )


@lru_cache(maxsize=512)
def text_width(text: str, weight: str = "normal") -> float:
    """Give the width in pixels that a text has at the size of tick labels."""
    return float(_letters(text, weight).get_extents().x1) if text.strip() else 0.0


def _moved(text: str, left: float, baseline: float) -> "Outline":
    """Place a text's outline on the page, where y runs downwards."""
    from matplotlib.path import Path as Outline

    letters = _letters(text)
    return Outline(np.asarray(letters.vertices) * (1, -1) + (left, baseline), letters.codes)
