"""Add to counted tubes what the sheets say about them: a late acquisition, drugs that hide a marker, another CAR reagent.

These words are added when tables are built, not when tubes are counted, because the sheets may be mended later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from tasks.counting.counts import TubeCounts
from tasks.counting.flags import Flag
from tasks.intake.drugs import Exposure

LATE = timedelta(hours=24)
CAR_POPULATIONS = frozenset({"car19_t", "carbcma_t", "car_double_positive", "car_any_t"})


def with_circumstances(tubes: Sequence[TubeCounts], exposures: Mapping[str, Sequence[Exposure]]) -> list[TubeCounts]:
    """Give the tubes with the words of their circumstances added."""
    first: dict[tuple[str, str, str], TubeCounts] = {}
    for tube in sorted(tubes, key=lambda tube: (tube.identity.collected, tube.identity.tube_sha256)):
        if not tube.identity.control:
            first.setdefault(_series_of(tube), tube)
    return [_with_drugs(_with_delay(_with_reagent(tube, first)), exposures.get(tube.identity.patient, ())) for tube in tubes]


def _series_of(tube: TubeCounts) -> tuple[str, str, str]:
    return tube.identity.patient, tube.identity.specimen, tube.identity.panel


def _with_reagent(tube: TubeCounts, first: Mapping[tuple[str, str, str], TubeCounts]) -> TubeCounts:
    """Say of CAR T cells that an earlier tube of the series was stained with another reagent."""
    earliest = first.get(_series_of(tube), tube)
    if earliest.identity.car_reagent == tube.identity.car_reagent:
        return tube
    said = str(Flag.REAGENT_CHANGED)
    counts = {
        name: replace(count, flags=tuple(dict.fromkeys((*count.flags, said)))) if name in CAR_POPULATIONS else count
        for name, count in tube.counts.items()
    }
    return replace(tube, counts=counts)


def _with_delay(tube: TubeCounts) -> TubeCounts:
    acquired, collected = tube.identity.acquired, tube.identity.collected
    if acquired is None or (acquired.tzinfo is None) != (collected.tzinfo is None) or acquired - collected <= LATE:
        return tube
    return replace(tube, flags=(*tube.flags, str(Flag.LATE_ACQUISITION)))


def _with_drugs(tube: TubeCounts, exposures: Sequence[Exposure]) -> TubeCounts:
    said: dict[str, list[str]] = {}
    for exposure in exposures:
        for population, flag in exposure.flags_on(tube.identity.collected.date()).items():
            said.setdefault(population, []).append(str(flag))
    counts = {
        name: replace(count, flags=tuple(dict.fromkeys((*count.flags, *said[name])))) if name in said else count
        for name, count in tube.counts.items()
    }
    return replace(tube, counts=counts) if said else tube
