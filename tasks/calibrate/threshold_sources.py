"""Ask every source what a threshold of an instrument should be.

The sources are those of a threshold in a tube, and the landmarks: where the reference cells of the
same detector lie here and where they lay on the instrument the strategy is drawn on. A number that
no source gives is not proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gating.strategy.axis_map import AxisMap
from gating.strategy.model import Strategy
from gating.strategy.threshold import Threshold
from gating.thresholds.measure import ThresholdMeasurement
from gating.thresholds.measured_threshold import NEGATIVE_EVENTS, MeasuredThreshold
from gating.thresholds.resolution import FMO_EVENTS, FMO_SHARE
from gating.thresholds.valley import find_valley, share_below
from tasks.calibrate.landmark_estimates import MAD_TO_SD, RESAMPLES, SEED, LandmarkEstimate
from tasks.calibrate.observation import Observation
from tasks.calibrate.tube import CalibrationTube

NO_LANDMARK = "the strategy has no landmark on this detector"
LEAST_TUBES = 3
"""So many tubes whose valleys pass give a median; fewer are pooled."""
MOST_BETWEEN = 0.15 * np.log(10)
"""Tubes that differ by more (a robust SD of 0.15 decades) give no value."""


@dataclass(frozen=True, slots=True)
class SourceEstimate:
    """What one source gives for a threshold, in linear units (None: nothing, ``fault`` says why).

    ``low`` and ``high`` are the 95 % interval by bootstrap over tubes, ``between`` the robust SD
    between tubes on the natural logarithm (nan: too few), ``cells`` those it rests on.
    """

    source: str
    value: float | None
    low: float = np.nan
    high: float = np.nan
    tubes: int = 0
    cells: int = 0
    between: float = np.nan
    fault: str = ""


@dataclass(frozen=True, slots=True)
class SeenTube:
    """A tube of the calibration with what it shows under the aligned strategy."""

    tube: CalibrationTube
    seen: Observation


Seen = Sequence[SeenTube]


def landmark_source(
    declared: Threshold, moved: AxisMap, estimates: Sequence[LandmarkEstimate]
) -> SourceEstimate:
    """Move the value of the strategy's own instrument with the landmarks of its detector.

    ``estimates`` are those of the axis; ``moved`` is made of them.
    """
    if declared.value <= 0:
        fault = "the strategy's own value is 0 or below: no gain moves it"
        return SourceEstimate("landmark", None, fault=fault)
    found = [each for each in estimates if each.value is not None]
    if not found:
        fault = "; ".join(each.fault for each in estimates) or NO_LANDMARK
        return SourceEstimate("landmark", None, fault=fault)
    value = moved.at(declared.value)
    nearest = min(found, key=lambda each: abs(np.log((each.value or 1.0) / value)))
    place = nearest.value or 1.0
    return SourceEstimate(
        "landmark",
        value,
        value * nearest.low / place,
        value * nearest.high / place,
        nearest.tubes,
        nearest.cells,
        nearest.between,
    )


def fmo_source(name: str, threshold: Threshold, tubes: Seen) -> SourceEstimate:
    """Take the value above 99.95 % of the cells that lack the stain, in FMO controls."""
    controls = [
        each.seen.measurements[name]
        for each in tubes
        if each.tube.left_out == threshold.marker and name in each.seen.measurements
    ]
    counts = [np.asarray(each.counts) for each in controls if each.counts is not None]
    enough = [each for each in counts if each.sum() >= FMO_EVENTS]
    if not enough:
        gate = f" of {threshold.seen_in}" if threshold.seen_in else ""
        fault = f"no FMO control of {threshold.marker} with {FMO_EVENTS:,} cells{gate}"
        return SourceEstimate("fmo", None, fault=fault)
    values = [share_below(each, FMO_SHARE) for each in enough]
    return _median("fmo", values, int(sum(each.sum() for each in enough)))


def valley_source(name: str, threshold: Threshold, tubes: Seen) -> SourceEstimate:
    """Take the median of the tubes' valleys; of all cells together where fewer than three pass."""
    histograms = [
        np.asarray(measurement.counts)
        for measurement in _of_full_tubes(name, tubes)
        if measurement.counts is not None
    ]
    if not histograms:
        fault = f"no tube shows {threshold.seen_in} on both sides of the boundary"
        return SourceEstimate("valley", None, fault=fault)
    valleys = [find_valley(each, threshold.value) for each in histograms]
    passed = [each for each in valleys if each is not None and not each.fault()]
    if len(passed) >= LEAST_TUBES:
        cells = sum(each.low_events + each.high_events for each in passed)
        return _median("valley", [each.value for each in passed], cells)
    pooled = find_valley(np.sum(histograms, axis=0), threshold.value)
    if pooled is None or pooled.fault():
        why = "one population only" if pooled is None else pooled.fault()
        fault = f"no valley in {threshold.seen_in}: {why}"
        return SourceEstimate("valley", None, fault=fault)
    spread = float(np.exp(1.96 * pooled.sd))
    return SourceEstimate(
        "valley",
        pooled.value,
        pooled.value / spread,
        pooled.value * spread,
        len(histograms),
        pooled.low_events + pooled.high_events,
    )


def pooled_counts(name: str, tubes: Seen) -> np.ndarray | None:
    """Add up the histograms of the gate that shows both sides; None where no tube has one."""
    counts = [each.counts for each in _of_full_tubes(name, tubes) if each.counts is not None]
    return np.sum([np.asarray(each) for each in counts], axis=0) if counts else None


def negative_source(name: str, threshold: Threshold, tubes: Seen) -> SourceEstimate:
    """Place the boundary as far above the negative cells as on the strategy's own instrument.

    That is in SDs of the half below their mode, in each stretch where the threshold declares it;
    else the value goes with their spread. ``threshold`` is the aligned one.
    """
    values, cells = [], 0
    for measurement in _of_full_tubes(name, tubes):
        measured = MeasuredThreshold(threshold, measurement)
        if measured.stretches():
            values.append(threshold.value * measured.needed_move()[0])
        elif (negatives := measured.negatives()) is not None:
            values.append(threshold.value * negatives[0].spread / negatives[1].spread)
        else:
            continue
        cells += measurement.negative.events if measurement.negative else 0
    if not values:
        gate = threshold.negative.gate if threshold.negative else "its negative gate"
        fault = f"fewer than {NEGATIVE_EVENTS} negative cells of {gate} in every tube"
        return SourceEstimate("negative", None, fault=fault)
    return _median("negative", values, cells)


def _of_full_tubes(name: str, tubes: Seen) -> list[ThresholdMeasurement]:
    """List a threshold's measurements in the tubes with all stains."""
    return [
        each.seen.measurements[name]
        for each in tubes
        if not each.tube.left_out and name in each.seen.measurements
    ]


def _median(source: str, values: Sequence[float], cells: int) -> SourceEstimate:
    """Sum up the tubes' values: their median, its interval and their robust SD on the logarithm."""
    positive = np.log([value for value in values if value > 0])
    if not len(positive):
        return SourceEstimate(source, None, fault="every tube's value lies below 0")
    middle = float(np.median(positive))
    between = np.nan
    if len(positive) >= LEAST_TUBES:
        between = MAD_TO_SD * float(np.median(np.abs(positive - middle)))
    rng = np.random.default_rng(SEED)
    chosen = rng.integers(0, len(positive), (RESAMPLES, len(positive)))
    low, high = np.exp(np.percentile(np.median(positive[chosen], axis=1), [2.5, 97.5]))
    fault = ""
    if between > MOST_BETWEEN:
        fault = f"{len(positive)} tubes differ by {between / np.log(10):.2f} decades (SD)"
    return SourceEstimate(
        source,
        None if fault else float(np.exp(middle)),
        float(low),
        float(high),
        len(positive),
        cells,
        between,
        fault,
    )


def source_estimates(
    name: str,
    declared: Strategy,
    aligned: Strategy,
    tubes: Seen,
    landmarks: tuple[AxisMap, Sequence[LandmarkEstimate]],
) -> tuple[SourceEstimate, ...]:
    """Ask every source that a threshold has for its value on the instrument."""
    threshold = aligned.thresholds[name]
    estimates = [landmark_source(declared.thresholds[name], *landmarks)]
    if "fmo" in threshold.sources:
        estimates.append(fmo_source(name, threshold, tubes))
    if threshold.seen_in is not None and threshold.seen_in != _negative_gate(threshold):
        estimates.append(valley_source(name, threshold, tubes))
    if threshold.negative is not None:
        estimates.append(negative_source(name, threshold, tubes))
    return tuple(estimates)


def _negative_gate(threshold: Threshold) -> str | None:
    return threshold.negative.gate if threshold.negative else None
