"""Measure what one tube tells about its thresholds, before any of them is decided.

A reading depends on the tube and the strategy alone, so it can be kept and asked by other tubes. It
is taken on the gates as the declared values draw them: medians and spreads of large populations
hardly depend on where exactly their gates lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.compile import Compiled, displayed, linear
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.fcs.header import TubeHeader
from gating.strategy.model import Strategy
from gating.thresholds.valley import BINS, bin_of, histogram, mode_of

MOST_EVENTS = 200_000
"""Of larger gates, events are read at even steps: their medians and valleys need no more."""
ONE_SD = 0.682689492137
"""Share of a normal mode within one SD of its centre."""


@dataclass(frozen=True, slots=True)
class StretchMeasurement:
    """The negative cells of one stretch of the axis beside: how many, their mode and left-sided SD, and the declared boundary there."""

    events: int
    mode: float
    spread: float
    border: float


@dataclass(frozen=True, slots=True)
class NegativeMeasurement:
    """Cells that never carry the marker: where their mode lies, their left-sided SD, and the histogram of all.

    The spread is that of the half below the mode, which no positive cell can widen. ``stretches``
    are as the threshold declares them.
    """

    mode: float
    spread: float
    counts: tuple[int, ...]
    stretches: tuple[StretchMeasurement, ...] = ()

    @property
    def events(self) -> int:
        """Count the cells that were read."""
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
    """What a tube tells about one threshold; values in the strategy's linear units. ``counts`` is the histogram of the gate ``seen_in``."""

    counts: tuple[int, ...] | None
    negative: NegativeMeasurement | None
    anchor: AnchorMeasurement | None

    def document(self) -> dict[str, Any]:
        """Give it as JSON holds it; the histogram by its first bin and the counts from there."""
        document = asdict(self)
        document["counts"] = None if self.counts is None else _packed(self.counts)
        if self.negative is not None:
            document["negative"]["counts"] = _packed(self.negative.counts)
        return document


def measurement_from(document: Mapping[str, Any]) -> ThresholdMeasurement:
    """Read a reading back from JSON."""
    negative, anchor, counts = document["negative"], document["anchor"], document["counts"]
    return ThresholdMeasurement(
        None if counts is None else _unpacked(counts),
        negative
        and NegativeMeasurement(
            negative["mode"],
            negative["spread"],
            _unpacked(negative["counts"]),
            tuple(StretchMeasurement(**stretch) for stretch in negative["stretches"]),
        ),
        anchor and AnchorMeasurement(**anchor),
    )


def _packed(counts: Sequence[int]) -> list[int]:
    """Write a histogram as its first filled bin and the counts from there."""
    filled = np.flatnonzero(counts)
    first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
    return [first, *counts[first:last]]


def _unpacked(packed: Sequence[int]) -> tuple[int, ...]:
    first, *counts = packed
    return (*([0] * first), *counts, *([0] * (BINS - first - len(counts))))


def measures(strategy: Strategy) -> bool:
    """Tell whether any threshold of a strategy asks the tube itself."""
    return any(threshold.is_measured for threshold in strategy.thresholds.values())


def measure(
    compiled: Compiled, evaluation: Evaluation, events: EventSource, header: TubeHeader
) -> dict[str, ThresholdMeasurement]:
    """Take the readings of every threshold that asks for one, from a tube evaluated at the declared values."""
    channels = Channels(compiled.gating, events, header)
    wanted = {
        (gate, threshold.marker): None
        for threshold in compiled.strategy.thresholds.values()
        for gate in threshold.gates
    }
    negatives = [
        threshold.negative
        for threshold in compiled.strategy.thresholds.values()
        if threshold.negative
    ]
    wanted |= {(negative.gate, negative.beside): None for negative in negatives if negative.beside}
    markers: dict[str, list[str]] = {}
    for gate, marker in wanted:
        markers.setdefault(gate, []).append(marker)
    values = {
        (gate, m): column
        for gate, own in markers.items()
        for m, column in _columns(compiled, evaluation, channels, gate, own).items()
    }
    found: dict[str, ThresholdMeasurement] = {}
    for name, threshold in compiled.strategy.thresholds.items():
        if not threshold.is_measured:
            continue
        seen_in, negative, anchor = threshold.seen_in, threshold.negative, threshold.anchor
        found[name] = ThresholdMeasurement(
            tuple(histogram(values[seen_in, threshold.marker]).tolist()) if seen_in else None,
            _negative(compiled, name, values) if negative else None,
            _anchor(values[anchor.gate, threshold.marker]) if anchor else None,
        )
    return found


def _columns(
    compiled: Compiled, evaluation: Evaluation, channels: Channels, gate: str, markers: list[str]
) -> dict[str, np.ndarray]:
    path = compiled.path_of[gate]
    rows = evaluation.of(path)
    rows = np.arange(evaluation.total) if rows is None else rows
    rows = rows[:: max(1, -(-len(rows) // MOST_EVENTS))]
    compensation = None if compiled.matrix is None else compiled.compensation
    keys = [(channels.index(compiled.detector_of[marker]), compensation) for marker in markers]
    columns = channels.linear(keys, rows)
    return {
        marker: column / compiled.factor(marker)
        for marker, column in zip(markers, columns, strict=True)
    }


def _negative(
    compiled: Compiled, name: str, values: Mapping[tuple[str, str], np.ndarray]
) -> NegativeMeasurement:
    threshold = compiled.strategy.thresholds[name]
    if threshold.negative is None:
        raise ValueError(f"{name} declares no negative cells")
    own = values[threshold.negative.gate, threshold.marker]
    mode, spread, counts = _left_half(own, threshold.value)
    stretches, low, beside = [], -np.inf, threshold.negative.beside
    places = own if beside is None else values[threshold.negative.gate, beside]
    for stretch in threshold.negative.clearance:
        high = np.inf if stretch.below is None else stretch.below
        inside = (
            np.ones(len(own), dtype=bool) if beside is None else (places >= low) & (places < high)
        )
        border = threshold.value
        if beside is not None and inside.any():
            border = _border_at(compiled, name, beside, float(np.median(places[inside])))
        stretches.append(
            StretchMeasurement(
                int(inside.sum()), *_left_half(own[inside], border)[:2], _rounded(border)
            )
        )
        low = high
    return NegativeMeasurement(mode, spread, tuple(counts.tolist()), tuple(stretches))


def _left_half(values: np.ndarray, border: float) -> tuple[float, float, np.ndarray]:
    """Give the mode below a boundary, the SD of the half below the mode, and the histogram."""
    counts = histogram(values)
    mode = mode_of(counts, border)
    below = mode - values[values <= mode]
    return (
        _rounded(mode),
        _rounded(float(np.quantile(below, ONE_SD)) if len(below) else 0.0),
        counts,
    )


def _border_at(compiled: Compiled, name: str, beside: str, place: float) -> float:
    """Give where a boundary lies at a place of the axis beside: the lower edge there of the polygon that follows the threshold."""
    threshold = compiled.strategy.thresholds[name]
    shapes = (
        gate.polygon
        for gate in compiled.strategy.gates
        if gate.polygon and gate.polygon.follows == name
    )
    shape = next((shape for shape in shapes if beside in (shape.x, shape.y)), None)
    if shape is None:
        return threshold.value
    corners = np.array(shape.vertices) if shape.x == beside else np.array(shape.vertices)[:, ::-1]
    shown = [
        displayed(compiled, axis, list(column))
        for axis, column in zip((beside, threshold.marker), corners.T, strict=True)
    ]
    x, y = (np.append(column, column[0]) for column in shown)
    at = float(displayed(compiled, beside, [place])[0])
    crossed = np.flatnonzero((np.minimum(x[:-1], x[1:]) <= at) & (np.maximum(x[:-1], x[1:]) > at))
    if not len(crossed):
        return threshold.value
    lowest = min(float(y[i] + (at - x[i]) / (x[i + 1] - x[i]) * (y[i + 1] - y[i])) for i in crossed)
    return linear(compiled, threshold.marker, lowest)


def _anchor(values: np.ndarray) -> AnchorMeasurement:
    return AnchorMeasurement(
        len(values), _rounded(float(np.median(values))) if len(values) else 0.0
    )


def _rounded(value: float) -> float:
    return float(f"{value:.10g}")
