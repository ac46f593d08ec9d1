"""Recognise the study's inbox and archive by a marker file, so that a missing share is noticed.

A share that is not mounted leaves an empty folder behind. Without the marker files would be written
underneath it, and tubes would seem to be gone.
"""

import secrets
from collections.abc import Iterable
from pathlib import Path

from panels.files.durable import write_durably
from panels.files.plain_file import NotRegular, open_regular
from panels.text.errors import SettingsFault
from tasks.store.ledger import TAKEN_IN, FileRecord, all_files
from tasks.store.notes import forget, recall, remember_first
from tasks.store.opening import Store
from tasks.study.folder import Study

_MOST_BYTES = 1000
MARKER = {"inbox": ".reconflow-inbox", "archive": ".reconflow-archive"}


def check_folders(study: Study, store: Store) -> None:
    """Raise SettingsFault when inbox or archive is not the folder it was.

    It lacks the marker it had, or has another study's. An inbox that is only read (``mode: leave``)
    gets no marker; it is another folder when it is empty and had tubes.
    """
    for kind, folder in _folders(study).items():
        known, there = recall(store, _note(kind)), _read(folder / MARKER[kind])
        if known is None:
            _refuse_emptied(study, store, kind, folder)
        elif there is None and _is_ours(study, store, folder):
            _write(folder / MARKER[kind], known)
        elif there != known:
            raise SettingsFault(_sentence(kind, folder, known, there))


def mark_folders(study: Study, store: Store) -> None:
    """Write the markers that a new study's folders still lack, where that is possible."""
    for kind, folder in _folders(study).items():
        if kind == "inbox" and study.settings.intake.mode == "leave":
            continue
        if recall(store, _note(kind)) is None:
            there = _read(folder / MARKER[kind])
            # Of two passes that are first at once, one names the marker.
            marker = remember_first(store, _note(kind), there or secrets.token_hex(8))
            if there != marker and not _write(folder / MARKER[kind], marker):
                forget(store, _note(kind))


def _folders(study: Study) -> dict[str, Path]:
    """Give the folders by kind; where files are left in the inbox the archive may never exist."""
    if study.settings.intake.mode == "leave" and not study.archive.is_dir():
        return {"inbox": study.inbox}
    return {"inbox": study.inbox, "archive": study.archive}


def _is_ours(study: Study, store: Store, folder: Path) -> bool:
    """Tell whether a folder that lost its marker is the study's: it holds what the ledger knows.

    So is any folder as long as the ledger knows of nothing that was ever in one.
    """
    known = all_files(store)
    return not known or any(path.is_file() for path in _places_in(study, folder, known))


def _refuse_emptied(study: Study, store: Store, kind: str, folder: Path) -> None:
    """Raise SettingsFault for a folder without marker that held tubes, and is there without any."""
    if kind == "inbox" and study.settings.intake.mode == "move":
        return
    known = _places_in(study, folder, all_files(store, TAKEN_IN))
    if not known or any(path.is_file() for path in known) or _has_files(folder):
        return
    raise SettingsFault(
        f"The {kind} {folder} is empty, but {len(known)} tubes were kept there: is the share "
        "connected? Nothing was changed. If they were taken away on purpose, put a file README.txt "
        "there."
    )


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def _places_in(study: Study, folder: Path, known: Iterable[FileRecord]) -> list[Path]:
    """List where files of the ledger lie in a folder."""
    places = (study.path_of(record.place) for record in known if record.place)
    return [path for path in places if path.is_relative_to(folder)]


def _note(kind: str) -> str:
    return f"marker {kind}"


def _sentence(kind: str, folder: Path, known: str, there: str | None) -> str:
    what = "belongs to another study" if there else f"lacks its marker file {MARKER[kind]}"
    return (
        f"The {kind} {folder} {what}: is the share connected? Nothing was read or written there. "
        f"If it is the right folder, write the line {known} into {folder / MARKER[kind]}"
    )


def _read(marker: Path) -> str | None:
    try:
        with open_regular(marker, follow=True) as file:
            return file.read(_MOST_BYTES).decode("utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError, NotRegular):
        return None


def _write(marker: Path, text: str) -> bool:
    """Write a marker; tells whether that was possible."""
    try:
        write_durably(marker, f"{text}\n".encode())
    except OSError:
        return False
    return True
