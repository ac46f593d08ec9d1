"""Bring the tables of a store to the present version with alembic.

Importing alembic takes longer than opening a store that is up to date: import this module only
where a store has to be migrated.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from panels.text.errors import StoreFault

_ONE_AT_A_TIME = threading.Lock()
"""alembic keeps the migration that runs in its modules: two threads would mix theirs up."""


@contextmanager
def copy_kept(connection: Connection, version: int | None) -> Iterator[None]:
    """Keep a copy of the store as it was before the block migrates it, unless the block fails.

    What fails changed nothing, and every further attempt would leave a copy. Of a store without
    tables (version None) there is nothing to copy. Raises StoreFault where the copy cannot be
    written.
    """
    kept = None if version is None else _keep_copy(connection, version)
    try:
        yield
    except BaseException:
        if kept is not None:
            kept.unlink(missing_ok=True)
        raise


def _keep_copy(connection: Connection, version: int) -> Path | None:
    """Copy a SQLite store of an earlier version beside it, for the way back to the program of then.

    The connection is in the transaction that migrates: nobody else writes, and nothing is changed
    yet. The copy has the store's rights. Of PostgreSQL the site keeps copies.
    """
    if connection.dialect.name != "sqlite" or not connection.engine.url.database:
        return None
    store = Path(connection.engine.url.database)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = store.with_name(f"{store.name}.version-{version}-{stamp}")
    partial = kept.with_name(f"{kept.name}.part")
    try:
        _copy(store, partial)
        partial.replace(kept)
        return kept
    except (OSError, sqlite3.Error) as error:
        raise StoreFault(
            f"The store {store} has to be brought to a new version, and the copy that is kept of "
            f"the old one cannot be written ({error}). Make room in its folder, or give this "
            "account the right to write there; nothing was changed."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(store: Path, copy: Path) -> None:
    """Write a new file with the store as it is, readable by those who can read the store."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, store.stat().st_mode & 0o777))
    with closing(sqlite3.connect(store)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        # Everything in the one file, so that it can be put in the store's place by itself.
        target.execute("PRAGMA journal_mode = DELETE")


def upgrade_to_head(connection: Connection, version: int | None) -> None:
    """Migrate a store from a version to the newest, in the transaction of the connection.

    The version (None: the store has no tables yet) is the store's own record, ``schema_version``.
    alembic's record is set to it first.
    """
    config = Config()
    config.set_main_option("script_location", "tasks.store:migrations")
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        if version is not None:
            command.stamp(config, str(version), purge=True)
        command.upgrade(config, "head")
