"""Write gated cells of the whole study as AnnData (h5ad): cells × markers, with patient, visit and population of each cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.strategy.gates import SCATTER
from panels.files.durable import rename_durably
from panels.text.errors import ReconflowError, TubeFault, UsageFault
from tasks.store.tubes import Tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.study.snapshot import StrategyInUse, StudySnapshot
from tasks.tubes.gate_tube import GatedTube, gate_tube
from tasks.tubes.reference_tubes import is_fmo, reference_index
from tasks.vocabulary.moments import elapsed_days

if TYPE_CHECKING:
    import anndata
    import pandas as pd

SEED = 20260101
COFACTOR = 150.0


def write_cells(study: Study, path: Path, per_population: int) -> tuple[int, list[str]]:
    """Write at most ``per_population`` cells of every reported population of every counted tube; gives cells and what was left out.

    ``X`` is asinh(compensated / 150) on a scale of 2^18, the layer ``linear`` the compensated
    values; a marker that a panel lacks is NaN. ``obs`` has one row a cell: patient, visit, day,
    specimen, panel, tube, event, its deepest population, and one Boolean a population. Raises
    UsageFault without the package anndata, ReconflowError when no cell could be written.
    """
    try:
        import anndata
    except ModuleNotFoundError as error:
        raise UsageFault("h5ad needs the package 'anndata': install reconflow[h5ad].") from error
    parts, left_out = [], []
    snapshot = read_snapshot(study)
    with study.store() as store:
        references = reference_index(snapshot, store)
    for tube, used in _counted(snapshot):
        try:
            parts.append(
                _cells(snapshot, tube, gate_tube(study, tube, used, references), per_population)
            )
        except (TubeFault, OSError) as error:
            left_out.append(f"{tube.identity.tube_sha256[:12]} was left out: {error}")
    if not any(len(part) for part in parts):
        raise ReconflowError("There is no gated cell to export: no tube has been counted.")
    joined = anndata.concat([part for part in parts if len(part)], join="outer", fill_value=np.nan)
    for column in joined.obs.columns[joined.obs.columns.str.startswith("is_")]:
        joined.obs[column] = joined.obs[column].fillna(value=False).astype(bool)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        joined.write_h5ad(partial, compression="gzip")
        rename_durably(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return len(joined), left_out


def _counted(snapshot: StudySnapshot) -> Iterator[tuple[Tube, StrategyInUse]]:
    used = snapshot.strategies
    with snapshot.study.store() as store:
        tubes = taken_in(store)
    for tube in tubes:
        if (
            tube.file.state == "counted"
            and tube.identity.panel in used
            and not tube.identity.control
            and not is_fmo(tube.identity)
        ):
            yield tube, used[tube.identity.panel]


def _cells(snapshot: StudySnapshot, tube: Tube, gated: GatedTube, most: int) -> anndata.AnnData:
    import anndata
    import pandas as pd

    rows = _chosen(gated, most, int(tube.identity.tube_sha256[:8], 16))
    strategy, compiled = gated.compiled.strategy, gated.compiled
    markers = [marker for marker in compiled.detector_of if marker not in SCATTER]
    channels = Channels(compiled.gating, gated.events, gated.header)
    compensation = None if compiled.matrix is None else compiled.compensation
    columns = channels.linear(
        [(channels.index(compiled.detector_of[marker]), compensation) for marker in markers], rows
    )
    linear = np.column_stack(
        [c / compiled.factor(m) for c, m in zip(columns, markers, strict=True)]
    ).astype(np.float32)
    cells = anndata.AnnData(
        X=np.arcsinh(linear / COFACTOR),
        obs=_obs(snapshot, tube, gated, rows),
        var=pd.DataFrame(index=markers),
        layers={"linear": linear},
    )
    cells.uns["strategy"] = strategy.name
    return cells


def _chosen(gated: GatedTube, most: int, seed: int) -> np.ndarray:
    """Choose cells of every population at random, the same ones each time."""
    rng = np.random.default_rng([SEED, seed])
    found = []
    for population in gated.compiled.strategy.populations:
        rows = gated.evaluation.rows[gated.compiled.path_of[population.gate]]
        found.append(rows if len(rows) <= most else rng.choice(rows, most, replace=False))
    return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def _obs(snapshot: StudySnapshot, tube: Tube, gated: GatedTube, rows: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    identity, compiled = tube.identity, gated.compiled
    patient = snapshot.patients.patients.get(identity.patient)
    codes, gates = gated.evaluation.codes()
    member = {
        each.id: np.array([compiled.path_of[each.gate] in inside for inside in gates])[codes[rows]]
        for each in compiled.strategy.populations
    }
    depth = {each.id: len(compiled.path_of[each.gate]) for each in compiled.strategy.populations}
    deepest = np.full(len(rows), "", dtype=object)
    for name in sorted(member, key=lambda each: depth[each]):
        deepest[member[name]] = name
    same: Mapping[str, object] = {
        "patient": identity.patient,
        "visit": identity.visit,
        "day": elapsed_days(patient.infused, identity.collected, identity.time_zone)
        if patient
        else np.nan,
        "specimen": identity.specimen,
        "panel": identity.panel,
        "strategy": compiled.strategy.name,
        "panel_sha256": gated.gating.panel_sha256,
        "tube_sha256": identity.tube_sha256,
    }
    columns = {**same, "event": rows, "population": deepest} | {
        f"is_{name}": inside for name, inside in member.items()
    }
    return pd.DataFrame(columns, index=[f"{identity.tube_sha256[:12]}-{row}" for row in rows])
