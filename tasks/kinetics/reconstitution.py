"""Describe the loss and return of B cells and plasma cells of one patient."""

import math
from collections.abc import Sequence
from dataclasses import replace

from tasks.counting.intervals import Interval, clopper_pearson, ratio
from tasks.kinetics.recovery import (
    Crossing,
    Definition,
    Recovery,
    RecoverySettings,
    VisitCount,
    definitions,
    recovery,
)
from tasks.kinetics.rounding import DAYS, exceeds, nine_digits
from tasks.kinetics.rows import Parameter, Row, missing, number
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import B_CELLS, LYMPHOCYTES, MEMORY_PARTS, NAIVE_B
from tasks.vocabulary.reasons import Why, because

BASELINE_DAY = -5.0
"""Lymphodepletion starts about here; a baseline is better taken before it."""

SHARE_B_EVENTS = 100
SHARES = (
    ("naive_share_at_recovery", "naive-of-B-at-B_10", (NAIVE_B,)),
    ("naive_igm_igd_share_at_recovery", "naive-IgM-IgD-of-B-at-B_10", ("naive_igm_igd_b",)),
    ("transitional_share_at_recovery", "transitional-of-B-at-B_10", ("transitional_b",)),
    (
        "memory_share_at_recovery",
        "memory-of-B-at-B_10",
        MEMORY_PARTS,
    ),
)
"""Name of the parameter, its rule, and the disjoint populations that make the share."""
DEPLETION_DEFINITION = "B_10"


def b_lineage_parameters(
    rows: Sequence[Row],
    tubes: Sequence[Row] | None,
    settings: RecoverySettings,
    *,
    baseline_visit: str | None,
) -> list[Parameter]:
    """Derive depletion, recovery and the ratio to baseline of a B-lineage population of one patient's blood.

    ``rows`` is one row a visit. ``tubes`` holds every row of the patient's blood and is given for
    the B cells as a whole; for a subset (``None``) only the ratio to baseline is derived, since the
    definitions are of total B cells. The share of naive cells is one of CD19+ B cells, so it stands
    with them alone.
    """
    kept = replace(baseline_ratio(rows, "per_ul", baseline_visit), name="baseline_ratio_last")
    if tubes is None:
        return [kept]
    found = recoveries(rows, tubes, settings, baseline_visit=baseline_visit)
    main, version = next(
        (each, definition.version)
        for definition, each in found
        if definition.id == DEPLETION_DEFINITION
    )
    followed = bool(_evaluable_after(rows))
    none = _why(main, followed=followed)
    named = [_crossing("depletion_onset", main.depletion, none, main.evaluable, version)]
    for definition, each in found:
        name = "recovery_" + definition.id.split("(")[0]
        if name in ("recovery_B_10", "recovery_B_20", "recovery_B_1pct", "recovery_B_LLN"):
            doubt = (
                ":unconfirmed"
                if each.recovery and each.recovery.high is not None and not each.confirmed
                else ""
            )
            named.append(
                _crossing(
                    name,
                    each.recovery,
                    _why(each, followed=followed),
                    each.evaluable,
                    definition.id + doubt + "@1",
                )
            )
    shares = (
        shares_at_recovery(tubes, main, none)
        if all(row["population"] == B_CELLS for row in rows)
        else []
    )
    return [
        *named,
        _crossing("aplasia_duration", main.duration, none, main.evaluable, version),
        kept,
        *shares,
    ]


def recoveries(
    rows: Sequence[Row],
    tubes: Sequence[Row],
    settings: RecoverySettings,
    *,
    baseline_visit: str | None,
) -> list[tuple[Definition, Recovery]]:
    """Judge one patient's B cells under every definition.

    The deep definition (B_ND) looks at the tube of each visit that has most blood in it, the others
    at the winning row.
    """
    base = baseline_row(rows, "per_ul", baseline_visit)
    known = definitions(settings, number(base["per_ul"]) if base is not None else None)
    same = [
        row for row in tubes if row["population"] == rows[0]["population"] and row["code"] != "NE"
    ]
    deepest: dict[str, Row] = {}
    for row in sorted(
        same,
        key=lambda row: (
            nine_digits(_or_infinite(row["lod_per_ul"])),
            row["day"],
            row["tube_sha256"],
        ),
    ):
        deepest.setdefault(row["visit"], row)
    usual, deep = (
        visit_counts(rows),
        visit_counts(sorted(deepest.values(), key=lambda row: row["day"])),
    )
    return [
        (definition, recovery(deep if definition.basis == "detection" else usual, definition))
        for definition in known
    ]


def visit_counts(rows: Sequence[Row]) -> list[VisitCount]:
    """Read rows of a kinetics table, one a visit, as counts to be judged."""
    found: list[VisitCount] = []
    for row in rows:
        few = str(Flag.FEW_LYMPHOCYTES) in str(row["flags"]).split(";") and row["code"] != "Q"
        of_lymphocytes = row["reference"] == LYMPHOCYTES
        found.append(
            VisitCount(
                day=float(row["day"]),
                code=str(row["code"]),
                per_ul=number(row["per_ul"]),
                lod_per_ul=number(row["lod_per_ul"]),
                lloq_per_ul=number(row["lloq_per_ul"]),
                percent=number(row["percent_reference"]) if of_lymphocytes else None,
                percent_known=of_lymphocytes and not few,
            )
        )
    return found


def baseline_row(rows: Sequence[Row], measure: str, baseline_visit: str | None) -> Row | None:
    """Choose the baseline: the named visit, else the last quantified one before lymphodepletion, else before infusion."""
    quantified = [row for row in rows if row["code"] == "Q" and number(row[measure]) is not None]
    if baseline_visit is not None:
        candidates = [row for row in quantified if row["visit"] == baseline_visit]
    else:
        candidates = [row for row in quantified if row["day"] <= BASELINE_DAY + DAYS] or [
            row for row in quantified if row["day"] < 0
        ]
    return max(reversed(candidates), key=lambda row: row["day"]) if candidates else None


def upper_limit(row: Row, measure: str) -> float | None:
    """Bound what was not detected: in blood by the 95 % limit of the concentration, in marrow by the limit of detection."""
    return number(row["per_ul_high"] if measure == "per_ul" else row["lod_percent"])


def baseline_ratio(rows: Sequence[Row], measure: str, baseline_visit: str | None) -> Parameter:
    """Give the last evaluable visit over the baseline, with its interval; "not detected" bounds it from above only."""
    base, rule = baseline_row(rows, measure, baseline_visit), "ratio-to-baseline@1"
    base_value = None if base is None else number(base[measure])
    after = _evaluable_after(rows)
    points = len(after) + (base is not None)
    if base is None or base_value is None or not after:
        return missing("", "1", rule, Why.NO_VISIT if not after else Why.NO_BASELINE, points)
    last = after[-1]
    value, limits, base_limits = number(last[measure]), _interval(last), _interval(base)
    if value is None:
        high = upper_limit(last, measure)
        bound = None if high is None else high / base_value
        return Parameter("", None, "1", None, bound, "left", points, because(rule, Why.BELOW_LIMIT))
    if measure != "per_ul" or limits is None or base_limits is None:
        return Parameter("", value / base_value, "1", points=points, definition=rule)
    interval = ratio(value, limits, base_value, base_limits)
    return Parameter("", value / base_value, "1", interval.low, interval.high, "none", points, rule)


def shares_at_recovery(
    tubes: Sequence[Row], judged: Recovery, not_recovered: Why
) -> list[Parameter]:
    """Give the share of naive, naive IgM+IgD+, transitional and memory cells among B cells at the first recovered visit with 100 B cells.

    Each is of the first tube that reports its cells. Its visit may be long after recovery: its day
    stands in the definition. ``not_recovered`` says why there may be none.
    """
    if judged.recovery is None or judged.recovery.high is None:
        return [missing(name, "1", f"{rule}:CP@1", not_recovered) for name, rule, _ in SHARES]
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in tubes:
        if row["day"] >= judged.recovery.high:
            found.setdefault((row["tube_sha256"], row["strategy"]), {})[row["population"]] = row
    shares = []
    for name, rule, parts in SHARES:
        able = [
            (
                own[B_CELLS]["day"],
                own[B_CELLS]["events"],
                sum(own[part]["events"] for part in parts),
            )
            for own in found.values()
            if {B_CELLS, *parts} <= set(own)
            and own[B_CELLS]["code"] == "Q"
            and own[B_CELLS]["events"] >= SHARE_B_EVENTS
        ]
        able = [each for each in able if each[2] <= each[1]]
        if not able:
            shares.append(missing(name, "1", f"{rule}:CP@1", Why.FEW_B_CELLS))
            continue
        # Of several tubes of the first such day the one with most B cells.
        day, events, part = min(able, key=lambda each: (each[0], -each[1], -each[2]))
        low, high = clopper_pearson(part, events)
        definition = f"{rule}:day-{day:.1f}:CP@1"
        shares.append(
            Parameter(
                name,
                part / events if part else None,
                "1",
                low,
                high,
                "none" if part else "left",
                1,
                definition,
            )
        )
    return shares


def plasma_cell_parameters(
    rows: Sequence[Row], *, specimen: str, baseline_visit: str | None
) -> list[Parameter]:
    """Derive the nadir of the plasma cells and what of the baseline is left, in cells/µL or, in marrow, in percent."""
    measure, unit = ("per_ul", "1/uL") if specimen == "blood" else ("percent_reference", "%")
    after = _evaluable_after(rows)
    last = baseline_ratio(rows, measure, baseline_visit)
    value, low, high = (
        None if each is None else 100 * each for each in (last.value, last.low, last.high)
    )
    left = Parameter(
        "percent_of_baseline_last",
        value,
        "%",
        low,
        high,
        last.censoring,
        last.points,
        last.definition,
    )
    return [*_nadir(after, measure, unit), left]


def _evaluable_after(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["code"] != "NE" and row["day"] > 0]


def _nadir(after: Sequence[Row], measure: str, unit: str) -> list[Parameter]:
    """Find the lowest visit after infusion.

    Where cells were not detected the nadir is only known to lie below the lowest upper limit of all
    visits, and its day is that of the visit which bounds "not detected" best.
    """
    points, rule = len(after), "lowest-visit@1"
    absent, seen = (
        [row for row in after if row["code"] == "ND"],
        [row for row in after if number(row[measure]) is not None],
    )
    if not absent and not seen:
        return [
            missing("nadir", unit, rule, Why.NO_VISIT),
            missing("nadir_day", "d", rule, Why.NO_VISIT),
        ]
    if not absent:
        lowest = _first_lowest(seen, measure)
        low, high = (_interval(lowest) if measure == "per_ul" else None) or (None, None)
        nadir = Parameter("nadir", number(lowest[measure]), unit, low, high, "none", points, rule)
    else:
        limit = "per_ul_high" if measure == "per_ul" else "lod_percent"
        lowest = _first_lowest(absent, limit)
        bounds = [number(row[limit]) for row in (after if measure == "per_ul" else absent)]
        bound = min((each for each in bounds if each is not None), default=None)
        nadir = Parameter(
            "nadir", None, unit, None, bound, "left", points, because(rule, Why.BELOW_LIMIT)
        )
    return [
        nadir,
        Parameter("nadir_day", float(lowest["day"]), "d", points=points, definition=rule),
    ]


def _first_lowest(rows: Sequence[Row], measure: str) -> Row:
    """Choose the first row that is as low as the lowest (up to rounding); one without the measure comes last."""
    ordered = sorted(rows, key=lambda row: row["day"])
    lowest = min(_or_infinite(row[measure]) for row in ordered)
    return next(row for row in ordered if not exceeds(_or_infinite(row[measure]), lowest))


def _or_infinite(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _interval(row: Row) -> Interval | None:
    low, high = number(row["per_ul_low"]), number(row["per_ul_high"])
    return None if low is None or high is None else Interval(low, high)


def _crossing(
    name: str, crossing: Crossing | None, none: Why, points: int, definition: str
) -> Parameter:
    if crossing is None:
        return missing(name, "d", definition, none, points)
    return Parameter(
        name,
        crossing.estimate,
        "d",
        crossing.low,
        crossing.high,
        crossing.censoring,
        points,
        definition,
    )


def _why(judged: Recovery, *, followed: bool) -> Why:
    """Say why there is no depletion or recovery; ``followed``: there are evaluable visits after infusion."""
    if not followed:
        return Why.NO_VISIT
    if judged.depleted is None:
        return Why.DEPLETION_UNKNOWN
    return Why.NOT_RECOVERED if judged.depleted else Why.NEVER_DEPLETED
