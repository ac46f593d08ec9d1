"""Say what each signal of the instrument was in the calibration's tubes, for control charts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gating.calibration.model import Target
from gating.strategy.model import Strategy
from tasks.calibrate.observation import Observation
from tasks.control_charts.limits import LEAST
from tasks.tubes.signals import bead_signals, threshold_signals


def control_targets(strategy: Strategy, tubes: Sequence[Observation]) -> dict[str, Target]:
    """Give mean and SD between tubes of every signal that at least ten tubes show.

    ``tubes`` are as they are seen under the calibration's own numbers (``strategy``). A signal that
    does not vary has no target.
    """
    values: dict[str, list[float]] = {}
    for tube in tubes:
        # Two thresholds may share their reference cells: that is one signal.
        signals = {
            str(name): value
            for name, value, _ in (
                *threshold_signals(strategy, tube.measurements),
                *bead_signals(tube.beads),
            )
        }
        for name, value in signals.items():
            values.setdefault(name, []).append(value)
    return {
        name: Target(
            mean=_short(np.mean(found)), sd=_short(np.std(found, ddof=1)), tubes=len(found)
        )
        for name, found in sorted(values.items())
        if len(found) >= LEAST and np.ptp(found) > 0
    }


def _short(value: np.floating) -> float:
    return float(f"{value:.4g}")
