"""Fit the decline of CAR-T cells after their peak with two phases, a fast and a slow one.

The model is the decline of Stein et al. 2019 (CPT Pharmacometrics Syst Pharmacol 8:285): C = C₀[(1
− FB)e^(−αd) + FB e^(−βd)], d days after the highest sample, α > β. Residuals are lognormal. What
lies below the limit of quantification (BLQ) enters by the probability of lying there (Beal's method
M3); to leave it out would make the slow phase look slower than it is.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from tasks.kinetics.rounding import DAYS, first_highest
from tasks.vocabulary.reasons import Why

MINIMUM_POINTS = 6
MINIMUM_SPAN_DAYS = 28.0
"""The quantified samples after the peak must reach over four weeks: the fast phase has a half-life
of days, the slow one of weeks."""

CONFIDENCE = 0.95
MEAN_PARAMETERS = 4
STARTS = tuple(product((0.12, 0.4), (0.003, 0.02, 0.06), (0.0005, 0.005, 0.05)))
"""Starting values of α, β (per day) and FB."""

LOWEST, HIGHEST = math.log(1e-5), math.log(20.0)
"""Bounds of the rates (log per day)."""

SIGMA = (math.log(0.05), math.log(3.0))
"""Bounds of the residual (log): a count with its pipette is never more precise than 5 %."""

FRACTION = (-18.0, 6.0)
"""Bounds of FB (logit)."""

_LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)

Numbers = npt.NDArray[np.float64]
ALPHA, BETA, FB = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the limits of its 95 % profile-likelihood interval.

    ``None`` is a side on which the samples set no limit.
    """

    value: float
    low: float | None
    high: float | None

    def half_life(self) -> "Estimate":
        """Turn a rate per day into a half-life in days."""
        return Estimate(
            _half_life(self.value),
            _if_given(self.high, _half_life),
            _if_given(self.low, _half_life),
        )


@dataclass(frozen=True, slots=True)
class Decline:
    """The fitted decline: rates per day, FB as a fraction of the peak.

    Without estimates, ``reason`` says why there are none. ``points`` are the quantified samples
    after the peak.
    """

    points: int
    reason: Why | None = None
    alpha: Estimate | None = None
    beta: Estimate | None = None
    fb: Estimate | None = None
    sigma: float | None = None


@dataclass(frozen=True, slots=True)
class _Samples:
    """Samples from the peak on.

    ``day`` and ``log_level`` are those of the quantified samples, ``blq_day`` and ``log_limit`` (of
    quantification) those of the others; days are counted from the peak.
    """

    day: Numbers
    log_level: Numbers
    blq_day: Numbers
    log_limit: Numbers

    def over_the_first(self) -> "_Samples":
        """Divide all by the first level.

        The unit of the concentrations then does not steer the fit.
        """
        first = self.log_level[0]
        return replace(self, log_level=self.log_level - first, log_limit=self.log_limit - first)

    def minus_log_likelihood(self, theta: Numbers) -> float:
        """Sum over the samples; ``theta`` is ln C₀, ln α, ln β, logit FB, ln σ."""
        return self.with_slope(theta)[0]

    def with_slope(self, theta: Numbers) -> tuple[float, Numbers]:
        """Give ``minus_log_likelihood`` and its derivatives (5,) by ``theta``."""
        from scipy.special import log_ndtr

        sigma, seen = math.exp(theta[4]), self.day.size
        curve, slopes = _log_curve(np.concatenate([self.day, self.blq_day]), theta)
        residual = (self.log_level - curve[:seen]) / sigma
        below = (self.log_limit - curve[seen:]) / sigma
        log_chance = log_ndtr(below)
        # The density of the normal distribution over the chance to lie below.
        hazard = np.exp(-0.5 * below * below - _LOG_ROOT_TWO_PI - log_chance)
        value = 0.5 * residual @ residual + seen * theta[4] - log_chance.sum()
        by_curve = np.concatenate([-residual, hazard]) / sigma
        by_sigma = seen - residual @ residual + hazard @ below
        return float(value), np.append(slopes @ by_curve, by_sigma)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Parameters as in ``_Samples.minus_log_likelihood``, and its value there."""

    theta: Numbers
    minus_log_likelihood: float


def fit_decline(
    days: Sequence[float], per_ul: Sequence[float], blq: Sequence[bool], lloq: Sequence[float]
) -> Decline:
    """Fit the decline after the highest quantified sample.

    All four are equally long: days since infusion, cells/µL, whether the sample is BLQ (``per_ul``
    is not read then), and its limit of quantification in cells/µL (read for BLQ alone; one without
    a limit is left out). The limits are those of the profile likelihood, widened for few samples as
    in a linear model (Bates & Watts 1988, ch. 6). Gives no estimate, but the reason, for fewer than
    six quantified samples after the peak, for less than four weeks of them, and where one phase
    explains them as well.
    """
    samples = _after_peak(days, per_ul, blq, lloq)
    points = max(0, samples.day.size - 1)
    if points < MINIMUM_POINTS:
        return Decline(points, Why.FEW_POINTS)
    if samples.day[-1] - samples.day[1] < MINIMUM_SPAN_DAYS - DAYS:
        return Decline(points, Why.SHORT_DECLINE)
    samples = samples.over_the_first()
    best = _faster_first(_best_of(samples, {}))
    one_phase = _best_of(samples, {BETA: LOWEST, FB: FRACTION[0]})
    if 2 * (one_phase.minus_log_likelihood - best.minus_log_likelihood) < _critical(
        samples.day.size, 2
    ):
        return Decline(points, Why.ONE_PHASE)
    return Decline(
        points,
        alpha=_interval(samples, best, ALPHA, math.exp),
        beta=_interval(samples, best, BETA, math.exp),
        fb=_interval(samples, best, FB, _fraction),
        sigma=math.exp(best.theta[4]),
    )


def _after_peak(
    days: Sequence[float], per_ul: Sequence[float], blq: Sequence[bool], lloq: Sequence[float]
) -> _Samples:
    day, level, limit = (np.asarray(each, dtype=float) for each in (days, per_ul, lloq))
    below = np.asarray(blq, dtype=bool)
    seen = ~below & (level > 0)
    if not seen.any():
        return _Samples(*(np.empty(0) for _ in range(4)))
    peak = float(day[first_highest(np.where(seen, level, -1.0).tolist())])
    seen &= day >= peak
    below &= (day > peak) & (limit > 0)
    order = np.argsort(day[seen], kind="stable")
    return _Samples(
        day=day[seen][order] - peak,
        log_level=np.log(level[seen][order]),
        blq_day=day[below] - peak,
        log_limit=np.log(limit[below]),
    )


def _log_curve(day: Numbers, theta: Numbers) -> tuple[Numbers, Numbers]:
    """Give ln C (days,) and its derivatives (4, days) by ln C₀, ln α, ln β and logit FB.

    It is made of logarithms alone, so that nothing underflows in years.
    """
    rest = -np.logaddexp(0.0, theta[FB])
    fallen_fast, fallen_slow = math.exp(theta[ALPHA]) * day, math.exp(theta[BETA]) * day
    slow = rest + theta[FB] - fallen_slow
    both = np.logaddexp(rest - fallen_fast, slow)
    share = np.exp(slow - both)
    slopes = [
        np.ones_like(day),
        (share - 1) * fallen_fast,
        -share * fallen_slow,
        share - math.exp(rest + theta[FB]),
    ]
    return theta[0] + both, np.array(slopes)


def _fraction(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _half_life(rate: float) -> float:
    return math.log(2) / rate


def _if_given(limit: float | None, convert: Callable[[float], float]) -> float | None:
    return None if limit is None else convert(limit)


def _starts(samples: _Samples) -> Iterator[Numbers]:
    for alpha, beta, fb in STARTS:
        yield np.array(
            [
                samples.log_level[0],
                math.log(alpha),
                math.log(beta),
                math.log(fb / (1 - fb)),
                math.log(0.4),
            ]
        )


def _best_of(samples: _Samples, fixed: Mapping[int, float]) -> _Fit:
    """Minimise from all starts and give the most likely fit."""
    fits = (_minimise(samples, start, fixed) for start in _starts(samples))
    return min(fits, key=lambda fit: fit.minus_log_likelihood)


def _faster_first(fit: _Fit) -> _Fit:
    """Swap the two phases where the first is the slower one."""
    peak, alpha, beta, fb, sigma = fit.theta
    if alpha < beta:
        return replace(fit, theta=np.array([peak, beta, alpha, -fb, sigma]))
    return fit


def _minimise(samples: _Samples, start: Numbers, fixed: Mapping[int, float]) -> _Fit:
    """Minimise from one start, some parameters held.

    A held rate bounds the other, so that the fast one stays the faster.
    """
    from scipy.optimize import minimize

    peak = float(samples.log_level[0])
    bounds = [(peak - 4, peak + 4), (LOWEST, HIGHEST), (LOWEST, HIGHEST), FRACTION, SIGMA]
    for index, value in fixed.items():
        bounds[index] = (value, value)
    if ALPHA in fixed:
        bounds[BETA] = (LOWEST, fixed[ALPHA])
    if [*fixed] == [BETA]:
        bounds[ALPHA] = (fixed[BETA], HIGHEST)
    inside = np.clip(start, [low for low, _ in bounds], [high for _, high in bounds])
    minimum = minimize(
        samples.with_slope,
        inside,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 400},
    )
    return _Fit(np.asarray(minimum.x, dtype=float), float(minimum.fun))


def _critical(samples: int, degrees: int) -> float:
    """Give the rise of −2 ln L that is allowed.

    It is exact in a linear model whose residual is estimated too.
    """
    from scipy.stats import f

    free = max(1, samples - MEAN_PARAMETERS)
    return float(samples * math.log(1 + degrees * f.ppf(CONFIDENCE, degrees, free) / free))


def _interval(
    samples: _Samples, best: _Fit, which: int, value_of: Callable[[float], float]
) -> Estimate:
    low, high = (_limit(samples, best, which, direction) for direction in (-1, 1))
    return Estimate(
        value_of(float(best.theta[which])), _if_given(low, value_of), _if_given(high, value_of)
    )


def _limit(samples: _Samples, best: _Fit, which: int, direction: int) -> float | None:
    """Walk the profile away from the best fit until it is too unlikely, and halve the last step.

    Gives ``None`` if it never is too unlikely.
    """
    allowed = best.minus_log_likelihood + _critical(samples.day.size, 1) / 2
    bounds = FRACTION if which == FB else (LOWEST, HIGHEST)
    theta, inside, step = best.theta, float(best.theta[which]), 0.2
    while True:
        outside = inside + direction * step
        if not bounds[0] < outside < bounds[1]:
            return None
        fit = _minimise(samples, theta, {which: outside})
        if fit.minus_log_likelihood > allowed:
            break
        theta, inside, step = fit.theta, outside, step * 1.4
    for _ in range(10):
        middle = (inside + outside) / 2
        fit = _minimise(samples, theta, {which: middle})
        if fit.minus_log_likelihood <= allowed:
            theta, inside = fit.theta, middle
        else:
            outside = middle
    return (inside + outside) / 2
