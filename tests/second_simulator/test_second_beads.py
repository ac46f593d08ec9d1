"""The second simulator's counting beads look and get lost as its scenario says."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from tests.second_simulator.blood import CELLS, POPULATIONS, amounts, draw_blood
from tests.second_simulator.draw import TubeTruth
from tests.second_simulator.instrument import RANGE_END
from tests.second_simulator.particles import CODES
from tests.second_simulator.scenario import (
    BeadKnobs,
    Scenario,
    with_shifted_gains,
)
from tests.second_simulator.small import SMALL, colours, draw_of, tube_of, with_beads
from tests.second_simulator.tubes import PANELS, simulate_tube


def test_the_bead_ratio_gives_the_true_concentration() -> None:
    ratios = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        cells = draw_blood(rng, "baseline")
        tube = simulate_tube(rng, "tbnk", cells, Scenario(events=30_000))
        counts = tube.counts
        t_cells = sum(counts.get(kind, 0) for kind in POPULATIONS["t_cells"].sure)
        found = t_cells / counts["bead"] * 49_713 / 50
        ratios.append(found / amounts(cells)["t_cells"].value)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.06)
    assert 0.01 < np.std(ratios) < 0.08


@pytest.mark.parametrize("scenario", [SMALL, with_shifted_gains(SMALL)])
def test_beads_are_one_tight_cluster_in_every_uncompensated_detector(scenario: Scenario) -> None:
    tube = tube_of(6, replace(scenario, beads=BeadKnobs(centre=60_000.0)))
    beads = colours(tube, "bead")
    medians = np.median(beads, axis=0)
    assert tube.bead_positions is not None
    inside = medians < 0.9 * RANGE_END
    spread = stats.median_abs_deviation(beads, scale="normal")[inside] / medians[inside]
    np.testing.assert_allclose(medians[inside], tube.bead_positions[inside], rtol=0.03)
    assert inside.sum() >= 4
    assert ((spread > 0.03) & (spread < 0.065)).all()
    assert tube.counts["bead_pair"] == pytest.approx(0.01 * tube.counts["bead"], rel=0.8)
    assert tube.counts["bead_with_cell"] > 0


@pytest.mark.parametrize(
    ("where", "least", "most"), [("none", 0, 0), ("cut", 0, 2), ("some", 1, 3), ("all", 6, 6)]
)
def test_beads_brighter_than_the_range_pile_up_at_its_end(
    where: Literal["none", "cut", "some", "all"], least: int, most: int
) -> None:
    beads = colours(tube_of(7, replace(SMALL, beads=BeadKnobs(at_range_end=where))), "bead")
    piled = (beads == RANGE_END).mean(axis=0) > 0.4
    assert least <= piled.sum() <= most


def test_a_cluster_cut_by_the_threshold_has_lost_beads_that_no_event_shows() -> None:
    cut, whole = tube_of(8, with_beads("cut_by_threshold")), tube_of(8)
    column = list(PANELS["tbnk"]).index("CD45")
    dimmest = colours(cut, "bead")[:, column].min()
    assert SMALL.threshold <= dimmest < SMALL.threshold * 1.02
    assert 0.2 < cut.counts["bead"] / whole.counts["bead"] < 0.9


def test_lost_few_and_absent_beads_are_as_many_as_said(tmp_path: Path) -> None:
    def tbnk(name: str, scenario: Scenario) -> TubeTruth:
        return draw_of(9, tmp_path / name, replace(scenario, tubes=("tbnk",))).tubes[0]

    whole, few = tbnk("whole", SMALL), tbnk("few", with_beads("few"))
    none, lost = tbnk("none", with_beads("none")), tbnk("lost", with_beads("lost"))
    assert (whole.verdict, few.verdict, none.verdict, lost.verdict) == (
        "sound",
        "few",
        "absent",
        "incomplete",
    )
    assert few.bead_events == pytest.approx(300, abs=70)
    assert none.beads == none.bead_events == 0
    assert lost.beads / lost.effective_volume_ul == pytest.approx(
        0.4 * whole.beads / whole.effective_volume_ul, rel=0.1
    )


def test_a_lot_may_have_two_populations() -> None:
    beads = colours(tube_of(10, with_beads("two_populations")), "bead")
    column = int(np.argmin(np.abs(np.median(beads, axis=0) - 60_000)))
    low, high = np.percentile(beads[:, column], [25, 75])
    assert low / high == pytest.approx(0.45, abs=0.05)


def test_dim_beads_lie_among_the_cells() -> None:
    tube = tube_of(11, with_beads("dim"))
    cells = tube.values[tube.codes < len(CELLS), :-1]
    beads = np.median(tube.values[tube.codes == CODES["bead"], :-1], axis=0)
    assert (beads < np.percentile(cells, 99, axis=0)).all()
    assert (beads[4:] < 9_000).all()


def test_beads_that_settle_become_fewer_while_the_cells_do_not() -> None:
    tube = tube_of(12, with_beads("settling"))
    beads = tube.codes == CODES["bead"]
    last = np.arange(len(beads)) > 0.8 * len(beads)
    assert beads[last].mean() < 0.85 * beads[~last].mean()


def test_an_acquisition_that_drifts_moves_beads_and_cells_alike() -> None:
    tube = tube_of(12, replace(SMALL, drift=0.2))
    late = np.arange(len(tube.codes)) > len(tube.codes) / 2
    for label, column, tolerance in (("bead", 8, 0.02), ("t4_memory", 6, 0.05)):
        rows, values = tube.codes == CODES[label], tube.values[:, column]
        assert np.median(values[rows & late]) / np.median(values[rows & ~late]) == pytest.approx(
            1.1, abs=tolerance
        )
    assert (np.diff(tube.values[:, -1]) >= 0).all()
