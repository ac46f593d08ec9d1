"""List what changed in the gates of a strategy from one version to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gating.strategy.bound_changes import bound_changes
from gating.strategy.change import Change, field_changes
from gating.strategy.gates import Gate, Limits
from gating.strategy.version_pair import WORDS_OF_A_GATE, VersionPair

SIDES = (("above", "lower"), ("below", "upper"))


def gate_changes(pair: VersionPair) -> Iterator[Change]:
    """Yield what changed in the gates, in the order of the new version; removed ones last."""
    before = {gate.gate: gate for gate in pair.old.gates}
    after = {gate.gate: gate for gate in pair.new.gates}
    old_name = {new: old for old, new in pair.renamed.items()}
    for name, gate in after.items():
        if name in before:
            yield from _one_gate(pair, before[name], gate)
        elif name in old_name:
            was = old_name[name]
            yield Change("renamed", name, f"gate {was} is now called {name}", "major", was, name)
        else:
            yield _added(gate)
    for name, gate in before.items():
        if name not in after and name not in pair.renamed:
            text = f"gate {name} is removed (was under {gate.parent})"
            yield Change("gate_removed", name, text, "major", name)
    if [n for n in before if n in after] != [n for n in after if n in before]:
        yield Change("order", "gates", "the gates are listed in another order", "patch")


def _added(gate: Gate) -> Change:
    text = f"gate {gate.gate} is added under {gate.parent} ({_described(gate)})"
    content = gate.model_dump(mode="json", exclude_defaults=True)
    return Change("gate_added", gate.gate, text, "minor", None, content)


def _one_gate(pair: VersionPair, old: Gate, new: Gate) -> Iterator[Change]:
    """Yield what changed in a gate of the same name: its parent, its shape, the rest."""
    where = f"gate {new.gate}"
    if old.parent != new.parent:
        if pair.renamed.get(old.parent) == new.parent:
            text = f"{where}: its parent {old.parent} is now called {new.parent}"
        else:
            text = f"{where} moves from under {old.parent} to under {new.parent}"
        yield Change("parent", new.gate, text, "major", old.parent, new.parent)
    if old.shape != new.shape:
        text = f"{where} is now a {_described(new)} (was a {_described(old)})"
        yield Change("shape", new.gate, text, "major", old.shape, new.shape)
    else:
        yield from _one_shape(pair, old, new)
    handled = {"gate", "parent", old.shape, new.shape}
    yield from field_changes(where, old, new, without=handled, words=WORDS_OF_A_GATE)


def _one_shape(pair: VersionPair, old: Gate, new: Gate) -> Iterator[Change]:
    """Yield what changed within a shape of the same kind."""
    if new.rectangle is not None:
        yield from _rectangle(pair, new.gate, old.rectangle or {}, new.rectangle)
    elif new.quadrant is not None:
        yield from _quadrant(pair, old, new)
    elif new.combined:
        yield from _combined(pair, old, new)
    else:
        yield from field_changes(
            f"gate {new.gate}", getattr(old, old.shape), getattr(new, new.shape)
        )


def _rectangle(
    pair: VersionPair, gate: str, old: Mapping[str, Limits], new: Mapping[str, Limits]
) -> Iterator[Change]:
    for axis in dict.fromkeys((*old, *new)):
        for side, words in SIDES:
            was = getattr(old.get(axis), side, None)
            now = getattr(new.get(axis), side, None)
            yield from bound_changes(pair, f"{words} bound on {axis}", gate, was, now)


def _quadrant(pair: VersionPair, old: Gate, new: Gate) -> Iterator[Change]:
    was, now = old.quadrant, new.quadrant
    if was is None or now is None:
        return
    yield from bound_changes(pair, f"divider on {now.x}", new.gate, was.x_divider, now.x_divider)
    yield from bound_changes(pair, f"divider on {now.y}", new.gate, was.y_divider, now.y_divider)
    yield from field_changes(f"gate {new.gate}", was, now, without={"x_divider", "y_divider"})


def _combined(pair: VersionPair, old: Gate, new: Gate) -> Iterator[Change]:
    was = {pair.renamed.get(name, name) for name in old.combined}
    now = set(new.combined)
    words = [f"no longer combines {name}" for name in sorted(was - now)]
    words += [f"now combines {name} too" for name in sorted(now - was)]
    if words:
        text = f"gate {new.gate} {' and '.join(words)}"
        yield Change(
            "combined", new.gate, text, "major", sorted(old.combined), sorted(new.combined)
        )


def _described(gate: Gate) -> str:
    return f"{gate.shape.replace('_', ' ')} {' × '.join(gate.axes) or ', '.join(gate.combined)}"
