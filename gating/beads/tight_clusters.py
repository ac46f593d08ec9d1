"""Find tight clusters among events that are bright in several uncompensated detectors at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gating.beads.peak_edge import COFACTOR

Floats = NDArray[np.float64]

BRIGHT = 0.02
"""Share of a detector's range from which a bead counts as bright in it."""
SEVERAL = 3
NEAR, WIDE = 0.15, 0.45
TIGHT = 0.25
"""Least share of the events within WIDE of a cluster's middle that lie within NEAR of it."""
WIDEST = 0.12
"""Largest robust SD of a bead cluster on the logarithm, about 12 %."""
LEAST_EVENTS = 20
SAMPLED, TRIES = 1500, 6
SETTLED_ON, RESTS = 6000, 0.002
ROOM, ROOM_SPREADS = 0.25, 6.0
"""How far below its middle a cluster reaches: at least 22 %, and six SDs."""


@dataclass(frozen=True, slots=True)
class TightCluster:
    """A tight cluster on the arcsinh scale.

    ``middle`` and ``spread`` (median and robust SD) have one entry a detector; ``used`` are the
    detectors in which the cluster is bright and narrow.
    """

    middle: Floats
    spread: Floats
    used: NDArray[np.int64]

    @property
    def centre(self) -> Floats:
        """Give the middle as shares of each detector's range."""
        return np.asarray(np.sinh(self.middle) * COFACTOR)

    @property
    def room(self) -> Floats:
        """Give how far the cluster reaches to either side in each used detector."""
        return np.maximum(ROOM, ROOM_SPREADS * self.spread[self.used])

    def depth(self, places: Floats) -> Floats:
        """Give each event's lowest place among the used detectors (n,).

        The unit is the room: -1 is the lower border of the cluster.
        """
        lowest: Floats = ((places[:, self.used] - self.middle[self.used]) / self.room).min(axis=1)
        return lowest


def tight_clusters(places: Floats) -> list[TightCluster]:
    """Find the tight clusters among bright events, the largest core first (two at most)."""
    clusters: list[TightCluster] = []
    left = places
    for _ in range(TRIES):
        if len(left) < LEAST_EVENTS or len(clusters) == 2:
            break
        seed = _densest(left)
        if seed is None:
            break
        cluster = _converged(left, seed)
        near = np.abs(left - cluster.middle).max(axis=1) <= WIDE
        if len(cluster.used) >= min(SEVERAL, places.shape[1]) and near.sum() >= LEAST_EVENTS:
            clusters.append(cluster)
        left = left[~near]
    return clusters


def _densest(places: Floats) -> Floats | None:
    """Give the place with most events near it, among those that lie in a tight cluster.

    There a wider box holds hardly more events than a narrow one.
    """
    from scipy.spatial.distance import cdist

    sample = places[:: -(-len(places) // SAMPLED)]
    apart = cdist(sample, sample, "chebyshev")
    near, wide = ((apart <= radius).sum(axis=1) for radius in (NEAR, WIDE))
    tight = near >= np.maximum(5, TIGHT * wide)
    if not tight.any():
        return None
    densest: Floats = sample[int(np.argmax(np.where(tight, near, -1)))]
    return densest


def _converged(places: Floats, seed: Floats) -> TightCluster:
    """Move a box to the median of what is in it until it rests."""
    middle, spread = seed, np.full(len(seed), NEAR / 3)
    sample = places[:: -(-len(places) // SETTLED_ON)]
    for _ in range(10):
        reach = np.clip(4 * spread, NEAR, WIDE)
        inside = sample[(np.abs(sample - middle) <= reach).all(axis=1)]
        if len(inside) < 5:
            break
        before = middle
        low, middle, high = np.quantile(inside, (0.1587, 0.5, 0.8413), axis=0)
        spread = (high - low) / 2
        if np.abs(middle - before).max() < RESTS:
            break
    bright = np.sinh(middle) * COFACTOR >= BRIGHT
    return TightCluster(middle, spread, np.flatnonzero(bright & (spread <= WIDEST)))


def bright_in_several(values: Floats) -> NDArray[np.int64]:
    """List the events that are bright in two thirds of the detectors, and in three at least."""
    count = values.shape[1]
    needed = min(count, max(SEVERAL, -(-2 * count // 3)))
    if not len(values) or count < 2:
        return np.empty(0, dtype=np.int64)
    weakest = np.partition(values, count - needed, axis=1)[:, count - needed]
    return np.flatnonzero(weakest >= BRIGHT)
