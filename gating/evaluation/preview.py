"""Count a tube with boundaries moved, quickly enough to follow a hand that drags one.

Which gates hold an event depends on that event alone, so only the events that a boundary moved over
are evaluated again (gating/evaluation/moved_events.py), or, where these are many, only the gates
that use it and those below. Columns are compensated once and held: 8 bytes an event and channel
that was needed so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import Evaluation, evaluate_again
from gating.evaluation.gate_order import parents_first
from gating.evaluation.moved_events import moved_events

if TYPE_CHECKING:
    import flowkit

    from gating.evaluation.compiled_strategy import Compiled
    from gating.evaluation.corrections import Corrections
    from gating.evaluation.gate_membership import Key
    from gating.fcs.event_source import EventSource, Rows, Some
    from gating.fcs.header import TubeHeader
    from gating.strategy.model import Strategy
    from panels.panel import PanelMatch


MANY = 0.2
"""From this share of a tube's events on it is quicker to evaluate the moved gates on all events."""


class HeldChannels(Channels):
    """The linear values of a tube's channels, each compensated once for all events and kept."""

    def __init__(
        self, gating: flowkit.GatingStrategy, events: EventSource, header: TubeHeader
    ) -> None:
        super().__init__(gating, events, header)
        self._held: dict[Key, np.ndarray] = {}

    def linear(self, wanted: Sequence[Key], rows: Some) -> list[np.ndarray]:
        """Give one linear column for each (channel index, compensation) wanted."""
        missing = [key for key in dict.fromkeys(wanted) if key not in self._held]
        if missing:
            self._held.update(zip(missing, super().linear(missing, None), strict=True))
        columns = [self._held[key] for key in wanted]
        return columns if rows is None else [column[rows] for column in columns]


class Preview:
    """A tube that was gated, ready to be counted again with boundaries moved.

    ``compiled`` and ``evaluation`` are the tube as it counts now, ``match`` is its panel's.
    """

    def __init__(
        self,
        compiled: Compiled,
        evaluation: Evaluation,
        match: PanelMatch,
        header: TubeHeader,
        events: EventSource,
    ) -> None:
        self._compiled = compiled
        self._evaluation = evaluation
        self._match = match
        self._header = header
        self._channels = HeldChannels(compiled.gating, events, header)

    def moved(self, corrections: Corrections) -> Evaluation:
        """Give the tube's evaluation with some boundaries moved, all others as they count now.

        It is that of a whole evaluation, event for event, but where rounding in the compensation
        decides. Raises as compiling and evaluating do.
        """
        compiled = self.compiled_with(corrections)
        rows = self._moved_events(compiled, corrections)
        if rows is None:
            return self._gates_again(compiled, corrections)
        anew = evaluate_again(compiled.gating, self._channels, rows)
        untouched = np.ones(anew.total, dtype=bool)
        untouched[rows] = False
        before = self._evaluation
        merged = {
            path: np.sort(np.concatenate([held[untouched[held]], anew.rows[path]])).astype(
                held.dtype
            )
            for path, held in before.rows.items()
        }
        return Evaluation(total=before.total, rows=merged, root=before.root)

    def counts(self, corrections: Corrections) -> dict[str, int]:
        """Count the reported populations with some boundaries moved."""
        of_gates = self.gate_counts(corrections)
        populations = self._compiled.strategy.populations
        return {each.id: of_gates[each.gate] for each in populations}

    def gate_counts(self, corrections: Corrections) -> dict[str, int]:
        """Count every gate, by its name, with some boundaries moved."""
        compiled = self.compiled_with(corrections)
        rows = self._moved_events(compiled, corrections)
        if rows is None:
            evaluation = self._gates_again(compiled, corrections)
            return {name: evaluation.count(path) for name, path in compiled.path_of.items()}
        anew = evaluate_again(compiled.gating, self._channels, rows)
        before = evaluate_again(self._compiled.gating, self._channels, rows)
        return {
            name: self._evaluation.count(path) - before.count(path) + anew.count(path)
            for name, path in compiled.path_of.items()
        }

    def compiled_with(self, corrections: Corrections) -> Compiled:
        """Give the tube's gates with some boundaries moved."""
        compiled = self._compiled
        resolved = {**compiled.resolved, **corrections.resolved(compiled)}
        strategy = corrections.redrawn(compiled)
        return compile_strategy(strategy, self._match, self._header, resolved, compiled.beads)

    def _moved_events(self, compiled: Compiled, corrections: Corrections) -> Rows | None:
        """Give the events that a boundary moved over; None where they are many."""
        rows = moved_events(self._compiled, compiled, corrections, self._channels)
        if len(rows) > MANY * self._evaluation.total:
            return None
        root = self._evaluation.root
        return rows if root is None else np.intersect1d(rows, root, assume_unique=True)

    def _gates_again(self, compiled: Compiled, corrections: Corrections) -> Evaluation:
        """Evaluate the gates again that use a moved boundary, and those below them."""
        moved = moved_gates(compiled.strategy, corrections)
        before = self._evaluation
        known = {path: rows for path, rows in before.rows.items() if path[-1] not in moved}
        return evaluate_again(compiled.gating, self._channels, before.root, known)


def moved_gates(strategy: Strategy, corrections: Corrections) -> set[str]:
    """Name the gates that use a moved boundary, and those below or combined of them."""
    moved: set[str] = set()
    for gate in parents_first(strategy):
        uses = gate.gate in corrections.gates or gate.thresholds & set(corrections.thresholds)
        if uses or moved & {gate.parent, *gate.combined}:
            moved.update(gate.names)
    return moved
