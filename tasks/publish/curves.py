"""Draw a patient's cells over time, with what was not detected or not evaluable shown as such.

Each population has its own small plot on common axes. Nothing is drawn through a visit without a
number: a line joins neighbouring visits only where both detected the cells.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tasks.vocabulary.flags import Flag

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

DPI = 110
EARLY_DAYS = 28.0
INK, FADED = "#1b1f24", "#667080"
TICK_DAYS = (0, 28, 84, 168, 364, 728, 14, 56, 7, 112, 252, 546, -7, 21, 42, 1092, 1456)
CONCENTRATION = {
    "amount": "per_ul",
    "low": "per_ul_low",
    "high": "per_ul_high",
    "lod": "lod_per_ul",
    "lloq": "lloq_per_ul",
}
Specimen = Literal["blood", "marrow"]


def draw_kinetic_curves(
    kinetics: "pd.DataFrame",
    populations: Sequence[tuple[str, str]],
    infusions: Mapping[str, float],
    *,
    specimen: Specimen = "blood",
    detect_events: int | None = None,
) -> "Figure":
    """Draw one small plot for each population (id, label) of one patient: cells per µL in blood, percent in marrow.

    ``infusions`` maps each product to its day on the patient's clock (the first is day 0). Where
    several tubes of a visit counted a population, the one of the wide table is drawn.
    ``detect_events`` is the study's, where it set its own: in marrow it gives the limit of
    detection.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    drawn = _drawable(
        _with_limits(kinetics, detect_events), [name for name, _ in populations], specimen
    )
    columns = max(1, min(3, len(populations)))
    rows = max(1, -(-len(populations) // columns))
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.0):
        figure = Figure(
            figsize=(0.9 + 3.4 * columns, 1.25 + 2.35 * rows), dpi=DPI, facecolor="white"
        )
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        colours = sns.color_palette("colorblind", 6)
        for i, axes in enumerate(grid.flat):
            if i >= len(populations):
                axes.set_visible(False)
                continue
            name, label = populations[i]
            axes.set_title(
                label,
                loc="left",
                fontsize=min(10.0, 340 / max(len(label), 1)),
                fontweight="bold",
                color=INK,
            )
            _draw_population(axes, drawn[drawn["population"] == name], colours[i % 6])
            _mark_infusions(axes, infusions)
            sns.despine(ax=axes)
        _scale(grid.flat[0], drawn)
        _label(figure, grid, specimen, len(populations))
    return figure


def _with_limits(kinetics: "pd.DataFrame", detect_events: int | None) -> "pd.DataFrame":
    from tasks.kinetics.winning_rows import DETECT_EVENTS, with_percent_limits

    return with_percent_limits(kinetics, detect_events or DETECT_EVENTS)


def _drawable(
    winners: "pd.DataFrame", populations: Sequence[str], specimen: Specimen
) -> "pd.DataFrame":
    """Choose the rows to draw and give them the columns amount, low, high, lod and lloq in the drawn unit, by day."""
    import pandas as pd

    chosen = winners[
        (winners["specimen"] == specimen) & winners["population"].isin(populations)
    ].copy()
    for target, source in CONCENTRATION.items():
        chosen[target] = (
            pd.to_numeric(chosen[source]).astype(float) if specimen == "blood" else float("nan")
        )
    if specimen == "marrow":
        chosen["amount"] = pd.to_numeric(chosen["percent_reference"]).astype(float)
        chosen["lod"] = chosen["lod_percent"]
    chosen["day"] = pd.to_numeric(chosen["day"]).astype(float)
    return chosen.dropna(subset=["day"]).sort_values("day", kind="stable")


def _draw_population(
    axes: "Axes", rows: "pd.DataFrame", colour: tuple[float, float, float]
) -> None:
    """Draw one population: quantified, detected, not detected and not evaluable visits each in their own sign."""
    on_axis = axes.get_xaxis_transform()
    missed = rows[rows["code"] == "NE"]
    axes.plot(
        missed["day"],
        [0.035] * len(missed),
        "x",
        transform=on_axis,
        color=FADED,
        markersize=5,
        markeredgewidth=1.2,
        gid="NE",
    )
    if rows.empty or (rows["code"] == "NE").all():
        text = "not measured" if rows.empty else "no evaluable visit"
        axes.text(
            0.5,
            0.5,
            text,
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=FADED,
            gid="empty",
        )
        return
    limits = rows.dropna(subset=["lloq"])
    axes.step(
        limits["day"],
        limits["lloq"],
        where="mid",
        color=FADED,
        linewidth=0.9,
        linestyle=(0, (4, 2)),
        gid="LLOQ",
        zorder=1,
    )
    if len(limits) == 1:
        axes.plot(limits["day"], limits["lloq"], "_", color=FADED, markersize=14, zorder=1)
    _draw_detected(axes, rows, colour)
    absent = rows[rows["code"] == "ND"]
    known = absent.dropna(subset=["lod"])
    unknown = absent[absent["lod"].isna()]
    signs = axes.plot(known["day"], known["lod"], "v", gid="ND")
    signs += axes.plot(unknown["day"], [0.06] * len(unknown), "v", transform=on_axis, gid="ND")
    for sign in signs:
        sign.set(markerfacecolor="white", markeredgecolor=colour, markersize=6, zorder=4)


def _draw_detected(axes: "Axes", rows: "pd.DataFrame", colour: tuple[float, float, float]) -> None:
    """Draw detected visits with their 95 % intervals, and join neighbours with nothing undetected or unknown between them.

    What was stained with another CAR reagent is not joined to what came before.
    """
    seen = rows["code"].isin(["Q", "DNQ"]) & (rows["amount"] > 0)
    restained = rows["flags"].fillna("").str.contains(str(Flag.REAGENT_CHANGED))
    run = ((~seen) | (restained != restained.shift(fill_value=False))).cumsum()[seen]
    for _, stretch in rows[seen].groupby(run):
        axes.plot(
            stretch["day"], stretch["amount"], color=colour, linewidth=1.4, gid="joined", zorder=2
        )
    ranged = rows[seen].dropna(subset=["low", "high"])
    # A logarithmic axis has no zero: an interval that reaches it leaves the plot below.
    axes.vlines(
        ranged["day"],
        ranged["low"].clip(lower=1e-9),
        ranged["high"],
        color=colour,
        linewidth=1.0,
        alpha=0.75,
        gid="interval",
        zorder=2,
    )
    for code, fill in (("Q", colour), ("DNQ", "white")):
        points = rows[seen & (rows["code"] == code)]
        axes.plot(
            points["day"],
            points["amount"],
            "o",
            markerfacecolor=fill,
            markeredgecolor=colour,
            markersize=5.5,
            gid=code,
            zorder=3,
        )


def _mark_infusions(axes: "Axes", infusions: Mapping[str, float]) -> None:
    for day in sorted(set(infusions.values())):
        axes.axvline(day, color=INK, linewidth=0.8, linestyle=":", gid="infusion", zorder=0)


def _scale(axes: "Axes", drawn: "pd.DataFrame") -> None:
    """Set the common scales: concentrations logarithmic, and the axis of days."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    shown = drawn[drawn["code"] != "NE"]
    seen = shown[shown["code"] != "ND"]
    values = [
        float(v) for v in (*seen["amount"], *seen["high"], *shown["lod"], *shown["lloq"]) if v > 0
    ]
    highest = max(values, default=100.0) * 1.8
    axes.set_yscale("log")
    axes.set_ylim(min(min(values, default=0.1) / 2.5, highest / 50), highest)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    scale_days(axes, min([0.0, *drawn["day"]]), max([7.0, *drawn["day"]]))


def scale_days(axes: "Axes", first: float, last: float, *, even: bool = False) -> None:
    """Set an axis of days with the usual milestones: even up to day 28 and logarithmic after it, or ``even`` throughout."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if last > 2 * EARLY_DAYS and not even:
        axes.set_xscale("symlog", linthresh=EARLY_DAYS, linscale=1.0, subs=[])
    span = axes.xaxis.get_transform().transform([first, last])
    margin = 0.04 * (span[1] - span[0])
    low, high = (
        axes.xaxis.get_transform().inverted().transform([span[0] - margin, span[1] + margin])
    )
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(_tick_days(axes, low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda day, _: f"{day:.0f}".replace("-", "−")))


def _tick_days(axes: "Axes", low: float, high: float) -> list[float]:
    """Choose the visit days whose labels have room, the usual milestones first."""
    place = axes.xaxis.get_transform().transform
    start, end = place([low, high])
    kept: list[float] = []
    for day in TICK_DAYS:
        position = place([day])[0]
        if start <= position <= end and all(
            abs(position - place([other])[0]) >= 0.075 * (end - start) for other in kept
        ):
            kept.append(float(day))
    return sorted(kept)


def _label(figure: "Figure", grid: "NDArray[Any]", specimen: Specimen, count: int) -> None:
    """Name units and signs once for the whole figure."""
    width, height = figure.get_size_inches()
    signs = _signs(specimen)
    legend_columns = 6 if width > 9 else 3 if width > 6 else 2
    legend_height = 0.16 + 0.19 * -(-len(signs) // legend_columns)
    logarithmic = grid[0, 0].get_xscale() == "symlog"
    figure.subplots_adjust(
        left=0.78 / width, right=1 - 0.15 / width, top=1 - 0.32 / height, wspace=0.08, hspace=0.24
    )
    figure.subplots_adjust(bottom=(legend_height + 0.56) / height)
    clock = f"days since infusion{' (logarithmic after day 28)' if logarithmic else ''}"
    figure.text(0.5, (legend_height + 0.1) / height, clock, ha="center", fontsize=9.5)
    unit = "cells per µL (log scale)" if specimen == "blood" else "% of reference (log scale)"
    figure.text(
        0.14 / width,
        0.5 + (legend_height + 0.24) / 2 / height,
        unit,
        rotation=90,
        va="center",
        ha="center",
        fontsize=9.5,
    )
    for i, axes in enumerate(grid.flat):
        axes.tick_params(labelbottom=i + grid.shape[1] >= count, labelsize=8.5)
        if logarithmic:
            axes.axvline(EARLY_DAYS, color="#dde2e8", linewidth=0.8, zorder=0)
    figure.legend(
        handles=signs,
        loc="lower center",
        ncols=legend_columns,
        frameon=False,
        fontsize=8,
        handletextpad=0.4,
        columnspacing=1.4,
    )


def _signs(specimen: Specimen) -> list["Line2D"]:
    """List the signs of the legend; percentages have no interval and no limits."""
    from matplotlib.lines import Line2D

    blood = specimen == "blood"

    def sign(marker: str, fill: str, label: str) -> Line2D:
        return Line2D(
            [],
            [],
            linestyle="none",
            marker=marker,
            color=INK,
            markerfacecolor=fill,
            markersize=5.5,
            label=label,
        )

    signs = [
        sign("o", INK, "quantified, 95 % interval" if blood else "quantified"),
        sign("o", "white", "detected, not quantified"),
        sign("v", "white", "not detected (at the limit)"),
        sign("x", INK, "not evaluable"),
    ]
    if blood:
        signs.append(
            Line2D(
                [],
                [],
                color=FADED,
                linewidth=0.9,
                linestyle=(0, (4, 2)),
                label="lower limit of quantification",
            )
        )
    return [*signs, Line2D([], [], color=INK, linewidth=0.8, linestyle=":", label="infusion")]
