"""Say how well two methods agree on the same samples.

Regression by Passing and Bablok, differences by Bland and Altman, Lin's concordance correlation,
and F1 of events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

Z95 = 1.959963984540054
LEAST_PAIRS = 5
"""From fewer pairs nothing is estimated."""


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted line y = intercept + slope·x with 95 % intervals."""

    slope: float
    slope_low: float
    slope_high: float
    intercept: float
    intercept_low: float
    intercept_high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Differences:
    """Mean difference with its 95 % interval, and the limits between which 95 % of them lie."""

    bias: Estimate
    lower_limit: float
    upper_limit: float


def passing_bablok(x: np.ndarray, y: np.ndarray) -> Line | None:
    """Fit y against x where both err; None when it cannot be fitted.

    Passing & Bablok 1983, J Clin Chem Clin Biochem 21:709. The slope is the median of all pairwise
    slopes, shifted by the number of slopes below -1 so that exchanging x and y gives the same line;
    identical points and slopes of exactly -1 are left out.
    """
    n = len(x)
    if n < LEAST_PAIRS:
        return None
    first, second = np.triu_indices(n, 1)
    dx, dy = x[second] - x[first], y[second] - y[first]
    apart = (dx != 0) | (dy != 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.where(dx[apart] == 0, np.sign(dy[apart]) * np.inf, dy[apart] / dx[apart])
    slopes = np.sort(slopes[slopes != -1])
    shift = int((slopes < -1).sum())
    count = len(slopes)
    if count == 0:
        return None
    spread = Z95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low_rank = round((count - spread) / 2)
    ranks = (low_rank + shift, count - low_rank + 1 + shift)
    if ranks[0] < 1 or ranks[1] > count:
        return None
    middle = [(count + 1) // 2 + shift, count // 2 + 1 + shift]
    slope = float(np.mean(slopes[np.array(middle) - 1]))
    low, high = (float(slopes[rank - 1]) for rank in ranks)
    if not all(map(math.isfinite, (slope, low, high))):
        return None
    intercepts = (float(np.median(y - each * x)) for each in (slope, high, low))
    return Line(slope, low, high, *intercepts)


def bland_altman(differences: np.ndarray) -> Differences | None:
    """Give bias and limits of agreement of paired differences.

    Bland & Altman 1986, Lancet 327:307. None from fewer than five pairs.
    """
    n = len(differences)
    if n < LEAST_PAIRS:
        return None
    bias, sd = float(np.mean(differences)), float(np.std(differences, ddof=1))
    reach = float(special.stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
    return Differences(Estimate(bias, bias - reach, bias + reach), bias - Z95 * sd, bias + Z95 * sd)


def concordance_correlation(x: np.ndarray, y: np.ndarray) -> Estimate | None:
    """Give Lin's concordance correlation with its interval by Fisher's z.

    Lin 1989, Biometrics 45:255; corrected 2000, 56:324. None from fewer than five pairs, or where
    either method gave one value only.
    """
    n = len(x)
    if n < LEAST_PAIRS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    sx, sy = float(np.std(x)), float(np.std(y))
    covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
    value = 2 * covariance / (sx**2 + sy**2 + float(x.mean() - y.mean()) ** 2)
    r = covariance / (sx * sy)
    if abs(value) >= 1 - 1e-12 or r == 0:
        return Estimate(value, value, value)
    u = float(x.mean() - y.mean()) ** 2 / (sx * sy)
    square = value**2
    variance = (
        (1 - r**2) * square / ((1 - square) * r**2)
        + 2 * value**3 * (1 - value) * u / (r * (1 - square) ** 2)
        - value**4 * u**2 / (2 * r**2 * (1 - square) ** 2)
    ) / (n - 2)
    z, reach = math.atanh(value), Z95 * math.sqrt(max(variance, 0.0))
    return Estimate(value, math.tanh(z - reach), math.tanh(z + reach))


def f1(first: np.ndarray, second: np.ndarray) -> float | None:
    """Give twice the shared events over the sum of both; None where neither has any.

    Both are sorted arrays of event indices.
    """
    total = len(first) + len(second)
    if not total:
        return None
    return 2 * len(np.intersect1d(first, second, assume_unique=True)) / total
