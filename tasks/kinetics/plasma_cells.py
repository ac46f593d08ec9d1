"""Describe how far the plasma cells of one patient fell, and what is left of the baseline."""

import math
from collections.abc import Sequence

from tasks.kinetics.baseline import (
    baseline_ratio,
    concentration_interval,
    evaluable_after_infusion,
)
from tasks.kinetics.rounding import exceeds
from tasks.kinetics.rows import (
    Parameter,
    Row,
    missing,
    number,
    or_infinite,
    undetected_below,
)
from tasks.vocabulary.reasons import Why, because

_LOWEST_VISIT = "lowest-visit@3"


def plasma_cell_parameters(
    rows: Sequence[Row], *, specimen: str, baseline_visit: str | None
) -> list[Parameter]:
    """Derive the nadir of the plasma cells and what of the baseline is left.

    ``rows`` are one a visit. The unit is cells/µL or, in marrow, percent.
    """
    measure, unit = "per_ul", "1/uL"
    if specimen != "blood":
        measure, unit = "percent_reference", "%"
    last = baseline_ratio(rows, measure, baseline_visit, name="percent_of_baseline_last")
    left = Parameter(
        last.name,
        _in_percent(last.value),
        "%",
        _in_percent(last.low),
        _in_percent(last.high),
        last.censoring,
        last.points,
        last.definition,
    )
    return [*_nadir(evaluable_after_infusion(rows), measure, unit), left]


def _in_percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _nadir(after: Sequence[Row], measure: str, unit: str) -> list[Parameter]:
    """Give the lowest visit after infusion, and its day.

    Once cells are not detected the nadir is only known to lie below what the tables print: the
    lowest such limit ("<0.36"), or a detected amount that is no more than that. Its day is then any
    of those visits, given as the interval from the first to the last.
    """
    points = len(after)
    absent = [row for row in after if row["code"] == "ND"]
    seen = [row for row in after if number(row[measure]) is not None]
    if not absent and not seen:
        return [
            missing("nadir", unit, _LOWEST_VISIT, Why.NO_VISIT),
            missing("nadir_day", "d", _LOWEST_VISIT, Why.NO_VISIT),
        ]
    if absent:
        return _below_limit(absent, seen, measure, unit)
    lowest = _first_lowest(seen, measure)
    interval = concentration_interval(lowest) if measure == "per_ul" else None
    low, high = interval or (None, None)
    value, day = number(lowest[measure]), float(lowest["day"])
    return [
        Parameter("nadir", value, unit, low, high, "none", points, _LOWEST_VISIT),
        Parameter("nadir_day", day, "d", points=points, definition=_LOWEST_VISIT),
    ]


def _below_limit(
    absent: Sequence[Row], seen: Sequence[Row], measure: str, unit: str
) -> list[Parameter]:
    """Bound the nadir of a series in which cells were not detected at the visits ``absent``."""
    undetected = min(or_infinite(undetected_below(row)) for row in absent)
    detected = min((float(row[measure]) for row in seen), default=math.inf)
    bound, points = min(undetected, detected), len(absent) + len(seen)
    days = [float(row["day"]) for row in absent]
    days += [float(row["day"]) for row in seen if not exceeds(float(row[measure]), bound)]
    first, last = min(days), max(days)
    rule = because(_LOWEST_VISIT, Why.BELOW_LIMIT)
    high = bound if math.isfinite(bound) else None
    nadir = Parameter("nadir", None, unit, None, high, "left", points, rule)
    if first == last:
        return [nadir, Parameter("nadir_day", first, "d", points=points, definition=rule)]
    day = Parameter("nadir_day", None, "d", first, last, "interval", points, rule)
    return [nadir, day]


def _first_lowest(rows: Sequence[Row], measure: str) -> Row:
    """Choose the first of some visits that is as low as the lowest (up to rounding)."""
    ordered = sorted(rows, key=lambda row: row["day"])
    lowest = min(float(row[measure]) for row in ordered)
    return next(row for row in ordered if not exceeds(float(row[measure]), lowest))
