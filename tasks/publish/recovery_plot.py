"""Draw the share of depleted patients whose B cells recovered over time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.kinetics.turnbull import DEFINITIONS, EVERYONE, RecoveryCurve, definition_id
from tasks.publish.day_axis import EARLY_DAYS, LINE_POINTS, count_below, name_counts, scale_days
from tasks.publish.figure_style import (
    DASHED,
    DPI,
    FADED,
    INK,
    WIDTH,
    Colour,
    label_left,
    legend_below,
    paper_style,
)
from tasks.publish.strata import stratum_colours
from tasks.publish.wording import definition_words, median_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT_LINE = 0.095
"""The height of a line of text over a plot, as a share of the plot."""


def draw_recovery(curves: Sequence[RecoveryCurve]) -> "Figure":
    """Draw the share of depleted patients who recovered, one plot for each definition of recovery.

    Each stratum has its colour. A shaded box is an interval in which the share rises and nobody
    knows where; broken lines go on after the last visit of those who had not recovered.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    strata = {curve.stratum for curve in curves} - {EVERYONE}
    colours = stratum_colours(strata or {EVERYONE})
    room = 0.2 * len(colours)
    height = 2 * (2.55 + 2 * room) + 1.05
    with paper_style():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        plots = figure.subplots(2, 2, sharex=True, sharey=True).flat
        for axes, definition in zip(plots, DEFINITIONS, strict=True):
            drawn = [
                curve
                for curve in curves
                if curve.stratum in colours and definition_id(curve.definition) == definition
            ]
            _draw_definition(axes, drawn, colours, _last_day(curves))
            sns.despine(ax=axes)
        figure.subplots_adjust(left=0.72 / WIDTH, right=1 - 0.12 / WIDTH, wspace=0.08)
        figure.subplots_adjust(
            top=1 - (0.38 + room) / height,
            bottom=(0.95 + room) / height,
            hspace=(0.75 + 2 * room) / 1.75,
        )
        figure.text(0.5, 0.5 / height, "days since infusion", ha="center", fontsize=9.5)
        label_left(figure, "patients recovered (% of those depleted)", 0.13 / WIDTH, 0.5)
        legend_below(figure, _signs(), 4, text_gap=0.5)
    return figure


def _last_day(curves: Sequence[RecoveryCurve]) -> float:
    """Give the last day on which any curve changes, at least day 28."""
    days = [EARLY_DAYS]
    for curve in curves:
        for step in curve.steps:
            days += [step.low, step.high or 0.0]
    return max(days)


def _draw_definition(
    axes: "Axes", curves: Sequence[RecoveryCurve], colours: Mapping[str, Colour], last: float
) -> None:
    from matplotlib.ticker import PercentFormatter

    scale_days(axes, 0.0, last, even=True)
    axes.set_ylim(-0.02, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.tick_params(labelsize=8.5)
    axes.axhline(0.5, color=FADED, linewidth=0.7, linestyle=":", zorder=0)
    title = axes.text(
        0, 1.06 + TEXT_LINE * len(curves), definition_words(curves[0].definition), gid="title"
    )
    title.set(transform=axes.transAxes, fontsize=10, fontweight="bold", color=INK)
    for line, curve in enumerate(curves):
        colour = colours[curve.stratum]
        _describe(axes, curve, colour, y=1.05 + TEXT_LINE * (len(curves) - 1 - line))
        _draw_steps(axes, curve, colour)
        shade = FADED if curve.stratum == EVERYONE else colour
        _count_not_recovered(axes, curve, line=line, colour=shade)
    axes.tick_params(axis="x", labelbottom=True, pad=3 + LINE_POINTS * len(curves))


def _describe(axes: "Axes", curve: RecoveryCurve, colour: Colour, *, y: float) -> None:
    """Write over the plot how many recovered and when half of them had, after the group's sign."""
    text, x = median_words(curve), 0.0
    if curve.patients:
        text = f"{curve.recovered} of {curve.patients} recovered; {text}"
    if curve.stratum != EVERYONE:
        text, x = f"{curve.stratum}: {text}", 0.035
        axes.text(0, y, "■", transform=axes.transAxes, fontsize=9, color=colour)
    words = axes.text(x, y, text, transform=axes.transAxes, color=INK, gid="description")
    words.set_fontsize(min(8.2, 500 / len(text)))


def _draw_steps(axes: "Axes", curve: RecoveryCurve, colour: Colour) -> None:
    """Draw lines where the share is known, boxes where it rises at a time nobody knows."""
    from matplotlib.patches import Rectangle

    day, share, end = 0.0, 0.0, axes.get_xlim()[1]
    for step in curve.steps:
        _draw_share(axes, (day, step.low), share, colour)
        if step.high is None or step.remaining is None:
            line = axes.plot([step.low, end], [share, share], linestyle=DASHED, gid="unknown")[0]
            line.set(color=colour, linewidth=1.2, zorder=3)
            return
        after = 1.0 - step.remaining
        box = Rectangle((step.low, share), step.high - step.low, after - share, gid="box", zorder=2)
        box.set(facecolor=(*colour, 0.22), edgecolor=colour, linewidth=0.8)
        axes.add_patch(box)
        day, share = step.high, after
    if curve.steps:
        _draw_share(axes, (day, end), share, colour)


def _draw_share(axes: "Axes", days: tuple[float, float], share: float, colour: Colour) -> None:
    """Draw a share that is known from one day to another."""
    axes.plot(days, [share, share], color=colour, linewidth=1.8, gid="known", zorder=3)


def _count_not_recovered(
    axes: "Axes", curve: RecoveryCurve, *, line: int, colour: str | Colour
) -> None:
    """Write under each day how many patients were seen not recovered on it or later.

    Where they are few, few patients carry the curve from there on.
    """
    for day in axes.get_xticks():
        count = sum(low >= day for low in curve.last_low)
        count_below(axes, count, day, line=line, colour=colour).set_gid("watched")
    name_counts(axes, line=line, colour=colour)


def _signs() -> list["Artist"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    unknown = "unknown: no visit after this"
    return [
        Line2D([], [], color=INK, linewidth=1.8, label="share known"),
        Patch(facecolor="#d5d9df", edgecolor=FADED, label="rises within the box, when is unknown"),
        Line2D([], [], color=INK, linewidth=1.2, linestyle=DASHED, label=unknown),
        Line2D([], [], color=FADED, linewidth=0.7, linestyle=":", label="half of the patients"),
    ]
