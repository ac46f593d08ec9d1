"""Turn a strategy and a tube's panel match into FlowKit gates.

FlowKit's ``GatingStrategy``, gates, transforms and ``Matrix`` are the common language of gating
here: a strategy of ours, a Gating-ML document and a FlowJo workspace all become one, and
``gating.evaluation.engine`` evaluates any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gating.beads.finding import NO_BEADS, BeadFinding, lowest_of
from gating.evaluation.compensation import compensation_fault
from gating.evaluation.resolved import Resolved, Tried
from gating.strategy.display_scale import FULL_SCALE, transform_of
from gating.strategy.gates import SCATTER, Bound, Cluster, Ellipse, Gate, Polygon, Quadrant, Ratio
from gating.strategy.model import Strategy
from panels.acquisition_time import TIME
from panels.text.errors import CompensationFault, PanelFault, PanelMismatch

if TYPE_CHECKING:
    import flowkit

    from gating.fcs.channels import Channel
    from gating.fcs.header import TubeHeader
    from panels.panel import Panel, PanelMatch

SPILL = "spill"
UNCOMPENSATED = "uncompensated"
NOWHERE = 1e6
"""Share of a detector's range that no signal reaches."""


@dataclass(frozen=True, slots=True)
class RealisedThreshold:
    """One boundary as it was used in one tube (``value`` in the file's linear units); ``tried`` says what each source gave."""

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

    def value_of(self, bound: Bound) -> float:
        """Resolve a bound in the strategy's linear units: a number, or a named threshold as it holds in this tube."""
        if isinstance(bound, str) and bound in self.resolved:
            return self.resolved[bound].value
        return self.strategy.value_of(bound)

    def vertices(self, shape: Polygon) -> list[tuple[float, float]]:
        """Give a polygon's vertices in the strategy's linear units, moved with the threshold it follows."""
        if shape.follows is None:
            return list(shape.vertices)
        threshold = self.strategy.thresholds[shape.follows]
        ratio = self.value_of(shape.follows) / threshold.value
        along_x = threshold.marker == shape.x
        return [(x * ratio, y) if along_x else (x, y * ratio) for x, y in shape.vertices]

    def factor(self, axis: str) -> float:
        """Give the factor between the strategy's linear units and the file's on one axis."""
        return 1.0 if axis == TIME else self.maximum_of[axis] / FULL_SCALE

    def value(self, axis: str, bound: Bound) -> float:
        """Give a bound in the file's linear units."""
        return self.value_of(bound) * self.factor(axis)


def compile_strategy(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    resolved: Mapping[str, Resolved] | None = None,
    beads: BeadFinding | None = None,
) -> Compiled:
    """Build the FlowKit gating strategy of one tube; ``resolved`` thresholds hold instead of the declared values.

    A bead cluster is drawn where ``beads`` were found; without any, its gate keeps nothing.

    Raises PanelMismatch when the panel lacks a marker, CompensationFault when the tube cannot be
    compensated.
    """
    import flowkit

    needed = strategy.markers()
    missing = sorted(needed - set(match.channel))
    if missing:
        raise PanelMismatch(
            f"{header.path.name}: {strategy.name} needs {', '.join(missing)}, which this tube "
            f"does not have."
        )
    matrix = _matrix(match, header) if match.panel.compensated else None
    channels = {
        axis: header.channels[index] for axis, index in match.channel.items() if axis in needed
    }
    channels |= _only_drawn(strategy.drawn() - needed, match, header, matrix)
    compiled = Compiled(
        strategy=strategy,
        gating=flowkit.GatingStrategy(),
        path_of=_paths(strategy),
        detector_of={axis: channel.detector for axis, channel in channels.items()},
        maximum_of={axis: channel.maximum for axis, channel in channels.items()},
        thresholds=(),
        matrix=None if matrix is None else matrix.matrix,
        compensation=UNCOMPENSATED if matrix is None else SPILL,
        resolved=resolved or {},
        beads=beads or NO_BEADS,
    )
    if matrix is not None:
        _refuse_uncompensated(compiled, matrix, header)
        compiled.gating.add_comp_matrix(SPILL, matrix)
    _fill(compiled)
    return _with_thresholds(compiled)


def compile_reference(
    strategy: Strategy, panel: Panel, instrument: str | None = None
) -> flowkit.GatingStrategy:
    """Build the gates of a strategy for no tube in particular: axes that end at 262144, each file's own compensation.

    Channels have the names of the panel's detectors (of ``instrument``, else of the panel's own).
    Raises PanelFault when the panel does not read a marker of the strategy or does not know the
    instrument.
    """
    import flowkit

    read_on = _reference_detectors(strategy, panel, instrument)
    expected = expected_beads(strategy)
    compiled = Compiled(
        strategy=strategy,
        gating=flowkit.GatingStrategy(),
        path_of=_paths(strategy),
        detector_of=read_on,
        maximum_of=dict.fromkeys(read_on, FULL_SCALE),
        thresholds=(),
        matrix=None if panel.matrix is None else np.array(panel.matrix, dtype=np.float64),
        compensation=UNCOMPENSATED
        if not panel.compensated
        else SPILL
        if panel.matrix is not None
        else "FCS",
        beads=expected,
    )
    if compiled.compensation == SPILL:
        detectors = [
            panel.detectors()[instrument or panel.instrument][stain.marker]
            for stain in panel.markers
        ]
        compiled.gating.add_comp_matrix(
            SPILL, flowkit.Matrix(compiled.matrix, detectors, fluorochromes=list(detectors))
        )
    _fill(compiled)
    return compiled.gating


def expected_beads(strategy: Strategy) -> BeadFinding:
    """Place the bead gate where its strategy expects the cluster, since no tube tells; nowhere when it expects none."""
    cluster = strategy.bead_cluster
    if cluster is None:
        return NO_BEADS
    floor = {marker: lowest_of(value / FULL_SCALE) for marker, value in cluster.expected.items()}
    return BeadFinding("absent", floor=floor)


def _reference_detectors(
    strategy: Strategy, panel: Panel, instrument: str | None
) -> dict[str, str]:
    known = panel.detectors()
    if instrument is not None and instrument not in known:
        raise PanelFault(
            f"The panel {panel.panel} does not know the instrument '{instrument}'. Known: "
            f"{', '.join(known)}."
        )
    detectors = known[instrument or panel.instrument] | dict(panel.scatter)
    missing = sorted(strategy.markers() - set(detectors))
    if missing:
        raise PanelFault(
            f"{strategy.name} needs {', '.join(missing)}, which the panel {panel.panel} does "
            f"not read."
        )
    return {axis: detectors[axis] for axis in strategy.markers()}


def _fill(compiled: Compiled) -> None:
    """Add the transforms and gates, parents first."""
    for axis in sorted(compiled.detector_of):
        transform = transform_of(compiled.strategy.scale_of(axis), compiled.maximum_of[axis])
        if transform is not None:
            compiled.gating.add_transform(_transform_id(axis), transform)
    for gate in _in_order(compiled.strategy):
        path = compiled.path_of[gate.names[0]]
        compiled.gating.add_gate(
            _flowkit_gate(compiled, gate), path[:-2] if gate.quadrant else path[:-1]
        )


def _matrix(match: PanelMatch, header: TubeHeader) -> flowkit.Matrix:
    import flowkit

    if match.panel.matrix is not None:
        missing = [
            stain.marker for stain in match.panel.markers if stain.marker not in match.channel
        ]
        if missing:
            needed = f"the matrix of the panel {match.panel.panel} needs {', '.join(missing)}"
            raise PanelMismatch(f"{header.path.name}: {needed}, which this tube does not have.")
        detectors = [
            header.channels[match.channel[stain.marker]].detector for stain in match.panel.markers
        ]
        return flowkit.Matrix(
            np.array(match.panel.matrix, dtype=np.float64), detectors, fluorochromes=list(detectors)
        )
    fault = compensation_fault(header, match.panel)
    if fault or header.spill is None:
        raise CompensationFault(f"{header.path.name}: {fault}")
    return flowkit.Matrix(
        header.spill.matrix,
        list(header.spill.detectors),
        fluorochromes=list(header.spill.detectors),
    )


def _refuse_uncompensated(compiled: Compiled, matrix: flowkit.Matrix, header: TubeHeader) -> None:
    bare = [
        d
        for axis, d in compiled.detector_of.items()
        if axis not in SCATTER and d not in matrix.detectors
    ]
    if bare:
        raise CompensationFault(
            f"{header.path.name}: the compensation does not cover {', '.join(sorted(bare))}. "
            f"Export the file with the whole matrix."
        )


def _only_drawn(
    axes: set[str], match: PanelMatch, header: TubeHeader, matrix: flowkit.Matrix | None
) -> dict[str, Channel]:
    """Find the axes that no gate needs, as far as this tube has them."""
    found = {
        axis: header.channels[match.channel[axis]] for axis in sorted(axes) if axis in match.channel
    }
    return {
        axis: each
        for axis, each in found.items()
        if axis in SCATTER or matrix is None or each.detector in matrix.detectors
    }


def _paths(strategy: Strategy) -> dict[str, tuple[str, ...]]:
    """Give every gate and quadrant its full path; a quadrant lies under its quadrant gate."""
    paths: dict[str, tuple[str, ...]] = {"root": ("root",)}
    for gate in _in_order(strategy):
        base = paths[gate.parent]
        for name in gate.names:
            paths[name] = (*base, gate.gate, name) if gate.quadrant else (*base, name)
    return paths


def _in_order(strategy: Strategy) -> list[Gate]:
    """Order gates so that parents and combined gates come first, keeping the written order otherwise."""
    done = {"root"}
    waiting = list(strategy.gates)
    ordered: list[Gate] = []
    while waiting:
        gate = next(g for g in waiting if {g.parent, *g.combined} <= done)
        waiting.remove(gate)
        done.update(gate.names)
        ordered.append(gate)
    return ordered


def _flowkit_gate(compiled: Compiled, gate: Gate) -> flowkit.gates.Gate:
    from flowkit import gates

    if gate.rectangle is not None:
        return gates.RectangleGate(
            gate.gate, [_rectangle_side(compiled, axis, gate) for axis in gate.rectangle]
        )
    if gate.polygon is not None:
        shape = gate.polygon
        columns = [
            displayed(compiled, axis, [v[i] for v in compiled.vertices(shape)])
            for i, axis in enumerate((shape.x, shape.y))
        ]
        vertices = [(float(x), float(y)) for x, y in zip(*columns, strict=True)]
        return gates.PolygonGate(
            gate.gate, [_dimension(compiled, axis) for axis in gate.axes], vertices
        )
    if gate.ellipse is not None:
        return _ellipse_gate(compiled, gate.gate, gate.ellipse)
    if gate.quadrant is not None:
        return _quadrant_gate(compiled, gate.gate, gate.quadrant)
    if gate.ratio is not None:
        return _ratio_gate(compiled, gate.gate, gate.ratio)
    return (
        _boolean_gate(compiled, gate)
        if gate.cluster is None
        else _bead_gate(compiled, gate.gate, gate.cluster)
    )


def _dimension(
    compiled: Compiled, axis: str, low: float | None = None, high: float | None = None
) -> flowkit.Dimension:
    import flowkit

    return flowkit.Dimension(
        compiled.detector_of[axis],
        _compensation(compiled, axis),
        _transform_ref(compiled, axis),
        low,
        high,
    )


def _rectangle_side(compiled: Compiled, axis: str, gate: Gate) -> flowkit.Dimension:
    limits = (gate.rectangle or {})[axis]
    low, high = (
        None if b is None else float(displayed(compiled, axis, [compiled.value_of(b)])[0])
        for b in (limits.above, limits.below)
    )
    return _dimension(compiled, axis, low, high)


def displayed(compiled: Compiled, axis: str, values: list[float]) -> np.ndarray:
    """Bring values in the strategy's linear units to the displayed scale of an axis."""
    linear = np.array(values, dtype=np.float64) * compiled.factor(axis)
    reference = _transform_ref(compiled, axis)
    return (
        linear
        if reference is None
        else np.asarray(compiled.gating.transformations[reference].apply(linear.reshape(-1, 1)))[
            :, 0
        ]
    )


def linear(compiled: Compiled, axis: str, shown: float) -> float:
    """Bring a place on the displayed scale of an axis to the strategy's linear units."""
    reference = _transform_ref(compiled, axis)
    place = (
        shown
        if reference is None
        else float(compiled.gating.transformations[reference].inverse(np.array([[shown]]))[0, 0])
    )
    return place / compiled.factor(axis)


def ellipse_on(compiled: Compiled, shape: Ellipse) -> tuple[np.ndarray, np.ndarray]:
    """Give an ellipse's centre (2,) and covariance (2 × 2) on the displayed scales of the tube; linear ones end at its ``$PnR``."""
    axes = (shape.x, shape.y)
    stretch = np.array(
        [compiled.factor(axis) if _transform_ref(compiled, axis) is None else 1.0 for axis in axes]
    )
    return np.array(shape.centre) * stretch, np.array(shape.covariance) * np.outer(stretch, stretch)


def ratio_on(compiled: Compiled, shape: Ratio) -> tuple[float, float]:
    """Give a ratio's two bounds in the tube's units, which may differ between its two parameters."""
    stretch = compiled.factor(shape.numerator) / compiled.factor(shape.denominator)
    return shape.above * stretch, shape.below * stretch


def _ellipse_gate(compiled: Compiled, name: str, shape: Ellipse) -> flowkit.gates.EllipsoidGate:
    from flowkit import gates

    centre, covariance = ellipse_on(compiled, shape)
    sides = [_dimension(compiled, axis) for axis in (shape.x, shape.y)]
    return gates.EllipsoidGate(name, sides, centre.tolist(), covariance, shape.distance_square)


def _quadrant_gate(compiled: Compiled, gate: str, shape: Quadrant) -> flowkit.gates.QuadrantGate:
    import flowkit
    from flowkit import gates

    dividers, cuts = [], []
    for axis, bound in ((shape.x, shape.x_divider), (shape.y, shape.y_divider)):
        cut = float(displayed(compiled, axis, [compiled.value_of(bound)])[0])
        name = f"{gate}_{'x' if axis == shape.x else 'y'}"
        dividers.append(
            flowkit.QuadrantDivider(
                name,
                compiled.detector_of[axis],
                _compensation(compiled, axis),
                [cut],
                _transform_ref(compiled, axis),
            )
        )
        cuts.append((name, cut))
    names = [name for name, _ in cuts]
    quadrants = [
        gates.Quadrant(
            quadrant,
            names,
            [
                (cut, None) if sign == "+" else (None, cut)
                for sign, (_, cut) in zip(signs, cuts, strict=True)
            ],
        )
        for signs, quadrant in shape.quadrants.items()
    ]
    return gates.QuadrantGate(gate, dividers, quadrants)


def _ratio_gate(compiled: Compiled, gate: str, shape: Ratio) -> flowkit.gates.RectangleGate:
    import flowkit
    from flowkit import gates

    reference = f"ratio_{gate}"
    channels = [compiled.detector_of[shape.numerator], compiled.detector_of[shape.denominator]]
    compiled.gating.add_transform(
        reference,
        flowkit.transforms.RatioTransform(channels, param_a=1.0, param_b=0.0, param_c=0.0),
    )
    low, high = ratio_on(compiled, shape)
    side = flowkit.RatioDimension(reference, UNCOMPENSATED, range_min=low, range_max=high)
    return gates.RectangleGate(gate, [side])


def _bead_gate(compiled: Compiled, gate: str, cluster: Cluster) -> flowkit.gates.RectangleGate:
    """Keep what is uncompensated above the floor of the bead cluster in each of its detectors; nothing where none was found."""
    import flowkit
    from flowkit import gates

    floor = compiled.beads.floor or {cluster.markers[0]: NOWHERE}
    sides = [
        flowkit.Dimension(
            compiled.detector_of[marker],
            UNCOMPENSATED,
            None,
            share * (compiled.maximum_of[marker] - 1),
        )
        for marker, share in floor.items()
    ]
    return gates.RectangleGate(gate, sides)


def _boolean_gate(compiled: Compiled, gate: Gate) -> flowkit.gates.BooleanGate:
    from flowkit import gates

    # Gating-ML 2.0 (5.3): "and" and "or" take two gates or more, "not" exactly one.
    kind = "or" if gate.any_of else "not" if gate.none_of and len(gate.none_of) == 1 else "and"
    complement = gate.none_of is not None and kind == "and"
    references = [
        {"ref": other, "path": compiled.path_of[other][:-1], "complement": complement}
        for other in gate.combined
    ]
    return gates.BooleanGate(gate.gate, kind, references)


def _compensation(compiled: Compiled, axis: str) -> str:
    return compiled.compensation if axis not in SCATTER else UNCOMPENSATED


def _transform_ref(compiled: Compiled, axis: str) -> str | None:
    return None if compiled.strategy.scale_of(axis).kind == "linear" else _transform_id(axis)


def _transform_id(axis: str) -> str:
    return "scale_" + "".join(c if c.isalnum() else "_" for c in axis)


def _with_thresholds(compiled: Compiled) -> Compiled:
    declared = compiled.strategy.thresholds
    resolved = {
        name: compiled.resolved.get(name) or Resolved(t.value, "fixed", t.evidence)
        for name, t in declared.items()
    }
    realised = tuple(
        RealisedThreshold(
            name,
            t.marker,
            compiled.detector_of[t.marker],
            compiled.value(t.marker, name),
            r.source,
            r.rationale,
            r.tried,
        )
        for (name, t), r in zip(declared.items(), resolved.values(), strict=True)
    )
    return replace(compiled, thresholds=realised)
