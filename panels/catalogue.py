"""Find panel definitions, the laboratory's before the shipped ones, and check released ones.

A released panel whose content is not what its LOCK says is refused. A panel lies in ``NAME.yaml``,
and each released version beside it in ``NAME/VERSION/panel.yaml``; either may be missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from panels.files.lock import VERSION, allows, canonical_sha256, read_locked, version_order
from panels.files.yaml_document import read_yaml
from panels.panel import Panel
from panels.text.errors import PanelFault
from panels.text.spelling import nearest

KEPT = "panel.yaml"


@dataclass(frozen=True, slots=True)
class PanelVersion:
    """One version of a panel: its definition, the SHA-256 of its content, and whether it is locked.

    ``name`` is that of its file, by which sheets and settings refer to it.
    """

    name: str
    panel: Panel
    sha256: str
    path: Path
    released: bool

    @property
    def pin(self) -> str:
        """Write the version as users do: ``bcell@1.0.0``."""
        return f"{self.name}@{self.panel.version}"


def shipped_panels() -> Path:
    """Give the folder of the panels that come with reconflow."""
    return Path(str(files("panels") / "definitions"))


def load_panel(name: str, laboratory: Path | None = None) -> Panel:
    """Load the definition of a panel; takes and raises what ``find_panel`` does."""
    return find_panel(name, laboratory).panel


def find_panel(pin: str, laboratory: Path | None = None) -> PanelVersion:
    """Find the panel that a name or pin means: ``bcell``, ``bcell@1`` or ``bcell@1.0.0``.

    The folder ``laboratory`` comes before the shipped definitions. The newest release that fits is
    taken; a version that is not in the LOCK only where nothing of that name was released in the
    folder. Raises PanelFault when there is none, a definition is wrong, or a released one is not
    what was released.
    """
    name, _, wanted = pin.partition("@")
    for folder in _folders(laboratory):
        newest = _newest(folder, name, wanted)
        if newest is not None:
            return newest
    known = panel_names(laboratory)
    if name in known:
        versions = ", ".join(each.pin for each in panel_versions(laboratory) if each.name == name)
        raise PanelFault(f"There is no version '{wanted}' of the panel {name}. Known: {versions}.")
    raise PanelFault(
        f"There is no panel called '{name}'{nearest(name, known) or '.'} Known panels: "
        f"{', '.join(known)}."
    )


def panel_names(laboratory: Path | None = None) -> list[str]:
    """List the names of all panels that can be loaded."""
    return sorted({name for folder in _folders(laboratory) for name in _definitions(folder)})


def panel_names_in(folder: Path) -> list[str]:
    """List the names of the panels of one folder."""
    return sorted(_definitions(folder))


def panel_versions(laboratory: Path | None = None) -> list[PanelVersion]:
    """List every version of every panel that can be found, by name and version.

    Raises as ``find_panel`` does.
    """
    by_pin: dict[str, PanelVersion] = {}
    for folder in _folders(laboratory):
        versions = [each for name in _definitions(folder) for each in versions_of(folder, name)]
        by_pin = {each.pin: each for each in versions} | by_pin
    return sorted(by_pin.values(), key=lambda each: (each.name, version_order(each.panel.version)))


def versions_of(folder: Path, name: str) -> list[PanelVersion]:
    """Read all versions of one panel in one folder, each once, oldest first.

    Raises PanelFault for what is not as released.
    """
    locked = read_locked(folder, PanelFault)
    by_pin: dict[str, PanelVersion] = {}
    for path in _definitions(folder).get(name, []):
        version = _read(path, name, locked)
        other = by_pin.setdefault(version.pin, version)
        if other.sha256 != version.sha256:
            raise PanelFault(
                f"{path}: {version.pin} is also in {other.path}, with another content. Give "
                f"one of them another version."
            )
    return sorted(by_pin.values(), key=lambda each: version_order(each.panel.version))


def releases_in(folder: Path) -> list[str]:
    """List what the LOCK of a folder says was released."""
    return sorted(read_locked(folder, PanelFault))


def read_panel(path: Path) -> Panel:
    """Read one panel definition; raises PanelFault naming file, line and key."""
    return read_yaml(path, PanelFault).validate(Panel, PanelFault)


def kept_at(folder: Path, name: str, version: str) -> Path:
    """Give the place where a released version of a panel is kept."""
    return folder / name / version / KEPT


def _read(path: Path, name: str, locked: dict[str, str]) -> PanelVersion:
    document = read_yaml(path, PanelFault)
    panel = document.validate(Panel, PanelFault)
    sha256 = canonical_sha256(document.content)
    pin = f"{name}@{panel.version}"
    if path.name == KEPT and path.parent.name != panel.version and path.parent.parent.name == name:
        raise PanelFault(
            f"{path}: says it is version {panel.version}, but lies in the folder of "
            f"{name}@{path.parent.name}."
        )
    if locked.get(pin, sha256) != sha256:
        raise PanelFault(
            f"{path}: {pin} was changed after its release (LOCK {locked[pin][:12]}, now "
            f"{sha256[:12]}). Put the released content "
            f"back, or give the change a version of its own ('version:' in the file) and "
            f"release it: reconflow panel release {name} VERSION"
        )
    return PanelVersion(name, panel, sha256, path, released=pin in locked)


def _newest(folder: Path, name: str, wanted: str) -> PanelVersion | None:
    """Choose the newest release that fits.

    Where none of that name was ever released in this folder, the newest version is taken. Raises
    PanelFault where the file of a release is gone.
    """
    fitting = [each for each in versions_of(folder, name) if allows(wanted, each.panel.version)]
    released = [each for each in fitting if each.released]
    if released:
        return released[-1]
    pins = (pin.rpartition("@") for pin in releases_in(folder))
    gone = [version for other, _, version in pins if other == name and allows(wanted, version)]
    if gone:
        latest = max(gone, key=version_order)
        raise PanelFault(
            f"{kept_at(folder, name, latest)}: {name}@{latest} was released and its file is gone. "
            f"Put it back."
        )
    return fitting[-1] if fitting else None


def _folders(laboratory: Path | None) -> Sequence[Path]:
    folders = (laboratory, shipped_panels())
    return [folder for folder in folders if folder is not None and folder.is_dir()]


def _definitions(folder: Path) -> dict[str, list[Path]]:
    """List the files of each panel in a folder: ``NAME.yaml``, then those of its versions.

    Hidden files are left out.
    """
    files_of: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.yaml")):
        if not path.name.startswith("."):
            files_of.setdefault(path.stem, []).append(path)
    for path in sorted(folder.glob(f"*/*/{KEPT}")):
        if VERSION.fullmatch(path.parent.name):
            files_of.setdefault(path.parent.parent.name, []).append(path)
    return files_of
