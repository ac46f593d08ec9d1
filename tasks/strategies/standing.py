"""Describe for each panel which version counts it, and how that came to be."""

from dataclasses import dataclass

from panels.catalogue import PanelVersion, versions_of
from panels.files.lock import version_order
from tasks.store.opening import Store
from tasks.store.promotions import pin_changes_of, promotions_of
from tasks.study.folder import Study
from tasks.study.settings import SHIPPED_STRATEGIES
from tasks.study.snapshot import StudySnapshot


@dataclass(frozen=True, slots=True)
class Standing:
    """Which version counts a panel, and in words how it came to; ``newer`` is a sentence when the program ships a newer one."""

    panel: str
    strategy: str
    sha256: str
    description: str
    newer: str = ""


@dataclass(frozen=True, slots=True)
class PanelStanding:
    """Which version of a panel is in use, and in words whether it is released."""

    panel: str
    pin: str
    sha256: str
    description: str


def strategy_standing(snapshot: StudySnapshot, store: Store) -> list[Standing]:
    """Say of every panel which version counts it and who made it so; one that was pinned past its last promotion is named as such."""
    last = {promotion.panel: promotion for promotion in promotions_of(store)}
    unfinished = pin_changes_of(store)
    settings = snapshot.study.settings
    found = []
    for panel, used in snapshot.strategies.items():
        promoted = last.get(panel)
        if panel in unfinished:
            description = (
                f"being promoted to {unfinished[panel].to_strategy}: the promotion was "
                f"interrupted, and the next run finishes it"
            )
        elif promoted is None and panel in settings.pinned:
            description = "as study.yaml says; no version was promoted yet"
        elif promoted is None:
            description = "study.yaml names none: the version that counts first stays"
        elif promoted.to_strategy == used.name:
            description = (
                f"promoted {promoted.at[:10]} by {promoted.approved_by}: {promoted.reason}"
            )
        else:
            by = f"{promoted.to_strategy} was promoted {promoted.at[:10]} by {promoted.approved_by}"
            description = f"NOT the promoted version: study.yaml was changed by hand ({by})"
        found.append(
            Standing(
                panel, used.name, used.release.sha256, description, newer_default(panel, used.name)
            )
        )
    return found


def panel_standing(snapshot: StudySnapshot) -> list[PanelStanding]:
    """Say of every panel that is counted which version is in use and whether it is released."""
    found = []
    for panel, used in snapshot.strategies.items():
        defined = used.defined
        if defined.released:
            description = "; ".join(["released", *_next_versions(snapshot.study, defined)])
        else:
            description = (
                f"not released: an edit counts its tubes anew. To lock it: reconflow panel "
                f"release {panel} {defined.panel.version}"
            )
        found.append(PanelStanding(panel, defined.pin, defined.sha256, description))
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


def newer_defaults(snapshot: StudySnapshot) -> list[str]:
    """List what ``newer_default`` says of the panels whose version nobody wrote into study.yaml."""
    sentences = [
        newer_default(panel, each.name)
        for panel, each in snapshot.strategies.items()
        if panel not in snapshot.study.settings.pinned
    ]
    return [sentence for sentence in sentences if sentence]


def _next_versions(study: Study, defined: PanelVersion) -> list[str]:
    """Name the versions of a panel that lie beside the one in use and are not released."""
    versions = versions_of(study.own_panels, defined.name) if study.own_panels.is_dir() else []
    waiting = [each for each in versions if not each.released]
    return [
        f"{each.pin} is not released: reconflow panel release {each.name} {each.panel.version}"
        for each in waiting
    ]
