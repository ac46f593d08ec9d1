"""A calibration tells what its own tubes showed of the instrument, where these are enough."""

import numpy as np
import pytest

from gating.beads.finding import NO_BEADS, BeadFinding
from gating.strategy.catalogue import load_strategy
from gating.thresholds.measure import AnchorMeasurement, ThresholdMeasurement
from tasks.calibrate.control_targets import control_targets
from tasks.calibrate.observation import Observation

STRATEGY = load_strategy("tbnk").strategy
MEDIANS = np.random.default_rng(2).normal(11_800, 150, 12).tolist()


def seen(median: float, cells: int = 1000, beads: BeadFinding = NO_BEADS) -> Observation:
    measured = ThresholdMeasurement(None, None, AnchorMeasurement(cells, median))
    return Observation({}, {"cd3": measured}, {}, {}, beads)


def test_a_target_is_mean_and_sd_between_tubes() -> None:
    (name,) = targets = control_targets(STRATEGY, [seen(median) for median in MEDIANS])
    assert name == "t_cells/CD3/median"
    assert targets[name].mean == pytest.approx(np.mean(MEDIANS), rel=1e-3)
    assert targets[name].sd == pytest.approx(np.std(MEDIANS, ddof=1), rel=1e-3)
    assert targets[name].tubes == 12


def test_nine_tubes_set_no_target_nor_do_those_with_too_few_cells() -> None:
    assert control_targets(STRATEGY, [seen(median) for median in MEDIANS[:9]]) == {}
    few = [seen(median, cells=20 if i > 8 else 500) for i, median in enumerate(MEDIANS)]
    assert control_targets(STRATEGY, few) == {}
    assert control_targets(STRATEGY, [seen(11_800.0)] * 12) == {}


def test_beads_have_their_targets() -> None:
    tubes = [
        seen(11_800.0, beads=BeadFinding("proven", centre={"CD3": place}, cv={"CD3": 0.04}))
        for place in np.linspace(0.50, 0.52, 12)
    ]
    targets = control_targets(STRATEGY, tubes)
    assert set(targets) == {"beads/CD3/median"}
    assert targets["beads/CD3/median"].mean == pytest.approx(0.51 * 262_144, rel=1e-3)
