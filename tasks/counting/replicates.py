"""Compare duplicate direct counts of one draw."""

import math
from itertools import combinations

from tasks.counting.volume import Draw, direct_volume, same_draw

_Z = 1.96


def differing_replicates(draw: Draw) -> frozenset[tuple[str, str]]:
    """List (tube, population) of quantified direct counts that another tube of the draw contradicts.

    Duplicates contradict each other when they differ by more than ``replicate_difference`` of their
    mean (10 %: the usual rule for repeating a bead count) and by more than their own counting
    errors explain, so that few cells raise no alarm by chance.
    """
    counted: dict[str, list[tuple[str, float, float]]] = {}
    neighbours = {
        tube.identity.tube_sha256: {other.identity.tube_sha256 for other in same_draw(draw, tube)}
        for tube in draw.tubes
    }
    for tube in draw.tubes:
        volume, _ = direct_volume(tube, draw.counting.get(tube.identity.panel, ()), draw.limits)
        if volume is None:
            continue
        sha = tube.identity.tube_sha256
        for population, count in tube.counts.items():
            if count.events >= draw.quantify_events.get(
                (sha, population), draw.limits.quantify_events
            ):
                variance = 1 / count.events + (1 / volume.beads if volume.beads else 0.0)
                counted.setdefault(population, []).append(
                    (sha, count.events / volume.microlitres, variance)
                )
    return frozenset(
        (sha, population)
        for population, found in counted.items()
        for one, other in combinations(found, 2)
        if other[0] in neighbours[one[0]]
        and _differ(one[1:], other[1:], draw.limits.replicate_difference)
        for sha in (one[0], other[0])
    )


def _differ(one: tuple[float, float], other: tuple[float, float], allowed: float) -> bool:
    difference = abs(one[0] - other[0]) / ((one[0] + other[0]) / 2)
    chance = _Z * math.sqrt(one[1] + other[1])
    return difference > allowed and abs(math.log(one[0] / other[0])) > chance
