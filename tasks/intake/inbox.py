"""List what lies in the inbox: files to take in, sample sheets, and what cannot be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from panels.files.watchdog import silence
from panels.text.printable import printable
from tasks.intake.folder import FolderContent, list_folder
from tasks.study.folder import Study

FCS_ENDINGS = (".fcs", ".lmd")
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".temp")
_OF_THE_SYSTEM = ("thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in the inbox: files to take in, by place, and sample sheets.

    ``faults`` say what else lies there, ``unread`` are the folders of which nothing is known.
    """

    files: Mapping[str, Path]
    sheets: tuple[Path, ...]
    faults: tuple[str, ...] = ()
    unread: tuple[Path, ...] = ()


def list_inbox(study: Study) -> Listing:
    """List the inbox and its sub-folders, without hidden, unfinished and the system's files.

    With ``mode: leave`` the inbox is somebody else's folder, so that files which are no FCS files
    are left out too. While a folder does not answer nothing is looked at, and that is the fault.
    """
    if silence():
        return Listing({}, (), (silence(),), (study.inbox,))
    content = list_folder(study.inbox, _is_wanted)
    readable = [path for path in sorted(content.files) if _can_be_written(path)]
    sheets = tuple(path for path in readable if _is_sheet(path))
    files = [path for path in readable if not _is_sheet(path)]
    if study.settings.intake.mode == "leave":
        files = [path for path in files if is_fcs_name(path)]
    faults = (
        *_unreadable_names(len(content.files) - len(readable)),
        *_not_taken(study, content),
    )
    unread = tuple(folder for folder, _ in content.unread)
    return Listing({study.place_of(path): path for path in files}, sheets, faults, unread)


def _is_wanted(name: str) -> bool:
    lower = name.lower()
    passing = lower.startswith((".", "~")) or lower.endswith((*_UNFINISHED, "~"))
    return not passing and lower not in _OF_THE_SYSTEM


def _is_sheet(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _unreadable_names(number: int) -> Iterator[str]:
    if number:
        yield (
            f"{number} files in the inbox have names with letters that cannot be read. Rename them."
        )


def _not_taken(study: Study, content: FolderContent) -> Iterator[str]:
    """Say what lies in the inbox and is not read: folders, and what is no regular file."""
    for folder, reason in sorted(content.unread):
        yield (
            f"The folder {_named(study, folder)} cannot be read ({reason}): "
            "nothing in it is taken in. Correct its rights; it is looked at again by itself."
        )
    only_fcs = study.settings.intake.mode == "leave"
    for path, kind in sorted(content.others):
        if not only_fcs or kind == "a link" or is_fcs_name(path) or _is_sheet(path):
            yield (
                f"{_named(study, path)} is {kind}, not a file: it is not read. "
                "Remove it, or put the file itself there."
            )
    for path in sorted(content.folders):
        if is_fcs_name(path) or _is_sheet(path):
            yield (
                f"{_named(study, path)} is a folder, although it is called as a file is. "
                "What lies in it is looked at; rename it."
            )


def _named(study: Study, path: Path) -> str:
    return printable(study.place_of(path))


def inbox_faults(study: Study) -> tuple[str, ...]:
    """Say what lies in the inbox and is not read; nothing while the inbox itself is away."""
    return list_inbox(study).faults if silence() or is_inbox_there(study) else ()


def is_inbox_there(study: Study) -> bool:
    """Tell whether there is an inbox that can be looked at now."""
    return not silence() and study.inbox.is_dir()


def _can_be_written(path: Path) -> bool:
    """Tell whether a name is text at all; Linux allows any bytes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in str(path))


def is_fcs_name(path: Path) -> bool:
    """Tell whether a file is called as FCS files are."""
    return path.suffix.lower() in FCS_ENDINGS
