"""Lay out an axis of days since infusion, and write counts under its days."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

    from tasks.publish.figure_style import Colour

EARLY_DAYS = 28.0
"""The axis is even up to this day."""
TICK_DAYS = (0, 28, 84, 168, 364, 728, 14, 56, 7, 112, 252, 546, -7, 21, 42, 1092, 1456)
"""The days that are labelled where there is room, the most usual milestones first."""
LEAST_LABEL_GAP = 0.075
"""The least distance of two labels, as a share of the axis."""
BELOW_TICKS = 7
"""How far below the axis the first line of counts begins, in points: a tick must not cross it."""
LINE_POINTS = 11
"""The height of a line of counts under the axis, in points."""


def scale_days(axes: "Axes", first: float, last: float, *, even: bool = False) -> None:
    """Set an axis of days from ``first`` to ``last``, with the usual milestones as ticks.

    It is even up to day 28 and logarithmic after it, or ``even`` throughout.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if is_logarithmic(last) and not even:
        axes.set_xscale("symlog", linthresh=EARLY_DAYS, linscale=1.0, subs=[])
    transform = axes.xaxis.get_transform()
    span = transform.transform([first, last])
    margin = 0.04 * (span[1] - span[0])
    low, high = transform.inverted().transform([span[0] - margin, span[1] + margin])
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(_tick_days(axes, low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda day, _: f"{day:.0f}".replace("-", "−")))


def is_logarithmic(last: float) -> bool:
    """Tell whether an axis of days up to ``last`` is logarithmic after its first weeks."""
    return last > 2 * EARLY_DAYS


def _tick_days(axes: "Axes", low: float, high: float) -> list[float]:
    """Choose the visit days whose labels have room, the usual milestones first."""
    place = axes.xaxis.get_transform().transform
    start, end = place([low, high])
    gap = LEAST_LABEL_GAP * (end - start)
    kept: list[float] = []
    for day in TICK_DAYS:
        position = place([day])[0]
        has_room = all(abs(position - place([other])[0]) >= gap for other in kept)
        if start <= position <= end and has_room:
            kept.append(float(day))
    return sorted(kept)


def count_below(
    axes: "Axes", count: int, day: float, *, line: int, colour: "str | Colour"
) -> "Annotation":
    """Write a small number under a day, on the given line under the axis."""
    note = axes.annotate(
        str(count),
        (day, 0),
        (0, -BELOW_TICKS - LINE_POINTS * line),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        va="top",
    )
    note.set(ha="center", fontsize=7.5, color=colour)
    return note


def name_counts(axes: "Axes", *, line: int, colour: "str | Colour") -> None:
    """Write beside a line of counts under the axis that they are numbers of patients."""
    note = axes.annotate(
        "n =",
        (0, 0),
        (-6, -BELOW_TICKS - LINE_POINTS * line),
        xycoords=axes.transAxes,
        textcoords="offset points",
        va="top",
        gid="n",
    )
    note.set(ha="right", fontsize=7.5, color=colour)
