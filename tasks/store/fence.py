"""Keep a process that has lost the lock of its study from changing the store.

A process that was suspended, or cut off from the database, may wake up when another one has taken
its lock over. So whatever is written under a lock checks in the same transaction that the lock is
still held; the row that says so cannot change until the transaction has ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import URL, Connection

from panels.text.errors import LeaseLost


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that this process holds: in which store, under which name, by which random id."""

    store: tuple[object, ...]
    name: str
    holder: str


_HELD: ContextVar[tuple[Held, ...]] = ContextVar("held", default=())


def held() -> tuple[Held, ...]:
    """Give the locks held here, for a worker process that works under them."""
    return _HELD.get()


@contextmanager
def holding(*locks: Held) -> Iterator[None]:
    """Check these locks, too, at every change that is made in the block."""
    token = _HELD.set((*_HELD.get(), *locks))
    try:
        yield
    finally:
        _HELD.reset(token)


def address(url: URL) -> tuple[object, ...]:
    """Identify a store by its host, port, name and options, without user and password."""
    return url.host, url.port, url.database, *sorted(url.query.items())


def check_held(connection: Connection) -> None:
    """Raise LeaseLost when another process has taken a lock over that is held here."""
    if not _HELD.get():
        return
    store = address(connection.engine.url)
    here = {(lock.name, lock.holder) for lock in _HELD.get() if lock.store == store}
    if not here:
        return
    # As plain SQL: it runs at every change of the store, and building a statement would cost more.
    statement = "SELECT name, holder FROM leases"
    if connection.dialect.name == "postgresql":
        statement += " FOR SHARE"
    if not here <= {tuple(row) for row in connection.exec_driver_sql(statement)}:
        raise LeaseLost(
            "Another reconflow took the lock of this study over, because this one was suspended or "
            "cut off for too long. What was done before is kept, and nothing was changed since. "
            "Run it again."
        )
