"""Write gated cells of the whole study as AnnData (h5ad), cells × markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.strategy.gates import SCATTER
from panels.files.durable import rename_durably
from panels.text.errors import ReconflowError, TubeFault, UsageFault
from tasks.store.exclusions import excluded_tubes
from tasks.store.tubes import Tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.study.snapshot import StrategyInUse, StudySnapshot
from tasks.tubes.gate_tube import GatedTube, gate_tube
from tasks.tubes.reference_tubes import reference_index
from tasks.vocabulary.moments import elapsed_days

if TYPE_CHECKING:
    import anndata
    import pandas as pd

SEED = 20260101
COFACTOR = 150.0


def write_cells(study: Study, path: Path, per_population: int) -> tuple[int, list[str]]:
    """Write at most ``per_population`` cells of every reported population of every counted tube.

    Gives the number of cells, and sentences on the tubes that were left out. ``X`` is
    asinh(compensated / 150) on a scale of 2^18, the layer ``linear`` the compensated values; a
    marker that a panel lacks is NaN. ``obs`` has one row a cell: patient, visit, day, specimen,
    panel, calibration, corrections, tube, event, its deepest population, and one Boolean a
    population. Raises UsageFault without the package anndata, ReconflowError when no cell could be
    written.
    """
    require_anndata()
    parts, left_out = [], []
    snapshot = read_snapshot(study)
    with study.store() as store:
        references = reference_index(snapshot, store)
    for tube, used in _counted(snapshot):
        try:
            gated = gate_tube(study, tube, used, references)
            parts.append(tube_cells(snapshot, tube, gated, _chosen(gated, per_population)))
        except (TubeFault, OSError) as error:
            left_out.append(f"{tube.identity.tube_sha256[:12]} was left out: {error}")
    if not any(len(part) for part in parts):
        raise ReconflowError("There is no gated cell to export: no tube has been counted.")
    joined = joined_cells(parts)
    write_h5ad(joined, path)
    return len(joined), left_out


def require_anndata() -> None:
    """Raise UsageFault without the package that writes h5ad."""
    if find_spec("anndata") is None:
        raise UsageFault("h5ad needs the package 'anndata': install reconflow[h5ad].")


def joined_cells(parts: Sequence[anndata.AnnData]) -> anndata.AnnData:
    """Put the cells of tubes together; a marker or population that one has not is NaN or False.

    Visits are categories in the order of their days, as plots should have them.
    """
    import anndata
    import pandas as pd

    joined = anndata.concat([part for part in parts if len(part)], join="outer", fill_value=np.nan)
    for column in joined.obs.columns[joined.obs.columns.str.startswith("is_")]:
        joined.obs[column] = joined.obs[column].fillna(value=False).astype(bool)
    days = joined.obs.groupby("visit", observed=True)["day"].median()
    joined.obs["visit"] = pd.Categorical(joined.obs["visit"], days.sort_values().index)
    return joined


def write_h5ad(cells: anndata.AnnData, path: Path) -> None:
    """Write beside the target first, so that no half file ever has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        cells.write_h5ad(partial, compression="gzip")
        rename_durably(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _counted(snapshot: StudySnapshot) -> Iterator[tuple[Tube, StrategyInUse]]:
    """Yield the counted tubes that are no controls and not excluded, with their strategy in use."""
    used = snapshot.strategies
    with snapshot.study.store() as store:
        tubes, excluded = taken_in(store), excluded_tubes(store)
    for tube in tubes:
        if tube.identity.control or tube.identity.tube_sha256 in excluded:
            continue
        if tube.file.state == "counted" and tube.identity.panel in used:
            yield tube, used[tube.identity.panel]


def tube_cells(
    snapshot: StudySnapshot, tube: Tube, gated: GatedTube, rows: np.ndarray
) -> anndata.AnnData:
    """Give some events of a gated tube, by their indices ``rows`` (n,), as cells × markers."""
    import anndata
    import pandas as pd

    markers = [marker for marker in gated.compiled.detector_of if marker not in SCATTER]
    linear = _linear(gated, markers, rows)
    cells = anndata.AnnData(
        X=np.arcsinh(linear / COFACTOR),
        obs=_obs(snapshot, tube, gated, rows),
        var=pd.DataFrame(index=markers),
        layers={"linear": linear},
    )
    cells.uns["strategy"] = gated.compiled.strategy.name
    return cells


def _linear(gated: GatedTube, markers: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """Give the compensated values (cells × markers) on a scale of 2^18."""
    compiled = gated.compiled
    channels = Channels(compiled.gating, gated.events, gated.header)
    compensation = None if compiled.matrix is None else compiled.compensation
    columns = channels.linear(
        [(channels.index(compiled.detector_of[marker]), compensation) for marker in markers], rows
    )
    scaled = [
        column / compiled.factor(marker) for column, marker in zip(columns, markers, strict=True)
    ]
    return np.column_stack(scaled).astype(np.float32)


def _chosen(gated: GatedTube, most: int) -> np.ndarray:
    """Choose cells of every population at random, the same ones each time."""
    rng = np.random.default_rng([SEED, int(gated.gating.tube_sha256[:8], 16)])
    chosen: list[np.ndarray] = []
    for population in gated.compiled.strategy.populations:
        rows = gated.evaluation.rows[gated.compiled.path_of[population.gate]]
        if len(rows) > most:
            rows = rng.choice(rows, most, replace=False)
        chosen.append(rows)
    if not chosen:
        return np.empty(0, dtype=np.int64)
    return np.unique(np.concatenate(chosen))


def _obs(snapshot: StudySnapshot, tube: Tube, gated: GatedTube, rows: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    identity, compiled = tube.identity, gated.compiled
    patient = snapshot.patients.patients.get(identity.patient)
    day = np.nan
    if patient:
        day = elapsed_days(patient.infused, identity.collected, identity.time_zone)
    members = _members(gated, rows)
    same_for_all: Mapping[str, object] = {
        "patient": identity.patient,
        "visit": identity.visit,
        "day": day,
        "specimen": identity.specimen,
        "panel": identity.panel,
        "strategy": compiled.strategy.name,
        "panel_sha256": gated.gating.panel_sha256,
        "calibration": gated.gating.calibration,
        "calibration_sha256": gated.gating.calibration_sha256,
        "correction_sha256": gated.gating.correction_sha256,
        "tube_sha256": identity.tube_sha256,
    }
    columns = {
        **same_for_all,
        "event": rows,
        "population": _deepest(gated, members, len(rows)),
        **{f"is_{name}": inside for name, inside in members.items()},
    }
    return pd.DataFrame(columns, index=[f"{identity.tube_sha256[:12]}-{row}" for row in rows])


def _members(gated: GatedTube, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Mark for each population which of the rows belong to it."""
    compiled = gated.compiled
    codes, gates = gated.evaluation.codes()
    return {
        each.id: np.array([compiled.path_of[each.gate] in inside for inside in gates])[codes[rows]]
        for each in compiled.strategy.populations
    }


def _deepest(gated: GatedTube, members: Mapping[str, np.ndarray], cells: int) -> np.ndarray:
    """Name for each cell the population whose gate lies deepest among those it belongs to."""
    compiled = gated.compiled
    depth = {each.id: len(compiled.path_of[each.gate]) for each in compiled.strategy.populations}
    deepest = np.full(cells, "", dtype=object)
    for name in sorted(members, key=lambda each: depth[each]):
        deepest[members[name]] = name
    return deepest
