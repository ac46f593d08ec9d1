"""Choose the tubes that an instrument is calibrated on; refuse those that do not belong together.

Of the study's own tubes these are baselines, batch controls and FMO controls of the panel on the
instrument; named tubes may be any of them, or files that were never taken in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gating.calibration.model import Cytometer
from gating.fcs.keyword_numbers import finite_number
from panels.text.errors import CalibrationFault, TubeFault
from tasks.calibrate.tube import CalibrationTube, Role, open_tube
from tasks.store.tubes import taken_in
from tasks.study.archived_bytes import verified_bytes
from tasks.tubes.reference_tubes import BATCH_CONTROL, FMO, is_fmo

if TYPE_CHECKING:
    from panels.panel import Panel
    from tasks.sheets.patients import PatientSheet
    from tasks.store.tubes import Tube
    from tasks.study.folder import Study

MOST_VOLTS = 50.0
"""Detectors whose voltages differ by more were set up otherwise (SCIENCE, section 3.4)."""
MOST_NAMED = 3


def chosen_tubes(
    study: Study, panel: Panel, instrument: str, patterns: Sequence[str], within: ExitStack
) -> tuple[list[CalibrationTube], tuple[Cytometer, ...]]:
    """Open the tubes of an instrument, and give the cytometer that acquired them.

    ``patterns`` are names of tubes with ``*``: in the study, else files. Without any, the study's
    baselines and controls are taken. The files stay as they were read until ``within`` closes.

    Raises CalibrationFault when there are none, or they are of two instruments or two settings;
    TubeFault for one that cannot be read.
    """
    with study.store() as store:
        known = [tube for tube in taken_in(store) if tube.identity.panel == panel.panel]
    if patterns:
        opened = [
            each for pattern in patterns for each in _named(study, known, pattern, panel, within)
        ]
    else:
        patients = study.patients()
        references = [(tube, role) for tube in known if (role := _role(tube, patients)) != "other"]
        opened = [_open(study, tube, role, panel, within) for tube, role in references]
        opened = _of_instrument(opened, [tube for tube, _ in references], instrument)
    if not any(not tube.left_out for tube in opened):
        raise CalibrationFault(_nothing(study, panel.panel, instrument, known, patterns))
    refuse_mixed(opened)
    return opened, _cytometers(opened)


def refuse_mixed(tubes: Sequence[CalibrationTube]) -> None:
    """Raise CalibrationFault when tubes are of two cytometers, or a detector was set otherwise."""
    by_cytometer: dict[tuple[str, str], list[str]] = {}
    for tube in tubes:
        by_cytometer.setdefault(_cytometer(tube), []).append(tube.name)
    if len(by_cytometer) > 1:
        listed = "; ".join(
            f"{' '.join(filter(None, name)) or 'no $CYT'}: {_listed(files)}"
            for name, files in by_cytometer.items()
        )
        raise CalibrationFault(
            f"These tubes are of {len(by_cytometer)} instruments ({listed}). A calibration is of "
            f"one: name its tubes with --tubes."
        )
    first = tubes[0]
    for tube in tubes[1:]:
        for detector, (what, one, other) in _other_settings(first, tube):
            raise CalibrationFault(
                f"{detector} was set otherwise: {what} {one} in {first.name}, {other} in "
                f"{tube.name}. A calibration is of one setting: name the tubes of one with --tubes."
            )


def _other_settings(
    one: CalibrationTube, other: CalibrationTube
) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Yield each detector of the panel whose voltage, gain or range differs between two tubes."""
    for marker, index in one.match.channel.items():
        place = other.match.channel.get(marker)
        if place is None:
            continue
        detector = one.header.channels[index].detector
        here, there = (
            {key: tube.header.keywords.get(f"$P{at + 1}{key}", "") for key in "VGR"}
            for tube, at in ((one, index), (other, place))
        )
        for key, what in (("V", "voltage"), ("G", "gain"), ("R", "range")):
            first, second = finite_number(here[key]), finite_number(there[key])
            if first is None or second is None:
                continue
            if abs(first - second) > (MOST_VOLTS if key == "V" else 0.0):
                yield detector, (what, here[key].strip(), there[key].strip())


def _role(tube: Tube, patients: PatientSheet) -> Role:
    identity = tube.identity
    if is_fmo(identity):
        return "FMO control"
    if identity.control == BATCH_CONTROL:
        return "batch control"
    patient = patients.patients.get(identity.patient)
    before = patient is not None and identity.drawn_at < patient.infused_at
    return "baseline" if before and identity.specimen == "blood" else "other"


def _named(
    study: Study, known: Iterable[Tube], pattern: str, panel: Panel, within: ExitStack
) -> list[CalibrationTube]:
    """Open the tubes of the study, else the files, that a pattern names."""
    patients = study.patients()
    fitting = [
        tube
        for tube in known
        if fnmatchcase(tube.file.inbox_path, pattern)
        or fnmatchcase(PurePosixPath(tube.file.inbox_path).name, pattern)
    ]
    if fitting:
        return [_open(study, tube, _role(tube, patients), panel, within) for tube in fitting]
    paths = sorted(Path(each) for each in glob(pattern, recursive=True))  # noqa: PTH207
    files = [path for path in paths if path.is_file()]
    if not files:
        raise CalibrationFault(
            f"--tubes {pattern}: neither a tube of the panel {panel.panel} in the study nor a file "
            f"has such a name."
        )
    return [open_tube(path, panel, name=path.name, role="other") for path in files]


def _open(study: Study, tube: Tube, role: Role, panel: Panel, within: ExitStack) -> CalibrationTube:
    path = within.enter_context(verified_bytes(study, tube))
    left_out = (tube.identity.control or "").removeprefix(FMO) if role == "FMO control" else ""
    name = tube.file.inbox_path
    try:
        return open_tube(path, panel, name=name, role=role, left_out=left_out)
    except TubeFault as fault:
        raise CalibrationFault(f"{name} cannot be used: {fault}") from fault


def _of_instrument(
    opened: Sequence[CalibrationTube], tubes: Sequence[Tube], instrument: str
) -> list[CalibrationTube]:
    """Keep the tubes whose line of the sheet names the instrument; all where no line names any."""
    named = [tube.identity.instrument for tube in tubes]
    if not any(named):
        return list(opened)
    wanted = _plain(instrument)
    return [
        each
        for each, name in zip(opened, named, strict=True)
        if name is not None and _plain(name) == wanted
    ]


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
    names = sorted({tube.identity.instrument or "(none)" for tube in known})
    return (
        f"{study.folder}: none of {len(known)} tubes of the panel {panel} is a baseline or control "
        f"of the instrument {instrument}; the sample sheet's instruments are {', '.join(names)}. "
        f"Name an instrument of the sheet, or the tubes with --tubes."
    )


def _cytometers(tubes: Sequence[CalibrationTube]) -> tuple[Cytometer, ...]:
    name, serial = _cytometer(tubes[0])
    return (Cytometer(name=name, serial=serial or None),) if name else ()


def _cytometer(tube: CalibrationTube) -> tuple[str, str]:
    return tube.header.cytometer, tube.header.serial


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
