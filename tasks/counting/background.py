"""Learn from a patient's pre-infusion tube what each stain shows without the cells it looks for."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from tasks.counting.counts import TubeCounts
from tasks.counting.limits import Background
from tasks.counting.population_rules import PopulationRule, Rules, rules_of
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.moments import instant

BackgroundKey = tuple[str, str | None, str]
"""Specimen, CAR reagent, population."""
NO_BACKGROUNDS: Mapping[BackgroundKey, Background] = MappingProxyType({})


def baseline_backgrounds(
    tubes: Iterable[TubeCounts],
    rules: Rules,
    *,
    infused: datetime,
    baseline_visit: str | None = None,
) -> dict[BackgroundKey, Background]:
    """Choose the tube that shows the background of each specimen, CAR reagent and population.

    ``tubes`` are one patient's; only populations with ``background: baseline`` have one. A tube of
    ``baseline_visit`` goes first; among the others collected before ``infused`` the one with most
    reference events is taken, since it knows the background best. Control tubes and excluded ones
    are left out.
    """
    best: dict[BackgroundKey, tuple[tuple[bool, int, str], Background]] = {}
    for tube in tubes:
        identity = tube.identity
        if (
            tube.is_excluded
            or identity.control
            or identity.drawn_at >= instant(infused, identity.time_zone)
        ):
            continue
        for rule in rules_of(tube, rules).values():
            count = tube.counts.get(rule.id)
            if rule.background != "baseline" or count is None or count.reference_events == 0:
                continue
            key = (identity.specimen, identity.car_reagent, rule.id)
            rank = (identity.visit != baseline_visit, -count.reference_events, identity.tube_sha256)
            if key not in best or rank < best[key][0]:
                corrected = not tube.corrected.isdisjoint({rule.id, count.reference})
                background = Background(
                    identity.tube_sha256, count.events, count.reference_events, corrected
                )
                best[key] = (rank, background)
    ordered = sorted(best.items(), key=lambda item: str(item[0]))
    return {key: background for key, (_, background) in ordered}


def background_flags(
    tube: TubeCounts,
    rule: PopulationRule,
    *,
    background: Background | None,
    backgrounds: Mapping[BackgroundKey, Background],
    few_events: int,
) -> list[Flag]:
    """List what is doubtful about the pre-infusion background of a population in a tube.

    A background of fewer than ``few_events`` reference events is poorly known, and one of another
    tube that a person corrected moves the limits here. Where there is none,
    ``backgrounds`` tells whether the patient has one of another CAR reagent.
    """
    if background is not None:
        needed = max(few_events, rule.minimum_parent_events)
        few = background.reference_events < needed
        lent = background.corrected and background.tube_sha256 != tube.identity.tube_sha256
        return [
            *([Flag.BACKGROUND_FEW_EVENTS] if few else []),
            *([Flag.BACKGROUND_CORRECTED] if lent else []),
        ]
    of_another_reagent = any(
        specimen == tube.identity.specimen and population == rule.id
        for specimen, _, population in backgrounds
    )
    if of_another_reagent:
        return [Flag.NO_BACKGROUND, Flag.REAGENT_CHANGED]
    return [Flag.NO_BACKGROUND]
