"""Define a gating strategy: one version of a hierarchy, which a biologist can review line by line.

A strategy names markers; a panel says on which detector each is read. Bounds are linear,
compensated intensities on a scale that ends at 262144 (a file whose ``$PnR`` differs has its bounds
scaled by ``$PnR``/262144), so that the same number can be read off any cytometer's own display. A
named threshold is written once and used by every gate that needs that boundary.
"""

from dataclasses import dataclass

from pydantic import model_validator

from gating.strategy.coherence import check_coherence
from gating.strategy.content import StrategyContent


class Strategy(StrategyContent):
    """One version of a gating strategy whose parts fit together."""

    @model_validator(mode="after")
    def _hangs_together(self) -> "Strategy":
        check_coherence(self)
        self._count_stains()
        return self

    def _count_stains(self) -> None:
        stained = {each.gate for each in self.populations if each.background == "baseline"}
        any_of = {gate.gate: stained.intersection(gate.any_of or ()) for gate in self.gates}
        for each in self.populations:
            each._stains = max(1, len(any_of.get(each.gate, ())))  # noqa: SLF001 - frozen once set


@dataclass(frozen=True, slots=True)
class Release:
    """A strategy together with the SHA-256 of its canonical content."""

    strategy: Strategy
    sha256: str
