"""Set the target and the SD that a signal is held against.

Both come from the calibration's tubes where it has them, else from the first tubes of the
instrument: at least 20, provisional from 10 (SCIENCE section 10; CLSI C24 recommends 20 values
obtained on different days as the least for a mean and an SD).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ENOUGH, LEAST = 20, 10
OUTLYING = 4.0
"""So many robust SDs from the median a first tube is left out: one bad stain would widen the limits
so far that nothing is ever seen again."""
MOST_OUTLYING = 0.1
"""A larger share of outlying tubes is no mishap but how the instrument reads; then all of the first
tubes count."""
_SD_OF_MAD = 1.4826
"""The SD of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class ControlLimits:
    """What a signal is expected to be, in its own unit.

    ``sd`` is that between tubes and above 0. ``origin`` is the calibration's name, or empty for
    the first tubes of the instrument; ``provisional`` limits rest on too few tubes to be final.
    """

    mean: float
    sd: float
    tubes: int
    provisional: bool
    origin: str = ""

    def z(self, value: float) -> float:
        """Give a value's distance from the target in SDs."""
        return (value - self.mean) / self.sd


@dataclass(frozen=True, slots=True)
class Reference:
    """The first tubes of a series: their limits (None: too few, or all alike) and their places.

    ``outlying`` are places that were left out of the limits.
    """

    limits: ControlLimits | None
    places: tuple[int, ...] = ()
    outlying: tuple[int, ...] = ()


def limits_of_first(values: Sequence[float]) -> Reference:
    """Set limits from the first values of a series.

    These are the first 20; of a series with fewer, the first 10.
    """
    if len(values) < LEAST:
        return Reference(None)
    number = ENOUGH if len(values) >= ENOUGH else LEAST
    first = np.asarray(values[:number], dtype=float)
    apart = np.abs(first - np.median(first))
    spread = _SD_OF_MAD * float(np.median(apart))
    outlying = apart > OUTLYING * spread if spread > 0 else np.zeros(number, dtype=bool)
    if outlying.mean() > MOST_OUTLYING:
        outlying[:] = False
    kept = first[~outlying]
    sd = float(np.std(kept, ddof=1))
    # Values that differ by the rounding of a sum do not vary.
    varies = sd > 1e-9 * max(1.0, abs(float(np.mean(kept))))
    limits = None
    if varies:
        limits = ControlLimits(float(np.mean(kept)), sd, len(kept), provisional=number < ENOUGH)
    return Reference(limits, tuple(range(number)), tuple(np.flatnonzero(outlying).tolist()))
