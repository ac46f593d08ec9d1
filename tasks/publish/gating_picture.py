"""Draw every gate of one tube on one page.

A night draws one page a tube, so the page is drawn with few, large primitives on a single canvas in
pixels instead of one Matplotlib axes a panel, and tick labels are cached outlines instead of text
objects: 16 gates take about a quarter of a second instead of more than one.
"""

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gating.display.gate_view import GateView
from tasks.publish.figure_style import FADED, INK
from tasks.publish.gating_frames import TICK_PIXELS, draw_frames, text_width
from tasks.publish.gating_panel import PLOT_SIZE, Before, Panel
from tasks.vocabulary.amounts import percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

DPI = 96
CELL_WIDTH, CELL_HEIGHT = 306, 312
PLOT_LEFT, PLOT_TOP = 64, 46
MARGIN, HEADER, FOOTER = 14, 66, 44
GATE, DOT = "#d3104c", "#3b2a66"
BEFORE, DASHES = "#0a63c9", (0, (5, 4))
TINT = (0.83, 0.06, 0.30, 0.07)
TITLE_OUTDENT, PIXELS_PER_POINT = 50, DPI / 72
COUNTABLE = 20
"""So few events are drawn as larger dots."""


def draw_gating_page(
    title: str, subtitle: str, views: Sequence[GateView], before: Sequence[Before] = ()
) -> "Figure":
    """Draw all gates of a tube in the given order, each over the density of its parent's events.

    ``before``, one for each view, draws another version's outlines with them.
    """
    from matplotlib.figure import Figure

    columns = 5 if len(views) > 16 else max(3, min(4, len(views)))
    rows = max(1, -(-len(views) // columns))
    width = 2 * MARGIN + columns * CELL_WIDTH
    lines = textwrap.wrap(subtitle, width // 7) or [""]
    header = HEADER + 16 * (len(lines) - 1)
    height = header + rows * CELL_HEIGHT + FOOTER
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    canvas = figure.add_axes((0, 0, 1, 1), label="page")
    canvas.axis("off")
    panels = [
        Panel(
            view,
            MARGIN + (i % columns) * CELL_WIDTH + PLOT_LEFT,
            header + (i // columns) * CELL_HEIGHT + PLOT_TOP,
            other,
        )
        for i, (view, other) in enumerate(zip(views, before or len(views) * [None], strict=True))
    ]
    for panel in panels:
        _draw_events(canvas, panel)
        _draw_outlines(canvas, panel)
        _draw_words(canvas, panel)
    draw_frames(canvas, panels)
    canvas.text(MARGIN + 4, 27, title, fontsize=15, fontweight="bold", color=INK)
    canvas.text(
        MARGIN + 4, 38, "\n".join(lines), fontsize=9.5, color=FADED, va="top", gid="subtitle"
    )
    canvas.text(
        MARGIN + 4,
        height - 10,
        _caption(views, compares=bool(before)),
        fontsize=8,
        color=FADED,
        linespacing=1.5,
    )
    canvas.set_xlim(0, width)
    canvas.set_ylim(height, 0)
    return figure


def share_text(view: GateView) -> str:
    """Write the share of the parent as tables write it; 100 % only where all are meant."""
    percent = view.percent_parent
    if percent is None:
        return "–"
    if percent >= 99.95 and view.events != view.parent_events:
        return "> 99.9 %"
    return f"{percent_text(percent)} %"


def _draw_events(canvas: "Axes", panel: Panel) -> None:
    """Draw the parent's events: a dot each when they are few, else their density.

    The colour scale of the density is logarithmic.
    """
    view = panel.view
    if not view.parent_events:
        middle = PLOT_SIZE / 2
        message = canvas.text(
            panel.left + middle,
            panel.top + middle,
            "no events in parent",
            fontsize=10,
            color=FADED,
            zorder=6,
        )
        message.set(
            ha="center", va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 3}
        )
    elif view.points is not None:
        x = panel.x_pixels(np.clip(view.points[:, 0], *view.x.limits))
        y = panel.y_pixels(np.clip(view.points[:, 1], *view.y.limits))
        size = 5.0 if len(x) <= COUNTABLE else 2.6
        canvas.plot(
            x,
            y,
            linestyle="none",
            marker="o",
            markersize=size,
            markeredgewidth=0,
            color=DOT,
            alpha=0.8,
        )
    elif view.counts.any():
        left, right = panel.x_pixels(view.x_edges[[0, -1]])
        top, bottom = panel.y_pixels(view.y_edges[[-1, 0]])
        colours = _density_colours(view.counts)
        image = canvas.imshow(
            colours,
            extent=(left, right, bottom, top),
            aspect="auto",
            interpolation="nearest",
            origin="lower",
        )
        image.set_clip_path(_frame(canvas, panel))


def _density_colours(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Colour a histogram [x, y] as an RGBA image [row, column].

    It is white where empty, viridis by the logarithm of the count elsewhere.
    """
    logs = np.log1p(counts.T.astype(np.float64))
    colours: NDArray[np.uint8] = _palette()[np.rint(logs / logs.max() * 255).astype(np.intp)]
    colours[counts.T == 0] = (255, 255, 255, 0)
    return colours


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.uint8]:
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](np.arange(256), bytes=True), dtype=np.uint8)


def _draw_outlines(canvas: "Axes", panel: Panel) -> None:
    """Draw the gate's outlines with a white rim, and another version's as dashes over them.

    A faint tint inside makes plain which side is meant.
    """
    from matplotlib.collections import LineCollection

    lines, dashed = (
        _in_pixels(panel, panel.view.outlines),
        _in_pixels(panel, panel.before.outlines if panel.before else ()),
    )
    if not lines and not dashed:
        return
    n, m = len(lines), len(dashed)
    collection = LineCollection(
        [*lines, *lines, *dashed],
        colors=n * ["white"] + n * [GATE] + m * [BEFORE],
        linewidths=n * [3.0] + n * [1.5] + m * [1.5],
        linestyles=[*(2 * n * ["solid"]), *(m * [DASHES])],
        facecolors=n * ["none"] + n * [TINT] + m * ["none"],
        gid="outlines",
        zorder=3,
    )
    canvas.add_collection(collection, autolim=False)
    collection.set_clip_path(_frame(canvas, panel))


def _in_pixels(panel: Panel, outlines: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [
        np.column_stack(
            (
                _inset(panel.x_pixels(outline[:, 0]), panel.left),
                _inset(panel.y_pixels(outline[:, 1]), panel.top),
            )
        )
        for outline in outlines
    ]


def _inset(pixels: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Move what lies on the frame a little inwards, where a line is seen beside it."""
    low, high = start + 2.0, start + PLOT_SIZE - 2.0
    moved = np.where(np.abs(pixels - start) < 2.0, low, pixels)
    return np.where(np.abs(pixels - start - PLOT_SIZE) < 2.0, high, moved)


def _frame(canvas: "Axes", panel: Panel) -> "Rectangle":
    from matplotlib.patches import Rectangle

    return Rectangle((panel.left, panel.top), PLOT_SIZE, PLOT_SIZE, transform=canvas.transData)


def _draw_words(canvas: "Axes", panel: Panel) -> None:
    """Write title, share and count, threshold source and axis titles of one panel."""
    view, middle = panel.view, PLOT_SIZE / 2
    title, size = _fitted(f"{view.parent} → {view.name}")
    count = f"{share_text(view)}    {view.events:,}" if view.parent_events else "0"
    count = count if panel.before is None else panel.before.counts
    canvas.text(
        panel.left - TITLE_OUTDENT,
        panel.top - 25,
        title,
        fontsize=size,
        fontweight="bold",
        color=INK,
        gid="panel",
    )
    canvas.text(panel.left, panel.top - 7, count, fontsize=10, color=GATE, gid="count")
    source = view.source or ("" if view.outlines else "combines gates")
    if source and panel.before is None:
        short = source if len(source) <= 18 else source[:17] + "…"
        canvas.text(
            panel.left + PLOT_SIZE,
            panel.top - 7,
            short,
            fontsize=7.5,
            color=FADED,
            ha="right",
            gid="source",
        )
    below, beside = panel.top + PLOT_SIZE + 32, panel.left - 42
    canvas.text(
        panel.left + middle, below, view.x.title, fontsize=8.5, color=INK, ha="center", gid="x"
    )
    canvas.text(
        beside,
        panel.top + middle,
        view.y.title,
        fontsize=8.5,
        color=INK,
        rotation=90,
        ha="center",
        va="center",
        gid="y",
    )


def _fitted(title: str) -> tuple[str, float]:
    """Choose the largest type size at which a title stays within its cell.

    Beyond the smallest size the parent's name is cut.
    """
    room = CELL_WIDTH - PLOT_LEFT + TITLE_OUTDENT - 12
    smallest, largest = 7.0, 9.5
    while title and text_width(title, "bold") * smallest * PIXELS_PER_POINT / TICK_PIXELS > room:
        title = "…" + title.removeprefix("…")[1:]
    return title, min(
        largest, room * TICK_PIXELS / (max(text_width(title, "bold"), 1.0) * PIXELS_PER_POINT)
    )


def _caption(views: Sequence[GateView], *, compares: bool) -> str:
    if not views:
        return "No gate was drawn for this tube."
    below = (
        "Below it: the gate's events before → after, and F1 (1: the same events). Red line: "
        "after; blue dashes: before."
    )
    if not compares:
        below = (
            "Below it: the gate's share of its parent, and the gate's events. Red line: the gate."
        )
    return (
        f"Title: parent → gate. {below}\n"
        "Colour: the parent's events (of very many, an even sample): few (violet) to many "
        "(yellow); or single events as dots."
    )
