"""Gather the tubes of a visit with the limits of their populations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.counting.background import NO_BACKGROUNDS, BackgroundKey
from tasks.counting.counts import TubeCounts
from tasks.counting.cross_check import check_draw
from tasks.counting.draw import Draw
from tasks.counting.limits import Background, LimitSettings
from tasks.counting.measurements import Comparison
from tasks.counting.population_limits import PopulationLimits, population_limits
from tasks.counting.population_rules import Rules, reported_rules
from tasks.counting.replicates import differing_replicates
from tasks.counting.volume import CountMethod


@dataclass(frozen=True, slots=True)
class Visit:
    """The tubes of one patient, specimen and visit that give rows.

    ``limits`` are those of each (tube, population); ``draw`` holds the tubes of blood that may be
    evaluated.
    """

    tubes: tuple[TubeCounts, ...]
    limits: Mapping[tuple[str, str], PopulationLimits]
    draw: Draw


def group_by_visit(tubes: Iterable[TubeCounts]) -> dict[tuple[str, str, str], list[TubeCounts]]:
    """Gather the tubes of each (patient, specimen, visit), in order of collection."""
    groups: dict[tuple[str, str, str], list[TubeCounts]] = {}
    for tube in sorted(tubes, key=tube_order):
        identity = tube.identity
        visit = (identity.patient, identity.specimen, identity.visit)
        groups.setdefault(visit, []).append(tube)
    return groups


def gather_visit(
    tubes: Sequence[TubeCounts],
    rules: Rules,
    *,
    counting: Mapping[str, tuple[CountMethod, ...]],
    limits: LimitSettings,
    backgrounds: Mapping[BackgroundKey, Background] = NO_BACKGROUNDS,
) -> Visit:
    """Decide the limits of a visit's tubes and which of them tie counts to a volume."""
    counted = tuple(sorted((t for t in tubes if not t.identity.control), key=tube_order))
    in_blood = [tube for tube in tubes if tube.identity.specimen == "blood"]
    decided = {
        (tube.identity.tube_sha256, rule.id): population_limits(tube, rule, limits, backgrounds)
        for tube in counted
        for rule in reported_rules(tube, rules)
    }
    usable = tuple(tube for tube in counted if tube.is_usable and tube in in_blood)
    beside = tuple(sorted((tube for tube in in_blood if tube not in usable), key=tube_order))
    draw = Draw(
        tubes=usable,
        counting=counting,
        quantify_events={row: each.quantify for row, each in decided.items()},
        limits=limits,
        beside=beside,
    )
    return Visit(counted, decided, replace(draw, differing=differing_replicates(draw)))


def compare_visit(
    tubes: Sequence[TubeCounts],
    rules: Rules,
    *,
    counting: Mapping[str, tuple[CountMethod, ...]],
    limits: LimitSettings | None = None,
) -> dict[str, tuple[Comparison, ...]]:
    """Compare the independent measurements of a visit; give the comparisons by tube (SHA-256).

    The arguments are as for ``quantify_visit``. An excluded tube is compared with nothing.
    """
    kept = [tube for tube in tubes if not tube.is_excluded]
    visit = gather_visit(kept, rules, counting=counting, limits=limits or LimitSettings())
    excluded = {tube.identity.tube_sha256: () for tube in tubes if tube.is_excluded}
    return excluded | dict(check_draw(visit.draw).of_tube)


def tube_order(tube: TubeCounts) -> tuple[object, ...]:
    """Give what the tubes of a visit are sorted by: time of the draw, panel, tube, strategy."""
    return tube.identity.drawn_at, tube.identity.panel, tube.identity.tube_sha256, tube.strategy
