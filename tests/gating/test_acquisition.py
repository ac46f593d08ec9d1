"""Stretches of an acquisition that cannot be trusted are left out; clean tubes, and populations
that come and go, are left alone."""

import numpy as np
import pytest

from gating.quality.acquisition import LEAST_EVENTS, TimeQuality, time_quality
from panels.catalogue import load_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from tests.gating.tubes import ArrayTube

CELLS = {
    "granulocyte": 12_000.0,
    "monocyte": 1_500.0,
    "t_cd4_cm": 4_000.0,
    "t_cd8_em": 4_000.0,
    "nk": 1_500.0,
}
CAR = {"t_cd8_em_car19": 9_000.0, "t_cd4_cm_car19": 5_000.0}


def judged(made: np.ndarray, names: tuple[str, ...]) -> TimeQuality:
    tube = ArrayTube(made.astype(np.float64), names, ("",) * len(names))
    seconds = tube.events.copy()
    seconds[:, -1] *= 0.01
    timed = ArrayTube(seconds, names, ("",) * len(names))
    return time_quality(
        timed, timed, {name: i for i, name in enumerate(names) if name not in ("Time", "FSC-H")}
    )


def simulated(
    cells: dict[str, float], conditions: Conditions, seed: int, panel: str = "cart"
) -> tuple[TimeQuality, np.ndarray]:
    made = simulate_tube(load_panel(panel), cells, conditions, np.random.default_rng(seed))
    return judged(made.events, made.detectors), made.truth.time_anomaly


@pytest.mark.parametrize("cells", [CELLS, CELLS | CAR, CELLS | {"naive_mature_b": 3_000.0}])
def test_a_clean_tube_keeps_nearly_all_of_its_events(cells: dict[str, float]) -> None:
    removed = [simulated(cells, Conditions(), seed)[0].removed for seed in range(8)]
    assert max(removed) <= 0.05
    assert np.median(removed) <= 0.01


def test_a_clogged_stretch_is_left_out_whole() -> None:
    rng = np.random.default_rng(3)
    n = 60_000
    clean = np.column_stack(
        [rng.lognormal(11, 0.3, n), rng.lognormal(8, 0.8, n), np.cumsum(rng.exponential(0.03, n))]
    )
    dim = clean.copy()
    dim[20_000:28_000, :2] *= 0.8
    quality = judged(dim, ("FSC-A", "BB515-A", "Time"))
    assert quality.kept is not None
    inside = np.isin(np.arange(20_000, 28_000), quality.kept)
    assert inside.mean() < 0.05
    assert quality.removed == pytest.approx(8_000 / n, abs=0.03)
    assert judged(clean, ("FSC-A", "BB515-A", "Time")).kept is None


def test_a_tube_that_is_mostly_disturbed_at_least_reports_its_drift() -> None:
    noticed = []
    for seed in range(12):
        quality, truth = simulated(
            {kind: 4 * n for kind, n in CELLS.items()}, Conditions(clogs=2), seed
        )
        if truth.mean() > 0.1:
            noticed.append(quality.removed > 0.2 or quality.drift > 0.15)
    assert len(noticed) >= 8
    assert np.mean(noticed) >= 0.8


def test_a_gap_in_the_flow_is_seen_and_a_settling_flow_is_not() -> None:
    rng = np.random.default_rng(5)
    n = 60_000
    steps = rng.exponential(1 / 3000, n)
    steps[:2000] *= 3
    steps[30_000:33_000] *= 6
    events = np.column_stack([rng.lognormal(11, 0.3, n), 100 * np.cumsum(steps)])
    quality = judged(events, ("FSC-A", "Time"))
    assert quality.channels["rate"] > 0
    assert quality.kept is not None
    assert quality.kept[0] == 0
    assert not np.isin(np.arange(31_000, 32_000), quality.kept).any()


def test_a_population_that_comes_and_goes_is_no_anomaly() -> None:
    rng = np.random.default_rng(7)
    n = 40_000
    marker = rng.normal(0, 100, n)
    marker[10_000:12_000][rng.random(2_000) < 0.10] = 9_000
    events = np.column_stack(
        [rng.lognormal(11, 0.3, n), marker, 100 * np.cumsum(rng.exponential(1 / 3000, n))]
    )
    assert judged(events, ("FSC-A", "PE-A", "Time")).kept is None


def test_too_few_events_are_not_judged_and_the_reason_is_given() -> None:
    events = np.column_stack([np.ones(LEAST_EVENTS - 1), np.arange(LEAST_EVENTS - 1)])
    quality = judged(events, ("FSC-A", "Time"))
    assert (quality.kept, quality.removed) == (None, 0.0)
    assert "1499 events are too few" in quality.skipped
    assert "0 events are too few" in judged(np.empty((0, 2)), ("FSC-A", "Time")).skipped


@pytest.mark.parametrize("clock", ["none", "constant", "backwards"])
def test_a_time_channel_that_is_not_monotone_is_not_used(clock: str) -> None:
    rng = np.random.default_rng(9)
    n = 20_000
    time = {
        "none": None,
        "constant": np.full(n, 7.0),
        "backwards": rng.permutation(n).astype(float),
    }[clock]
    columns = [rng.lognormal(11, 0.3, n)] + ([] if time is None else [time])
    names = ("FSC-A",) if time is None else ("FSC-A", "Time")
    tube = ArrayTube(np.column_stack(columns), names, ("",) * len(names))
    quality = time_quality(tube, tube, {"FSC-A": 0})
    assert "rate" not in quality.channels
    assert quality.kept is None
