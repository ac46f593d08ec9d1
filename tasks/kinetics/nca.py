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
import numpy.typing as npt

from tasks.kinetics.areas import USUAL, area, level_at
from tasks.kinetics.nca_rules import WINDOWS, NcaRules
from tasks.kinetics.rounding import DAYS, Mask, Numbers, first_highest, within_days
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

AreaEnd = Literal["interpolated", "last_quantified", "last_sample"]


@dataclass(frozen=True, slots=True)
class Series:
    """Samples in order of time, from infusion on; ``quantified`` tells those above the limit of quantification."""

    time: Numbers
    conc: Numbers
    quantified: Mask
    rules: NcaRules = USUAL

    @property
    def last(self) -> int:
        """Give the index of the last quantified sample, or −1."""
        found = np.flatnonzero(self.quantified)
        return int(found[-1]) if found.size else -1

    @property
    def peak(self) -> int:
        """Give the index of the first highest quantified sample, or −1."""
        if not self.quantified.any():
            return -1
        return first_highest(np.where(self.quantified, self.conc, -1.0).tolist())

    @property
    def highest(self) -> float:
        """Give the highest quantified concentration (Cmax)."""
        return float(self.conc[self.quantified].max())

    def sampled_within(self, first: float, last: float) -> bool:
        """Tell whether any sample, quantified or not, was taken in [``first``, ``last``] days."""
        return bool(within_days(self.time, first, last).any())

    def curve(self) -> tuple[Numbers, Numbers]:
        """Give the times and concentrations that make the area: those quantified, and BLQ as zero where the rules keep it."""
        if self.last < 0:
            return np.empty(0), np.empty(0)
        first = int(np.flatnonzero(self.quantified)[0])
        index, rules = np.arange(self.time.size), self.rules
        kept = self.quantified.copy()
        kept |= (index < first) & (rules.blq_first == "zero")
        kept |= (index > first) & (index < self.last) & (rules.blq_middle == "zero")
        kept |= (index > self.last) & (rules.blq_last == "zero")
        time, conc = self.time[kept], np.where(self.quantified, self.conc, 0.0)[kept]
        if time[0] > 0:
            time, conc = np.concatenate(([0.0], time)), np.concatenate(([0.0], conc))
        return time, conc


@dataclass(frozen=True, slots=True)
class PartialArea:
    """The area from infusion to a day, and how it ended.

    ``last_quantified``: the cells were last quantified before that day and seen below the limit by
    the end of the window around it, so the area equals AUClast. ``last_sample``: the observation
    ended within the window around that day; the area stops at the last sample and is a lower bound.
    """

    value: float
    end: AreaEnd


@dataclass(frozen=True, slots=True)
class GroupResult:
    """The parameters of one group of a table, without its ``early`` samples (before time 0) and ``absent`` ones (no concentration)."""

    values: dict[str, float | Why]
    early: int
    absent: int


def series(
    time: Sequence[float] | Numbers,
    conc: Sequence[float] | Numbers,
    blq: Sequence[bool] | npt.NDArray[np.bool_],
    rules: NcaRules = USUAL,
) -> Series:
    """Order samples by time, leaving out those before infusion and those without a concentration that are not BLQ.

    Raises ValueError for a time that is not finite, a negative concentration or, unless the rules
    average them, two samples at one time.
    """
    times, concs, below = (
        np.asarray(time, dtype=float),
        np.asarray(conc, dtype=float),
        np.asarray(blq, dtype=bool),
    )
    if not times.shape == concs.shape == below.shape or times.ndim != 1:
        raise ValueError("time, conc and blq must be equally long")
    if not np.isfinite(times).all() or np.isinf(concs).any() or (concs < 0).any():
        raise ValueError("times must be finite and concentrations finite and not negative")
    kept = (times >= 0) & (below | ~np.isnan(concs))
    order = np.argsort(times[kept], kind="stable")
    times, concs = times[kept][order], np.where(below, 0.0, concs)[kept][order]
    if (np.diff(times) == 0).any():
        if rules.duplicates == "refuse":
            raise ValueError("two samples have the same time")
        times, place = np.unique(times, return_inverse=True)
        concs = np.bincount(place, weights=concs) / np.bincount(place)
    return Series(times, concs, concs > 0, rules)


def nca(
    time: Sequence[float] | Numbers,
    conc: Sequence[float] | Numbers,
    blq: Sequence[bool] | npt.NDArray[np.bool_],
    rules: NcaRules = USUAL,
) -> dict[str, float | None]:
    """Compute the cellular-kinetic parameters of one series; ``None`` is "not estimable", never 0."""
    found = analyse(series(time, conc, blq, rules))
    return {name: None if isinstance(value, Why) else value for name, value in found.items()}


def analyse(samples: Series) -> dict[str, float | Why]:
    """Give the cellular-kinetic parameters of one series, or why there is none."""
    slope, doubling, nothing = (
        terminal_slope(samples),
        doubling_time(samples),
        not_quantified(samples),
    )
    areas = [partial_area(samples, end) for end in WINDOWS]
    peak, last = samples.peak, samples.last
    values: tuple[float | Why, ...] = (
        nothing or samples.highest,
        nothing or float(samples.time[peak]),
        *(each if isinstance(each, Why) else each.value for each in areas),
        area_to_last(samples),
        area_to_first_below(samples),
        nothing or float(samples.conc[last]),
        nothing or float(samples.time[last]),
        time_below(samples),
        slope if isinstance(slope, Why) else slope.lambda_z,
        slope if isinstance(slope, Why) else slope.half_life,
        doubling if isinstance(doubling, Why) else doubling[0],
        persistence(samples),
    )
    return dict(zip(NAMES, values, strict=True))


def not_quantified(samples: Series) -> Why | None:
    """Say why nothing at all can be given, where that is so."""
    if samples.last >= 0:
        return None
    return Why.NEVER_QUANTIFIED if samples.time.size else Why.NO_SAMPLE


def area_to_last(samples: Series) -> float | Why:
    """Give the area from infusion to the last quantified sample (AUClast); one quantified sample makes none."""
    if lacking := _no_area(samples):
        return lacking
    time, conc = samples.curve()
    kept = time <= samples.time[samples.last]
    return area(time[kept], conc[kept], samples.rules)


def _no_area(samples: Series) -> Why | None:
    return not_quantified(samples) or (
        Why.ONE_QUANTIFIED if samples.quantified.sum() < MINIMUM_AREA_POINTS else None
    )


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
    left_out = gone is Why.BLQ_LEFT_OUT and samples.time[-1] >= end - window - DAYS
    return (
        Why.BLQ_LEFT_OUT
        if left_out
        else Why.ENDED_BEFORE
        if isinstance(gone, Why)
        else Why.LOSS_UNSEEN
    )


def _area_until(samples: Series, day: int) -> PartialArea | Why:
    """Cut the curve at ``day``, which it reaches; cells first quantified beyond the window around it have no area up to there."""
    if samples.time[samples.quantified][0] > day + samples.rules.windows[day] + DAYS:
        return Why.NOTHING_BY_THE_END
    end = float(day)
    time, conc = samples.curve()
    nearest = float(time[np.abs(time - end).argmin()])
    end = nearest if abs(nearest - end) <= DAYS else end
    kept = time < end
    level = level_at(time, conc, end, samples.rules)
    cut = area(np.append(time[kept], end), np.append(conc[kept], level), samples.rules)
    return PartialArea(cut, "interpolated") if cut > 0 else Why.NOTHING_BY_THE_END


def time_below(samples: Series) -> float | Why:
    """Give the first BLQ time after the last quantified sample (Tbql), or why there is none."""
    if lacking := not_quantified(samples):
        return lacking
    if samples.last == samples.time.size - 1:
        return Why.STILL_QUANTIFIED
    return (
        Why.BLQ_LEFT_OUT
        if samples.rules.blq_last == "drop"
        else float(samples.time[samples.last + 1])
    )


def terminal_slope(samples: Series) -> TerminalSlope | Why:
    """Fit the terminal decline as PKNCA does (`TerminalRules`), or say why no fit is good enough."""
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
    """Give the doubling time of the rise up to the peak, and the number of quantified samples it rests on (two or more)."""
    if lacking := not_quantified(samples):
        return lacking
    rising = samples.quantified & (np.arange(samples.time.size) <= samples.peak)
    if rising.sum() < MINIMUM_RISE_POINTS:
        return Why.FEW_UP_TO_PEAK
    rise = line(samples.time[rising], samples.conc[rising])
    return (
        (math.log(2) / rise.slope, rise.points)
        if rise is not None and rise.rises
        else Why.NOT_RISING
    )


def persistence(samples: Series) -> float | Why:
    """Tell whether the cells were quantified in the window around week 24 (1 or 0).

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
    found = {}
    for group, samples in groups.items():
        time, conc, blq = zip(*samples, strict=True)
        early = sum(each < 0 for each in time)
        absent = sum(
            math.isnan(level) and not below for level, below in zip(conc, blq, strict=True)
        )
        found[group] = GroupResult(analyse(series(time, conc, blq, rules)), early, absent)
    return found
