"""Count the events of a tube's compartment in each cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.explore.cells import NOISE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.explore.clusters import Clusters

AT_ONCE = 20_000
"""So many events are assigned at once, which bounds the memory that their neighbours take."""


@dataclass(frozen=True, slots=True)
class ClusterCounts:
    """How many events of a tube's compartment are in each cluster, in the clusters' order.

    ``counted`` of the compartment's ``events`` were assigned: all of them, or of a very large
    compartment a part by chance in which every event had the same chance.
    """

    counts: tuple[int, ...]
    counted: int
    events: int

    @property
    def outside(self) -> int:
        """Count the events that are in no cluster."""
        return self.counted - sum(self.counts)

    @property
    def outside_share(self) -> float:
        """Give the share (0 to 1) of the events that are in no cluster; 0 without an event."""
        return self.outside / self.counted if self.counted else 0.0

    def share(self, cluster: int) -> float:
        """Give the share (0 to 1) of the compartment's events in a cluster; 0 without an event."""
        return self.counts[cluster] / self.counted if self.counted else 0.0


def cluster_counts(clusters: Clusters, values: NDArray[np.float32], events: int) -> ClusterCounts:
    """Assign the events of a tube (n × markers of the map) and count each cluster.

    ``events`` are all those of the compartment, of which ``values`` are all or a part by chance.
    """
    found = np.zeros(clusters.count, dtype=np.int64)
    for start in range(0, len(values), AT_ONCE):
        labels = clusters.assign(values[start : start + AT_ONCE].astype(np.float64))
        found += np.bincount(labels[labels != NOISE], minlength=clusters.count)
    return ClusterCounts(tuple(int(each) for each in found), len(values), events)
