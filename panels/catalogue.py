"""Find panel definitions: the lab's own folder first, then the shipped ones."""

from importlib.resources import files
from pathlib import Path

from panels.errors import PanelFault
from panels.panel import Panel
from panels.spelling import nearest
from panels.yaml_document import read_yaml


def load_panel(name: str, own: Path | None = None) -> Panel:
    """Load the panel called ``name`` from the folder ``own``, else from the shipped definitions.

    Raises PanelFault when there is none of that name or its definition is wrong.
    """
    known = _definitions(own)
    if name not in known:
        raise PanelFault(f"There is no panel called '{name}'{nearest(name, known) or '.'} Known panels: {', '.join(sorted(known))}.")
    return read_panel(known[name])


def panel_names(own: Path | None = None) -> list[str]:
    """List the names of all panels that can be loaded."""
    return sorted(_definitions(own))


def read_panel(path: Path) -> Panel:
    """Read one panel definition; raises PanelFault naming file, line and key."""
    return read_yaml(path, PanelFault).validate(Panel, PanelFault)


def _definitions(own: Path | None) -> dict[str, Path]:
    shipped = {path.stem: path for path in Path(str(files("panels") / "definitions")).glob("*.yaml")}
    return shipped | ({path.stem: path for path in own.glob("*.yaml")} if own and own.is_dir() else {})
