"""Say what a map shows: cells of which gate, of which panel, told apart by which markers.

A compartment is a reported population of a strategy in use. The markers by which it is cut out tell
its cells apart no more, and dead or unwanted cells are no matter of a map, so these markers do not
make the map; they are kept beside it, to colour it by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from gating.strategy.gates import SCATTER
from panels.text.errors import UsageFault
from panels.text.spelling import nearest

if TYPE_CHECKING:
    from gating.strategy.gates import Gate
    from gating.strategy.model import Strategy
    from panels.panel import Stain
    from tasks.study.snapshot import StrategyInUse, StudySnapshot

POPULATION_OF: Mapping[str, str] = MappingProxyType({"car_t": "car_any_t"})
"""Compartments that are called otherwise than the population that they are."""
USUAL = ("b_cells", "t_cells", "car_t", "leukocytes")
SPECIMEN = "blood"
"""Marrow is another organ; its cells would lie on no map of blood."""

_UNWANTED = re.compile(r"viab|dump|live.?dead|zombie|7.?aad|dapi|fvs", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Compartment:
    """What one map shows.

    ``markers`` make the map, ``shown`` are all markers of the panel, in its order; ``left_out``
    says by marker why it does not make the map.
    """

    id: str
    population: str
    gate: str
    label: str
    used: StrategyInUse
    markers: tuple[str, ...]
    shown: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def panel(self) -> str:
        """Name the panel whose tubes show the compartment."""
        return self.used.panel.panel


def compartment(snapshot: StudySnapshot, name: str) -> Compartment:
    """Find a compartment by its id or by that of a reported population.

    Raises UsageFault when no strategy in use reports it, or its panel has fewer than two markers
    that tell its cells apart.
    """
    population = POPULATION_OF.get(name, name)
    serving = [used for used in snapshot.strategies.values() if population in used.populations]
    if not serving:
        raise UsageFault(_unknown(snapshot, name))
    used = min(serving, key=lambda each: _preference(each, population))
    reported = used.populations[population]
    reasons = _reasons(used, reported.gate)
    shown = tuple(stain.marker for stain in used.panel.markers)
    markers = tuple(marker for marker in shown if marker not in reasons)
    if len(markers) < 2:
        raise UsageFault(
            f"{name} cannot be mapped: the panel {used.panel.panel} has fewer than two markers "
            f"beside those by which {used.name} cuts these cells out."
        )
    return Compartment(
        name, population, reported.gate, reported.label, used, markers, shown, reasons
    )


def _unknown(snapshot: StudySnapshot, name: str) -> str:
    reported = {each for used in snapshot.strategies.values() for each in used.populations}
    usual = f"; known are {', '.join(USUAL)} and every population that the tables report."
    hint = nearest(name, sorted({*USUAL, *reported})) or usual
    return f"There is no compartment '{name}': no strategy in use reports it{hint}"


def _preference(used: StrategyInUse, population: str) -> tuple[int, int, str]:
    """Prefer the strategy that reports most within a population, then most at all."""
    strategy = used.release.strategy
    gate = used.populations[population].gate
    within = sum(gate in ancestors(strategy, each.gate) for each in strategy.populations)
    return -within, -len(strategy.populations), used.panel.panel


def ancestors(strategy: Strategy, gate: str) -> list[str]:
    """List the gates above a gate, the nearest first."""
    parents, above = strategy.parent_of(), []
    while (gate := parents.get(gate, "root")) != "root":
        above.append(gate)
    return above


def _reasons(used: StrategyInUse, gate: str) -> dict[str, str]:
    """Say of each marker that does not make the map why."""
    cut = defining_markers(used.release.strategy, gate)
    reasons = {}
    for stain in used.panel.markers:
        if stain.marker in cut:
            reasons[stain.marker] = "these cells are cut out by it"
        elif _is_unwanted(stain):
            reasons[stain.marker] = "it marks dead or unwanted cells"
    return reasons


def _is_unwanted(stain: Stain) -> bool:
    return any(_UNWANTED.search(name) for name in (stain.marker, *stain.synonyms))


def defining_markers(strategy: Strategy, gate: str) -> frozenset[str]:
    """Name the markers on which the gates are drawn that lead from all events to a gate.

    Of a polygon that follows a threshold it is the threshold's marker; a gate that combines others
    is led to by all of these.
    """
    gate_of = {name: each for each in strategy.gates for name in each.names}
    markers: set[str] = set()
    waiting, seen = [gate], {"root"}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        markers.update(_cut_by(strategy, gate_of[name]))
        waiting += [gate_of[name].parent, *gate_of[name].combined]
    return frozenset(markers)


def gated_markers(strategy: Strategy) -> frozenset[str]:
    """Name the markers on which any gate of a strategy is drawn."""
    return frozenset(marker for gate in strategy.gates for marker in _cut_by(strategy, gate))


def _cut_by(strategy: Strategy, gate: Gate) -> Iterator[str]:
    """Yield the markers that a gate itself cuts; beads and single cells are told by none."""
    if gate.cluster is not None or gate.ratio is not None:
        return
    if gate.polygon is not None and gate.polygon.follows is not None:
        yield strategy.thresholds[gate.polygon.follows].marker
        return
    yield from (axis for axis in gate.axes if axis not in SCATTER)


def alike_cells(strategy: Strategy, compartment: Compartment) -> dict[str, list[str]]:
    """Name the gates whose cells should be everywhere alike, each with the markers on which.

    These are the strategy's landmarks on their axes; the first of them, where the compartment is no
    part of it, on all markers by which its own cells are not told apart further.
    """
    found: dict[str, dict[str, None]] = {}
    for place, landmark in enumerate(strategy.landmarks.values()):
        if landmark.bright:
            continue
        axes = set(landmark.axes)
        is_part = landmark.gate in {compartment.gate, *ancestors(strategy, compartment.gate)}
        if place == 0 and not is_part:
            axes |= set(compartment.shown) - _cut_below(strategy, landmark.gate)
        markers = [marker for marker in compartment.shown if marker in axes]
        found.setdefault(landmark.gate, {}).update(dict.fromkeys(markers))
    return {gate: list(markers) for gate, markers in found.items() if markers}


def axis_gates(compartment: Compartment) -> dict[str, set[str]]:
    """Give by marker the gates of the landmarks that have it as an axis: cells that carry it."""
    found: dict[str, set[str]] = {}
    for landmark in compartment.used.release.strategy.landmarks.values():
        for axis in () if landmark.bright else landmark.axes:
            found.setdefault(axis, set()).add(landmark.gate)
    return found


def _cut_below(strategy: Strategy, gate: str) -> set[str]:
    below = [
        each for each in strategy.gates if gate in {each.parent, *ancestors(strategy, each.parent)}
    ]
    return {marker for each in below for marker in _cut_by(strategy, each)}
