"""Tell the log which strategies, panels and calibrations of the laboratory were released."""

import getpass
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from panels.files.lock import read_locked
from panels.text.errors import LeaseLost, StoreFault, UsageFault
from tasks.store.audit import AuditEntry, add_entry, entries
from tasks.store.opening import Store
from tasks.study.folder import Study, open_study
from tasks.study.settings import FILE_NAME

RELEASED = "released"
UNKNOWN = "unknown"
"""The actor of a release that the log was not told of."""


def note_release(folder: Path, kind: str, pin: str, sha256: str, **told: str) -> None:
    """Tell the log of the study in a folder of a release; ``told`` may say ``by`` and ``reason``.

    Where nobody is named, the account is. A folder without study.yaml has no log. The release
    itself is done: when the store cannot be used now, that is said on stderr, and the next pass
    tells the log.
    """
    if not (folder / FILE_NAME).is_file():
        return
    actor = told.pop("by", "").strip() or _account()
    entry = AuditEntry(actor, RELEASED, f"{kind} {pin}", {"sha256": sha256, **told})
    try:
        with open_study(folder).store() as store, store.writing() as connection:
            add_entry(connection, entry)
    except (StoreFault, LeaseLost, UsageFault) as error:
        sys.stderr.write(
            f"reconflow: {pin} is released, but the log could not be told ({error}) The next run "
            "tells it.\n"
        )


def note_found_releases(study: Study, store: Store) -> None:
    """Tell the log of releases of the study that it does not know, such as those made before it.

    Raises UsageFault when a LOCK cannot be read.
    """
    known = _told_releases(store)
    found = [
        AuditEntry(UNKNOWN, RELEASED, subject, {"sha256": sha256, "found": "by a run"})
        for subject, sha256 in _locked(study).items()
        if (subject, sha256) not in known
    ]
    if found:
        with store.writing() as connection:
            for entry in found:
                add_entry(connection, entry)


def _locked(study: Study) -> Mapping[str, str]:
    folders = {
        "strategy": study.own_strategies,
        "panel": study.own_panels,
        "calibration": study.own_calibrations,
    }
    return {
        f"{kind} {pin}": sha256
        for kind, folder in folders.items()
        for pin, sha256 in read_locked(folder, UsageFault).items()
    }


def _told_releases(store: Store) -> set[tuple[str, str]]:
    released = [each for each in entries(store) if each.action == RELEASED]
    return {(each.subject, _sha256_in(each.details)) for each in released}


def _sha256_in(details: str) -> str:
    try:
        return str(json.loads(details).get("sha256", ""))
    except (ValueError, AttributeError):
        # An entry that was altered; the chain says so.
        return ""


def _account() -> str:
    try:
        return f"account {getpass.getuser()}"
    except (KeyError, OSError):
        return f"account number {os.getuid()}"
