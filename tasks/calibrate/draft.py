"""Draft the calibration of an instrument from the tubes of a study, with the evidence beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gating.calibration.catalogue import FILE, place_of
from gating.strategy.catalogue import load_strategy
from panels.files.csv_cells import csv_text
from panels.files.durable import write_durably
from panels.text.errors import CalibrationFault
from panels.text.plural import counted
from tasks.calibrate.draft_file import sealed_yaml
from tasks.calibrate.draft_notes import draft_notes, silent_tubes, telling_tubes
from tasks.calibrate.draft_place import draft_place, instrument_name
from tasks.calibrate.effect import Effects, effects_of
from tasks.calibrate.evidence import evidence_page
from tasks.calibrate.instrument_calibration import Heading, Measured, measure_calibration
from tasks.calibrate.measurement_table import COLUMNS, measurement_rows
from tasks.calibrate.tube_choice import chosen_tubes
from tasks.strategies.in_use import strategies_in_use

if TYPE_CHECKING:
    from gating.strategy.model import Strategy
    from tasks.study.folder import Study

MEASUREMENTS, EVIDENCE, NOTES = "measurements.csv", "evidence.html", "notes.txt"
MOST_REASONS = 3


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
    """A calibration that was drafted: where its files are, and what a person should know of it.

    ``release_from`` is the folder where the release looks for it.
    """

    folder: Path
    release_from: Path
    measured: Measured
    effects: Effects
    notes: tuple[str, ...]

    @property
    def telling(self) -> int:
        """Count the tubes that tell anything."""
        return telling_tubes(self.measured)


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
    instrument, own = instrument_name(request.instrument), study.own_calibrations
    folder, version = draft_place(own, request.panel, instrument, request.output)
    with ExitStack() as files:
        chosen = chosen_tubes(study, used.panel, request.instrument, request.tubes, files)
        title = f"{request.panel} on {request.instrument}"
        heading = Heading(instrument, version, title, chosen.cytometers, chosen.known_as)
        measured = measure_calibration(strategy, heading, chosen.tubes)
        _refuse_nothing_measured(measured)
        changed = effects_of(measured, used, request.instrument)
    release_from = place_of(own, measured.calibration.pin).parent
    draft = Draft(folder, release_from, measured, changed, draft_notes(measured, chosen))
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


def _refuse_nothing_measured(measured: Measured) -> None:
    """Refuse a draft without any threshold: released, it would be a calibration of nothing."""
    if measured.calibration.thresholds:
        return
    reasons = [*measured.calibration.unmeasured.items()]
    told = "; ".join(f"{name} ({why})" for name, why in reasons[:MOST_REASONS])
    more = f"; and {len(reasons) - MOST_REASONS} more" if len(reasons) > MOST_REASONS else ""
    silent = silent_tubes(measured)
    empty = f" {', '.join(silent[:MOST_REASONS])} hold too few cells." if silent else ""
    raise CalibrationFault(
        f"Nothing could be measured on {counted(len(measured.tubes), 'tube')}: {told}{more}.{empty}"
        f" Name tubes that hold these cells with --tubes."
    )


def _write(draft: Draft) -> None:
    draft.folder.mkdir(parents=True, exist_ok=True)
    rows = measurement_rows(draft.measured)
    table = csv_text(COLUMNS, [[str(row[name]) for name in COLUMNS] for row in rows])
    write_durably(draft.folder / MEASUREMENTS, table.encode())
    page = evidence_page(draft.measured, draft.effects, draft.notes)
    write_durably(draft.folder / EVIDENCE, page.encode())
    write_durably(draft.folder / NOTES, "".join(f"{note}\n" for note in draft.notes).encode())
    path = draft.folder / FILE
    write_durably(path, sealed_yaml(draft.measured, path).encode())
