"""Draw a patient's cells over time, with what was not detected or not evaluable shown as such.

Each population has a small plot, all on common axes. Nothing is drawn through a visit without a
number: a line joins neighbouring visits only where both detected the cells.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tasks.publish.day_axis import EARLY_DAYS, is_logarithmic, scale_days
from tasks.publish.figure_links import NOT_DETECTED_AT, NOT_EVALUABLE_AT, link_points
from tasks.publish.figure_style import (
    DPI,
    FADED,
    INK,
    LLOQ_DASHES,
    Colour,
    label_left,
    literal,
    paper_style,
    say_empty,
)
from tasks.publish.log_axis import scale_amounts
from tasks.vocabulary.flags import Flag

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

    from tasks.publish.wording import Row

CONCENTRATION = {
    "amount": "per_ul",
    "low": "per_ul_low",
    "high": "per_ul_high",
    "lod": "lod_per_ul",
    "lloq": "lloq_per_ul",
}
"""What is drawn of a concentration, and the column of ``KINETICS`` that holds it."""
Specimen = Literal["blood", "marrow"]
UNITS: Mapping[Specimen, str] = MappingProxyType(
    {"blood": "cells per µL (log scale)", "marrow": "% of reference (log scale)"}
)
COLUMNS, COLOURS = 3, 6


class CurveScale(NamedTuple):
    """The common scale of some plots: amounts in their unit, and days since the infusion."""

    lowest: float
    highest: float
    first_day: float
    last_day: float


def draw_kinetic_curves(  # noqa: PLR0913 - keyword-only options of one drawing
    kinetics: "pd.DataFrame",
    populations: Sequence[tuple[str, str]],
    infusions: Mapping[str, float],
    *,
    specimen: Specimen = "blood",
    detect_events: int | None = None,
    mark_of: "Callable[[Row], str] | None" = None,
    columns: int = COLUMNS,
) -> "Figure":
    """Draw one small plot for each population (id, label) of one patient.

    The unit is cells per µL in blood, percent of the reference population in marrow. ``infusions``
    maps each product to its day on the patient's clock (the first is day 0). Where several tubes of
    a visit counted a population, the one of the wide table is drawn. ``detect_events`` is the
    study's setting, where it has one: in marrow it gives the limit of detection. ``mark_of`` gives
    the mark of a row's link (``tasks.publish.figure_links``). At most ``columns`` plots are beside
    each other.
    """
    from matplotlib.figure import Figure

    rows = drawn_rows(kinetics, [name for name, _ in populations], specimen, detect_events)
    across = max(1, min(columns, len(populations)))
    down = max(1, -(-len(populations) // across))
    with paper_style():
        size = (0.9 + 3.4 * across, 1.25 + 2.35 * down)
        figure = Figure(figsize=size, dpi=DPI, facecolor="white")
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for i, (axes, population) in enumerate(zip(grid.flat, populations, strict=False)):
            draw_curve(axes, rows, population, colour_of(i), mark_of=mark_of)
            mark_infusions(axes, infusions)
        for axes in grid.flat[len(populations) :]:
            axes.set_visible(False)
        scale = curve_scale(rows)
        scale_curves(grid.flat[0], scale)
        _label(figure, grid, specimen, len(populations), scale)
    return figure


def colour_of(place: int) -> Colour:
    """Give the colour of the curve at a place of a figure, one that the colour-blind tell apart."""
    import seaborn as sns

    colour: Colour = sns.color_palette("colorblind", COLOURS)[place % COLOURS]
    return colour


def draw_curve(
    axes: "Axes",
    rows: "pd.DataFrame",
    population: tuple[str, str],
    colour: Colour,
    *,
    mark_of: "Callable[[Row], str] | None" = None,
) -> None:
    """Draw one population (id, label) under its label; ``rows`` are those of ``drawn_rows``."""
    import seaborn as sns

    name, label = population
    size = min(10.0, 340 / max(len(label), 1))
    axes.set_title(literal(label), loc="left", fontsize=size, fontweight="bold", color=INK)
    of_population = rows[rows["population"] == name]
    _draw_population(axes, of_population, colour)
    if mark_of is not None:
        link_points(axes, of_population, mark_of)
    sns.despine(ax=axes)


def drawn_rows(
    kinetics: "pd.DataFrame",
    populations: Sequence[str],
    specimen: Specimen,
    detect_events: int | None = None,
) -> "pd.DataFrame":
    """Choose the rows to draw, by day, and give them their numbers in the drawn unit.

    The columns are amount, low, high, lod and lloq; in marrow only amount and lod are known.
    ``detect_events`` is the study's.
    """
    import pandas as pd

    from tasks.kinetics.winning_rows import DETECT_EVENTS, with_percent_limits

    winners = with_percent_limits(kinetics, detect_events or DETECT_EVENTS)
    chosen = winners[
        (winners["specimen"] == specimen) & winners["population"].isin(populations)
    ].copy()
    if specimen == "blood":
        for target, source in CONCENTRATION.items():
            chosen[target] = pd.to_numeric(chosen[source]).astype(float)
        # As the tables print what was not detected (``undetected_below``).
        below = chosen[["lod", "high"]].max(axis=1)
        chosen["lod"] = chosen["lod"].where(chosen["code"] != "ND", below)
    else:
        chosen[list(CONCENTRATION)] = float("nan")
        chosen["amount"] = pd.to_numeric(chosen["percent_reference"]).astype(float)
        chosen["lod"] = chosen["lod_percent"]
    chosen["day"] = pd.to_numeric(chosen["day"]).astype(float)
    return chosen.dropna(subset=["day"]).sort_values("day", kind="stable")


def _draw_population(axes: "Axes", rows: "pd.DataFrame", colour: Colour) -> None:
    """Draw one population, each visit in the sign of its code.

    Visits are quantified, detected, not detected or not evaluable.
    """
    missed = rows[rows["code"] == "NE"]
    on_axis = axes.get_xaxis_transform()
    heights = [NOT_EVALUABLE_AT] * len(missed)
    signs = axes.plot(missed["day"], heights, "x", transform=on_axis, gid="NE")
    signs[0].set(color=FADED, markersize=5, markeredgewidth=1.2)
    if rows.empty:
        say_empty(axes, "not measured")
    elif len(missed) == len(rows):
        say_empty(axes, "no evaluable visit")
    else:
        _draw_quantification_limit(axes, rows)
        _draw_detected(axes, rows, colour)
        _draw_not_detected(axes, rows, colour)


def _draw_quantification_limit(axes: "Axes", rows: "pd.DataFrame") -> None:
    """Draw each visit's lower limit of quantification as a step, a single one as a dash."""
    limits = rows.dropna(subset=["lloq"])
    line = axes.step(limits["day"], limits["lloq"], where="mid", gid="LLOQ", zorder=1)[0]
    line.set(color=FADED, linewidth=0.9, linestyle=LLOQ_DASHES)
    if len(limits) == 1:
        axes.plot(limits["day"], limits["lloq"], "_", color=FADED, markersize=14, zorder=1)


def _draw_not_detected(axes: "Axes", rows: "pd.DataFrame", colour: Colour) -> None:
    """Draw visits without cells at the limit they lie below, or on the axis if it is unknown."""
    absent = rows[rows["code"] == "ND"]
    known = absent.dropna(subset=["lod"])
    unknown = absent[absent["lod"].isna()]
    on_axis = axes.get_xaxis_transform()
    signs = axes.plot(known["day"], known["lod"], "v", gid="ND")
    heights = [NOT_DETECTED_AT] * len(unknown)
    signs += axes.plot(unknown["day"], heights, "v", transform=on_axis, gid="ND")
    for sign in signs:
        sign.set(markerfacecolor="white", markeredgecolor=colour, markersize=6, zorder=4)


def _draw_detected(axes: "Axes", rows: "pd.DataFrame", colour: Colour) -> None:
    """Draw detected visits with their 95 % intervals, joined to their neighbours."""
    detected = rows["code"].isin(["Q", "DNQ"]) & (rows["amount"] > 0)
    for stretch in joined_stretches(rows, detected):
        line = axes.plot(stretch["day"], stretch["amount"], gid="joined", zorder=2)[0]
        line.set(color=colour, linewidth=1.4)
    ranged = rows[detected].dropna(subset=["low", "high"])
    # A logarithmic axis has no zero: an interval that reaches it leaves the plot below.
    low = ranged["low"].clip(lower=1e-9)
    bars = axes.vlines(ranged["day"], low, ranged["high"], gid="interval", zorder=2)
    bars.set(color=colour, linewidth=1.0, alpha=0.75)
    for code, fill in (("Q", colour), ("DNQ", "white")):
        points = rows[detected & (rows["code"] == code)]
        sign = axes.plot(points["day"], points["amount"], "o", gid=code, zorder=3)[0]
        sign.set(markerfacecolor=fill, markeredgecolor=colour, markersize=5.5)


def joined_stretches(rows: "pd.DataFrame", seen: "pd.Series[bool]") -> Iterator["pd.DataFrame"]:
    """Part the seen visits of one population, by patient and day, into stretches of one line.

    Between the visits of a stretch there is none undetected or unknown. What was stained with
    another CAR reagent is not joined to what came before.
    """
    import numpy as np

    restained = rows["flags"].fillna("").str.contains(str(Flag.REAGENT_CHANGED))
    patient, before = rows["patient"], rows["patient"].shift()
    breaks = ~seen | (
        restained != restained.shift(fill_value=False).where(patient == before, other=False)
    )
    number = (breaks | (patient != before)).cumsum()[seen].to_numpy()
    ends = [*(np.flatnonzero(number[1:] != number[:-1]) + 1), len(number)]
    shown = rows[seen]
    for start, end in itertools.pairwise([0, *ends]):
        if start < end:
            yield shown.iloc[start:end]


def mark_infusions(axes: "Axes", infusions: Mapping[str, float]) -> None:
    """Draw a dotted line at each day of an infusion."""
    for day in sorted(set(infusions.values())):
        axes.axvline(day, color=INK, linewidth=0.8, linestyle=":", gid="infusion", zorder=0)


def curve_scale(drawn: "pd.DataFrame") -> CurveScale:
    """Choose the scale that shows all rows of ``drawn_rows``."""
    shown = drawn[drawn["code"] != "NE"]
    seen = shown[shown["code"] != "ND"]
    numbers = (*seen["amount"], *seen["high"], *shown["lod"], *shown["lloq"])
    values = [float(number) for number in numbers if number > 0]
    highest = max(values, default=100.0) * 1.8
    lowest = min(min(values, default=0.1) / 2.5, highest / 50)
    days = [float(day) for day in drawn["day"]]
    return CurveScale(lowest, highest, min([0.0, *days]), max([7.0, *days]))


def scale_curves(axes: "Axes", scale: CurveScale) -> None:
    """Set the common scales: concentrations logarithmic, and the axis of days."""
    scale_amounts(axes, scale.lowest, scale.highest)
    scale_days(axes, scale.first_day, scale.last_day)


def _label(
    figure: "Figure", grid: "NDArray[Any]", specimen: Specimen, count: int, scale: CurveScale
) -> None:
    """Name units and signs once for the whole figure."""
    width, height = figure.get_size_inches()
    signs = legend_signs(specimen)
    columns = _legend_columns(width)
    legend_height = 0.16 + 0.19 * -(-len(signs) // columns)
    figure.subplots_adjust(
        left=0.78 / width, right=1 - 0.15 / width, top=1 - 0.32 / height, wspace=0.08, hspace=0.24
    )
    figure.subplots_adjust(bottom=(legend_height + 0.56) / height)
    days = days_label(scale)
    figure.text(0.5, (legend_height + 0.1) / height, days, ha="center", fontsize=9.5)
    label_left(figure, UNITS[specimen], 0.14 / width, 0.5 + (legend_height + 0.24) / 2 / height)
    for i, axes in enumerate(grid.flat):
        axes.tick_params(labelbottom=i + grid.shape[1] >= count, labelsize=8.5)
        if is_logarithmic(scale.last_day):
            axes.axvline(EARLY_DAYS, color="#dde2e8", linewidth=0.8, zorder=0)
    figure.legend(
        handles=signs,
        loc="lower center",
        ncols=columns,
        frameon=False,
        fontsize=8,
        handletextpad=0.4,
        columnspacing=1.4,
    )


def days_label(scale: CurveScale) -> str:
    """Say what the axis of days shows."""
    after = " (logarithmic after day 28)" if is_logarithmic(scale.last_day) else ""
    return f"days since infusion{after}"


def _legend_columns(width: float) -> int:
    """Choose how many signs are side by side in a figure of so many inches."""
    if width > 9:
        return 6
    return 3 if width > 6 else 2


def legend_signs(specimen: Specimen) -> list["Line2D"]:
    """List the signs of the legend; percentages have no interval and no limits."""
    from matplotlib.lines import Line2D

    infusion = Line2D([], [], color=INK, linewidth=0.8, linestyle=":", label="infusion")
    signs = [
        _point("o", INK, "quantified"),
        _point("o", "white", "detected, not quantified"),
        _point("v", "white", "not detected (at the limit)"),
        _point("x", INK, "not evaluable"),
    ]
    if specimen != "blood":
        return [*signs, infusion]
    signs[0].set_label("quantified, 95 % interval")
    limit = Line2D([], [], color=FADED, linewidth=0.9, linestyle=LLOQ_DASHES)
    limit.set_label("lower limit of quantification")
    return [*signs, limit, infusion]


def _point(marker: str, fill: str, label: str) -> "Line2D":
    from matplotlib.lines import Line2D

    point = Line2D([], [], linestyle="none", marker=marker, color=INK, label=label)
    point.set(markerfacecolor=fill, markersize=5.5)
    return point
