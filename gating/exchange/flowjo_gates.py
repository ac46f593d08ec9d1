"""Read the shapes FlowJo draws (rectangles, polygons, ellipses) as FlowKit gates.

They are read one at a time, so that a bad one is left out alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gating.exchange.ellipses import ellipse_corners
from gating.exchange.flowjo_axes import Axis, SampleAxes
from gating.exchange.flowjo_channels import LeftOut, number
from gating.exchange.gatingml_structure import SPACES, qualified
from gating.strategy.bounds import MOST_CORNERS
from panels.text.printable import shown

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

DISPLAY = 256.0
"""FlowJo writes ellipses in the 256 × 256 places of its display, from one end of each scale to the
other."""
LEAST_CORNERS = 3
KINDS = ("RectangleGate", "PolygonGate", "EllipsoidGate")
DEFAULT_BINS = 256
MOST_BINS = 2**16
_BINS = re.compile(r"[0-9]{1,5}")


def shape_of(population: etree._Element) -> etree._Element:
    """Give the one shape of a population.

    Raises LeftOut when it has none, several, or one without a counterpart in a strategy.
    """
    from lxml import etree

    gate = population.find("Gate")
    shapes = [] if gate is None else [each for each in gate if isinstance(each.tag, str)]
    kinds = [etree.QName(shape).localname for shape in shapes]
    if len(kinds) == 1 and "Curly" in kinds[0]:
        raise LeftOut(
            f"Curly quadrants ({shown(kinds[0])}) follow a curve that FlowJo does not publish. "
            f"Draw straight quadrants or polygons."
        )
    if len(kinds) != 1 or kinds[0] not in KINDS:
        kind = shown(" and ".join(kinds)) or "unknown"
        raise LeftOut(f"FlowJo's gate of the kind {kind} has no counterpart here.")
    return shapes[0]


def read_shape(name: str, shape: etree._Element, axes: SampleAxes) -> flowkit.gates.Gate:
    """Read a shape as a gate called ``name``; raises LeftOut with the reason when it cannot be."""
    from lxml import etree

    kind = etree.QName(shape).localname
    inside = shape.get("eventsInside", "1").strip()
    if inside not in {"0", "1"}:
        raise LeftOut(
            f"Whether it keeps its inside or its outside is not clear "
            f"(eventsInside '{shown(inside)}')."
        )
    outside = inside == "0"
    with np.errstate(all="ignore"):
        if kind == "RectangleGate":
            return _rectangle(name, shape, axes, outside=outside)
        pair = [axes.axis(_channel_of(dimension)) for dimension in _dimensions(shape)]
        if len(pair) != 2:
            raise LeftOut(f"It has {len(pair)} axes where a shape has two.")
        if kind == "PolygonGate":
            return _polygon(name, shape, pair, outside=outside)
        return _ellipse(name, shape, pair, outside=outside)


def bins_of(shape: etree._Element) -> int | None:
    """Give into how many parts FlowJo cuts an axis to decide which events are in a shape.

    None for a rectangle, which it decides exactly.
    """
    from lxml import etree

    if etree.QName(shape).localname == "RectangleGate":
        return None
    written = shape.get("gateResolution", "")
    if _BINS.fullmatch(written) and 0 < int(written) <= MOST_BINS:
        return int(written)
    return DEFAULT_BINS


def _rectangle(
    name: str, shape: etree._Element, axes: SampleAxes, *, outside: bool
) -> flowkit.gates.RectangleGate:
    from flowkit import gates

    dimensions = []
    for written in _dimensions(shape):
        axis = axes.axis(_channel_of(written))
        low, high = _bound(written, "min", axis), _bound(written, "max", axis)
        dimensions.append(_dimension(axis, low, high))
    if not dimensions:
        raise LeftOut("It has no axis.")
    return gates.RectangleGate(name, dimensions, use_complement=outside)


def _bound(dimension: etree._Element, end: str, axis: Axis) -> float | None:
    """Give where one end of a rectangle lies on its axis; None where it is open."""
    written = dimension.get(qualified(f"gating:{end}"))
    if written is None:
        return None
    return axis.place(number(written, f"a bound on {axis.channel}"))


def _polygon(
    name: str, shape: etree._Element, axes: list[Axis], *, outside: bool
) -> flowkit.gates.PolygonGate:
    corners = [
        [axis.place(each) for axis, each in zip(axes, corner, strict=True)]
        for corner in _corners(shape.findall("gating:vertex", SPACES), "a corner")
    ]
    return _polygon_of(name, axes, corners, outside=outside)


def _polygon_of(
    name: str, axes: list[Axis], corners: Sequence[Sequence[float]], *, outside: bool
) -> flowkit.gates.PolygonGate:
    from flowkit import gates

    if len(corners) < LEAST_CORNERS:
        raise LeftOut(f"It has {len(corners)} corners; a polygon has three or more.")
    if len(corners) > MOST_CORNERS:
        raise LeftOut(f"It has {len(corners):,} corners; a polygon has {MOST_CORNERS:,} at most.")
    if not np.isfinite(np.array(corners)).all():
        raise LeftOut("A corner lies where its scale has no place.")
    return gates.PolygonGate(
        name,
        [_dimension(axis) for axis in axes],
        [list(each) for each in corners],
        use_complement=outside,
    )


def _ellipse(
    name: str, shape: etree._Element, axes: list[Axis], *, outside: bool
) -> flowkit.gates.Gate:
    """Read an ellipse from its two foci and four points of its edge, the ends of its two diameters.

    The longer diameter is measured between opposite points; the shorter follows from it and the
    foci, because the points FlowJo writes are rounded to whole places. A circle, whose foci are one
    point, needs no direction.
    """
    from flowkit import gates

    lengths = np.array([_length(axis) for axis in axes])
    foci = np.array(_corners(shape.findall("gating:foci/gating:vertex", SPACES), "a focus"))
    edge = np.array(
        _corners(shape.findall("gating:edge/gating:vertex", SPACES), "a point of the edge")
    )
    if len(foci) != 2 or len(edge) != 4:
        raise LeftOut(
            f"An ellipse has 2 foci and 4 points on its edge; it has {len(foci)} and {len(edge)}."
        )
    long = max(float(np.linalg.norm(edge[i] - edge[i + 1])) for i in (0, 2)) / 2
    apart = (foci[1] - foci[0]) / 2
    short_squared = long**2 - float(apart @ apart)
    if short_squared <= 0:
        raise LeftOut("Its foci lie beyond its edge: it is no ellipse.")
    along = apart / np.linalg.norm(apart) if apart.any() else np.array([1.0, 0.0])
    covariance = short_squared * np.eye(2) + (long**2 - short_squared) * np.outer(along, along)
    unit = lengths / DISPLAY
    centre, covariance = foci.mean(axis=0) * unit, covariance * np.outer(unit, unit)
    if outside:
        return _polygon_of(name, axes, ellipse_corners(centre, covariance), outside=True)
    dimensions = [_dimension(axis) for axis in axes]
    return gates.EllipsoidGate(name, dimensions, centre.tolist(), covariance.tolist(), 1.0)


def _length(axis: Axis) -> float:
    if axis.length is None:
        raise LeftOut(
            f"It is an ellipse on {axis.channel}, of which the workspace keeps no scale: "
            f"where it lies is not known."
        )
    return axis.length


def _dimensions(shape: etree._Element) -> Iterator[etree._Element]:
    yield from shape.iterfind("gating:dimension", SPACES)


def _channel_of(dimension: etree._Element) -> str:
    channel = dimension.find("data-type:fcs-dimension", SPACES)
    name = None if channel is None else channel.get(qualified("data-type:name"))
    if not name:
        raise LeftOut("One of its axes names no channel.")
    return str(name)


def _corners(vertices: list[etree._Element], what: str) -> list[list[float]]:
    corners = []
    for vertex in vertices:
        coordinates = [
            each.get(qualified("data-type:value"), "")
            for each in vertex.iterfind("gating:coordinate", SPACES)
        ]
        if len(coordinates) != 2:
            raise LeftOut(f"It has {len(coordinates)} numbers for {what} where there are two.")
        corners.append([number(text, what) for text in coordinates])
    return corners


def _dimension(
    axis: Axis, low: float | None = None, high: float | None = None
) -> flowkit.Dimension:
    import flowkit

    return flowkit.Dimension(
        axis.channel, axis.compensation, axis.reference, range_min=low, range_max=high
    )
