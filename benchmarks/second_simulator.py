"""Judge the whole program on tubes of the second simulator, whose author did not see the gates.

    PYTHONPATH=. python benchmarks/second_simulator.py [--draws 30] [--folder DIR]
        [--gains nominal|shifted|LOW,HIGH] [--beads sound,lost,…] [--events 40000] [--seed 1]

Makes a study (draws of patients on four days), runs ``reconflow run`` on it, reads kinetics.csv and
compares. Prints, per panel and population: events found ÷ single living cells in the file,
concentration ÷ truth (median, quartiles), the share of 95 % intervals that hold the truth (and that
reach what the population's disputed border leaves open), codes, cells found where there are none;
then methods by what became of the beads, and flags. ``--folder`` keeps the study; a folder that
holds one already is only judged. Draws take the bead variants in turn.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from tests.second_simulator.cohort import COURSE, simulate_cohort
from tests.second_simulator.scenario import BeadKnobs, BeadVariant, Scenario, with_shifted_gains

NOMINAL = (0.97, 1.03)
CODES = ("Q", "DNQ", "ND", "NE")


def main() -> None:
    """Simulate, run, compare, print."""
    options = command_line()
    with tempfile.TemporaryDirectory() as spare:
        folder = (options.folder or Path(spare) / "study").resolve()
        if not (folder / "truth").is_dir():
            patients = -(-options.draws // len(COURSE))
            simulate_cohort(
                np.random.default_rng(options.seed), patients, folder, scenarios=scenarios(options)
            )
        run(folder)
        compared = compare(folder)
        compared.to_csv(folder / "compared.csv", index=False)
        show(compared)
        show_beads(compared, beads(folder))


def command_line() -> argparse.Namespace:
    """Read the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--gains", default="nominal")
    parser.add_argument("--beads", default="sound")
    parser.add_argument("--at-range-end", default="none", choices=["none", "cut", "some", "all"])
    parser.add_argument(
        "--bead-scatter", default="own", choices=["own", "lymphocyte", "side_at_range_end"]
    )
    parser.add_argument("--tubes", default="tbnk,bcell,cart")
    parser.add_argument("--no-analyser", action="store_true")
    parser.add_argument("--volumetric", action="store_true")
    parser.add_argument("--spill-error", type=float, default=0.03)
    parser.add_argument("--stickiness", type=float, default=0.7)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    return parser.parse_args()


def scenarios(options: argparse.Namespace) -> tuple[Scenario, ...]:
    """Make the scenarios that the draws take in turn."""
    plain = Scenario(
        tubes=tuple(options.tubes.split(",")),
        events=options.events,
        analyser=not options.no_analyser,
        volumetric=options.volumetric,
        stickiness=options.stickiness,
        spill_error=options.spill_error,
        colour_gains=NOMINAL,
        scatter_gains=NOMINAL,
    )
    if options.gains == "shifted":
        plain = with_shifted_gains(plain)
    elif options.gains != "nominal":
        low, high = (float(part) for part in options.gains.split(","))
        plain = replace(
            plain, colour_gains=(low, high), scatter_gains=(max(low, 0.8), min(high, 1.25))
        )
    variants = options.beads.split(",")
    if unknown := set(variants) - set(get_args(BeadVariant)):
        sys.exit(
            f"--beads: {', '.join(sorted(unknown))} is none of {', '.join(get_args(BeadVariant))}"
        )
    knobs = BeadKnobs(at_range_end=options.at_range_end, scatter=options.bead_scatter)
    return tuple(replace(plain, beads=replace(knobs, variant=variant)) for variant in variants)


def run(folder: Path) -> None:
    """Run the program on the study as a user does."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "flows.cli", "run", "--study", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"reconflow run ended with {done.returncode}:\n{done.stderr[-3000:]}")
    print(f"{done.stdout.strip()}\nin {time.monotonic() - begun:.0f} s\n")


def compare(folder: Path) -> pd.DataFrame:
    """Put the rows of kinetics.csv beside the truth: one row a tube × population."""
    paths = sorted((folder / "results" / "patients").glob("*/kinetics.csv"))
    kinetics = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    truth, tubes = (pd.read_csv(folder / "truth" / name) for name in ("draws.csv", "tubes.csv"))
    events = pd.read_csv(folder / "truth" / "events.csv").merge(
        tubes[["file", "patient", "visit", "panel", "verdict"]]
    )
    truth = truth.rename(columns={"per_ul": "true", "low": "true_low", "high": "true_high"})
    events = events.rename(
        columns={"events": "true_events", "low": "events_low", "high": "events_high"}
    )
    events = events.drop(columns=["file"])
    joined = kinetics.merge(truth, on=["patient", "visit", "population"])
    return joined.merge(events, on=["patient", "visit", "panel", "population"])


def show(compared: pd.DataFrame) -> None:
    """Print the tables."""
    pd.set_option("display.width", 220, "display.max_rows", 500, "display.max_columns", 50)
    print(by_population(compared).to_string(), "\n")
    print("\nflags (rows):\n")
    flags = compared.assign(flag=compared["flags"].fillna("").str.split(";")).explode("flag")
    counted = pd.crosstab(flags["flag"], flags["panel"])
    print(counted[counted.index != ""].to_string())


def beads(folder: Path) -> pd.DataFrame:
    """Read from the store how many beads the program counted, beside the single beads in the
    files.
    """
    query = (
        "select g.beads as counted, t.file, t.tube_sha256 from gatings g join tubes t using "
        "(tube_sha256)"
    )
    with closing(sqlite3.connect(f"file:{folder / 'reconflow.db'}?mode=ro", uri=True)) as store:
        tubes = pd.read_sql_query(query, store)
    tubes["file"] = tubes["file"].str.split("/").str[-1]
    return tubes.merge(pd.read_csv(folder / "truth" / "tubes.csv"), on="file").query(
        "panel == 'tbnk'"
    )


def show_beads(compared: pd.DataFrame, counted: pd.DataFrame) -> None:
    """Print, by what became of the beads: beads found, methods, T cells, flags of the bead
    tubes.
    """
    t_cells = compared[(compared["population"] == "t_cells") & (compared["panel"] == "tbnk")]
    joined = t_cells.merge(
        counted[["tube_sha256", "counted", "beads", "bead_variant"]], on="tube_sha256"
    )
    print("\nbead tubes by what became of the beads; found ÷ true single beads, T cells ÷ truth:\n")
    for variant, part in joined.groupby("bead_variant"):
        share = part["counted"].astype(float) / part["beads"].clip(lower=1)
        ratio = part["per_ul"] / part["true"]
        codes = (part["method"] + " " + part["code"]).value_counts().to_dict()
        words = (
            part["flags"]
            .fillna("")
            .str.split(";")
            .explode()
            .value_counts()
            .drop("", errors="ignore")
        )
        print(
            f"{variant} ({len(part)} tubes): beads {_range(share)}; T cells {_range(ratio)}; "
            f"{codes}; {words.to_dict()}"
        )


def _range(values: pd.Series[float]) -> str:
    known = values.dropna()
    if known.empty:
        return "none"
    return f"{known.median():.3f} ({known.min():.2f} to {known.max():.2f}, n={len(known)})"


def by_population(compared: pd.DataFrame) -> pd.DataFrame:
    """Sum up every panel and population."""
    rows = {
        key: _summed(part) for key, part in compared.groupby(["panel", "population"], sort=False)
    }
    table = pd.DataFrame.from_dict(rows, orient="index").sort_index(level=0, sort_remaining=False)
    counts = ["n", *CODES, "present_nd", "absent_found"]
    table[counts] = table[counts].astype(int)
    return table.round(3)


def _summed(part: pd.DataFrame) -> dict[str, float]:
    """Ratios are of rows with at least 50 true events; intervals of rows that are quantified."""
    many = part[part["true_events"] >= 50]
    events = many["events"] / many["true_events"]
    quantified = part[(part["code"] == "Q") & (part["true"] > 0)]
    ratio = quantified["per_ul"] / quantified["true"]
    holds = (quantified["per_ul_low"] <= quantified["true"]) & (
        quantified["true"] <= quantified["per_ul_high"]
    )
    reaches = (quantified["per_ul_low"] <= quantified["true_high"]) & (
        quantified["true_low"] <= quantified["per_ul_high"]
    )
    absent = part[part["true_high"] == 0]
    seen = part[part["true_events"] >= 100]
    return {
        "n": len(part),
        "events_ratio": events.median(),
        "events_min": events.min(),
        "events_max": events.max(),
        "ratio": ratio.median(),
        "q25": ratio.quantile(0.25),
        "q75": ratio.quantile(0.75),
        "worst": ratio.iloc[np.argmax(np.abs(np.log(ratio)))] if len(ratio) else np.nan,
        "holds": holds.mean(),
        "reaches": reaches.mean(),
        **{code: (part["code"] == code).sum() for code in CODES},
        "present_nd": (seen["code"] == "ND").sum(),
        "absent_found": absent["code"].isin(["Q", "DNQ"]).sum(),
    }


if __name__ == "__main__":
    main()
