"""Freeze a calibration of a laboratory, compare two, and check that released ones are unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, pairwise
from pathlib import Path

from gating.calibration.catalogue import (
    find_calibration,
    known_calibrations,
    place_of,
    read_calibration,
    read_lock,
    shipped_calibrations,
)
from gating.calibration.model import PIN, Calibration, CalibrationRelease
from gating.strategy.axis_map import landmark_pairs
from gating.strategy.calibrated import calibrated, first_sentence, misfit
from gating.strategy.catalogue import load_strategy
from gating.strategy.model import Strategy
from panels.files.durable import write_durably
from panels.files.lock import lock_content, version_order
from panels.text.errors import CalibrationFault, FieldFault
from panels.text.spelling import nearest

CHANGES = "CHANGES.md"


Entry = float | str


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that differs between two calibrations (None: it is in one of them alone)."""

    name: str
    old: Entry | None
    new: Entry | None

    @property
    def ratio(self) -> float | None:
        """Give new over old; None where either is no number, missing or 0."""
        if isinstance(self.old, str) or isinstance(self.new, str) or not self.old or not self.new:
            return None
        return self.new / self.old

    @property
    def text(self) -> str:
        """Say what changed in words."""
        if self.old is None:
            return f"{self.name}: {_written(self.new)}, which was not there before"
        if self.new is None:
            return f"{self.name}: {_written(self.old)} before, not there now"
        ratio = "" if self.ratio is None else f" ({self.ratio:.2f} ×)"
        return f"{self.name}: {_written(self.old)} → {_written(self.new)}{ratio}"

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
    if not re.fullmatch(PIN, pin):
        raise CalibrationFault(
            f"'{pin}' is no name of a calibration such as bcell/lyric-2@1.0.0: letters from A to "
            f"Z, digits, '-', '_' and '.'."
        )
    if pin in read_lock(shipped_calibrations()):
        raise CalibrationFault(
            f"{pin} is a shipped calibration. Give yours the name of its own instrument."
        )
    for field, value in (("by", by), ("reason", reason)):
        if not value.strip():
            raise FieldFault(field, " is empty: a released calibration needs it.")
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
    refuse_misfit(study, draft.calibration)
    before = _predecessor(folder, draft.calibration)
    changes = None if before is None else list(calibration_changes(before, draft.calibration))
    lock_content(folder, pin, draft.sha256, CalibrationFault)
    write_durably(path.with_name(CHANGES), _changes_text(pin, by, reason, changes).encode())
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


def refuse_misfit(study: Path, calibration: Calibration) -> None:
    """Refuse numbers that make no strategy, or name what the strategy does not have."""
    fault = misfit_words(study, calibration)
    if fault:
        raise CalibrationFault(f"{calibration.pin} cannot be released: {fault}.")


def misfit_words(study: Path, calibration: Calibration) -> str:
    """Say why numbers cannot be released, without a full stop; empty: they can.

    Raises StrategyFault when there is no strategy of theirs.
    """
    strategy = load_strategy(calibration.strategy, study / "strategies").strategy
    fault = misfit(strategy, calibration) or next(_unknown(strategy, calibration), "")
    if not fault and not calibration.cytometers:
        fault = (
            "it names no cytometer. Write under 'cytometers' how its files name it ($CYT, serial)"
        )
    if not fault:
        try:
            numbered = calibrated(strategy, calibration)
        except ValueError as error:
            fault = f"its numbers make no strategy ({first_sentence(error)})"
        else:
            fault = next(_disordered(strategy, numbered, calibration), "")
    return fault


def _unknown(strategy: Strategy, calibration: Calibration) -> Iterator[str]:
    """Yield what a calibration names and its strategy does not have."""
    if strategy.panel != calibration.panel:
        yield f"{strategy.name} gates the panel {strategy.panel}, not {calibration.panel}"
    for name in sorted((*calibration.thresholds, *calibration.unmeasured)):
        if name not in strategy.thresholds:
            yield f"{strategy.name} has no threshold '{name}'{nearest(name, strategy.thresholds)}"
    for name, places in calibration.landmarks.items():
        landmark = strategy.landmarks.get(name)
        if landmark is None:
            yield f"{strategy.name} has no landmark '{name}'{nearest(name, strategy.landmarks)}"
            continue
        for axis in sorted(set(places) - set(landmark.axes)):
            yield f"the landmark '{name}' of {strategy.name} is not read on '{axis}'"
    markers = strategy.bead_cluster.markers if strategy.bead_cluster else ()
    for marker in sorted(set(calibration.beads) - set(markers)):
        yield f"{strategy.name} looks for no beads on '{marker}'"


def _disordered(strategy: Strategy, numbered: Strategy, calibration: Calibration) -> Iterator[str]:
    """Yield what lies in another order on this instrument than where the strategy is drawn."""
    for one, other in combinations(strategy.thresholds, 2):
        before = [strategy.thresholds[name] for name in (one, other)]
        after = [numbered.thresholds[name].value for name in (one, other)]
        if before[0].marker != before[1].marker:
            continue
        apart = before[0].value - before[1].value
        if apart and after[0] == after[1]:
            yield (
                f"on {before[0].marker} '{one}' and '{other}' are the same ({after[0]:g}), which "
                f"lie apart in {strategy.name}"
            )
        if apart * (after[0] - after[1]) < 0:
            yield (
                f"on {before[0].marker} '{one}' ({after[0]:g}) and '{other}' ({after[1]:g}) lie in "
                f"the other order than in {strategy.name}"
            )
    for axis, pairs in landmark_pairs(strategy, calibration).items():
        rising = sorted(pairs)
        if any(low[1] >= high[1] for low, high in pairwise(rising) if low[0] < high[0]):
            yield f"the landmarks on {axis} lie in another order than in {strategy.name}"


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


def _numbers(calibration: Calibration) -> dict[str, Entry]:
    """List everything that decides where a calibration holds and what it says, by name."""
    entries: dict[str, Entry] = {"strategy": calibration.strategy}
    for place, cytometer in enumerate(calibration.cytometers, 1):
        entries[f"cytometer {place}"] = " ".join(filter(None, (cytometer.name, cytometer.serial)))
    if calibration.known_as:
        entries["known as"] = ", ".join(calibration.known_as)
    if calibration.since is not None:
        entries["since"] = calibration.since.isoformat()
    if calibration.batches:
        entries["batches"] = ", ".join(calibration.batches)
    for name, threshold in calibration.thresholds.items():
        entries[name] = threshold.value
        low, high = threshold.limits or (None, None)
        of_threshold = {
            "lower limit": low,
            "upper limit": high,
            "anchor": threshold.anchor,
            "spread": threshold.spread,
        }
        of_threshold |= {f"clears {place}": n for place, n in enumerate(threshold.clears, 1)}
        entries |= {f"{name} {key}": n for key, n in of_threshold.items() if n is not None}
    for name, places in calibration.landmarks.items():
        entries |= {f"landmark {name} {axis}": place for axis, place in places.items()}
    for signal, target in calibration.targets.items():
        entries |= {f"target {signal}": target.mean, f"target {signal} SD": target.sd}
    return entries | {f"beads {marker}": place for marker, place in calibration.beads.items()}


def _written(entry: Entry | None) -> str:
    return f"{entry:g}" if isinstance(entry, float) else str(entry)


def _changes_text(pin: str, by: str, reason: str, changes: list[Change] | None) -> str:
    lines = [f"# {pin}", "", reason.strip(), ""]
    if changes is not None:
        lines += ["Since the release before it:", "", *(f"- {each.text}" for each in changes), ""]
    now = datetime.now(UTC).date().isoformat()
    return "\n".join([*lines, f"Released by {by.strip()}, {now}.", ""])
