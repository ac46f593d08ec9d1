"""Describe how CAR-T cells rise and fall, without a model (non-compartmental analysis).

The rules (`tasks.kinetics.nca_rules`) follow PKNCA's defaults unless a study sets others: values
below the limit of quantification (BLQ) before the first quantified one are 0, between quantified
ones they are dropped, after the last one they end the curve; areas are linear while rising and
logarithmic while falling; before the first sample the curve starts at 0. Nothing is ever
extrapolated with lambda_z. Times are days since infusion; concentrations may be in any unit. A
concentration of 0 is BLQ; a missing one is no sample.

Rounding decides nothing (`tasks.kinetics.rounding`): values within a billionth of each other are
equal, of equal peaks the first is the peak, ln C that changes by less than a billionth neither
rises nor falls, and a day's end is known to a tenth of a second.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.kinetics.areas import USUAL, area, level_at
from tasks.kinetics.nca_rules import WINDOWS, NcaRules
from tasks.kinetics.rounding import DAYS, within_days
from tasks.kinetics.sample_series import Series, series
from tasks.kinetics.slopes import (
    TerminalSlope,
    fits_well,
    leaves_little,
    line,
    spans_enough,
    steadiest,
)
from tasks.vocabulary.reasons import Why

MINIMUM_AREA_POINTS = 2
MINIMUM_RISE_POINTS = 2

NAMES = (
    "Cmax",
    "Tmax",
    "AUC0-28",
    "AUC0-84",
    "AUC0-168",
    "AUClast",
    "AUCall",
    "Clast",
    "Tlast",
    "Tbql",
    "lambda_z",
    "half_life",
    "doubling_time",
    "persistence_wk24",
)

AreaEnd = Literal["interpolated", "last_quantified", "last_sample", "holds_lower_bound"]


@dataclass(frozen=True, slots=True)
class PartialArea:
    """The area from infusion to a day, and how it ended.

    ``last_quantified``: the cells were last quantified before that day and seen below the limit by
    the end of the window around it, so the area equals AUClast. ``last_sample``: the observation
    ended within the window around that day; the area stops at the last sample and is a lower bound.
    ``holds_lower_bound``: as ``last_quantified``, but the area to an earlier day is a lower bound,
    so this one is, too.
    """

    value: float
    end: AreaEnd

    @property
    def is_lower_bound(self) -> bool:
        """Tell whether the true area may be larger."""
        return self.end in {"last_sample", "holds_lower_bound"}


@dataclass(frozen=True, slots=True)
class GroupResult:
    """The parameters of one group of a table.

    ``early`` samples (before time 0) and ``absent`` ones (no concentration) were left out.
    """

    values: dict[str, float | Why]
    early: int
    absent: int


def analyse(samples: Series) -> dict[str, float | Why]:
    """Give the cellular-kinetic parameters of one series, or why there is none."""
    nothing = not_quantified(samples)
    values: tuple[float | Why, ...] = (
        nothing or samples.highest,
        nothing or float(samples.time[samples.peak]),
        *(_area_value(samples, end) for end in WINDOWS),
        area_to_last(samples),
        area_to_first_below(samples),
        nothing or float(samples.conc[samples.last]),
        nothing or float(samples.time[samples.last]),
        time_below(samples),
        *_decline(samples),
        _doubling(samples),
        persistence(samples),
    )
    return dict(zip(NAMES, values, strict=True))


def _area_value(samples: Series, end: int) -> float | Why:
    area_to_end = partial_area(samples, end)
    if isinstance(area_to_end, Why):
        return area_to_end
    return area_to_end.value


def _decline(samples: Series) -> tuple[float | Why, float | Why]:
    """Give lambda_z and the terminal half-life."""
    slope = terminal_slope(samples)
    if isinstance(slope, Why):
        return slope, slope
    return slope.lambda_z, slope.half_life


def _doubling(samples: Series) -> float | Why:
    doubling = doubling_time(samples)
    if isinstance(doubling, Why):
        return doubling
    return doubling[0]


def not_quantified(samples: Series) -> Why | None:
    """Give the reason why nothing at all can be given, where that is so."""
    if samples.last >= 0:
        return None
    if samples.time.size:
        return Why.NEVER_QUANTIFIED
    return Why.NO_SAMPLE


def area_to_last(samples: Series) -> float | Why:
    """Give the area from infusion to the last quantified sample (AUClast).

    One quantified sample makes no area.
    """
    if nothing := not_quantified(samples):
        return nothing
    if samples.quantified.sum() < MINIMUM_AREA_POINTS:
        return Why.ONE_QUANTIFIED
    time, conc = samples.curve()
    kept = time <= samples.time[samples.last]
    return area(time[kept], conc[kept], samples.rules)


def area_to_first_below(samples: Series) -> float | Why:
    """Give AUClast plus the triangle to the first BLQ sample after it (AUCall)."""
    gone, to_last = time_below(samples), area_to_last(samples)
    if isinstance(gone, Why) or isinstance(to_last, Why):
        return to_last
    return to_last + float(samples.conc[samples.last] * (gone - samples.time[samples.last]) / 2)


def partial_area(samples: Series, end: int) -> PartialArea | Why:
    """Give the area from infusion to day ``end``, or why the samples do not reach it.

    Between the samples around ``end`` the curve is interpolated as its area is. Cells still
    quantified when the window around ``end`` opens need a sample within it, be it one below the
    limit that the rules leave out of the curve; cells seen gone before the window closes have the
    area of AUClast. When the first sample without cells comes later, nobody knows how long they
    stayed, and there is no area.
    """
    to_last = area_to_last(samples)
    if isinstance(to_last, Why):
        return to_last
    last, window = float(samples.time[samples.last]), samples.rules.windows[end]
    reached = last > end - window - DAYS
    if reached and not samples.sampled_within(end - window, end + window):
        return Why.NOT_SAMPLED_THERE
    if last >= end - DAYS:
        return _area_until(samples, end)
    gone = time_below(samples)
    if not isinstance(gone, Why) and gone <= end + window + DAYS:
        return PartialArea(to_last, "last_quantified")
    if reached:
        return PartialArea(to_last, "last_sample")
    return _why_not_reached(samples, end)


def partial_areas(samples: Series) -> dict[int, PartialArea | Why]:
    """Give the area from infusion to each day of ``WINDOWS``, or why there is none.

    An area is a lower bound, too, when one to an earlier day is.
    """
    areas: dict[int, PartialArea | Why] = {}
    bounded = False
    for end in WINDOWS:
        found = partial_area(samples, end)
        if bounded and isinstance(found, PartialArea):
            found = PartialArea(found.value, "holds_lower_bound")
        bounded |= isinstance(found, PartialArea) and found.is_lower_bound
        areas[end] = found
    return areas


def _why_not_reached(samples: Series, end: int) -> Why:
    """Give the reason why samples that end long before ``end`` have no area."""
    gone, window = time_below(samples), samples.rules.windows[end]
    if not isinstance(gone, Why):
        return Why.LOSS_UNSEEN
    if gone is Why.BLQ_LEFT_OUT and samples.time[-1] >= end - window - DAYS:
        return Why.BLQ_LEFT_OUT
    return Why.ENDED_BEFORE


def _area_until(samples: Series, day: int) -> PartialArea | Why:
    """Take the area of the curve up to ``day``, which it reaches.

    Cells first quantified beyond the window around that day have no area up to there.
    """
    if samples.time[samples.quantified][0] > day + samples.rules.windows[day] + DAYS:
        return Why.NOTHING_BY_THE_END
    end = float(day)
    time, conc = samples.curve()
    nearest = float(time[np.abs(time - end).argmin()])
    if abs(nearest - end) <= DAYS:
        end = nearest
    kept = time < end
    level = level_at(time, conc, end, samples.rules)
    cut = area(np.append(time[kept], end), np.append(conc[kept], level), samples.rules)
    if cut > 0:
        return PartialArea(cut, "interpolated")
    return Why.NOTHING_BY_THE_END


def time_below(samples: Series) -> float | Why:
    """Give the first BLQ time after the last quantified sample (Tbql), or why there is none."""
    if nothing := not_quantified(samples):
        return nothing
    if samples.last == samples.time.size - 1:
        return Why.STILL_QUANTIFIED
    if samples.rules.blq_last == "drop":
        return Why.BLQ_LEFT_OUT
    return float(samples.time[samples.last + 1])


def terminal_slope(samples: Series) -> TerminalSlope | Why:
    """Fit the terminal decline as PKNCA does, or give the reason why no fit is good enough.

    The rules are ``TerminalRules``.
    """
    rules, to_last = samples.rules.terminal, area_to_last(samples)
    if isinstance(to_last, Why):
        return to_last
    after = samples.quantified & (np.arange(samples.time.size) > samples.peak)
    if np.count_nonzero(after) < rules.minimum_points:
        return Why.FEW_AFTER_PEAK
    chosen = steadiest(samples.time[after], samples.conc[after], rules)
    if chosen is None:
        return Why.NOT_FALLING
    if not fits_well(chosen, rules):
        return Why.POOR_FIT
    if not spans_enough(chosen, rules):
        return Why.SHORT_SPAN
    last = float(samples.conc[samples.last])
    return chosen if leaves_little(chosen, last, to_last, rules) else Why.MUCH_BEYOND


def doubling_time(samples: Series) -> tuple[float, int] | Why:
    """Give the doubling time (days) of the rise up to the peak.

    The second value is the number of quantified samples that it rests on (two or more).
    """
    if nothing := not_quantified(samples):
        return nothing
    rising = samples.quantified & (np.arange(samples.time.size) <= samples.peak)
    if rising.sum() < MINIMUM_RISE_POINTS:
        return Why.FEW_UP_TO_PEAK
    rise = line(samples.time[rising], samples.conc[rising])
    if rise is None or not rise.rises:
        return Why.NOT_RISING
    return math.log(2) / rise.slope, rise.points


def persistence(samples: Series) -> float | Why:
    """Decide whether the cells were quantified in the window around week 24 (1 or 0).

    Cells that were not quantified there but later were not lost: then nothing is said.
    """
    start, end = samples.rules.persistence
    there = within_days(samples.time, start, end)
    if not there.any():
        return Why.NOT_SAMPLED_AT_WEEK_24
    if samples.quantified[there].any():
        return 1.0
    later = samples.last >= 0 and samples.time[samples.last] > end
    return Why.QUANTIFIED_LATER if later else 0.0


def nca_groups(
    groups: Mapping[str, Sequence[tuple[float, float, bool]]], rules: NcaRules = USUAL
) -> dict[str, GroupResult]:
    """Analyse each group's samples: time, concentration (NaN: none given), below the limit or not.

    Raises ValueError as ``series`` does.
    """
    results = {}
    for group, samples in groups.items():
        time, conc, blq = zip(*samples, strict=True)
        early = sum(each < 0 for each in time)
        absent = sum(
            math.isnan(level) and not below for level, below in zip(conc, blq, strict=True)
        )
        results[group] = GroupResult(analyse(series(time, conc, blq, rules)), early, absent)
    return results
