"""Write FlowKit gates as Gating-ML 2.0 that FlowKit, R's flow tools and the standard's schema read.

FlowKit's own writer places the quadrants of a divider at or below zero on the wrong side of it,
looks gates up by a bare name, and writes identifiers that its reader then refuses; so the document
is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from gating.exchange.gatingml_structure import SPACES, XML_NAME
from gating.exchange.gatingml_structure import qualified as _tag
from panels.text.errors import StrategyFault

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

PARAMETERS = {
    "LogicleTransform": ("logicle", "TWMA"),
    "HyperlogTransform": ("hyperlog", "TWMA"),
    "AsinhTransform": ("fasinh", "TMA"),
    "LogTransform": ("flog", "TM"),
    "LinearTransform": ("flin", "TA"),
    "RatioTransform": ("fratio", "ABC"),
}


def write_gatingml(gating: flowkit.GatingStrategy, file: BinaryIO) -> None:
    """Write gates, transforms and matrices as Gating-ML 2.0.

    Raises StrategyFault when the standard cannot express it: two gates of one name, a name that is
    no XML name, a complement of a shape, a transform that only FlowJo has.
    """
    from lxml import etree

    root = etree.Element(_tag("gating:Gating-ML"), nsmap=SPACES)
    nodes = list(_gates(gating))
    _check_names(nodes)
    names = _Names({name for gate, _ in nodes for name in _populations(gate)})
    for reference, transform in gating.transformations.items():
        _transform(root, names.of(reference), transform)
    for reference, matrix in gating.comp_matrices.items():
        _matrix(root, names.of(reference), matrix)
    for gate, parent in nodes:
        _gate(root, gate, parent, names)
    etree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True, pretty_print=True)


class _Names:
    """The identifiers of one document.

    They are all of one kind in XML, so a transform may not have the name of a gate.
    """

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._given: dict[str, str] = {}

    def of(self, reference: str) -> str:
        """Give what a transform, matrix or divider is called in the document."""
        if reference in {"FCS", "uncompensated"}:
            return reference
        if reference not in self._given:
            name = re.sub(r"[^\w.\-]", "_", reference)
            if not XML_NAME.fullmatch(name):
                name = f"_{name}"
            while name in self._taken or name in {"FCS", "uncompensated"}:
                name += "_"
            self._taken.add(name)
            self._given[reference] = name
        return self._given[reference]


def _gates(gating: flowkit.GatingStrategy) -> Iterator[tuple[flowkit.gates.Gate, str | None]]:
    """Yield every gate with the name of its parent (None: all events), parents first."""
    from flowkit.exceptions import QuadrantReferenceError

    for name, ancestors in gating.get_gate_ids():
        try:
            gate = gating.get_gate(name, ancestors)
        except QuadrantReferenceError:
            continue
        yield gate, ancestors[-1] if len(ancestors) > 1 else None


def _populations(gate: flowkit.gates.Gate) -> tuple[str, ...]:
    """List the names a gate uses: its name and those of its quadrants."""
    return (gate.gate_name, *getattr(gate, "quadrants", ()))


def _check_names(nodes: Iterable[tuple[flowkit.gates.Gate, str | None]]) -> None:
    seen: set[str] = set()
    for gate, _ in nodes:
        for name in _populations(gate):
            if name in seen:
                raise StrategyFault(
                    f"Two gates are called '{name}': Gating-ML knows a gate by its name "
                    f"alone. Rename one."
                )
            if not XML_NAME.fullmatch(name):
                raise StrategyFault(
                    f"The gate '{name}' cannot be written as Gating-ML: a name has letters, "
                    f"digits, '_', '-' and '.' only."
                )
            seen.add(name)


def _transform(root: etree._Element, name: str, transform: flowkit.transforms.Transform) -> None:
    kind = type(transform).__name__
    if kind not in PARAMETERS:
        raise StrategyFault(f"The transformation '{name}' ({kind}) is not one of Gating-ML 2.0.")
    tag, letters = PARAMETERS[kind]
    outer = _add(root, "transforms:transformation", **{"transforms:id": name})
    values = {
        f"transforms:{letter}": _number(getattr(transform, f"param_{letter.lower()}"))
        for letter in letters
    }
    inner = _add(outer, f"transforms:{tag}", **values)
    for channel in getattr(transform, "dimensions", ()):
        _channel(inner, channel)


def _matrix(root: etree._Element, name: str, matrix: flowkit.Matrix) -> None:
    outer = _add(root, "transforms:spectrumMatrix", **{"transforms:id": name})
    for tag, channels in (("fluorochromes", matrix.fluorochromes), ("detectors", matrix.detectors)):
        listed = _add(outer, f"transforms:{tag}")
        for channel in channels:
            _channel(listed, channel)
    for row in matrix.matrix:
        spectrum = _add(outer, "transforms:spectrum")
        for value in row:
            _add(spectrum, "transforms:coefficient", **{"transforms:value": _number(value)})


def _gate(
    root: etree._Element, gate: flowkit.gates.Gate, parent: str | None, names: _Names
) -> None:
    from flowkit import gates

    if getattr(gate, "use_complement", False):
        raise StrategyFault(
            f"The gate '{gate.gate_name}' keeps what lies outside its shape; Gating-ML says "
            f"that by a 'not' gate."
        )
    above = {} if parent is None else {"gating:parent_id": parent}
    element = _add(root, f"gating:{gate.gate_type}", **{"gating:id": gate.gate_name}, **above)
    for dimension in gate.dimensions:
        _dimension(element, dimension, names)
    if isinstance(gate, gates.PolygonGate):
        for vertex in gate.vertices:
            _coordinates(_add(element, "gating:vertex"), vertex)
    elif isinstance(gate, gates.EllipsoidGate):
        _ellipsoid(element, gate)
    elif isinstance(gate, gates.QuadrantGate):
        _quadrants(element, gate, names)
    elif isinstance(gate, gates.BooleanGate):
        _references(_add(element, f"gating:{gate.type}"), gate, parent)


def _dimension(
    element: etree._Element,
    dimension: flowkit.Dimension | flowkit.RatioDimension | flowkit.QuadrantDivider,
    names: _Names,
) -> None:
    reference = getattr(dimension, "dimension_ref", None)
    ratio = getattr(dimension, "ratio_ref", None)
    attributes = {
        "gating:compensation-ref": names.of(dimension.compensation_ref or "uncompensated")
    }
    if dimension.transformation_ref is not None:
        attributes["gating:transformation-ref"] = names.of(dimension.transformation_ref)
    for end in ("min", "max"):
        bound = getattr(dimension, end, None)
        if bound is not None:
            attributes[f"gating:{end}"] = _number(bound)
    tag = "gating:dimension"
    if reference is not None:
        tag = "gating:divider"
        attributes["gating:id"] = names.of(dimension.id)
    inner = _add(element, tag, **attributes)
    if ratio is not None:
        _add(inner, "data-type:new-dimension", **{"data-type:transformation-ref": names.of(ratio)})
        return
    _channel(inner, reference or dimension.id)
    for value in getattr(dimension, "values", ()):
        _add(inner, "gating:value").text = _number(value)


def _ellipsoid(element: etree._Element, gate: flowkit.gates.EllipsoidGate) -> None:
    _coordinates(_add(element, "gating:mean"), gate.coordinates)
    covariance = _add(element, "gating:covarianceMatrix")
    for row in gate.covariance_matrix:
        line = _add(covariance, "gating:row")
        for value in row:
            _add(line, "gating:entry", **{"data-type:value": _number(value)})
    _add(element, "gating:distanceSquare", **{"data-type:value": _number(gate.distance_square)})


def _quadrants(element: etree._Element, gate: flowkit.gates.QuadrantGate, names: _Names) -> None:
    for name, quadrant in gate.quadrants.items():
        inner = _add(element, "gating:Quadrant", **{"gating:id": name})
        for divider in quadrant.divider_refs:
            place = {
                "gating:divider_ref": names.of(divider),
                "gating:location": _number(_inside(*quadrant.get_divider_range(divider))),
            }
            _add(inner, "gating:position", **place)


def _inside(low: float | None, high: float | None) -> float:
    """Give a place between two dividers, well away from them.

    Gating-ML 2.0, 5.1.4: a quadrant is named by any point in it.
    """
    if low is not None and high is not None:
        return low + (high - low) / 2
    if low is not None:
        return float(low) + max(1.0, abs(float(low)))
    if high is not None:
        return float(high) - max(1.0, abs(float(high)))
    return 0.0


def _references(
    element: etree._Element, gate: flowkit.gates.BooleanGate, parent: str | None
) -> None:
    for reference in _without_parent(gate, parent):
        attributes = {"gating:ref": reference["ref"]}
        if reference["complement"]:
            attributes["gating:use-as-complement"] = "true"
        _add(element, "gating:gateReference", **attributes)


def _without_parent(gate: flowkit.gates.BooleanGate, parent: str | None) -> list[dict[str, Any]]:
    """List the gates a Boolean gate combines, without its parent.

    FlowKit's reader takes a gate that names its own parent for a circle; in an "and" the parent
    adds nothing to the gate's place. Raises StrategyFault where leaving it out changes the gate.
    """
    listed = list(gate.gate_refs)
    parents = [reference for reference in listed if reference["ref"] == parent]
    if parent is None or not parents:
        return listed
    others = [reference for reference in listed if reference["ref"] != parent]
    if gate.type != "and" or not others or any(each["complement"] for each in parents):
        raise StrategyFault(
            f"The gate '{gate.gate_name}' combines its own parent '{parent}': it keeps "
            f"all of it or nothing. Take it out."
        )
    return others if len(others) > 1 else others * 2


def _coordinates(element: etree._Element, values: Iterable[float]) -> None:
    for value in values:
        _add(element, "gating:coordinate", **{"data-type:value": _number(value)})


def _channel(element: etree._Element, name: str) -> None:
    _add(element, "data-type:fcs-dimension", **{"data-type:name": name})


def _add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    from lxml import etree

    return etree.SubElement(
        parent, _tag(tag), {_tag(name): value for name, value in attributes.items()}
    )


def _number(value: float) -> str:
    """Write a number so that it is read back as the same number."""
    return repr(float(value))
