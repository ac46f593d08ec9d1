"""Hold what one run needs to know of a study, read once.

These are its settings, sheets, strategies and panels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gating.calibration.choice import TubeInstrument

if TYPE_CHECKING:
    from gating.strategy.calibrated import CalibratedStrategy
    from gating.strategy.instrument_numbers import InstrumentNumbers
    from gating.strategy.model import Release
    from gating.strategy.population import Population
    from panels.catalogue import PanelVersion
    from panels.panel import Panel
    from tasks.counting.volume import CountMethod
    from tasks.sheets.csv_table import SheetProblem
    from tasks.sheets.drugs import Exposure
    from tasks.sheets.patients import PatientSheet
    from tasks.store.tubes import Tube
    from tasks.study.folder import Study


@dataclass(frozen=True, slots=True)
class StrategyInUse:
    """What a panel's tubes are counted with: a released strategy and a version of the panel.

    ``numbers`` are those of the instruments that have a calibration for the panel.
    """

    release: Release
    defined: PanelVersion
    numbers: InstrumentNumbers

    @property
    def panel(self) -> Panel:
        """Give the panel's definition."""
        return self.defined.panel

    @property
    def panel_sha256(self) -> str:
        """Give the hash of the panel's content."""
        return self.defined.sha256

    @property
    def name(self) -> str:
        """Give the strategy as ``name@1.0.0``."""
        return self.release.strategy.name

    @property
    def populations(self) -> Mapping[str, Population]:
        """Map each reported population to its rules, in the strategy's order."""
        return {population.id: population for population in self.release.strategy.populations}

    def for_tube(self, tube: Tube) -> CalibratedStrategy:
        """Give the strategy with the numbers of the instrument that acquired a tube."""
        identity = tube.identity
        return self.numbers.for_tube(
            TubeInstrument(
                named=identity.instrument or None,
                cytometer=tube.cytometer or None,
                serial=tube.serial or None,
                collected_on=identity.drawn_on,
                batch=identity.batch,
            )
        )


@dataclass(frozen=True, slots=True)
class StudySnapshot:
    """A study as it was when a run began to count: what follows in the run is made of this alone.

    ``strategies`` are by panel, ``exposures`` (courses of drugs) by patient; ``drug_problems`` are
    the lines of drugs.csv that could not be read.
    """

    study: Study
    patients: PatientSheet
    exposures: Mapping[str, Sequence[Exposure]]
    drug_problems: Sequence[SheetProblem]
    strategies: Mapping[str, StrategyInUse]

    def versions(self) -> dict[str, str]:
        """Map each panel to the strategy that counts it, as ``name@1.0.0``."""
        return {panel: used.name for panel, used in self.strategies.items()}

    def panel_contents(self) -> dict[str, str]:
        """Map each panel to the SHA-256 of its content."""
        return {panel: used.panel_sha256 for panel, used in self.strategies.items()}

    def calibrations(self, tubes: Iterable[Tube]) -> dict[str, str]:
        """Map tubes to the SHA-256 of the calibration that counts them now.

        It is empty where the strategy's own numbers do; tubes of a panel without strategy are left
        out.
        """
        return {
            tube.identity.tube_sha256: self.strategies[tube.identity.panel].for_tube(tube).sha256
            for tube in tubes
            if tube.identity.panel in self.strategies
        }

    def populations(self) -> dict[str, Mapping[str, Population]]:
        """Map each strategy in use to its reported populations and their rules."""
        return {used.name: used.populations for used in self.strategies.values()}

    def counting(self) -> dict[str, tuple[CountMethod, ...]]:
        """Map each panel to the ways in which its counts may become concentrations."""
        return {panel: used.panel.counting for panel, used in self.strategies.items()}

    def labels(self) -> dict[str, str]:
        """Map each reported population to its name on pages."""
        return {
            population.id: population.label
            for used in self.strategies.values()
            for population in used.populations.values()
        }

    def gates(self) -> dict[tuple[str, str], str]:
        """Map each strategy and reported population to the gate that holds the population."""
        return {
            (strategy, population.id): population.gate
            for strategy, populations in self.populations().items()
            for population in populations.values()
        }

    def with_strategy(self, panel: str, used: StrategyInUse) -> StudySnapshot:
        """Give the study as it would be if another strategy counted one of its panels."""
        return replace(self, strategies={**self.strategies, panel: used})
