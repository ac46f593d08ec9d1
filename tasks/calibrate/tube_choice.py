"""Open the tubes that an instrument is calibrated on, and say which could not be used.

Of the study's own tubes these are baselines, batch controls and FMO controls of the panel on the
instrument; named tubes may be any of them, or files that were never taken in.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gating.calibration.model import Cytometer
from panels.text.errors import CalibrationFault, PanelMismatch, TubeFault
from panels.text.plural import counted
from tasks.calibrate.tube import CalibrationTube, open_tube
from tasks.calibrate.tube_candidates import (
    Candidate,
    instruments_of,
    named_candidates,
    reference_candidates,
    sheet_names,
)
from tasks.calibrate.tube_settings import cytometer_of, refuse_mixed
from tasks.store.exclusions import excluded_tubes
from tasks.store.tubes import taken_in
from tasks.study.archived_bytes import verified_bytes

if TYPE_CHECKING:
    from panels.panel import Panel
    from tasks.store.tubes import Tube
    from tasks.study.folder import Study


@dataclass(frozen=True, slots=True)
class ChosenTubes:
    """The tubes of one cytometer at one setting, by name; ``left_out`` says of others why not.

    ``known_as`` is the instrument's name in the sample sheet, where it is another one.
    """

    tubes: tuple[CalibrationTube, ...]
    cytometers: tuple[Cytometer, ...]
    known_as: tuple[str, ...]
    left_out: tuple[str, ...]


def chosen_tubes(
    study: Study, panel: Panel, instrument: str, patterns: Sequence[str], within: ExitStack
) -> ChosenTubes:
    """Open the tubes of an instrument, and give the cytometer that acquired them.

    ``patterns`` are names of tubes with ``*``: in the study, else files. Without any, the study's
    baselines and controls are taken but those that failed; never one that a person excluded. The
    files stay as they were read until
    ``within`` closes.

    Raises CalibrationFault when there are none, one cannot be used, or they are of two instruments
    or two settings.
    """
    with study.store() as store:
        excluded = excluded_tubes(store)
        known = [
            tube
            for tube in taken_in(store)
            if tube.identity.panel == panel.panel and tube.identity.tube_sha256 not in excluded
        ]
    left_out: list[str] = []
    if patterns:
        candidates = named_candidates(study, panel.panel, known, patterns, instrument)
    else:
        candidates, left_out = reference_candidates(study, known, instrument)
    tubes = []
    for each in candidates:
        try:
            tubes.append(_open(study, each, panel, within))
        except PanelMismatch as fault:
            if not each.left_out:
                raise _unusable(each, fault, patterns) from fault
            left_out.append(f"{each.name} was left out: {str(fault).rstrip('. ')}")
        except (TubeFault, OSError) as fault:
            raise _unusable(each, fault, patterns) from fault
    if not any(not tube.left_out for tube in tubes):
        reason = _nothing(study, panel.panel, instrument, known, patterns)
        raise CalibrationFault(" ".join([reason, *(f"{each}." for each in left_out)]))
    refuse_mixed(tubes)
    names = sheet_names(candidates, instrument)
    return ChosenTubes(tuple(tubes), _cytometers(tubes), names, tuple(left_out))


def _open(study: Study, candidate: Candidate, panel: Panel, within: ExitStack) -> CalibrationTube:
    return open_tube(
        _path(study, candidate, within),
        panel,
        name=candidate.name,
        role=candidate.role,
        left_out=candidate.left_out,
        tube=candidate.tube,
    )


def _path(study: Study, candidate: Candidate, within: ExitStack) -> Path:
    if isinstance(candidate.source, Path):
        return candidate.source
    return within.enter_context(verified_bytes(study, candidate.source))


def _unusable(
    candidate: Candidate, fault: TubeFault | OSError, patterns: Sequence[str]
) -> CalibrationFault:
    """Say that a tube stands in the way, and how to go on without it."""
    cure = "Leave it out of --tubes." if patterns else "Name the other tubes with --tubes."
    reason = f"{fault.strerror}." if isinstance(fault, OSError) else str(fault)
    return CalibrationFault(f"{candidate.name} cannot be used: {reason} {cure}")


def _nothing(
    study: Study, panel: str, instrument: str, known: Sequence[Tube], patterns: Sequence[str]
) -> str:
    """Say why there is no tube to measure a calibration on, and what would help."""
    if patterns:
        return (
            f"--tubes {' '.join(patterns)}: only FMO controls have such names. Name full tubes too."
        )
    if not known:
        return (
            f"{study.folder}: no tube of the panel {panel} was taken in yet. Put baselines and "
            f"controls into the inbox and start reconflow run first."
        )
    return (
        f"{study.folder}: none of {counted(len(known), 'tube')} of the panel {panel} is a baseline "
        f"or batch control of the instrument {instrument} that can be used; the sample sheet's "
        f"instruments are {instruments_of(known)}. Name an instrument of the sheet, or the tubes "
        f"with --tubes."
    )


def _cytometers(tubes: Sequence[CalibrationTube]) -> tuple[Cytometer, ...]:
    name, serial = cytometer_of(tubes[0])
    return (Cytometer(name=name, serial=serial or None),) if name else ()
