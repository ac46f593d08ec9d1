"""Hold the samples of one patient's CAR-T cells in order of time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.kinetics.areas import USUAL
from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.rounding import Mask, Numbers, first_highest, within_days


@dataclass(frozen=True, slots=True)
class Series:
    """Samples in order of time, from infusion on.

    ``time`` (days), ``conc`` and ``quantified`` (above the limit of quantification) are equally
    long.
    """

    time: Numbers
    conc: Numbers
    quantified: Mask
    rules: NcaRules = USUAL

    @property
    def last(self) -> int:
        """Give the index of the last quantified sample, or −1."""
        places = np.flatnonzero(self.quantified)
        return int(places[-1]) if places.size else -1

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
        """Decide whether any sample, quantified or not, was taken in [``first``, ``last``] days."""
        return bool(within_days(self.time, first, last).any())

    def curve(self) -> tuple[Numbers, Numbers]:
        """Give the times and concentrations that make the area.

        They are those quantified, and BLQ as zero where the rules keep it.
        """
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


def series(
    time: Sequence[float] | Numbers,
    conc: Sequence[float] | Numbers,
    blq: Sequence[bool] | npt.NDArray[np.bool_],
    rules: NcaRules = USUAL,
) -> Series:
    """Order samples by time.

    Leaves out those before infusion, and those without a concentration that are not BLQ. Raises
    ValueError for a time that is not finite, a negative concentration or, unless the rules average
    them, two samples at one time.
    """
    times = np.asarray(time, dtype=float)
    concs = np.asarray(conc, dtype=float)
    below = np.asarray(blq, dtype=bool)
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
