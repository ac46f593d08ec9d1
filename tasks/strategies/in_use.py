"""Resolve which released strategy and which panel count the tubes of a study."""

from collections.abc import Mapping
from dataclasses import dataclass

from gating.strategy.catalogue import load_strategy
from gating.strategy.gates import Population
from gating.strategy.model import Release
from panels.catalogue import PanelVersion, find_panel, versions_of
from panels.files.lock import allows, version_order
from panels.panel import Panel
from panels.text.errors import SettingsFault
from tasks.store.counted_with import strategies_counted_with
from tasks.store.opening import Store
from tasks.store.promotions import pin_changes_of, promotions_of
from tasks.study.folder import Study
from tasks.study.settings import SHIPPED_STRATEGIES


@dataclass(frozen=True, slots=True)
class InUse:
    """What one panel's tubes are counted with: the release in use and the version of the panel."""

    release: Release
    defined: PanelVersion

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


@dataclass(frozen=True, slots=True)
class Standing:
    """Which version counts a panel, and in words how it came to; ``newer`` is a sentence when the program ships a newer one."""

    panel: str
    strategy: str
    sha256: str
    told: str
    newer: str = ""


@dataclass(frozen=True, slots=True)
class PanelStanding:
    """Which version of a panel is in use, and in words whether it is released."""

    panel: str
    pin: str
    sha256: str
    told: str


def standing(study: Study, store: Store) -> list[Standing]:
    """Say of every panel which version counts it and who made it so; one that was pinned past its last promotion is named as such."""
    last = {promotion.panel: promotion for promotion in promotions_of(store)}
    unfinished = pin_changes_of(store)
    found = []
    for panel, used in in_use(study).items():
        promoted = last.get(panel)
        if panel in unfinished:
            told = (
                f"being promoted to {unfinished[panel].to_strategy}: the promotion was "
                f"interrupted, and the next run finishes it"
            )
        elif promoted is None and panel in study.settings.pinned:
            told = "as study.yaml says; no version was promoted yet"
        elif promoted is None:
            told = "study.yaml names none: the version that counts first stays"
        elif promoted.to_strategy == used.name:
            told = f"promoted {promoted.at[:10]} by {promoted.approved_by}: {promoted.reason}"
        else:
            by = f"{promoted.to_strategy} was promoted {promoted.at[:10]} by {promoted.approved_by}"
            told = f"NOT the promoted version: study.yaml was changed by hand ({by})"
        found.append(
            Standing(panel, used.name, used.release.sha256, told, newer_default(panel, used.name))
        )
    return found


def standing_panels(study: Study) -> list[PanelStanding]:
    """Say of every panel that is counted which version is in use and whether it is released."""
    found = []
    for panel, used in in_use(study).items():
        defined = used.defined
        if defined.released:
            told = "; ".join(["released", *_next_versions(study, defined)])
        else:
            told = (
                f"not released: an edit counts its tubes anew. To lock it: reconflow panel "
                f"release {panel} {defined.panel.version}"
            )
        found.append(PanelStanding(panel, defined.pin, defined.sha256, told))
    return found


def newer_default(panel: str, strategy: str) -> str:
    """Say how to go over to the version that the program ships for a panel, where that is newer than the one in use; else nothing."""
    default = SHIPPED_STRATEGIES.get(panel, "")
    name, _, version = default.partition("@")
    used, _, number = strategy.partition("@")
    if used != name or version_order(version) <= version_order(number):
        return ""
    return (
        f"The panel {panel} is counted with {strategy} as before; a newer version is shipped, "
        f"{default}. To go over to it: "
        f"reconflow regate --strategy {default}, then: reconflow strategy promote {default} "
        f"--approved-by NAME --reason TEXT"
    )


def newer_defaults(study: Study, used: Mapping[str, InUse]) -> list[str]:
    """List what ``newer_default`` says of the panels whose version nobody wrote into study.yaml."""
    told = [
        newer_default(panel, each.name)
        for panel, each in used.items()
        if panel not in study.settings.pinned
    ]
    return [sentence for sentence in told if sentence]


def in_use(study: Study) -> dict[str, InUse]:
    """Resolve what counts every panel (panel → strategy); raises SettingsFault when a strategy is for another panel."""
    found: dict[str, InUse] = {}
    for panel, pin in pins_of(study).items():
        release = load_strategy(pin, study.own_strategies)
        if release.strategy.panel != panel:
            raise SettingsFault(
                f"study.yaml: strategies: {panel}: {release.strategy.name} gates the panel "
                f"{release.strategy.panel}, not {panel}."
            )
        found[panel] = InUse(release=release, defined=find_panel(panel, study.own_panels))
    return found


def pins_of(study: Study) -> dict[str, str]:
    """Give what counts each panel: what study.yaml pins, and where that leaves it open what has counted the panel so far.

    Only where nothing was counted yet does the version hold that the program ships now.
    """
    pins = dict(study.settings.strategies)
    left_open = [
        panel
        for panel, pin in pins.items()
        if panel not in study.settings.pinned or pin.count(".") < 2
    ]
    if not left_open:
        return pins
    with study.store() as store:
        counted = strategies_counted_with(store, left_open)
    return pins | {
        panel: strategy for panel, strategy in counted.items() if _fits(study, panel, strategy)
    }


def _fits(study: Study, panel: str, strategy: str) -> bool:
    """Tell whether a strategy is one that study.yaml allows for a panel."""
    if panel not in study.settings.pinned:
        return True
    (name, _, version), (wanted, _, numbers) = (
        strategy.partition("@"),
        study.settings.strategies[panel].partition("@"),
    )
    return name == wanted and allows(numbers, version)


def _next_versions(study: Study, defined: PanelVersion) -> list[str]:
    """Name the versions of a panel that lie beside the one in use and are not released."""
    versions = versions_of(study.own_panels, defined.name) if study.own_panels.is_dir() else []
    waiting = [each for each in versions if not each.released]
    return [
        f"{each.pin} is not released: reconflow panel release {each.name} {each.panel.version}"
        for each in waiting
    ]
