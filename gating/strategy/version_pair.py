"""Put two versions of a strategy side by side, and find the gates that were only renamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gating.strategy.gates import Gate
from gating.strategy.model import Strategy

WORDS_OF_A_GATE = ("note", "plot")
"""Fields of a gate that are no part of its definition."""


@dataclass(frozen=True, slots=True)
class VersionPair:
    """Two versions side by side; ``renamed`` maps old names of gates to new ones."""

    old: Strategy
    new: Strategy
    renamed: Mapping[str, str]


def version_pair(old: Strategy, new: Strategy) -> VersionPair:
    """Pair two versions.

    A gate is renamed when exactly one new gate is the same but for its name (or the new names of
    its parent or members).
    """
    before = {gate.gate: gate for gate in old.gates}
    after = {gate.gate: gate for gate in new.gates}
    renamed: dict[str, str] = {}
    for name, gate in before.items():
        if name in after:
            continue
        wanted = _definition(gate, renamed)
        free = [n for n in after if n not in before and n not in renamed.values()]
        twins = [n for n in free if _definition(after[n], {}) == wanted]
        if len(twins) == 1:
            renamed[name] = twins[0]
    return VersionPair(old, new, renamed)


def _definition(gate: Gate, renamed: Mapping[str, str]) -> dict[str, Any]:
    """Give what defines a gate, with the new names of its parent and members."""
    content = gate.model_dump(exclude={"gate", *WORDS_OF_A_GATE})
    content["parent"] = renamed.get(gate.parent, gate.parent)
    for kind in ("all_of", "any_of", "none_of"):
        if content[kind]:
            content[kind] = {renamed.get(name, name) for name in content[kind]}
    return content
