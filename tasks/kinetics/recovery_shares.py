"""Give the shares of naive, transitional and memory cells among the B cells that came back."""

from collections.abc import Mapping, Sequence

from tasks.counting.intervals import clopper_pearson
from tasks.kinetics.recovery import Recovery
from tasks.kinetics.rows import Parameter, Row, missing
from tasks.vocabulary.populations import B_CELLS, MEMORY_PARTS, NAIVE_B
from tasks.vocabulary.reasons import Why

SHARE_B_EVENTS = 100
"""B cells that a tube needs to have shares."""
SHARES = (
    ("naive_share_at_recovery", "naive-of-B-at-B_10", (NAIVE_B,)),
    ("naive_igm_igd_share_at_recovery", "naive-IgM-IgD-of-B-at-B_10", ("naive_igm_igd_b",)),
    ("transitional_share_at_recovery", "transitional-of-B-at-B_10", ("transitional_b",)),
    ("memory_share_at_recovery", "memory-of-B-at-B_10", MEMORY_PARTS),
)
"""Name of the parameter, its rule, and the disjoint populations that make the share."""


def shares_at_recovery(
    tubes: Sequence[Row], judged: Recovery, not_recovered: Why
) -> list[Parameter]:
    """Give the shares of subsets among the B cells at the first recovered visit with 100 B cells.

    The subsets are naive, naive IgM+IgD+, transitional and memory cells. Each share is of the first
    tube that reports its cells. Its visit may be long after recovery: its day stands in the
    definition. ``not_recovered`` is the reason why there may be none.
    """
    if judged.recovery is None or judged.recovery.high is None:
        return [missing(name, "1", f"{rule}:CP@1", not_recovered) for name, rule, _ in SHARES]
    recovered: dict[tuple[str, str], dict[str, Row]] = {}
    for row in tubes:
        if row["day"] >= judged.recovery.high:
            tube = (row["tube_sha256"], row["strategy"])
            recovered.setdefault(tube, {})[row["population"]] = row
    return [_share(name, rule, parts, [*recovered.values()]) for name, rule, parts in SHARES]


def _share(
    name: str, rule: str, parts: Sequence[str], tubes: Sequence[Mapping[str, Row]]
) -> Parameter:
    """Give the share of ``parts``; each of ``tubes`` maps population to row."""
    counts = [_counts(rows, parts) for rows in tubes if _has_enough_b_cells(rows, parts)]
    able = [(day, events, part) for day, events, part in counts if part <= events]
    if not able:
        return missing(name, "1", f"{rule}:CP@1", Why.FEW_B_CELLS)
    # Of several tubes of the first such day the one with most B cells.
    day, events, part = min(able, key=lambda each: (each[0], -each[1], -each[2]))
    low, high = clopper_pearson(part, events)
    definition = f"{rule}:day-{day:.1f}:CP@1"
    if part == 0:
        return Parameter(name, None, "1", low, high, "left", 1, definition)
    return Parameter(name, part / events, "1", low, high, "none", 1, definition)


def _has_enough_b_cells(rows: Mapping[str, Row], parts: Sequence[str]) -> bool:
    if not {B_CELLS, *parts} <= set(rows):
        return False
    b_cells = rows[B_CELLS]
    return bool(b_cells["code"] == "Q" and b_cells["events"] >= SHARE_B_EVENTS)


def _counts(rows: Mapping[str, Row], parts: Sequence[str]) -> tuple[float, int, int]:
    """Give the day of a tube, its B cells and the events of ``parts`` together."""
    b_cells = rows[B_CELLS]
    return b_cells["day"], b_cells["events"], sum(rows[part]["events"] for part in parts)
