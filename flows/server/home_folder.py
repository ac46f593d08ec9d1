"""Keep the folder of a Prefect server: closed to other accounts, and for one server at a time.

Migrating a new Prefect database takes three times as long as starting on a migrated one, so an
empty, migrated database of the installed Prefect version is kept in the user's cache folder and
copied for every new home.
"""

import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO

from panels.text.errors import UsageFault

DATABASE, LOG, LOCK = "prefect.db", "server.log", "server.lock"
URL, LOGIN = "server.url", "server.login"
TEMPORARY = "reconflow-server-"
FOREIGN_BITS = 0o077
LOCK_SECONDS = 1.0
OLD_SECONDS = 3600.0


def close_to_others(home: Path) -> Path:
    """Make a server's folder, or close an earlier version's, so that only this account looks in.

    Gives its resolved path. Raises UsageFault where that cannot be done: on another account's
    folder, or a file system without rights. Whoever reads the login or writes the database can
    run code as this account.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = home.resolve()
    if home.stat().st_uid != os.geteuid():
        message = (
            f"{home} belongs to another account ({owner_of(home)}). Run reconflow as that account,"
            " or remove the folder: it holds only the schedule and the history of runs."
        )
        raise UsageFault(message)
    for path in (home, *home.iterdir()):
        # A file may go meanwhile: a second `reconflow up` looks at the database of the first.
        with suppress(FileNotFoundError):
            _close(path)
    return home


def _close(path: Path) -> None:
    if path.is_symlink():
        return
    with suppress(PermissionError):
        path.chmod(0o700 if path.is_dir() else 0o600)
    if path.stat().st_mode & FOREIGN_BITS:
        message = (
            f"{path} cannot be closed to other accounts, and who reads it can run code as this one."
            f" Mend its rights (it belongs to {owner_of(path)}); where the file system has none,"
            " keep the study on a local disk or name a Prefect server of the site in"
            " PREFECT_API_URL."
        )
        raise UsageFault(message)


def owner_of(path: Path) -> str:
    """Name the account a path belongs to, by number where the machine has no name for it."""
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)


def write_private(path: Path, text: str) -> None:
    """Write a file that no other account can read, not even while it is being written."""
    with open_private(path) as file:
        file.write(text.encode())


def open_private(path: Path, how: int = os.O_TRUNC) -> IO[bytes]:
    """Open a file for writing that only this account can read; ``how`` empties it by default."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb")


@contextmanager
def temporary_home() -> Iterator[Path]:
    """Make a folder for the server of one command and remove it afterwards.

    Those that killed commands left behind are removed first.
    """
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _sweep(folder: Path) -> None:
    """Remove this account's temporary homes that no server holds any more."""
    for home in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            status = home.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                _remove_unless_held(home)


def _remove_unless_held(home: Path) -> None:
    with (home / LOCK).open("r+b") as lock:
        # The holder writes into the file once it has the lock: an empty one may be locked soon.
        taken = lock.read(1) or time.time() - os.fstat(lock.fileno()).st_mtime > OLD_SECONDS
        if taken and _locks(lock):
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def lock_home(home: Path) -> Iterator[IO[bytes]]:
    """Hold the home for one server: two on one SQLite database would block each other.

    Raises UsageFault when another server holds it.
    """
    with open_private(home / LOCK, os.O_APPEND) as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        # `reconflow status` holds the lock for a moment to see whether it is free.
        while not _locks(lock):
            if time.monotonic() > deadline:
                message = (
                    f"{home}: a Prefect server is already running for this folder."
                    " Stop the other `reconflow up` first."
                )
                raise UsageFault(message)
            time.sleep(0.05)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n".encode())
        lock.flush()
        yield lock


def is_held(home: Path) -> bool:
    """Tell whether a server holds the home; raises OSError where this account may not look."""
    with (home / LOCK).open("r+b") as lock:
        return not _locks(lock)


def _locks(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lay_database(home: Path) -> bool:
    """Copy the kept database into a home that has none; True when the server must make one."""
    database = home / DATABASE
    if database.exists():
        return False
    if not _is_usable(_template()):
        return True
    database.touch(mode=0o600)
    shutil.copyfile(_template(), database)
    return False


def keep_template(home: Path) -> None:
    """Keep a freshly migrated database for the next new home.

    Without a writable cache the next start is only slower.
    """
    template = _template()
    if _is_usable(template):
        return
    with suppress(OSError, sqlite3.Error):
        template.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=template.parent) as folder:
            copy = Path(folder) / template.name
            write_private(copy, "")
            with (
                closing(sqlite3.connect(home / DATABASE)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            copy.replace(template)


def _template() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "reconflow" / f"prefect-{version('prefect')}.db"


def _is_usable(template: Path) -> bool:
    """Tell whether there is a kept database that only this account can have written.

    The server trusts what stands in it. Its rights are narrowed where an earlier version left
    them wider.
    """
    try:
        status = template.lstat()
    except OSError:
        return False
    ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
    if not ours or status.st_mode & 0o022:
        return False
    template.chmod(0o600)
    return True
