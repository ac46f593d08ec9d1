"""Draw the exposure of every patient to each CAR product, from the highest to the lowest."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.publish.figure_style import (
    DPI,
    FADED,
    HATCH,
    INK,
    WIDTH,
    Colour,
    label_left,
    legend_below,
    paper_style,
    say_empty,
    title_plot,
)
from tasks.publish.strata import NO_STRATA, stratum_colours, stratum_signs
from tasks.publish.wording import Row, significant
from tasks.vocabulary.populations import IN_COHORT_FIGURES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRODUCTS = IN_COHORT_FIGURES[1:]
STRATA_A_LINE = 3
MOST_UPRIGHT_NAMES = 14
"""With more patients their names are turned."""
MOST_UPRIGHT_NUMBERS = 20
"""With more patients the numbers over the bars are turned and smaller."""
MOST_LARGE_NAMES = 30
"""With more patients their names are smaller."""


def draw_exposure(
    parameters: "pd.DataFrame", patients: Sequence[str], strata: Mapping[str, str] = NO_STRATA
) -> "Figure":
    """Draw the exposure of every patient (AUC, day 0 to 28), highest first, one plot a product.

    ``parameters`` has the columns of ``PARAMETERS``. Who has no exposure is named under the plot
    and has no bar. A hatched bar is a lower bound. Patients of a stratum have its colour.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    groups = stratum_colours(strata.values())
    legend_room = 0.0
    if groups:
        legend_room = 0.15 + 0.2 * -(-len(groups) // STRATA_A_LINE)
    height = 0.3 + 2.95 * len(PRODUCTS) + legend_room
    in_blood = parameters[
        (parameters["specimen"] == "blood") & (parameters["parameter"] == "AUC0-28")
    ]
    with paper_style():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        grid = figure.subplots(len(PRODUCTS), 1, squeeze=False)[:, 0]
        colours = sns.color_palette("colorblind", len(IN_COHORT_FIGURES))[1:]
        for axes, (population, label), colour in zip(grid, PRODUCTS, colours, strict=True):
            bars = {patient: groups.get(strata.get(patient, ""), colour) for patient in patients}
            _draw_product(axes, in_blood[in_blood["population"] == population], bars)
            title_plot(axes, label)
            sns.despine(ax=axes)
        figure.subplots_adjust(
            left=0.85 / WIDTH,
            right=1 - 0.15 / WIDTH,
            top=1 - 0.32 / height,
            bottom=(0.8 + legend_room) / height,
            hspace=0.62,
        )
        label_left(figure, "AUC0-28 (cells × days per µL)", 0.13 / WIDTH, 0.53)
        if groups:
            signs = stratum_signs(groups, patients, strata)
            legend_below(figure, signs, STRATA_A_LINE, text_gap=0.4)
    return figure


def _draw_product(axes: "Axes", rows: "pd.DataFrame", colours: Mapping[str, Colour]) -> None:
    """Draw the exposures of one product; ``colours`` has all patients, also those without one."""
    given = rows.dropna(subset=["value"])
    given = given.sort_values(["value", "patient"], ascending=[False, True], kind="stable")
    _name_patients(axes, given["patient"].tolist())
    for place, row in enumerate(given.to_dict("records")):
        _draw_bar(axes, place, row, colours[row["patient"]])
        _write_number(axes, place, row, len(given))
    if given.empty:
        axes.set_ylim(0, 1.0)
        axes.set_yticks([])
        say_empty(axes, "no exposure can be given")
    else:
        axes.set_ylim(0, float(given["value"].max()) * 1.18)
    without = [name for name in colours if name not in set(given["patient"])]
    if without:
        turned = len(given) > MOST_UPRIGHT_NAMES
        _name_without(axes, without, below=44 if turned else 24)


def _name_patients(axes: "Axes", patients: Sequence[str]) -> None:
    rotation, size = 0, 8.5
    if len(patients) > MOST_UPRIGHT_NAMES:
        rotation = 90
    if len(patients) > MOST_LARGE_NAMES:
        size = 6.5
    axes.set_xticks(range(len(patients)), patients, rotation=rotation)
    axes.tick_params(labelsize=size)
    axes.set_xlim(-0.6, max(len(patients), 6) - 0.4)


def _draw_bar(axes: "Axes", place: int, row: Row, colour: Colour) -> None:
    """Draw an exposure solid, or hatched where it is only a lower bound."""
    bar = axes.bar(place, row["value"], width=0.7, gid="exposure")[0]
    bar.set(facecolor=colour, edgecolor=colour)
    if row["censoring"] == "right":
        bar.set(facecolor="white", hatch=HATCH, gid="bound")


def _write_number(axes: "Axes", place: int, row: Row, bars: int) -> None:
    text = significant(float(row["value"]))
    if row["censoring"] == "right":
        text = f"≥ {text}"
    label = axes.annotate(
        text,
        (place, row["value"]),
        (0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
    )
    label.set(fontsize=8, color=INK)
    if bars > MOST_UPRIGHT_NUMBERS:
        label.set(fontsize=6.5, rotation=90)


def _name_without(axes: "Axes", patients: Sequence[str], *, below: int) -> None:
    """Name under the plot who has no bar, so many points below the axis."""
    note = axes.annotate(
        textwrap.fill(f"not estimable, no bar: {', '.join(patients)}", 130),
        (0, 0),
        (0, -below),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        gid="not estimable",
    )
    note.set(fontsize=8.5, color=FADED)
