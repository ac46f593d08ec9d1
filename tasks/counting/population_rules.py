"""State what the counting needs to know of the populations that a strategy reports."""

from collections.abc import Mapping
from typing import Literal, Protocol

from panels.text.errors import StrategyFault
from tasks.counting.counts import TubeCounts


class PopulationRule(Protocol):
    """What the counting needs to know of a reported population, as strategies state it."""

    @property
    def id(self) -> str: ...
    @property
    def anchor(self) -> tuple[str, ...]: ...
    @property
    def minimum_parent_events(self) -> int: ...
    @property
    def detect_events(self) -> int | None: ...
    @property
    def quantify_events(self) -> int | None: ...
    @property
    def clinical_threshold_per_ul(self) -> float | None: ...
    @property
    def background(self) -> Literal["none", "baseline", "negative"]: ...
    @property
    def specimens(self) -> tuple[str, ...]: ...
    @property
    def stains(self) -> int: ...


Rules = Mapping[str, Mapping[str, PopulationRule]]
"""Strategy (``bcell@1.0.0``) → population id → rule, in the strategy's order."""


def rules_of(tube: TubeCounts, rules: Rules) -> Mapping[str, PopulationRule]:
    """Give the rules of the strategy a tube was counted with.

    Raises StrategyFault when the strategy is not among ``rules``.
    """
    if tube.strategy not in rules:
        raise StrategyFault(
            f"{tube.identity.file}: its counts come from strategy {tube.strategy}, which is "
            f"not among the strategies of this study "
            f"({', '.join(sorted(rules)) or 'none'}). Name it in study.yaml or count the tube "
            f"again."
        )
    return rules[tube.strategy]


def reported_rules(tube: TubeCounts, rules: Rules) -> list[PopulationRule]:
    """List the rules of the populations that give rows for a tube, in the strategy's order.

    A population without a count was not measured; one that is not reported from the tube's specimen
    gives no row either.
    """
    return [
        rule
        for rule in rules_of(tube, rules).values()
        if rule.id in tube.counts and tube.identity.specimen in rule.specimens
    ]
