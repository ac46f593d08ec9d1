"""Describe how far the plasma cells of one patient fell, and what is left of the baseline."""

from collections.abc import Sequence

from tasks.kinetics.baseline import (
    baseline_ratio,
    concentration_interval,
    evaluable_after_infusion,
)
from tasks.kinetics.rounding import exceeds
from tasks.kinetics.rows import Parameter, Row, missing, number, or_infinite
from tasks.vocabulary.reasons import Why, because

_LOWEST_VISIT = "lowest-visit@1"


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

    Where cells were not detected its day is that of the visit which bounds "not detected" best.
    """
    is_blood = measure == "per_ul"
    absent = [row for row in after if row["code"] == "ND"]
    seen = [row for row in after if number(row[measure]) is not None]
    points = len(after)
    if absent:
        limit = "per_ul_high" if is_blood else "lod_percent"
        lowest = _first_lowest(absent, limit)
        # A concentration that was detected has an upper limit too; a percentage has none.
        bound = _lowest_bound(after if is_blood else absent, limit)
        rule = because(_LOWEST_VISIT, Why.BELOW_LIMIT)
        nadir = Parameter("nadir", None, unit, None, bound, "left", points, rule)
    elif seen:
        lowest = _first_lowest(seen, measure)
        interval = concentration_interval(lowest) if is_blood else None
        low, high = interval or (None, None)
        value = number(lowest[measure])
        nadir = Parameter("nadir", value, unit, low, high, "none", points, _LOWEST_VISIT)
    else:
        return [
            missing("nadir", unit, _LOWEST_VISIT, Why.NO_VISIT),
            missing("nadir_day", "d", _LOWEST_VISIT, Why.NO_VISIT),
        ]
    day = float(lowest["day"])
    return [nadir, Parameter("nadir_day", day, "d", points=points, definition=_LOWEST_VISIT)]


def _lowest_bound(rows: Sequence[Row], limit: str) -> float | None:
    """Give the lowest upper limit of some visits; the nadir is only known to lie below it."""
    bounds = [number(row[limit]) for row in rows]
    return min((bound for bound in bounds if bound is not None), default=None)


def _first_lowest(rows: Sequence[Row], measure: str) -> Row:
    """Choose the first row that is as low as the lowest (up to rounding).

    One without the measure comes last.
    """
    ordered = sorted(rows, key=lambda row: row["day"])
    lowest = min(or_infinite(row[measure]) for row in ordered)
    return next(row for row in ordered if not exceeds(or_infinite(row[measure]), lowest))
