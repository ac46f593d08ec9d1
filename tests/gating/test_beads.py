"""Counting beads are found wherever the instrument puts them, and proven whole or not used."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.beads.finding import BeadFinding, find_beads
from gating.beads.signals import Signals
from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.strategy.catalogue import load_strategy
from gating.thresholds.apply import apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import SimulatedTube, simulate_tube
from tests.gating.tubes import ArrayTube

MARKERS = ("CD3", "CD16+CD56", "CD45", "CD4", "CD19", "CD8")
CELLS = {
    "t_cd4_em": 3000,
    "t_cd8_em": 2000,
    "nk": 800,
    "naive_mature_b": 500,
    "monocyte": 1500,
    "granulocyte": 9000,
}
FULL = 262_143.0


@dataclass(frozen=True)
class Lot:
    """Beads as an instrument shows them: places in each detector, spread, doublets, what goes
    wrong."""

    places: tuple[float, ...] = (90_000, 60_000, 120_000, 40_000, 150_000, 70_000)
    cv: float = 0.04
    number: int = 5000
    doublets: int = 60
    scatter: tuple[float, float] = (31_000, 195_000)


@dataclass(frozen=True)
class Crowd:
    """Cells that are bright in one to three detectors each, and dim in the others."""

    number: int = 20_000
    bright: tuple[tuple[int, ...], ...] = ((0, 2, 3), (0, 2, 5), (1, 2), (2, 4), (2,))
    seed: int = 1
    extra: list[np.ndarray] = field(default_factory=list)


def lit(lot: Lot, crowd: Crowd, *, gain: float = 1.0) -> tuple[Signals, np.ndarray]:
    """Give the signals of beads among cells, and which events hold how many beads."""
    rng = np.random.default_rng(crowd.seed)
    cells = rng.lognormal(np.log(250), 0.5, (crowd.number, 6))
    kind = rng.integers(0, len(crowd.bright), crowd.number)
    for number, detectors in enumerate(crowd.bright):
        own = np.flatnonzero(kind == number)
        cells[np.ix_(own, detectors)] = rng.lognormal(
            np.log(14_000), 0.25, (len(own), len(detectors))
        )
    size = 1 + lot.cv / 2 * rng.standard_normal((lot.number, 1))
    beads = np.array(lot.places) * size * (1 + lot.cv * rng.standard_normal((lot.number, 6)))
    pairs = beads[: lot.doublets] + beads[lot.doublets : 2 * lot.doublets]
    alone = beads[2 * lot.doublets :]
    near = np.array(lot.scatter) * (1 + 0.05 * rng.standard_normal((len(alone), 2)))
    far = 2 * np.array(lot.scatter) * (1 + 0.05 * rng.standard_normal((len(pairs), 2)))
    cell_scatter = rng.lognormal(np.log([80_000, 60_000]), 0.4, (crowd.number, 2))
    light = np.vstack([cells, alone, pairs, *crowd.extra])
    more = (
        np.vstack([np.tile(lot.scatter, (len(each), 1)) for each in crowd.extra])
        if crowd.extra
        else np.empty((0, 2))
    )
    scatter = np.vstack([cell_scatter, near, far, more])
    holds = np.repeat([0, 1, 2, 0], [len(cells), len(alone), len(pairs), len(more)])
    order = rng.permutation(len(light))
    signals = Signals(
        MARKERS,
        np.minimum(gain * light / FULL, 1)[order],
        ("FSC-A", "SSC-A"),
        np.minimum(scatter / FULL, 1)[order],
    )
    return signals, holds[order]


def test_every_bead_is_found_and_a_doublet_is_two() -> None:
    signals, holds = lit(Lot(), Crowd())
    found = find_beads(signals)
    assert (found.state, found.beads, found.events) == ("proven", holds.sum(), (holds > 0).sum())
    assert found.multiple == 60
    assert found.centre["CD3"] == pytest.approx(90_000 / FULL, rel=0.02)
    assert 0.03 < found.cv["CD3"] < 0.06


@pytest.mark.parametrize("gain", [0.5, 0.75, 0.87, 1.0, 1.4, 2.0, 4.0])
def test_a_drift_of_all_detectors_loses_no_bead(gain: float) -> None:
    signals, holds = lit(Lot(), Crowd(), gain=gain)
    found = find_beads(signals)
    assert found.state == "proven"
    assert abs(found.beads - holds.sum()) <= 0.002 * holds.sum()


def test_beads_at_the_end_of_every_range_are_found_and_their_doublets_by_scatter() -> None:
    signals, holds = lit(Lot(places=(300_000,) * 6, cv=0.05, scatter=(31_000, 120_000)), Crowd())
    found = find_beads(signals)
    assert (found.state, set(found.at_end)) == ("proven", set(MARKERS))
    assert abs(found.beads - holds.sum()) <= 0.005 * holds.sum()


@given(
    places=st.lists(st.floats(25_000, 400_000), min_size=6, max_size=6),
    cv=st.floats(0.02, 0.06),
    number=st.integers(1000, 8000),
    seed=st.integers(0, 1000),
)
def test_beads_are_counted_wherever_they_lie(
    places: list[float], cv: float, number: int, seed: int
) -> None:
    lot = Lot(places=tuple(places), cv=cv, number=number, doublets=number // 80)
    signals, holds = lit(lot, Crowd(seed=seed))
    found = find_beads(signals)
    assert found.state == "proven", found.reason
    assert abs(found.beads - holds.sum()) <= 0.01 * holds.sum()


def test_a_tube_without_beads_has_none() -> None:
    signals, _ = lit(Lot(number=0, doublets=0), Crowd())
    assert (find_beads(signals).state, find_beads(signals).beads) == ("absent", 0)
    nothing = Signals(MARKERS, np.empty((0, 6)), ("FSC-A", "SSC-A"), np.empty((0, 2)))
    assert find_beads(nothing).state == "absent"


def test_few_beads_are_counted_as_few() -> None:
    signals, holds = lit(Lot(number=300, doublets=0), Crowd())
    assert find_beads(signals).beads == pytest.approx(holds.sum(), abs=2)


@pytest.mark.parametrize("detector", range(6))
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_cluster_cut_in_any_detector_is_not_proven(detector: int, share: float) -> None:
    signals, holds = lit(Lot(), Crowd())
    column = signals.fluorescence[:, detector]
    border = np.quantile(column[holds > 0], share)
    kept = (holds == 0) | (column >= border)
    cut = Signals(MARKERS, signals.fluorescence[kept], signals.scatter_names, signals.scatter[kept])
    found = find_beads(cut)
    assert found.state == "incomplete"
    assert MARKERS[detector] in found.reason


def test_beads_half_below_the_trigger_of_forward_scatter_are_not_proven() -> None:
    signals, holds = lit(Lot(), Crowd())
    kept = (holds == 0) | (signals.scatter[:, 0] >= 31_000 / FULL)
    found = find_beads(
        Signals(MARKERS, signals.fluorescence[kept], signals.scatter_names, signals.scatter[kept])
    )
    assert (found.state, "FSC-A" in found.reason) == ("incomplete", True)


def test_a_trigger_in_a_detector_in_which_beads_are_dim_is_noticed() -> None:
    signals, holds = lit(Lot(places=(90_000, 60_000, 1_000, 40_000, 150_000, 70_000)), Crowd())
    kept = (holds == 0) | (signals.fluorescence[:, 2] >= 1_000 / FULL)
    found = find_beads(
        Signals(MARKERS, signals.fluorescence[kept], signals.scatter_names, signals.scatter[kept])
    )
    assert (found.state, "CD45" in found.reason) == ("incomplete", True)


@pytest.mark.parametrize("brightness", [0.35, 0.45, 0.7, 2.2])
def test_two_kinds_of_beads_are_no_proof(brightness: float) -> None:
    rng = np.random.default_rng(5)
    second = brightness * np.array(Lot().places) * (1 + 0.04 * rng.standard_normal((2500, 6)))
    signals, _ = lit(Lot(), Crowd(extra=[second]))
    assert find_beads(signals).state == "incomplete"


def test_a_declared_position_chooses_between_two_clusters_and_is_needed_for_none() -> None:
    rng = np.random.default_rng(5)
    second = (
        0.2
        * np.array(Lot(places=(200_000,) * 6).places)
        * (1 + 0.04 * rng.standard_normal((6000, 6)))
    )
    signals, holds = lit(Lot(places=(200_000,) * 6), Crowd(extra=[second]))
    assert find_beads(signals).state == "incomplete"
    found = find_beads(signals, dict.fromkeys(MARKERS, 190_000 / FULL))
    assert abs(found.beads - holds.sum()) <= 0.002 * holds.sum()


def test_events_between_the_beads_and_the_cells_are_no_proof() -> None:
    rng = np.random.default_rng(6)
    fragments = (
        rng.uniform(0.3, 0.95, (600, 1))
        * np.array(Lot().places)
        * (1 + 0.04 * rng.standard_normal((600, 6)))
    )
    signals, _ = lit(Lot(), Crowd(extra=[fragments]))
    found = find_beads(signals)
    assert found.state == "incomplete"
    assert found.outside > 100


def test_beads_that_settle_while_the_tube_is_acquired_are_not_proven() -> None:
    signals, holds = lit(Lot(), Crowd())
    place = np.arange(len(holds)) / len(holds)
    kept = (holds == 0) | (np.random.default_rng(8).random(len(holds)) > 0.6 * place)
    found = find_beads(
        Signals(MARKERS, signals.fluorescence[kept], signals.scatter_names, signals.scatter[kept])
    )
    assert (found.state, "settled" in found.reason) == ("incomplete", True)


def test_dim_beads_that_overlap_cells_are_not_counted() -> None:
    signals, _ = lit(Lot(places=(3_000,) * 6, cv=0.3), Crowd())
    assert find_beads(signals).state != "proven"


def test_clumped_beads_are_no_proof() -> None:
    signals, _ = lit(Lot(doublets=1000), Crowd())
    assert find_beads(signals).state == "incomplete"


def test_shuffling_events_changes_nothing() -> None:
    signals, _ = lit(Lot(), Crowd())
    order = np.random.default_rng(3).permutation(len(signals.scatter))
    shuffled = Signals(
        MARKERS, signals.fluorescence[order], signals.scatter_names, signals.scatter[order]
    )
    first, second = find_beads(signals), find_beads(shuffled)
    assert (first.state, first.beads, first.events) == (second.state, second.beads, second.events)


# In a whole tube


def simulated(seed: int = 1, **conditions: object) -> tuple[SimulatedTube, ArrayTube]:
    made = simulate_tube(
        load_panel("tbnk"), CELLS, Conditions(**conditions), np.random.default_rng(seed)
    )  # type: ignore[arg-type]
    events = made.events.astype(np.float64)
    from gating.fcs.spillover import Spill

    return made, ArrayTube(
        events, made.detectors, made.labels, Spill(made.spill_detectors, made.stored_spill)
    )


def beads_in(tube: SimulatedTube) -> int:
    bead = tube.truth.kinds.index("bead")
    return int((tube.truth.kind == bead).sum() + (tube.truth.partner == bead).sum())


def applied(tube: ArrayTube, pin: str = "tbnk"):
    return apply_strategy(
        load_strategy(pin).strategy, match_panel(load_panel("tbnk"), tube.channels), tube, tube
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("gain", [0.6, 0.8, 1.0, 1.4])
def test_a_tube_counts_all_its_beads_at_any_gain_and_its_gate_holds_them(gain: float) -> None:
    made, tube = simulated(
        beads=4000.0, gain=dict.fromkeys((s.detector for s in load_panel("tbnk").markers), gain)
    )
    result = applied(tube)
    assert result.beads.state == "proven"
    assert abs(result.beads.beads - beads_in(made)) <= 0.002 * beads_in(made)
    assert result.evaluation.count(("root", "beads")) == result.beads.events


def test_the_bead_gate_of_a_tube_without_beads_keeps_nothing() -> None:
    _, tube = simulated(beads=0.0)
    result = applied(tube)
    assert result.beads.state == "absent"
    assert result.evaluation.count(("root", "beads")) == 0
    assert result.evaluation.count(("root", "not_beads")) == tube.count


def test_a_strategy_whose_gate_has_declared_borders_is_held_against_the_beads_found() -> None:
    from tasks.tubes.bead_count import count_beads

    _, whole = simulated(beads=4000.0)
    result = applied(whole, "tbnk@2.0.0")
    assert (
        count_beads(result.compiled, result.evaluation, result.beads).numbers["beads"]["state"]
        == "proven"
    )
    dim = dict.fromkeys((s.detector for s in load_panel("tbnk").markers), 0.15)
    _, cut = simulated(beads=4000.0, gain=dim)
    result = applied(cut, "tbnk@2.0.0")
    numbers = count_beads(result.compiled, result.evaluation, result.beads).numbers["beads"]
    assert (numbers["state"], "declared gate" in numbers["reason"]) == ("incomplete", True)


def test_the_bead_gate_is_written_where_the_strategy_expects_it() -> None:
    strategy = load_strategy("tbnk").strategy
    _, tube = simulated(beads=4000.0)
    match = match_panel(load_panel("tbnk"), tube.channels)
    nowhere = compile_strategy(strategy, match, tube)  # type: ignore[arg-type]
    assert evaluate(nowhere.gating, tube, tube).count(("root", "beads")) == 0  # type: ignore[arg-type]
    placed = compile_strategy(
        strategy, match, tube, beads=BeadFinding("proven", floor={"CD3": 0.5})
    )  # type: ignore[arg-type]
    assert (
        evaluate(placed.gating, tube, tube).count(("root", "beads"))
        == (tube.column(match.channel["CD3"]) >= 0.5 * FULL).sum()
    )  # type: ignore[arg-type]
