"""Hold one tube gated with a draft, and gate it again as often as a number of the draft moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gating.display.draw_tube import outlines_with
from gating.thresholds.live_strategy import LiveStrategy
from tasks.publish.tube_data import polyline, tube_document, value_and_place
from tasks.tubes.gate_tube import ReferenceLookup, gate_tube
from tasks.tubes.gating_page import drawing_of, tube_findings, tube_head
from tasks.tubes.reference_tubes import needs_references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gating.display.tube_drawing import DrawnAxis
    from gating.evaluation.compiled_strategy import Compiled
    from gating.evaluation.engine import Evaluation
    from gating.thresholds.apply import Applied
    from gating.thresholds.reference_measurements import ReferenceMeasurements
    from tasks.drafts.candidate import Candidate
    from tasks.drafts.references import References
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StrategyInUse

Outlines = list[list[list[float]]]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a page draws of a tube that moves with a draft, by name of gate and threshold."""

    gates: dict[str, tuple[int, int]]
    outlines: dict[str, Outlines]
    thresholds: dict[str, Document]


class LaidOutTube:
    """A tube of the archive, gated as a night would gate it with the draft as it is kept.

    Raises TubeFault where it cannot be gated, OSError where its file cannot be reached.
    """

    def __init__(self, candidate: Candidate, tube: Tube, references: References) -> None:
        study = candidate.snapshot.study
        self.tube = tube
        used = candidate.used_for(tube)
        gated = gate_tube(study, tube, used, references(used), corrections=())
        drawing = drawing_of(gated)
        self.events = gated.events.count
        self.compiled: Compiled = gated.compiled
        self.axes: Sequence[DrawnAxis] = drawing.axes
        self.calibration = gated.calibrated.calibration
        self.value: Document = tube_document(
            tube_head(tube, gated), tube_findings(gated), gated.compiled, drawing
        )
        self._live = LiveStrategy(
            gated.compiled, gated.evaluation, gated.match, gated.header, gated.events
        )
        self._kept = self._shown(gated.compiled, gated.evaluation)

    def as_counted(self, candidate: Candidate, references: References) -> Document | None:
        """Give the tube as it counts now, on the same axes; None where it is not counted.

        ``references`` are those of now. What persons corrected in it is left out.
        """
        today = candidate.today
        if today is None or self.tube.file.state != "counted":
            return None
        calibrated = today.for_tube(self.tube)
        shown = self._shown_by(candidate, today, references)
        return {
            "strategy": today.name,
            "calibration": calibrated.calibration,
            "gates": {
                name: {
                    "events": events,
                    "parent_events": parent,
                    "outlines": shown.outlines.get(name, []),
                }
                for name, (events, parent) in shown.gates.items()
            },
            "thresholds": shown.thresholds,
        }

    def moved(self, candidate: Candidate, references: References) -> Document:
        """Give what is another one when a draft with other numbers gates the tube."""
        shown = self._shown_by(candidate, candidate.used_for(self.tube), references)
        return {
            "gates": {name: list(each) for name, each in shown.gates.items()},
            "outlines": {
                name: lines
                for name, lines in shown.outlines.items()
                if lines != self._kept.outlines.get(name)
            },
            "thresholds": {
                name: each
                for name, each in shown.thresholds.items()
                if each != self._kept.thresholds.get(name)
            },
        }

    def gated_by(
        self, candidate: Candidate, used: StrategyInUse, references: References
    ) -> Applied:
        """Gate the tube again, with what ``used`` has for it."""
        calibrated = used.for_tube(self.tube)
        study, identity = candidate.snapshot.study, self.tube.identity

        def fetch() -> ReferenceMeasurements:
            return ReferenceLookup(study, identity, used, calibrated, references(used)).fetch()

        needed = needs_references(calibrated.strategy)
        return self._live.applied(calibrated.strategy, fetch if needed else None)

    def _shown_by(
        self, candidate: Candidate, used: StrategyInUse, references: References
    ) -> _Shown:
        applied = self.gated_by(candidate, used, references)
        return self._shown(applied.compiled, applied.evaluation)

    def _shown(self, compiled: Compiled, evaluation: Evaluation) -> _Shown:
        """Give what a page draws, on the axes of the tube.

        An outline of another strategy that scales its axes otherwise lies nowhere on them.
        """
        path_of, scales = compiled.path_of, self.compiled.strategy.scale_of
        return _Shown(
            gates={
                name: (evaluation.count(path_of[name]), evaluation.count(path_of[parent]))
                for name, parent in compiled.strategy.parent_of().items()
            },
            outlines={
                name: [polyline(line, on) for line in lines]
                for name, (lines, on) in outlines_with(compiled, self.axes).items()
                if all(compiled.strategy.scale_of(each.name) == scales(each.name) for each in on)
            },
            thresholds={
                each.threshold: {
                    "value": value_and_place(
                        compiled, each.marker, each.value / compiled.factor(each.marker)
                    ),
                    "source": each.source,
                }
                for each in compiled.thresholds
            },
        )
