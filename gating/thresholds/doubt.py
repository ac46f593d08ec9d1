"""Say of each gate how much its count hangs on where exactly the boundaries lie, and which boundaries it stands on."""

from __future__ import annotations

import numpy as np

from gating.channels import Channels, EventSource
from gating.compile import Compiled
from gating.engine import Evaluation
from gating.events import TubeHeader
from gating.strategy import Gate, Strategy

WINDOW = 1.15
"""A boundary is taken to be uncertain by this factor (0.06 decades)."""
MOST_EVENTS = 20_000


def stands_on(strategy: Strategy, gate: str) -> tuple[str, ...]:
    """List the thresholds a gate stands on: its own, its ancestors' and those of the gates it combines, in the strategy's order."""
    gates = {name: each for each in strategy.gates for name in each.names}
    waiting, seen = [gate], {"root"}
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            found |= gates[name].thresholds
            waiting += [gates[name].parent, *gates[name].combined]
    return tuple(name for name in strategy.thresholds if name in found)


def border_share(
    compiled: Compiled, evaluation: Evaluation, events: EventSource, header: TubeHeader, gates: tuple[str, ...]
) -> dict[str, float]:
    """Give for each gate the share of its events that lies within 15 % of any named threshold of its lineage (0 to 1).

    Of gates with more than 20,000 events every k-th is asked. Gates that are combined of others are asked about their ancestors alone.
    """
    channels = Channels(compiled.gating, events, header)
    return {gate: _share(compiled, evaluation, channels, gate) for gate in gates}


def _share(compiled: Compiled, evaluation: Evaluation, channels: Channels, name: str) -> float:
    rows = evaluation.rows[compiled.path_of[name]]
    rows = rows[:: max(1, -(-len(rows) // MOST_EVENTS))]
    borders = [
        (axis, compiled.value(axis, bound), above)
        for gate in _lineage(compiled.strategy, name)
        for axis, limits in (gate.rectangle or {}).items()
        for bound, above in ((limits.above, True), (limits.below, False))
        if isinstance(bound, str)
    ]
    if len(rows) == 0 or not borders:
        return 0.0
    axes = sorted({axis for axis, _, _ in borders})
    compensation = None if compiled.matrix is None else compiled.compensation
    columns = channels.linear([(channels.index(compiled.detector_of[axis]), compensation) for axis in axes], rows)
    values = dict(zip(axes, columns, strict=True))
    near = np.zeros(len(rows), dtype=bool)
    for axis, border, above in borders:
        near |= values[axis] < border * WINDOW if above else values[axis] >= border / WINDOW
    return float(near.mean())


def _lineage(strategy: Strategy, name: str) -> list[Gate]:
    gates = {own: each for each in strategy.gates for own in each.names}
    found: list[Gate] = []
    while name != "root":
        found.append(gates[name])
        name = gates[name].parent
    return found
