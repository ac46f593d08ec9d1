"""Hold a boundary to the cells that cannot be positive: those of tubes from before the infusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gating.strategy.model import Strategy
from tasks.calibrate.observation import Observation
from tasks.calibrate.tube import CalibrationTube

BEFORE_INFUSION = ("baseline", "batch control")


@dataclass(frozen=True, slots=True)
class Excess:
    """More cells beyond a boundary than may be: ``beyond`` of ``cells`` in ``tubes`` tubes."""

    beyond: int
    cells: int
    tubes: int


def too_many_beyond(
    strategy: Strategy,
    threshold: str,
    tubes: Sequence[CalibrationTube],
    seen: Sequence[Observation],
) -> Excess | None:
    """Tell whether too many cells lie beyond a boundary in tubes that hold negative cells alone.

    That is asked of a threshold whose negative and positive cells are of one gate (CAR): before the
    infusion none of them is positive, and the threshold's ``tail`` of them may lie beyond. None
    where it holds, or where no tube from before the infusion tells.
    """
    negative = strategy.thresholds[threshold].negative
    if negative is None or negative.gate != strategy.thresholds[threshold].seen_in:
        return None
    before = [
        each.counts for tube, each in zip(tubes, seen, strict=True) if tube.role in BEFORE_INFUSION
    ]
    cells = sum(counts[negative.gate] for counts in before)
    allowed = negative.tail * cells
    beyond = max(
        (
            sum(counts[gate.gate] for counts in before)
            for gate in strategy.gates
            if threshold in gate.thresholds and gate.parent == negative.gate
        ),
        default=0,
    )
    if beyond <= allowed + 2 * np.sqrt(allowed) + 1:
        return None
    return Excess(beyond, cells, len(before))
