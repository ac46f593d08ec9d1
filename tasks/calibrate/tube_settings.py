"""Refuse tubes that do not belong together: of two cytometers, or acquired at two settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gating.fcs.keyword_numbers import finite_number
from panels.acquisition_time import TIME
from panels.text.errors import CalibrationFault
from tasks.calibrate.tube import CalibrationTube

MOST_VOLTS = 50.0
"""Detectors whose voltages differ by more were set up otherwise (SCIENCE, section 3.4)."""
SETTINGS = (("V", "voltage", MOST_VOLTS), ("G", "gain", 0.0), ("R", "range", 0.0))
"""The letter of the keyword ``$PnV``, what it sets, and how far tubes may differ in it."""
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Setting:
    """What one tube's file says of a detector: the number, and as it is written."""

    value: float
    written: str
    tube: str
    detector: str


def refuse_mixed(tubes: Sequence[CalibrationTube]) -> None:
    """Raise CalibrationFault when tubes are of two cytometers, or a detector was set otherwise."""
    by_cytometer: dict[tuple[str, str], list[str]] = {}
    for tube in tubes:
        by_cytometer.setdefault(cytometer_of(tube), []).append(tube.name)
    if len(by_cytometer) > 1:
        listed = "; ".join(
            f"{' '.join(filter(None, name)) or 'no $CYT'}: {_listed(files)}"
            for name, files in by_cytometer.items()
        )
        raise CalibrationFault(
            f"These tubes are of {len(by_cytometer)} instruments ({listed}). A calibration is of "
            f"one: name its tubes with --tubes."
        )
    for what, lowest, highest in _differing(tubes):
        raise CalibrationFault(
            f"{lowest.detector} was set otherwise: {what} {lowest.written} in {lowest.tube}, "
            f"{highest.written} in {highest.tube}. A calibration is of one setting: name the tubes "
            f"of one with --tubes."
        )


def cytometer_of(tube: CalibrationTube) -> tuple[str, str]:
    """Give the instrument as a tube's file names it: ``$CYT`` and serial number."""
    return tube.header.cytometer, tube.header.serial


def _differing(tubes: Sequence[CalibrationTube]) -> Iterator[tuple[str, _Setting, _Setting]]:
    """Yield the lowest and the highest setting of each detector that was set otherwise."""
    for marker in dict.fromkeys(name for tube in tubes for name in tube.match.channel):
        if marker == TIME:
            continue
        for letter, what, most in SETTINGS:
            found = [*_settings(tubes, marker, letter)]
            lowest = min(found, key=lambda each: each.value, default=None)
            highest = max(found, key=lambda each: each.value, default=None)
            if lowest and highest and highest.value - lowest.value > most:
                yield what, lowest, highest


def _settings(tubes: Sequence[CalibrationTube], marker: str, letter: str) -> Iterator[_Setting]:
    """Yield what each tube says of a marker's detector, where it says anything."""
    for tube in tubes:
        index = tube.match.channel.get(marker)
        if index is None:
            continue
        written = tube.header.keywords.get(f"$P{index + 1}{letter}", "")
        value = finite_number(written)
        if value is not None:
            detector = tube.header.channels[index].detector
            yield _Setting(value, written.strip(), tube.name, detector)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
