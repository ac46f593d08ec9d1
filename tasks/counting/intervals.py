"""Put an interval around a count, a fraction or a concentration.

All intervals are two-sided; ``level`` is their coverage. Everything is deterministic: no random
draws.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

LEVEL = 0.95
FEW_EVENTS = 10
"""Below this many events the log-normal approximation is replaced by the gamma × log-normal
mixture."""

_NODES = 64
_STEPS = 100
_CLOSE = 1e-13


class Interval(NamedTuple):
    """A lower and an upper limit, in the unit of the value they enclose."""

    low: float
    high: float

    def times(self, factor: float) -> "Interval":
        """Scale both limits by a positive ``factor``."""
        return Interval(self.low * factor, self.high * factor)


def garwood(events: int, level: float = LEVEL) -> Interval:
    """Enclose the expected number of events behind a count (exact Poisson limits, Garwood 1936)."""
    _require_count(events)
    tail = (1 - level) / 2
    low = float(special.gammaincinv(events, tail)) if events else 0.0
    high = float(special.gammaincinv(events + 1, 1 - tail))
    return Interval(low, high)


def clopper_pearson(events: int, total: int, level: float = LEVEL) -> Interval:
    """Enclose a fraction with exact binomial limits (Clopper & Pearson 1934)."""
    _require_part(events, total)
    tail = (1 - level) / 2
    low = float(special.betaincinv(events, total - events + 1, tail)) if events else 0.0
    high = 1.0
    if events < total:
        high = float(special.betaincinv(events + 1, total - events, 1 - tail))
    return Interval(low, high)


def wilson(events: int, total: int, level: float = LEVEL) -> Interval:
    """Enclose a fraction with score limits (Wilson 1927): the interval that is shown beside one.

    Exact limits are wider than they promise (Brown, Cai & DasGupta 2001); they are for decisions.
    """
    _require_part(events, total)
    squared = _normal_quantile(level) ** 2
    share, weight = events / total, squared / total
    middle = share + weight / 2
    reach = math.sqrt(weight * (share * (1 - share) + weight / 4))
    # At none and at all of them one limit is the fraction itself, which rounding would miss.
    low = (middle - reach) / (1 + weight) if events else 0.0
    high = (middle + reach) / (1 + weight) if events < total else 1.0
    return Interval(low, high)


def bead_ratio(events: int, beads: int, beads_per_ul: float, level: float = LEVEL) -> Interval:
    """Enclose a concentration counted against beads, in cells/µL.

    Given cells + beads, the share of cells is binomial; its exact limits p become K·p/(1−p) with K
    = ``beads_per_ul``, the beads of the tube over the µL of blood in it. Few beads widen the
    interval by themselves.
    """
    if beads < 1:
        raise ValueError("a bead ratio needs at least one bead")
    low, high = clopper_pearson(events, events + beads, level)
    return Interval(beads_per_ul * low / (1 - low), beads_per_ul * high / (1 - high))


def volumetric(events: int, volume_ul: float, level: float = LEVEL) -> Interval:
    """Enclose a concentration counted in a known volume of blood, in cells/µL."""
    return garwood(events, level).times(1 / volume_ul)


def scaled_count(
    events: int, volume_ul: float, relative_variance: float, level: float = LEVEL
) -> Interval:
    """Enclose a concentration whose volume is itself uncertain (dual platform, chain), in cells/µL.

    ``relative_variance`` is the sum of the squared CVs of everything but the events themselves.
    From ten events on the concentration is taken as log-normal with variance 1/N +
    ``relative_variance``; below, as gamma(N + ½) × log-normal, integrated by Gauss–Hermite
    quadrature. With no event the lower limit is 0 and the upper one uses gamma(N + 1), which is the
    exact Poisson limit when the volume is certain (the usual repair of Jeffreys' interval at zero,
    Brown, Cai & DasGupta 2001): an empty population must not get the tighter limit of the two.
    """
    _require_count(events)
    if events >= FEW_EVENTS:
        return log_normal(events / volume_ul, 1 / events + relative_variance, level)
    tail, spread = (1 - level) / 2, math.sqrt(relative_variance)
    if events == 0:
        return Interval(0.0, _mixture_quantile(1.0, spread, 1 - tail) / volume_ul)
    shape = events + 0.5
    low = _mixture_quantile(shape, spread, tail)
    high = _mixture_quantile(shape, spread, 1 - tail)
    return Interval(low, high).times(1 / volume_ul)


def widened(
    exact: Interval, value: float, relative_variance: float, level: float = LEVEL
) -> Interval:
    """Add errors that do not come from counting (pipette, bead lot) to an exact interval.

    ``exact`` encloses a count or concentration around ``value``; ``relative_variance`` is the sum
    of the squared CVs of the other errors. On the logarithm the two errors add in quadrature, each
    side for itself. With no event there is no logarithm: the upper limit grows as that of gamma(1)
    × log-normal does. Without such an error the exact interval stays as it is.
    """
    if relative_variance == 0:
        return exact
    spread = math.sqrt(relative_variance)
    if value == 0:
        tail = (1 - level) / 2
        high = exact.high * _mixture_quantile(1.0, spread, 1 - tail) / -math.log(tail)
        return Interval(exact.low, high)
    other = _normal_quantile(level) * spread
    down = math.hypot(_log_gap(exact.low, value), other)
    up = math.hypot(_log_gap(value, exact.high), other)
    return Interval(value * math.exp(-down), value * math.exp(up))


def log_normal(value: float, relative_variance: float, level: float = LEVEL) -> Interval:
    """Enclose a positive value whose logarithm has the variance ``relative_variance``."""
    factor = math.exp(_normal_quantile(level) * math.sqrt(relative_variance))
    return Interval(value / factor, value * factor)


def difference(
    sample: int, background: int, exposure_ratio: float = 1.0, level: float = LEVEL
) -> Interval:
    """Enclose sample − ``exposure_ratio`` × background, both counts.

    Uses MOVER with Garwood limits (Donner & Zou 2012).
    """
    of_sample = garwood(sample, level)
    of_background = garwood(background, level).times(exposure_ratio)
    subtracted = background * exposure_ratio
    net = sample - subtracted
    low = net - math.hypot(sample - of_sample.low, of_background.high - subtracted)
    high = net + math.hypot(of_sample.high - sample, subtracted - of_background.low)
    return Interval(low, high)


def ratio(value: float, interval: Interval, base: float, base_interval: Interval) -> Interval:
    """Enclose value/base from the intervals of two independent positive values.

    Uses MOVER on the logarithm.
    """
    quotient = value / base
    down = math.hypot(_log_gap(interval.low, value), _log_gap(base, base_interval.high))
    up = math.hypot(_log_gap(value, interval.high), _log_gap(base_interval.low, base))
    return Interval(quotient * math.exp(-down), quotient * math.exp(up))


def _log_gap(smaller: float, larger: float) -> float:
    if smaller > 0:
        return math.log(larger / smaller)
    return math.inf


def _normal_quantile(level: float) -> float:
    return float(special.ndtri(0.5 + level / 2))


@cache
def _hermite() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    nodes, weights = np.polynomial.hermite.hermgauss(_NODES)
    return nodes * math.sqrt(2), weights / math.sqrt(math.pi)


def _mixture_quantile(shape: float, spread: float, probability: float) -> float:
    """Invert the distribution of gamma(``shape``) × exp(``spread`` × normal).

    Newton's steps on the logarithm, held in a bracket.
    """
    normals, weights = _hermite()
    factors = np.exp(-spread * normals)
    place = math.log(float(special.gammaincinv(shape, probability)))
    low, high = place - 10 * spread - 1e-9, place + 10 * spread + 1e-9
    for _ in range(_STEPS):
        scaled = math.exp(place) * factors
        excess = float(weights @ special.gammainc(shape, scaled)) - probability
        low, high = (low, place) if excess > 0 else (place, high)
        slope = float(weights @ np.exp(shape * np.log(scaled) - scaled - special.gammaln(shape)))
        step = place - excess / slope if slope > 0 else math.inf
        following = step if low < step < high else (low + high) / 2
        if abs(following - place) < _CLOSE:
            break
        place = following
    return math.exp(following)


def _require_count(events: int) -> None:
    if events < 0:
        raise ValueError(f"a count cannot be negative: {events}")


def _require_part(events: int, total: int) -> None:
    if not 0 <= events <= total or total < 1:
        raise ValueError(f"{events} of {total} events is not a fraction")
