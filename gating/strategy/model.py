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
        by_name = {gate.gate: gate for gate in self.gates}
        for each in self.populations:
            gate = by_name.get(each.gate)
            any_of = stained.intersection(gate.any_of or () if gate else ())
            all_of = stained.intersection(gate.all_of or () if gate else ())
            # Cells that shine in two stains by chance are one in some millions.
            stains = 0 if len(all_of) > 1 else max(1, len(any_of))
            each._stains = stains  # noqa: SLF001 - frozen once set


@dataclass(frozen=True, slots=True)
class Release:
    """A strategy together with the SHA-256 of its canonical content."""

    strategy: Strategy
    sha256: str
