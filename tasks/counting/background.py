"""Learn from a patient's pre-infusion tube what each stain shows without the cells it looks for."""

from collections.abc import Iterable
from datetime import datetime

from tasks.counting.counts import TubeCounts
from tasks.counting.limits import Background
from tasks.counting.quantity import BackgroundKey, Rules, rules_of
from tasks.vocabulary.moments import instant


def baseline_backgrounds(
    tubes: Iterable[TubeCounts],
    rules: Rules,
    *,
    infused: datetime,
    baseline_visit: str | None = None,
) -> dict[BackgroundKey, Background]:
    """Find for each specimen, CAR reagent and population with ``background: baseline`` the tube that tells its background.

    ``tubes`` are one patient's. A tube of ``baseline_visit`` goes first; among the others collected
    before ``infused`` the one with most reference events is taken, since it knows the background
    best. Control tubes are left out.
    """
    best: dict[BackgroundKey, tuple[tuple[bool, int, str], Background]] = {}
    for tube in tubes:
        identity = tube.identity
        if identity.control or identity.drawn_at >= instant(infused, identity.time_zone):
            continue
        for rule in rules_of(tube, rules).values():
            count = tube.counts.get(rule.id)
            if rule.background != "baseline" or count is None or count.reference_events == 0:
                continue
            key = (identity.specimen, identity.car_reagent, rule.id)
            rank = (identity.visit != baseline_visit, -count.reference_events, identity.tube_sha256)
            if key not in best or rank < best[key][0]:
                best[key] = (
                    rank,
                    Background(identity.tube_sha256, count.events, count.reference_events),
                )
    return {
        key: background
        for key, (_, background) in sorted(best.items(), key=lambda item: str(item[0]))
    }
