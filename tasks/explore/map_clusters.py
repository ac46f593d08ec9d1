"""Keep the clusters of a map beside it, and assign the events of tubes to them, each tube once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panels.files.lock import canonical_sha256
from panels.text.errors import ReconflowError
from tasks.explore.arrays_file import kept_arrays, write_arrays
from tasks.explore.cells import NOISE, Booleans, Cells, Integers, leaf_populations
from tasks.explore.cluster_counts import ClusterCounts, cluster_counts
from tasks.explore.clusters import DensityClusters
from tasks.explore.compartments import ancestors, defining_markers
from tasks.explore.findings import Findings, Judged, findings, judge
from tasks.explore.map_files import maps_folder
from tasks.explore.placing import events_sha256
from tasks.explore.reference import columns_of
from tasks.explore.stability import Stability
from tasks.explore.tube_events import MOST_COUNTED

if TYPE_CHECKING:
    from gating.strategy.model import Strategy
    from tasks.explore.compartments import Compartment
    from tasks.explore.map_files import FittedMap
    from tasks.explore.tube_events import TubeEvents
    from tasks.study.folder import Study

CLUSTERS = "clusters"
RULE = 1
"""Raised when the same cells would give other clusters."""
SEED = 17
LIBRARIES = ("scikit-learn", "scipy")
"""These find the clusters, and the nearest dense events by which others are assigned to them."""


class MapClusters:
    """The clusters of a map of a study: found when the map is new, else as they were kept.

    ``findings`` is None where none can be looked for, and ``fault`` is the sentence why.
    """

    def __init__(self, study: Study, fitted: FittedMap, compartment: Compartment) -> None:
        name, _, number = fitted.record.map.rpartition("@")
        self._folder = maps_folder(study, name) / number
        self._names = fitted.record.names
        libraries = [version(each) for each in LIBRARIES]
        self._key = canonical_sha256([fitted.sha256, RULE, SEED, *libraries])
        self.findings: Findings | None = None
        self.fault = ""
        cells = reference_cells(fitted, compartment)
        try:
            self.findings = findings(cells, self._judged(cells))
        except ReconflowError as fault:
            self.fault = str(fault)

    def of_tube(
        self, events: TubeEvents, counted_as: str, counted: Callable[[], NDArray[np.float32]]
    ) -> tuple[Integers, ClusterCounts]:
        """Give the cluster of each sampled event of a tube (n,), and how many events each has.

        NOISE are those in none. ``counted`` reads the values (m, markers of the sample) of the
        events to be counted, and is called where the tube was not counted by an earlier run;
        ``counted_as`` stands for what gated it.
        """
        if self.findings is None:
            none = np.full(len(events.rows), NOISE, dtype=np.int64)
            return none, ClusterCounts((), 0, events.events)
        path = self._folder / CLUSTERS / f"{events.tube_sha256[:12]}.npz"
        parts = [self._key, clusters_sha256(self.findings.judged.clusters)]
        key = canonical_sha256([*parts, events_sha256(events), counted_as, MOST_COUNTED])
        kept = kept_arrays(path, key)
        if kept is not None:
            head, arrays = kept
            known = ClusterCounts(tuple(head["counts"]), head["counted"], events.events)
            return arrays["labels"], known
        labels, counts = self._assigned(self.findings, events, counted())
        write_arrays(
            path,
            {"key": key, "counts": counts.counts, "counted": counts.counted},
            {"labels": labels},
        )
        return labels, counts

    def _assigned(
        self, found: Findings, events: TubeEvents, counted: NDArray[np.float32]
    ) -> tuple[Integers, ClusterCounts]:
        clusters = found.judged.clusters
        shown, values = (
            columns_of(each, events.markers, self._names) for each in (events.values, counted)
        )
        labels = clusters.assign(shown.astype(np.float64))
        return labels, cluster_counts(clusters, values, events.events)

    def _judged(self, cells: Cells) -> Judged:
        """Read the clusters that were kept beside the map, or find them and keep them."""
        path = self._folder / f"{CLUSTERS}.npz"
        kept = kept_arrays(path, self._key)
        if kept is None:
            judged = judge(cells.values, seed=SEED)
            _keep(path, self._key, judged)
            return judged
        head, arrays = kept
        return Judged(
            DensityClusters(arrays["values"], arrays["owner"], arrays["reach"]),
            arrays["labels"],
            Stability(tuple(head["jaccard"]), tuple(head["rand"])),
            head["agreement"],
        )


def clusters_sha256(clusters: DensityClusters) -> str:
    """Hash what events are assigned by: another computer may find slightly other clusters."""
    parts = (
        clusters.values.astype("<f8"),
        clusters.owner.astype("<i8"),
        clusters.reach.astype("<f8"),
    )
    return hashlib.sha256(b"".join(each.tobytes() for each in parts)).hexdigest()


def reference_cells(fitted: FittedMap, compartment: Compartment) -> Cells:
    """Give the cells of a map's reference with the reported populations that hold them.

    A population whose gates are drawn on no marker that may make the map names no cells of it.
    """
    reference, strategy = fitted.reference, compartment.used.release.strategy
    gate_of = {id_: each.gate for id_, each in compartment.used.populations.items()}
    of_code = np.array(
        [[gate in gates for gate in gate_of.values()] for gates in reference.sets], dtype=bool
    ).reshape(len(reference.sets), len(gate_of))
    inside = of_code[reference.codes]
    return Cells(
        markers=fitted.record.names,
        values=reference.of(fitted.record.names).astype(np.float64),
        tube=reference.tube.astype(np.int64),
        weight=reference.weights,
        populations=tuple(gate_of),
        inside=inside,
        leaves=naming_populations(
            strategy, gate_of, inside, compartment.population, compartment.markers
        ),
    )


def naming_populations(
    strategy: Strategy,
    gate_of: Mapping[str, str],
    inside: Booleans,
    compartment: str,
    markers: Sequence[str],
) -> tuple[str, ...]:
    """Choose the populations that name cells of a compartment on a map of some ``markers``.

    ``gate_of`` gives the gate of each reported population, in the order of the columns of
    ``inside`` (events × populations). A population is left out as ``leaf_populations`` does, and
    when its gates are drawn on none of the markers.
    """
    paths = {
        id_: ("root", *reversed(ancestors(strategy, gate)), gate) for id_, gate in gate_of.items()
    }
    return tuple(
        id_
        for id_ in leaf_populations(paths, inside, compartment)
        if defining_markers(strategy, gate_of[id_]) & {*markers}
    )


def _keep(path: Path, key: str, judged: Judged) -> None:
    head = {
        "key": key,
        "jaccard": judged.stability.jaccard,
        "rand": judged.stability.rand,
        "agreement": judged.agreement,
    }
    clusters = judged.clusters
    arrays = {"values": clusters.values, "owner": clusters.owner, "reach": clusters.reach}
    write_arrays(path, head, {**arrays, "labels": judged.labels})
