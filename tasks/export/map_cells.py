"""Write the cells of a map as AnnData (h5ad), with their places on the map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from panels.text.errors import MapFault, ReconflowError, TubeFault
from tasks.explore.cells import NOISE, Integers
from tasks.explore.compartments import compartment
from tasks.explore.explore import Exploration, explore
from tasks.explore.map_files import newest_version
from tasks.export.cells import joined_cells, require_anndata, tube_cells, write_h5ad
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.tubes.gate_tube import gate_tube
from tasks.tubes.reference_tubes import reference_index

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from tasks.study.folder import Study
    from tasks.study.snapshot import StudySnapshot

NO_CLUSTER = "none"


def write_map_cells(study: Study, path: Path, name: str) -> tuple[int, list[str]]:
    """Write the cells of all tubes that are on a compartment's newest map.

    Gives the number of cells, and sentences on the tubes that were left out. Beside what
    ``write_cells`` writes of a cell there are its coordinates, ``obsm["X_umap"]``, its ``cluster``
    and its ``weight``, the number of events of the compartment in its tube for which it stands, and
    in ``uns["map"]`` which map it is. Raises UsageFault without the package anndata or for an
    unknown compartment, MapFault where there is no map, ReconflowError when no cell could be
    written.
    """
    require_anndata()
    snapshot = read_snapshot(study)
    what = compartment(snapshot, name)
    if newest_version(study, what.id) is None:
        raise MapFault(
            f"There is no map of {what.id} to export: reconflow explore --compartment {what.id} "
            f"makes one."
        )
    done = explore(snapshot, name)
    parts, faults = _parts(snapshot, done)
    if not parts:
        raise ReconflowError(f"No tube on {done.map.record.map} has a cell that can be read.")
    joined = joined_cells(parts)
    joined.obs["cluster"] = _clusters(joined.obs["cluster"].to_numpy())
    joined.uns["map"] = _map(done)
    write_h5ad(joined, path)
    return len(joined), faults


def _parts(snapshot: StudySnapshot, done: Exploration) -> tuple[list[anndata.AnnData], list[str]]:
    """Read the cells of each placed tube, with their coordinates."""
    parts, faults = [], []
    with snapshot.study.store() as store:
        references = reference_index(snapshot, store)
        known = {tube.identity.tube_sha256: tube for tube in taken_in(store)}
    for placed in done.tubes:
        events = placed.events
        if not len(events.rows):
            continue
        tube = known[events.tube_sha256]
        try:
            gated = gate_tube(snapshot.study, tube, done.compartment.used, references)
        except (TubeFault, OSError) as error:
            faults.append(f"{events.tube_sha256[:12]} was left out: {error}")
            continue
        cells = tube_cells(snapshot, tube, gated, events.rows)
        cells.obsm["X_umap"] = np.asarray(placed.coordinates, dtype=np.float32)
        cells.obs["weight"] = events.weights
        cells.obs["cluster"] = placed.labels
        parts.append(cells)
    return parts, faults


def _clusters(labels: Integers) -> pd.Categorical:
    """Name clusters (n,) as the page does, from 1 and in this order; cells in none come last.

    No name is empty and none is missing: a plot's legend and a test between groups say what it is.
    """
    import pandas as pd

    known = [str(each + 1) for each in np.unique(labels[labels != NOISE])]
    names = np.where(labels == NOISE, NO_CLUSTER, (labels + 1).astype(str)).astype(object)
    return pd.Categorical(names, [*known, NO_CLUSTER] if NOISE in labels else known)


def _map(done: Exploration) -> dict[str, object]:
    """Say which map it is, and of what made."""
    record = done.map.record
    return {
        "map": record.map,
        "map_sha256": done.map.sha256,
        "coordinates_sha256": record.coordinates_sha256,
        "strategy": record.strategy,
        "markers": list(record.names),
        "libraries": dict(record.libraries),
        "exploratory": "no table, parameter or flag reads a map",
    }
