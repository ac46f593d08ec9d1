"""Find clusters of cells by their markers, and assign further cells to them.

Two methods: ``density`` (HDBSCAN) finds how many dense regions there are and leaves what lies
between them out; ``mixture`` (Gaussian mixtures, their number chosen by BIC) divides everything.
Both are fitted once, on a reference; later events are assigned, never fitted again. An event far
from every cluster belongs to none (``NOISE``), in the reference as in later tubes.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from panels.text.errors import ReconflowError
from tasks.explore.cells import NOISE, Floats, Integers
from tasks.explore.valleys import joined

Method = Literal["density", "mixture"]

FEWEST_EVENTS = 200
"""Fewer events are not clustered: the smallest cluster would be a fifth of them."""
SMALLEST_SHARE = 1 / 600
"""The smallest cluster, as a share of the reference: 33 of 20,000 events."""
SMALLEST_CLUSTER = 15
DENSITY_NEIGHBOURS = 3
"""So many neighbours measure density: few, so that clusters of some fifty events are found. That a
broad cloud falls into pieces is repaired afterwards."""
NEIGHBOURS = 15
"""So many neighbours decide which cluster an event is assigned to."""
REACH = 3.0
"""How far from a cluster's dense events its others may be: beyond the upper quartile of such
distances in the reference by so many interquartile ranges (Tukey's outer fence)."""
THINNED = 200
"""So many events of each cluster stay when what is in none is looked at again."""
MOSTLY_FAR = 0.8
"""Of the events of a region found there, so many must have been in no cluster."""
MOST_COMPONENTS = 15
MIXTURE_EVENTS = 5_000
"""A mixture is fitted on at most so many events: on 20,000 real ones it took minutes."""
_BEYOND = 1e-4
_REGULARISED = 1e-5


class Clusters(Protocol):
    """Clusters found in a reference, numbered from 0."""

    @property
    def count(self) -> int:
        """Count the clusters."""

    def assign(self, values: Floats) -> Integers:
        """Give the cluster of each event (events × markers), NOISE for those in none."""


@dataclass(frozen=True, slots=True, eq=False)
class DensityClusters:
    """Clusters as their dense events: ``values`` (m × markers), the cluster of each, (m,).

    An event belongs to the cluster of most of its nearest dense events, if the farthest of them is
    within the ``reach`` (clusters,) of that cluster.
    """

    values: Floats
    owner: Integers
    reach: Floats
    neighbours: int = NEIGHBOURS

    @property
    def count(self) -> int:
        """Count the clusters."""
        return len(self.reach)

    def assign(self, values: Floats) -> Integers:
        """Give the cluster of each event, NOISE for those too far from all dense events."""
        if not self.count or not len(values):
            return np.full(len(values), NOISE, dtype=np.int64)
        chosen, distance = self.nearest(values)
        return np.where(distance <= self.reach[chosen], chosen, NOISE).astype(np.int64)

    def nearest(self, values: Floats) -> tuple[Integers, Floats]:
        """Give the cluster of most of each event's nearest dense events, and how far they are.

        The distance (events,) is that to the farthest of them.
        """
        distance, near = _nearest(self.values, self.neighbours, values)
        votes = np.zeros((len(values), self.count), dtype=np.int64)
        for column in self.owner[near].T:
            votes[np.arange(len(values)), column] += 1
        return votes.argmax(axis=1), distance


@dataclass(frozen=True, slots=True, eq=False)
class MixtureClusters:
    """Clusters as Gaussians: ``weights`` (k,), ``means`` (k × m), ``precisions`` (k × m × m)."""

    weights: Floats
    means: Floats
    precisions: Floats

    @property
    def count(self) -> int:
        """Count the clusters."""
        return len(self.weights)

    def assign(self, values: Floats) -> Integers:
        """Give the likeliest component of each event, NOISE beyond 99.99 % of it."""
        if not self.count or not len(values):
            return np.full(len(values), NOISE, dtype=np.int64)
        from scipy.stats import chi2

        away = np.column_stack(
            [
                np.einsum("ij,jk,ik->i", values - mean, precision, values - mean)
                for mean, precision in zip(self.means, self.precisions, strict=True)
            ]
        )
        spread = np.linalg.slogdet(self.precisions)[1]
        chosen = (np.log(self.weights) + 0.5 * spread - 0.5 * away).argmax(axis=1)
        is_near = away[np.arange(len(values)), chosen] <= chi2.isf(_BEYOND, values.shape[1])
        return np.where(is_near, chosen, NOISE).astype(np.int64)


def find_clusters(values: Floats, method: Method = "density", *, seed: int = 0) -> Clusters:
    """Find the clusters of a reference (events × markers, display scale).

    ``seed`` is the start of a mixture; density needs none. There may be no cluster at all. Raises
    ReconflowError where there are too few events, or no marker in which they differ.
    """
    if method == "density":
        return find_density(values)
    _refuse_hopeless(values)
    return _by_mixture(values, seed)


def _refuse_hopeless(values: Floats) -> None:
    if len(values) < FEWEST_EVENTS:
        raise ReconflowError(
            f"{len(values)} cells are too few to look for clusters: it takes {FEWEST_EVENTS}."
        )
    if not np.ptp(values, axis=0).any():
        raise ReconflowError("No marker differs between the cells: there is nothing to cluster.")


def smallest_cluster(events: int) -> int:
    """Give how many of so many reference events the smallest cluster has."""
    return max(SMALLEST_CLUSTER, round(events * SMALLEST_SHARE))


def find_density(values: Floats) -> DensityClusters:
    """Find the regions that are denser than what lies between them.

    A region may be chance within a broad cloud: those with no valley between them are joined. A
    small sparse one beside a large dense one is missed, so what is then far from all clusters is
    looked at again. Raises as ``find_clusters`` does.
    """
    _refuse_hopeless(values)
    least = smallest_cluster(len(values))
    leaves = _leaves(values, least)
    found = _clusters_of(values, leaves)
    labels = found.assign(values)
    if not found.count or np.count_nonzero(labels == NOISE) < least:
        return found
    more = _leaves_of_far(values, labels, least)
    leaves[more >= 0] = leaves.max() + 1 + more[more >= 0]
    return _clusters_of(values, leaves)


def _leaves(values: Floats, least: int) -> Integers:
    """Give the leaf of HDBSCAN's tree of each event (n,), NOISE for those in none.

    Its other choice ("excess of mass") keeps memory and double-negative B cells in one cluster.
    """
    from sklearn.cluster import HDBSCAN

    found = HDBSCAN(
        min_cluster_size=least,
        min_samples=DENSITY_NEIGHBOURS,
        cluster_selection_method="leaf",
        copy=True,
    ).fit(values)
    labels: Integers = found.labels_.astype(np.int64)
    return labels


def _leaves_of_far(values: Floats, labels: Integers, least: int) -> Integers:
    """Give the leaves (n,) among the events in no cluster, with the clusters thinned beside them.

    A dense cloud has a halo that reaches its sparse neighbour; thinned to the neighbour's size, as
    in density-dependent downsampling (Qiu 2011), it has none.
    """
    thinned = [
        own[:: max(1, len(own) // THINNED)]
        for own in (np.flatnonzero(labels == each) for each in range(int(labels.max()) + 1))
    ]
    rows = np.concatenate([np.flatnonzero(labels == NOISE), *thinned])
    found = _leaves(values[rows], least)
    leaves = np.full(len(values), NOISE, dtype=np.int64)
    kept = 0
    for each in range(int(found.max()) + 1):
        own = rows[found == each]
        if np.mean(labels[own] == NOISE) >= MOSTLY_FAR:
            leaves[own] = kept
            kept += 1
    return leaves


def _clusters_of(values: Floats, leaves: Integers) -> DensityClusters:
    """Make clusters of leaves (n,), those joined that no valley parts."""
    dense = leaves >= 0
    core, leaf = values[dense], leaves[dense]
    if not len(core):
        return DensityClusters(core, leaf, np.empty(0))
    everywhere = DensityClusters(core, leaf, np.full(int(leaf.max()) + 1, np.inf))
    labels, distance = everywhere.nearest(values)
    joined_to = joined(values, labels)
    return DensityClusters(core, joined_to[leaf], _reach(joined_to[labels], distance))


def _reach(owner: Integers, distance: Floats) -> Floats:
    """Give how far from the dense events of each cluster an event may lie that belongs to it."""
    reach = []
    for each in range(int(owner.max()) + 1):
        low, high = np.quantile(distance[owner == each], [0.25, 0.75])
        reach.append(high + REACH * (high - low))
    return np.array(reach)


def _by_mixture(values: Floats, seed: int) -> MixtureClusters:
    """Fit mixtures of more and more components until BIC has risen three times in a row."""
    from sklearn.mixture import GaussianMixture

    if len(values) > MIXTURE_EVENTS:
        some = np.random.default_rng(seed).choice(len(values), MIXTURE_EVENTS, replace=False)
        values = values[np.sort(some)]
    best, lowest, worse = None, np.inf, 0
    for components in range(1, MOST_COMPONENTS + 1):
        fitted = GaussianMixture(
            components, reg_covar=_REGULARISED, max_iter=300, tol=1e-3, random_state=seed
        ).fit(values)
        score = fitted.bic(values)
        if score < lowest:
            best, lowest, worse = fitted, score, 0
            continue
        worse += 1
        if worse == 3:
            break
    assert best is not None
    return MixtureClusters(best.weights_, best.means_, best.precisions_)


def _nearest(core: Floats, neighbours: int, values: Floats) -> tuple[Floats, Integers]:
    """Give the distance to the farthest of the nearest core events, (n,), and which, (n × k)."""
    from scipy.spatial import KDTree

    ranks = np.arange(1, min(neighbours, len(core)) + 1)
    distance, near = KDTree(core).query(values, k=ranks)
    return distance[:, -1], near
