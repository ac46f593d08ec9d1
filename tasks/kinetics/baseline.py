"""Compare a patient's last visit with the baseline before treatment."""

from collections.abc import Sequence

from tasks.counting.intervals import Interval, ratio
from tasks.kinetics.rounding import DAYS
from tasks.kinetics.rows import Parameter, Row, missing, number, undetected_below
from tasks.vocabulary.reasons import Why, because

BASELINE_DAY = -5.0
"""Lymphodepletion starts about here; a baseline is better taken before it."""


def baseline_row(rows: Sequence[Row], measure: str, baseline_visit: str | None) -> Row | None:
    """Choose the baseline among one row a visit.

    It is the named visit, else the last quantified one before lymphodepletion, else the last before
    infusion.
    """
    quantified = [row for row in rows if row["code"] == "Q" and number(row[measure]) is not None]
    if baseline_visit is not None:
        candidates = [row for row in quantified if row["visit"] == baseline_visit]
    else:
        candidates = [row for row in quantified if row["day"] <= BASELINE_DAY + DAYS]
        if not candidates:
            candidates = [row for row in quantified if row["day"] < 0]
    if candidates:
        return max(reversed(candidates), key=lambda row: row["day"])
    return None


def baseline_ratio(
    rows: Sequence[Row], measure: str, baseline_visit: str | None, *, name: str
) -> Parameter:
    """Give the last evaluable visit over the baseline, with its interval, as parameter ``name``.

    "Not detected" bounds the ratio from above only, by what the tables print it to be below.
    """
    base, rule = baseline_row(rows, measure, baseline_visit), "ratio-to-baseline@2"
    base_value = None if base is None else number(base[measure])
    after = evaluable_after_infusion(rows)
    points = len(after) + (base is not None)
    if not after:
        return missing(name, "1", rule, Why.NO_VISIT, points)
    if base is None or base_value is None:
        return missing(name, "1", rule, Why.NO_BASELINE, points)
    last = after[-1]
    value = number(last[measure])
    if value is None:
        high = undetected_below(last)
        bound = None if high is None else high / base_value
        definition = because(rule, Why.BELOW_LIMIT)
        return Parameter(name, None, "1", None, bound, "left", points, definition)
    limits, base_limits = concentration_interval(last), concentration_interval(base)
    if measure != "per_ul" or limits is None or base_limits is None:
        return Parameter(name, value / base_value, "1", points=points, definition=rule)
    low, high = ratio(value, limits, base_value, base_limits)
    return Parameter(name, value / base_value, "1", low, high, "none", points, rule)


def evaluable_after_infusion(rows: Sequence[Row]) -> list[Row]:
    """List the evaluable rows after the day of infusion."""
    return [row for row in rows if row["code"] != "NE" and row["day"] > 0]


def concentration_interval(row: Row) -> Interval | None:
    """Read the 95 % interval of a row's concentration, where both limits are given."""
    low, high = number(row["per_ul_low"]), number(row["per_ul_high"])
    if low is None or high is None:
        return None
    return Interval(low, high)
