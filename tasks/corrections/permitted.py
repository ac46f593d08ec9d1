"""Judge whether one person may set a threshold or redraw a polygon, or has to ask a second."""

from __future__ import annotations

import math

from gating.evaluation.correction_limits import (
    VERTEX_SHARE,
    farthest_move,
    threshold_limits,
    vertices_of,
)
from panels.text.errors import UsageFault
from tasks.corrections.boundaries import refuse_no_outline
from tasks.corrections.spelt import unknown_name
from tasks.store.corrections import Vertices
from tasks.tubes.gate_tube import GatedTube


def threshold_set(
    before: GatedTube, name: str, value: float, second: str
) -> tuple[tuple[float, float], str]:
    """Give a threshold's value after and before, and the limits of one person in words.

    Values are in the file's linear units. Raises UsageFault for an unknown name, a value beyond the
    detector's range, or one beyond the limits without a second person.
    """
    compiled = before.compiled
    realised = {each.threshold: each for each in compiled.thresholds}
    if name not in realised:
        raise unknown_name("--threshold", name, "threshold", realised, _values_of(before))
    each, maximum = realised[name], compiled.maximum_of[realised[name].marker]
    channel = f"{each.marker} ({each.detector})"
    if not -maximum <= value <= maximum:
        raise UsageFault(
            f"--threshold {name}={value:g} is beyond the range of {channel}, which ends at "
            f"{maximum:,.0f} channel units. The threshold lies at {each.value:,.6g} now."
        )
    limits = threshold_limits(compiled, name)
    words = "none declared" if limits is None else f"{limits[0]:.6g} to {limits[1]:.6g}"
    if (limits is None or not limits[0] <= value <= limits[1]) and not second:
        raise UsageFault(
            f"--threshold {name}={value:g} is beyond what one person may set: the limits of {name} "
            f"on {channel} are {words} channel units (it lies at {each.value:,.6g} now). A second "
            f"person has to agree: --second NAME."
        )
    return (value, each.value), words


def gate_set(
    before: GatedTube, name: str, vertices: Vertices, second: str
) -> tuple[tuple[Vertices, Vertices], str]:
    """Give a polygon's vertices after and before, and how far one person may move them in words.

    Raises UsageFault for a gate that is no polygon, too few or too many vertices or some at no
    number, or vertices beyond the limits without a second person.
    """
    compiled = before.compiled
    polygons = {each.gate: each.polygon for each in compiled.strategy.gates if each.polygon}
    if name not in polygons:
        raise unknown_name("--gate", name, "polygon", polygons, _shape_of(before, name))
    refuse_no_outline(name, len(vertices))
    if not all(math.isfinite(place) for vertex in vertices for place in vertex):
        raise UsageFault(f"--gate {name}: a vertex lies at no number.")
    moved = farthest_move(compiled, polygons[name], vertices)
    if (moved is None or moved > VERTEX_SHARE) and not second:
        how = (
            f"it has {len(vertices):,} vertices instead of {len(polygons[name].vertices)}"
            if moved is None
            else f"a vertex moves by {100 * moved:.0f} % of its axis"
        )
        raise UsageFault(
            f"--gate {name}: {how}, which is beyond what one person may set: the same vertices, "
            f"each moved by at most {100 * VERTEX_SHARE:.0f} % of the axis as it is displayed. A "
            f"second person has to agree: --second NAME."
        )
    limits = f"each vertex within {100 * VERTEX_SHARE:.0f} % of its axis"
    return (vertices, vertices_of(compiled, polygons[name])), limits


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
            how = f"by its thresholds ({listed}): --threshold" if listed else "by none of its own"
            return {name: f"is a {gate.shape}, which is corrected {how}"}
    return {}
