"""List a folder and its sub-folders: regular files, and what else lies there."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from panels.files.plain_file import kind_of


@dataclass(slots=True)
class FolderContent:
    """What lies in a folder: regular files, other things with their kind, and folders.

    ``unread`` are folders that could not be read, with the reason.
    """

    files: list[Path] = field(default_factory=list)
    others: list[tuple[Path, str]] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def list_folder(top: Path, wanted: Callable[[str], bool]) -> FolderContent:
    """List all below a folder whose name is wanted; no hidden folder and no link is entered."""
    content, open_folders = FolderContent(), [top]
    while open_folders:
        folder = open_folders.pop()
        try:
            entries = list(_entries(folder))
        except OSError as error:
            content.unread.append((folder, error.strerror or type(error).__name__))
            continue
        for entry, kind in entries:
            path = Path(entry.path)
            if kind == "a folder" and not entry.name.startswith("."):
                content.folders.append(path)
                open_folders.append(path)
            elif kind == "a folder" or not wanted(entry.name):
                continue
            elif kind:
                content.others.append((path, kind))
            else:
                content.files.append(path)
    return content


def _entries(folder: Path) -> Iterator[tuple["os.DirEntry[str]", str]]:
    """Give every entry with its kind in words, which is empty for a regular file."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield entry, ""
            elif entry.is_dir(follow_symlinks=False):
                yield entry, "a folder"
            else:
                yield entry, _kind(entry)


def _kind(entry: "os.DirEntry[str]") -> str:
    try:
        return kind_of(entry.stat(follow_symlinks=False).st_mode) or "no regular file"
    except FileNotFoundError:
        return "no regular file"
