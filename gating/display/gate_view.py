"""Hold one gate of one tube as it is drawn: the parent's events as a histogram, and the gate's outline over it.

Positions are in display units, that is after the axis' own scale (logicle or linear) has been
applied, so that whoever draws needs no transform and never gates.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["logicle", "linear"]


@dataclass(frozen=True, slots=True)
class Axis:
    """Describe one axis of a view: what it measures, how it is scaled, where its ticks stand.

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
        return (
            f"{self.label} ({self.detector})"
            if self.label and self.label != self.detector
            else self.detector
        )


@dataclass(frozen=True, slots=True, eq=False)
class GateView:
    """One gate of one tube as it is drawn.

    ``path`` runs from ``root`` to the gate's own name. ``counts`` (bins × bins, first index x) is
    the histogram of the parent's events, or of an even sample when they are very many, over evenly
    spaced edges. ``outlines`` are (k × 2) polylines; a closed one repeats its first point, and a
    combination of other gates has none. ``points`` (n × 2) holds every parent event when they are
    few, else None. ``source`` says where the threshold comes from.
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
        """Give the gate's own name."""
        return self.path[-1]

    @property
    def parent(self) -> str:
        """Name the parent gate; ``all events`` when the gate stands at the top."""
        return self.path[-2] if len(self.path) > 1 and self.path[-2] != "root" else "all events"

    @property
    def percent_parent(self) -> float | None:
        """Give the gated events in percent of the parent's; None when the parent is empty."""
        return 100.0 * self.events / self.parent_events if self.parent_events else None
