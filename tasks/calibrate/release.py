"""Freeze a calibration of a laboratory, compare two, and check that released ones are unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gating.calibration.catalogue import (
    find_calibration,
    known_calibrations,
    place_of,
    read_calibration,
    read_lock,
)
from gating.calibration.model import Calibration, CalibrationRelease
from gating.strategy.calibrated import calibrated, misfit
from gating.strategy.catalogue import load_strategy
from panels.files.durable import write_durably
from panels.files.lock import VERSION, lock_content, version_order
from panels.text.errors import CalibrationFault

CHANGES = "CHANGES.md"


@dataclass(frozen=True, slots=True)
class Change:
    """One number that differs between two calibrations (None: it is in one of them alone)."""

    name: str
    old: float | None
    new: float | None

    @property
    def ratio(self) -> float | None:
        """Give new over old; None where either is missing or 0."""
        return self.new / self.old if self.old and self.new else None

    @property
    def text(self) -> str:
        """Say what changed in words."""
        if self.old is None:
            return f"{self.name}: {self.new:g}, which was not measured before"
        if self.new is None:
            return f"{self.name}: {self.old:g} before, not measured now"
        ratio = "" if self.ratio is None else f" ({self.ratio:.2f} ×)"
        return f"{self.name}: {self.old:g} → {self.new:g}{ratio}"

    def document(self) -> dict[str, object]:
        """Give it for programs."""
        return {"name": self.name, "old": self.old, "new": self.new, "ratio": self.ratio}


def release_calibration(
    study: Path, name: tuple[str, str], version: str, *, by: str, reason: str
) -> tuple[CalibrationRelease, list[Change] | None]:
    """Write the SHA-256 of a draft into the LOCK of the study's calibrations, and who says so.

    ``name`` is panel and instrument. Gives the release and what changed since the one before it
    (None: the first). Raises CalibrationFault when there is no such draft, it is released already,
    or its numbers do not fit its strategy; StrategyFault when there is no such strategy.
    """
    panel, instrument = name
    folder = study / "calibrations"
    pin = f"{panel}/{instrument}@{version}"
    if not VERSION.fullmatch(version):
        raise CalibrationFault(f"'{version}' is no version such as 1.0.0.")
    for option, value in (("--by", by), ("--reason", reason)):
        if not value.strip():
            raise CalibrationFault(f"{option} is empty: a released calibration needs it.")
    path = place_of(folder, pin)
    if not path.is_file():
        raise CalibrationFault(
            f"{path}: there is no such file. Draft it first: reconflow calibrate draft --panel "
            f"{panel} --instrument {instrument}"
        )
    draft = read_calibration(path)
    if draft.calibration.pin != pin:
        raise CalibrationFault(
            f"{path}: says it is {draft.calibration.pin}, but lies in the folder of {pin}."
        )
    if pin in read_lock(folder):
        raise CalibrationFault(f"{pin} is already released. Draft anew for another version.")
    _refuse_misfit(study, draft.calibration)
    before = _predecessor(folder, draft.calibration)
    changes = None if before is None else list(calibration_changes(before, draft.calibration))
    write_durably(path.with_name(CHANGES), _changes_text(pin, by, reason, changes).encode())
    lock_content(folder, pin, draft.sha256, CalibrationFault)
    return find_calibration(pin, folder), changes


def calibration_changes(old: Calibration, new: Calibration) -> Iterator[Change]:
    """Yield every number that differs between two calibrations."""
    before, after = _numbers(old), _numbers(new)
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name), after.get(name))


@dataclass(frozen=True, slots=True)
class Verified:
    """The calibrations that are as released, and a sentence on each that is not."""

    verified: tuple[str, ...]
    faults: tuple[str, ...]


def verify_calibrations(laboratory: Path | None) -> Verified:
    """Check every released calibration of the laboratory and of the shipped folder."""
    verified, faults = [], []
    for pin in known_calibrations(laboratory):
        try:
            verified.append(find_calibration(pin, laboratory).calibration.pin)
        except CalibrationFault as fault:
            faults.append(str(fault))
    return Verified(tuple(verified), tuple(faults))


def _refuse_misfit(study: Path, calibration: Calibration) -> None:
    """Refuse numbers that make no strategy, or of thresholds that the strategy does not have."""
    strategy = load_strategy(calibration.strategy, study / "strategies").strategy
    fault = misfit(strategy, calibration)
    unknown = sorted(set(calibration.thresholds) - set(strategy.thresholds))
    if not fault and unknown:
        fault = f"{strategy.name} has no threshold '{unknown[0]}'"
    if fault:
        raise CalibrationFault(f"{calibration.pin} cannot be released: {fault}.")
    if not calibration.cytometers:
        raise CalibrationFault(
            f"{calibration.pin} cannot be released: it names no cytometer. Write under "
            f"'cytometers' how its files name it ($CYT, serial)."
        )
    try:
        calibrated(strategy, calibration)
    except ValueError as error:
        raise CalibrationFault(
            f"{calibration.pin} cannot be released: its numbers make no strategy ({error})."
        ) from error


def _predecessor(folder: Path, calibration: Calibration) -> Calibration | None:
    """Find the newest release of the same panel and instrument below a version."""
    prefix = f"{calibration.panel}/{calibration.instrument}@"
    lower = [
        pin
        for pin in known_calibrations(folder)
        if pin.startswith(prefix)
        and version_order(pin.removeprefix(prefix)) < version_order(calibration.version)
    ]
    return find_calibration(lower[-1], folder).calibration if lower else None


def _numbers(calibration: Calibration) -> dict[str, float]:
    """List all numbers of a calibration by name."""
    numbers: dict[str, float] = {}
    for name, threshold in calibration.thresholds.items():
        numbers[name] = threshold.value
        if threshold.anchor is not None:
            numbers[f"{name} anchor"] = threshold.anchor
        if threshold.spread is not None:
            numbers[f"{name} spread"] = threshold.spread
    for name, places in calibration.landmarks.items():
        numbers |= {f"landmark {name} {axis}": place for axis, place in places.items()}
    return numbers | {f"beads {marker}": place for marker, place in calibration.beads.items()}


def _changes_text(pin: str, by: str, reason: str, changes: list[Change] | None) -> str:
    lines = [f"# {pin}", "", reason.strip(), ""]
    if changes is not None:
        lines += ["Since the release before it:", "", *(f"- {each.text}" for each in changes), ""]
    now = datetime.now(UTC).date().isoformat()
    return "\n".join([*lines, f"Released by {by.strip()}, {now}.", ""])
