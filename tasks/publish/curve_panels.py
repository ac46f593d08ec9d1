"""Draw a patient's curves as plots of their own, which a page lays side by side as it has room."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.publish.curves import (
    UNITS,
    Specimen,
    colour_of,
    days_label,
    draw_curve,
    is_logarithmic_in_time,
    legend_signs,
    mark_infusions,
    scale_curves,
)
from tasks.publish.day_axis import EARLY_DAYS
from tasks.publish.figure_style import DPI, legend_below, paper_style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tasks.publish.wording import Row

WIDTH, HEIGHT = 3.7, 2.5
"""Size of a plot in inches: as wide as a phone, where its labels keep their size."""


class CurvePanels(NamedTuple):
    """One plot a population, by label; the signs they share, and what their axes show."""

    plots: Mapping[str, "Figure"]
    signs: "Figure"
    axes: str


def draw_curve_panels(
    rows: "pd.DataFrame",
    populations: Sequence[tuple[str, str]],
    infusions: Mapping[str, float],
    *,
    specimen: Specimen,
    mark_of: "Callable[[Row], str]",
) -> CurvePanels:
    """Draw each population (id, label) on scales that all of them share.

    ``rows`` are those of ``drawn_rows``; the rest is as for ``draw_kinetic_curves``.
    """
    from matplotlib.figure import Figure

    plots: dict[str, Figure] = {}
    told = ""
    with paper_style():
        for place, (name, label) in enumerate(populations):
            figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor="white")
            axes = figure.subplots()
            figure.subplots_adjust(left=0.15, right=0.98, top=0.88, bottom=0.11)
            draw_curve(axes, rows, (name, label), colour_of(place), mark_of=mark_of)
            mark_infusions(axes, infusions)
            scale_curves(axes, rows)
            axes.tick_params(labelsize=8.5)
            if is_logarithmic_in_time(axes):
                axes.axvline(EARLY_DAYS, color="#dde2e8", linewidth=0.8, zorder=0)
            plots[label] = figure
            told = f"Upwards: {UNITS[specimen]}. Across: {days_label(axes)}."
        return CurvePanels(plots, _signs(specimen), told)


def _signs(specimen: Specimen) -> "Figure":
    """Draw the legend of all plots."""
    from matplotlib.figure import Figure

    signs = legend_signs(specimen)
    figure = Figure(figsize=(WIDTH, 0.12 + 0.19 * -(-len(signs) // 2)), dpi=DPI, facecolor="white")
    legend_below(figure, signs, 2, text_gap=0.4)
    return figure
