"""Tell whether a trigger or a drawn region cut a peak of one channel at its low side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COFACTOR = 0.002
"""Scale of the arcsinh, as a share of the range: above it a difference is that of logarithms."""
AT_END = 0.005
"""Share of events at the end of the range from which a peak is not judged."""
TAILS = (1.2, 2.0)
"""Distances from the mode, in SDs of the upper half, beyond which both tails are compared."""
FARTHEST = 4.0
LEAST_EVENTS, TAIL_SHARE, CHANCE = 40, 0.5, 1e-6
STEEP_WIDTH, STEEP = 0.2, 1 / 3
MODE_BINS = 400


def is_cut_below(column: Floats, *, steep: bool = False) -> bool:
    """Tell whether the low tail of a peak is far smaller than its high tail, beyond chance.

    ``column`` (n,) are signals as shares of their range. With ``steep`` the peak must also end in a
    steep edge. The tails of a whole peak hold about as
    many events on either side; a one-sided binomial test (P < 1e-6) and half as many at the most
    make a cut.
    """
    from scipy import special

    if len(column) < 2 * LEAST_EVENTS or (column >= 1).mean() > AT_END:
        return False
    places = np.arcsinh(column / COFACTOR)
    mode = _mode(places)
    upper = places[places > mode]
    if len(upper) < LEAST_EVENTS:
        return False
    spread = float(np.quantile(upper, 0.6827)) - mode
    if spread <= 0 or (steep and not _ends_steeply(places, spread)):
        return False
    beyond = (places - mode) / spread
    for distance in TAILS:
        above = int(((beyond > distance) & (beyond < FARTHEST)).sum())
        below = int(((beyond < -distance) & (beyond > -FARTHEST)).sum())
        if below < TAIL_SHARE * above and special.bdtr(below, above + below, 0.5) < CHANCE:
            return True
    return False


def _ends_steeply(places: Floats, spread: float) -> bool:
    """Tell whether the lowest bin already holds a third of the events of the fullest one.

    Bins are a fifth of a spread wide.
    """
    width = STEEP_WIDTH * spread
    bins = ((places - np.quantile(places, 0.001)) / width).astype(np.int64)
    counts = np.bincount(np.maximum(bins, 0))
    return bool(counts[0] >= STEEP * counts.max())


def _mode(values: Floats) -> float:
    """Give the mode of a distribution: the peak of a histogram smoothed over half a robust SD."""
    from scipy.ndimage import gaussian_filter1d

    low, quarter, three_quarters, high = np.quantile(values, (0.002, 0.25, 0.75, 0.998))
    if high <= low:
        return float(low)
    counts, edges = np.histogram(values, bins=MODE_BINS, range=(low, high))
    width = (three_quarters - quarter) / 1.349 / 2 / (edges[1] - edges[0])
    smooth = gaussian_filter1d(counts.astype(np.float64), max(float(width), 1.0), mode="constant")
    peak = int(np.argmax(smooth))
    return float(edges[peak] + edges[peak + 1]) / 2
