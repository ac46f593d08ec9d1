"""Judge whether one person may set a threshold or redraw a polygon, or has to ask a second."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gating.evaluation.correction_limits import (
    VERTEX_SHARE,
    farthest_move,
    threshold_limits,
    vertices_of,
)
from panels.text.errors import FieldFault
from tasks.corrections.boundaries import refuse_no_outline
from tasks.corrections.spelt import unknown_name
from tasks.store.corrections import Value, Vertices
from tasks.tubes.gate_tube import GatedTube

if TYPE_CHECKING:
    from gating.evaluation.compiled_strategy import Compiled
    from gating.strategy.gates import Polygon


def is_at(before: GatedTube, name: str, value: Value) -> bool:
    """Tell whether a threshold or polygon of a tube lies there, as exactly as it is printed."""
    compiled = before.compiled
    if isinstance(value, tuple):
        polygon = _polygons(compiled).get(name)
        return polygon is not None and _printed(value) == _printed(vertices_of(compiled, polygon))
    places = {each.threshold: each.value for each in compiled.thresholds}
    return name in places and f"{value:.6g}" == f"{places[name]:.6g}"


def threshold_set(
    before: GatedTube, name: str, value: float, second: str
) -> tuple[tuple[float, float], str]:
    """Give a threshold's value after and before, and the limits of one person in words.

    Values are in the file's linear units. Raises FieldFault for an unknown name, a value beyond the
    detector's range, the one that holds already, or one beyond the limits without a second person.
    """
    compiled = before.compiled
    realised = {each.threshold: each for each in compiled.thresholds}
    if name not in realised:
        raise unknown_name("threshold", name, "threshold", realised, _values_of(before))
    each, maximum = realised[name], compiled.maximum_of[realised[name].marker]
    channel = f"{each.marker} ({each.detector})"
    if not -maximum <= value <= maximum:
        why = (
            f" is beyond the range of {channel}, which ends at {maximum:,.0f} channel units. The "
            f"threshold lies at {each.value:,.6g} now."
        )
        raise FieldFault("threshold", why, name, f"{value:g}")
    if is_at(before, name, value):
        why = f": it lies there already, on {channel}. Nothing was set."
        raise FieldFault("threshold", why, name, f"{value:g}")
    limits = threshold_limits(compiled, name)
    words = "none declared" if limits is None else f"{limits[0]:.6g} to {limits[1]:.6g}"
    if (limits is None or not limits[0] <= value <= limits[1]) and not second:
        why = (
            f" is beyond what one person may set: the limits of {name} on {channel} are {words} "
            f"channel units (it lies at {each.value:,.6g} now). A second person has to agree."
        )
        raise FieldFault("threshold", why, name, f"{value:g}", allowed_by="second")
    return (value, each.value), words


def vertex_move(uncorrected: Compiled, name: str, vertices: Vertices) -> float | None:
    """Give the largest part of an axis by which a vertex would lie from where the tube puts it.

    ``uncorrected`` are the tube's gates without any correction: many small steps are one large one.
    None where the number of vertices is another one.
    """
    return farthest_move(uncorrected, _polygons(uncorrected)[name], vertices)


def gate_set(
    before: GatedTube, uncorrected: Compiled, name: str, vertices: Vertices, second: str
) -> tuple[tuple[Vertices, Vertices], str]:
    """Give a polygon's vertices after and before, and how far one person may move them in words.

    The limit is measured from the tube's gates without any correction (``uncorrected``). Raises
    FieldFault for a gate that is no polygon, too few or too many vertices or some at no number,
    vertices where they lie already, or beyond the limits without a second person.
    """
    compiled = before.compiled
    polygons = _polygons(compiled)
    if name not in polygons:
        raise unknown_name("gate", name, "polygon", polygons, _shape_of(before, name))
    refuse_no_outline(name, len(vertices))
    if not all(math.isfinite(place) for vertex in vertices for place in vertex):
        raise FieldFault("gate", ": a vertex lies at no number.", name)
    if is_at(before, name, vertices):
        raise FieldFault("gate", ": its outline lies there already. Nothing was set.", name)
    moved = vertex_move(uncorrected, name, vertices)
    if (moved is None or moved > VERTEX_SHARE) and not second:
        without = _polygons(uncorrected)[name].vertices
        how = (
            f"it has {len(vertices):,} vertices instead of {len(without)}"
            if moved is None
            else f"a vertex lies {100 * moved:.0f} % of its axis from its place without corrections"
        )
        why = (
            f": {how}, which is beyond what one person may set: the same vertices, each moved by "
            f"at most {100 * VERTEX_SHARE:.0f} % of the axis as it is displayed. A second person "
            f"has to agree."
        )
        raise FieldFault("gate", why, name, allowed_by="second")
    limits = f"each vertex within {100 * VERTEX_SHARE:.0f} % of its axis"
    return (vertices, vertices_of(compiled, polygons[name])), limits


def _polygons(compiled: Compiled) -> dict[str, Polygon]:
    return {each.gate: each.polygon for each in compiled.strategy.gates if each.polygon}


def _printed(vertices: Vertices) -> list[str]:
    """Give vertices as exactly as they are printed."""
    return [f"{x:.6g},{y:.6g}" for x, y in vertices]


def _values_of(before: GatedTube) -> dict[str, str]:
    """Say of each threshold where it lies: its channel and its value in channel units."""
    return {
        each.threshold: f"{each.marker} ({each.detector}), {each.value:,.6g}"
        for each in before.compiled.thresholds
    }


def _shape_of(before: GatedTube, name: str) -> dict[str, str]:
    """Say how a gate that is no polygon is corrected instead."""
    for gate in before.compiled.strategy.gates:
        if name in {gate.gate, *gate.names}:
            listed = ", ".join(sorted(gate.thresholds))
            how = f"by its thresholds ({listed})" if listed else "by none of its own"
            return {name: f"is a {gate.shape}, which is corrected {how}"}
    return {}
