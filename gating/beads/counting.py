"""Count the beads in each event that holds one.

An event that holds a bead is a bead, whatever else is in it: a bead that passes the laser with a
cell is brighter than a bead in some detectors and dimmer in none. One that is m times as bright in
every detector that can show it counts as m beads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gating.beads.tight_clusters import ROOM, ROOM_SPREADS, TightCluster

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TWO_BEADS = 1.6


def beads_in_each(values: Floats, scatter: Floats, cluster: TightCluster) -> NDArray[np.int64]:
    """Count the beads in each event that holds one (n,), at least one in each.

    ``values`` (n × detectors) and ``scatter`` (n × channels) are shares of the range. In the
    detectors whose range could show two beads, an event of m beads is m times as bright as one; the
    least of these ratios tells, since a cell beside a bead is dim in some detector. Where every
    detector is at its end, scatter has to tell: twice in both channels (or beyond the range).
    """
    centre = cluster.centre
    able = [i for i in cluster.used if 2 * centre[i] <= 1]
    if able:
        ratio = (values[:, able] / centre[able]).min(axis=1)
        return np.where(ratio < TWO_BEADS, 1, np.rint(ratio)).astype(np.int64)
    if not len(scatter):
        return np.ones(0, dtype=np.int64)
    ratios = scatter / np.maximum(np.median(scatter, axis=0), 1e-12)
    twice = ((np.abs(ratios - 2) <= 0.3) | (scatter >= 1)).all(axis=1) & (scatter < 1).any(axis=1)
    return np.where(twice, 2, 1).astype(np.int64)


def alike(scatter: Floats) -> Bools:
    """Tell which events scatter as most of them do (n,); a bead beside a cell scatters more."""
    if not len(scatter):
        return np.zeros(0, dtype=bool)
    places = np.log(np.maximum(scatter, 1e-9))
    low, middle, high = np.quantile(places, (0.1587, 0.5, 0.8413), axis=0)
    room = np.maximum(ROOM, ROOM_SPREADS * np.minimum(middle - low, high - middle))
    within: Bools = (np.abs(places - middle) <= room).all(axis=1)
    return within
