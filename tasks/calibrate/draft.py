"""Draft the calibration of an instrument from the tubes of a study, with the evidence beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gating.calibration.catalogue import (
    FILE,
    known_calibrations,
    place_of,
    read_calibration,
)
from gating.strategy.catalogue import load_strategy
from panels.files.csv_cells import csv_text
from panels.files.durable import write_durably
from panels.files.lock import version_order
from panels.files.yaml_scalars import block, flow
from panels.text.errors import CalibrationFault
from tasks.calibrate.alignment import observe_all
from tasks.calibrate.effect import Effect, effects
from tasks.calibrate.evidence import evidence_page
from tasks.calibrate.instrument_calibration import Heading, Measured, measure_calibration
from tasks.calibrate.measurement_table import COLUMNS, measurement_rows
from tasks.calibrate.tube_choice import chosen_tubes
from tasks.strategies.in_use import strategies_in_use

if TYPE_CHECKING:
    from gating.strategy.model import Strategy
    from tasks.calibrate.threshold_proposals import Proposal
    from tasks.study.folder import Study

MEASUREMENTS, EVIDENCE = "measurements.csv", "evidence.html"
FEW_TUBES, ENOUGH_TUBES = 5, 20
HEAD = ("panel", "instrument", "version", "title", "strategy", "relative_to")
HEADER = """\
# A draft. Look at evidence.html, take out what you do not believe, then release it:
#   reconflow calibrate release {panel} {instrument} {version} --by NAME --reason TEXT
# Linear, compensated intensities on a scale that ends at 262144. Each number was measured; what
# no tube could tell stands under 'unmeasured'. docs/calibration.md explains every key.
"""


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """What to calibrate: panel, instrument, and the names of tubes (empty: baselines and controls).

    ``strategy`` is whose numbers to measure (None: the one in use), ``output`` the folder to write
    to (None: the study's calibrations).
    """

    panel: str
    instrument: str
    tubes: Sequence[str] = ()
    strategy: str | None = None
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A calibration that was drafted: where its files are, and what a person should know of it."""

    folder: Path
    measured: Measured
    effects: Sequence[Effect]
    notes: tuple[str, ...]


def draft_calibration(study: Study, request: DraftRequest) -> Draft:
    """Measure an instrument's numbers on a study's tubes and write them with their evidence.

    Raises CalibrationFault when the tubes do not allow it, UsageFault for an unknown panel or
    strategy.
    """
    used = strategies_in_use(study).get(request.panel)
    if used is None:
        raise CalibrationFault(f"study.yaml has no strategy for a panel '{request.panel}'.")
    strategy = used.release.strategy
    if request.strategy is not None:
        strategy = load_strategy(request.strategy, study.own_strategies).strategy
    _refuse_unmeasurable(strategy, request.panel)
    instrument = re.sub(r"[^\w.-]+", "-", request.instrument.strip()).strip("-")
    if not instrument:
        raise CalibrationFault(f"'{request.instrument}' is no name of an instrument.")
    folder, version = _place(study, request, instrument)
    with ExitStack() as files:
        tubes, cytometers = chosen_tubes(
            study, used.panel, request.instrument, request.tubes, files
        )
        title = f"{request.panel} on {request.instrument}"
        heading = Heading(instrument, version, title, cytometers)
        measured = measure_calibration(strategy, heading, tubes)
        before = observe_all(strategy, measured.tubes)
    changed = effects(strategy, before, measured.final)
    draft = Draft(folder, measured, changed, tuple(_notes(measured)))
    _write(draft)
    return draft


def _refuse_unmeasurable(strategy: Strategy, panel: str) -> None:
    if strategy.panel != panel:
        raise CalibrationFault(f"{strategy.name} gates the panel {strategy.panel}, not {panel}.")
    if strategy.landmarks or any(each.is_measured for each in strategy.thresholds.values()):
        return
    raise CalibrationFault(
        f"{strategy.name} names no reference cells: no landmarks, and no threshold that can be "
        f"measured in a tube. Add 'landmarks' to a new version of it, or name another strategy "
        f"with --strategy (docs/calibration.md)."
    )


def _place(study: Study, request: DraftRequest, instrument: str) -> tuple[Path, str]:
    """Choose the folder of the draft and the version after the last released one."""
    own = study.own_calibrations
    prefix = f"{request.panel}/{instrument}@"
    released = [
        pin.removeprefix(prefix) for pin in known_calibrations(own) if pin.startswith(prefix)
    ]
    version = "1.0.0"
    if released:
        major, minor, _ = max(map(version_order, released))
        version = f"{major}.{minor + 1}.0"
    folder = request.output or place_of(own, f"{prefix}{version}").parent
    if (folder / FILE).exists() and not _is_draft(folder / FILE):
        raise CalibrationFault(
            f"{folder / FILE} was changed since it was drafted, or is no draft. Release it, or "
            f"take it away, and draft again."
        )
    return folder, version


def _is_draft(path: Path) -> bool:
    """Tell whether a calibration is as the draft command wrote it: its last line holds its hash."""
    last = path.read_text(encoding="utf-8", errors="replace").rstrip("\n").rpartition("\n")[2]
    return last == _seal(read_calibration(path).sha256)


def _seal(sha256: str) -> str:
    return f"# drafted {sha256}"


def _notes(measured: Measured) -> list[str]:
    """Say what a person has to know before relying on a draft, the gravest first."""
    notes = []
    if len(measured.tubes) < FEW_TUBES:
        notes.append(
            f"it rests on {len(measured.tubes)} tubes: at least {FEW_TUBES} are needed, better "
            f"{ENOUGH_TUBES}"
        )
    if not measured.alignment.settled:
        notes.append(
            f"the landmarks still moved after {measured.alignment.rounds} rounds: look at every "
            f"picture"
        )
    for name, reason in measured.calibration.unmeasured.items():
        notes.append(f"{name} was not measured ({reason})")
    notes += [f"{each.threshold}: {each.doubt}" for each in measured.proposals if each.doubt]
    return notes


def _write(draft: Draft) -> None:
    draft.folder.mkdir(parents=True, exist_ok=True)
    rows = measurement_rows(draft.measured)
    table = csv_text(COLUMNS, [[str(row[name]) for name in COLUMNS] for row in rows])
    write_durably(draft.folder / MEASUREMENTS, table.encode())
    page = evidence_page(draft.measured, draft.effects, draft.notes)
    write_durably(draft.folder / EVIDENCE, page.encode())
    path = draft.folder / FILE
    text = calibration_yaml(draft.measured)
    write_durably(path, text.encode())
    write_durably(path, f"{text}{_seal(read_calibration(path).sha256)}\n".encode())


def calibration_yaml(measured: Measured) -> str:
    """Write a draft with one number a line, each with the source it rests on."""
    value = measured.calibration
    document = _whole_numbers(
        value.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    )
    head: dict[str, object] = {key: document[key] for key in HEAD if key in document}
    header = HEADER.format(panel=value.panel, instrument=value.instrument, version=value.version)
    lines = [header + block(head).rstrip("\n")]
    lines += _section("cytometers", document.get("cytometers"))
    sources = {each.threshold: _source(each) for each in measured.proposals if each.source}
    lines.append("thresholds:" if document["thresholds"] else "thresholds: {}")
    for name, numbers in document["thresholds"].items():
        lines.append(f"  {name}: {flow(numbers)}  # {sources[name]}")
    for key in ("landmarks", "unmeasured", "targets"):
        lines += _section(key, document.get(key))
    if "beads" in document:
        lines.append(f"beads: {flow(document['beads'])}")
    return "\n".join(lines) + "\n"


def _whole_numbers(value: Any) -> Any:
    """Write 1500.0 as 1500."""
    if isinstance(value, dict):
        return {key: _whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _section(key: str, value: object) -> list[str]:
    if not value:
        return []
    if isinstance(value, dict):
        return [f"{key}:", *(f"  {flow(name)}: {flow(each)}" for name, each in value.items())]
    return block({key: value}).rstrip("\n").splitlines()


def _source(proposal: Proposal) -> str:
    """Name the source that a value was taken from, and on how many tubes it rests."""
    taken = next(each for each in proposal.sources if each.source == proposal.source)
    return f"{taken.source}, {taken.tubes} tubes"
