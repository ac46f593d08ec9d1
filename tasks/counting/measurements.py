"""Hold two measurements of one concentration against each other."""

import math
from dataclasses import dataclass, replace

from tasks.counting.limits import LimitSettings
from tasks.vocabulary.amounts import concentration_text

BATCH_RATE = "the bead rate of batch"
_Z = 2.576
"""Two-sided 99 %: several pairs of every draw are compared."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One concentration of one population in cells/µL.

    ``source`` ties it to a volume; ``variance`` is that of its logarithm.
    """

    source: str
    tube: str
    population: str
    per_ul: float
    variance: float

    @property
    def description(self) -> str:
        """Say who measured what."""
        return f"{concentration_text(self.per_ul)}/µL by {self.source}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two measurements of one population of one draw."""

    one: Measurement
    other: Measurement
    contradicted: bool
    refused: bool

    @property
    def is_by_rate(self) -> bool:
        """Decide whether a bead rate is one of the two."""
        return any(each.source.startswith(BATCH_RATE) for each in (self.one, self.other))

    @property
    def ratio(self) -> float:
        """Give the first value over the second."""
        return self.one.per_ul / self.other.per_ul

    def sentence(self, population: str) -> str:
        """Describe both values and their ratio; ``population`` is the name to call it by."""
        return (
            f"{population}: {self.one.description} against {self.other.description}, "
            f"ratio {self.ratio:.3g}"
        )

    def numbers(self) -> dict[str, object]:
        """Give the comparison as values JSON can hold."""
        return {
            "population": self.one.population,
            "sources": [self.one.source, self.other.source],
            "per_ul": [float(f"{each.per_ul:.6g}") for each in (self.one, self.other)],
            "ratio": float(f"{self.ratio:.6g}"),
            "contradicted": self.contradicted,
            "beyond_refusal": self.refused,
        }


def compare(one: Measurement, other: Measurement, limits: LimitSettings) -> Comparison:
    """Compare two measurements of one population.

    They contradict each other when they differ by more than ``concentration_difference`` and by
    more than their own errors explain; beyond ``concentration_refused`` there is no value, unless
    one of the two is a bead rate.
    """
    difference = abs(math.log(one.per_ul / other.per_ul))
    chance = _Z * math.sqrt(one.variance + other.variance)
    contradicted = difference > max(math.log1p(limits.concentration_difference), chance)
    refused = contradicted and difference > math.log(limits.concentration_refused)
    comparison = Comparison(one, other, contradicted, refused)
    if comparison.is_by_rate:
        return replace(comparison, refused=False)
    return comparison
