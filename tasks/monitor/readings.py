"""Read the signals of all counted tubes from the store, as series by instrument and panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gating.calibration.model import Calibration
from tasks.control_charts.limits import ENOUGH, ControlLimits
from tasks.control_charts.series import Reading, Series
from tasks.sheets.patients import Patient
from tasks.store.counts import gatings_in_use
from tasks.store.gatings import TubeGating
from tasks.store.tubes import Tube, taken_in
from tasks.study.snapshot import StrategyInUse, StudySnapshot
from tasks.vocabulary.moments import instant, local_day
from tasks.vocabulary.signals import BEADS, SignalName, signal_name
from tasks.vocabulary.tube_identity import TubeIdentity

UNSETTLED = timedelta(days=14)
"""So long after an infusion T cells are activated and expand, and stain otherwise (SCIENCE section
2: the first two weeks); few cells and much debris follow lymphodepletion in the same weeks."""


@dataclass(frozen=True, slots=True, order=True)
class InstrumentKey:
    """What tells one instrument from another.

    That is ``$CYT`` and serial number of its files; without a serial number the name in the sample
    sheet stands in for it.
    """

    cytometer: str
    serial: str
    named: str


@dataclass(frozen=True, slots=True)
class MeasuredTube:
    """One counted tube with its signals, and the calibration that held for it (None: none did).

    ``acquired`` is in UTC, ``day`` is the day of it on the study's calendar.
    """

    identity: TubeIdentity
    gating: TubeGating
    key: InstrumentKey
    acquired: datetime
    calibration: Calibration | None
    day: str


@dataclass(slots=True)
class TubesRead:
    """The tubes of each instrument in order of acquisition.

    ``without_signals`` counts tubes that an earlier release of the program counted.
    """

    of_instrument: dict[InstrumentKey, list[MeasuredTube]] = field(default_factory=dict)
    without_signals: int = 0


def read_tubes(snapshot: StudySnapshot) -> TubesRead:
    """Read the counted tubes of a study with their signals."""
    with snapshot.study.store() as store:
        known = taken_in(store)
        counted = gatings_in_use(
            store,
            snapshot.versions(),
            known=known,
            panels=snapshot.panel_contents(),
            calibrations=snapshot.calibrations(known),
        )
    tubes_by_sha = {tube.identity.tube_sha256: tube for tube in known}
    read = TubesRead()
    for identity, gating in counted:
        if "signals" not in gating.qc:
            read.without_signals += 1
            continue
        tube = tubes_by_sha[identity.tube_sha256]
        at = identity.acquired or identity.collected
        measured = MeasuredTube(
            identity,
            gating,
            _key(tube),
            instant(at, identity.time_zone),
            _calibration(snapshot.strategies[identity.panel], tube),
            local_day(at, identity.time_zone).isoformat(),
        )
        read.of_instrument.setdefault(measured.key, []).append(measured)
    for tubes in read.of_instrument.values():
        tubes.sort(key=lambda tube: (tube.acquired, tube.identity.tube_sha256))
    return read


def _key(tube: Tube) -> InstrumentKey:
    cytometer, serial = tube.cytometer or "", tube.serial or ""
    return InstrumentKey(cytometer, serial, "" if serial else tube.identity.instrument or "")


def _calibration(used: StrategyInUse, tube: Tube) -> Calibration | None:
    """Give the calibration of a tube's own instrument; numbers that stand in for one are none."""
    numbers = used.for_tube(tube)
    if numbers.fault:
        return None
    of_panel = {each.pin: each for each in used.numbers.calibrations}
    return of_panel.get(numbers.calibration)


def series_of(tubes: Sequence[MeasuredTube], patients: Mapping[str, Patient]) -> list[Series]:
    """Gather the tubes of one instrument as series, by panel and signal."""
    readings: dict[tuple[str, SignalName], list[Reading]] = {}
    detectors: dict[tuple[str, SignalName], str] = {}
    for tube in tubes:
        unsettled = _why_unsettled(tube.identity, patients)
        for text, measured in tube.gating.qc["signals"].items():
            name = signal_name(text)
            if name is None:
                continue
            key = tube.identity.panel, name
            reading = _reading(tube, name, measured, "" if name.of_beads else unsettled)
            readings.setdefault(key, []).append(reading)
            detectors[key] = measured["detector"]
    return [
        Series(panel, name, detectors[panel, name], tuple(of_signal))
        for (panel, name), of_signal in sorted(readings.items())
    ]


def _reading(
    tube: MeasuredTube, name: SignalName, measured: Mapping[str, Any], not_judged: str
) -> Reading:
    """Read one signal of a tube; beads and batch controls are the same whoever's tube it is."""
    identity = tube.identity
    return Reading(
        tube=identity.tube_sha256,
        file=identity.file,
        acquired=tube.acquired,
        day=tube.day,
        value=measured["value"],
        events=measured["events"],
        donor=BEADS if name.of_beads else identity.patient,
        is_control=name.of_beads or identity.control == "batch",
        lot=identity.batch or "",
        not_judged=not_judged,
        limits=_limits(tube.calibration, name),
    )


def _limits(calibration: Calibration | None, name: SignalName) -> ControlLimits | None:
    """Give the limits that a calibration's own tubes set for a signal."""
    target = None if calibration is None else calibration.targets.get(str(name))
    if calibration is None or target is None or target.sd <= 0:
        return None
    provisional = target.tubes < ENOUGH
    return ControlLimits(target.mean, target.sd, target.tubes, provisional, calibration.pin)


def _why_unsettled(identity: TubeIdentity, patients: Mapping[str, Patient]) -> str:
    """Say why the cells of a tube may stain otherwise than those of other tubes; empty: they don't.

    A batch control is of the same donor each time, and never of a patient who is treated.
    """
    if identity.control == "batch":
        return ""
    if identity.specimen != "blood":
        return f"cells of {identity.specimen}"
    patient = patients.get(identity.patient)
    if patient is None:
        return ""
    infusions = [patient.infused, *patient.products.values()]
    since = [identity.drawn_at - instant(each, patient.time_zone) for each in infusions]
    if any(timedelta(0) <= elapsed <= UNSETTLED for elapsed in since):
        return f"within {UNSETTLED.days} days of an infusion"
    return ""
