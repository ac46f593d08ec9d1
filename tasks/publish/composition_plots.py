"""Draw of which subsets the B cells consist, visit by visit: what comes back after depletion, naive or memory cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.kinetics.composition import ALL_PARTS, PARTS
from tasks.publish.cohort_plots import WIDTH
from tasks.publish.curves import DPI, FADED, INK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Mapping[str, str] = {
    "naive_igm_igd_b": "#0b5c8e",
    "transitional_b": "#56a3d1",
    "other_naive_b": "#b5d8ec",
    "unswitched_memory_b": "#e8b04b",
    "switched_memory_b": "#c4631a",
    "double_negative_b": "#7a4b8b",
    "plasmablasts_b": "#2f6f4f",
    "plasma_cells_b": "#a83250",
    "secreting_b": "#8fae6b",
    "other_b": "#c9ced6",
}
MARK = "*"
"""Stands beside the number above a bar whose B cells are to more than a tenth plasmablasts or
plasma cells."""
MARKED = f"{MARK} more than a tenth of the B cells are plasmablasts or plasma cells"


@dataclass(frozen=True, slots=True)
class Bar:
    """One visit: its label, the number above it, the share (percent) of each part (none: too few B cells); indicative from few cells."""

    label: str
    note: str
    shares: Mapping[str, float] = field(default_factory=dict)
    indicative: bool = False


def patient_bars(composition: "pd.DataFrame") -> list[Bar]:
    """Give a patient's visits in order of time; ``composition`` has the columns of ``COMPOSITION``."""
    bars = []
    for _, own in composition.groupby(["day", "visit"], sort=True):
        first = own.iloc[0]
        shares = (
            {}
            if first["basis"] == "few_cells"
            else dict(zip(own["part"], own["share"], strict=True))
        )
        mark = MARK if first["note"] else ""
        bars.append(
            Bar(
                f"{first['visit']}",
                f"{first['b_events']:,}{mark}",
                shares,
                indicative=first["basis"] == "indicative",
            )
        )
    return bars


def cohort_bars(composition: "pd.DataFrame") -> list[Bar]:
    """Give the mean of the patients' shares at each visit, with the number of patients; visits by the median of their days."""
    known = composition.dropna(subset=["share"])
    bars = []
    for visit in composition.groupby("visit")["day"].median().sort_values(kind="stable").index:
        own = known[known["visit"] == visit]
        # A part that a patient's strategy does not tell apart is none of that patient's: the mean
        # is of all patients.
        shares = (
            own.pivot_table(
                index="patient", columns="part", values="share", aggfunc="sum", fill_value=0.0
            )
            .mean()
            .to_dict()
        )
        bars.append(
            Bar(
                str(visit),
                str(own["patient"].nunique()),
                {str(part): float(share) for part, share in shares.items()},
            )
        )
    return bars


def draw_composition(panels: Mapping[str, Sequence[Bar]], counted: str) -> "Figure":
    """Draw one plot of stacked bars for each panel (title → bars); ``counted`` says what the numbers above the bars count."""
    import seaborn as sns
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    height = 0.35 + 2.5 * max(1, len(panels)) + 0.75
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.0):
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        grid = figure.subplots(max(1, len(panels)), 1, squeeze=False)[:, 0]
        figure.subplots_adjust(
            left=0.75 / WIDTH,
            right=1 - 0.15 / WIDTH,
            top=1 - 0.55 / height,
            bottom=1.0 / height,
            hspace=0.5,
        )
        for axes, (title, bars) in zip(grid, panels.items(), strict=False):
            _draw_bars(axes, bars, counted)
            axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK, pad=20)
            sns.despine(ax=axes)
        if not panels:
            _say_empty(grid[0])
        figure.text(
            0.13 / WIDTH,
            0.55,
            "share of the B cells (%)",
            rotation=90,
            va="center",
            ha="center",
            fontsize=9.5,
        )
        drawn = {
            part
            for bars in panels.values()
            for bar in bars
            for part, share in bar.shares.items()
            if share > 0
        }
        shown = {part: label for part, label in ALL_PARTS.items() if part in drawn or part in PARTS}
        signs = [Patch(facecolor=COLOURS[part], label=label) for part, label in shown.items()]
        signs.append(
            Patch(
                facecolor="white", edgecolor=FADED, hatch="/////", label="few B cells: indicative"
            )
        )
        if any(bar.note.endswith(MARK) for bars in panels.values() for bar in bars):
            figure.text(
                1 - 0.15 / WIDTH,
                1 - 0.14 / height,
                MARKED,
                ha="right",
                va="top",
                fontsize=7.5,
                color=FADED,
                gid="marked",
            )
        figure.legend(
            handles=signs, loc="lower center", ncols=4, frameon=False, fontsize=8, handletextpad=0.5
        )
    return figure


def _draw_bars(axes: "Axes", bars: Sequence[Bar], counted: str) -> None:
    if not bars:
        _say_empty(axes)
        return
    axes.set_xlim(-0.6, max(len(bars), 6) - 0.4)
    axes.set_ylim(0, 100)
    axes.set_xticks(
        range(len(bars)), [bar.label for bar in bars], rotation=45 if len(bars) > 14 else 0
    )
    axes.tick_params(labelsize=8.5)
    for place, bar in enumerate(bars):
        bottom = 0.0
        for part in (part for part in ALL_PARTS if part in bar.shares):
            patch = axes.bar(place, bar.shares[part], bottom=bottom, width=0.78, gid=part)[0]
            patch.set(
                facecolor=COLOURS[part],
                edgecolor="white",
                linewidth=0.6,
                hatch="////" if bar.indicative else None,
            )
            bottom += bar.shares[part]
        if not bar.shares:
            axes.text(
                place,
                50,
                "too few",
                ha="center",
                va="center",
                fontsize=7.5,
                rotation=90,
                color=FADED,
                gid="few",
            )
        axes.annotate(
            bar.note,
            (place, 100),
            (0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            color=FADED,
            gid="counted",
        )
    axes.annotate(
        counted,
        (0, 1),
        (-4, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
        color=FADED,
    )


def _say_empty(axes: "Axes") -> None:
    axes.text(
        0.5,
        0.5,
        "no visit with B cells of all subsets",
        transform=axes.transAxes,
        ha="center",
        color=FADED,
        gid="empty",
    )
    axes.set_xticks([])
    axes.set_yticks([])
