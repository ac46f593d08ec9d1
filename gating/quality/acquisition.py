"""Find the unstable stretches of an acquisition: clogs, bubbles, jumps of signal or flow rate.

Events are taken in the order of acquisition, in bins of equal numbers. In each channel the bins'
medians are smoothed and compared with their median absolute deviation, as PeacoQC does for its
peaks; the flow rate is compared with the tube's usual rate in the same way, as flowAI does. A bin
that stands out in any channel is left out whole, with everything in it, beads too: a volume and a
count that are taken from the same stretch keep their ratio. Medians over all cells hardly move with
a population that comes or goes.

Limits are those PeacoQC publishes: 6 MAD, bins of at least 150 events and at most 500 bins, good
stretches of fewer than 5 bins between bad ones are left out as well. Its isolation tree is not
used: it compares bins with each other, also where none is bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gating.fcs.event_source import EventSource, Rows
from gating.fcs.header import TubeHeader
from panels.acquisition_time import is_time_channel, time_channel

LEAST_EVENTS = 1500
MOST_BINS = 500
LEAST_PER_BIN = 150
MAD_LIMIT = 6.0
CONSECUTIVE = 5
NORMAL_MAD = 1.4826
COFACTOR = 150.0
LEAST_DEVIATION = 0.02
"""Units of asinh: a signal this steady is never called unsteady."""
CERTAIN = 8.0
"""A drift is reported when it is so many times its standard error."""
LEAST_RATE_DEVIATION = 0.40
"""Units of the logarithm: a flow within 1.5 times its usual rate is never called uneven."""
RAMP_SECONDS = 3.0
"""A flow needs so long to settle; until then its rate is not used."""
RATE_EVENTS, RATE_TICKS = 1000, 50
"""A rate is taken over so many events, and so many ticks of the time channel, that neither
counting nor ticking makes it jump."""
LEAST_REMOVED = 0.05
"""A smaller share of bins changes no result, so the tube is counted as it is; what stood out is
reported all the same."""
BACKWARDS = 0.001
"""Share of steps back in time from which the time channel is not monotone enough to be used."""


@dataclass(frozen=True, slots=True)
class TimeQuality:
    """Which events of a tube may be used.

    ``kept``: sorted event indices, None for all. ``removed``: share of the events left out.
    ``channels``: for each channel (or ``rate``) in how many bins it stood out. ``drift``: largest
    change of a channel's median from the first to the last quarter, as a factor - 1. ``skipped``
    says why nothing was examined (empty when it was).
    """

    kept: Rows | None
    removed: float
    bins: int
    channels: dict[str, int]
    drift: float
    skipped: str = ""


def time_quality(
    events: EventSource, header: TubeHeader, channels: Mapping[str, int]
) -> TimeQuality:
    """Judge the stretches of one tube by some of its channels (name → index).

    A time channel among them is no signal and is passed over.
    """
    n = events.count
    if n < LEAST_EVENTS:
        few = f"{n} events are too few to judge the acquisition by ({LEAST_EVENTS} are needed)"
        return TimeQuality(None, 0.0, 0, {}, 0.0, few)
    size = max(LEAST_PER_BIN, -(-n // MOST_BINS))
    bins = n // size
    bad = np.zeros(bins, dtype=bool)
    bad_bins: dict[str, int] = {}
    drift = 0.0
    for name, index in channels.items():
        if is_time_channel(header.channels[index].detector):
            continue
        medians = _bin_medians(events.column(index), size, bins)
        stands_out = _stands_out(medians, LEAST_DEVIATION)
        bad_bins[name] = int(stands_out.sum())
        bad |= stands_out
        drift = max(drift, _drift(medians))
    rate = _rate(events, header, size, bins)
    if rate is not None:
        stands_out = _stands_out(rate, LEAST_RATE_DEVIATION, smooth=False)
        bad_bins["rate"] = int(stands_out.sum())
        bad |= stands_out
    bad = _without_short_good_runs(bad)
    if bad.mean() <= LEAST_REMOVED:
        return TimeQuality(None, 0.0, bins, bad_bins, drift)
    keep = np.repeat(~bad, size)
    keep = np.concatenate([keep, np.full(n - len(keep), fill_value=not bad[-1])])
    return TimeQuality(np.flatnonzero(keep), float(1 - keep.mean()), bins, bad_bins, drift)


def _bin_medians(values: np.ndarray, size: int, bins: int) -> np.ndarray:
    places = np.arcsinh(values[: size * bins].astype(np.float32) / np.float32(COFACTOR)).reshape(
        bins, size
    )
    middle = size // 2
    return np.partition(places, middle, axis=1)[:, middle].astype(np.float64)


def _stands_out(series: np.ndarray, least: float, *, smooth: bool = True) -> np.ndarray:
    if smooth:
        series = _running_mean(series)
    centre = float(np.median(series))
    deviation = NORMAL_MAD * float(np.median(np.abs(series - centre)))
    return np.abs(series - centre) > MAD_LIMIT * max(deviation, least / MAD_LIMIT)


def _drift(medians: np.ndarray) -> float:
    """Give the change from the first to the last quarter as a factor - 1.

    It is 0 where it is not clearly more than the noise of the bins. The noise is that of
    neighbouring bins, which no drift widens. It is large where the median of all cells lies between
    two modes.
    """
    quarter = max(1, len(medians) // 4)
    change = abs(float(np.median(medians[-quarter:]) - np.median(medians[:quarter])))
    noise = NORMAL_MAD * float(np.median(np.abs(np.diff(medians)))) / np.sqrt(2 * quarter)
    return float(np.expm1(change)) if change > CERTAIN * noise else 0.0


def _running_mean(series: np.ndarray) -> np.ndarray:
    """Average each bin with its neighbours, the window shrinking at the ends."""
    width = min(CONSECUTIVE, len(series))
    kernel = np.ones(width)
    return np.convolve(series, kernel, mode="same") / np.convolve(
        np.ones(len(series)), kernel, mode="same"
    )


def _rate(events: EventSource, header: TubeHeader, size: int, bins: int) -> np.ndarray | None:
    """Give the logarithm of each bin's flow rate; None without a monotone time channel."""
    channel = time_channel(header.channels)
    if channel is None:
        return None
    time = events.column(channel.index)
    steps = np.diff(time)
    if len(steps) == 0 or (steps < 0).mean() > BACKWARDS or time[-1] <= time[0]:
        return None
    together = max(1, -(-RATE_EVENTS // size))
    edges = time[np.minimum(np.arange(0, bins + 1, together) * size, len(time) - 1)]
    tick = float(np.min(steps[steps > 0]))
    while len(edges) > 2 and np.median(np.diff(edges)) < RATE_TICKS * tick:
        together, edges = 2 * together, edges[::2]
    lasted = np.diff(edges)
    if len(lasted) < CONSECUTIVE:
        return None
    rates = -np.log(np.maximum(lasted, tick))
    rates[edges[:-1] < time[0] + RAMP_SECONDS] = np.median(rates)
    return np.repeat(rates, together)[np.minimum(np.arange(bins), len(rates) * together - 1)]


def _without_short_good_runs(bad: np.ndarray) -> np.ndarray:
    """Mark fewer than five good bins between bad ones as bad too."""
    widened = bad.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[True], bad, [True]]).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        inner = start > 0 and end < len(bad)
        if inner and end - start < CONSECUTIVE:
            widened[start:end] = True
    return widened
