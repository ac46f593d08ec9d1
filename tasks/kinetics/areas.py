"""Take the area under a curve of concentrations, and read the curve as its area is taken."""

import math
from itertools import pairwise

from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.rounding import Numbers, log_ratio

USUAL = NcaRules()
SMALLEST_RATIO = 1e-290
"""Below it a quotient of two concentrations nears the end of the range of doubles."""


def log_mean(high: float, low: float) -> float:
    """Give the logarithmic mean (high − low)/ln(high/low) of ``high`` > ``low`` > 0.

    Its relative error is below 1e-15, for values as close as two neighbouring doubles and for
    values 1e300 apart (tested against 50-digit arithmetic). Both parts come from the difference
    itself: ln(high/low) of nearly equal values has no digits left.
    """
    mean = (high - low) / log_ratio(high, low)
    return min(max(mean, low), high)


def area(time: Numbers, conc: Numbers, rules: NcaRules = USUAL) -> float:
    """Sum the area under a curve of concentrations.

    It is linear while the curve rises or where an end is 0, else logarithmic (or as the rules say).
    ``time`` (days) and ``conc`` are equally long; the unit is theirs multiplied. The relative error
    is below 2e-15.
    """
    parts = []
    samples = zip(time.tolist(), conc.tolist(), strict=True)
    for (t1, c1), (t2, c2) in pairwise(samples):
        mean = log_mean(c1, c2) if _is_logarithmic(c1, c2, rules) else c1 / 2 + c2 / 2
        parts.append((t2 - t1) * mean)
    return math.fsum(parts)


def level_at(time: Numbers, conc: Numbers, at: float, rules: NcaRules = USUAL) -> float:
    """Read the curve between its first and last sample: along a line, or an exponential."""
    after = int(time.searchsorted(at))
    if time[after] == at:
        return float(conc[after])
    t1, t2 = float(time[after - 1]), float(time[after])
    c1, c2 = float(conc[after - 1]), float(conc[after])
    part = (at - t1) / (t2 - t1)
    if not _is_logarithmic(c1, c2, rules):
        return c1 + (c2 - c1) * part
    ratio = c2 / c1
    level = c1 * ratio**part if ratio > SMALLEST_RATIO else float(c1 ** (1 - part) * c2**part)
    return min(max(level, c2), c1)


def _is_logarithmic(before: float, after: float, rules: NcaRules) -> bool:
    """Decide whether the curve falls along an exponential; near equality a line is the same."""
    return rules.auc_method != "linear" and 0 < after < before
