"""Begin a lost store anew: bring the archived tubes back into the inbox under their own names."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from panels.files.durable import rename_durably, sync_folder
from panels.text.errors import UsageFault
from tasks.intake.inbox import is_fcs_name
from tasks.store.ledger import all_files
from tasks.study.folder import Study

_CALL = re.compile(r'^reconflow\.add\("tube", "([0-9a-f]{12})", (\{.*\})\);\s*$', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The tubes that were brought back into the inbox, and what lies where now.

    ``nameless`` are those whose former name nothing told, ``waiting`` is how many FCS files lie in
    the inbox; ``results`` is the folder that former results were moved to, ``store`` the file that
    a store which is no database was moved to, if there were any.
    """

    returned: tuple[str, ...]
    nameless: tuple[str, ...]
    waiting: int
    results: Path | None
    store: Path | None


def rebuild(study: Study) -> Rebuilt:
    """Move every file of the archive into the inbox, under the name it once came in with.

    The names are read from the pages and tables of results, which are moved aside: the next run
    writes them anew. A tube that nothing names keeps the name of the archive. It may be called
    again when it was interrupted. A store that is no database any more is moved aside. Raises
    UsageFault when the store knows any file: then it is not lost.
    """
    aside = _damaged_store_aside(study)
    with study.store() as store:
        known = all_files(store)
    if known:
        raise UsageFault(
            f"The store knows {len(known)} files, so it is not lost. To go back to an earlier "
            f"state: reconflow restore FILE."
        )
    if study.settings.intake.mode == "leave":
        raise UsageFault(
            "This study leaves its files in the inbox ('intake: {mode: leave}'): nothing has to be "
            "brought back. Run: reconflow run"
        )
    names = dict(_names(study.results))
    returned, nameless = [], []
    for path in sorted(each for each in study.archive.rglob("*") if is_fcs_name(each)):
        name = names.get(path.name[:12], path.name)
        if name == path.name:
            nameless.append(name)
        rename_durably(path, _free(study.inbox, name))
        returned.append(name)
    waiting = sum(is_fcs_name(each) for each in study.inbox.rglob("*"))
    return Rebuilt(tuple(returned), tuple(nameless), waiting, _set_aside(study.results), aside)


def _names(results: Path) -> Iterator[tuple[str, str]]:
    """Yield the first 12 digits of a tube's SHA-256 and the name it came in under."""
    for path in sorted((results / "patients").glob("*/kinetics.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row.get("file") and row.get("tube_sha256"):
                    yield row["tube_sha256"][:12], row["file"]
    for path in sorted((results / "tubes").glob("*/gating.js")):
        found = _CALL.match(path.read_text(encoding="ascii", errors="replace"))
        if found:
            yield found[1], str(json.loads(found[2])["head"]["file"])


def _free(inbox: Path, name: str) -> Path:
    """Give a place of the inbox for a name; a sub-folder where the name is taken."""
    parts = [part for part in Path(name).parts if part not in ("/", "..", ".")]
    for number in range(1_000_000):
        folder = inbox / f"again-{number}" if number else inbox
        place = folder.joinpath(*parts)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            return place
    raise UsageFault(f"{inbox} has too many files called {name}.")


def _damaged_store_aside(study: Study) -> Path | None:
    """Move the file of a store aside that SQLite cannot read as a database; its log goes along."""
    file = study.store_file
    if file is None or not file.is_file() or _is_database(file):
        return None
    for end in ("-wal", "-shm"):
        beside = file.with_name(file.name + end)
        if beside.exists():
            _moved_aside(beside)
    return _moved_aside(file)


def _is_database(file: Path) -> bool:
    """Tell whether SQLite reads a file; one that is only locked or out of reach is not judged."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return True
    except sqlite3.DatabaseError:
        return False
    return True


def _moved_aside(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.before-rebuild-{stamp}")
    path.replace(aside)
    return aside


def _set_aside(results: Path) -> Path | None:
    """Move results aside, so that the next run does not take the study for another one."""
    if not results.is_dir() or not any(results.iterdir()):
        return None
    aside = _moved_aside(results)
    results.mkdir()
    sync_folder(results.parent)
    return aside
