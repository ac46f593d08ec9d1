"""Find the valley between two modes of one marker, and how certain it is.

Everything works on one histogram a threshold: counts in equal bins of asinh(linear / 150), linear
units on a scale that ends at 262144. A histogram is small enough to be kept and pooled, and all
that is derived from it is deterministic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

COFACTOR = 150.0
"""Linear units per unit of asinh near zero (flow cytometry's usual choice for a scale of 2^18)."""
LOWEST, HIGHEST, BINS = -4.0, 8.2, 488
WIDTH = (HIGHEST - LOWEST) / BINS
SMOOTHING = 0.18
"""SD of the smoothing kernel in units of asinh: half of the narrowest mode seen in practice."""

MODE_EVENTS = 100
DEPTH = 0.5
MAXIMUM_SD = 0.1 * math.log(10)
"""A tenth of a decade, in units of asinh."""
FARTHEST = 0.7
"""Three tenths of a decade: how far a boundary found in a tube may lie from what is known
beforehand."""
RESAMPLES = 40
SEED = 20250717


@dataclass(frozen=True, slots=True)
class Valley:
    """A valley between two modes of a histogram.

    ``value`` is its place in linear units, ``depth`` is relative to the smaller mode, ``sd`` is the
    bootstrap SD in asinh units.
    """

    value: float
    low_events: int
    high_events: int
    depth: float
    sd: float

    def fault(self) -> str:
        """Say why it may not be used; empty when it may.

        It needs 100 events in both modes, a depth of 0.5 and an SD below 0.1 decade (SCIENCE).
        """
        fewer = min(self.low_events, self.high_events)
        if fewer < MODE_EVENTS:
            return f"{fewer} events in the smaller mode, {MODE_EVENTS} are needed"
        if self.depth < DEPTH:
            return (
                f"the valley is only {100 * self.depth:.0f} % of the smaller mode deep, "
                f"{100 * DEPTH:.0f} % are needed"
            )
        if not self.sd < MAXIMUM_SD:
            return (
                f"resampled, it moves by {self.sd / math.log(10):.2f} decades, less than 0.10 is "
                f"needed"
            )
        return ""

    def rationale(self) -> str:
        """Describe it in words."""
        events = f"{self.low_events} events below, {self.high_events} above"
        return (
            f"valley at {self.value:.0f} ({events}, depth {100 * self.depth:.0f} %, SD "
            f"{self.sd / math.log(10):.3f} decades)"
        )


def to_scale(linear: np.ndarray | float) -> np.ndarray:
    """Convert linear values to the asinh scale."""
    return np.arcsinh(np.asarray(linear, dtype=np.float64) / COFACTOR)


def from_scale(place: float) -> float:
    """Convert a place on the asinh scale back to linear units."""
    return math.sinh(place) * COFACTOR


def histogram(linear: np.ndarray) -> np.ndarray:
    """Count linear values in the bins of the asinh scale.

    Values beyond an end are counted in its outermost bin.
    """
    places = np.clip((to_scale(linear) - LOWEST) / WIDTH, 0, BINS - 1)
    return np.bincount(places.astype(np.int64), minlength=BINS)


def bin_of(linear: float) -> int:
    """Give the bin of a linear value."""
    return int(np.clip((float(to_scale(linear)) - LOWEST) / WIDTH, 0, BINS - 1))


def share_below(counts: np.ndarray, share: float) -> float:
    """Give the linear value below which a share of a histogram's events lies, to a bin's width."""
    place = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return from_scale(_centre(place) + WIDTH / 2)


def find_valley(counts: np.ndarray, near: float) -> Valley | None:
    """Find the valley of a histogram nearest to ``near`` (linear units) that passes.

    Of the three nearest, the first that passes is given, else the nearest; None without any valley.
    """
    places = _valleys(_smooth(counts))
    if not places:
        return None
    target = float(to_scale(near))
    nearest = sorted(places, key=lambda place: abs(_centre(place) - target))[:3]
    valleys = [_valley_at(counts, place) for place in nearest]
    return next((valley for valley in valleys if not valley.fault()), valleys[0])


def deepest_valley(counts: np.ndarray) -> Valley | None:
    """Find the deepest valley of a histogram that passes; None when none does."""
    valleys = [_valley_at(counts, place) for place in _valleys(_smooth(counts))]
    passed = [valley for valley in valleys if not valley.fault()]
    return max(passed, key=lambda valley: valley.depth, default=None)


def find_crossing(counts: np.ndarray, near: float) -> Valley | None:
    """Fit two normal modes to a histogram and give the place where either is equally likely.

    The modes start on either side of ``near`` (linear units). The place is tested as a valley is: a
    mixture always finds two modes, also where there is one.
    """
    from sklearn.mixture import GaussianMixture

    sample = _sample(counts)
    start = float(to_scale(near))
    low, high = sample[sample < start], sample[sample >= start]
    if len(low) < 2 or len(high) < 2:
        return None
    model = GaussianMixture(
        2,
        means_init=[[float(np.median(low))], [float(np.median(high))]],
        random_state=SEED,
        reg_covar=1e-3,
    )
    model.fit(sample.reshape(-1, 1))
    centres = np.sort(model.means_.ravel())
    grid = np.arange(centres[0], centres[1], WIDTH)
    upper = int(np.argmax(model.means_.ravel()))
    if len(grid) == 0:
        return None
    share = model.predict_proba(grid.reshape(-1, 1))[:, upper]
    equal = grid[int(np.argmin(np.abs(share - 0.5)))]
    return _valley_at(counts, bin_of(from_scale(equal)))


def mode_of(counts: np.ndarray, below: float) -> float:
    """Give the linear value of the highest mode of a histogram among values under ``below``."""
    smooth = _smooth(counts)
    return from_scale(_centre(int(np.argmax(smooth[: max(1, bin_of(below))]))))


def _smooth(counts: np.ndarray) -> np.ndarray:
    return np.convolve(counts.astype(np.float64), _kernel(), mode="same")


@lru_cache(maxsize=1)
def _kernel() -> np.ndarray:
    """Give the weights of a smoothed histogram's bins; their sum is 1."""
    reach = int(4 * SMOOTHING / WIDTH)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * WIDTH / SMOOTHING) ** 2)
    return np.asarray(kernel / kernel.sum())


def _valleys(smooth: np.ndarray) -> list[int]:
    """List the bins of the local minima between two local maxima; the middle of a flat one."""
    steps = np.diff(smooth)
    sloping = np.flatnonzero(steps)
    falls, rises = steps[sloping[:-1]] < 0, steps[sloping[1:]] > 0
    ends = np.flatnonzero(falls & rises)
    return ((sloping[ends] + 1 + sloping[ends + 1]) // 2).tolist()  # type: ignore[no-any-return]


def _valley_at(counts: np.ndarray, place: int) -> Valley:
    """Measure the valley at a bin: events on either side, depth and bootstrap SD."""
    smooth = _smooth(counts)
    below, above = int(counts[:place].sum()), int(counts[place:].sum())
    smaller = min(float(smooth[:place].max(initial=0.0)), float(smooth[place:].max(initial=0.0)))
    depth = 1 - float(smooth[place]) / smaller if smaller > 0 else 0.0
    sd = math.inf
    if min(below, above) >= MODE_EVENTS and depth >= DEPTH:
        sd = _bootstrap_sd(counts, place)
    return Valley(from_scale(_centre(place)), below, above, depth, sd)


def _bootstrap_sd(counts: np.ndarray, place: int) -> float:
    """Give the SD of the nearest valley over resamples of the histogram, in asinh units.

    A resample without a valley counts as a move across the whole scale.
    """
    rng = np.random.default_rng(SEED)
    total = int(counts.sum())
    moved = []
    for again in rng.multinomial(total, counts / total, size=RESAMPLES):
        places = _valleys(_smooth(again))
        moved.append(min((abs(p - place) for p in places), default=BINS) * WIDTH)
    return float(np.sqrt(np.mean(np.square(moved))))


def _sample(counts: np.ndarray, most: int = 4000) -> np.ndarray:
    """Spread at most ``most`` events evenly over the quantiles of a histogram."""
    total = int(counts.sum())
    size = min(total, most)
    ranks = (np.arange(size) + 0.5) / max(size, 1)
    return LOWEST + (np.searchsorted(np.cumsum(counts), ranks * total, side="right") + 0.5) * WIDTH


def _centre(place: int) -> float:
    return LOWEST + (place + 0.5) * WIDTH
