"""Check every released panel against its LOCK."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from panels.catalogue import kept_at, panel_names_in, releases_in, shipped_panels, versions_of
from panels.text.errors import PanelFault


@dataclass(frozen=True, slots=True)
class Verified:
    """The releases that are as released, the versions that are not released, and what is neither.

    ``faults`` are sentences on what was released; ``unreadable`` are those on files that cannot be
    read and of which nothing was released.
    """

    verified: tuple[str, ...]
    unreleased: tuple[str, ...]
    faults: tuple[str, ...]
    unreadable: tuple[str, ...] = ()


def verify_panels(laboratory: Path | None = None) -> Verified:
    """Check every panel of the laboratory's and the shipped folder.

    Nothing is raised: every fault is a sentence.
    """
    verified: list[str] = []
    unreleased: list[str] = []
    faults: list[str] = []
    unreadable: list[str] = []
    folders = (laboratory, shipped_panels())
    for folder in (each for each in folders if each is not None and each.is_dir()):
        try:
            released = releases_in(folder)
        except PanelFault as fault:
            unreadable.append(str(fault))
            continue
        readable, wrong = _read(folder)
        frozen = {pin.rpartition("@")[0] for pin in released}
        faults += [sentence for name, sentence in wrong if name in frozen]
        unreadable += [sentence for name, sentence in wrong if name not in frozen]
        verified += [pin for pin, is_released in readable if is_released]
        unreleased += [pin for pin, is_released in readable if not is_released]
        faults += _gone(folder, released, {pin for pin, _ in readable}, {name for name, _ in wrong})
    verified_once = tuple(dict.fromkeys(verified))
    unreleased_once = tuple(dict.fromkeys(unreleased))
    return Verified(verified_once, unreleased_once, tuple(faults), tuple(unreadable))


def _read(folder: Path) -> tuple[list[tuple[str, bool]], list[tuple[str, str]]]:
    """Read the panels of a folder: (pin, whether released), and (name, sentence) of faulty ones."""
    readable: list[tuple[str, bool]] = []
    wrong: list[tuple[str, str]] = []
    for name in panel_names_in(folder):
        try:
            readable += [(each.pin, each.released) for each in versions_of(folder, name)]
        except PanelFault as fault:
            wrong.append((name, str(fault)))
    return readable, wrong


def _gone(folder: Path, released: list[str], readable: set[str], wrong: set[str]) -> Iterator[str]:
    """Describe each release that has no file any more."""
    for pin in released:
        name, _, version = pin.rpartition("@")
        if pin not in readable and name not in wrong:
            yield (
                f"{kept_at(folder, name, version)}: {pin} was released and its file is gone. Put "
                f"it back."
            )
