"""Count the reported populations of a gated tube, and flag uncertain boundaries.

Cells that never carry a marker give the background of those that do.
"""

from __future__ import annotations

from collections.abc import Mapping

from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.corrections import SOURCE
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.fcs.header import TubeHeader
from gating.strategy.population import Population
from gating.thresholds.measure import NegativeMeasurement
from gating.thresholds.sensitivity import border_share, thresholds_of
from tasks.counting.counts import PopulationCount
from tasks.vocabulary.flags import Flag

MOVED = 1.10
"""A boundary moved by less than this factor is told in thresholds.csv alone."""
SENSITIVE = 0.10
SENSITIVE_EVENTS = 20


def population_counts(
    compiled: Compiled,
    evaluation: Evaluation,
    events: EventSource,
    header: TubeHeader,
    negatives: Mapping[str, NegativeMeasurement],
) -> tuple[PopulationCount, ...]:
    """Count every reported population of a tube.

    ``negatives`` are the tube's negative cells by threshold (empty: none were measured).
    """
    strategy = compiled.strategy
    gate_of = {population.id: population.gate for population in strategy.populations}
    parent_of = strategy.parent_of()
    near = border_share(compiled, evaluation, events, header, tuple(gate_of.values()))

    def count(gate: str) -> int:
        return evaluation.count(compiled.path_of[gate])

    return tuple(
        PopulationCount(
            population=each.id,
            events=count(each.gate),
            parent=parent_of[each.gate],
            parent_events=count(parent_of[each.gate]),
            reference=each.reference,
            reference_events=count(gate_of[each.reference]),
            flags=tuple(
                str(flag) for flag in _flags(compiled, each, near[each.gate], count(each.gate))
            ),
            negatives=_negatives(compiled, each, negatives),
        )
        for each in strategy.populations
    )


def _flags(compiled: Compiled, population: Population, near: float, events: int) -> list[Flag]:
    lineage = thresholds_of(compiled.strategy, population.gate)
    # Who corrected a boundary moved it on purpose, which the flag `corrected` tells.
    resolved = {
        name: compiled.resolved[name]
        for name in lineage
        if name in compiled.resolved and compiled.resolved[name].source != SOURCE
    }
    ratios = [
        each.value / compiled.strategy.thresholds[name].value for name, each in resolved.items()
    ]
    flags = (
        [Flag.THRESHOLD_MOVED] if any(not 1 / MOVED <= ratio <= MOVED for ratio in ratios) else []
    )
    if not all(each.proven for each in resolved.values()):
        flags.append(Flag.THRESHOLD_UNPROVEN)
    if near > SENSITIVE and events >= SENSITIVE_EVENTS:
        flags.append(Flag.THRESHOLD_SENSITIVE)
    return flags


def _negatives(
    compiled: Compiled, population: Population, negatives: Mapping[str, NegativeMeasurement]
) -> tuple[int, int] | None:
    """Give how many of the tube's negative cells reach a population's boundary, and of how many.

    None for a population whose background does not come from negative cells.
    """
    if population.background != "negative":
        return None
    gate = next(gate for gate in compiled.strategy.gates if population.gate in gate.names)
    measured = [
        (negatives[name], compiled.value_of(name))
        for name in sorted(gate.thresholds)
        if name in negatives
    ]
    return (measured[0][0].reaching(measured[0][1]), measured[0][0].events) if measured else None
