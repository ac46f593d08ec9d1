"""Put the gates of a strategy in the order in which they can be made, and give their paths."""

from __future__ import annotations

from gating.strategy.gates import Gate
from gating.strategy.model import Strategy


def parents_first(strategy: Strategy) -> list[Gate]:
    """Order gates so that parents and combined gates come first; otherwise as they are written."""
    done = {"root"}
    waiting = list(strategy.gates)
    ordered: list[Gate] = []
    while waiting:
        gate = next(g for g in waiting if {g.parent, *g.combined} <= done)
        waiting.remove(gate)
        done.update(gate.names)
        ordered.append(gate)
    return ordered


def paths_of(strategy: Strategy) -> dict[str, tuple[str, ...]]:
    """Give every gate and quadrant its full path; a quadrant lies under its quadrant gate."""
    paths: dict[str, tuple[str, ...]] = {"root": ("root",)}
    for gate in parents_first(strategy):
        base = paths[gate.parent]
        if gate.quadrant:
            base = (*base, gate.gate)
        for name in gate.names:
            paths[name] = (*base, name)
    return paths
