"""Build FlowKit's transforms and gates of a strategy made ready for one tube."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gating.evaluation.axis_units import (
    compensation_reference,
    ellipse_on,
    ratio_on,
    to_display,
    transform_id,
    transform_reference,
)
from gating.evaluation.compiled_strategy import UNCOMPENSATED
from gating.evaluation.gate_order import parents_first
from gating.strategy.display_scale import transform_of
from gating.strategy.gates import Bound, Cluster, Ellipse, Gate, Limits, Polygon, Quadrant, Ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    import flowkit

    from gating.evaluation.compiled_strategy import Compiled

BEYOND_RANGE = 1e6
"""Share of a detector's range that no signal reaches."""


def add_gates(compiled: Compiled) -> None:
    """Add the transforms and gates to ``compiled.gating``, parents first."""
    for axis in sorted(compiled.detector_of):
        transform = transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
        if transform is not None:
            compiled.gating.add_transform(transform_id(axis), transform)
    for gate in parents_first(compiled.strategy):
        compiled.gating.add_gate(_flowkit_gate(compiled, gate), compiled.path_of[gate.parent])


def _flowkit_gate(compiled: Compiled, gate: Gate) -> flowkit.gates.Gate:
    name = gate.gate
    made: flowkit.gates.Gate
    if gate.rectangle is not None:
        made = _rectangle_gate(compiled, name, gate.rectangle)
    elif gate.polygon is not None:
        made = _polygon_gate(compiled, name, gate.polygon)
    elif gate.ellipse is not None:
        made = _ellipse_gate(compiled, name, gate.ellipse)
    elif gate.quadrant is not None:
        made = _quadrant_gate(compiled, name, gate.quadrant)
    elif gate.ratio is not None:
        made = _ratio_gate(compiled, name, gate.ratio)
    elif gate.cluster is not None:
        made = _bead_gate(compiled, name, gate.cluster)
    else:
        made = _boolean_gate(compiled, gate)
    return made


def _dimension(
    compiled: Compiled, axis: str, low: float | None = None, high: float | None = None
) -> flowkit.Dimension:
    import flowkit

    return flowkit.Dimension(
        compiled.detector_of[axis],
        compensation_reference(compiled, axis),
        transform_reference(compiled, axis),
        low,
        high,
    )


def _displayed_bound(compiled: Compiled, axis: str, bound: Bound) -> float:
    return float(to_display(compiled, axis, [compiled.value_of(bound)])[0])


def _rectangle_gate(
    compiled: Compiled, name: str, limits_of: Mapping[str, Limits]
) -> flowkit.gates.RectangleGate:
    from flowkit import gates

    dimensions = [
        _rectangle_dimension(compiled, axis, limits) for axis, limits in limits_of.items()
    ]
    return gates.RectangleGate(name, dimensions)


def _rectangle_dimension(compiled: Compiled, axis: str, limits: Limits) -> flowkit.Dimension:
    low = high = None
    if limits.above is not None:
        low = _displayed_bound(compiled, axis, limits.above)
    if limits.below is not None:
        high = _displayed_bound(compiled, axis, limits.below)
    return _dimension(compiled, axis, low, high)


def _polygon_gate(compiled: Compiled, name: str, shape: Polygon) -> flowkit.gates.PolygonGate:
    from flowkit import gates

    vertices = compiled.vertices(shape)
    across = to_display(compiled, shape.x, [x for x, _ in vertices])
    up = to_display(compiled, shape.y, [y for _, y in vertices])
    dimensions = [_dimension(compiled, axis) for axis in (shape.x, shape.y)]
    corners = [(float(x), float(y)) for x, y in zip(across, up, strict=True)]
    return gates.PolygonGate(name, dimensions, corners)


def _ellipse_gate(compiled: Compiled, name: str, shape: Ellipse) -> flowkit.gates.EllipsoidGate:
    from flowkit import gates

    centre, covariance = ellipse_on(compiled, shape)
    dimensions = [_dimension(compiled, axis) for axis in (shape.x, shape.y)]
    return gates.EllipsoidGate(name, dimensions, centre.tolist(), covariance, shape.distance_square)


def _quadrant_gate(compiled: Compiled, name: str, shape: Quadrant) -> flowkit.gates.QuadrantGate:
    from flowkit import gates

    divider_names = [f"{name}_x", f"{name}_y"]
    axes = (shape.x, shape.y)
    cuts = [
        _displayed_bound(compiled, shape.x, shape.x_divider),
        _displayed_bound(compiled, shape.y, shape.y_divider),
    ]
    dividers = [
        _divider(compiled, divider, axis, cut)
        for divider, axis, cut in zip(divider_names, axes, cuts, strict=True)
    ]
    quadrants = [
        gates.Quadrant(
            quadrant,
            divider_names,
            [_sign_range(sign, cut) for sign, cut in zip(signs, cuts, strict=True)],
        )
        for signs, quadrant in shape.quadrants.items()
    ]
    return gates.QuadrantGate(name, dividers, quadrants)


def _divider(compiled: Compiled, name: str, axis: str, cut: float) -> flowkit.QuadrantDivider:
    import flowkit

    return flowkit.QuadrantDivider(
        name,
        compiled.detector_of[axis],
        compensation_reference(compiled, axis),
        [cut],
        transform_reference(compiled, axis),
    )


def _sign_range(sign: str, cut: float) -> tuple[float | None, float | None]:
    """Give the range of a quadrant on one axis: from the divider up for ``+``, else below it."""
    return (cut, None) if sign == "+" else (None, cut)


def _ratio_gate(compiled: Compiled, name: str, shape: Ratio) -> flowkit.gates.RectangleGate:
    import flowkit
    from flowkit import gates

    reference = f"ratio_{name}"
    channels = [compiled.detector_of[shape.numerator], compiled.detector_of[shape.denominator]]
    compiled.gating.add_transform(
        reference,
        flowkit.transforms.RatioTransform(channels, param_a=1.0, param_b=0.0, param_c=0.0),
    )
    low, high = ratio_on(compiled, shape)
    dimension = flowkit.RatioDimension(reference, UNCOMPENSATED, range_min=low, range_max=high)
    return gates.RectangleGate(name, [dimension])


def _bead_gate(compiled: Compiled, name: str, cluster: Cluster) -> flowkit.gates.RectangleGate:
    """Keep the uncompensated events above the floor of the bead cluster in each of its detectors.

    The gate keeps nothing where no cluster was found.
    """
    import flowkit
    from flowkit import gates

    floor = compiled.beads.floor or {cluster.markers[0]: BEYOND_RANGE}
    dimensions = [
        flowkit.Dimension(
            compiled.detector_of[marker],
            UNCOMPENSATED,
            None,
            share * (compiled.maximum_of[marker] - 1),
        )
        for marker, share in floor.items()
    ]
    return gates.RectangleGate(name, dimensions)


def _boolean_gate(compiled: Compiled, gate: Gate) -> flowkit.gates.BooleanGate:
    from flowkit import gates

    kind = _boolean_kind(gate)
    complement = gate.none_of is not None and kind == "and"
    references = [
        {"ref": other, "path": compiled.path_of[other][:-1], "complement": complement}
        for other in gate.combined
    ]
    return gates.BooleanGate(gate.gate, kind, references)


def _boolean_kind(gate: Gate) -> str:
    """Name the operation: "and" and "or" take two gates or more, "not" exactly one.

    Gating-ML 2.0, 5.3. None of several gates is the "and" of their complements.
    """
    if gate.any_of:
        return "or"
    if gate.none_of and len(gate.none_of) == 1:
        return "not"
    return "and"
