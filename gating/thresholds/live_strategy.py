"""Apply strategies to a tube again and again, as often as a hand moves a number of one.

It is what ``apply_strategy`` gives, event for event but where rounding in the compensation decides:
thresholds are measured and resolved anew. Only gates that are another than before, and those that
depend on them, are evaluated; compensated columns are held (``gating.evaluation.preview``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gating.evaluation.compile import compile_strategy, with_thresholds
from gating.evaluation.engine import Evaluation, evaluate_again
from gating.evaluation.gate_order import parents_first
from gating.evaluation.preview import HeldChannels
from gating.thresholds.apply import Applied, beads_of, resolved_in
from gating.thresholds.measure import is_measured, measure_on

if TYPE_CHECKING:
    from gating.beads.finding import BeadFinding
    from gating.evaluation.compiled_strategy import Compiled
    from gating.fcs.event_source import EventSource
    from gating.fcs.header import TubeHeader
    from gating.strategy.gates import Gate
    from gating.strategy.model import Strategy
    from gating.thresholds.reference_measurements import ReferenceMeasurements
    from panels.panel import PanelMatch


class LiveStrategy:
    """A tube that was gated, ready to be gated with other numbers, or by another strategy.

    ``compiled`` and ``evaluation`` are the tube as it was gated, ``match`` is its panel's.
    """

    def __init__(
        self,
        compiled: Compiled,
        evaluation: Evaluation,
        match: PanelMatch,
        header: TubeHeader,
        events: EventSource,
    ) -> None:
        self._compiled, self._evaluation = compiled, evaluation
        self._match, self._header, self._events = match, header, events
        self._channels = HeldChannels(compiled.gating, events, header)

    def applied(
        self, strategy: Strategy, fetch_references: Callable[[], ReferenceMeasurements] | None
    ) -> Applied:
        """Gate the tube by a strategy of the same panel; all else is as in ``apply_strategy``."""
        beads = self._beads(strategy)
        compiled = compile_strategy(strategy, self._match, self._header, beads=beads)
        evaluation = self._evaluated(compiled, self._compiled, self._evaluation)
        if not is_measured(strategy):
            return Applied(compiled, evaluation, {}, beads)
        measurements = measure_on(self._channels, compiled, evaluation)
        resolved = resolved_in(strategy, measurements, fetch_references)
        if all(each.value == strategy.thresholds[name].value for name, each in resolved.items()):
            final = with_thresholds(replace(compiled, resolved=resolved))
            return Applied(final, evaluation, measurements, beads)
        final = compile_strategy(strategy, self._match, self._header, resolved, beads)
        evaluation = self._evaluated(final, compiled, evaluation)
        return Applied(final, evaluation, measurements, beads)

    def _beads(self, strategy: Strategy) -> BeadFinding:
        """Give the beads of the tube; they are found again where a strategy looks for others."""
        before = self._compiled.strategy
        looked_for = (before.beads is None, before.bead_cluster)
        if (strategy.beads is None, strategy.bead_cluster) == looked_for:
            return self._compiled.beads
        rows = self._evaluation.root
        return beads_of(strategy, self._match, self._header, self._events, rows)

    def _evaluated(self, compiled: Compiled, near: Compiled, evaluation: Evaluation) -> Evaluation:
        """Evaluate the gates that are not those of ``near``, whose evaluation is given."""
        known = {
            compiled.path_of[name]: evaluation.rows[near.path_of[name]]
            for name in unchanged_gates(near, compiled)
        }
        return evaluate_again(compiled.gating, self._channels, evaluation.root, known)


def unchanged_gates(one: Compiled, other: Compiled) -> set[str]:
    """Name the gates that hold the same events of a tube in two strategies, surely.

    They have the same shape at the same place, under parents and of gates that do so too.
    """
    before = {gate.gate: gate for gate in one.strategy.gates}
    same = {"root"}
    for gate in parents_first(other.strategy):
        if same.issuperset((gate.parent, *gate.combined)):
            old = before.get(gate.gate)
            if old is not None and _is_same(old, gate, one, other):
                same.update(gate.names)
    return same - {"root"}


def _is_same(old: Gate, gate: Gate, one: Compiled, other: Compiled) -> bool:
    """Tell whether a gate has the same shape, at the same place and on the same scales."""
    if old != gate or (gate.cluster is not None and one.beads is not other.beads):
        return False
    if any(one.strategy.scale_of(axis) != other.strategy.scale_of(axis) for axis in gate.axes):
        return False
    if gate.polygon is not None:
        return one.vertices(gate.polygon) == other.vertices(gate.polygon)
    return all(one.value_of(name) == other.value_of(name) for name in gate.thresholds)
