"""Write gates as the populations of a FlowJo sample.

FlowJo draws on one or two axes, and a NotNode has one member: what a strategy has beyond that is
written by auxiliary populations beside or above the gate, whose names say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gating.exchange.foreign_document import Path
from gating.exchange.gatingml_structure import qualified
from gating.exchange.import_notes import Note
from gating.exchange.workspace_axes import WorkspaceAxes, add, dimension_channel

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

NODES = {"and": "AndNode", "or": "OrNode", "not": "NotNode"}
MOST_AXES = 2


@dataclass(slots=True)
class PopulationWriter:
    """Writes the gates of one sample below its node.

    ``counts`` are the events of each gate, as FlowJo keeps them (without one: -1). ``notes`` say
    what FlowJo cannot hold as it is; ``used`` collects the channels that gates read.
    """

    gating: flowkit.GatingStrategy
    axes: WorkspaceAxes
    owner: str
    counts: Mapping[Path, int]
    notes: list[Note] = field(default_factory=list)
    used: dict[str, Any] = field(default_factory=dict)
    _element: dict[Path, etree._Element] = field(default_factory=dict)
    _written: dict[Path, str] = field(default_factory=dict)
    _ids: int = 0

    def write(self, node: etree._Element) -> None:
        """Write every gate, parents first, then what combined gates combine."""
        from flowkit import gates

        self._element, self._written = {("root",): node}, {("root",): ""}
        combined: list[tuple[Path, flowkit.gates.BooleanGate]] = []
        for path, gate in self._gates():
            if isinstance(gate, gates.BooleanGate):
                self._place_combined(path, gate)
                combined.append((path, gate))
            elif isinstance(gate, gates.QuadrantGate):
                self._quadrants(path, gate)
            else:
                self._place(path, gate)
        for path, gate in combined:
            self._combine(path, gate)

    def _gates(self) -> Iterator[tuple[Path, flowkit.gates.Gate]]:
        from flowkit.exceptions import QuadrantReferenceError

        listed = sorted(self.gating.get_gate_ids(), key=lambda each: len(each[1]))
        for name, ancestors in listed:
            try:
                yield (*ancestors, name), self.gating.get_gate(name, ancestors)
            except QuadrantReferenceError:
                continue

    def _population(
        self, above: Path, name: str, count: int | None, tag: str = "Population"
    ) -> etree._Element:
        """Add a population below another, named as FlowJo's paths name it."""
        parent = self._element[above]
        below = parent.find("Subpopulations")
        if below is None:
            below = add(parent, "Subpopulations")
        written = "-1" if count is None else str(count)
        made = add(below, tag, name=name, annotation="", owningGroup=self.owner, count=written)
        path = (*above, name)
        self._element[path] = made
        self._written[path] = f"{self._written[above]}/{name}".lstrip("/")
        return made

    def _shape(self, population: etree._Element, tag: str) -> etree._Element:
        self._ids += 1
        gate = add(population, "Gate", **{"gating:id": f"ID{self._ids}"})
        return add(gate, tag, eventsInside="1")

    def _dimension(
        self, shape: etree._Element, dimension: Any, low: Any = None, high: Any = None
    ) -> None:
        name = self.axes.name(dimension)
        self.used.setdefault(name, dimension)
        made = add(shape, "gating:dimension")
        for end, place in (("min", low), ("max", high)):
            if place is not None:
                number = self.axes.number(dimension, float(place))
                made.set(qualified(f"gating:{end}"), repr(number))
        add(made, "data-type:fcs-dimension", **{"data-type:name": name})

    def _place(self, path: Path, gate: flowkit.gates.Gate) -> None:
        from flowkit import gates

        if isinstance(gate, gates.PolygonGate):
            self._polygon(path, gate.dimensions, gate.vertices)
        elif isinstance(gate, gates.EllipsoidGate):
            self._ellipse(path, gate)
        elif any(getattr(each, "ratio_ref", None) for each in gate.dimensions):
            self._ratio(path, gate.dimensions[0])
        else:
            ends = [(each, each.min, each.max) for each in gate.dimensions]
            self._rectangle(path, ends)

    def _rectangle(self, path: Path, ends: Sequence[tuple[Any, Any, Any]]) -> None:
        """Write bounds two axes at a time, the gate itself last."""
        pairs = [ends[i : i + MOST_AXES] for i in range(0, len(ends), MOST_AXES)]
        above = path[:-1]
        for number, pair in enumerate(pairs, 1):
            last = number == len(pairs)
            name = path[-1] if last else f"{path[-1]} (step {number} of {len(pairs)})"
            made = self._population(above, name, self.counts.get(path) if last else None)
            shape = self._shape(made, "gating:RectangleGate")
            for dimension, low, high in pair:
                self._dimension(shape, dimension, low, high)
            above = (*above, name)
        self._element[path], self._written[path] = self._element[above], self._written[above]
        if len(pairs) > 1:
            self._note(
                path,
                f"It is drawn on {len(ends)} axes, FlowJo draws on two: written as {len(pairs)} "
                f"gates, one below the other.",
            )

    def _polygon(self, path: Path, dimensions: Sequence[Any], vertices: Any) -> None:
        made = self._population(path[:-1], path[-1], self.counts.get(path))
        shape = self._shape(made, "gating:PolygonGate")
        shape.set("gateResolution", "256")
        for dimension in dimensions:
            self._dimension(shape, dimension)
        for vertex in vertices:
            pairs = zip(dimensions, vertex, strict=True)
            _vertex(shape, [self.axes.number(each, float(place)) for each, place in pairs])

    def _ellipse(self, path: Path, gate: flowkit.gates.EllipsoidGate) -> None:
        """Write an ellipse by its foci and the ends of its diameters, on FlowJo's display."""
        made = self._population(path[:-1], path[-1], self.counts.get(path))
        shape = self._shape(made, "gating:EllipsoidGate")
        shape.set("gateResolution", "256")
        unit = np.array([self.axes.display_unit(each) for each in gate.dimensions])
        centre = np.array(gate.coordinates, dtype=np.float64) * unit
        covariance = np.array(gate.covariance_matrix, dtype=np.float64) * np.outer(unit, unit)
        squares, directions = np.linalg.eigh(covariance * float(gate.distance_square))
        short, long = np.sqrt(squares)
        along, across = directions[:, 1] * long, directions[:, 0] * short
        focus = directions[:, 1] * np.sqrt(max(0.0, long**2 - short**2))
        shape.set(qualified("gating:distance"), repr(float(2 * long)))
        for dimension in gate.dimensions:
            self._dimension(shape, dimension)
        foci = add(shape, "gating:foci")
        for sign in (1, -1):
            _vertex(foci, centre + sign * focus)
        edge = add(shape, "gating:edge")
        for step in (along, -along, across, -across):
            _vertex(edge, centre + step)

    def _ratio(self, path: Path, dimension: Any) -> None:
        """Write the range of a ratio as the wedge that it is on its two linear axes."""
        import flowkit

        ratio = self.gating.transformations[dimension.ratio_ref]
        numerator, denominator = (flowkit.Dimension(each) for each in ratio.dimensions)
        detector = dimension_channel(denominator)
        far = self.axes.top(detector) / self.axes.stretch(detector)
        corners = [(0.0, 0.0), (far, dimension.min * far), (far, dimension.max * far)]
        self._polygon(path, [denominator, numerator], corners)
        self._note(
            path,
            f"It is a range of the ratio {' to '.join(ratio.dimensions)}: written as the wedge "
            f"between the two ratios, in which FlowJo's binning counts the smallest events "
            f"coarsely.",
        )

    def _quadrants(self, path: Path, gate: flowkit.gates.QuadrantGate) -> None:
        """Write each quadrant as a rectangle below the quadrants' parent."""
        dividers = {divider.id: divider for divider in gate.dimensions}
        for name, quadrant in gate.quadrants.items():
            ends = [
                (dividers[reference], *quadrant.get_divider_range(reference))
                for reference in quadrant.divider_refs
            ]
            inner = (*path, name)
            beside = (*path[:-1], name)
            made = self._population(path[:-1], name, self.counts.get(inner))
            shape = self._shape(made, "gating:RectangleGate")
            for dimension, low, high in ends:
                self._dimension(shape, dimension, low, high)
            self._element[inner] = self._element[beside]
            self._written[inner] = self._written[beside]

    def _place_combined(self, path: Path, gate: flowkit.gates.BooleanGate) -> None:
        tag = NODES[gate.type]
        if gate.type == "and" and all(each["complement"] for each in gate.gate_refs):
            tag = "NotNode"
        self._population(path[:-1], path[-1], self.counts.get(path), tag)

    def _combine(self, path: Path, gate: flowkit.gates.BooleanGate) -> None:
        """Name what a combined gate combines; none of several is what is not in any of them."""
        members = [self._written[(*each["path"], each["ref"])] for each in gate.gate_refs]
        members = list(dict.fromkeys(members))
        node = self._element[path]
        if node.tag == "NotNode" and len(members) > 1:
            any_of = f"{path[-1]} (any of)"
            helper = self._population(path[:-1], any_of, None, "OrNode")
            _depend(helper, members)
            members = [self._written[(*path[:-1], any_of)]]
            self._note(path, f"None of several gates: written as not '{any_of}'.")
        _depend(node, members)

    def _note(self, path: Path, text: str) -> None:
        self.notes.append(Note("changed", path[-1], text))


def _depend(node: etree._Element, members: Sequence[str]) -> None:
    listed = add(node, "Dependents")
    node.insert(0, listed)
    for member in members:
        add(listed, "Dependent", name=member)


def _vertex(parent: etree._Element, place: Sequence[float] | np.ndarray) -> None:
    vertex = add(parent, "gating:vertex")
    for each in place:
        add(vertex, "gating:coordinate", **{"data-type:value": repr(float(each))})
