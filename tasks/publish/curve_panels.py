"""Draw a patient's curves as plots of their own, which a page lays side by side as it has room."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tasks.publish.curves import (
    UNITS,
    CurveScale,
    Specimen,
    colour_of,
    days_label,
    draw_curve,
    legend_signs,
    mark_infusions,
    scale_curves,
)
from tasks.publish.day_axis import EARLY_DAYS, is_logarithmic
from tasks.publish.figure_style import DPI, legend_below, paper_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tasks.publish.wording import Row

WIDTH, HEIGHT = 3.7, 2.5
"""Size of a plot in inches: as wide as a phone, where its labels keep their size."""


def draw_curve_panel(
    rows: "pd.DataFrame",
    population: tuple[str, str],
    infusions: Mapping[str, float],
    *,
    place: int,
    scale: CurveScale,
    mark_of: "Callable[[Row], str]",
) -> "Figure":
    """Draw one population (id, label) at a place of its group, on the scale of the group.

    ``rows`` are its rows of ``drawn_rows``; the rest is as for ``draw_kinetic_curves``.
    """
    from matplotlib.figure import Figure

    with paper_style():
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor="white")
        axes = figure.subplots()
        figure.subplots_adjust(left=0.15, right=0.98, top=0.88, bottom=0.11)
        draw_curve(axes, rows, population, colour_of(place), mark_of=mark_of)
        mark_infusions(axes, infusions)
        scale_curves(axes, scale)
        axes.tick_params(labelsize=8.5)
        if is_logarithmic(scale.last_day):
            axes.axvline(EARLY_DAYS, color="#dde2e8", linewidth=0.8, zorder=0)
    return figure


def axes_sentence(specimen: Specimen, scale: CurveScale) -> str:
    """Say what the axes of a group's plots show."""
    return f"Upwards: {UNITS[specimen]}. Across: {days_label(scale)}."


def draw_signs(specimen: Specimen) -> "Figure":
    """Draw the legend of all plots of a group."""
    from matplotlib.figure import Figure

    signs = legend_signs(specimen)
    size = (WIDTH, 0.12 + 0.19 * -(-len(signs) // 2))
    with paper_style():
        figure = Figure(figsize=size, dpi=DPI, facecolor="white")
        legend_below(figure, signs, 2, text_gap=0.4)
    return figure
