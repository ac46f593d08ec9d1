"""Compare duplicate direct counts of one draw."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from tasks.counting.counts import TubeCounts
from tasks.counting.direct_volume import direct_volume
from tasks.counting.draw import Draw, same_draw

_Z = 1.96


@dataclass(frozen=True, slots=True)
class _Replicate:
    """A direct count of a population; ``variance`` is that of its logarithm."""

    tube: str
    population: str
    per_ul: float
    variance: float


def differing_replicates(draw: Draw) -> frozenset[tuple[str, str]]:
    """List (tube, population) of quantified direct counts that another tube contradicts.

    Duplicates of one draw contradict each other when they differ by more than
    ``replicate_difference`` of their mean (10 %: the usual rule for repeating a bead count) and by
    more than their own counting errors explain, so that few cells raise no alarm by chance.
    """
    replicates: dict[str, list[_Replicate]] = {}
    for tube in draw.tubes:
        for replicate in _direct_counts(draw, tube):
            replicates.setdefault(replicate.population, []).append(replicate)
    drawn_together = {
        tube.identity.tube_sha256: {other.identity.tube_sha256 for other in same_draw(draw, tube)}
        for tube in draw.tubes
    }
    differing: set[tuple[str, str]] = set()
    for population, counts in replicates.items():
        for one, other in combinations(counts, 2):
            is_duplicate = other.tube in drawn_together[one.tube]
            if is_duplicate and _differ(one, other, draw.limits.replicate_difference):
                differing |= {(one.tube, population), (other.tube, population)}
    return frozenset(differing)


def _direct_counts(draw: Draw, tube: TubeCounts) -> Iterator[_Replicate]:
    """Give the populations of a directly counted tube that have enough events."""
    volume, _ = direct_volume(tube, draw.methods_of(tube), draw.limits)
    if volume is None:
        return
    sha = tube.identity.tube_sha256
    bead_variance = 1 / volume.beads if volume.beads else 0.0
    for population, count in tube.counts.items():
        needed = draw.quantify_events.get((sha, population), draw.limits.quantify_events)
        if count.events >= needed:
            variance = 1 / count.events + bead_variance
            yield _Replicate(sha, population, count.events / volume.microlitres, variance)


def _differ(one: _Replicate, other: _Replicate, allowed: float) -> bool:
    difference = abs(one.per_ul - other.per_ul) / ((one.per_ul + other.per_ul) / 2)
    chance = _Z * math.sqrt(one.variance + other.variance)
    return difference > allowed and abs(math.log(one.per_ul / other.per_ul)) > chance
