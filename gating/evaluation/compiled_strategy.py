"""Hold a strategy made ready for one tube: its FlowKit gates, channels, matrix and thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gating.beads.finding import NO_BEADS, BeadFinding
from gating.evaluation.resolved import Resolved, Tried
from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.gates import Bound, Polygon
from gating.strategy.model import Strategy
from panels.acquisition_time import TIME

if TYPE_CHECKING:
    import flowkit

SPILL = "spill"
UNCOMPENSATED = "uncompensated"


@dataclass(frozen=True, slots=True)
class RealisedThreshold:
    """One boundary as it was used in one tube.

    ``value`` is in the file's linear units; ``tried`` lists what each source gave.
    """

    threshold: str
    marker: str
    detector: str
    value: float
    source: str
    rationale: str
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """A strategy made ready for one tube.

    ``path_of`` maps every gate and quadrant of the strategy to its path in ``gating``; ``matrix``
    is the spill in use; ``compensation`` is how the gates refer to it.
    """

    strategy: Strategy
    gating: flowkit.GatingStrategy
    path_of: Mapping[str, tuple[str, ...]]
    detector_of: Mapping[str, str]
    maximum_of: Mapping[str, float]
    thresholds: tuple[RealisedThreshold, ...]
    matrix: np.ndarray | None
    compensation: str = SPILL
    resolved: Mapping[str, Resolved] = field(default_factory=dict)
    beads: BeadFinding = NO_BEADS

    @property
    def applied_compensation(self) -> str | None:
        """Name the matrix that fluorescence is compensated with; None when there is none."""
        return None if self.matrix is None else self.compensation

    def value_of(self, bound: Bound) -> float:
        """Resolve a bound in the strategy's linear units.

        A bound is a number, or the name of a threshold, whose value in this tube is given.
        """
        if isinstance(bound, str) and bound in self.resolved:
            return self.resolved[bound].value
        return self.strategy.value_of(bound)

    def vertices(self, shape: Polygon) -> list[tuple[float, float]]:
        """Give a polygon's vertices in the strategy's linear units.

        They move with the threshold that the polygon follows.
        """
        if shape.follows is None:
            return list(shape.vertices)
        threshold = self.strategy.thresholds[shape.follows]
        ratio = self.value_of(shape.follows) / threshold.value
        if threshold.marker == shape.x:
            return [(x * ratio, y) for x, y in shape.vertices]
        return [(x, y * ratio) for x, y in shape.vertices]

    def factor(self, axis: str) -> float:
        """Give the factor between the strategy's linear units and the file's on one axis."""
        return 1.0 if axis == TIME else self.maximum_of[axis] / FULL_SCALE

    def value(self, axis: str, bound: Bound) -> float:
        """Give a bound in the file's linear units."""
        return self.value_of(bound) * self.factor(axis)
