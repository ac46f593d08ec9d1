"""Count a tube under another version beside the current one, and compare their gates' events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gating.evaluation.engine import ENGINE_VERSION
from gating.strategy.catalogue import load_strategy
from panels.text.errors import TubeFault, UsageFault
from tasks.concordance.agreement import f1
from tasks.publish.tables import write_atomically
from tasks.store.gatings import save_gating
from tasks.store.measurements import save_measurements
from tasks.store.tubes import Tube, taken_in, tubes_to_count
from tasks.strategies.in_use import in_use
from tasks.study.folder import Study
from tasks.study.snapshot import StrategyInUse, StudySnapshot
from tasks.tubes.gate_tube import GatedTube, gate_tube, measure_tube
from tasks.tubes.reference_tubes import (
    ReferenceIndex,
    is_fmo,
    measured_with,
    needs_references,
    reference_index,
)
from tasks.tubes.tube_pages import tube_folder
from tasks.tubes.version_overlay import is_laid_over, lay_version_over


@dataclass(frozen=True, slots=True)
class Comparison:
    """The version in use (``current``) and the one it is compared with."""

    panel: str
    current: StrategyInUse
    other: StrategyInUse

    @property
    def name(self) -> str:
        """Name the folder of the comparison: ``bcell@1.0.0__bcell@2.0.0``."""
        return f"{self.current.name}__{self.other.name}"


@dataclass(frozen=True, slots=True)
class Recount:
    """What became of one tube: compared, or the sentence that says why not."""

    tube_sha256: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class RecountInputs:
    """What tubes are recounted with: the study, both versions, and the tubes' reference tubes."""

    study: Study
    compared: Comparison
    references: ReferenceIndex


def comparison(snapshot: StudySnapshot, strategy: str) -> Comparison:
    """Resolve what ``strategy`` is compared with.

    Raises UsageFault when there is nothing to compare.
    """
    release = load_strategy(strategy, snapshot.study.own_strategies)
    panel = release.strategy.panel
    used = snapshot.strategies
    if panel not in used:
        raise UsageFault(
            f"{release.strategy.name} gates the panel {panel}, which this study does not "
            f"count. Its panels: {', '.join(used)}."
        )
    current = used[panel]
    if current.release.sha256 == release.sha256:
        raise UsageFault(
            f"{release.strategy.name} is the version in use: there is nothing to compare it with."
        )
    return Comparison(panel, current, in_use(snapshot.study, release, current.defined))


def folder_of(study: Study, compared: Comparison) -> Path:
    """Give the folder of a comparison."""
    return study.results / "concordance" / compared.name


def tubes_to_compare(study: Study, compared: Comparison) -> list[str]:
    """List the counted tubes of the panel that were not compared yet.

    Raises UsageFault when the current version has to count first.
    """
    pins = {compared.panel: compared.current.name}
    contents = {compared.panel: compared.current.panel_sha256}
    with study.store() as store:
        tubes = [
            tube
            for tube in taken_in(store)
            if tube.identity.panel == compared.panel and not is_fmo(tube.identity)
        ]
        made_of = {tube.identity.tube_sha256: _made_of(compared, tube) for tube in tubes}
        due = tubes_to_count(
            store,
            pins,
            ENGINE_VERSION,
            panels=contents,
            calibrations={
                tube.identity.tube_sha256: compared.current.for_tube(tube).sha256 for tube in tubes
            },
        )
    if due:
        raise UsageFault(
            f"{len(due)} tubes are not counted under {compared.current.name} yet: run "
            f"`reconflow run` first."
        )
    done = folder_of(study, compared) / "tubes"
    return [
        t.identity.tube_sha256
        for t in tubes
        if t.file.state == "counted"
        and not (
            _is_done(done, t.identity.tube_sha256, made_of[t.identity.tube_sha256])
            and is_laid_over(tube_folder(study, t.identity.tube_sha256), compared.other.name)
        )
    ]


def recount_inputs(snapshot: StudySnapshot, compared: Comparison) -> RecountInputs:
    """Read which reference tubes there are; to be called once they were measured."""
    with snapshot.study.store() as store:
        strategies = (compared.current, compared.other)
        references = reference_index(snapshot, store, strategies=strategies)
    return RecountInputs(snapshot.study, compared, references)


def measure_references(snapshot: StudySnapshot, compared: Comparison) -> list[str]:
    """Measure controls and baseline tubes under the other version; gives what failed.

    Its thresholds fetch their references from these measurements.
    """
    if not needs_references(compared.other.release.strategy):
        return []
    study, faults = snapshot.study, []
    with study.store() as store:
        known = reference_index(snapshot, store, strategies=(compared.other,))
        for identity in known.references.get(compared.panel, []):
            if known.is_measured(identity, compared.other.name):
                continue
            tube = next(iter(taken_in(store, tube_sha256=identity.tube_sha256)))
            try:
                measured = measure_tube(study, tube, compared.other)
                with_versions = measured_with(compared.other, compared.other.for_tube(tube))
                save_measurements(store, identity.tube_sha256, with_versions, measured)
            except TubeFault as fault:
                faults.append(str(fault))
    return faults


def recount_tube(inputs: RecountInputs, tube_sha256: str) -> Recount:
    """Gate one tube under both versions, and write down event by event how the gates agree.

    Both without what a person corrected: a correction holds for one version alone. The other
    version's counts are kept beside the current ones, and its gates beside the tube's page, which
    can lay them over its own. The tube's state and its tables are not touched. Raises OSError when
    the archive cannot be reached.
    """
    study, compared = inputs.study, inputs.compared
    with study.store() as store:
        tube = next(iter(taken_in(store, tube_sha256=tube_sha256)))
        try:
            current, other = (
                gate_tube(study, tube, each, inputs.references, corrections=())
                for each in (compared.current, compared.other)
            )
            save_gating(store, other.gating, seen=tube.file)
        except TubeFault as fault:
            return Recount(tube_sha256, str(fault))
    gates = _gates_compared(current, other)
    document = {
        "tube_sha256": tube_sha256,
        "visit": tube.identity.visit,
        "made_of": _made_of(compared, tube),
        "gates": gates,
    }
    path = folder_of(study, compared) / "tubes" / f"{tube_sha256[:12]}.json"
    write_atomically(path, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
    compared_events = {
        gate: (each["current"], each["other"], each["f1"]) for gate, each in gates.items()
    }
    lay_version_over(tube_folder(study, tube_sha256), tube, current, other, compared_events)
    return Recount(tube_sha256)


def _gates_compared(current: GatedTube, other: GatedTube) -> dict[str, dict[str, float | None]]:
    """Give the events of every gate under both versions, and their F1; None where it is missing."""
    gates: dict[str, dict[str, float | None]] = {}
    for gate in dict.fromkeys((*current.compiled.path_of, *other.compiled.path_of)):
        if gate == "root":
            continue
        first, second = _events_of(current, gate), _events_of(other, gate)
        gates[gate] = {
            "current": _count(first),
            "other": _count(second),
            "f1": _score(first, second),
        }
    return gates


def _count(events: np.ndarray | None) -> int | None:
    return None if events is None else len(events)


def _score(first: np.ndarray | None, second: np.ndarray | None) -> float | None:
    """Give F1 with 10 significant digits, None where a gate is missing or both are empty."""
    if first is None or second is None:
        return None
    score = f1(first, second)
    return None if score is None else float(f"{score:.10g}")


def _events_of(gated: GatedTube, gate: str) -> np.ndarray | None:
    """Give the indices of a gate's events, None where the version has no such gate."""
    path = gated.compiled.path_of.get(gate)
    return None if path is None else gated.evaluation.rows[path]


def _made_of(compared: Comparison, tube: Tube) -> str:
    """Name all that the comparison of a tube hangs on: strategies, panel, engine, calibrations."""
    strategies = (compared.current, compared.other)
    calibrations = (each.for_tube(tube).sha256 for each in strategies)
    return " ".join(
        (
            compared.current.release.sha256,
            compared.other.release.sha256,
            compared.current.panel_sha256,
            ENGINE_VERSION,
            *filter(None, calibrations),
        )
    )


def _is_done(folder: Path, tube_sha256: str, made_of: str) -> bool:
    path = folder / f"{tube_sha256[:12]}.json"
    if not path.is_file():
        return False
    document = json.loads(path.read_text(encoding="utf-8"))
    return bool(document.get("tube_sha256") == tube_sha256 and document.get("made_of") == made_of)
