"""Add to counted tubes what the sheets say about them: a late acquisition, drugs that hide a marker.

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


def with_circumstances(tubes: Sequence[TubeCounts], exposures: Mapping[str, Sequence[Exposure]]) -> list[TubeCounts]:
    """Give the tubes with the words of their circumstances added."""
    return [_with_drugs(_with_delay(tube), exposures.get(tube.identity.patient, ())) for tube in tubes]


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
