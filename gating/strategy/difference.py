"""Say in words what changed between two versions of a strategy, and which step of the version number says so.

A step has a meaning: *major*, a definition changes and counts before and after are not of the same
thing; *minor*, populations (and the gates they need) are added and nothing else; *patch*, bounds
move within the limits their threshold declares, or only words change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gating.strategy.gates import Bound, Gate, Limits
from gating.strategy.model import Strategy
from gating.strategy.population import Population
from gating.strategy.threshold import Threshold

Step = Literal["none", "patch", "minor", "major"]
STEPS: tuple[Step, ...] = ("none", "patch", "minor", "major")
MEANING: Mapping[Step, str] = {
    "none": "nothing differs",
    "patch": "bounds move within declared limits, or words change",
    "minor": "populations are added",
    "major": "a definition changes",
}
SIDES = (("above", "lower"), ("below", "upper"))
WORDS_OF_A_GATE = ("note", "plot")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed: ``kind`` and ``where`` for programs, ``text`` for people, ``step`` it asks of the version number."""

    kind: str
    where: str
    text: str
    step: Step
    was: Any = None
    now: Any = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that changed from one strategy to another, gates first."""

    old: str
    new: str
    changes: tuple[Change, ...]

    @property
    def step(self) -> Step:
        """Give the step of the version number that these changes ask for."""
        return max((change.step for change in self.changes), key=STEPS.index, default="none")

    def document(self) -> dict[str, object]:
        """Give what ``reconflow strategy diff --json`` prints."""
        return {
            "from": self.old,
            "to": self.new,
            "step": self.step,
            "changes": [asdict(change) for change in self.changes],
        }

    def text(self) -> str:
        """Say it in words, one change a line."""
        head = f"{self.old} → {self.new}: {MEANING[self.step]}" + (
            "" if self.step == "none" else f" ({self.step})"
        )
        return "\n".join([head, *(f"  {change.step:<6}{change.text}" for change in self.changes)])


def compare(old: Strategy, new: Strategy) -> Difference:
    """Compare two strategies gate by gate, threshold by threshold, population by population."""
    pair = _Pair(old, new, _renamed(old, new))
    changes = (*pair.gates(), *pair.thresholds(), *pair.scales(), *pair.populations(), *pair.rest())
    return Difference(old.name, new.name, changes)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two versions side by side; ``renamed`` maps old names of gates to new ones."""

    old: Strategy
    new: Strategy
    renamed: Mapping[str, str]

    def gates(self) -> Iterator[Change]:
        """Yield what changed in the gates, in the order of the new version; removed ones last."""
        before = {gate.gate: gate for gate in self.old.gates}
        after = {gate.gate: gate for gate in self.new.gates}
        back = {new: old for old, new in self.renamed.items()}
        for name, gate in after.items():
            if name in before:
                yield from self._gate(before[name], gate)
            elif name in back:
                yield Change(
                    "renamed",
                    name,
                    f"gate {back[name]} is now called {name}",
                    "major",
                    back[name],
                    name,
                )
            else:
                text = f"gate {name} is added under {gate.parent} ({_described(gate)})"
                yield Change(
                    "gate_added",
                    name,
                    text,
                    "minor",
                    None,
                    gate.model_dump(mode="json", exclude_defaults=True),
                )
        for name, gate in before.items():
            if name not in after and name not in self.renamed:
                yield Change(
                    "gate_removed",
                    name,
                    f"gate {name} is removed (was under {gate.parent})",
                    "major",
                    name,
                )
        if [n for n in before if n in after] != [n for n in after if n in before]:
            yield Change("order", "gates", "the gates are listed in another order", "patch")

    def _gate(self, old: Gate, new: Gate) -> Iterator[Change]:
        name = new.gate
        if old.parent != new.parent:
            called = self.renamed.get(old.parent) == new.parent
            text = f"gate {name}: its parent {old.parent} is now called {new.parent}"
            moved = f"gate {name} moves from under {old.parent} to under {new.parent}"
            yield Change("parent", name, text if called else moved, "major", old.parent, new.parent)
        if old.shape != new.shape:
            yield Change(
                "shape",
                name,
                f"gate {name} is now a {_described(new)} (was a {_described(old)})",
                "major",
                old.shape,
                new.shape,
            )
        elif new.rectangle is not None:
            yield from self._rectangle(name, old.rectangle or {}, new.rectangle)
        elif new.quadrant is not None:
            yield from self._quadrant(old, new)
        elif new.combined:
            yield from self._combined(old, new)
        else:
            yield from _fields(f"gate {name}", getattr(old, old.shape), getattr(new, new.shape))
        handled = {"gate", "parent", old.shape, new.shape}
        yield from _fields(f"gate {name}", old, new, without=handled, words=WORDS_OF_A_GATE)

    def _rectangle(
        self, name: str, old: Mapping[str, Limits], new: Mapping[str, Limits]
    ) -> Iterator[Change]:
        for axis in dict.fromkeys((*old, *new)):
            for side, words in SIDES:
                was = getattr(old[axis], side) if axis in old else None
                now = getattr(new[axis], side) if axis in new else None
                yield from self._bound(name, f"{words} bound on {axis}", was, now)

    def _quadrant(self, old: Gate, new: Gate) -> Iterator[Change]:
        if old.quadrant is None or new.quadrant is None:
            return
        yield from self._bound(
            new.gate, f"divider on {new.quadrant.x}", old.quadrant.x_divider, new.quadrant.x_divider
        )
        yield from self._bound(
            new.gate, f"divider on {new.quadrant.y}", old.quadrant.y_divider, new.quadrant.y_divider
        )
        yield from _fields(
            f"gate {new.gate}", old.quadrant, new.quadrant, without={"x_divider", "y_divider"}
        )

    def _combined(self, old: Gate, new: Gate) -> Iterator[Change]:
        was, now = {self.renamed.get(name, name) for name in old.combined}, set(new.combined)
        words = [f"no longer combines {name}" for name in sorted(was - now)] + [
            f"now combines {name} too" for name in sorted(now - was)
        ]
        if words:
            yield Change(
                "combined",
                new.gate,
                f"gate {new.gate} {' and '.join(words)}",
                "major",
                sorted(old.combined),
                sorted(new.combined),
            )

    def _bound(
        self, gate: str, words: str, was: Bound | None, now: Bound | None
    ) -> Iterator[Change]:
        """Compare one bound by its value; a bound that moved by its threshold is as free as the threshold's limits."""
        before = None if was is None else self.old.value_of(was)
        after = None if now is None else self.new.value_of(now)
        if before is None and after is None:
            return
        if after is None:
            yield Change(
                "bound_removed",
                gate,
                f"gate {gate}: {words} {_told(before)} is removed",
                "major",
                before,
            )
        elif before is None:
            yield Change(
                "bound_added",
                gate,
                f"gate {gate}: {words} is added at {_told(after)}{_by(now)}",
                "major",
                None,
                after,
            )
        elif before != after:
            free = (
                isinstance(now, str)
                and was == now
                and _within_limits(self.old.thresholds[now], after)
            )
            text = f"gate {gate}: {words} moves from {_told(before)} to {_told(after)}{_by(now)}"
            yield Change("bound_moved", gate, text, "patch" if free else "major", before, after)
        elif was != now:
            named = f"the threshold {now}" if isinstance(now, str) else "a number of its own"
            yield Change(
                "bound_named",
                gate,
                f"gate {gate}: {words} stays {_told(after)} and is now {named}",
                "patch",
                was,
                now,
            )

    def thresholds(self) -> Iterator[Change]:
        """Yield what changed in the named thresholds."""
        old, new = self.old.thresholds, self.new.thresholds
        for name in dict.fromkeys((*new, *old)):
            if name not in old:
                text = f"threshold {name} is added: {new[name].marker} at {_told(new[name].value)}"
                yield Change("threshold_added", name, text, "patch", None, new[name].value)
            elif name not in new:
                yield Change(
                    "threshold_removed",
                    name,
                    f"threshold {name} is removed",
                    "patch",
                    old[name].value,
                )
            else:
                yield from self._threshold(name, old[name], new[name])

    def _threshold(self, name: str, old: Threshold, new: Threshold) -> Iterator[Change]:
        if old.value != new.value:
            free = _within_limits(old, new.value)
            how = (
                f"{'within' if free else 'beyond'} its limits {_told(old.limits)}"
                if old.limits
                else "it declares no limits"
            )
            text = f"threshold {name} moves from {_told(old.value)} to {_told(new.value)}: {how}"
            yield Change(
                "threshold_moved", name, text, "patch" if free else "major", old.value, new.value
            )
        yield from _fields(f"threshold {name}", old, new, without={"value"}, words=("evidence",))

    def scales(self) -> Iterator[Change]:
        """Yield the axes whose display scale changed: polygons, ellipses and pictures depend on it."""
        for axis in sorted(self.old.markers() & self.new.markers()):
            old, new = self.old.scale_of(axis), self.new.scale_of(axis)
            if old != new:
                text = (
                    f"the scale of {axis} is now {_told(new.model_dump())} (was "
                    f"{_told(old.model_dump())})"
                )
                yield Change("scale", axis, text, "major", old.model_dump(), new.model_dump())

    def populations(self) -> Iterator[Change]:
        """Yield what changed in the reported populations and the rules of their report."""
        old, new = (
            {each.id: each for each in version.populations} for version in (self.old, self.new)
        )
        for name, each in new.items():
            if name in old:
                yield from _fields(f"population {name}", old[name], each, words=("label",))
            else:
                yield Change(
                    "population_added",
                    name,
                    f"population {name} is added: {_reported(each)}",
                    "minor",
                    None,
                    each.gate,
                )
        for name, each in old.items():
            if name not in new:
                yield Change(
                    "population_removed",
                    name,
                    f"population {name} is removed (was {_reported(each)})",
                    "major",
                    each.gate,
                )

    def rest(self) -> Iterator[Change]:
        """Yield what changed in the strategy as a whole."""
        handled = {"strategy", "version", "gates", "thresholds", "scale", "scales", "populations"}
        yield from _fields("strategy", self.old, self.new, without=handled, words=("title",))


def _fields(
    where: str,
    old: Any,
    new: Any,
    *,
    without: set[str] | frozenset[str] = frozenset(),
    words: tuple[str, ...] = (),
) -> Iterator[Change]:
    """Compare two values field by field; every field that is not mere words is a part of the definition."""
    for field in type(new).model_fields:
        was, now = getattr(old, field), getattr(new, field)
        if field in without or was == now:
            continue
        kind, _, name = where.partition(" ")
        text = f"{where}: {field.replace('_', ' ')} is now {_told(now)} (was {_told(was)})"
        yield Change(
            f"{kind}_{field}",
            name or kind,
            text,
            "patch" if field in words else "major",
            _plain(was),
            _plain(now),
        )


def _renamed(old: Strategy, new: Strategy) -> dict[str, str]:
    """Find gates that are the same but for their name (or their parents' or members' new names)."""
    before, after = {g.gate: g for g in old.gates}, {g.gate: g for g in new.gates}
    renamed: dict[str, str] = {}
    for name, gate in before.items():
        if name in after:
            continue
        wanted = _definition(gate, renamed)
        twins = [
            n
            for n, g in after.items()
            if n not in before and n not in renamed.values() and _definition(g, {}) == wanted
        ]
        if len(twins) == 1:
            renamed[name] = twins[0]
    return renamed


def _definition(gate: Gate, renamed: Mapping[str, str]) -> dict[str, Any]:
    content = gate.model_dump(exclude={"gate", *WORDS_OF_A_GATE})
    content["parent"] = renamed.get(gate.parent, gate.parent)
    for kind in ("all_of", "any_of", "none_of"):
        if content[kind]:
            content[kind] = {renamed.get(name, name) for name in content[kind]}
    return content


def _within_limits(old: Threshold, value: float) -> bool:
    return old.limits is not None and old.limits[0] <= value <= old.limits[1]


def _by(bound: Bound | None) -> str:
    return f" (threshold {bound})" if isinstance(bound, str) else ""


def _described(gate: Gate) -> str:
    return f"{gate.shape.replace('_', ' ')} {' × '.join(gate.axes) or ', '.join(gate.combined)}"


def _reported(population: Population) -> str:
    return f"{population.label}, counted in {population.gate}"


def _told(value: Any) -> str:
    """Write a value as a person would."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:.10g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_told(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_told, value))})"
    if value is None or value == "":
        return "not given"
    return _told(value.model_dump()) if hasattr(value, "model_dump") else str(value)


def _plain(value: Any) -> Any:
    """Give a value as JSON knows it."""
    return (
        value.model_dump(mode="json")
        if hasattr(value, "model_dump")
        else dict(value)
        if isinstance(value, Mapping)
        else value
    )
