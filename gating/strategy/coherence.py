"""Check that the parts of a strategy fit together, and name the place where one does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gating.strategy.bounds import MOST_GATES, MOST_LEVELS
from panels.files.yaml_document import Misfit
from panels.text.spelling import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gating.strategy.content import StrategyContent
    from gating.strategy.gates import Bound, Gate
    from gating.strategy.population import Population

At = tuple[int | str, ...]
SHAPES_ON_AXES = ("polygon", "ellipse", "quadrant")


def check_coherence(strategy: StrategyContent) -> None:
    """Raise Misfit for the first part that does not fit.

    Such are a name that nothing has, a gate that depends on itself, and a range that is empty.
    """
    count = len(strategy.gates)
    if count > MOST_GATES:
        sentence = f"{count:,} gates are more than a strategy has ({MOST_GATES} at most)"
        raise Misfit(sentence, ("gates",))
    _check_names(strategy)
    _check_references(strategy)
    _check_circles(strategy)
    _check_thresholds(strategy)
    _check_shapes(strategy)
    _check_landmarks(strategy)
    _check_populations(strategy)


def unknown_marker(strategy: StrategyContent, known: Iterable[str], panel: str) -> Misfit | None:
    """Find the first marker or scatter parameter that the panel of a strategy does not read.

    ``known`` are those that it reads. None when it reads all.
    """
    read = list(known)
    for axis, at in _axes_in(strategy):
        if axis not in read:
            return Misfit(f"the panel {panel} does not read '{axis}'{nearest(axis, read)}", at)
    return None


def _check_names(strategy: StrategyContent) -> None:
    seen: set[str] = set()
    for number, gate in enumerate(strategy.gates):
        for name in dict.fromkeys((gate.gate, *gate.names)):
            if name == "root":
                raise Misfit("no gate may be called 'root'", ("gates", number))
            if name in seen:
                raise Misfit(f"the gate '{name}' is defined twice", ("gates", number))
            seen.add(name)


def _check_references(strategy: StrategyContent) -> None:
    names = list(strategy.parent_of())
    for number, gate in enumerate(strategy.gates):
        if len(gate.combined) > MOST_GATES:
            sentence = (
                f"gate '{gate.gate}' combines {len(gate.combined):,} gates ({MOST_GATES} at most)"
            )
            raise Misfit(sentence, ("gates", number, gate.shape))
        for other, key in _references_of(gate):
            if other not in names:
                sentence = (
                    f"gate '{gate.gate}' refers to '{other}', which is not a gate of this "
                    f"strategy{nearest(other, names)}"
                )
                raise Misfit(sentence, ("gates", number, *key))


def _references_of(gate: Gate) -> Iterator[tuple[str, At]]:
    """Yield the other gates that a gate names, with the key of each; a parent may be the root."""
    if gate.parent != "root":
        yield gate.parent, ("parent",)
    for place, other in enumerate(gate.combined):
        yield other, (gate.shape, place)


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
            sentence = (
                f"gates stand on each other more than {MOST_LEVELS} levels deep: no strategy does"
            )
            raise Misfit(sentence, ("gates", min(place[name] for name in ready)))
        settled |= ready


def _circle(name: str, needs: Mapping[str, tuple[str, ...]], settled: set[str]) -> list[str]:
    """Follow the gates that a gate needs until one comes back."""
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
        _check_followed(strategy, gate, number)
        for axis, bound, place in _bounds_of(gate):
            if isinstance(bound, str):
                _check_bound(strategy, gate, (axis, bound), ("gates", number, *place))


def _check_followed(strategy: StrategyContent, gate: Gate, number: int) -> None:
    """Refuse a polygon that follows what is not a threshold on one of its axes."""
    if gate.polygon is None or not gate.polygon.follows:
        return
    followed = gate.polygon.follows
    thresholds = strategy.thresholds.items()
    fitting = [name for name, threshold in thresholds if threshold.marker in gate.axes]
    if followed not in fitting:
        sentence = (
            f"gate '{gate.gate}' follows '{followed}', which is not a threshold on one of its "
            f"axes{nearest(followed, fitting)}"
        )
        raise Misfit(sentence, ("gates", number, "polygon", "follows"))


def _check_bound(strategy: StrategyContent, gate: Gate, used: tuple[str, str], at: At) -> None:
    """Refuse a bound that names a threshold that is not there, or is on another marker.

    ``used`` are the axis and the name.
    """
    axis, bound = used
    threshold = strategy.thresholds.get(bound)
    if threshold is None:
        sentence = (
            f"gate '{gate.gate}' uses the threshold '{bound}', which is not listed under "
            f"thresholds{nearest(bound, strategy.thresholds)}"
        )
        raise Misfit(sentence, at)
    if threshold.marker != axis:
        sentence = (
            f"gate '{gate.gate}' uses '{bound}' on {axis}, but that threshold is for "
            f"{threshold.marker}"
        )
        raise Misfit(sentence, at)


def _bounds_of(gate: Gate) -> Iterator[tuple[str, Bound, At]]:
    for axis, limits in (gate.rectangle or {}).items():
        for side in ("above", "below"):
            bound = getattr(limits, side)
            if bound is not None:
                yield axis, bound, ("rectangle", axis, side)
    if gate.quadrant:
        yield gate.quadrant.x, gate.quadrant.x_divider, ("quadrant", "x_divider")
        yield gate.quadrant.y, gate.quadrant.y_divider, ("quadrant", "y_divider")


def _check_landmarks(strategy: StrategyContent) -> None:
    gates = list(strategy.parent_of())
    for name, landmark in strategy.landmarks.items():
        if landmark.gate not in gates:
            sentence = (
                f"the landmark '{name}' is read on '{landmark.gate}', which is not a gate of this "
                f"strategy{nearest(landmark.gate, gates)}"
            )
            raise Misfit(sentence, ("landmarks", name, "gate"))


def _check_shapes(strategy: StrategyContent) -> None:
    """Refuse a shape that can hold no event, or is none."""
    for number, gate in enumerate(strategy.gates):
        for axis, limits in (gate.rectangle or {}).items():
            if limits.above is not None and limits.below is not None:
                low, high = strategy.value_of(limits.above), strategy.value_of(limits.below)
                _check_range(gate, low, high, ("gates", number, "rectangle", axis))
        if gate.ratio:
            _check_range(gate, gate.ratio.above, gate.ratio.below, ("gates", number, "ratio"))
        if gate.ellipse and _is_of_no_ellipse(np.array(gate.ellipse.covariance)):
            sentence = (
                f"gate '{gate.gate}': the covariance is that of no ellipse (it must be "
                f"symmetric and positive definite)"
            )
            raise Misfit(sentence, ("gates", number, "ellipse", "covariance"))


def _check_range(gate: Gate, low: float, high: float, at: At) -> None:
    if low >= high:
        sentence = f"gate '{gate.gate}': 'above' ({low:g}) must be smaller than 'below' ({high:g})"
        raise Misfit(sentence, at)


def _is_of_no_ellipse(covariance: NDArray[np.float64]) -> bool:
    """Tell whether a 2 × 2 covariance is not symmetric or not positive definite."""
    if covariance[0, 1] != covariance[1, 0]:
        return True
    return bool(covariance[0, 0] <= 0 or np.linalg.det(covariance) <= 0)


def _check_populations(strategy: StrategyContent) -> None:
    gates = list(strategy.parent_of())
    ids = [population.id for population in strategy.populations]
    for number, population in enumerate(strategy.populations):
        at: At = ("populations", number)
        if population.id in ids[:number]:
            raise Misfit(f"the population '{population.id}' is listed twice", at)
        if population.gate not in gates:
            sentence = (
                f"population '{population.id}' is counted in gate '{population.gate}', which does "
                f"not exist{nearest(population.gate, gates)}"
            )
            raise Misfit(sentence, (*at, "gate"))
        for other, key in _populations_of(population):
            if other not in ids:
                sentence = (
                    f"population '{population.id}' refers to '{other}', which is not a reported "
                    f"population{nearest(other, ids)}"
                )
                raise Misfit(sentence, (*at, *key))
    _check_beads(strategy, gates)


def _populations_of(population: Population) -> Iterator[tuple[str, At]]:
    """Yield the other populations that a population names, with the key of each."""
    yield population.reference, ("reference",)
    for place, other in enumerate(population.anchor):
        yield other, ("anchor", place)


def _check_beads(strategy: StrategyContent, gates: list[str]) -> None:
    """Refuse bead gates and gates of coincidence that are not there, and a cluster elsewhere."""
    if strategy.beads is not None and strategy.beads not in gates:
        sentence = (
            f"beads are counted in gate '{strategy.beads}', which does not "
            f"exist{nearest(strategy.beads, gates)}"
        )
        raise Misfit(sentence, ("beads",))
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
    for axis in strategy.scales:
        yield axis, ("scales", axis)
    for name, threshold in strategy.thresholds.items():
        yield threshold.marker, ("thresholds", name, "marker")
    for name, threshold in strategy.thresholds.items():
        if threshold.negative and threshold.negative.beside:
            yield threshold.negative.beside, ("thresholds", name, "negative", "beside")
    for name, landmark in strategy.landmarks.items():
        for place, axis in enumerate(landmark.axes):
            yield axis, ("landmarks", name, "axes", place)
    for number, gate in enumerate(strategy.gates):
        for axis, key in (*_axes_of(gate), *_axes_of_plot(gate)):
            yield axis, ("gates", number, *key)


def _axes_of(gate: Gate) -> Iterator[tuple[str, At]]:
    """Yield every marker or scatter parameter that defines a gate, with its key."""
    for axis in gate.rectangle or {}:
        yield axis, ("rectangle", axis)
    for name in SHAPES_ON_AXES:
        shape = getattr(gate, name)
        if shape is not None:
            yield shape.x, (name, "x")
            yield shape.y, (name, "y")
    if gate.ratio:
        yield gate.ratio.numerator, ("ratio", "numerator")
        yield gate.ratio.denominator, ("ratio", "denominator")
    if gate.cluster:
        for place, axis in enumerate(gate.cluster.markers):
            yield axis, ("cluster", "markers", place)


def _axes_of_plot(gate: Gate) -> Iterator[tuple[str, At]]:
    """Yield the axes that a gate is drawn on beside those that define it, with their keys."""
    if gate.plot.x is not None:
        yield gate.plot.x, ("plot", "x")
    if gate.plot.y is not None:
        yield gate.plot.y, ("plot", "y")
