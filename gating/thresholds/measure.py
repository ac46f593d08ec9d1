"""Measure what one tube shows of its thresholds, before any of them is resolved.

A measurement depends on the tube and the strategy alone, so it can be kept and used as a reference
for other tubes. It is taken on the gates as the declared values draw them: medians and spreads of
large populations hardly depend on where exactly their gates lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gating.evaluation.axis_units import to_display, to_linear
from gating.evaluation.compensated_values import Channels
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.fcs.header import TubeHeader
from gating.strategy.gates import Polygon
from gating.strategy.model import Strategy
from gating.strategy.threshold import Negative
from gating.thresholds.valley import BINS, Valley, bin_of, find_valley, histogram, mode_of

MOST_EVENTS = 200_000
"""Of larger gates, events are read at even steps: their medians and valleys need no more."""
ANCHOR_EVENTS = 100
"""So many cells an anchor needs to be used."""
ONE_SD = 0.682689492137
"""Share of a normal mode within one SD of its centre."""


@dataclass(frozen=True, slots=True)
class StretchMeasurement:
    """The negative cells of one stretch of the axis beside, and the declared boundary there.

    ``mode``, ``spread`` (the left-sided SD) and ``border`` are in the strategy's linear units.
    """

    events: int
    mode: float
    spread: float
    border: float


@dataclass(frozen=True, slots=True)
class NegativeMeasurement:
    """Cells that never carry the marker: their mode, their left-sided SD and their histogram.

    The spread is that of the half below the mode, which no positive cell can widen. ``stretches``
    are as the threshold declares them.
    """

    mode: float
    spread: float
    counts: tuple[int, ...]
    stretches: tuple[StretchMeasurement, ...] = ()

    @property
    def events(self) -> int:
        """Count the cells that were measured."""
        return sum(self.counts)

    def reaching(self, value: float) -> int:
        """Count the cells that reach ``value``, to the width of a bin."""
        return sum(self.counts[bin_of(value) :])


@dataclass(frozen=True, slots=True)
class AnchorMeasurement:
    """Cells that always carry the marker alike: how many, and their median."""

    events: int
    median: float


@dataclass(frozen=True, slots=True)
class ThresholdMeasurement:
    """What a tube shows of one threshold; values are in the strategy's linear units.

    ``counts`` is the histogram of the gate ``seen_in``.
    """

    counts: tuple[int, ...] | None
    negative: NegativeMeasurement | None
    anchor: AnchorMeasurement | None

    @property
    def usable_anchor(self) -> AnchorMeasurement | None:
        """Give the anchor when it has enough cells and a median above 0."""
        anchor = self.anchor
        if anchor is None or anchor.events < ANCHOR_EVENTS or anchor.median <= 0:
            return None
        return anchor

    def valley_near(self, value: float) -> Valley | None:
        """Find the tube's valley near a value; None when there is none or no histogram."""
        if self.counts is None:
            return None
        return find_valley(np.asarray(self.counts), value)

    def document(self) -> dict[str, Any]:
        """Give it as JSON holds it; histograms as their first filled bin and what follows."""
        document = asdict(self)
        document["counts"] = None if self.counts is None else _packed(self.counts)
        if self.negative is not None:
            document["negative"]["counts"] = _packed(self.negative.counts)
        return document


def measurement_from(document: Mapping[str, Any]) -> ThresholdMeasurement:
    """Read a measurement back from JSON."""
    counts = negative = anchor = None
    if document["counts"] is not None:
        counts = _unpacked(document["counts"])
    if document["negative"]:
        negative = _negative_from(document["negative"])
    if document["anchor"]:
        anchor = AnchorMeasurement(**document["anchor"])
    return ThresholdMeasurement(counts, negative, anchor)


def _negative_from(document: Mapping[str, Any]) -> NegativeMeasurement:
    return NegativeMeasurement(
        mode=document["mode"],
        spread=document["spread"],
        counts=_unpacked(document["counts"]),
        stretches=tuple(StretchMeasurement(**stretch) for stretch in document["stretches"]),
    )


def _packed(counts: Sequence[int]) -> list[int]:
    """Write a histogram as its first filled bin and the counts from there."""
    filled = np.flatnonzero(counts)
    if len(filled) == 0:
        return [0]
    first, last = int(filled[0]), int(filled[-1]) + 1
    return [first, *counts[first:last]]


def _unpacked(packed: Sequence[int]) -> tuple[int, ...]:
    first, *counts = packed
    return (*([0] * first), *counts, *([0] * (BINS - first - len(counts))))


def is_measured(strategy: Strategy) -> bool:
    """Tell whether any threshold of a strategy is measured in the tube itself."""
    return any(threshold.is_measured for threshold in strategy.thresholds.values())


def measure(
    compiled: Compiled, evaluation: Evaluation, events: EventSource, header: TubeHeader
) -> dict[str, ThresholdMeasurement]:
    """Measure every threshold that needs it, in a tube evaluated at the declared values."""
    return measure_on(Channels(compiled.gating, events, header), compiled, evaluation)


def measure_on(
    channels: Channels, compiled: Compiled, evaluation: Evaluation
) -> dict[str, ThresholdMeasurement]:
    """Measure as ``measure`` does, on channels of the tube that are open already."""
    values = _values(compiled, evaluation, channels)
    measurements: dict[str, ThresholdMeasurement] = {}
    for name, threshold in compiled.strategy.thresholds.items():
        if not threshold.is_measured:
            continue
        counts = negative = anchor = None
        if threshold.seen_in:
            seen = values[threshold.seen_in, threshold.marker]
            counts = tuple(histogram(seen).tolist())
        if threshold.negative:
            negative = _negative(compiled, name, threshold.negative, values)
        if threshold.anchor:
            anchor = _anchor(values[threshold.anchor.gate, threshold.marker])
        measurements[name] = ThresholdMeasurement(counts, negative, anchor)
    return measurements


def _values(
    compiled: Compiled, evaluation: Evaluation, channels: Channels
) -> dict[tuple[str, str], np.ndarray]:
    """Read by (gate, marker) the values that thresholds need, in the strategy's linear units."""
    thresholds = compiled.strategy.thresholds.values()
    needed = {(gate, each.marker): None for each in thresholds for gate in each.gates}
    for threshold in thresholds:
        negative = threshold.negative
        if negative and negative.beside:
            needed[negative.gate, negative.beside] = None
    markers_of: dict[str, list[str]] = {}
    for gate, marker in needed:
        markers_of.setdefault(gate, []).append(marker)
    values = {}
    for gate, markers in markers_of.items():
        columns = _columns(compiled, evaluation, channels, gate, markers)
        values.update({(gate, marker): column for marker, column in columns.items()})
    return values


def _columns(
    compiled: Compiled, evaluation: Evaluation, channels: Channels, gate: str, markers: list[str]
) -> dict[str, np.ndarray]:
    rows = evaluation.sample(compiled.path_of[gate], MOST_EVENTS)
    compensation = compiled.applied_compensation
    keys = [(channels.index(compiled.detector_of[marker]), compensation) for marker in markers]
    columns = channels.linear(keys, rows)
    return {
        marker: column / compiled.factor(marker)
        for marker, column in zip(markers, columns, strict=True)
    }


def _negative(
    compiled: Compiled,
    name: str,
    declared: Negative,
    values: Mapping[tuple[str, str], np.ndarray],
) -> NegativeMeasurement:
    """Measure the negative cells of a threshold, as a whole and by stretches of the axis beside."""
    threshold = compiled.strategy.thresholds[name]
    cells = values[declared.gate, threshold.marker]
    mode, spread, counts = _left_half(cells, threshold.value)
    stretches = []
    low = -np.inf
    for stretch in declared.clearance:
        high = np.inf if stretch.below is None else stretch.below
        inside = np.ones(len(cells), dtype=bool)
        border = threshold.value
        if declared.beside is not None:
            places = values[declared.gate, declared.beside]
            inside = (places >= low) & (places < high)
            if inside.any():
                middle = float(np.median(places[inside]))
                border = _border_at(compiled, name, declared.beside, middle)
        part_mode, part_spread, _ = _left_half(cells[inside], border)
        stretches.append(
            StretchMeasurement(int(inside.sum()), part_mode, part_spread, _rounded(border))
        )
        low = high
    return NegativeMeasurement(mode, spread, tuple(counts.tolist()), tuple(stretches))


def _left_half(values: np.ndarray, border: float) -> tuple[float, float, np.ndarray]:
    """Give the mode below a boundary, the SD of the half below the mode, and the histogram."""
    counts = histogram(values)
    mode = mode_of(counts, border)
    below = mode - values[values <= mode]
    spread = float(np.quantile(below, ONE_SD)) if len(below) else 0.0
    return _rounded(mode), _rounded(spread), counts


def _border_at(compiled: Compiled, name: str, beside: str, place: float) -> float:
    """Give where a boundary lies at a place of the axis beside.

    It is the lower edge there of the polygon that follows the threshold, else the declared value.
    """
    threshold = compiled.strategy.thresholds[name]
    shape = _following(compiled, name, beside)
    if shape is None:
        return threshold.value
    corners = np.array(shape.vertices)
    if shape.x != beside:
        corners = corners[:, ::-1]
    across = to_display(compiled, beside, list(corners[:, 0]))
    up = to_display(compiled, threshold.marker, list(corners[:, 1]))
    x, y = np.append(across, across[0]), np.append(up, up[0])
    at = float(to_display(compiled, beside, [place])[0])
    crossed = np.flatnonzero((np.minimum(x[:-1], x[1:]) <= at) & (np.maximum(x[:-1], x[1:]) > at))
    if not len(crossed):
        return threshold.value
    lowest = min(float(y[i] + (at - x[i]) / (x[i + 1] - x[i]) * (y[i + 1] - y[i])) for i in crossed)
    return to_linear(compiled, threshold.marker, lowest)


def _following(compiled: Compiled, name: str, beside: str) -> Polygon | None:
    """Find the first polygon that follows a threshold and lies on the axis beside."""
    for gate in compiled.strategy.gates:
        shape = gate.polygon
        if shape is not None and shape.follows == name and beside in (shape.x, shape.y):
            return shape
    return None


def _anchor(values: np.ndarray) -> AnchorMeasurement:
    median = float(np.median(values)) if len(values) else 0.0
    return AnchorMeasurement(len(values), _rounded(median))


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")
