"""Bring values from the linear scale to the scale of a plot, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import flowkit

    from gating.strategy.gates import Scale


FULL_SCALE = 262144.0


def transform_of(scale: Scale, maximum: float) -> flowkit.transforms.LogicleTransform | None:
    """Give the display transform of an axis whose range is ``maximum`` (None: linear)."""
    if scale.kind == "linear":
        return None
    import flowkit

    return flowkit.transforms.LogicleTransform(
        param_t=maximum, param_w=scale.w, param_m=scale.m, param_a=scale.a
    )


def logicle_places(scale: Scale, maximum: float, values: np.ndarray) -> np.ndarray:
    """Bring linear values (n,) to a logicle scale, as the transform of its axis does.

    FlowKit is not loaded for it: that takes longer than all else of a night without a new tube.
    """
    from flowutils.transforms import logicle

    column = np.array(values, dtype=np.float64).reshape(-1, 1)
    placed = logicle(column, None, t=maximum, m=scale.m, w=scale.w, a=scale.a)
    return np.asarray(placed)[:, 0]


def apply_transform(transform: flowkit.transforms.Transform, values: np.ndarray) -> np.ndarray:
    """Bring a column of linear values to a display scale."""
    return np.asarray(transform.apply(values.reshape(-1, 1)))[:, 0]


def is_monotone(transform: flowkit.transforms.Transform | None) -> bool:
    """Tell whether a scale rises everywhere and its inverse is exact to rounding.

    The linear scale (None) is such a scale.
    """
    from flowkit import transforms

    monotone = (
        transforms.LogicleTransform | transforms.AsinhTransform | transforms.HyperlogTransform
    )
    return transform is None or isinstance(transform, monotone)


def linear_bound(bound: float, transform: flowkit.transforms.Transform | None) -> float:
    """Bring a bound from the display scale to the linear one."""
    if transform is None:
        return float(bound)
    return float(np.asarray(transform.inverse(np.array([[bound]])))[0, 0])
