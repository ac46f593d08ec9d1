"""Fit straight lines to ln C: the rise up to the peak and the terminal decline."""

import math
from dataclasses import dataclass

import numpy as np

from tasks.kinetics.nca_rules import TerminalRules
from tasks.kinetics.rounding import RELATIVE, Numbers, exceeds, log_ratio, reaches

LN2 = math.log(2)


@dataclass(frozen=True, slots=True)
class Line:
    """The straight line of ln C through ``points`` samples.

    ``slope`` is per day, ``change`` is that of ln C from the first sample to the last.
    """

    slope: float
    change: float
    r_squared: float
    points: int

    @property
    def rises(self) -> bool:
        """Decide whether it rises by more than rounding could make it."""
        return self.change > RELATIVE

    @property
    def falls(self) -> bool:
        """Decide whether it falls by more than rounding could make it."""
        return self.change < -RELATIVE

    @property
    def adjusted_r_squared(self) -> float:
        """Give r² as it would be for any number of points."""
        return 1 - (1 - self.r_squared) * (self.points - 1) / (self.points - 2)


@dataclass(frozen=True, slots=True)
class TerminalSlope:
    """The straight line of ln C over the last ``points`` quantified samples."""

    lambda_z: float
    half_life: float
    r_squared: float
    adjusted_r_squared: float
    span_ratio: float
    points: int


def line(time: Numbers, conc: Numbers) -> Line | None:
    """Fit ln C by least squares; ``None`` where all concentrations are the same.

    Logarithms are taken of ratios to the last sample, so that the unit of the concentrations leaves
    no trace in their digits.
    """
    logs = np.array([log_ratio(level, float(conc[-1])) for level in conc.tolist()])
    if np.ptp(logs) <= RELATIVE:
        return None
    centred, around = time - time.mean(), logs - logs.mean()
    slope = float(centred @ around / (centred @ centred))
    r_squared = min(1.0, slope * slope * float(centred @ centred) / float(around @ around))
    return Line(slope, slope * float(time[-1] - time[0]), r_squared, int(time.size))


def steadiest(time: Numbers, conc: Numbers, rules: TerminalRules) -> TerminalSlope | None:
    """Choose among the fits to the last samples as PKNCA does; ``None`` where none falls."""
    starts = range(time.size - rules.minimum_points, -1, -1)
    fits = [
        fit for fit in (line(time[start:], conc[start:]) for start in starts) if fit is not None
    ]
    best = max((fit.adjusted_r_squared for fit in fits), default=0.0)
    good = [
        fit for fit in fits if fit.falls and fit.adjusted_r_squared >= best - rules.tie - RELATIVE
    ]
    if not good:
        return None
    chosen = max(good, key=lambda fit: fit.points)
    half_life = LN2 / -chosen.slope
    return TerminalSlope(
        -chosen.slope,
        half_life,
        chosen.r_squared,
        chosen.adjusted_r_squared,
        -chosen.change / LN2,
        chosen.points,
    )


def fits_well(slope: TerminalSlope, rules: TerminalRules) -> bool:
    """Decide whether the samples lie on the line as closely as the rules require."""
    return reaches(slope.r_squared, rules.minimum_r2)


def spans_enough(slope: TerminalSlope, rules: TerminalRules) -> bool:
    """Decide whether the line spans as many half-lives as the rules require."""
    return reaches(slope.span_ratio, rules.minimum_span)


def leaves_little(
    slope: TerminalSlope, last_conc: float, area_to_last: float, rules: TerminalRules
) -> bool:
    """Decide whether little enough of the whole area lies beyond the last sample."""
    beyond = last_conc / slope.lambda_z
    return not exceeds(beyond / (beyond + area_to_last), rules.maximum_extrapolated)
