"""Compare measured numbers so that rounding never decides a result.

A value within a billionth of a bound (``RELATIVE``) lies on it, and a moment within a tenth of a
second (``DAYS``) of another is that moment. Another unit, or another last digit, then changes no
decision: doubles carry sixteen digits, counts three.
"""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

RELATIVE = 1e-9
DAYS = 1e-6

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def reaches(value: float, bound: float) -> bool:
    """Decide whether ``value`` is ``bound`` or more."""
    return value >= bound - RELATIVE * abs(bound)


def exceeds(value: float, bound: float) -> bool:
    """Decide whether ``value`` is more than ``bound``."""
    return value > bound + RELATIVE * abs(bound)


def within_days(time: Numbers, first: float, last: float) -> Mask:
    """Mark the times (days) that lie in [``first``, ``last``]."""
    return np.asarray((time >= first - DAYS) & (time <= last + DAYS), dtype=bool)


def nine_digits(value: float) -> float:
    """Round to nine significant digits, so that what is equal but for rounding ranks as equal."""
    return float(f"{value:.8e}")


def first_highest(values: Iterable[float]) -> int:
    """Give the place of the first value that is as high as the highest."""
    known = list(values)
    highest = max(known)
    return next(place for place, value in enumerate(known) if reaches(value, highest))


def log_ratio(value: float, base: float) -> float:
    """Give ln(``value``/``base``) of two positive numbers, with a relative error below 1e-15.

    Near 1 the difference of the two is exact (Sterbenz) and log1p keeps its digits; the quotient's
    own rounding would be all that is left of them. Where the quotient leaves the range of doubles
    the logarithms are hundreds apart and are subtracted.
    """
    if base / 2 <= value <= 2 * base:
        return math.log1p((value - base) / base)
    quotient = value / base
    if 1e-300 < quotient < math.inf:
        return math.log(quotient)
    return math.log(value) - math.log(base)
