"""Draw the cells of every patient of a cohort over time, with their median visit by visit."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.publish.curves import joined_stretches
from tasks.publish.day_axis import EARLY_DAYS, count_below, name_counts, scale_days
from tasks.publish.figure_links import link_points
from tasks.publish.figure_style import (
    DPI,
    FADED,
    INK,
    WIDTH,
    Colour,
    label_left,
    legend_below,
    paper_style,
    say_empty,
    title_plot,
)
from tasks.publish.log_axis import scale_amounts
from tasks.publish.strata import NO_STRATA, stratum_colours, stratum_signs
from tasks.publish.visit_medians import visit_medians, with_amounts
from tasks.vocabulary.populations import IN_COHORT_FIGURES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tasks.publish.wording import Row

PLOT_HEIGHT = 2.0
STRATA_A_LINE = 5
LEAST_COUNT_GAP = 0.018
"""The least distance of two counts under the axis, as a share of the axis."""


class PatientGroup(NamedTuple):
    """Patients that are drawn together: their rows, and the colours of them and of their median."""

    rows: "pd.DataFrame"
    colour: Colour
    median_colour: Colour | str


class CountPlace(NamedTuple):
    """Where a visit's number of patients is written: its day, and the line under the axis."""

    day: float
    line: int


def draw_cohort_curves(
    kinetics: "pd.DataFrame",
    populations: Sequence[tuple[str, str]] = IN_COHORT_FIGURES,
    strata: Mapping[str, str] = NO_STRATA,
    mark_of: "Callable[[Row], str] | None" = None,
) -> "Figure":
    """Draw every patient's course in blood and, visit by visit, the median, one plot a population.

    ``kinetics`` has the columns of ``KINETICS``; ``strata`` (patient → group) gives each group its
    median. Below the limit of quantification (LLOQ) a hollow sign is drawn at the tube's LLOQ, and
    that limit enters the median; a median is given from two patients on where at least half of them
    are quantified. Bars hold the middle half of the patients, from four on. Numbers under each plot
    count the evaluable patients. ``mark_of`` gives the mark of a row's link.
    """
    import pandas as pd
    import seaborn as sns
    from matplotlib.figure import Figure

    from tasks.kinetics.winning_rows import winning_rows

    blood = winning_rows(kinetics[(kinetics["specimen"] == "blood")])
    groups = stratum_colours(strata.values())
    amounts = [with_amounts(blood, population) for population, _ in populations]
    days = [0.0, 7.0, *blood["day"]]
    with paper_style():
        figure = Figure(dpi=DPI, facecolor="white")
        grid = figure.subplots(len(populations), 1, sharex=True, squeeze=False)[:, 0]
        scale_days(grid[0], min(days), max(days))
        places = _count_places(grid[0], pd.concat(amounts))
        lines = _count_lines(places) * len(groups)
        legend_room = 0.2 * -(-len(groups) // STRATA_A_LINE)
        count_room = 11 / 72 * max(0, lines - 2)
        _size(figure, len(populations), count_room, legend_room)
        colours = sns.color_palette("colorblind", len(populations))
        for axes, (_, label), rows, colour in zip(grid, populations, amounts, colours, strict=True):
            title_plot(axes, label)
            scale_days(axes, min(days), max(days))
            together = PatientGroup(rows, colour, INK)
            _draw_population(axes, together, _parted(rows, groups, strata), places)
            if mark_of is not None:
                link_points(
                    axes, rows.dropna(subset=["amount"]).assign(lod=rows["amount"]), mark_of
                )
            axes.axvline(0, color=INK, linewidth=0.8, linestyle=":", zorder=0)
            axes.tick_params(labelbottom=axes is grid[-1], labelsize=8.5)
            sns.despine(ax=axes)
        grid[-1].tick_params(axis="x", pad=24 + 72 * count_room)
        _label(figure, max(days), legend_room)
        legend_below(figure, _signs(grouped=bool(groups)), 5, text_gap=0.4)
        if groups:
            signs = stratum_signs(groups, sorted(set(kinetics["patient"])), strata)
            legend = legend_below(figure, signs, STRATA_A_LINE, text_gap=0.4)
            legend.set_bbox_to_anchor((0.5, 0.2 / figure.get_figheight()))
    return figure


def _size(figure: "Figure", plots: int, count_room: float, legend_room: float) -> None:
    """Set the figure's size and margins; the room of counts and of a second legend is in inches."""
    gap, bottom = 0.72 + count_room, 1.05 + count_room + legend_room
    height = 0.32 + PLOT_HEIGHT * plots + gap * (plots - 1) + bottom
    figure.set_size_inches(WIDTH, height)
    figure.subplots_adjust(
        left=0.95 / WIDTH,
        right=1 - 0.12 / WIDTH,
        top=1 - 0.32 / height,
        bottom=bottom / height,
        hspace=gap / PLOT_HEIGHT,
    )


def _label(figure: "Figure", last: float, legend_room: float) -> None:
    days = "days since first infusion"
    if last > 2 * EARLY_DAYS:
        days += " (logarithmic after day 28)"
    y = (0.34 + legend_room) / figure.get_figheight()
    figure.text(0.5, y, days, ha="center", fontsize=9.5)
    label_left(figure, "cells per µL (log scale)", 0.13 / WIDTH, 0.53)


def _parted(
    rows: "pd.DataFrame", groups: Mapping[str, Colour], strata: Mapping[str, str]
) -> list[PatientGroup]:
    """Part the rows by group; none where no groups are compared."""
    return [
        PatientGroup(rows[rows["patient"].map(strata) == name], colour, colour)
        for name, colour in groups.items()
    ]


def _draw_population(
    axes: "Axes",
    together: PatientGroup,
    groups: Sequence[PatientGroup],
    places: Mapping[str, CountPlace],
) -> None:
    """Draw the patients and the median of each group, or of all where there are no groups."""
    amounts = together.rows["amount"]
    if amounts.isna().all():
        say_empty(axes, "no evaluable visit")
        axes.set_yticks([])
        return
    scale_amounts(axes, float(amounts.min()) / 1.8, float(amounts.max()) * 1.8)
    drawn = groups or [together]
    for number, group in enumerate(drawn):
        _draw_patients(axes, group.rows, group.colour)
        medians = visit_medians(group.rows)
        _draw_medians(axes, medians, group.median_colour)
        shade = FADED if len(drawn) == 1 else group.colour
        top = number * _count_lines(places)
        name_counts(axes, line=top, colour=shade)
        for visit, count in zip(medians["visit"], medians["patients"], strict=True):
            day, line = places[visit]
            count_below(axes, count, day, line=top + line, colour=shade).set_gid("count")


def _draw_patients(axes: "Axes", rows: "pd.DataFrame", colour: Colour) -> None:
    for stretch in joined_stretches(rows, rows["quantified"]):
        line = axes.plot(stretch["day"], stretch["amount"], gid="patient", zorder=2)[0]
        line.set(color=colour, linewidth=0.8)
    for quantified, fill, gid in ((True, colour, "Q"), (False, "white", "BLQ")):
        points = rows[(rows["quantified"] == quantified) & rows["amount"].notna()]
        sign = axes.plot(points["day"], points["amount"], "o", gid=gid, zorder=2)[0]
        sign.set(markersize=3.4, markeredgecolor=colour, markeredgewidth=0.9)
        sign.set_markerfacecolor(fill)


def _draw_medians(axes: "Axes", medians: "pd.DataFrame", colour: Colour | str) -> None:
    given = medians["median"].notna()
    for _, stretch in medians[given].groupby((~given).cumsum()[given]):
        line = axes.plot(stretch["day"], stretch["median"], "o-", gid="median", zorder=4)[0]
        line.set(color=colour, linewidth=1.8, markersize=4.5)
        line.set(markeredgecolor="white", markeredgewidth=0.6)
    ranged = medians.dropna(subset=["lower"])
    bars = axes.vlines(ranged["day"], ranged["lower"], ranged["upper"], gid="quartiles", zorder=3)
    bars.set(color=colour, linewidth=1.6)


def _count_places(axes: "Axes", rows: "pd.DataFrame") -> dict[str, CountPlace]:
    """Choose where the number of patients of each visit is written.

    A visit that is too near to another has its number on the second line.
    """
    place = axes.xaxis.get_transform().transform
    span = place([*axes.get_xlim()])
    room = LEAST_COUNT_GAP * (span[1] - span[0])
    filled = [float("-inf"), float("-inf")]
    places = {}
    days = rows.dropna(subset=["amount"]).groupby("visit")["day"].median()
    for visit, day in days.sort_values(kind="stable").items():
        position = place([day])[0]
        line = int(position - filled[0] < room)
        filled[line] = position
        places[str(visit)] = CountPlace(float(day), line)
    return places


def _count_lines(places: Mapping[str, CountPlace]) -> int:
    return max((place.line for place in places.values()), default=0) + 1


def _signs(*, grouped: bool) -> list["Artist"]:
    from matplotlib.lines import Line2D

    quantified = Line2D([], [], color=FADED, linewidth=0.8, label="a patient, quantified")
    quantified.set(marker="o", markersize=3.5)
    below = Line2D([], [], color=FADED, linestyle="none", label="below the limit, at the limit")
    below.set(marker="o", markerfacecolor="white", markersize=3.5)
    shade = FADED if grouped else INK
    median = Line2D([], [], color=shade, linewidth=1.8, marker="o", markersize=4.5, label="median")
    quartiles = Line2D([], [], color=shade, linestyle="none", label="middle half of the patients")
    quartiles.set(marker="|", markersize=9, markeredgewidth=1.6)
    infusion = Line2D([], [], color=INK, linewidth=0.8, linestyle=":", label="first infusion")
    return [quantified, below, median, quartiles, infusion]
