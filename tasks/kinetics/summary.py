"""Sum the patients' parameters up by group, with medians that keep intervals and bounds.

A value may only be known to lie in an interval or beyond a bound.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median, quantiles

import pandas as pd

from tasks.kinetics.cohort_schema import PARAMETER_SUMMARY
from tasks.kinetics.reconstitution import REPORTED_RECOVERIES
from tasks.kinetics.rows import Row, number, rows_of
from tasks.kinetics.table_schema import check_shape
from tasks.kinetics.turnbull import EVERYONE, middle_step, turnbull

MAY_BE_NEGATIVE = frozenset({"depletion_onset"})
"""B cells may be gone before the infusion; everything else is an amount, or a time after it."""

BETWEEN_VISITS = frozenset({"Tbql", "depletion_onset", *REPORTED_RECOVERIES})
"""Moments that nobody sees, only the visits around them: the end of such an interval is no value,
and the median is Turnbull's."""

YES_OR_NO = frozenset({"persistence_wk24"})
FEWEST_FOR_MEDIAN = 2
FEWEST_FOR_QUARTILES = 4


def summary_frame(
    parameters: pd.DataFrame, strata: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Sum up every parameter, for all patients and for each stratum.

    The columns are those of ``PARAMETER_SUMMARY``. ``parameters`` has the columns of
    ``PARAMETERS``; ``strata`` maps patients to theirs.
    """
    stratum_of = strata or {}
    gathered: dict[tuple[str, ...], dict[str, list[Row]]] = {}
    for row in rows_of(parameters):
        analyte = (row["specimen"], row["population"], row["parameter"], row["unit"])
        groups = gathered.setdefault(analyte, {})
        groups.setdefault(EVERYONE, []).append(row)
        if row["patient"] in stratum_of:
            groups.setdefault(stratum_of[row["patient"]], []).append(row)
    ordered = sorted({*stratum_of.values()} - {EVERYONE})
    records = [
        (stratum, *analyte, *_summed(analyte[2], groups[stratum]))
        for analyte, groups in gathered.items()
        for stratum in (EVERYONE, *ordered)
        if stratum in groups
    ]
    frame = PARAMETER_SUMMARY.frame(records)
    check_shape(frame, PARAMETER_SUMMARY, "summary of the parameters")
    return frame


def bounds(row: Row) -> tuple[float, float] | None:
    """Give between which values a parameter lies, as far as is known, or ``None``.

    A known value is given twice. A bound that is not given is the value, where there is one ("at
    least 12", day 12), else the end of what is possible. The limits of a value without censoring
    are those of its confidence interval: they say nothing of its order among the patients.
    """
    value, low, high = (number(row[name]) for name in ("value", "low", "high"))
    if row["censoring"] == "none":
        return None if value is None else (value, value)
    if value is None and low is None and high is None:
        return None
    lowest = -math.inf if row["parameter"] in MAY_BE_NEGATIVE else 0.0
    below = None if row["censoring"] == "left" else value
    above = None if row["censoring"] == "right" else value
    return _first_given(low, below, lowest), _first_given(high, above, math.inf)


def _first_given(limit: float | None, value: float | None, otherwise: float) -> float:
    if limit is not None:
        return limit
    return otherwise if value is None else value


def _summed(parameter: str, rows: Sequence[Row]) -> tuple[float | None, ...]:
    """Sum up one parameter: the columns of ``PARAMETER_SUMMARY`` from ``patients`` on."""
    limits = [bounds(row) for row in rows]
    known = [row for row, each in zip(rows, limits, strict=True) if each is not None]
    bounded = sum(row["censoring"] != "none" for row in known)
    counts = (len(rows), len(known), bounded)
    if parameter in YES_OR_NO:
        share = sum(bool(row["value"]) for row in known) / len(known) if known else None
        return (*counts, share, *[None] * 7)
    if len(known) < FEWEST_FOR_MEDIAN:
        return (*counts, *[None] * 8)
    inside = [each for each in limits if each is not None]
    if parameter in BETWEEN_VISITS:
        return (*counts, None, *_between_visits(inside))
    ends = _ends_of_median(inside)
    points = [number(row["value"]) for row in known if row["censoring"] in {"none", "interval"}]
    exact = [point for point in points if point is not None]
    if len(exact) < len(known):
        return (*counts, None, *[None] * 5, *ends)
    return (*counts, None, *_described(exact), *ends)


def _described(values: Sequence[float]) -> tuple[float | None, ...]:
    """Give median, quartiles and range."""
    return median(values), *_quartiles(values), min(values), max(values)


def _between_visits(limits: Sequence[tuple[float, float]]) -> tuple[float | None, ...]:
    """Sum up moments that lie between visits: exact ones are described, else Turnbull's median.

    The columns are those of ``PARAMETER_SUMMARY`` from ``median`` on.
    """
    if all(low == high for low, high in limits):
        exact = [low for low, _ in limits]
        return *_described(exact), median(exact), median(exact)
    return *[None] * 5, *_turnbull_median(limits)


def _turnbull_median(limits: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    """Give the interval in which Turnbull's estimate has its median; ``None``: without end."""
    finite = [end for limit in limits for end in limit if math.isfinite(end)]
    # The estimate needs a beginning: a moment known only to come before a day has none.
    earlier = min(finite) - 1 if finite else 0.0
    lows = [low if math.isfinite(low) else earlier for low, _ in limits]
    middle = middle_step(turnbull(lows, [high for _, high in limits]))
    if middle is None:
        return None, None
    return (None if middle.low == earlier else middle.low), middle.high


def _ends_of_median(limits: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    """Give the medians of the lower and of the upper bounds; ``None`` where there is no bound."""
    lowest, highest = median(low for low, _ in limits), median(high for _, high in limits)
    return (
        lowest if math.isfinite(lowest) else None,
        highest if math.isfinite(highest) else None,
    )


def _quartiles(values: Sequence[float]) -> tuple[float | None, float | None]:
    if len(values) < FEWEST_FOR_QUARTILES:
        return None, None
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return lower, upper
