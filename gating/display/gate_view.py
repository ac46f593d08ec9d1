"""Hold one gate of one tube as it is drawn: a histogram of the parent's events, and an outline.

Positions are in display units, that is after the axis' scale (logicle or linear) has been applied,
so that whoever draws needs no transform and never gates.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["logicle", "linear"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a view: what it measures, how it is scaled, and its ticks.

    ``ticks`` pairs a position in display units with its text (``(0.55, "10³")``); ``limits`` is the
    drawn range.
    """

    label: str
    detector: str
    scale: Scale
    ticks: tuple[tuple[float, str], ...]
    limits: tuple[float, float]

    @property
    def title(self) -> str:
        """Write the axis' title as a lab does, ``CD19 (PE-Cy7-A)``."""
        if not self.label or self.label == self.detector:
            return self.detector
        return f"{self.label} ({self.detector})"


@dataclass(frozen=True, slots=True, eq=False)
class GateView:
    """One gate of one tube as it is drawn.

    ``path`` runs from ``root`` to the gate's name. ``counts`` (bins × bins, first index x) is
    the histogram of the parent's events, or of an even sample when they are very many, over evenly
    spaced edges. ``outlines`` are (k × 2) polylines; a closed one repeats its first point, and a
    combination of other gates has none. ``points`` (n × 2) holds every parent event when they are
    few, else None. ``source`` names the sources of the gate's thresholds.
    """

    path: tuple[str, ...]
    kind: str
    x: Axis
    y: Axis
    counts: NDArray[np.int64]
    x_edges: NDArray[np.float64]
    y_edges: NDArray[np.float64]
    outlines: tuple[NDArray[np.float64], ...]
    points: NDArray[np.float64] | None
    events: int
    parent_events: int
    source: str

    @property
    def name(self) -> str:
        """Give the gate's name."""
        return self.path[-1]

    @property
    def parent(self) -> str:
        """Name the parent gate; ``all events`` when the gate is at the top."""
        if len(self.path) < 2 or self.path[-2] == "root":
            return "all events"
        return self.path[-2]

    @property
    def percent_parent(self) -> float | None:
        """Give the gated events in percent of the parent's; None when the parent is empty."""
        if not self.parent_events:
            return None
        return 100.0 * self.events / self.parent_events
