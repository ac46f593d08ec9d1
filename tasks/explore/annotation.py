"""Describe clusters by their markers and by the gates that hold their cells."""

from dataclasses import dataclass

import numpy as np

from tasks.explore.cells import Cells, Floats, Integers

NOTABLE = 1.0
"""From this difference on (SDs) a marker is said to be high or low."""
MOST_WORDS = 5
_LEAST_SPREAD = 1e-3
_ROBUST = 1.4826


@dataclass(frozen=True, slots=True)
class Enrichment:
    """How a cluster differs from the other cells of its compartment in one marker.

    ``difference`` is that of the medians over the spread within the two groups (robust SD).
    """

    marker: str
    difference: float

    @property
    def word(self) -> str:
        """Say it as a cytometrist does: ``CD21 low``."""
        return f"{self.marker} {'high' if self.difference > 0 else 'low'}"


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a cluster and a population share.

    ``of_cluster`` is the share (0 to 1) of the cluster's cells that lie in the population,
    ``of_population`` that of the population's cells that lie in the cluster.
    """

    population: str
    of_cluster: float
    of_population: float


@dataclass(frozen=True, slots=True)
class Description:
    """One cluster in words; ``enrichments`` has every marker, the most telling first."""

    cluster: int
    enrichments: tuple[Enrichment, ...]
    overlaps: tuple[Overlap, ...]

    @property
    def phenotype(self) -> str:
        """Name the markers that tell it from the rest: ``CD21 low, CD24 low``; empty: none."""
        told = [each.word for each in self.enrichments if abs(each.difference) >= NOTABLE]
        return ", ".join(told[:MOST_WORDS])


def describe(cells: Cells, labels: Integers, count: int) -> tuple[Description, ...]:
    """Describe ``count`` clusters; ``labels`` (events,) are those of the cells."""
    return tuple(_describe(cells, labels, cluster) for cluster in range(count))


def differences(values: Floats, rest: Floats, weight: Floats, rest_weight: Floats) -> Floats:
    """Give the standardised difference of two groups in each marker, (markers,)."""
    medians, spreads = [], []
    for group, weights in ((values, weight), (rest, rest_weight)):
        middle = _medians(group, weights)
        medians.append(middle)
        spreads.append(_ROBUST * _medians(np.abs(group - middle), weights))
    spread = np.sqrt((spreads[0] ** 2 + spreads[1] ** 2) / 2)
    result: Floats = (medians[0] - medians[1]) / np.maximum(spread, _LEAST_SPREAD)
    return result


def enrichments(markers: tuple[str, ...], found: Floats) -> tuple[Enrichment, ...]:
    """Put differences (markers,) in the order of their size."""
    order = np.argsort(-np.abs(found), kind="stable")
    return tuple(Enrichment(markers[i], float(found[i])) for i in order)


def _describe(cells: Cells, labels: Integers, cluster: int) -> Description:
    own = labels == cluster
    if not own.any() or own.all():
        found = np.zeros(len(cells.markers))
    else:
        groups = cells.values[own], cells.values[~own]
        found = differences(*groups, cells.weight[own], cells.weight[~own])
    return Description(cluster, enrichments(cells.markers, found), _overlaps(cells, own))


def _overlaps(cells: Cells, own: np.ndarray) -> tuple[Overlap, ...]:
    """Give the populations that share any cell with a cluster, the largest part of it first."""
    both = cells.weight[own] @ cells.inside[own]
    whole = cells.weight @ cells.inside
    total = cells.weight[own].sum()
    shared = [
        Overlap(name, float(both[i] / total), float(both[i] / whole[i]))
        for i, name in enumerate(cells.populations)
        if both[i] > 0
    ]
    return tuple(sorted(shared, key=lambda each: -each.of_cluster))


def _medians(values: Floats, weight: Floats) -> Floats:
    """Give the weighted median of each column."""
    order = np.argsort(values, axis=0, kind="stable")
    below = np.cumsum(weight[order], axis=0)
    middle = (below < below[-1] / 2).sum(axis=0)
    result: Floats = np.take_along_axis(values, order, axis=0)[middle, np.arange(values.shape[1])]
    return result
