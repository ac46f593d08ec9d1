"""Add to counted tubes what the sheets and the tube's series say about them.

That is: a late acquisition, other detectors or voltages, another CAR reagent, drugs that hide a
marker, B cells that are plasma cells. These words are added when tables are built, not when tubes
are counted, because the sheets may be corrected later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasks.counting.counts import TubeCounts
from tasks.counting.secreting import with_secreting_cells
from tasks.sheets.drugs import Exposure
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.moments import comparable, elapsed_days
from tasks.vocabulary.populations import in_family

LATE_DAYS = 1.0
VOLTAGE_POWER, MOST_VOLTS = 7, 50.0
GAIN_KEPT, GAIN_PROVEN = 0.05, (0.7, 1.4)
"""Signals that move by less are taken for the same; boundaries are proven (benchmarks) for
detectors off by no more."""
CAR_POPULATIONS = frozenset(in_family("car_t"))


def with_series_flags(
    tubes: Sequence[TubeCounts], exposures: Mapping[str, Sequence[Exposure]]
) -> list[TubeCounts]:
    """Give the tubes with the words of their circumstances added.

    No tube is compared with an excluded one.
    """
    first: dict[tuple[str | None, ...], TubeCounts] = {}
    alike: dict[tuple[str | None, ...], TubeCounts] = {}
    for tube in sorted(tubes, key=lambda tube: (tube.identity.drawn_at, tube.identity.tube_sha256)):
        if tube.is_excluded:
            continue
        alike.setdefault((*_series_of(tube), tube.identity.instrument), tube)
        if not tube.identity.control:
            first.setdefault(_series_of(tube), tube)
    flagged = [
        _with_settings(tube, alike.get((*_series_of(tube), tube.identity.instrument), tube))
        for tube in tubes
    ]
    flagged = [with_secreting_cells(_with_delay(_with_reagent(tube, first))) for tube in flagged]
    return [_with_drugs(tube, exposures.get(tube.identity.patient, ())) for tube in flagged]


def _series_of(tube: TubeCounts) -> tuple[str, str, str]:
    return tube.identity.patient, tube.identity.specimen, tube.identity.panel


def _with_settings(tube: TubeCounts, first: TubeCounts) -> TubeCounts:
    """Flag a tube whose detectors ran otherwise than in the first tube of its series.

    The first tube is that of the same instrument. A photomultiplier's signal goes with about the
    seventh power of its voltage (SCIENCE section 5: six to eight).
    """
    flags: list[str] = []
    pairs = [
        (first.detectors[marker], detector)
        for marker, detector in tube.detectors.items()
        if marker in first.detectors
    ]
    if tube.panel != first.panel or any(before.name != detector.name for before, detector in pairs):
        flags.append(str(Flag.PANEL_CHANGED))
    volts = [
        (before.voltage, detector.voltage)
        for before, detector in pairs
        if before.voltage and detector.voltage and before.name == detector.name
    ]
    gains = [(now / before) ** VOLTAGE_POWER for before, now in volts]
    if any(abs(now - before) > MOST_VOLTS for before, now in volts) or any(
        not GAIN_PROVEN[0] <= gain <= GAIN_PROVEN[1] for gain in gains
    ):
        flags.append(str(Flag.VOLTAGE_BEYOND_LIMITS))
    elif any(abs(gain - 1) > GAIN_KEPT for gain in gains):
        flags.append(str(Flag.VOLTAGE_CHANGED))
    return replace(tube, flags=(*tube.flags, *flags)) if flags else tube


def _with_reagent(
    tube: TubeCounts, first: Mapping[tuple[str | None, ...], TubeCounts]
) -> TubeCounts:
    """Say of CAR T cells that an earlier tube of the series was stained with another reagent."""
    earliest = first.get(_series_of(tube), tube)
    if earliest.identity.car_reagent == tube.identity.car_reagent:
        return tube
    flag = str(Flag.REAGENT_CHANGED)
    counts = {
        name: replace(count, flags=tuple(dict.fromkeys((*count.flags, flag))))
        if name in CAR_POPULATIONS
        else count
        for name, count in tube.counts.items()
    }
    return replace(tube, counts=counts)


def _with_delay(tube: TubeCounts) -> TubeCounts:
    acquired, collected, zone = (
        tube.identity.acquired,
        tube.identity.collected,
        tube.identity.time_zone,
    )
    if (
        acquired is None
        or not comparable(collected, acquired, zone)
        or elapsed_days(collected, acquired, zone) <= LATE_DAYS
    ):
        return tube
    return replace(tube, flags=(*tube.flags, str(Flag.LATE_ACQUISITION)))


def _with_drugs(tube: TubeCounts, exposures: Sequence[Exposure]) -> TubeCounts:
    flags: dict[str, list[str]] = {}
    for exposure in exposures:
        for population, flag in exposure.flags_on(tube.identity.drawn_on).items():
            flags.setdefault(population, []).append(str(flag))
    if not flags:
        return tube
    counts = {
        name: replace(count, flags=tuple(dict.fromkeys((*count.flags, *flags[name]))))
        if name in flags
        else count
        for name, count in tube.counts.items()
    }
    return replace(tube, counts=counts)
