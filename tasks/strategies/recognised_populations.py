"""Recognise the populations among the gates of another program, by their names and their markers.

What is recognised is proposed as reported, with the reference and the anchor that the shipped
strategies give it; the other gates stay unreported and are listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gating.exchange.import_gates import Imported
from gating.strategy.catalogue import load_strategy
from gating.strategy.population import Population
from panels.panel import Panel, plain
from panels.text.errors import UsageFault
from tasks.strategies.marker_signs import drawn_signs, named_signs
from tasks.vocabulary.population_names import (
    RECOGNISED,
    PopulationSigns,
    plain_population_name,
)
from tasks.vocabulary.populations import ANCHORS, LEUKOCYTES, LYMPHOCYTES, population_rank

SHIPPED = ("bcell", "cart", "tbnk")
TELLING = frozenset(
    plain(sign[:-1]) for each in RECOGNISED for sign in (*each.signs, *each.may)
) | {"CD21", "CD56", "CD16"}
"""The markers that tell populations apart; others (viability, scatter) tell nothing."""
LINEAGES = ("b_cells", "t_cells")
HOW = (
    "recognised by its name",
    "recognised by the markers in its name",
    "recognised by the markers it is drawn on",
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """One gate that was recognised: the population it is, and how."""

    population: str
    gate: str
    how: str


@dataclass(frozen=True, slots=True)
class ProposedPopulations:
    """The populations proposed for an imported strategy, and what a person must look at.

    ``unclear`` are sentences on gates of which several could be one population, or whose name and
    markers contradict each other; ``unreported`` are the names of all other gates.
    """

    populations: tuple[dict[str, Any], ...]
    recognised: tuple[Recognised, ...]
    unclear: tuple[str, ...]
    unreported: tuple[str, ...]


def propose_populations(
    imported: Imported, panel: Panel, wanted: Sequence[str] = ()
) -> ProposedPopulations:
    """Propose the populations that an imported strategy reports.

    ``wanted`` are gates to report whatever they are, by their name in the document or here, each
    with ``=ID`` behind it where the population is to have another id than the gate's name. Raises
    UsageFault for a gate that is not there.
    """
    gates = _Gates.of(imported, panel)
    for each in wanted:
        gates.report(each)
    for signs in RECOGNISED:
        if signs.id not in gates.found:
            gates.recognise(signs)
    found = sorted(gates.found.values(), key=lambda each: population_rank(each.population))
    rules = _shipped_rules()
    ids = [each.population for each in found]
    return ProposedPopulations(
        populations=tuple(
            _proposed(rules.get(each.population), each, ids, gates) for each in found
        ),
        recognised=tuple(found),
        unclear=tuple(gates.unclear),
        unreported=tuple(
            name for name in gates.called if name not in {each.gate for each in found}
        ),
    )


@dataclass(slots=True)
class _Gates:
    """The gates of an imported strategy, with the markers that each keeps high or low."""

    called: Mapping[str, str]
    parent_of: Mapping[str, str]
    drawn: Mapping[str, dict[str, str]]
    named: Mapping[str, dict[str, str]]
    found: dict[str, Recognised] = field(default_factory=dict)
    unclear: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, imported: Imported, panel: Panel) -> _Gates:
        called = {gate: path[-1] for path, gate in imported.name_of.items()}
        documents = {gate["gate"]: gate for gate in imported.document["gates"]}
        drawn = {name: drawn_signs(name, documents) for name in called}
        markers = [*(stain.marker for stain in panel.markers)]
        return cls(
            called=called,
            parent_of={name: gate["parent"] for name, gate in documents.items()},
            drawn=drawn,
            named={name: named_signs(text, markers) for name, text in called.items()},
        )

    def report(self, wanted: str) -> None:
        """Report a gate because the user says so: ``GATE`` or ``GATE=ID``."""
        name, _, population = wanted.rpartition("=") if "=" in wanted else (wanted, "", "")
        fitting = [gate for gate, called in self.called.items() if name in {gate, called}]
        if len(fitting) != 1:
            found = (
                "is the name of several gates" if fitting else "is no gate that was carried over"
            )
            raise UsageFault(
                f"--report {wanted}: '{name}' {found}. Gates: {', '.join(self.called)}."
            )
        population = population or fitting[0]
        if not population.isidentifier():
            raise UsageFault(
                f"--report {wanted}: '{population}' is no id: use letters, digits, '_'."
            )
        self.found[population] = Recognised(population, fitting[0], "named with --report")

    def recognise(self, signs: PopulationSigns) -> None:
        """Find the gate that is a population, if there is one; of several the best told."""
        ranks = {name: self._rank(name, signs) for name in self.called}
        told = {name: rank for name, rank in ranks.items() if rank is not None}
        if not told:
            return
        lineage = signs.id in LINEAGES
        order = sorted(told, key=lambda name: self._order(name, told, lineage=lineage))
        best = order[0]
        rivals = [name for name in order[1:] if told[name] <= told[best]]
        if rivals:
            self.unclear.append(
                f"{' and '.join(self.called[each] for each in (best, *rivals))} could all be "
                f"{signs.id}: {self.called[best]} was taken. Decide which one is meant."
            )
        self.found[signs.id] = Recognised(signs.id, best, HOW[told[best]])

    def _order(
        self, name: str, told: Mapping[str, int], *, lineage: bool
    ) -> tuple[bool, int, int, int]:
        """Prefer what is told best, then the gate on which most others stand.

        Of a lineage, a gate on which its subsets stand goes before one on which none does.
        """
        better = {other for other, rank in told.items() if rank < told[name]}
        below = sum(
            1
            for other in self.called
            if name in self.above(other) and not better & {other, *self.above(other)}
        )
        return lineage and not below, told[name], -below, -len(self.drawn[name])

    def _rank(self, name: str, signs: PopulationSigns) -> int | None:
        """Tell how a gate is recognised as a population (an index of ``HOW``); None: it is not."""
        if any(each.gate == name for each in self.found.values()):
            return None
        rank = self._rank_of_name(name, signs)
        drawn = self._together(name, self.drawn, signs.lineage)
        wrong = _contradiction(signs, drawn)
        if rank is not None and wrong:
            self.unclear.append(
                f"{self.called[name]} has the name of {signs.id}, but keeps {wrong}: it is not "
                f"reported. Correct the name or the gate, or list it yourself."
            )
            return None
        below = signs.lineage is None or self._is_below(name, signs.lineage)
        if rank is None and below and _tells(signs, drawn, self.drawn[name]):
            return 2
        return rank

    def _rank_of_name(self, name: str, signs: PopulationSigns) -> int | None:
        written = plain_population_name(self.called[name])
        below = signs.lineage is None or self._is_below(name, signs.lineage)
        if signs.id == self.called[name] or written in signs.names:
            return 0
        if below and written in signs.words:
            return 0
        together = self._together(name, self.named, signs.lineage)
        return 1 if below and _tells(signs, together, self.named[name]) else None

    def _is_below(self, name: str, lineage: str) -> bool:
        """Tell whether a gate lies below the gate of a lineage, or beside one on its cells."""
        of = self.found.get(lineage)
        if of is not None and of.gate in self.above(name):
            return True
        marker = {"b_cells": "CD19", "t_cells": "CD3"}[lineage]
        above = self._together(name, self.drawn, None)
        return above.get(marker) == "+"

    def above(self, name: str) -> Iterator[str]:
        """Yield the gates above one, the nearest first."""
        above = self.parent_of.get(name, "root")
        while above != "root":
            yield above
            above = self.parent_of.get(above, "root")

    def _together(
        self, name: str, each: Mapping[str, dict[str, str]], lineage: str | None
    ) -> dict[str, str]:
        """Give what a gate and those above it, up to its lineage's gate, keep high or low."""
        stop = self.found[lineage].gate if lineage in self.found else None
        signs: dict[str, str] = {}
        for gate in (name, *self.above(name)):
            if gate == stop:
                break
            signs = {**each.get(gate, {}), **signs}
        return signs


def _tells(signs: PopulationSigns, together: Mapping[str, str], own: Mapping[str, str]) -> bool:
    """Tell whether markers are those of a population, the last of them drawn by the gate itself."""
    needed = {plain(sign[:-1]): sign[-1] for sign in signs.signs}
    allowed = needed | {plain(sign[:-1]): sign[-1] for sign in signs.may}
    telling = {marker: sign for marker, sign in together.items() if marker in TELLING}
    whole = bool(needed) and needed.items() <= telling.items()
    return whole and telling.items() <= allowed.items() and bool(needed.keys() & own.keys())


def _contradiction(signs: PopulationSigns, drawn: Mapping[str, str]) -> str:
    """Say which marker a gate keeps on the side that its population has not."""
    for sign in signs.signs:
        marker, wanted = sign[:-1], sign[-1]
        kept = drawn.get(plain(marker))
        if kept is not None and kept != wanted:
            return f"{marker}{kept}"
    return ""


def _shipped_rules() -> dict[str, Population]:
    """Give the rules of each population in the newest shipped strategy that reports it."""
    rules: dict[str, Population] = {}
    for name in SHIPPED:
        for each in load_strategy(name).strategy.populations:
            rules.setdefault(each.id, each)
    return rules


def _proposed(
    rule: Population | None, found: Recognised, ids: Sequence[str], gates: _Gates
) -> dict[str, Any]:
    """Write one population with the shipped rules, as far as its references were recognised."""
    known = {each.gate: each.population for each in gates.found.values()}
    above = [known[gate] for gate in gates.above(found.gate) if gate in known]
    called = gates.called[found.gate]
    anchors = [each for each in (rule.anchor if rule else ()) if each in ids]
    # An analyser counts leukocytes and lymphocytes alone, so one of them has to be among them.
    if not {LEUKOCYTES, LYMPHOCYTES} & set(anchors):
        anchors += [each for each in above if each in ANCHORS and each not in anchors][-1:]
    if not anchors and found.population in ANCHORS:
        anchors = [found.population]
    reference = next(iter(above), found.population)
    if rule is None:
        return _population(found, called, reference, anchors)
    if rule.reference in ids:
        reference = rule.reference
    label = rule.label.partition(" (")[0].partition(",")[0]
    if called != label:
        label = f"{label} ({called})"
    return _population(found, label, reference, anchors) | _limits(rule)


def _population(
    found: Recognised, label: str, reference: str, anchors: Sequence[str]
) -> dict[str, Any]:
    return {
        "id": found.population,
        "gate": found.gate,
        "label": label,
        "reference": reference,
        "anchor": list(anchors),
    }


def _limits(rule: Population) -> dict[str, Any]:
    """Give the limits of a shipped population that hold for the same cells gated otherwise."""
    limits: dict[str, Any] = {}
    if rule.minimum_parent_events:
        limits["minimum_parent_events"] = rule.minimum_parent_events
    if rule.clinical_threshold_per_ul is not None:
        limits["clinical_threshold_per_ul"] = rule.clinical_threshold_per_ul
    if rule.specimens != ("blood", "marrow"):
        limits["specimens"] = list(rule.specimens)
    return limits
