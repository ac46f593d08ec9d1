"""Judge how far clusters depend on which cells were looked at."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from panels.text.errors import ReconflowError
from tasks.explore.cells import NOISE, Floats, Integers
from tasks.explore.clusters import Clusters

STABLE = 0.6
"""From this mean Jaccard index on a cluster counts as stable. (Hennig 2007: below 0.6 a cluster is
not to be trusted, from 0.75 on it is there.)"""
PARTS = 4
"""The reference is clustered so many times, each time without another one of so many random parts.
Halves would lose clusters of some fifty cells, a hundredth of a visit's B cells."""

Finder = Callable[[Floats, int], Clusters]
"""Finds clusters in some events (n × markers) with a seed."""


@dataclass(frozen=True, slots=True)
class Stability:
    """How well the clusters are found again without a part of their reference.

    ``jaccard`` has one number a cluster: the mean over the parts left out of its best overlap
    (events in both over events in either, 0 to 1). ``rand`` is the adjusted Rand index between
    every two of these clusterings, each dividing the whole reference: 1 is the same, 0 chance.
    """

    jaccard: tuple[float, ...]
    rand: tuple[float, ...]

    @property
    def stable(self) -> tuple[int, ...]:
        """Give the numbers of the clusters that are found again."""
        return tuple(i for i, each in enumerate(self.jaccard) if each >= STABLE)


def stability(values: Floats, labels: Integers, find: Finder, *, seed: int) -> Stability:
    """Cluster a reference without each of its parts, with another seed each time, and compare.

    ``labels`` (n,) are the clusters found in the whole. Where too little is left to cluster, no
    cluster is stable.
    """
    count = int(labels.max(initial=NOISE)) + 1
    order = np.random.default_rng(seed).permutation(len(values))
    again = [
        _divided(values, np.setdiff1d(order, left_out), find, seed + number)
        for number, left_out in enumerate(np.array_split(order, PARTS), start=1)
    ]
    mean = np.mean([best_jaccard(labels, each, count) for each in again], axis=0)
    rand = tuple(adjusted_rand(one, other) for one, other in combinations(again, 2))
    return Stability(tuple(float(each) for each in mean), rand)


def adjusted_rand(one: Integers, other: Integers) -> float:
    """Give the adjusted Rand index of two divisions; events in no cluster are a group as well."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))


def best_jaccard(labels: Integers, other: Integers, count: int) -> Floats:
    """Give for each of ``count`` clusters its best Jaccard index among the other clusters."""
    others = int(other.max(initial=NOISE)) + 1
    if not others or not count:
        return np.zeros(count)
    both = np.zeros((count + 1, others + 1))
    np.add.at(both, (labels, other), 1)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    shared = both[:count, :others] / np.maximum(either[:count, :others], 1)
    best: Floats = shared.max(axis=1)
    return best


def _divided(values: Floats, kept: Integers, find: Finder, seed: int) -> Integers:
    """Cluster some of the events, and divide all of them by what was found."""
    try:
        return find(values[kept], seed).assign(values)
    except ReconflowError:
        return np.full(len(values), NOISE, dtype=np.int64)
