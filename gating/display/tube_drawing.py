"""Hold everything a page needs to draw the gates of one tube, so that it never gates itself.

Positions are in display units, as in ``gating.display.gate_view``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gating.display.gate_view import Axis
from gating.display.outlines import Outlines

ALL_EVENTS = -1
"""Stands for the parent of a gate at the top: every event that was not left out beforehand."""


@dataclass(frozen=True, slots=True)
class DrawnAxis:
    """One axis of a tube; all gates that are drawn on it share its limits.

    ``name`` is a marker, a scatter parameter or Time; ``raw`` tells that it is uncompensated.
    """

    name: str
    raw: bool
    axis: Axis


@dataclass(frozen=True, slots=True, eq=False)
class DrawnGate:
    """One gate of a tube as it is drawn.

    ``parent``, ``x``, ``y`` and ``density`` are indices (``ALL_EVENTS``: no parent gate).
    ``declared`` is the outline with the declared thresholds where that is another one, else empty.
    ``hidden`` says what the gate cuts where its outline does not show it.
    """

    name: str
    kind: str
    parent: int
    x: int
    y: int
    density: int
    events: int
    parent_events: int
    outlines: Outlines
    declared: Outlines
    hidden: tuple[str, ...]
    thresholds: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """How a parent's events lie on two axes.

    ``counts`` (bins × bins, first index x) divides each axis from its lower to its upper limit
    evenly; the outermost bins also hold what lies beyond. ``events`` is their sum: all of the
    parent's events, or an even sample where they are very many.
    """

    x: int
    y: int
    parent: int
    events: int
    counts: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class EventSample:
    """Single events of a tube: every one of rare populations, an even part of others.

    ``rows`` (n,) are their indices; ``columns`` (axes × n) their places on each axis in 256 even
    parts; ``codes`` (n,) index ``sets``, the gates that hold an event. ``shares`` gives by gate the
    part of its events that are here (1 where it has none).
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.uint8]
    codes: NDArray[np.uint16]
    sets: tuple[tuple[int, ...], ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TubeDrawing:
    """The gates of one tube, in the strategy's order, and all they are drawn with."""

    axes: tuple[DrawnAxis, ...]
    gates: tuple[DrawnGate, ...]
    densities: tuple[Density, ...]
    sample: EventSample

    def place_of(self, marker: str) -> int | None:
        """Give the index of a marker's compensated axis; None where no gate is drawn on it."""
        named = (i for i, each in enumerate(self.axes) if each.name == marker and not each.raw)
        return next(named, None)
