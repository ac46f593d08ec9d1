"""Write what two versions agree on: tables, one picture a population, and a page that begins with what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.concordance.compare import BRIDGING_SAMPLES, Agreement, amounts
from tasks.concordance.recount import Comparison, folder_of
from tasks.publish.figure_bytes import png_bytes
from tasks.publish.pages import render
from tasks.publish.tables import csv_bytes, write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tasks.study.folder import Study

INPUTS = ".inputs.sha256"
PAGE = "concordance.html"
INK, FADED, BLUE, ORANGE = "#1b1f24", "#667080", "#0b5394", "#b45f06"


def write_concordance(
    study: Study, compared: Comparison, found: Agreement, faults: Sequence[str]
) -> str:
    """Write the folder of a comparison; gives the path of its page."""
    folder = folder_of(study, compared)
    labels = {name: each.label for name, each in compared.current.populations.items()}
    pictures: dict[str, bytes] = {}
    for name, own in found.pairs.groupby("population", sort=False):
        if len(amounts(own)[0]):
            pictures[str(name)] = png_bytes(
                draw_agreement(
                    labels.get(str(name), str(name)), own, compared, _row_of(found, str(name))
                )
            )
            write_atomically(folder / f"{name}.png", pictures[str(name)])
    write_atomically(folder / "agreement.csv", csv_bytes(found.by_population))
    write_atomically(folder / "events.csv", csv_bytes(found.events))
    write_atomically(folder / "changed.csv", csv_bytes(found.changed))
    write_atomically(folder / PAGE, _page(compared, found, pictures, labels, faults).encode())
    write_atomically(folder / INPUTS, found.fingerprint.encode())
    return str(folder / PAGE)


def verdict(compared: Comparison, found: Agreement) -> list[str]:
    """Say in plain words what the comparison shows; fewer than ten samples decide nothing."""
    tubes = found.pairs["tube_sha256"].nunique()
    if tubes < BRIDGING_SAMPLES:
        said = [
            (
                f"{tubes} tubes were compared: too few to decide anything ({BRIDGING_SAMPLES} are "
                f"needed)."
            )
        ]
    else:
        said = [f"{tubes} tubes were compared."]
    results = found.changed[found.changed["visit"] != ""]
    parameters = found.changed[found.changed["visit"] == ""]
    if len(found.changed) == 0:
        said.append(
            f"No result changes its code or its side of a clinical threshold under "
            f"{compared.other.name}."
        )
    else:
        said.append(
            f"{len(results)} results change their code or their side of a clinical threshold, "
            f"and {len(parameters)} parameters change."
        )
    off = found.by_population[found.by_population["bias_percent"].astype(float).abs() > 10]
    said += [
        f"{row.population}: {row.bias_percent:+.0f} % on average over {row.pairs} pairs."
        for row in off.itertuples()
    ]
    return said


def draw_agreement(
    label: str, own: pd.DataFrame, compared: Comparison, row: Mapping[str, object] | None
) -> Figure:
    """Draw both versions against each other (log axes) with the Passing–Bablok line, and their ratio against their mean."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    x, y, unit = amounts(own)
    figure = Figure(figsize=(10, 4.2), dpi=110, facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(
        f"{label}: {len(x)} pairs", x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK
    )
    words = "cells/µL" if unit == "1/uL" else "% of reference"
    low, high = min(x.min(), y.min()) / 1.5, max(x.max(), y.max()) * 1.5
    grid = np.geomspace(low, high, 100)
    left.plot(grid, grid, color=FADED, linewidth=0.8, linestyle="--", label="equal")
    if row is not None and row["slope"] == row["slope"] and row["slope"] is not None:
        _draw_line(left, grid, row)
    left.scatter(x, y, s=18, color=BLUE, alpha=0.7, linewidths=0, zorder=3)
    left.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        ylim=(low, high),
        xlabel=f"{compared.current.name}, {words}",
        ylabel=f"{compared.other.name}, {words}",
    )
    left.legend(frameon=False, fontsize=8.5, loc="upper left")
    ratio, mean = 100 * (y / x - 1), np.sqrt(x * y)
    right.scatter(mean, ratio, s=18, color=BLUE, alpha=0.7, linewidths=0, zorder=3)
    right.axhline(0, color=FADED, linewidth=0.8, linestyle="--")
    if (
        row is not None
        and row["bias_percent"] == row["bias_percent"]
        and row["bias_percent"] is not None
    ):
        for name, style in (("bias_percent", "-"), ("limit_low", ":"), ("limit_high", ":")):
            right.axhline(float(str(row[name])), color=ORANGE, linewidth=1.2, linestyle=style)
        right.set_title(
            "solid: mean difference, dotted: 95 % of differences",
            fontsize=9,
            color=FADED,
            loc="left",
        )
    right.set(
        xscale="log",
        xlabel=f"geometric mean of both, {words}",
        ylabel=f"difference, % of {compared.current.name}",
    )
    limits = (
        []
        if row is None
        else [
            abs(float(str(row[name])))
            for name in ("limit_low", "limit_high")
            if row[name] is not None
        ]
    )
    reach = 1.2 * max(
        [5.0, float(np.abs(ratio).max()), *(limit for limit in limits if np.isfinite(limit))]
    )
    right.set_ylim(-reach, reach)
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_line(axes: Axes, grid: np.ndarray, row: Mapping[str, object]) -> None:
    slope, low, high, intercept = (
        float(str(row[name])) for name in ("slope", "slope_low", "slope_high", "intercept")
    )
    values = intercept + slope * grid
    shown = values > 0
    axes.plot(
        grid[shown],
        values[shown],
        color=ORANGE,
        linewidth=1.4,
        label=f"Passing–Bablok, slope {slope:.3f} ({low:.3f} to {high:.3f})",
    )


def _row_of(found: Agreement, population: str) -> Mapping[str, object] | None:
    rows = found.by_population[found.by_population["population"] == population].to_dict("records")
    return {str(key): value for key, value in rows[0].items()} if rows else None


def _page(
    compared: Comparison,
    found: Agreement,
    pictures: Mapping[str, bytes],
    labels: Mapping[str, str],
    faults: Sequence[str],
) -> str:
    gates = (
        found.events.dropna(subset=["f1"])
        .groupby("gate", sort=False)["f1"]
        .agg(["count", "median", "min"])
        .reset_index()
    )
    return render(
        "concordance.html",
        {
            "compared": compared,
            "verdict": verdict(compared, found),
            "missing": [*found.missing, *faults],
            "rows": found.by_population.astype(object)
            .where(found.by_population.notna(), None)
            .to_dict("records"),
            "changed": found.changed.astype(object)
            .where(found.changed.notna(), None)
            .to_dict("records"),
            "gates": gates.to_dict("records"),
            "pictures": pictures,
            "labels": labels,
        },
    )
