"""Judge calibrations on tubes that they were not measured on, beside single-threshold methods.

    PYTHONPATH=. python benchmarks/calibration.py
        [--simulator first|second] [--patients 8] [--seed 1] [--folder DIR]

Simulates a study, rewrites its tubes as another instrument's (gains of 0.4 to 2.5 for each
detector, scatter × 0.6 and × 1.7, unmixed, a range of 4,194,304), calibrates each panel on the
tubes from before the infusion, and counts all others. Prints for each way to set thresholds the
median count over truth of each population and the most cells found where there are none. The ways:

- ``calibrate``: as the program proposes (landmarks, controls, negative cells);
- ``shipped``: the numbers of the simulated instrument, as they are;
- ``density minimum``, ``Otsu``, ``two normals``: each threshold by that method alone, on the cells
  of all tubes in the gate it divides (as openCyto's mindensity, Otsu 1979, a Gaussian mixture do);
  scatter is moved by the landmarks all the same.

Then the error of ``calibrate`` against the number of tubes it was measured on. The author of the
second simulator did not see the gates.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from gating.strategy.catalogue import load_strategy
from gating.strategy.model import Strategy
from gating.thresholds.apply import apply_strategy
from gating.thresholds.valley import HIGHEST, LOWEST, WIDTH, find_crossing, from_scale
from panels.catalogue import load_panel
from tasks.calibrate.alignment import align, observe_all
from tasks.calibrate.instrument_calibration import Heading, measure_calibration
from tasks.calibrate.tube import CalibrationTube, open_tube
from tasks.simulate.study import write_study
from tests.other_instrument import other_instrument, rewrite_tube, write_panel
from tests.second_simulator.cohort import COURSE, FIRST_INFUSION
from tests.second_simulator.draw import simulate_draw
from tests.second_simulator.scenario import Scenario

STRATEGIES = {"bcell": "bcell@3.0.0", "cart": "cart@4.0.0", "tbnk": "tbnk@4.0.0"}
HEADING = Heading("other", "1.0.0", "another instrument", ())
BASELINE = "D-7"
FEW = 50
NUMBERS = (1, 2, 3, 5, 8)
CENTRES = LOWEST + (np.arange(round((HIGHEST - LOWEST) / WIDTH)) + 0.5) * WIDTH


@dataclass(frozen=True)
class Study:
    """Tubes of one panel on the other instrument: those to calibrate on, those to judge on."""

    panel: str
    baselines: Sequence[CalibrationTube]
    others: Sequence[CalibrationTube]
    truth: pd.DataFrame


def main() -> None:
    """Simulate, calibrate, count, print."""
    options = command_line()
    with tempfile.TemporaryDirectory() as spare:
        folder = options.folder or Path(spare)
        for study in studies(folder, options):
            judge(study)


def command_line() -> argparse.Namespace:
    """Read the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulator", choices=["first", "second"], default="first")
    parser.add_argument("--patients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    return parser.parse_args()


def studies(folder: Path, options: argparse.Namespace) -> Iterator[Study]:
    """Simulate and rewrite the tubes, panel by panel."""
    make = first_simulator if options.simulator == "first" else second_simulator
    source, truth = make(folder / "plain", options.patients, options.seed)
    instrument = other_instrument(options.seed)
    for panel in STRATEGIES:
        write_panel(folder / "panels", panel, instrument)
        definition = load_panel(panel, folder / "panels")
        tubes = []
        for path in sorted(source.glob(f"*_{panel}.fcs")):
            rewritten = folder / path.name
            rewrite_tube(path, rewritten, panel, instrument)
            tubes.append(open_tube(rewritten, definition, name=path.name, role=role_of(path)))
        baselines = [tube for tube in tubes if tube.role == "baseline"]
        yield Study(panel, baselines, [tube for tube in tubes if tube.role == "other"], truth)


def role_of(path: Path) -> str:
    """Tell by its name whether a tube is from before the infusion."""
    return "baseline" if BASELINE in path.name.split("_") else "other"


def first_simulator(folder: Path, patients: int, seed: int) -> tuple[Path, pd.DataFrame]:
    """Simulate a study as the demo does."""
    write_study(folder, patients=patients, visits=5, seed=seed, workers=2, events=0.5)
    table = pd.read_csv(folder / "simulation-truth" / "populations.csv")
    return folder / "inbox", table.rename(columns={"intact_events": "events"})


def second_simulator(folder: Path, patients: int, seed: int) -> tuple[Path, pd.DataFrame]:
    """Simulate a course of each patient on one instrument of the second simulator."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(patients):
        for day, phase in COURSE:
            scenario = Scenario(
                patient=f"S{number + 1:02d}",
                visit=f"D{day}",
                collected=FIRST_INFUSION + timedelta(days=number + day, hours=-2),
                phase=phase,
                events=40_000,
                colour_gains=(0.97, 1.03),
                scatter_gains=(0.97, 1.03),
            )
            for tube in simulate_draw(rng, scenario, folder).tubes:
                rows += [(tube.file, name, each.value) for name, each in tube.populations.items()]
    return folder, pd.DataFrame(rows, columns=["file", "population", "events"])


def judge(study: Study) -> None:
    """Print how each way to set thresholds counts the tubes it was not set on."""
    strategy = load_strategy(STRATEGIES[study.panel]).strategy
    begun = time.process_time()
    measured = measure_calibration(strategy, HEADING, study.baselines)
    seconds = time.process_time() - begun
    ways = {"calibrate": measured.strategy, "shipped": strategy}
    for name, method in METHODS.items():
        ways[name] = by_method(strategy, study.baselines, method)
    compared = {name: compare(way, study) for name, way in ways.items()}
    print(
        f"\n{study.panel}: {len(study.baselines)} tubes calibrated in {seconds:.1f} s of CPU time"
    )
    print(
        pd.DataFrame({name: median(each) for name, each in compared.items()}).round(2).to_string()
    )
    empty = {
        name: each[each.true <= 3].groupby("population").found.max()
        for name, each in compared.items()
    }
    print("most cells found where at most 3 are:")
    print(pd.DataFrame(empty).to_string())
    for number in NUMBERS:
        if number <= len(study.baselines):
            few = measure_calibration(strategy, HEADING, study.baselines[:number])
            ratios = median(compare(few.strategy, study)).dropna()
            print(
                f"{number} tubes: {len(few.calibration.unmeasured)} thresholds not measured, "
                f"populations off by {100 * (ratios - 1).abs().median():.1f} % (median), "
                f"{100 * (ratios - 1).abs().max():.0f} % (most)"
            )


def compare(strategy: Strategy, study: Study) -> pd.DataFrame:
    """Count the tubes that are judged, each population beside its truth."""
    truth = study.truth.set_index(["file", "population"]).events
    rows = []
    for tube in study.others:
        applied = apply_strategy(strategy, tube.match, tube.header, tube.events, rows=tube.rows)
        for each in strategy.populations:
            if (tube.name, each.id) in truth.index:
                found = applied.evaluation.count(applied.compiled.path_of[each.gate])
                rows.append((each.id, found, truth[tube.name, each.id]))
    return pd.DataFrame(rows, columns=["population", "found", "true"])


def median(compared: pd.DataFrame) -> pd.Series:
    """Give the median of found over true in tubes with at least 50 of the cells."""
    enough = compared[compared.true >= FEW]
    return (enough.found / enough.true).groupby(enough.population).median()


Method = Callable[[np.ndarray], float | None]


def by_method(strategy: Strategy, tubes: Sequence[CalibrationTube], method: Method) -> Strategy:
    """Set each threshold by one method, from the root down, on the cells of all tubes."""
    current = align(strategy, tubes).strategy
    for name in strategy.thresholds:
        counts = np.sum([each.histograms[name] for each in observe_all(current, tubes)], axis=0)
        value = method(counts)
        if value is not None:
            moved = current.thresholds[name].model_copy(update={"value": value, "limits": None})
            moved = moved.model_copy(update={"sources": ("fixed",)})
            thresholds = {**current.thresholds, name: moved}
            current = current.model_copy(update={"thresholds": thresholds})
    return current


def density_minimum(counts: np.ndarray) -> float | None:
    """Give the lowest density between the two highest modes, as openCyto's mindensity does."""
    kernel = np.exp(-0.5 * (np.arange(-28, 29) * WIDTH / 0.18) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    inner = smooth[1:-1]
    modes = np.flatnonzero((inner > smooth[:-2]) & (inner >= smooth[2:])) + 1
    if len(modes) < 2:
        return None
    low, high = sorted(modes[np.argsort(smooth[modes])[-2:]])
    return from_scale(float(CENTRES[low + int(np.argmin(smooth[low : high + 1]))]))


def otsu(counts: np.ndarray) -> float | None:
    """Give the place with the largest variance between the cells on either side (Otsu 1979)."""
    total = counts.sum()
    if not total:
        return None
    below = np.cumsum(counts)[:-1]
    sums = np.cumsum(counts * CENTRES)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / (total - below)
        between = np.nan_to_num(below * (total - below) * apart**2)
    return from_scale(float(CENTRES[int(np.argmax(between))]))


def two_normals(counts: np.ndarray) -> float | None:
    """Give the place where either of two normal modes is equally likely."""
    middle = otsu(counts)
    crossing = None if middle is None else find_crossing(counts, middle)
    return None if crossing is None else crossing.value


METHODS: dict[str, Method] = {
    "density minimum": density_minimum,
    "Otsu": otsu,
    "two normals": two_normals,
}

if __name__ == "__main__":
    main()
