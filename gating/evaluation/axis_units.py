"""Convert values on an axis of a tube between the strategy's linear units and the display scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.compiled_strategy import UNCOMPENSATED
from gating.strategy.display_scale import apply_transform
from gating.strategy.gates import SCATTER, Ellipse, Ratio

if TYPE_CHECKING:
    import flowkit

    from gating.evaluation.compiled_strategy import Compiled


def to_display(compiled: Compiled, axis: str, values: list[float]) -> np.ndarray:
    """Convert values in the strategy's linear units to the display scale of an axis."""
    linear = np.array(values, dtype=np.float64) * compiled.factor(axis)
    reference = transform_reference(compiled, axis)
    if reference is None:
        return linear
    return apply_transform(compiled.gating.transformations[reference], linear)


def to_linear(compiled: Compiled, axis: str, shown: float) -> float:
    """Convert a position on the display scale of an axis to the strategy's linear units."""
    reference = transform_reference(compiled, axis)
    if reference is None:
        return shown / compiled.factor(axis)
    transform = compiled.gating.transformations[reference]
    return float(transform.inverse(np.array([[shown]]))[0, 0]) / compiled.factor(axis)


def ellipse_on(compiled: Compiled, shape: Ellipse) -> tuple[np.ndarray, np.ndarray]:
    """Give an ellipse's centre (2,) and covariance (2 × 2) on the display scales of the tube.

    Linear scales end at the ``$PnR`` of the tube's channel.
    """
    stretch = np.array([_linear_factor(compiled, axis) for axis in (shape.x, shape.y)])
    return np.array(shape.centre) * stretch, np.array(shape.covariance) * np.outer(stretch, stretch)


def ratio_on(compiled: Compiled, shape: Ratio) -> tuple[float, float]:
    """Give a ratio's two bounds in the tube's units, which may differ between its parameters."""
    stretch = compiled.factor(shape.numerator) / compiled.factor(shape.denominator)
    return shape.above * stretch, shape.below * stretch


def on_display_scale(
    transform: flowkit.transforms.Transform | None, linear: np.ndarray
) -> np.ndarray:
    """Give linear values (n,) on a display scale; without a transform they stay linear."""
    return linear if transform is None else apply_transform(transform, linear)


def compensation_reference(compiled: Compiled, axis: str) -> str:
    """Name the matrix an axis is compensated with; scatter and time are never compensated."""
    return UNCOMPENSATED if axis in SCATTER else compiled.compensation


def transform_reference(compiled: Compiled, axis: str) -> str | None:
    """Name the display transform of an axis; None for a linear one."""
    if compiled.strategy.scale_of(axis).kind == "linear":
        return None
    return transform_id(axis)


def transform_id(axis: str) -> str:
    """Give the identifier of an axis' display transform, of letters, digits and '_' only."""
    return "scale_" + "".join(c if c.isalnum() else "_" for c in axis)


def _linear_factor(compiled: Compiled, axis: str) -> float:
    """Give the factor from the strategy's units to the tube's; 1 where a transform is displayed."""
    if transform_reference(compiled, axis) is None:
        return compiled.factor(axis)
    return 1.0
