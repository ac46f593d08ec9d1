"""Sum the patients' parameters up by group: medians that keep what is only known to lie in an interval or beyond a bound."""

import math
from collections.abc import Mapping, Sequence
from statistics import median, quantiles

import pandas as pd

from tasks.kinetics.rows import Row, number, rows_of
from tasks.kinetics.schema import PARAMETER_SUMMARY
from tasks.kinetics.table_schema import check_shape
from tasks.kinetics.turnbull import EVERYONE

MAY_BE_NEGATIVE = frozenset({"depletion_onset"})
"""B cells may be gone before the infusion; everything else is an amount, or a time after it."""

YES_OR_NO = frozenset({"persistence_wk24"})
FEWEST_FOR_MEDIAN = 2
FEWEST_FOR_QUARTILES = 4


def summary_frame(
    parameters: pd.DataFrame, strata: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Sum up every parameter, for all patients and for each stratum, with the columns of ``PARAMETER_SUMMARY``.

    ``parameters`` has the columns of ``PARAMETERS``; ``strata`` maps patients to theirs.
    """
    groups = strata or {}
    found: dict[tuple[str, ...], dict[str, list[Row]]] = {}
    for row in rows_of(parameters):
        analyte = (row["specimen"], row["population"], row["parameter"], row["unit"])
        for stratum in (
            (EVERYONE, groups[row["patient"]]) if row["patient"] in groups else (EVERYONE,)
        ):
            found.setdefault(analyte, {}).setdefault(stratum, []).append(row)
    ordered = sorted({*groups.values()} - {EVERYONE})
    records = [
        (stratum, *analyte, *_summed(analyte[2], own[stratum]))
        for analyte, own in found.items()
        for stratum in (EVERYONE, *ordered)
        if stratum in own
    ]
    frame = PARAMETER_SUMMARY.frame(records)
    check_shape(frame, PARAMETER_SUMMARY, "summary of the parameters")
    return frame


def bounds(row: Row) -> tuple[float, float] | None:
    """Give between which values a parameter lies as far as is known (its own value twice where that is known), or ``None``.

    The limits of a value without censoring are those of its confidence interval: they say nothing
    of its order among the patients.
    """
    value, low, high = (number(row[name]) for name in ("value", "low", "high"))
    if row["censoring"] == "none":
        return None if value is None else (value, value)
    if value is None and low is None and high is None:
        return None
    # A bound that is not given is the value, where that is one ("at least 12", day 12), else there
    # is none.
    lowest = -math.inf if row["parameter"] in MAY_BE_NEGATIVE else 0.0
    below, above = (
        (lowest if row["censoring"] == "left" else value),
        (math.inf if row["censoring"] == "right" else value),
    )
    return (
        low if low is not None else lowest if below is None else below,
        high if high is not None else math.inf if above is None else above,
    )


def _summed(parameter: str, rows: Sequence[Row]) -> tuple[float | None, ...]:
    known = [(row, limits) for row in rows if (limits := bounds(row)) is not None]
    bounded = sum(row["censoring"] != "none" for row, _ in known)
    counts = (len(rows), len(known), bounded)
    if parameter in YES_OR_NO:
        share = sum(bool(row["value"]) for row, _ in known) / len(known) if known else None
        return (*counts, share, *[None] * 7)
    if len(known) < FEWEST_FOR_MEDIAN:
        return (*counts, *[None] * 8)
    points = [number(row["value"]) for row, _ in known if row["censoring"] in {"none", "interval"}]
    exact = [point for point in points if point is not None]
    lowest, highest = median(low for _, (low, _) in known), median(high for _, (_, high) in known)
    ends = tuple(end if math.isfinite(end) else None for end in (lowest, highest))
    if len(exact) < len(known):
        return (*counts, None, *[None] * 5, *ends)
    quartiles = (
        quantiles(exact, n=4, method="inclusive")
        if len(exact) >= FEWEST_FOR_QUARTILES
        else (None, None, None)
    )
    return (*counts, None, median(exact), quartiles[0], quartiles[2], min(exact), max(exact), *ends)
