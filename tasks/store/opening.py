"""Open the store: SQLite in the study folder, or PostgreSQL."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from panels.text.errors import SettingsFault, StoreFault
from tasks.store.faults import faults_in_words, is_passing, what_to_do
from tasks.store.fence import check_held
from tasks.store.schema.layout import SCHEMA_VERSION, versions
from tasks.store.shares import network_type

BUSY_SECONDS = 30
"""How long one process waits for another that is writing."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open store; use it in a ``with`` block so that it is closed.

    ``time_zone`` is the study's: the times it keeps as the laboratory wrote them are meant in it
    where they have no offset.
    """

    engine: Engine
    time_zone: str | None = None

    @property
    def shown(self) -> str:
        """Give the store's address without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection whose changes are kept together at the end of the block, or not at all.

        Raises StoreFault when the store cannot be used, LeaseLost when a lock that is held here has
        been taken over.
        """
        with faults_in_words(self.engine.url), self.engine.begin() as connection:
            check_held(connection)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection that sees the store as it is now and holds up nobody."""
        with faults_in_words(self.engine.url), self._connected(only_reads=True) as connection:
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """Give a connection for the whole block that is in no transaction and is then closed."""
        described = faults_in_words(self.engine.url)
        with described, self._connected(isolation_level="AUTOCOMMIT") as connection:
            try:
                yield connection
            finally:
                connection.invalidate()

    def _connected(self, **options: Any) -> Connection:
        return self.engine.connect().execution_options(**options)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_store(url: str, time_zone: str | None = None) -> Store:
    """Open the store at a database address, and make its tables when it is new.

    ``time_zone`` is that of the study. Raises SettingsFault when the store cannot be reached, is no
    database, lies on a network share, or was written by a newer reconflow; StoreFault when it is
    locked or its disk is full. The address is repeated without its password.
    """
    store = Store(_engine(url), time_zone)
    if store.engine.dialect.name == "sqlite":
        _check_disk(store)
        _prepare_sqlite(store.engine)
    try:
        _bring_up_to_date(store)
    except (DBAPIError, StoreFault) as error:
        store.close()
        cause = error if isinstance(error, DBAPIError) else error.__cause__
        if not isinstance(cause, DBAPIError) or is_passing(cause, store.engine.url):
            raise
        message = " ".join(str(cause.orig).split())
        raise SettingsFault(
            f"study.yaml: store: the store {store.shown} cannot be opened: {message}"
            f"{what_to_do(message)}"
        ) from error
    except SettingsFault:
        store.close()
        raise
    return store


def version_of_store(url: str) -> int | None:
    """Read the version of a store and leave it as it is; None when it has no tables yet.

    Raises as ``open_store`` does where it cannot be read, or is newer than this program.
    """
    store = Store(_engine(url))
    try:
        with store.reading() as connection:
            return _version(connection, store.shown)
    finally:
        store.close()


def utc_now() -> str:
    """Write the present time as the store keeps it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _engine(url: str) -> Engine:
    """Prepare connections to a database address, without connecting yet."""
    options = {}
    if url.startswith("sqlite"):
        options["timeout"] = BUSY_SECONDS
    try:
        return create_engine(url, connect_args=options)
    except ArgumentError as error:
        raise SettingsFault(
            "study.yaml: store: no database address; write sqlite:///reconflow.db or "
            "postgresql+psycopg://…"
        ) from error
    except ModuleNotFoundError as error:
        shown = make_url(url).render_as_string(hide_password=True)
        raise SettingsFault(
            f"study.yaml: store: {shown} needs the package '{error.name}': install "
            f"reconflow[postgres]."
        ) from error


def _check_disk(store: Store) -> None:
    """Refuse a store on a network share: two machines that write there do not see each other."""
    kind = network_type(Path(store.engine.url.database or "").resolve().parent)
    if kind:
        raise SettingsFault(
            f"study.yaml: store: the store {store.shown} lies on a network share ({kind}), where "
            "SQLite loses what is written. Put it on a disk of this computer (sqlite:////folder/"
            "reconflow.db), or name a PostgreSQL database (postgresql+psycopg://…). The other "
            "folders may stay on the share."
        )


def _prepare_sqlite(engine: Engine) -> None:
    """Let readers and one writer work side by side.

    Who is going to write waits for the other writer at the start of a change, not in its middle.
    """

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        _write_ahead(cursor)
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _began(connection: Connection) -> None:
        only_reads = connection.get_execution_options().get("only_reads", False)
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


def _write_ahead(cursor: Any) -> None:
    """Switch to the write-ahead log.

    SQLite does not wait by itself when another worker is switching a new store.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.02)


def _bring_up_to_date(store: Store) -> None:
    """Make the tables of a new store, or bring those of an earlier version to the present one.

    A store that is up to date is only read. Everything is done in one transaction, so that a
    process that is killed leaves the store as it was, and one at a time: who waited finds it done.
    A SQLite store is copied first.
    """
    with store.reading() as connection:
        if _version(connection, store.shown) == SCHEMA_VERSION:
            return
    with store.writing() as connection:
        if store.engine.dialect.name == "postgresql":
            # Two workers that open a new store at once would both make its tables.
            connection.execute(text("SELECT pg_advisory_xact_lock(7266632)"))
        version = _version(connection, store.shown)
        if version == SCHEMA_VERSION:
            return
        from tasks.store.migrations.upgrade import copy_kept, upgrade_to_head

        with copy_kept(connection, version):
            upgrade_to_head(connection, version)
            connection.execute(insert(versions).values(version=SCHEMA_VERSION))


def _version(connection: Connection, shown: str) -> int | None:
    """Read the version of a store, None when it is new.

    Raises SettingsFault when the store is newer than this program.
    """
    if not inspect(connection).has_table(versions.name):
        return None
    version: int | None = connection.execute(select(func.max(versions.c.version))).scalar()
    if version is not None and version > SCHEMA_VERSION:
        raise SettingsFault(
            f"The store {shown} was written by a newer reconflow (store version {version}; "
            f"this program knows {SCHEMA_VERSION}). "
            "Use the newer reconflow, or put back the store from before it: reconflow restore "
            "FILE --by NAME. Nothing was changed."
        )
    return version
