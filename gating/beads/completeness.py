"""Look for signs that a cluster of beads is not all of the beads of its tube.

A cut cluster is worse than none: 60 % of the beads lost makes all concentrations 2.5 times too
high.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gating.beads.peak_edge import COFACTOR, is_cut_below
from gating.beads.signals import Signals
from gating.beads.tight_clusters import BRIGHT, TightCluster

Floats = NDArray[np.float64]

JUST_OUTSIDE, BETWEEN = 2.2, 0.25
PARTS, UNEVEN, UNLIKELY = 4, 1.25, 5.0
"""Parts of the acquisition, and how much the share of beads may differ between them: as a factor,
and in SDs of counting."""


def events_outside(values: Floats, cluster: TightCluster) -> int:
    """Count the events just below the cluster and between it and the cells.

    The latter are bright in all detectors of the cluster. ``values`` (n × detectors) are the events
    that hold no bead, as shares of the range.
    """
    if not len(values):
        return 0
    just_below = cluster.depth(np.arcsinh(values / COFACTOR)) >= -JUST_OUTSIDE
    centre = np.sinh(cluster.middle[cluster.used]) * COFACTOR
    between = (values[:, cluster.used] >= np.maximum(BETWEEN * centre, BRIGHT)).all(axis=1)
    return int((just_below | between).sum())


def cut_channel(signals: Signals, values: Floats, scatter: Floats, cluster: TightCluster) -> str:
    """Name the first channel in which single beads end sharply at the low side; empty when none.

    So does an acquisition trigger or a drawn region cut. A detector in which beads are dim may be
    the trigger too; there a skewed peak is no cut, only a steep edge is.
    """
    for i, name in enumerate(signals.markers):
        if is_cut_below(values[:, i], steep=i not in cluster.used):
            return name
    columns = zip(signals.scatter_names, scatter.T, strict=True)
    return next((name for name, column in columns if is_cut_below(column)), "")


def uneven_share(rows: NDArray[np.int64], total: int) -> str:
    """Say that the share of beads differs between parts of the acquisition; empty when it does not.

    ``rows`` are the places of the beads among all ``total`` events.
    """
    ends = np.linspace(0, total, PARTS + 1)
    counts, _ = np.histogram(rows, bins=ends)
    low, high = int(counts.min()), int(counts.max())
    if high <= UNEVEN * low or high - low <= UNLIKELY * np.sqrt(high + low):
        return ""
    first, last = (f"{100 * counts[part] / (total / PARTS):.1f} %" for part in (0, -1))
    return (
        f"Beads are {first} of the first quarter of the events and {last} of the last: they "
        f"settled, or did not flow with the cells."
    )
