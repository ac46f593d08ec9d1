"""Check that the parts of a strategy hang together, and say where in its document one does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gating.strategy.bounds import MOST_GATES, MOST_LEVELS
from panels.files.yaml_document import Misfit
from panels.text.spelling import nearest

if TYPE_CHECKING:
    from gating.strategy.content import StrategyContent
    from gating.strategy.gates import Bound, Gate

At = tuple[int | str, ...]
SHAPES_ON_AXES = ("polygon", "ellipse", "quadrant")


def check_coherence(strategy: StrategyContent) -> None:
    """Raise Misfit for the first name that leads nowhere, the first gate that stands on itself, the first range that is none."""
    if len(strategy.gates) > MOST_GATES:
        many = f"{len(strategy.gates):,} gates are more than a strategy has"
        raise Misfit(f"{many} ({MOST_GATES} at most)", ("gates",))
    _check_names(strategy)
    _check_references(strategy)
    _check_circles(strategy)
    _check_thresholds(strategy)
    _check_shapes(strategy)
    _check_populations(strategy)


def unknown_marker(strategy: StrategyContent, known: Iterable[str], panel: str) -> Misfit | None:
    """Find the first marker or scatter parameter of a strategy that its panel does not read; None when there is none."""
    read = list(known)
    for axis, at in _axes_in(strategy):
        if axis not in read:
            return Misfit(f"the panel {panel} does not read '{axis}'{nearest(axis, read)}", at)
    return None


def _check_names(strategy: StrategyContent) -> None:
    seen: set[str] = {"root"}
    for number, gate in enumerate(strategy.gates):
        for name in dict.fromkeys((gate.gate, *gate.names)):
            if name in seen:
                raise Misfit(
                    f"the gate '{name}' is defined twice"
                    if name != "root"
                    else "no gate may be called 'root'",
                    ("gates", number),
                )
            seen.add(name)


def _check_references(strategy: StrategyContent) -> None:
    names = list(strategy.parent_of())
    for number, gate in enumerate(strategy.gates):
        if len(gate.combined) > MOST_GATES:
            many = f"gate '{gate.gate}' combines {len(gate.combined):,} gates"
            raise Misfit(f"{many} ({MOST_GATES} at most)", ("gates", number, gate.shape))
        for other, key in _references_of(gate):
            if other not in names and not (other == "root" and key == ("parent",)):
                raise Misfit(
                    (
                        f"gate '{gate.gate}' refers to '{other}', which is not a gate of this "
                        f"strategy{nearest(other, names)}"
                    ),
                    ("gates", number, *key),
                )


def _references_of(gate: Gate) -> Iterator[tuple[str, At]]:
    yield gate.parent, ("parent",)
    if gate.combined:
        yield from ((other, (gate.shape, place)) for place, other in enumerate(gate.combined))


def _check_circles(strategy: StrategyContent) -> None:
    needs = {name: (gate.parent, *gate.combined) for gate in strategy.gates for name in gate.names}
    place = {name: number for number, gate in enumerate(strategy.gates) for name in gate.names}
    settled = {"root"}
    levels = 0
    while waiting := [name for name in needs if name not in settled]:
        ready = {name for name in waiting if settled.issuperset(needs[name])}
        if not ready:
            circle = _circle(waiting[0], needs, settled)
            sentence = f"these gates depend on each other in a circle: {', '.join(sorted(circle))}"
            raise Misfit(sentence, ("gates", min(place[name] for name in circle)))
        levels += 1
        if levels > MOST_LEVELS:
            deep = f"gates stand on each other more than {MOST_LEVELS} levels deep"
            raise Misfit(f"{deep}: no strategy does", ("gates", min(place[name] for name in ready)))
        settled |= ready


def _circle(name: str, needs: Mapping[str, tuple[str, ...]], settled: set[str]) -> list[str]:
    """Follow what waits for what until a gate comes back."""
    trail: list[str] = []
    while name not in trail:
        trail.append(name)
        name = next(other for other in needs[name] if other not in settled)
    return trail[trail.index(name) :]


def _check_thresholds(strategy: StrategyContent) -> None:
    gates = ["root", *strategy.parent_of()]
    for name, threshold in strategy.thresholds.items():
        for other, key in threshold.gates.items():
            if other not in gates:
                sentence = (
                    f"threshold '{name}' is read on '{other}', which is not a gate of this "
                    f"strategy{nearest(other, gates)}"
                )
                raise Misfit(sentence, ("thresholds", name, *key))
    for number, gate in enumerate(strategy.gates):
        followed = gate.polygon.follows if gate.polygon else None
        fitting = [
            name for name, threshold in strategy.thresholds.items() if threshold.marker in gate.axes
        ]
        if followed and followed not in fitting:
            sentence = (
                f"gate '{gate.gate}' follows '{followed}', which is not a threshold on one of its "
                f"axes{nearest(followed, fitting)}"
            )
            raise Misfit(sentence, ("gates", number, "polygon", "follows"))
        for axis, bound, place in _bounds_of(gate):
            if isinstance(bound, str):
                _check_bound(strategy, gate, (axis, bound), ("gates", number, *place))


def _check_bound(strategy: StrategyContent, gate: Gate, used: tuple[str, str], at: At) -> None:
    axis, bound = used
    threshold = strategy.thresholds.get(bound)
    if threshold is None:
        known = nearest(bound, strategy.thresholds)
        raise Misfit(
            (
                f"gate '{gate.gate}' uses the threshold '{bound}', which is not listed under "
                f"thresholds{known}"
            ),
            at,
        )
    if threshold.marker != axis:
        raise Misfit(
            (
                f"gate '{gate.gate}' uses '{bound}' on {axis}, but that threshold is for "
                f"{threshold.marker}"
            ),
            at,
        )


def _bounds_of(gate: Gate) -> Iterator[tuple[str, Bound, At]]:
    for axis, limits in (gate.rectangle or {}).items():
        for side in ("above", "below"):
            bound = getattr(limits, side)
            if bound is not None:
                yield axis, bound, ("rectangle", axis, side)
    if gate.quadrant:
        yield gate.quadrant.x, gate.quadrant.x_divider, ("quadrant", "x_divider")
        yield gate.quadrant.y, gate.quadrant.y_divider, ("quadrant", "y_divider")


def _check_shapes(strategy: StrategyContent) -> None:
    """Refuse a shape that can hold no event, or is none."""
    for number, gate in enumerate(strategy.gates):
        for axis, limits in (gate.rectangle or {}).items():
            if limits.above is not None and limits.below is not None:
                low, high = strategy.value_of(limits.above), strategy.value_of(limits.below)
                if low >= high:
                    sentence = (
                        f"gate '{gate.gate}': 'above' ({low:g}) must be smaller than 'below' "
                        f"({high:g})"
                    )
                    raise Misfit(sentence, ("gates", number, "rectangle", axis))
        if gate.ratio and gate.ratio.above >= gate.ratio.below:
            sentence = (
                f"gate '{gate.gate}': 'above' ({gate.ratio.above:g}) must be smaller than 'below' "
                f"({gate.ratio.below:g})"
            )
            raise Misfit(sentence, ("gates", number, "ratio"))
        if gate.ellipse:
            covariance = np.array(gate.ellipse.covariance)
            if (
                covariance[0, 1] != covariance[1, 0]
                or covariance[0, 0] <= 0
                or np.linalg.det(covariance) <= 0
            ):
                sentence = (
                    f"gate '{gate.gate}': the covariance is that of no ellipse (it must be "
                    f"symmetric and positive definite)"
                )
                raise Misfit(sentence, ("gates", number, "ellipse", "covariance"))


def _check_populations(strategy: StrategyContent) -> None:
    gates, ids = list(strategy.parent_of()), [population.id for population in strategy.populations]
    for number, population in enumerate(strategy.populations):
        at: At = ("populations", number)
        if population.id in ids[:number]:
            raise Misfit(f"the population '{population.id}' is listed twice", at)
        if population.gate not in gates:
            sentence = (
                f"population '{population.id}' is counted in gate '{population.gate}', which does "
                f"not exist"
            )
            raise Misfit(sentence + nearest(population.gate, gates), (*at, "gate"))
        for other, key in (
            (population.reference, ("reference",)),
            *((each, ("anchor", i)) for i, each in enumerate(population.anchor)),
        ):
            if other not in ids:
                sentence = (
                    f"population '{population.id}' refers to '{other}', which is not a reported "
                    f"population{nearest(other, ids)}"
                )
                raise Misfit(sentence, (*at, *key))
    _check_beads(strategy, gates)


def _check_beads(strategy: StrategyContent, gates: list[str]) -> None:
    if strategy.beads is not None and strategy.beads not in gates:
        raise Misfit(
            (
                f"beads are counted in gate '{strategy.beads}', which does not "
                f"exist{nearest(strategy.beads, gates)}"
            ),
            ("beads",),
        )
    for number, gate in enumerate(strategy.gates):
        if gate.cluster is not None and (gate.gate != strategy.beads or gate.parent != "root"):
            sentence = (
                f"gate '{gate.gate}' is a cluster of beads: its parent must be root and 'beads' "
                f"must name it"
            )
            raise Misfit(sentence, ("gates", number, "cluster"))
    for key, name in strategy.coincidence or ():
        if name not in gates:
            sentence = (
                f"coincidence names the gate '{name}', which does not exist{nearest(name, gates)}"
            )
            raise Misfit(sentence, ("coincidence", key))


def _axes_in(strategy: StrategyContent) -> Iterator[tuple[str, At]]:
    """Yield every marker or scatter parameter a strategy names, with its place."""
    yield from ((axis, ("scales", axis)) for axis in strategy.scales)
    yield from (
        (threshold.marker, ("thresholds", name, "marker"))
        for name, threshold in strategy.thresholds.items()
    )
    for name, threshold in strategy.thresholds.items():
        if threshold.negative and threshold.negative.beside:
            yield threshold.negative.beside, ("thresholds", name, "negative", "beside")
    for number, gate in enumerate(strategy.gates):
        at: At = ("gates", number)
        yield from ((axis, (*at, "rectangle", axis)) for axis in gate.rectangle or {})
        for name in SHAPES_ON_AXES:
            shape = getattr(gate, name)
            if shape is not None:
                yield from ((getattr(shape, axis), (*at, name, axis)) for axis in ("x", "y"))
        if gate.ratio:
            yield from (
                (getattr(gate.ratio, side), (*at, "ratio", side))
                for side in ("numerator", "denominator")
            )
        if gate.cluster:
            yield from (
                (axis, (*at, "cluster", "markers", place))
                for place, axis in enumerate(gate.cluster.markers)
            )
        yield from (
            (axis, (*at, "plot", key))
            for key, axis in (("x", gate.plot.x), ("y", gate.plot.y))
            if axis is not None
        )
