"""Find released strategies and check that they are what was released (``panels.files.lock``)."""

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from gating.calibration.catalogue import find_calibration
from gating.strategy.calibrated import own_numbers, with_numbers
from gating.strategy.coherence import unknown_marker
from gating.strategy.model import Release, Strategy
from panels.catalogue import load_panel
from panels.files.lock import VERSION, allows, canonical_sha256, read_locked, version_order
from panels.files.yaml_document import Misfit, YamlDocument, read_yaml
from panels.text.errors import StrategyFault

MOST_VALUES = 30_000
"""A workspace of 500 gates with polygons of 20 corners, imported."""


def shipped() -> Path:
    """Give the folder of the strategies that come with reconflow."""
    return Path(str(files("gating") / "strategies"))


def load_strategy(pin: str, laboratory: Path | None = None) -> Release:
    """Load the newest release that a pin allows.

    A pin is ``bcell``, ``bcell@1``, ``bcell@1.0`` or ``bcell@1.0.0``. The folder ``laboratory``
    comes before the shipped one; a draft that is not in its LOCK is passed over while a release
    fits. Raises StrategyFault when no release fits, or when the content of the one that
    fits is not what its LOCK says was released.
    """
    name, _, wanted = pin.partition("@")
    drafts: list[tuple[Path, str]] = []
    for folder in _folders(laboratory):
        fitting = [v for v in versions(folder, name) if allows(wanted, v)]
        released = [v for v in fitting if f"{name}@{v}" in read_lock(folder)]
        newest = max(released, key=version_order, default=None)
        # A copy of a release that is in no LOCK beside it must not pass for the release.
        if newest is not None and newest not in {version for _, version in drafts}:
            return read_release(folder, name, newest)
        drafts += [(folder, version) for version in fitting]
    if drafts:
        return read_release(drafts[0][0], name, drafts[0][1])
    releases = ", ".join(known(laboratory)) or "none"
    raise StrategyFault(f"There is no strategy '{pin}'. Known: {releases}.")


def known(laboratory: Path | None = None) -> list[str]:
    """List every release as ``name@version``; a draft that is not in the LOCK is none."""
    folders = _folders(laboratory)
    listed: set[str] = set()
    for folder in folders:
        names = [path.name for path in folder.iterdir() if path.is_dir()]
        listed |= {f"{name}@{version}" for name in names for version in versions(folder, name)}
    return sorted(listed & {pin for folder in folders for pin in read_lock(folder)})


def missing_releases(laboratory: Path | None = None) -> list[str]:
    """List the releases that are in a LOCK and whose file is gone."""
    return sorted(
        pin
        for folder in _folders(laboratory)
        for pin in read_lock(folder)
        if not (folder / pin.replace("@", "/") / "strategy.yaml").is_file()
    )


def _folders(laboratory: Path | None) -> list[Path]:
    return [each for each in (laboratory, shipped()) if each is not None and each.is_dir()]


def versions(folder: Path, name: str) -> list[str]:
    """List the versions of one strategy in one folder, oldest first."""
    if not re.fullmatch(r"\w+", name):
        return []
    names = [path.parent.name for path in folder.glob(f"{name}/*/strategy.yaml")]
    return sorted((each for each in names if VERSION.fullmatch(each)), key=version_order)


def drafts_in(folder: Path) -> list[str]:
    """List the versions of strategies of a folder that are not released, as ``name@1.0.0``."""
    locked = read_lock(folder) if folder.is_dir() else {}
    names = sorted({path.parts[-3] for path in folder.glob("*/*/strategy.yaml")})
    pins = [f"{name}@{version}" for name in names for version in versions(folder, name)]
    return [pin for pin in pins if pin not in locked]


def read_release(folder: Path, name: str, version: str) -> Release:
    """Read one release and check it against the folder's LOCK."""
    path = folder / name / version / "strategy.yaml"
    release = read_strategy(path)
    if release.strategy.name != f"{name}@{version}":
        raise StrategyFault(
            f"{path}: says it is {release.strategy.name}, but lies in the folder of "
            f"{name}@{version}."
        )
    locked = read_lock(folder).get(release.strategy.name)
    if locked is None:
        raise StrategyFault(
            f"{path}: {release.strategy.name} has not been released: its SHA-256 is not in "
            f"{folder / 'LOCK'}."
        )
    if locked != release.sha256:
        raise StrategyFault(
            f"{path}: {release.strategy.name} was changed after its release (LOCK "
            f"{locked[:12]}, now {release.sha256[:12]}). "
            "Put the released content back, or give the change a version of its own."
        )
    return release


def read_strategy(path: Path) -> Release:
    """Read a strategy file, whether it was released or not.

    Raises StrategyFault naming file, line and place.
    """
    return _release_of(read_yaml(path, StrategyFault, most_values=MOST_VALUES))


def read_draft(path: Path, panels: Path | None = None) -> Release:
    """Read a strategy that is not released yet and check its markers against its panel.

    The panel is one of the folder ``panels``, or a shipped one. Raises StrategyFault naming file,
    line and place; PanelFault when there is no such panel.
    """
    return draft_of(read_yaml(path, StrategyFault, most_values=MOST_VALUES), panels)


def draft_of(document: YamlDocument, panels: Path | None = None) -> Release:
    """Make a strategy of a document as ``read_draft`` does of its file."""
    release = _release_of(document)
    panel = load_panel(release.strategy.panel, panels)
    read = [*(stain.marker for stain in panel.markers), *panel.scatter]
    misfit = unknown_marker(release.strategy, read, panel.panel)
    if misfit is not None:
        raise document.fault_of(misfit, StrategyFault)
    return release


def _release_of(document: YamlDocument) -> Release:
    strategy = _with_numbers(document.path, document).validate(Strategy, StrategyFault)
    try:
        return Release(strategy=strategy, sha256=canonical_sha256(document.content))
    except (TypeError, ValueError) as error:
        raise StrategyFault(
            f"{document.path}: a number in it is no number, or numbers and words are mixed as keys "
            f"({error})."
        ) from error


def _with_numbers(path: Path, document: YamlDocument) -> YamlDocument:
    """Add the numbers of the calibration that a strategy names to its content.

    Calibrations lie in a folder beside that of the strategies, or are shipped. Raises StrategyFault
    for a strategy that names one and has numbers of its own, CalibrationFault when there is none.
    """
    content = document.content
    pin = content.get("calibration") if isinstance(content, dict) else None
    if not isinstance(pin, str):
        return document
    own = own_numbers(content)
    if own is not None:
        sentence = (
            f"the numbers of this strategy are those of the calibration {pin}: take them out of "
            f"this file"
        )
        raise document.fault_of(Misfit(sentence, own), StrategyFault)
    if pin.partition("/")[0] != content.get("panel"):
        sentence = f"{pin} is a calibration of another panel than {content.get('panel')}"
        raise document.fault_of(Misfit(sentence, ("calibration",)), StrategyFault)
    folders = path.resolve().parents
    laboratory = folders[2].parent / "calibrations" if len(folders) > 2 else None
    release = find_calibration(pin, laboratory)
    return replace(document, content=with_numbers(content, release.calibration))


def read_lock(folder: Path) -> dict[str, str]:
    """Read the LOCK of a strategies folder: release → SHA-256."""
    return read_locked(folder, StrategyFault)
