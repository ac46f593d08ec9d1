"""Freeze a version of a laboratory's panel."""

import re
from pathlib import Path

from panels.catalogue import (
    PanelVersion,
    find_panel,
    kept_at,
    panel_names,
    shipped_panels,
    versions_of,
)
from panels.difference import PanelChange, panel_changes
from panels.files.durable import write_durably
from panels.files.lock import VERSION, lock_content, version_order
from panels.text.errors import PanelFault
from panels.text.spelling import nearest


def release_panel(
    folder: Path, name: str, version: str
) -> tuple[PanelVersion, tuple[PanelChange, ...] | None]:
    """Release a version of a panel: write its SHA-256 into the LOCK of ``folder`` and keep a copy.

    Gives the release and what changed since the one before it (None: there is none). The copy lies
    in ``NAME/VERSION/panel.yaml``, so that ``NAME.yaml`` may go on to the next version. Raises
    PanelFault when there is no such version, it is released already, or a shipped panel has its
    number.
    """
    if not re.fullmatch(r"[\w-]+", name) or not VERSION.fullmatch(version):
        raise PanelFault(
            f"'{name} {version}' is not a panel's name and a version such as 'bcell 1.1.0'."
        )
    draft = _draft(folder, name, version)
    if draft.released:
        raise PanelFault(f"{draft.pin} is already released. Give the change a version of its own.")
    if draft.panel.panel != name:
        raise PanelFault(
            f"{draft.path}: says it is the panel {draft.panel.panel}, but its file is called "
            f"{name}. Make both the same."
        )
    changes = _since_the_last(folder, draft)
    content = draft.path.read_bytes()
    if draft.path != kept_at(folder, name, version):
        write_durably(kept_at(folder, name, version), content)
    lock_content(folder, draft.pin, draft.sha256, PanelFault)
    return find_panel(draft.pin, folder), changes


def _draft(folder: Path, name: str, version: str) -> PanelVersion:
    written = versions_of(folder, name) if folder.is_dir() else []
    by_version = {each.panel.version: each for each in written}
    if version in by_version:
        return by_version[version]
    if by_version:
        raise PanelFault(
            f"There is no version {version} of {name} in {folder}; there is "
            f"{', '.join(by_version)}. Write 'version: {version}' in "
            f"{folder / f'{name}.yaml'}."
        )
    if name in panel_names():
        raise PanelFault(
            f"{name} is a shipped panel, which is released. To change it, write a version of "
            f"your own into {folder / f'{name}.yaml'}."
        )
    known = panel_names(folder) if folder.is_dir() else []
    raise PanelFault(
        f"{folder / f'{name}.yaml'}: there is no such file{nearest(name, known) or '.'} Write "
        f"the panel there."
    )


def _since_the_last(folder: Path, draft: PanelVersion) -> tuple[PanelChange, ...] | None:
    """Compare with the newest release below this version, the laboratory's or a shipped one."""
    releases = [
        each
        for place in (shipped_panels(), folder)
        for each in versions_of(place, draft.name)
        if each.released
    ]
    same = next((each for each in releases if each.pin == draft.pin), None)
    if same is not None and same.sha256 != draft.sha256:
        raise PanelFault(
            f"{draft.path}: {draft.pin} is also a shipped panel, with another content. Give "
            f"yours another version."
        )
    lower = [each for each in releases if _order(each) < _order(draft)]
    if not lower:
        return None
    return panel_changes(max(lower, key=_order).panel, draft.panel)


def _order(release: PanelVersion) -> tuple[int, ...]:
    return version_order(release.panel.version)
