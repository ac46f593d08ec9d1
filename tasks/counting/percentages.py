"""Give a population as a percentage of its parent gate and of its reference population."""

from typing import NamedTuple

from tasks.counting.counts import PopulationCount
from tasks.counting.limits import LimitSettings
from tasks.counting.population_rules import PopulationRule
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import TOTAL_B


class Percentages(NamedTuple):
    """Percent of the parent gate and of the reference population; ``None`` is "not given"."""

    parent: float | None
    reference: float | None


NO_PERCENTAGES = Percentages(None, None)


def percentages(
    count: PopulationCount, rule: PopulationRule, limits: LimitSettings
) -> tuple[Percentages, tuple[Flag, ...]]:
    """Give the percentages of parent and reference whose denominators are large enough.

    A subset of B cells needs 100 of them; between 50 and 99 its percentages are given as
    indicative. A population read against a stain's background (CAR T cells) needs 5,000 T cells;
    from the strategy's minimum on its percentages are given and flagged, because in the first week
    after lymphodepletion there are no more. A reference with fewer cells than the population is no
    whole of it, and gives no percentage.
    """
    least, enough = _denominators(count, rule, limits)
    parent = _percent(count.events, count.parent_events, least)
    reference = _percent(count.events, count.reference_events, least)
    flags: list[Flag] = []
    is_read_against_baseline = rule.background == "baseline"
    if is_read_against_baseline and least <= count.reference_events < limits.few_percent_events:
        flags.append(Flag.FEW_T_CELLS)
    if parent is None or reference is None:
        flags.append(Flag.FEW_PARENT_EVENTS)
    if reference is not None and count.events > count.reference_events:
        reference = None
        flags.append(Flag.REFERENCE_NOT_PARENT)
    if any(least <= total < enough for total in (count.parent_events, count.reference_events)):
        flags.append(Flag.INDICATIVE_PERCENTAGE)
    return Percentages(parent, reference), tuple(flags)


def _denominators(
    count: PopulationCount, rule: PopulationRule, limits: LimitSettings
) -> tuple[int, int]:
    """Decide from how many events of a denominator a percentage is given, and from how many fully.

    Between the two it is indicative.
    """
    least = max(1, rule.minimum_parent_events)
    is_b_subset = count.reference in TOTAL_B and rule.id not in TOTAL_B
    if not is_b_subset:
        return least, least
    enough = max(least, limits.b_subset_events)
    if least > limits.b_subset_events:
        return least, enough
    return min(limits.b_subset_indicative_events, enough), enough


def _percent(events: int, total: int, least: int) -> float | None:
    if total >= least:
        return 100 * events / total
    return None
