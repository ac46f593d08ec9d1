"""Observe one tube of an instrument: its landmarks, and what it shows of each threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gating.evaluation.compensated_values import Channels
from gating.strategy.gates import SCATTER
from gating.thresholds.apply import Applied, apply_declared
from gating.thresholds.measure import ThresholdMeasurement, measure
from gating.thresholds.valley import histogram

if TYPE_CHECKING:
    from gating.beads.finding import BeadFinding
    from gating.fcs.event_source import EventSource, Rows
    from gating.fcs.header import TubeHeader
    from gating.strategy.model import Strategy
    from panels.panel import PanelMatch

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
MOST_CELLS = 4_000
"""Of a landmark's cells in one tube: their mode needs no more."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one tube shows under the numbers of a strategy, in the strategy's linear units.

    ``landmarks`` holds the values of the cells of each landmark on each of its axes (cells,);
    ``measurements`` are by threshold, ``counts`` by gate. ``histograms`` are what a picture of each
    threshold shows: the cells of ``shown_gate`` in the bins of ``gating.thresholds.valley``.
    """

    landmarks: Mapping[tuple[str, str], Floats]
    measurements: Mapping[str, ThresholdMeasurement]
    histograms: Mapping[str, Counts]
    counts: Mapping[str, int]
    beads: BeadFinding


def observe(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    events: EventSource,
    rows: Rows | None,
) -> Observation:
    """Gate a tube (``rows``: only these) at the declared values and read its landmarks.

    Raises PanelMismatch when the tube lacks a marker, CompensationFault when it cannot be
    compensated.
    """
    applied = apply_declared(strategy, match, header, events, rows=rows)
    compiled, evaluation = applied.compiled, applied.evaluation
    channels = Channels(compiled.gating, events, header)
    landmarks = {
        (name, axis): values
        for name, landmark in strategy.landmarks.items()
        for axis, values in _values(applied, channels, landmark.gate, landmark.axes).items()
    }
    histograms = {
        name: histogram(_values(applied, channels, gate, (threshold.marker,))[threshold.marker])
        for name, threshold in strategy.thresholds.items()
        if (gate := shown_gate(strategy, name)) is not None
    }
    measurements = measure(compiled, evaluation, events, header)
    counts = {gate: evaluation.count(path) for gate, path in compiled.path_of.items()}
    return Observation(landmarks, measurements, histograms, counts, applied.beads)


def shown_gate(strategy: Strategy, threshold: str) -> str | None:
    """Name the gate whose cells show both sides of a threshold: the first that it divides."""
    seen_in = strategy.thresholds[threshold].seen_in
    if seen_in is not None:
        return seen_in
    parents = (gate.parent for gate in strategy.gates if threshold in gate.thresholds)
    return next((parent for parent in parents if parent != "root"), None)


def _values(
    applied: Applied, channels: Channels, gate: str, axes: tuple[str, ...]
) -> dict[str, Floats]:
    """Read the values of a gate's cells on some axes, of at most 4,000 at even steps."""
    compiled = applied.compiled
    rows = applied.evaluation.sample(compiled.path_of[gate], MOST_CELLS)
    if not len(rows):
        return {axis: np.empty(0) for axis in axes}
    keys = [
        (
            channels.index(compiled.detector_of[axis]),
            None if axis in SCATTER else compiled.applied_compensation,
        )
        for axis in axes
    ]
    columns = channels.linear(keys, rows)
    return {
        axis: column / compiled.factor(axis) for axis, column in zip(axes, columns, strict=True)
    }
