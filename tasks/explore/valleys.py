"""Join clusters that no valley of density parts."""

from itertools import combinations

import numpy as np

from tasks.explore.cells import Floats, Integers

VALLEY = 0.6
"""Two clusters are two where the density between their middles falls below this share of the lower
of both middles'."""
_PLACES = 65
_REGULARISED = 1e-6


def joined(values: Floats, labels: Integers) -> Integers:
    """Give for each cluster the one it is joined to, numbered anew from 0.

    ``labels`` (events,) are the clusters of ``values`` (events × markers). The two that the
    shallowest valley parts are joined first, until a valley parts every two.
    """
    joined_to = np.arange(int(labels.max(initial=-1)) + 1)
    groups = [values[labels == each] for each in joined_to]
    depth = {
        (one, other): valley(groups[one], groups[other])
        for one, other in combinations(range(len(groups)), 2)
    }
    while depth and max(depth.values()) > VALLEY:
        kept, gone = max(depth, key=lambda pair: (depth[pair], -pair[0], -pair[1]))
        groups[kept] = np.vstack([groups[kept], groups[gone]])
        joined_to[joined_to == gone] = kept
        depth = {pair: each for pair, each in depth.items() if gone not in pair}
        for one, other in depth:
            if kept in (one, other):
                depth[one, other] = valley(groups[one], groups[other])
    renumbered: Integers = np.unique(joined_to, return_inverse=True)[1].reshape(-1)
    return renumbered


def valley(one: Floats, other: Floats) -> float:
    """Give the density between two groups over the lower of the densities at their middles.

    Both are seen on the axis that parts them best (Fisher's), with their true numbers of events: 1
    means that nothing parts them, 0 that the space between is empty. A group too small to have a
    spread is not parted from anything.
    """
    if min(len(one), len(other)) < 3:
        return 1.0
    within = np.atleast_2d((np.cov(one.T) + np.cov(other.T)) / 2)
    within = within + _REGULARISED * np.eye(len(within))
    axis = np.linalg.solve(within, other.mean(axis=0) - one.mean(axis=0))
    first, second = one @ axis, other @ axis
    places = np.linspace(np.median(first), np.median(second), _PLACES)
    density = _density(first, places) + _density(second, places)
    return float(density.min() / min(density[0], density[-1]))


def _density(projected: Floats, places: Floats) -> Floats:
    """Estimate the density of events along an axis at some places (Gaussian kernels)."""
    width = 0.9 * max(float(projected.std()), 1e-12) * len(projected) ** -0.2
    edges = np.linspace(projected.min() - width, projected.max() + width, 513)
    counts, _ = np.histogram(projected, edges)
    middles = (edges[1:] + edges[:-1]) / 2
    kernel = np.exp(-0.5 * ((places[:, None] - middles) / width) ** 2)
    estimated: Floats = kernel @ counts / width
    return estimated
