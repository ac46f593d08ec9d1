"""Small tubes and draws for tests, by seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.second_simulator.blood import draw_blood
from tests.second_simulator.draw import DrawTruth, simulate_draw
from tests.second_simulator.particles import CODES
from tests.second_simulator.scenario import BeadKnobs, BeadVariant, Kind, Scenario
from tests.second_simulator.tubes import Tube, simulate_tube

SMALL = Scenario(events=12_000)


def tube_of(seed: int, scenario: Scenario = SMALL, kind: Kind = "tbnk") -> Tube:
    rng = np.random.default_rng(seed)
    return simulate_tube(rng, kind, draw_blood(rng, scenario.phase), scenario)


def draw_of(seed: int, folder: Path, scenario: Scenario = SMALL) -> DrawTruth:
    return simulate_draw(np.random.default_rng(seed), scenario, folder)


def with_beads(variant: BeadVariant) -> Scenario:
    return replace(SMALL, beads=BeadKnobs(variant))


def colours(tube: Tube, label: str) -> NDArray[np.float64]:
    return tube.values[tube.codes == CODES[label], 4:-1]
