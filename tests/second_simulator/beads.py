"""Counting beads: a tight cluster in every uncompensated detector; doublets, fragments, losses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.second_simulator.instrument import RANGE_END
from tests.second_simulator.scenario import BeadKnobs

Floats = NDArray[np.float64]

SECOND_POPULATION = 0.45
"""How bright beads of the second population are, where a lot has two."""


@dataclass(frozen=True, slots=True, eq=False)
class BeadEvents:
    """Particles that hold beads: ``light`` (n × k), scatter (n × 2), beads in each (0:
    fragments)."""

    light: Floats
    scatter: Floats
    beads: NDArray[np.int64]


def lot_positions(
    rng: np.random.Generator, knobs: BeadKnobs, detectors: int, cell_detector: int, threshold: float
) -> Floats:
    """Draw where the beads of a lot lie in every uncompensated detector at a gain of one."""
    low, high = np.log(knobs.positions)
    positions = np.minimum(
        knobs.centre * np.exp(rng.uniform(low, high, detectors)), 0.8 * RANGE_END
    )
    if knobs.variant == "dim":
        positions = rng.uniform(100, 900, detectors)
        positions[cell_detector] = rng.uniform(3_000, 8_000)
    order = rng.permutation(detectors)
    if knobs.at_range_end == "cut":
        positions[order[:2]] = RANGE_END * rng.uniform(0.98, 1.02, 2)
    beyond = order[
        : {"none": 0, "cut": 0, "some": max(detectors // 3, 1), "all": detectors}[
            knobs.at_range_end
        ]
    ]
    positions[beyond] = RANGE_END * rng.uniform(1.02, 2.0, len(beyond))
    if knobs.variant == "cut_by_threshold":
        positions[cell_detector] = threshold * rng.uniform(0.97, 1.05)
    return positions


def draw_beads(
    rng: np.random.Generator, knobs: BeadKnobs, positions: Floats, number: int
) -> BeadEvents:
    """Draw the particles that ``number`` beads come in, broken ones beside them."""
    pairs = int(rng.binomial(number // 2, knobs.doublets))
    singles = number - 2 * pairs
    one = _single(rng, knobs, positions, singles)
    first, second = _single(rng, knobs, positions, pairs), _single(rng, knobs, positions, pairs)
    fragments = _single(rng, knobs, positions, int(rng.binomial(number, knobs.broken)))
    part = np.exp(rng.uniform(np.log(0.05), np.log(0.6), len(fragments[0])))[:, None]
    scatter = (one[1], first[1] + second[1] * (0.8, 0.9), fragments[1] * part**0.7)
    return BeadEvents(
        np.vstack([one[0], first[0] + second[0], fragments[0] * part]),
        np.vstack(scatter),
        np.repeat([1, 2, 0], [len(part) for part in scatter]),
    )


def _single(
    rng: np.random.Generator, knobs: BeadKnobs, positions: Floats, number: int
) -> tuple[Floats, Floats]:
    """Draw single beads: their size makes half of the spread common to all detectors."""
    size = 1 + knobs.cv * 0.5 * rng.standard_normal(number)
    own = 1 + knobs.cv * 0.8 * rng.standard_normal((number, len(positions)))
    if knobs.variant == "dim":
        own *= rng.gamma(9.0, 1 / 9.0, own.shape)
    light = positions * np.clip(own * size[:, None], 0.05, None)
    if knobs.variant == "two_populations":
        light *= np.where(rng.random(number) < 0.5, 1.0, SECOND_POPULATION)[:, None]
    centre, cv = {
        "own": ((31_000, 195_000), (0.05, 0.04)),
        "lymphocyte": ((66_000, 150_000), (0.06, 0.05)),
        "side_at_range_end": ((33_000, 310_000), (0.05, 0.05)),
    }[knobs.scatter]
    if knobs.variant == "dim":
        centre, cv = (60_000, 24_000), (0.12, 0.2)
    scatter = (
        np.array(centre) * (1 + np.array(cv) * rng.standard_normal((number, 2))) * size[:, None]
    )
    return light, scatter
