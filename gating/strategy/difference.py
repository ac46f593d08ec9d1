"""Describe what changed between two versions of a strategy, and the step of the version number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from gating.strategy.bound_changes import threshold_changes
from gating.strategy.change import MEANING, STEPS, Change, Step, field_changes, written
from gating.strategy.gate_changes import gate_changes
from gating.strategy.model import Strategy
from gating.strategy.population import Population
from gating.strategy.version_pair import version_pair


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that changed from one strategy to another, gates first."""

    old: str
    new: str
    changes: tuple[Change, ...]

    @property
    def step(self) -> Step:
        """Give the step of the version number that these changes require."""
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
        """Describe the changes in words, one a line."""
        head = f"{self.old} → {self.new}: {MEANING[self.step]}"
        if self.step != "none":
            head = f"{head} ({self.step})"
        return "\n".join([head, *(f"  {change.step:<6}{change.text}" for change in self.changes)])


def compare(old: Strategy, new: Strategy) -> Difference:
    """Compare two strategies gate by gate, threshold by threshold, population by population."""
    pair = version_pair(old, new)
    changes = (
        *gate_changes(pair),
        *threshold_changes(pair),
        *_scales(old, new),
        *_populations(old, new),
        *_rest(old, new),
    )
    return Difference(old.name, new.name, changes)


def _scales(old: Strategy, new: Strategy) -> Iterator[Change]:
    """Yield the axes whose scale changed: polygons, ellipses and pictures depend on it."""
    for axis in sorted(old.markers() & new.markers()):
        was, now = old.scale_of(axis), new.scale_of(axis)
        if was != now:
            text = f"the scale of {axis} is now {written(now)} (was {written(was)})"
            yield Change("scale", axis, text, "major", was.model_dump(), now.model_dump())


def _populations(old: Strategy, new: Strategy) -> Iterator[Change]:
    """Yield what changed in the reported populations and the rules of their report."""
    before = {each.id: each for each in old.populations}
    after = {each.id: each for each in new.populations}
    for name, each in after.items():
        if name in before:
            yield from field_changes(f"population {name}", before[name], each, words={"label"})
        else:
            text = f"population {name} is added: {_reported(each)}"
            yield Change("population_added", name, text, "minor", None, each.gate)
    for name, each in before.items():
        if name not in after:
            text = f"population {name} is removed (was {_reported(each)})"
            yield Change("population_removed", name, text, "major", each.gate)


def _reported(population: Population) -> str:
    return f"{population.label}, counted in {population.gate}"


def _rest(old: Strategy, new: Strategy) -> Iterator[Change]:
    """Yield what changed in the strategy as a whole."""
    handled = {"strategy", "version", "gates", "thresholds", "scale", "scales", "populations"}
    yield from field_changes("strategy", old, new, without=handled, words={"title"})
