"""Compare the ledger with archive and results: a lost store is not to be taken for a new study."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from panels.text.errors import UsageFault
from tasks.intake.inbox import is_fcs_name
from tasks.store.ledger import TAKEN_IN, states_by_hash
from tasks.store.opening import Store
from tasks.study.folder import Study

_KEPT_NAME = re.compile(r"([0-9a-f]{12})[._].*")
_MOST_NAMED = 3


def check_ledger(study: Study, store: Store) -> tuple[str, ...]:
    """Give a sentence when the archive holds some tubes that the ledger does not know.

    Then the store is an older copy. Raises UsageFault when the ledger knows none of the archive's
    tubes, or no tube at all while there are patients' results: then the store was lost, or
    ``store`` names another one, and whatever is derived from it would be wrong.
    """
    # The archive is listed first: another pass enters a file in the ledger before it brings it
    # there.
    archived = list(_archived(study.archive))
    published = _is_published(study)
    files = states_by_hash(store)
    known = {(sha256 or "")[:12] for sha256, _ in files}
    strangers = sorted(path for short, path in archived if short not in known)
    if archived and len(strangers) == len(archived):
        raise _lost_store(store, f"{len(archived)} tubes lie in {study.archive}")
    if published and not any(state in TAKEN_IN for _, state in files):
        raise _lost_store(store, f"there are patients' tables in {study.results}")
    if not strangers:
        return ()
    return (_older_copy(study, store, strangers),)


def refuse_missing_store(study: Study) -> None:
    """Raise UsageFault where an SQLite store is not there, though the study has tubes or tables.

    Opening it would make an empty one, which looks calm.
    """
    if is_store_missing(study) and (any(_archived(study.archive)) or _is_published(study)):
        raise UsageFault(
            f"The store {study.store_file} is not there, and this study has archived tubes or "
            "tables: it was lost, or 'store' in study.yaml names another place. Put it back: "
            "reconflow restore FILE --by NAME. Without a backup: reconflow store rebuild"
        )


def is_store_missing(study: Study) -> bool:
    """Tell whether the file of an SQLite store does not exist."""
    return study.store_file is not None and not study.store_file.exists()


def _is_published(study: Study) -> bool:
    return any((study.results / "patients").glob("*/kinetics.csv"))


def _lost_store(store: Store, present: str) -> UsageFault:
    return UsageFault(
        f"study.yaml: store: the store {store.shown} does not know this study's tubes, "
        f"but {present}. Nothing was changed. Put the store "
        "back from a copy, or correct 'store'. If this is a new study, give it an archive "
        "and results folder of its own."
    )


def _older_copy(study: Study, store: Store, strangers: Sequence[Path]) -> str:
    named = ", ".join(study.place_of(path) for path in strangers[:_MOST_NAMED])
    if len(strangers) > _MOST_NAMED:
        named += " …"
    return (
        f"{len(strangers)} tubes in the archive are unknown to the store {store.shown} and "
        f"are in no table: {named}. Is it an older copy? "
        "Put the newest copy of the store back, or take them out of the archive and drop them "
        "in the inbox again, "
        "with a line of samples.csv for each name."
    )


def _archived(archive: Path) -> Iterator[tuple[str, Path]]:
    """List the tubes of the archive by the 12 digits of their SHA-256 that begin their names."""
    for folder in _entries(archive):
        if folder.is_dir():
            for tube in _entries(folder):
                kept = _KEPT_NAME.fullmatch(tube.name)
                if kept and is_fcs_name(path := Path(tube.path)):
                    yield kept[1], path


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """List a folder; nothing where there is none, or this account may not read it."""
    with (
        suppress(FileNotFoundError, NotADirectoryError, PermissionError),
        os.scandir(folder) as entries,
    ):
        return list(entries)
    return []
