"""Find the valley between two modes of one marker, and say how much it can be trusted.

Everything works on one histogram a threshold: counts in equal bins of asinh(linear / 150), linear
units on a scale that ends at 262144. A histogram is small enough to be kept and pooled, and all
that is derived from it is deterministic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    """A valley: its place in linear units, events on either side, depth relative to the smaller mode, bootstrap SD in asinh units."""

    value: float
    low_events: int
    high_events: int
    depth: float
    sd: float

    def fault(self) -> str:
        """Say why it may not be used, empty when it may (SCIENCE: 100 events in both modes, depth 0.5, SD 0.1 decade)."""
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
        sides = f"{self.low_events} events below, {self.high_events} above"
        return (
            f"valley at {self.value:.0f} ({sides}, depth {100 * self.depth:.0f} %, SD "
            f"{self.sd / math.log(10):.3f} decades)"
        )


def to_scale(linear: np.ndarray | float) -> np.ndarray:
    """Bring linear values to the asinh scale."""
    return np.arcsinh(np.asarray(linear, dtype=np.float64) / COFACTOR)


def from_scale(place: float) -> float:
    """Bring a place of the asinh scale back to linear units."""
    return math.sinh(place) * COFACTOR


def histogram(linear: np.ndarray) -> np.ndarray:
    """Count linear values in the bins of the asinh scale; values beyond an end are counted in its outermost bin."""
    places = np.clip((to_scale(linear) - LOWEST) / WIDTH, 0, BINS - 1)
    return np.bincount(places.astype(np.int64), minlength=BINS)


def bin_of(linear: float) -> int:
    """Give the bin of a linear value."""
    return int(np.clip((float(to_scale(linear)) - LOWEST) / WIDTH, 0, BINS - 1))


def share_below(counts: np.ndarray, share: float) -> float:
    """Give the linear value, to the width of a bin, under which a share of a histogram's events lies."""
    place = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return from_scale(_centre(place) + WIDTH / 2)


def find_valley(counts: np.ndarray, near: float) -> Valley | None:
    """Find among the valleys of a histogram the one nearest to ``near`` (linear units) that passes, else the nearest; None without any."""
    places = _valleys(_smooth(counts))
    if not places:
        return None
    target = float(to_scale(near))
    found = [
        _judge(counts, place)
        for place in sorted(places, key=lambda p: abs(_centre(p) - target))[:3]
    ]
    return next((valley for valley in found if not valley.fault()), found[0])


def find_crossing(counts: np.ndarray, near: float) -> Valley | None:
    """Fit two normal modes to a histogram and give the place between them where an event belongs to either alike.

    The modes start on either side of ``near``. Judged as a valley is: a mixture always finds two
    modes, also where there is one.
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
    return _judge(counts, bin_of(from_scale(grid[int(np.argmin(np.abs(share - 0.5)))])))


def mode_of(counts: np.ndarray, below: float) -> float:
    """Give the linear value of the highest mode of a histogram among values under ``below``."""
    smooth = _smooth(counts)
    return from_scale(_centre(int(np.argmax(smooth[: max(1, bin_of(below))]))))


def _smooth(counts: np.ndarray) -> np.ndarray:
    reach = int(4 * SMOOTHING / WIDTH)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * WIDTH / SMOOTHING) ** 2)
    return np.convolve(counts.astype(np.float64), kernel / kernel.sum(), mode="same")


def _valleys(smooth: np.ndarray) -> list[int]:
    """List the bins of the local minima between two local maxima; the middle of a flat one."""
    steps = np.sign(np.diff(smooth))
    places: list[int] = []
    falling: int | None = None
    for bin_, step in enumerate(steps):
        if step < 0:
            falling = bin_ + 1
        elif step > 0 and falling is not None:
            places.append((falling + bin_) // 2)
            falling = None
    return places


def _judge(counts: np.ndarray, place: int) -> Valley:
    smooth = _smooth(counts)
    below, above = int(counts[:place].sum()), int(counts[place:].sum())
    smaller = min(float(smooth[:place].max(initial=0.0)), float(smooth[place:].max(initial=0.0)))
    depth = 1 - float(smooth[place]) / smaller if smaller > 0 else 0.0
    sd = (
        _bootstrap_sd(counts, place)
        if min(below, above) >= MODE_EVENTS and depth >= DEPTH
        else math.inf
    )
    return Valley(from_scale(_centre(place)), below, above, depth, sd)


def _bootstrap_sd(counts: np.ndarray, place: int) -> float:
    """Resample the histogram and give the SD of the nearest valley; a resample without one counts as a far move."""
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
    ranks = (np.arange(min(total, most)) + 0.5) / min(total, most) if total else np.empty(0)
    return LOWEST + (np.searchsorted(np.cumsum(counts), ranks * total, side="right") + 0.5) * WIDTH


def _centre(place: int) -> float:
    return LOWEST + (place + 0.5) * WIDTH
