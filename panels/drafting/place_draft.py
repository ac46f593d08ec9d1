"""Write a drafted panel into a folder, with a version that no other panel of its name has."""

from collections.abc import Iterator
from pathlib import Path

from panels.catalogue import panel_versions, read_panel, shipped_panels
from panels.drafting.described import Described
from panels.drafting.draft import PanelDraft
from panels.drafting.write_draft import panel_yaml
from panels.files.durable import write_durably
from panels.files.lock import version_order
from panels.panel import Panel, match_panel
from panels.text.errors import PanelFault
from panels.text.printable import shown

FIRST = "1.0.0"


def known_panels(laboratory: Path | None) -> list[Panel]:
    """Load the panels whose markers and synonyms a draft uses, the laboratory's own first."""
    versions = panel_versions(laboratory)
    shipped = shipped_panels()
    own_first = sorted(versions, key=lambda each: each.path.is_relative_to(shipped))
    return [each.panel for each in own_first]


def refuse_existing(folder: Path, name: str) -> Path:
    """Give the place of a draft; raises PanelFault where a panel lies there already."""
    path = folder / f"{name}.yaml"
    if path.exists() or path.is_symlink():
        raise PanelFault(
            f"{path}: there is such a panel already, and a draft never replaces one. Choose "
            f"another --name, or move the file away."
        )
    return path


def write_draft(draft: PanelDraft, folder: Path, laboratory: Path | None) -> tuple[Path, Panel]:
    """Write a draft as ``NAME.yaml`` into ``folder`` and load it again; gives both.

    Raises PanelFault where a panel of that name lies there already.
    """
    path = refuse_existing(folder, draft.name)
    write_durably(path, panel_yaml(draft, next_version(draft.name, laboratory)).encode())
    return path, read_panel(path)


def misfits(panel: Panel, described: Described) -> Iterator[str]:
    """Name each tube that does not fit the panel drafted from it, with the first reason why.

    That happens where an instrument reads a marker on a detector which another instrument has for
    a marker that the first one lacks.
    """
    for tube in described.tubes:
        problems = match_panel(panel, tube.channels).problems
        if problems:
            yield f"{shown(tube.source)} does not fit this draft yet. {problems[0]}"


def next_version(name: str, laboratory: Path | None) -> str:
    """Give the version above all of this name that are known; the first where there is none."""
    taken = [
        version_order(each.panel.version)
        for each in panel_versions(laboratory)
        if each.name == name
    ]
    if not taken:
        return FIRST
    major, minor, _ = max(taken)
    return f"{major}.{minor + 1}.0"
