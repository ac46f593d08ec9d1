"""Say which boundaries of a tube a line of a sheet sets, also where a workspace drew a gate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from panels.text.errors import UsageFault
from tasks.corrections.correction_sheet import Drawn, SheetLine
from tasks.store.corrections import Kind, Value, Vertices

if TYPE_CHECKING:
    from gating.evaluation.compiled_strategy import Compiled
    from gating.strategy.gates import Gate

Boundary = tuple[Kind, str, Value]
"""What a correction sets: a threshold's value or an outline, in the file's linear units."""


class NotABoundary(Exception):
    """What a workspace draws otherwise is no threshold and no polygon of the strategy."""


def boundaries_of(line: SheetLine, compiled: Compiled) -> list[Boundary]:
    """List what a line sets in a tube.

    Raises NotABoundary where a workspace's gate cannot be carried over so, UsageFault where its
    shape cannot be read.
    """
    if isinstance(line.set, tuple):
        return [("gate", line.name, line.set)]
    if isinstance(line.set, float):
        return [("threshold", line.name, line.set)]
    gate = next((each for each in compiled.strategy.gates if each.gate == line.name), None)
    if gate is None:
        raise UsageFault(f"{compiled.strategy.name} has no gate {line.name}.")
    try:
        return list(_drawn(line.set, gate, compiled))
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise UsageFault("column own is no shape as DEVIATIONS.csv writes it.") from error


def _drawn(drawn: Drawn, gate: Gate, compiled: Compiled) -> Iterator[Boundary]:
    if gate.polygon is not None and "polygon" in drawn.own:
        yield "gate", gate.gate, _outline(drawn.own["polygon"], gate, compiled)
    elif gate.rectangle is not None and "rectangle" in drawn.own:
        yield from _bounds(drawn, gate, compiled)
    else:
        raise NotABoundary(
            f"{gate.gate} is a {gate.shape} in the strategy, and the sample has another shape: a "
            f"correction moves thresholds and polygons."
        )


def _outline(polygon: dict[str, Any], gate: Gate, compiled: Compiled) -> Vertices:
    assert gate.polygon is not None
    if (polygon["x"], polygon["y"]) != (gate.polygon.x, gate.polygon.y):
        raise NotABoundary(f"{gate.gate} lies on other axes in the sample.")
    across, up = compiled.factor(gate.polygon.x), compiled.factor(gate.polygon.y)
    return tuple((float(x) * across, float(y) * up) for x, y in polygon["vertices"])


def _bounds(drawn: Drawn, gate: Gate, compiled: Compiled) -> Iterator[Boundary]:
    """Yield the thresholds of a rectangle's bounds that the sample has otherwise."""
    own, common = drawn.own["rectangle"], drawn.common["rectangle"]
    for axis in own.keys() | common.keys():
        for end in ("above", "below"):
            place, shared = (each.get(axis, {}).get(end) for each in (own, common))
            if place == shared:
                continue
            declared = getattr((gate.rectangle or {}).get(axis), end, None)
            if not isinstance(declared, str) or place is None:
                raise NotABoundary(
                    f"{gate.gate} has no threshold {end} on {axis}: write its bound as a "
                    f"threshold in the strategy, then it can be corrected."
                )
            yield "threshold", declared, float(place) * compiled.factor(axis)
