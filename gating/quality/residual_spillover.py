"""Measure what the compensation left: how far cells that do not carry a marker shift with the brightness of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.compile import Compiled
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.fcs.header import TubeHeader
from gating.strategy.gates import SCATTER
from gating.thresholds.valley import histogram, mode_of

MOST_EVENTS = 20_000
LEAST_EVENTS = 200
BRIGHT, DIM = 0.9, 0.5
APART = 2_000.0
"""Linear units between bright and dim cells of the other marker from which they tell anything."""


@dataclass(frozen=True, slots=True)
class Residual:
    """How far the mode of negative cells in ``marker`` shifts between cells dim and bright in ``beside``; in parts of the boundary too."""

    marker: str
    beside: str
    shift: float
    of_boundary: float


def residuals(
    compiled: Compiled, evaluation: Evaluation, events: EventSource, header: TubeHeader
) -> list[Residual]:
    """Give, for each threshold that declares negative cells, the other marker with which these shift most."""
    channels = Channels(compiled.gating, events, header)
    markers = [marker for marker in compiled.detector_of if marker not in SCATTER]
    compensation = None if compiled.matrix is None else compiled.compensation
    keys = [(channels.index(compiled.detector_of[marker]), compensation) for marker in markers]
    values_of: dict[str, dict[str, np.ndarray]] = {}
    found: dict[str, Residual] = {}
    for threshold in compiled.strategy.thresholds.values():
        if threshold.negative is None or compensation is None:
            continue
        gate = threshold.negative.gate
        if gate not in values_of:
            rows = evaluation.of(compiled.path_of[gate])
            rows = np.arange(evaluation.total) if rows is None else rows
            columns = channels.linear(keys, rows[:: max(1, -(-len(rows) // MOST_EVENTS))])
            values_of[gate] = {
                m: column / compiled.factor(m) for m, column in zip(markers, columns, strict=True)
            }
        own = [
            Residual(threshold.marker, beside, shift, abs(shift) / threshold.value)
            for beside, place in values_of[gate].items()
            if beside != threshold.marker
            and (shift := _shift(values_of[gate][threshold.marker], place, threshold.value))
            is not None
        ]
        if own:
            found[threshold.marker] = worst_of(own)
    return list(found.values())


def worst_of(found: Sequence[Residual]) -> Residual:
    """Choose the largest shift; of those that differ only by rounding, always the same one.

    Two markers often shift by the same bins of a histogram, and linear algebra rounds them
    otherwise from one run to the next.
    """
    return min(found, key=lambda residual: (-round(residual.of_boundary, 6), residual.beside))


def _shift(values: np.ndarray, beside: np.ndarray, boundary: float) -> float | None:
    if len(values) < LEAST_EVENTS / (1 - BRIGHT):
        return None
    bright, dim = beside >= np.quantile(beside, BRIGHT), beside <= np.quantile(beside, DIM)
    if np.median(beside[bright]) - np.median(beside[dim]) < APART:
        return None
    return mode_of(histogram(values[bright]), boundary) - mode_of(histogram(values[dim]), boundary)
