"""Put the boundaries that a person set for one tube in the place of those that were found there.

A person reads numbers off the tube's own axes, so corrections are in the file's linear units
(``$PnR``). Nothing else of the tube moves with them: the other thresholds stay where the tube's own
events put them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gating.evaluation.resolved import Resolved

if TYPE_CHECKING:
    from gating.evaluation.compiled_strategy import Compiled
    from gating.strategy.gates import Gate
    from gating.strategy.model import Strategy

SOURCE = "corrected"
"""The source of a threshold that a person set; no strategy can name it."""
Vertices = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Corrections:
    """The boundaries of one tube that a person set, in the file's linear units.

    ``thresholds`` are values by name, ``gates`` the vertices of polygons by gate; ``rationale``
    says of each who set it and why.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    gates: Mapping[str, Vertices] = field(default_factory=dict)
    rationale: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.thresholds or self.gates)

    def resolved(self, compiled: Compiled) -> dict[str, Resolved]:
        """Give the corrected thresholds as they hold in a tube, in the strategy's linear units."""
        declared = compiled.strategy.thresholds
        return {
            name: Resolved(
                value / compiled.factor(declared[name].marker),
                SOURCE,
                self.rationale.get(name, ""),
            )
            for name, value in self.thresholds.items()
        }

    def redrawn(self, compiled: Compiled) -> Strategy:
        """Give the strategy with the polygons that a person drew in the tube.

        Such a polygon stays where it was drawn: it follows no threshold any more.
        """
        strategy = compiled.strategy
        if not self.gates:
            return strategy
        gates = tuple(
            _redrawn(compiled, gate, self.gates[gate.gate]) if gate.gate in self.gates else gate
            for gate in strategy.gates
        )
        return strategy.model_copy(update={"gates": gates})


NO_CORRECTIONS = Corrections()


def _redrawn(compiled: Compiled, gate: Gate, vertices: Vertices) -> Gate:
    polygon = gate.polygon
    if polygon is None:
        return gate
    across, up = compiled.factor(polygon.x), compiled.factor(polygon.y)
    moved = tuple((x / across, y / up) for x, y in vertices)
    drawn = polygon.model_copy(update={"vertices": moved, "follows": None})
    return gate.model_copy(update={"polygon": drawn})
