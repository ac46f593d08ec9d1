"""Measure the spillover that compensation left.

It shows in how far cells that do not carry a marker shift with the brightness of another marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.fcs.header import TubeHeader
from gating.strategy.gates import SCATTER
from gating.strategy.threshold import Threshold
from gating.thresholds.valley import histogram, mode_of

MOST_EVENTS = 20_000
LEAST_EVENTS = 200
BRIGHT, DIM = 0.9, 0.5
APART = 2_000.0
"""Linear units that bright and dim cells of the other marker must lie apart to be compared."""


Apart = tuple[np.ndarray, np.ndarray]
"""Which cells (n,) are bright in a marker, and which dim."""


@dataclass(frozen=True, slots=True)
class Residual:
    """How far the mode of negative cells in ``marker`` shifts with their brightness in ``beside``.

    ``shift`` is in the strategy's linear units, ``of_boundary`` its size as a part of the boundary.
    """

    marker: str
    beside: str
    shift: float
    of_boundary: float


def residuals(
    compiled: Compiled, evaluation: Evaluation, events: EventSource, header: TubeHeader
) -> list[Residual]:
    """Give for each threshold with negative cells the other marker with which these shift most."""
    channels = Channels(compiled.gating, events, header)
    markers = [marker for marker in compiled.detector_of if marker not in SCATTER]
    compensation = compiled.applied_compensation
    keys = [(channels.index(compiled.detector_of[marker]), compensation) for marker in markers]
    values_of: dict[str, dict[str, np.ndarray]] = {}
    apart_of: dict[str, dict[str, Apart | None]] = {}
    worst: dict[str, Residual] = {}
    for threshold in compiled.strategy.thresholds.values():
        if threshold.negative is None or compensation is None:
            continue
        gate = threshold.negative.gate
        if gate not in values_of:
            columns = channels.linear(keys, evaluation.sample(compiled.path_of[gate], MOST_EVENTS))
            values_of[gate] = {
                m: column / compiled.factor(m) for m, column in zip(markers, columns, strict=True)
            }
            apart_of[gate] = {m: _apart(column) for m, column in values_of[gate].items()}
        shifted = _shifted(threshold, values_of[gate][threshold.marker], apart_of[gate])
        if shifted:
            worst[threshold.marker] = worst_of(shifted)
    return list(worst.values())


def _shifted(
    threshold: Threshold, values: np.ndarray, apart_of: Mapping[str, Apart | None]
) -> list[Residual]:
    """Measure the shift of negative cells (n,) with every other marker that allows it."""
    residuals = []
    for beside, apart in apart_of.items():
        if beside == threshold.marker or apart is None:
            continue
        bright, dim = (histogram(values[cells]) for cells in apart)
        shift = mode_of(bright, threshold.value) - mode_of(dim, threshold.value)
        share = abs(shift) / threshold.value
        residuals.append(Residual(threshold.marker, beside, shift, share))
    return residuals


def worst_of(residuals: Sequence[Residual]) -> Residual:
    """Choose the largest shift; among shifts that differ only by rounding, always the same one.

    Two markers often shift by the same bins of a histogram, and linear algebra rounds them
    differently from one run to the next.
    """
    return min(residuals, key=lambda residual: (-round(residual.of_boundary, 6), residual.beside))


def _apart(beside: np.ndarray) -> Apart | None:
    """Tell which cells (n,) are bright in a marker and which dim; None for too few or too alike."""
    if len(beside) < LEAST_EVENTS / (1 - BRIGHT):
        return None
    bright, dim = beside >= np.quantile(beside, BRIGHT), beside <= np.quantile(beside, DIM)
    if np.median(beside[bright]) - np.median(beside[dim]) < APART:
        return None
    return bright, dim
