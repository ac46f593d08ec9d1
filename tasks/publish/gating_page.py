"""Draw every gate of one tube on one page, and write the small HTML page around it.

A night draws one page a tube, so the page is drawn with few, large primitives on a single canvas in
pixels instead of one Matplotlib axes a panel, and tick labels are cached outlines instead of text
objects: 16 gates take about a quarter of a second instead of more than one.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gating.display.gate_view import Axis, GateView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.path import Path as Outline

DPI = 96
CELL_WIDTH, CELL_HEIGHT = 306, 312
PLOT_LEFT, PLOT_TOP, PLOT_SIZE = 64, 46, 216
MARGIN, HEADER, FOOTER = 14, 66, 44
INK, FADED, GATE, DOT = "#1b1f24", "#667080", "#d3104c", "#3b2a66"
BEFORE, DASHES = "#0a63c9", (0, (5, 4))
TINT = (0.83, 0.06, 0.30, 0.07)
TICK_PIXELS, TITLE_OUTDENT, PIXELS_PER_POINT = 10.5, 50, DPI / 72
COUNTABLE = 20
"""So few events are drawn as larger dots."""


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What another version made of the gate that is drawn: its outlines in display units, and both counts in words."""

    outlines: tuple[NDArray[np.float64], ...]
    counts: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One gate's place on the page: the plot's left and top edge in pixels, and the view drawn there."""

    view: GateView
    left: float
    top: float
    before: Before | None = None

    def x_pixels(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn display units into pixels from the page's left edge; an open end lies on the frame."""
        low, high = self.view.x.limits
        return self.left + (_bounded(position, self.view.x) - low) / (high - low) * PLOT_SIZE

    def y_pixels(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn display units into pixels from the page's top edge; an open end lies on the frame."""
        low, high = self.view.y.limits
        return (
            self.top
            + PLOT_SIZE
            - (_bounded(position, self.view.y) - low) / (high - low) * PLOT_SIZE
        )

    def corners(self) -> list[tuple[float, float]]:
        """List the frame's corners as a closed line."""
        right, bottom = self.left + PLOT_SIZE, self.top + PLOT_SIZE
        return [
            (self.left, self.top),
            (right, self.top),
            (right, bottom),
            (self.left, bottom),
            (self.left, self.top),
        ]


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
    _draw_frames(canvas, panels)
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


def percent_text(view: GateView) -> str:
    """Write the share of the parent with the digits it deserves; a rounded 100 % is kept for all of them."""
    percent = view.percent_parent
    if percent is None:
        return "–"
    if view.events == view.parent_events or not view.events:
        return f"{percent:.0f} %"
    if percent >= 99.95:
        return "> 99.9 %"
    decimals = (
        1 if percent >= 10 else 2 if percent >= 1 else min(6, 2 - int(np.floor(np.log10(percent))))
    )
    return f"{percent:.{decimals}f} %"


@dataclass(frozen=True, slots=True)
class TubePage:
    """What the head of a tube's page says. ``flags`` pairs each flag with its meaning in words; ``beads`` says what was found of them."""

    patient: str
    visit: str
    specimen: str
    panel: str
    strategy: str
    strategy_sha256: str
    tube_sha256: str
    events: int
    flags: Mapping[str, str]
    beads: str = ""
    panel_version: str = ""
    panel_sha256: str = ""


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """One boundary of one gate, as the page lists it; ``value`` is in the channel's own (compensated) units."""

    gate: str
    channel: str
    value: float
    source: str
    rationale: str = ""


def gating_figure(tube: TubePage, views: Sequence[GateView]) -> "Figure":
    """Draw the gating page of a tube under its usual title."""
    title = f"{tube.patient}  ·  {tube.visit}  ·  {tube.panel}"
    facts = [
        tube.specimen,
        "1 event" if tube.events == 1 else f"{tube.events:,} events",
        f"strategy {tube.strategy} ({tube.strategy_sha256[:12]})",
        f"tube {tube.tube_sha256[:12]}",
    ]
    return draw_gating_page(
        title,
        "   ·   ".join([*facts, *([f"flags: {', '.join(tube.flags)}"] if tube.flags else [])]),
        views,
    )


def render_gating_page(
    tube: TubePage, views: Sequence[GateView], thresholds: Sequence[ThresholdLine], png: bytes
) -> str:
    """Write the self-contained HTML page of a tube around its gating picture."""
    from tasks.publish.pages import render

    gates = [(view, "›  " * max(0, len(view.path) - 2), percent_text(view)) for view in views]
    return render(
        "gating.html", {"tube": tube, "gates": gates, "thresholds": thresholds, "png": png}
    )


def _bounded(position: NDArray[np.float64], axis: Axis) -> NDArray[np.float64]:
    return np.nan_to_num(position, nan=axis.limits[0], posinf=axis.limits[1], neginf=axis.limits[0])


def _draw_events(canvas: "Axes", panel: Panel) -> None:
    """Draw the parent's events: a dot each when they are few, else their density on a logarithmic colour scale."""
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
    """Colour a histogram [x, y] as an image [row, column] RGBA: white where empty, viridis by log count elsewhere."""
    logs = np.log1p(counts.T.astype(np.float64))
    colours: NDArray[np.uint8] = _palette()[np.rint(logs / logs.max() * 255).astype(np.intp)]
    colours[counts.T == 0] = (255, 255, 255, 0)
    return colours


@lru_cache(maxsize=1)
def _palette() -> NDArray[np.uint8]:
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](np.arange(256), bytes=True), dtype=np.uint8)


def _draw_outlines(canvas: "Axes", panel: Panel) -> None:
    """Draw the gate's outlines with a white rim and a faint tint inside, so that it is plain which side is meant; dashes over them."""
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
    count = f"{percent_text(view)}    {view.events:,}" if view.parent_events else "0"
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
    """Choose the largest type size at which a title stays within its cell; beyond the smallest the parent is cut."""
    room = CELL_WIDTH - PLOT_LEFT + TITLE_OUTDENT - 12
    smallest, largest = 7.0, 9.5
    while title and _width(title, "bold") * smallest * PIXELS_PER_POINT / TICK_PIXELS > room:
        title = "…" + title.removeprefix("…")[1:]
    return title, min(
        largest, room * TICK_PIXELS / (max(_width(title, "bold"), 1.0) * PIXELS_PER_POINT)
    )


def _draw_frames(canvas: "Axes", panels: Sequence[Panel]) -> None:
    """Draw all frames and ticks as one set of lines, and all tick labels as one set of letter outlines."""
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
            _moved(text, x - _width(text) / 2, bottom + 16)
            for x, text in _uncrowded(x_ticks, 4, _width)
        ]
        letters += [
            _moved(text, panel.left - 7 - _width(text), y + 3.5)
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
    """Keep the tick labels that do not touch: zero first, then from the high end, where the populations are told apart."""
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
def _width(text: str, weight: str = "normal") -> float:
    return float(_letters(text, weight).get_extents().x1) if text.strip() else 0.0


def _moved(text: str, left: float, baseline: float) -> "Outline":
    """Place a text's outline on the page, where y runs downwards."""
    from matplotlib.path import Path as Outline

    letters = _letters(text)
    return Outline(np.asarray(letters.vertices) * (1, -1) + (left, baseline), letters.codes)


def _caption(views: Sequence[GateView], *, compares: bool) -> str:
    if not views:
        return "No gate was drawn for this tube."
    below = (
        "Below it: the gate's events before → after, and F1 (1: the same events). Red line: "
        "after; blue dashes: before."
    )
    own = "Below it: the gate's share of its parent, and the gate's events. Red line: the gate."
    return (
        f"Title: parent → gate. {below if compares else own}\n"
        "Colour: the parent's events (of very many, an even sample): few (violet) to many "
        "(yellow); or single events as dots."
    )
