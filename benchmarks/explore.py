"""Measure what a map costs, and how a visit that is placed in it agrees with a joint fit.

    PYTHONPATH=. python benchmarks/explore.py --study DIR [--compartment b_cells] [--evidence]

DIR is a counted study (`reconflow demo DIR`); it is read, and nothing is written in it. The costs
of map and clusters are of a reference of 20,000 cells and 50,000 placed ones, drawn with
replacement from the tubes' events, with noise of a hundredth of the scale, so that all differ.

With ``--evidence`` every third visit is held back in turn: a map is fitted on all other visits, the
visit is placed in it, and both are compared with a map fitted on all visits together. Two joint
fits that differ in their seed alone tell how much such maps agree at all.

- trustworthiness (Venna and Kaski 2001): of the visit's own cells, 15 neighbours;
- neighbours kept: share of a cell's 15 nearest cells of the other visits by the markers that are
  among its 50 nearest on the map;
- neighbours agree: share of a cell's 50 nearest cells of the other visits on one map that are among
  its 50 nearest on the other map;
- same gates: share of cells whose gates are those of most of their 15 neighbours on the map.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

import flows.process_start  # noqa: F401 - before anything imports numpy
from tasks.explore.cluster_counts import cluster_counts
from tasks.explore.compartments import compartment
from tasks.explore.embedding import Layout, Placing, fit, neighbour_graph
from tasks.explore.findings import judge
from tasks.explore.reference import MOST, Reference, reference_of
from tasks.explore.study_tubes import tubes_of
from tasks.explore.tube_events import MOST_COUNTED, compartment_events, sampled
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import open_study
from tasks.tubes.gate_tube import gate_tube
from tasks.tubes.reference_tubes import reference_index

if TYPE_CHECKING:
    from tasks.explore.tube_events import TubeEvents

Floats = NDArray[np.float32]
PLACED, PER_PLACING = 50_000, 2_000
NEAR, WIDE = 15, 50
FEWEST, MOST_JUDGED = 200, 2_000


@dataclass(frozen=True)
class Tubes:
    """The tubes of a compartment: patient and visit of each, and its sampled events."""

    markers: tuple[str, ...]
    named: list[tuple[str, str]]
    events: list[TubeEvents]

    def reference(self, visits: Sequence[str]) -> Reference:
        """Choose a reference of some visits."""
        return reference_of(
            [
                (patient, events)
                for (patient, visit), events in zip(self.named, self.events, strict=True)
                if visit in visits
            ]
        )


def read(folder: Path, name: str) -> Tubes:
    """Gate the tubes of a compartment and sample its events, as a night does."""
    snapshot = read_snapshot(open_study(folder))
    what = compartment(snapshot, name)
    listed, _ = tubes_of(snapshot, what)
    with snapshot.study.store() as store:
        references = reference_index(snapshot, store)
    with timed(f"reading {len(listed)} tubes"):
        events = [
            sampled(
                compartment_events(
                    gate_tube(snapshot.study, each.tube, what.used, references), what
                )
            )
            for each in listed
        ]
    named = [(each.tube.identity.patient, each.tube.identity.visit) for each in listed]
    return Tubes(what.markers, named, events)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what something took: seconds of processor time, and seconds that passed."""
    processor, clock = time.process_time(), time.perf_counter()
    yield
    print(
        f"{what}: {time.process_time() - processor:.1f} s of processor time "
        f"({time.perf_counter() - clock:.1f} s passed)"
    )


def costs(tubes: Tubes) -> None:
    """Fit and cluster 20,000 cells, place 50,000 and assign them, and print what it took."""
    rng = np.random.default_rng(1)
    known = tubes.reference([visit for _, visit in tubes.named]).of(tubes.markers)

    def drawn(number: int) -> Floats:
        chosen = known[rng.integers(0, len(known), number)]
        return (chosen + rng.normal(0, 0.01, chosen.shape)).astype(np.float32)

    values, others = drawn(MOST), drawn(PLACED)
    layout = Layout()
    with timed("loading and compiling"):
        few = drawn(400)
        Placing(few, fit(few, layout), layout).place(few[:50])
    with timed(f"fitting {MOST:,} cells"):
        coordinates = fit(values, layout)
    placing = Placing(values, coordinates, layout)
    with timed(f"placing {PLACED:,} cells, {PER_PLACING:,} at once"):
        for start in range(0, PLACED, PER_PLACING):
            placing.place(others[start : start + PER_PLACING])
    with timed(f"clusters of {MOST:,} cells, how stable they are, and a mixture"):
        judged = judge(values.astype(np.float64))
    with timed(f"clusters of {PLACED:,} placed cells"):
        for start in range(0, PLACED, PER_PLACING):
            judged.clusters.assign(others[start : start + PER_PLACING].astype(np.float64))
    every = drawn(MOST_COUNTED)
    with timed(f"counting the clusters of one tube in {MOST_COUNTED:,} cells"):
        cluster_counts(judged.clusters, every, MOST_COUNTED)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"peak memory of the process: {peak:.0f} MB")


def against_umap(tubes: Tubes) -> None:
    """Compare graph and placing with umap's own functions, which take longer to compile."""
    from sklearn.neighbors import KDTree
    from umap.umap_ import fuzzy_simplicial_set, smooth_knn_dist

    from tasks.explore.embedding import membership_strengths

    values = tubes.reference([visit for _, visit in tubes.named]).of(tubes.markers)[:4000]
    distances, indices = KDTree(values).query(values, k=NEAR)
    near, which = distances.astype(np.float32), indices.astype(np.int32)
    umaps, _, _ = fuzzy_simplicial_set(
        values, NEAR, np.random.RandomState(1), "euclidean", knn_indices=which, knn_dists=near
    )
    scales, _ = smooth_knn_dist(near, float(NEAR), local_connectivity=0.0)
    graph = np.abs((umaps - neighbour_graph(near, which)).data).max(initial=0)
    strengths = np.abs(np.exp(-near / scales[:, None]) - membership_strengths(near)).max()
    print(f"largest difference from umap's own: graph {graph:.1e}, placing {strengths:.1e}")


def evidence(tubes: Tubes) -> None:
    """Hold visits back in turn and print how placed ones agree with joint fits."""
    visits = sorted({visit for _, visit in tubes.named}, key=lambda each: int(each[1:]))
    everything = tubes.reference(visits)
    joint = fit(everything.of(tubes.markers), Layout())
    reseeded = fit(everything.of(tubes.markers), replace(Layout(), seed=7))
    visit_of = np.array(
        [
            visit
            for sha in everything.tubes
            for (_, visit), events in zip(tubes.named, tubes.events, strict=True)
            if events.tube_sha256 == sha
        ]
    )[everything.tube]
    print("visit  cells  trustworthiness  neighbours kept  same gates  neighbours agree")
    print("              placed   joint   placed   joint    placed joint  placed  two joint fits")
    for visit in visits[::3]:
        held = visit_of == visit
        if held.sum() < FEWEST:
            continue
        one_visit(tubes, everything, (joint, reseeded), held, visit)


def one_visit(
    tubes: Tubes,
    everything: Reference,
    joint: tuple[Floats, Floats],
    held: NDArray[np.bool_],
    visit: str,
) -> None:
    """Fit a map without a visit, place it, and print how that agrees with the joint maps."""
    values, layout = everything.of(tubes.markers), Layout()
    gates = [everything.sets[code] for code in everything.codes]
    without = fit(values[~held], layout)
    placed = Placing(values[~held], without, layout).place(values[held])
    chosen = np.random.default_rng(2).permutation(int(held.sum()))[:MOST_JUDGED]
    its, others = values[held][chosen], values[~held]
    by_markers = nearest(others, its, NEAR)
    maps = {
        "placed": (placed[chosen], without),
        "joint": (joint[0][held][chosen], joint[0][~held]),
        "reseeded": (joint[1][held][chosen], joint[1][~held]),
    }
    on_map = {name: nearest(them, mine, WIDE) for name, (mine, them) in maps.items()}
    its_gates = [gate for gate, inside in zip(gates, held, strict=True) if inside]
    others_gates = [gate for gate, inside in zip(gates, held, strict=True) if not inside]
    mine_gates = [its_gates[place] for place in chosen]

    def trusted(name: str) -> float:
        return float(trustworthiness(its, maps[name][0], n_neighbors=NEAR))

    def same(name: str) -> float:
        return gates_agree(mine_gates, others_gates, on_map[name][:, :NEAR])

    kept = [overlap(by_markers, on_map[name]) for name in ("placed", "joint")]
    agree = [overlap(on_map["joint"], on_map[name]) for name in ("placed", "reseeded")]
    print(
        f"{visit:<6} {held.sum():>5}  {trusted('placed'):.3f}    {trusted('joint'):.3f}   "
        f"{kept[0]:.2f}     {kept[1]:.2f}     {same('placed'):.3f} {same('joint'):.3f}   "
        f"{agree[0]:.2f}    {agree[1]:.2f}",
        flush=True,
    )


def nearest(known: Floats, asked: Floats, number: int) -> NDArray[np.int64]:
    """Find the nearest of some cells for each that is asked about, the nearest first."""
    found = NearestNeighbors(n_neighbors=number).fit(known)
    return np.asarray(found.kneighbors(asked, return_distance=False))


def overlap(wanted: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Give the mean share of the wanted neighbours that were found."""
    hits = [np.isin(one, other).mean() for one, other in zip(wanted, found, strict=True)]
    return float(np.mean(hits))


def gates_agree(
    mine: Sequence[tuple[str, ...]], others: Sequence[tuple[str, ...]], near: NDArray[np.int64]
) -> float:
    """Give the share of cells whose gates are those of most of their neighbours."""
    right = []
    for gates, places in zip(mine, near, strict=True):
        around = [others[place] for place in places]
        right.append(max(set(around), key=around.count) == gates)
    return float(np.mean(right))


def main() -> None:
    """Read the study and print costs, agreement with umap, and evidence where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True)
    parser.add_argument("--compartment", default="b_cells")
    parser.add_argument("--evidence", action="store_true")
    given = parser.parse_args()
    tubes = read(given.study, given.compartment)
    costs(tubes)
    against_umap(tubes)
    if given.evidence:
        evidence(tubes)


if __name__ == "__main__":
    main()
