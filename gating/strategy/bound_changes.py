"""List what changed in the bounds of a gate, and in the thresholds that bounds may name."""

from __future__ import annotations

from collections.abc import Iterator

from gating.strategy.change import Change, Step, field_changes, written
from gating.strategy.content import StrategyContent
from gating.strategy.gates import Bound
from gating.strategy.threshold import Threshold
from gating.strategy.version_pair import VersionPair


def bound_changes(
    pair: VersionPair, words: str, gate: str, was: Bound | None, now: Bound | None
) -> Iterator[Change]:
    """Compare one bound of a gate by its value; ``words`` name the bound.

    A bound that moved with its threshold is as free as the threshold's limits allow.
    """
    before, after = _value(pair.old, was), _value(pair.new, now)
    where = f"gate {gate}: {words}"
    if after is None:
        if before is not None:
            yield Change(
                "bound_removed", gate, f"{where} {written(before)} is removed", "major", before
            )
    elif before is None:
        text = f"{where} is added at {written(after)}{_by_threshold(now)}"
        yield Change("bound_added", gate, text, "major", None, after)
    elif before != after:
        text = f"{where} moves from {written(before)} to {written(after)}{_by_threshold(now)}"
        step: Step = "major"
        if isinstance(now, str) and was == now:
            step = _step_of_move(pair.old.thresholds[now], after)
        yield Change("bound_moved", gate, text, step, before, after)
    elif was != now:
        named = f"the threshold {now}" if isinstance(now, str) else "a number of its own"
        text = f"{where} stays {written(after)} and is now {named}"
        yield Change("bound_named", gate, text, "patch", was, now)


def threshold_changes(pair: VersionPair) -> Iterator[Change]:
    """Yield what changed in the named thresholds."""
    old, new = pair.old.thresholds, pair.new.thresholds
    for name in dict.fromkeys((*new, *old)):
        if name not in old:
            value = new[name].value
            text = f"threshold {name} is added: {new[name].marker} at {written(value)}"
            yield Change("threshold_added", name, text, "patch", None, value)
        elif name not in new:
            text = f"threshold {name} is removed"
            yield Change("threshold_removed", name, text, "patch", old[name].value)
        else:
            yield from _one_threshold(name, old[name], new[name])


def _one_threshold(name: str, old: Threshold, new: Threshold) -> Iterator[Change]:
    if old.value != new.value:
        step = _step_of_move(old, new.value)
        move = f"threshold {name} moves from {written(old.value)} to {written(new.value)}"
        if old.limits:
            inside = "within" if step == "patch" else "beyond"
            text = f"{move}: {inside} its limits {written(old.limits)}"
        else:
            text = f"{move}: it declares no limits"
        yield Change("threshold_moved", name, text, step, old.value, new.value)
    yield from field_changes(f"threshold {name}", old, new, without={"value"}, words={"evidence"})


def _step_of_move(old: Threshold, value: float) -> Step:
    """Give the step that a threshold's move to ``value`` requires: a patch within its limits."""
    if old.limits is not None and old.limits[0] <= value <= old.limits[1]:
        return "patch"
    return "major"


def _value(strategy: StrategyContent, bound: Bound | None) -> float | None:
    return None if bound is None else strategy.value_of(bound)


def _by_threshold(bound: Bound | None) -> str:
    return f" (threshold {bound})" if isinstance(bound, str) else ""
