"""Write the shape of another program's gate in a strategy's terms: axes, and linear bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gating.exchange.dimension_mapping import CannotCarry, DimensionMapping
from gating.exchange.ellipses import CORNERS, ellipse_corners
from gating.exchange.import_notes import Outcome
from gating.exchange.scale_conversion import linear_bound, redraw, same_scale

if TYPE_CHECKING:
    import flowkit

Path = tuple[str, ...]
LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Shapes:
    """Writes shapes in a strategy's terms, on the axes that ``mapping`` gives.

    ``note`` (outcome, path, text) takes a note for the report. Every method raises CannotCarry for
    a shape that a strategy cannot express.
    """

    mapping: DimensionMapping
    note: Callable[[Outcome, Path, str], None]

    def rectangle(self, gate: flowkit.gates.RectangleGate) -> dict[str, Any]:
        """Write a rectangle, or the range of a ratio."""
        ratios = [d for d in gate.dimensions if getattr(d, "ratio_ref", None)]
        if ratios:
            if len(gate.dimensions) > 1:
                raise CannotCarry("It bounds a ratio together with another axis.")
            return self._ratio(ratios[0])
        limits_of: dict[str, dict[str, float]] = {}
        for dimension in gate.dimensions:
            axis = self.mapping.axis(dimension)
            limits = self.limits(axis, dimension.transformation_ref, dimension.min, dimension.max)
            if limits and axis in limits_of:
                raise CannotCarry(f"It bounds {axis} twice.")
            if limits:
                limits_of[axis] = limits
        if not limits_of:
            raise CannotCarry("It has no bound, so it keeps every event of its parent.")
        return {"rectangle": limits_of}

    def limits(
        self, axis: str, reference: str | None, low: float | None, high: float | None
    ) -> dict[str, float]:
        """Convert the two bounds of an axis to the strategy's linear units."""
        transform = self.mapping.transform(reference)
        factor = self.mapping.names.factor(axis)
        lowest, highest = _ends(transform)
        limits: dict[str, float] = {}
        if low is not None and low > lowest:
            limits["above"] = linear_bound(transform, low) / factor
        if high is not None:
            if high <= lowest:
                raise CannotCarry(f"Its bound on {axis} lies below the scale, so it keeps nothing.")
            limits["below"] = linear_bound(transform, min(high, highest)) / factor
        if any(not np.isfinite(value) for value in limits.values()):
            raise CannotCarry(f"A bound on {axis} lies where its scale has no number.")
        if len(limits) == 2 and limits["above"] >= limits["below"]:
            raise CannotCarry(f"Its bounds on {axis} leave no room between them.")
        return limits

    def _ratio(self, dimension: flowkit.RatioDimension) -> dict[str, Any]:
        ratio = self.mapping.transform(dimension.ratio_ref)
        if ratio is None:
            raise CannotCarry("Its ratio is not defined.")
        if ratio.param_b or ratio.param_c or ratio.param_a <= 0:
            raise CannotCarry(
                "Its ratio has parameters (an offset, or a factor that is not positive), "
                "which a strategy's ratio has not."
            )
        axes = [self.mapping.known_axis(name) for name in ratio.dimensions]
        scale = self.mapping.transform(dimension.transformation_ref)
        low, high = -LARGEST, LARGEST
        if dimension.min is not None:
            low = linear_bound(scale, dimension.min) / ratio.param_a
        if dimension.max is not None:
            high = linear_bound(scale, dimension.max) / ratio.param_a
        shape = {"numerator": axes[0], "denominator": axes[1], "above": low, "below": high}
        return {"ratio": shape}

    def polygon(
        self, path: Path, dimensions: Any, corners: list[tuple[float, float]]
    ) -> dict[str, Any]:
        """Write a polygon; its edges are redrawn where a strategy does not have their scale."""
        axes = [self.mapping.axis(d) for d in dimensions]
        if axes[0] == axes[1]:
            raise CannotCarry(f"Both its axes are {axes[0]}.")
        transforms = [self.mapping.transform(d.transformation_ref) for d in dimensions]
        places: list[tuple[float, ...]]
        on_our_scales = self._on_our_scales(axes, transforms)
        upright = None if on_our_scales else _upright(corners)
        if upright is not None:
            return self._upright_rectangle(path, dimensions, axes, upright)
        if on_our_scales:
            places = [
                tuple(linear_bound(t, v) for t, v in zip(transforms, corner, strict=True))
                for corner in corners
            ]
        else:
            ours = [(self.mapping.scales[axis], self.mapping.names.maximum(axis)) for axis in axes]
            places = [*redraw(corners, transforms, ours)]
            scales = " and ".join(_scale_name(t) for t in transforms)
            text = (
                f"Its edges are straight on scales ({scales}) that a strategy has not; they were "
                f"redrawn with {len(places)} vertices. Events on the edge may fall on the other "
                f"side."
            )
            self.note("approximated", path, text)
        factors = [self.mapping.names.factor(axis) for axis in axes]
        vertices = [[place[0] / factors[0], place[1] / factors[1]] for place in places]
        if not np.isfinite(np.array(vertices)).all():
            raise CannotCarry("A vertex lies where its scale has no number.")
        return {"polygon": {"x": axes[0], "y": axes[1], "vertices": vertices}}

    def _upright_rectangle(
        self, path: Path, dimensions: Any, axes: list[str], sides: list[tuple[float, float]]
    ) -> dict[str, Any]:
        """Write a polygon whose edges are upright as the bounds that it is on any scale."""
        limits_of = {
            axis: self.limits(axis, dimension.transformation_ref, low, high)
            for axis, dimension, (low, high) in zip(axes, dimensions, sides, strict=True)
        }
        limits_of = {axis: limits for axis, limits in limits_of.items() if limits}
        if not limits_of:
            raise CannotCarry("It covers both its scales, so it keeps every event of its parent.")
        self.note("changed", path, "It is a rectangle drawn as a polygon: written as its bounds.")
        return {"rectangle": limits_of}

    def ellipse(self, path: Path, gate: flowkit.gates.EllipsoidGate) -> dict[str, Any]:
        """Write an ellipse, or the polygon nearest to it where a strategy lacks its scale."""
        if len(gate.dimensions) != 2:
            raise CannotCarry(
                f"It is an ellipsoid in {len(gate.dimensions)} dimensions; a strategy's has two."
            )
        axes = [self.mapping.axis(d) for d in gate.dimensions]
        transforms = [self.mapping.transform(d.transformation_ref) for d in gate.dimensions]
        covariance = np.array(gate.covariance_matrix, dtype=np.float64)
        centre = np.array(gate.coordinates, dtype=np.float64)
        if not _is_covariance(covariance):
            raise CannotCarry("Its covariance is that of no ellipse.")
        if not self._on_our_scales(axes, transforms):
            text = (
                f"An ellipse on a scale that a strategy has not: written as a polygon of "
                f"{CORNERS} sides."
            )
            self.note("approximated", path, text)
            corners = ellipse_corners(centre, covariance, gate.distance_square)
            return self.polygon(path, gate.dimensions, corners)
        for i, (axis, transform) in enumerate(zip(axes, transforms, strict=True)):
            if self.mapping.scales[axis].kind != "linear":
                continue
            factor, unit = self.mapping.names.factor(axis), 1.0
            if transform is not None:
                unit = transform.param_t + transform.param_a
                centre[i] = linear_bound(transform, centre[i])
            centre[i] /= factor
            covariance[i, :] *= unit / factor
            covariance[:, i] *= unit / factor
        if not np.isfinite(covariance).all() or not np.isfinite(centre).all():
            raise CannotCarry("It lies where its scale has no number.")
        shape = {
            "x": axes[0],
            "y": axes[1],
            "centre": centre.tolist(),
            "covariance": covariance.tolist(),
        }
        return {"ellipse": shape | {"distance_square": float(gate.distance_square)}}

    def _on_our_scales(
        self, axes: list[str], transforms: list[flowkit.transforms.Transform | None]
    ) -> bool:
        """Tell whether straight edges on the foreign scales are straight on the strategy's."""
        return all(
            same_scale(transform, self.mapping.scales[axis], self.mapping.names.maximum(axis))
            for axis, transform in zip(axes, transforms, strict=True)
        )


def _upright(corners: list[tuple[float, float]]) -> list[tuple[float, float]] | None:
    """Give the two ends of each axis of a polygon that is an upright rectangle, else None."""
    distinct = list(dict.fromkeys(corners))
    ends = [sorted({corner[i] for corner in distinct}) for i in (0, 1)]
    if len(distinct) != 4 or any(len(each) != 2 for each in ends):
        return None
    turns = zip(distinct, (*distinct[1:], distinct[0]), strict=True)
    if any((one[0] == other[0]) == (one[1] == other[1]) for one, other in turns):
        return None
    return [(each[0], each[1]) for each in ends]


def _is_covariance(matrix: np.ndarray) -> bool:
    """Tell whether a matrix (2 × 2) is finite, symmetric and positive definite."""
    if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
        return False
    return bool((np.linalg.eigvalsh(matrix) > 0).all())


def _ends(transform: flowkit.transforms.Transform | None) -> tuple[float, float]:
    """Give the places between which a scale distinguishes values.

    FlowJo's scales put what lies beyond on the edge.
    """
    kind = type(transform).__name__
    if kind == "WSPBiexTransform":
        return 0.0, 4096.0
    return (0.0, np.inf) if kind == "WSPLogTransform" else (-np.inf, np.inf)


def _scale_name(transform: flowkit.transforms.Transform | None) -> str:
    if transform is None:
        return "linear"
    name = type(transform).__name__.removesuffix("Transform").removeprefix("WSP")
    return {"Biex": "biexponential", "Asinh": "arcsinh"}.get(name, name.lower())
