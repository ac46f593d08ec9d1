"""Say what a gate cuts that its outline does not show: axes not drawn, combinations, ratios."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gating.display.outlines import limits_of
from gating.evaluation.compiled_strategy import Compiled
from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.gates import Bound, Gate

SOURCES: Mapping[str, str] = {
    "fixed": "declared",
    "gain": "by this tube's gain",
    "control": "from the batch's control",
    "fmo": "from the FMO control",
    "baseline": "from the patient's baseline",
    "negative": "from this tube's negative cells",
    "valley": "from this tube's valley",
    "mixture": "from this tube's mixture",
    "pooled": "from the batch's tubes",
}
"""Where a threshold comes from, in words; a source that is not listed is named by its own word."""


def hidden_cuts(
    compiled: Compiled, gate: Gate, name: str, axes: tuple[str, str], *, outlined: bool
) -> tuple[str, ...]:
    """Say in sentences what population ``name`` of a gate cuts beside what is drawn on ``axes``.

    Values are in the file's linear units. ``outlined`` tells that the gate's outline is drawn.
    """
    if gate.combined:
        return (_combination(gate),)
    if gate.cluster is not None:
        return tuple(_bead_cuts(compiled, axes))
    if gate.rectangle is not None or gate.quadrant is not None:
        return tuple(_limits_elsewhere(compiled, gate, name, axes))
    return () if outlined else (_shape_elsewhere(gate),)


def _combination(gate: Gate) -> str:
    names = ", ".join(gate.combined)
    if gate.all_of:
        return f"events in all of: {names}"
    return f"events in any of: {names}" if gate.any_of else f"events in none of: {names}"


def _bead_cuts(compiled: Compiled, axes: tuple[str, str]) -> Iterator[str]:
    """Say from where on an event holds a bead in the detectors that are not drawn."""
    floor = compiled.beads.floor
    if not floor:
        yield "no beads were found in this tube"
    above: dict[str, list[str]] = {}
    for marker, low in floor.items():
        if marker not in axes:
            value = _number(low * FULL_SCALE * compiled.factor(marker))
            above.setdefault(value, []).append(marker)
    if above:
        cuts = "; ".join(f"{', '.join(names)} above {value}" for value, names in above.items())
        yield f"uncompensated, as found in this tube: {cuts}"


def _limits_elsewhere(
    compiled: Compiled, gate: Gate, name: str, axes: tuple[str, str]
) -> Iterator[str]:
    for axis, limits in limits_of(gate, name).items():
        if axis in axes:
            continue
        for side, bound in (("above", limits.above), ("below", limits.below)):
            if bound is not None:
                value = _number(compiled.value(axis, bound))
                yield f"{axis} {side} {value} ({_source(compiled, bound)})"


def _shape_elsewhere(gate: Gate) -> str:
    first, second = gate.axes
    if gate.ratio is not None:
        return f"{first} over {second} from {gate.ratio.above:g} to {gate.ratio.below:g}"
    return f"{gate.shape} on {first} and {second}, which are not drawn here"


def _source(compiled: Compiled, bound: Bound) -> str:
    if not isinstance(bound, str) or bound not in compiled.resolved:
        return SOURCES["fixed"]
    source = compiled.resolved[bound].source
    return SOURCES.get(source, source)


def _number(value: float) -> str:
    """Write a value of a channel: whole from 100 on, else with three digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
