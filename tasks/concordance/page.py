"""Write how two versions agree: tables, one picture a population, and a page.

The page begins with what the comparison means.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from panels.text.plural import counted
from tasks.concordance.compare import BRIDGING_SAMPLES, Agreement, amounts
from tasks.concordance.recount import Comparison, folder_of
from tasks.kinetics.rows import number
from tasks.publish.figure_bytes import png_bytes
from tasks.publish.figure_style import FADED, INK
from tasks.publish.pages import render
from tasks.publish.tables import csv_bytes, write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tasks.study.folder import Study

INPUTS = ".inputs.sha256"
PAGE = "concordance.html"
BLUE, ORANGE = "#0b5394", "#b45f06"
ONE_PANEL = (
    "Compared are the results of this panel's tubes alone. Results of other panels that are "
    "computed with its counts (cells per µL of a tube whose volume follows from this panel's) are "
    "not compared here, and may change with a promotion."
)
LIMITS = ("limit_low", "limit_high")
DRAWN_STATISTICS = ("slope", "slope_low", "slope_high", "intercept", "bias_percent", *LIMITS)


def write_concordance(
    study: Study, compared: Comparison, results: Agreement, faults: Sequence[str]
) -> str:
    """Write the folder of a comparison; gives the path of its page."""
    folder = folder_of(study, compared)
    labels = {name: each.label for name, each in compared.current.populations.items()}
    pictures: dict[str, bytes] = {}
    for key, rows in results.pairs.groupby("population", sort=False):
        name = str(key)
        if len(amounts(rows)[0]):
            figure = draw_agreement(labels.get(name, name), rows, compared, _row_of(results, name))
            pictures[name] = png_bytes(figure)
            write_atomically(folder / f"{name}.png", pictures[name])
    write_atomically(folder / "agreement.csv", csv_bytes(results.by_population))
    write_atomically(folder / "events.csv", csv_bytes(results.events))
    write_atomically(folder / "changed.csv", csv_bytes(results.changed))
    write_atomically(folder / PAGE, _page(compared, results, pictures, labels, faults).encode())
    write_atomically(folder / INPUTS, results.fingerprint.encode())
    return str(folder / PAGE)


def verdict(compared: Comparison, results: Agreement) -> list[str]:
    """Say in plain words what the comparison shows; fewer than ten samples decide nothing."""
    tubes = results.pairs["tube_sha256"].nunique()
    scope = f"{tubes} tubes were compared."
    if tubes < BRIDGING_SAMPLES:
        scope = (
            f"{tubes} tubes were compared: too few to decide anything ({BRIDGING_SAMPLES} are "
            f"needed)."
        )
    changed = results.changed
    changes = (
        f"No result changes its code or its side of a clinical threshold under "
        f"{compared.other.name}."
    )
    if len(changed):
        read_otherwise = int((changed["visit"] != "").sum())
        parameters = counted(len(changed) - read_otherwise, "parameter")
        changes = (
            f"Otherwise under {compared.other.name}: the code or the side of a clinical threshold "
            f"of {counted(read_otherwise, 'result')}, and {parameters}."
        )
    biased = results.by_population["bias_percent"].astype(float).abs() > 10
    biases = [
        f"{row.population}: {row.bias_percent:+.0f} % on average over {row.pairs} pairs."
        for row in results.by_population[biased].itertuples()
    ]
    return [scope, changes, *biases, ONE_PANEL]


def draw_agreement(
    label: str, rows: pd.DataFrame, compared: Comparison, agreement: Mapping[str, object] | None
) -> Figure:
    """Draw both versions against each other, and their ratio against their mean.

    ``rows`` are the pairs of one population, ``agreement`` is its row of the table of agreement.
    The axes of amounts are logarithmic; over the pairs lies the Passing–Bablok line, over the
    ratios the mean difference with the limits of agreement.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    x, y, unit = amounts(rows)
    statistics = _statistics(agreement)
    figure = Figure(figsize=(10, 4.2), dpi=110, facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    title = figure.suptitle(f"{label}: {len(x)} pairs", x=0.01, ha="left")
    title.set(fontsize=12, fontweight="bold", color=INK)
    unit_words = "cells/µL" if unit == "1/uL" else "% of reference"
    _draw_pairs(left, x, y, statistics)
    left.set_xlabel(f"{compared.current.name}, {unit_words}")
    left.set_ylabel(f"{compared.other.name}, {unit_words}")
    _draw_differences(right, x, y, statistics)
    right.set_xlabel(f"geometric mean of both, {unit_words}")
    right.set_ylabel(f"difference, % of {compared.current.name}")
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _statistics(agreement: Mapping[str, object] | None) -> dict[str, float]:
    """Give the numbers of a row of the table of agreement that are known."""
    numbers = {name: number((agreement or {}).get(name)) for name in DRAWN_STATISTICS}
    return {name: value for name, value in numbers.items() if value is not None}


def _draw_pairs(axes: Axes, x: np.ndarray, y: np.ndarray, statistics: Mapping[str, float]) -> None:
    low, high = min(x.min(), y.min()) / 1.5, max(x.max(), y.max()) * 1.5
    grid = np.geomspace(low, high, 100)
    axes.plot(grid, grid, color=FADED, linewidth=0.8, linestyle="--", label="equal")
    if "slope" in statistics:
        _draw_line(axes, grid, statistics)
    axes.scatter(x, y, s=18, color=BLUE, alpha=0.7, linewidths=0, zorder=3)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.legend(frameon=False, fontsize=8.5, loc="upper left")


def _draw_differences(
    axes: Axes, x: np.ndarray, y: np.ndarray, statistics: Mapping[str, float]
) -> None:
    ratio, mean = 100 * (y / x - 1), np.sqrt(x * y)
    axes.scatter(mean, ratio, s=18, color=BLUE, alpha=0.7, linewidths=0, zorder=3)
    axes.axhline(0, color=FADED, linewidth=0.8, linestyle="--")
    if "bias_percent" in statistics:
        for name, style in (("bias_percent", "-"), ("limit_low", ":"), ("limit_high", ":")):
            axes.axhline(statistics[name], color=ORANGE, linewidth=1.2, linestyle=style)
        title = axes.set_title("solid: mean difference, dotted: 95 % of differences", loc="left")
        title.set(fontsize=9, color=FADED)
    axes.set_xscale("log")
    limits = [abs(statistics[name]) for name in LIMITS if name in statistics]
    reach = 1.2 * max([5.0, float(np.abs(ratio).max()), *filter(np.isfinite, limits)])
    axes.set_ylim(-reach, reach)


def _draw_line(axes: Axes, grid: np.ndarray, statistics: Mapping[str, float]) -> None:
    slope, low, high = (statistics[name] for name in ("slope", "slope_low", "slope_high"))
    values = statistics["intercept"] + slope * grid
    shown = values > 0
    label = f"Passing–Bablok, slope {slope:.3f} ({low:.3f} to {high:.3f})"
    axes.plot(grid[shown], values[shown], color=ORANGE, linewidth=1.4, label=label)


def _row_of(results: Agreement, population: str) -> Mapping[str, object] | None:
    table = results.by_population
    for row in table[table["population"] == population].to_dict("records"):
        return {str(key): value for key, value in row.items()}
    return None


def _page(
    compared: Comparison,
    results: Agreement,
    pictures: Mapping[str, bytes],
    labels: Mapping[str, str],
    faults: Sequence[str],
) -> str:
    by_gate = results.events.dropna(subset=["f1"]).groupby("gate", sort=False)["f1"]
    gates = by_gate.agg(["count", "median", "min"]).reset_index()
    return render(
        "concordance.html",
        {
            "compared": compared,
            "verdict": verdict(compared, results),
            "missing": [*results.missing, *faults],
            "rows": _rows(results.by_population),
            "changed": _rows(results.changed),
            "gates": gates.to_dict("records"),
            "pictures": pictures,
            "labels": labels,
        },
    )


def _rows(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Give a table's rows as the template reads them: None where a cell is empty."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
