"""Fit a map of cells (UMAP), and place other cells in it.

McInnes, Healy, Melville 2018 (arXiv:1802.03426), by umap-learn, with what could differ from run to
run taken out: neighbours are exact, the layout starts from principal components and runs on one
thread. Where an event of a tube is placed depends on the map and on the tube's events alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.neighbors import KDTree

Floats = NDArray[np.float32]
LIBRARIES = ("umap-learn", "pynndescent", "numba", "numpy", "scipy", "scikit-learn")
PROBES = 500
BISECTIONS = 64
SMALLEST_SCALE = 1e-3
"""A scale is at least this part of the mean distance, as in umap."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a map is laid out: the parameters of UMAP, in its own words where it has one.

    ``placing_epochs`` is how long placed cells are moved, a third of what umap uses by itself for a
    fit of few cells.
    """

    neighbours: int = 15
    min_dist: float = 0.1
    epochs: int = 200
    placing_epochs: int = 100
    negative_samples: int = 5
    seed: int = 20260101

    @property
    def document(self) -> dict[str, float]:
        """Give the parameters by name."""
        return asdict(self)


def library_versions() -> dict[str, str]:
    """Name the versions of the libraries that decide where a cell lies."""
    return {name: version(name) for name in LIBRARIES}


def fit(values: Floats, layout: Layout) -> Floats:
    """Lay cells (N, markers) out on a map; gives their coordinates (N, 2).

    Cells must be more than the layout's neighbours.
    """
    from umap.umap_ import find_ab_params, simplicial_set_embedding

    distances, indices = _nearest(_tree(values), values, layout.neighbours)
    a, b = find_ab_params(1.0, layout.min_dist)
    coordinates, _ = simplicial_set_embedding(
        values,
        neighbour_graph(distances, indices),
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=layout.negative_samples,
        n_epochs=layout.epochs,
        init=_principal_components(values),
        random_state=np.random.RandomState(layout.seed),
        metric="euclidean",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        parallel=False,
    )
    return np.asarray(coordinates, dtype=np.float32)


class Placing:
    """Places cells in a map that was fitted before, as ``UMAP.transform`` does."""

    def __init__(self, values: Floats, coordinates: Floats, layout: Layout) -> None:
        """Take the map's reference: values (N, markers) and coordinates (N, 2)."""
        self._tree = _tree(values)
        self._coordinates = coordinates
        self._layout = layout

    def place(self, values: Floats) -> Floats:
        """Give the coordinates (n, 2) of cells (n, markers); none for no cells."""
        if len(values) == 0:
            return np.empty((0, 2), dtype=np.float32)
        distances, indices = _nearest(self._tree, values, self._layout.neighbours)
        strengths = membership_strengths(distances)
        start = self._start(strengths, indices)
        return self._moved(start, strengths, indices)

    def _start(self, strengths: Floats, indices: NDArray[np.int32]) -> Floats:
        """Give the mean place of each cell's neighbours; on a neighbour that is the same cell."""
        near = self._coordinates[indices]
        mean = np.einsum("nk,nkd->nd", strengths, near) / strengths.sum(axis=1, keepdims=True)
        same = strengths[:, 0] == 1
        mean[same] = near[same, 0]
        return np.asarray(mean, dtype=np.float32)

    def _moved(self, start: Floats, strengths: Floats, indices: NDArray[np.int32]) -> Floats:
        """Move cells towards their neighbours and away from others; the reference stays."""
        from umap.layouts import optimize_layout_euclidean
        from umap.umap_ import find_ab_params, make_epochs_per_sample

        epochs = self._layout.placing_epochs
        a, b = find_ab_params(1.0, self._layout.min_dist)
        kept = strengths >= strengths.max() / epochs
        heads = np.nonzero(kept)[0].astype(np.int32)
        seeds = np.random.RandomState(self._layout.seed).randint(-(2**31) + 1, 2**31 - 2, 3)
        moved = optimize_layout_euclidean(
            start,
            self._coordinates.astype(np.float32, copy=True),
            heads,
            indices[kept],
            epochs,
            len(self._coordinates),
            make_epochs_per_sample(strengths[kept], epochs),
            a,
            b,
            seeds.astype(np.int64),
            1.0,
            0.25,
            self._layout.negative_samples,
        )
        return np.asarray(moved, dtype=np.float32)


def neighbour_graph(distances: Floats, indices: NDArray[np.int32]) -> csr_matrix:
    """Join cells with their neighbours (both n, k): the sparse graph (n, n) that is laid out.

    Distances count from the nearest other cell; an edge is there if either end says so (the fuzzy
    union, section 3.1).
    """
    from scipy.sparse import csr_matrix

    number, neighbours = distances.shape
    beyond_self = np.where(distances > 0, distances, np.inf).min(axis=1)
    nearest = np.where(np.isfinite(beyond_self), beyond_self, 0)
    strengths = membership_strengths(distances, nearest)
    strengths[indices == np.arange(number)[:, None]] = 0
    starts = np.arange(0, number * neighbours + 1, neighbours)
    one = csr_matrix((strengths.ravel(), indices.ravel(), starts), shape=(number, number))
    one.eliminate_zeros()
    other = one.T.tocsr()
    return (one + other - one.multiply(other)).tocsr()


def membership_strengths(distances: Floats, nearest: Floats | None = None) -> Floats:
    """Give how strongly a cell belongs to each of its neighbours, from distances (n, k).

    That is exp(−d / σ), d counted from ``nearest`` (n,), with σ such that the sum over the second
    to the last neighbour is log2 k. It is umap's ``smooth_knn_dist``, written out because compiling
    that takes as long as reading ten tubes, in every process.
    """
    if nearest is None:
        nearest = np.zeros(len(distances), dtype=np.float32)
    beyond = np.maximum(distances.astype(np.float64) - nearest[:, None], 0)
    target = np.log2(distances.shape[1])
    low, high = np.zeros(len(distances)), np.full(len(distances), np.inf)
    scale = np.ones(len(distances))
    for _ in range(BISECTIONS):
        above = np.exp(-beyond[:, 1:] / scale[:, None]).sum(axis=1) > target
        high = np.where(above, scale, high)
        low = np.where(above, low, scale)
        scale = np.where(np.isinf(high), scale * 2, (low + high) / 2)
    floor = np.where(nearest > 0, distances.mean(axis=1), distances.mean())
    scale = np.maximum(scale, SMALLEST_SCALE * floor)
    strengths = np.exp(-beyond / np.where(scale > 0, scale, 1)[:, None])
    return np.asarray(np.where(scale[:, None] > 0, strengths, 1), dtype=np.float32)


def probes(values: Floats) -> Floats:
    """Make up cells that tell by where they are placed whether placing is as it was.

    They are midpoints of pairs of the reference's cells (N, markers), over all of it.
    """
    chosen = np.linspace(0, len(values) - 1, 2 * PROBES).astype(np.int64)
    return (values[chosen[::2]] + values[chosen[1::2]]) / np.float32(2)


def coordinates_sha256(coordinates: Floats) -> str:
    """Hash coordinates as little-endian 32-bit numbers, row by row."""
    return hashlib.sha256(np.ascontiguousarray(coordinates, dtype="<f4").tobytes()).hexdigest()


def _tree(values: Floats) -> KDTree:
    from sklearn.neighbors import KDTree

    return KDTree(values)


def _nearest(tree: KDTree, values: Floats, neighbours: int) -> tuple[Floats, NDArray[np.int32]]:
    """Find the nearest reference cells of each cell: distances and indices, both (n, k)."""
    distances, indices = tree.query(values, k=neighbours)
    return distances.astype(np.float32), indices.astype(np.int32)


def _principal_components(values: Floats) -> Floats:
    """Give the first two principal components of cells; each points where its largest part does."""
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(np.cov(centred, rowvar=False))
    first = axes[:, ::-1][:, :2]
    first = first * np.sign(first[np.abs(first).argmax(axis=0), [0, 1]])
    return np.asarray(centred @ first, dtype=np.float32)
