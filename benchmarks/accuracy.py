"""Compare counts with simulated truth: tubes without B cells, titrations, drifted tubes; beside
what the field does otherwise.

    python benchmarks/accuracy.py --seed 1 --output benchmarks/accuracy

Writes tubes.csv (one row a tube × method), the tables absent.csv, titration.csv, coverage.csv and
drift.csv, and accuracy.png. Peers, on the same tubes: ``fixed`` (bcell@1.0.0, cart@1.0.0),
``valley`` (lowest place between the two largest peaks of a kernel density, no reference used),
``mixture`` (two normal modes, no reference used). ``reconflow`` is the shipped strategy with its
thresholds, backgrounds and limits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import numpy as np
import pandas as pd

from gating.evaluation.compensated_values import Channels
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.strategy.catalogue import load_strategy
from gating.strategy.model import Strategy
from gating.thresholds.apply import Applied, apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from tasks.counting.background import baseline_backgrounds
from tasks.counting.counts import TubeCounts
from tasks.counting.quantity import Quantity, quantify_visit
from tasks.simulate.tube import TubePlan, write_tube
from tasks.tubes.population_counts import population_counts
from tasks.vocabulary.tube_identity import TubeIdentity

SHIPPED = {"bcell": "bcell@2.0.0", "cart": "cart@3.0.0"}
FIXED = {"bcell": "bcell@1.0.0", "cart": "cart@1.0.0"}
INFUSED = datetime(2026, 1, 1, tzinfo=UTC)
MICROLITRES = 50.0
"""Blood that the events of every simulated tube come from."""
RESTING = {
    "granulocyte": 52_000.0,
    "monocyte": 6_000.0,
    "nk": 7_000.0,
    "t_cd4_naive": 8_000.0,
    "t_cd4_cm": 8_000.0,
    "t_cd4_em": 5_000.0,
    "t_cd8_naive": 3_000.0,
    "t_cd8_em": 6_000.0,
    "t_cd8_temra": 3_000.0,
}
ANALYSER_CV = 0.07
"""What the settings suppose of the leukocyte count at the 2,000/µL of these tubes."""
B_LINEAGE = {
    "naive_mature_b": 0.75,
    "transitional_b": 0.15,
    "switched_memory_b": 0.06,
    "unswitched_memory_b": 0.04,
}
CAR19 = {"t_cd8_em_car19": 0.6, "t_cd4_cm_car19": 0.4}
LEVELS = (0, 3, 10, 30, 100, 300, 1000)


@dataclass(frozen=True, slots=True)
class Case:
    """One tube: what is in it (expected cells), how it was taken, the population that is judged,
    and its expected number of cells.
    """

    name: str
    panel: str
    cells: Mapping[str, float]
    conditions: Conditions
    population: str
    expected: float
    seed: int
    peers: bool = True
    group: str = ""
    level: float = 0.0


def absent(seed: int, tubes: int) -> Iterator[Case]:
    """Yield tubes without any B cell, and tubes without any CAR-T cell: drifting detectors, dead
    cells, doublets, transferred CD19.
    """
    for number in range(tubes):
        rng = np.random.default_rng([seed, 1, number])
        cells = RESTING | (
            {"t_cd8_em_car19": 4_000.0, "t_cd4_cm_carbcma": 2_000.0} if number % 2 else {}
        )
        conditions = Conditions(
            gain=_gains("bcell", rng, 0.08),
            dead_fraction=float(rng.uniform(0.02, 0.15)),
            doublet_fraction=float(rng.uniform(0.01, 0.04)),
            debris_fraction=float(rng.uniform(0.05, 0.4)),
            trogocytosis_fraction=float(rng.uniform(0.02, 0.10)) if number % 2 else 0.0,
        )
        yield Case(
            f"absent-{number}", "bcell", cells, conditions, "b_cells", 0.0, seed, group="absent"
        )
        moved = Conditions(
            gain=_gains("cart", rng, 0.08),
            dead_fraction=float(rng.uniform(0.02, 0.15)),
            doublet_fraction=float(rng.uniform(0.01, 0.04)),
        )
        yield Case(
            f"absent-car19-{number}",
            "cart",
            RESTING,
            moved,
            "car19_t",
            0.0,
            seed,
            number < 10,
            "absent",
        )


def titration(seed: int, repeats: int) -> Iterator[Case]:
    """Yield tubes with known expected numbers of B cells and of CAR19 T cells, detectors off by 4 %
    each.
    """
    for panel, population, mix in (("bcell", "b_cells", B_LINEAGE), ("cart", "car19_t", CAR19)):
        for level in LEVELS:
            for number in range(repeats):
                rng = np.random.default_rng([seed, 2, crc32(population.encode()), level, number])
                cells = RESTING | {kind: level * part for kind, part in mix.items()}
                conditions = Conditions(gain=_gains(panel, rng, 0.04))
                name = f"titration-{population}-{level}-{number}"
                yield Case(
                    name,
                    panel,
                    cells,
                    conditions,
                    population,
                    float(level),
                    seed,
                    number < 5,
                    "titration",
                    level,
                )


def drift(seed: int, repeats: int) -> Iterator[Case]:
    """Yield tubes with 600 B cells or 600 CAR19 T cells under the troubles a laboratory meets."""
    for panel, population, mix in (
        ("bcell", "b_cells", B_LINEAGE),
        ("bcell", "transitional_b", B_LINEAGE),
        ("cart", "car19_t", CAR19),
    ):
        share = mix.get(population, 1.0)
        cells = RESTING | {
            kind: 600 * part / (share if population == "transitional_b" else 1)
            for kind, part in mix.items()
        }
        for name, conditions in _troubles(panel).items():
            for number in range(repeats):
                yield Case(
                    f"drift-{name}-{population}-{number}",
                    panel,
                    cells,
                    conditions,
                    population,
                    600.0,
                    seed,
                    number == 0,
                    name,
                )


def _troubles(panel: str) -> dict[str, Conditions]:
    detectors = [stain.detector for stain in load_panel(panel).markers]
    lot = {
        "CD19": 0.78,
        "CD20": 1.25,
        "IgD": 0.8,
        "CD24": 0.8,
        "CD38": 1.2,
        "CD3": 0.8,
        "CD45": 1.2,
        "CAR19": 0.85,
    }
    markers = {stain.marker for stain in load_panel(panel).markers}
    return {
        "none": Conditions(),
        "gain x0.7": Conditions(gain=dict.fromkeys(detectors, 0.7)),
        "gain x0.85": Conditions(gain=dict.fromkeys(detectors, 0.85)),
        "gain x1.2": Conditions(gain=dict.fromkeys(detectors, 1.2)),
        "gain x1.4": Conditions(gain=dict.fromkeys(detectors, 1.4)),
        "lot step": Conditions(
            abundance={marker: factor for marker, factor in lot.items() if marker in markers}
        ),
        "tandem degraded": Conditions(
            abundance={
                m: f for m, f in {"CD19": 0.75, "CD14+viability": 0.75}.items() if m in markers
            },
            spill_added={"PE-Cy7-A": {"PE-A": 0.04}, "APC-H7-A": {"APC-A": 0.04}}
            if panel == "bcell"
            else {"APC-H7-A": {"APC-A": 0.04}},
        ),
        "compensation +15 %": Conditions(compensation_bias=0.15),
        "compensation -15 %": Conditions(compensation_bias=-0.15),
        "dead-cell storm": Conditions(dead_fraction=0.4),
        "clog": Conditions(clogs=2),
    }


def judge(case: Case) -> list[dict[str, object]]:
    """Simulate one tube (a CAR tube with the patient's baseline tube) and count the judged
    population: one row a method.
    """
    with TemporaryDirectory() as folder:
        (Path(folder) / "events").mkdir()
        days = {28.0: case.cells} | ({-7.0: RESTING} if case.population == "car19_t" else {})
        taken = {day: _take(case, day, cells, Path(folder)) for day, cells in days.items()}
        truth = taken[28.0][1]
        rows = []
        for method, pins in (
            (("reconflow", SHIPPED), ("fixed", FIXED)) if case.peers else (("reconflow", SHIPPED),)
        ):
            strategy = load_strategy(pins[case.panel]).strategy
            tubes, applied = [], {}
            for day, (path, _) in taken.items():
                tube, applied[day] = _count(case, strategy, day, days[day], path)
                tubes.append(tube)
            rows.append(_row(case, method, truth, *_quantity(case, strategy, tubes)))
            if method == "fixed" and case.population in MARKERS:
                values = _axis(case, applied[28.0], taken[28.0][0])
                rows += [
                    _row(case, name, truth, _above(values, finder(values)))
                    for name, finder in PEERS.items()
                ]
    return rows


def _take(case: Case, day: float, cells: Mapping[str, float], folder: Path) -> tuple[Path, int]:
    """Write one tube; gives its path and how many cells of the judged population are in it."""
    seed = (case.seed, case.name, f"{day:.0f}", "accuracy")
    plan = TubePlan(
        f"d{day:.0f}.fcs", case.panel, "BD FACSLyric", INFUSED, cells, case.conditions, seed
    )
    return folder / plan.file, write_tube(plan, folder, folder).counts[case.population].intact


def _count(
    case: Case, strategy: Strategy, day: float, cells: Mapping[str, float], path: Path
) -> tuple[TubeCounts, Applied]:
    header = read_header(path)
    events = open_events(header)
    applied = apply_strategy(
        strategy, match_panel(load_panel(case.panel), header.channels), header, events
    )
    negatives = {
        name: measured.negative
        for name, measured in applied.measurements.items()
        if measured.negative
    }
    counts = population_counts(applied.compiled, applied.evaluation, events, header, negatives)
    return TubeCounts(
        _identity(case, day, cells), strategy.name, "", {each.population: each for each in counts}
    ), applied


def _quantity(case: Case, strategy: Strategy, tubes: Sequence[TubeCounts]) -> tuple[int, Quantity]:
    rules = {strategy.name: {population.id: population for population in strategy.populations}}
    known = baseline_backgrounds(tubes, rules, infused=INFUSED)
    late = [tube for tube in tubes if tube.identity.collected > INFUSED]
    quantities = quantify_visit(late, rules, counting={case.panel: ("dual",)}, backgrounds=known)
    judged = next(
        quantity for _, quantity in quantities if quantity.count.population == case.population
    )
    return judged.count.events, judged


def _identity(case: Case, day: float, expected: Mapping[str, float]) -> TubeIdentity:
    """Give the tube's identity with an analyser count of the live leukocytes, as wrong as the
    settings suppose.
    """
    error = float(np.exp(np.random.default_rng(_seed_number(case, day)).normal(0, ANALYSER_CV)))
    live = sum(expected.values()) * (1 - case.conditions.dead_fraction)
    moment = INFUSED + timedelta(days=day)
    return TubeIdentity(
        f"{day:064.0f}",
        "t.fcs",
        "P",
        moment,
        case.panel,
        f"D{day:.0f}",
        leukocytes_per_ul=error * live / MICROLITRES,
    )


def _seed_number(case: Case, day: float) -> list[int]:
    return [case.seed, crc32(case.name.encode()), int(day) + 100]


def _row(
    case: Case, method: str, truth: int, events: int, quantity: Quantity | None = None
) -> dict[str, object]:
    code = quantity.code if quantity else "Q" if events >= 50 else "DNQ" if events >= 20 else "ND"
    true_per_ul = case.expected * (1 - case.conditions.dead_fraction) / MICROLITRES
    covered = None
    if quantity is not None and quantity.per_ul_high is not None:
        covered = (quantity.per_ul_low or 0.0) <= true_per_ul <= quantity.per_ul_high
    flags = ";".join(quantity.flags) if quantity else ""
    return {
        "case": case.name,
        "group": case.group,
        "asked": case.population,
        "level": case.level,
        "method": method,
        "expected": case.expected,
        "true_events": truth,
        "events": events,
        "code": code,
        "covered": covered,
        "flags": ";".join(word for word in flags.split(";") if word.startswith("threshold")),
    }


MARKERS = {"b_cells": ("small_non_t", "CD19"), "car19_t": ("t_cells", "CAR19")}
"""The parent gate and the one marker that a plain finder cuts."""


def _axis(case: Case, applied: Applied, path: Path) -> np.ndarray:
    """Give the asinh values that a plain finder would cut."""
    gate, marker = MARKERS[case.population]
    header = read_header(path)
    channels = Channels(applied.compiled.gating, open_events(header), header)
    rows = applied.evaluation.rows[applied.compiled.path_of[gate]]
    (column,) = channels.linear(
        [(channels.index(applied.compiled.detector_of[marker]), applied.compiled.compensation)],
        rows,
    )
    return np.arcsinh(column / 150.0)


def _above(values: np.ndarray, cut: float | None) -> int:
    return len(values) if cut is None else int((values >= cut).sum())


def _plain_valley(values: np.ndarray) -> float | None:
    """Cut between the two largest peaks of a kernel density (Silverman); without a second peak
    nothing is cut off: an endless gate.
    """
    from scipy.stats import gaussian_kde

    grid = np.linspace(values.min(), values.max(), 400)
    density = gaussian_kde(values[:: max(1, len(values) // 5000)], "silverman")(grid)
    peaks = [i for i in range(1, 399) if density[i - 1] < density[i] >= density[i + 1]]
    if len(peaks) < 2:
        return float("inf")
    low, high = sorted(sorted(peaks, key=lambda i: density[i])[-2:])
    return float(grid[low + int(np.argmin(density[low:high]))])


def _plain_mixture(values: np.ndarray) -> float | None:
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(2, random_state=1).fit(
        values[:: max(1, len(values) // 5000)].reshape(-1, 1)
    )
    low, high = np.sort(model.means_.ravel())
    grid = np.linspace(low, high, 400)
    share = model.predict_proba(grid.reshape(-1, 1))[:, int(np.argmax(model.means_.ravel()))]
    return float(grid[int(np.argmin(np.abs(share - 0.5)))])


PEERS: Mapping[str, Callable[[np.ndarray], float | None]] = {
    "valley": _plain_valley,
    "mixture": _plain_mixture,
}


def _gains(panel: str, rng: np.random.Generator, spread: float) -> dict[str, float]:
    return {
        stain.detector: float(np.exp(rng.normal(0, spread))) for stain in load_panel(panel).markers
    }


def summarise(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Make the four tables from one row a tube × method."""
    none = rows[rows["group"] == "absent"]
    by_code = pd.crosstab([none["asked"], none["method"]], none["code"]).reindex(
        columns=["Q", "DNQ", "ND", "NE"], fill_value=0
    )
    events = none.groupby(["asked", "method"], sort=False)["events"].agg(
        tubes="count", median_events="median", most_events="max"
    )
    titrated = rows[rows["group"] == "titration"]
    ratio = titrated.assign(
        recovered=titrated["events"] / titrated["true_events"].where(titrated["true_events"] > 0)
    )
    levels = ratio.groupby(["asked", "level", "method"], sort=False).agg(
        tubes=("events", "count"),
        median_true=("true_events", "median"),
        median_events=("events", "median"),
        median_ratio=("recovered", "median"),
    )
    shipped = titrated[(titrated["method"] == "reconflow") & titrated["covered"].notna()].astype(
        {"covered": bool}
    )
    whole = shipped.assign(level="all")
    coverage = (
        pd.concat([shipped, whole])
        .groupby(["asked", "level"], sort=False)["covered"]
        .agg(tubes="count", covered_share="mean")
    )
    moved = rows[~rows["group"].isin(["absent", "titration"])]
    moved = moved.assign(
        bias_percent=100 * (moved["events"] / moved["true_events"] - 1),
        flagged=moved["flags"] != "",
    )
    troubles = moved.groupby(["asked", "group", "method"], sort=False).agg(
        tubes=("events", "count"),
        median_bias_percent=("bias_percent", "median"),
        flagged=("flagged", "sum"),
    )
    return {
        "absent": events.join(by_code),
        "titration": levels,
        "coverage": coverage,
        "drift": troubles,
    }


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Draw events found against true events, one panel a population."""
    from matplotlib.figure import Figure

    titrated = rows[rows["group"] == "titration"]
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots(1, 2)
    colours = {
        "reconflow": "#0b5394",
        "fixed": "#6aa84f",
        "valley": "#e69138",
        "mixture": "#cc0000",
    }
    for axis, (population, of_population) in zip(axes, titrated.groupby("asked"), strict=True):
        for method, tubes in of_population.groupby("method", sort=False):
            size, order = (14, 3) if method == "reconflow" else (26, 2)
            marks = {
                "s": size,
                "color": colours[str(method)],
                "alpha": 0.6,
                "linewidths": 0,
                "zorder": order,
            }
            axis.scatter(tubes["true_events"] + 0.5, tubes["events"] + 0.5, label=method, **marks)
        axis.plot([0.5, 2e3], [0.5, 2e3], color="#444444", linewidth=0.8)
        for limit, word in ((20, "detected"), (50, "quantified")):
            axis.axhline(limit, color="#999999", linewidth=0.6, linestyle="--")
            axis.text(0.55, limit * 1.08, word, fontsize=8, color="#666666")
        axis.set(
            xscale="log",
            yscale="log",
            title=f"{population}: events found",
            xlabel="true cells in the tube + 0.5",
            ylabel="events counted + 0.5",
        )
        axis.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run all tubes on all processors and write tables and picture."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--tubes", type=int, default=50, help="tubes without B cells")
    arguments.add_argument(
        "--repeats", type=int, default=30, help="tubes a level of the titrations"
    )
    arguments.add_argument("--output", type=Path, default=Path("benchmarks/accuracy"))
    chosen = arguments.parse_args()
    cases = [
        *absent(chosen.seed, chosen.tubes),
        *titration(chosen.seed, chosen.repeats),
        *drift(chosen.seed, 3),
    ]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        judged = pool.map(judge, cases, chunksize=4)
        rows = pd.DataFrame([row for of_case in judged for row in of_case])
    chosen.output.mkdir(parents=True, exist_ok=True)
    rows.to_csv(chosen.output / "tubes.csv", index=False)
    for name, table in summarise(rows).items():
        table.round(2).to_csv(chosen.output / f"{name}.csv")
        print(f"\n{name}\n{table.round(2).to_string()}")
    draw(rows, chosen.output / "accuracy.png")


if __name__ == "__main__":
    main()
