"""Recognise the study's inbox and archive by a marker file, so that a missing share is noticed.

A share that is not mounted leaves an empty folder behind. Without the marker files would be written
underneath it, and tubes would seem to be gone.
"""

import secrets
from collections.abc import Collection
from pathlib import Path

from panels.durable import write_durably
from panels.errors import SettingsFault
from tasks.store.ledger import TAKEN_IN, State, all_files, recall, remember
from tasks.store.opening import Store
from tasks.study import Study

MARKER = {"inbox": ".reconflow-inbox", "archive": ".reconflow-archive"}
STATES: dict[str, tuple[State, ...]] = {"inbox": ("settling", "waiting"), "archive": TAKEN_IN}
"""Files of the ledger whose presence shows as well that a folder is the right one."""


def check_folders(study: Study, store: Store) -> None:
    """Raise SettingsFault when inbox or archive is not the folder it was.

    It lacks the marker it had, or has another study's. An inbox that is only read (``mode: leave``)
    gets no marker; it is another folder when it is empty and had tubes.
    """
    for kind, folder in _marked_folders(study).items():
        known, there = recall(store, _note(kind)), _read(folder / MARKER[kind])
        if known is None or there == known:
            continue
        if there is None and _holds_known_files(study, store, folder, STATES[kind]):
            _write(folder / MARKER[kind], known)
            continue
        raise SettingsFault(_sentence(kind, folder, known, there))
    if study.settings.intake.mode == "leave" and _was_emptied(study, store):
        raise SettingsFault(
            f"The inbox {study.inbox} is empty, but tubes were taken in from it and left there: is "
            "the share connected? Nothing was changed."
        )


def mark_folders(study: Study, store: Store) -> None:
    """Write the markers that a new study's folders still lack, where that is possible."""
    for kind, folder in _marked_folders(study).items():
        if recall(store, _note(kind)) is None:
            marker = _read(folder / MARKER[kind]) or secrets.token_hex(8)
            if _write(folder / MARKER[kind], marker):
                remember(store, _note(kind), marker)


def _marked_folders(study: Study) -> dict[str, Path]:
    """Give the folders that reconflow writes to; an inbox whose files are left there is not its own."""
    if study.settings.intake.mode == "leave":
        return {}
    return {"inbox": study.inbox, "archive": study.archive}


def _was_emptied(study: Study, store: Store) -> bool:
    places = (study.path_of(record.place) for record in all_files(store, TAKEN_IN) if record.place)
    had_tubes = any(path.is_relative_to(study.inbox) for path in places)
    return had_tubes and not (study.inbox.is_dir() and any(study.inbox.iterdir()))


def _note(kind: str) -> str:
    return f"marker {kind}"


def _sentence(kind: str, folder: Path, known: str, there: str | None) -> str:
    what = "belongs to another study" if there else f"lacks its marker file {MARKER[kind]}"
    return (
        f"The {kind} {folder} {what}: is the share connected? Nothing was read or written there. "
        f"If it is the right folder, write the line {known} into {folder / MARKER[kind]}"
    )


def _holds_known_files(
    study: Study, store: Store, folder: Path, states: Collection[State]
) -> bool:
    known = all_files(store, states)
    places = (study.path_of(record.place) for record in known if record.place)
    return any(path.is_relative_to(folder) and path.is_file() for path in places)


def _read(marker: Path) -> str | None:
    try:
        return marker.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(marker: Path, text: str) -> bool:
    """Write a marker; tells whether that was possible."""
    try:
        write_durably(marker, f"{text}\n".encode())
    except OSError:
        return False
    return True
