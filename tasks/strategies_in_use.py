"""Resolve which released strategy and which panel count the tubes of a study."""

from collections.abc import Mapping
from dataclasses import dataclass

from gating.catalogue import load_strategy
from gating.strategy import Population, Release
from panels.catalogue import load_panel
from panels.errors import SettingsFault
from panels.panel import Panel
from tasks.store.opening import Store
from tasks.store.promotions import promotions_of
from tasks.study import Study


@dataclass(frozen=True, slots=True)
class InUse:
    """What one panel's tubes are counted with: the pinned release and the panel definition."""

    release: Release
    panel: Panel

    @property
    def name(self) -> str:
        """Give the strategy as ``name@1.0.0``."""
        return self.release.strategy.name

    @property
    def populations(self) -> Mapping[str, Population]:
        """Map each reported population to its rules, in the strategy's order."""
        return {population.id: population for population in self.release.strategy.populations}


@dataclass(frozen=True, slots=True)
class Standing:
    """Which version counts a panel, and in words how it came to."""

    panel: str
    strategy: str
    sha256: str
    told: str


def standing(study: Study, store: Store) -> list[Standing]:
    """Say of every panel which version counts it and who made it so; one that was pinned past its last promotion is named as such."""
    last = {promotion.panel: promotion for promotion in promotions_of(store)}
    found = []
    for panel, used in in_use(study).items():
        promoted = last.get(panel)
        if promoted is None:
            told = "as study.yaml says; no version was promoted yet"
        elif promoted.to_strategy == used.name:
            told = f"promoted {promoted.at[:10]} by {promoted.approved_by}: {promoted.reason}"
        else:
            by = f"{promoted.to_strategy} was promoted {promoted.at[:10]} by {promoted.approved_by}"
            told = f"NOT the promoted version: study.yaml was changed by hand ({by})"
        found.append(Standing(panel, used.name, used.release.sha256, told))
    return found


def in_use(study: Study) -> dict[str, InUse]:
    """Resolve every pin of study.yaml (panel → strategy); raises SettingsFault when a strategy is for another panel."""
    found: dict[str, InUse] = {}
    for panel, pin in study.settings.strategies.items():
        release = load_strategy(pin, study.own_strategies)
        if release.strategy.panel != panel:
            raise SettingsFault(
                f"study.yaml: strategies: {panel}: {release.strategy.name} gates the panel {release.strategy.panel}, not {panel}."
            )
        found[panel] = InUse(release=release, panel=load_panel(panel, study.own_panels))
    return found
