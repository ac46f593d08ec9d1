"""Place one gate on the page of a tube: from the view's display units to the page's pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gating.display.gate_view import Axis, GateView

PLOT_SIZE = 216


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What another version made of the gate that is drawn.

    ``outlines`` are in display units, ``counts`` are both versions' counts in words.
    """

    outlines: tuple[NDArray[np.float64], ...]
    counts: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One gate's place on the page: the view, and its plot's left and top edge in pixels."""

    view: GateView
    left: float
    top: float
    before: Before | None = None

    def x_pixels(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn display units into pixels from the page's left edge.

        An open end lies on the frame.
        """
        low, high = self.view.x.limits
        return self.left + (_bounded(position, self.view.x) - low) / (high - low) * PLOT_SIZE

    def y_pixels(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn display units into pixels from the page's top edge.

        An open end lies on the frame.
        """
        low, high = self.view.y.limits
        return (
            self.top
            + PLOT_SIZE
            - (_bounded(position, self.view.y) - low) / (high - low) * PLOT_SIZE
        )

    def corners(self) -> list[tuple[float, float]]:
        """List the frame's corners as a closed line."""
        right, bottom = self.left + PLOT_SIZE, self.top + PLOT_SIZE
        return [
            (self.left, self.top),
            (right, self.top),
            (right, bottom),
            (self.left, bottom),
            (self.left, self.top),
        ]


def _bounded(position: NDArray[np.float64], axis: Axis) -> NDArray[np.float64]:
    return np.nan_to_num(position, nan=axis.limits[0], posinf=axis.limits[1], neginf=axis.limits[0])
