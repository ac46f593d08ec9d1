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
    """Give what tells one store from another, without names of users and passwords."""
    return url.host, url.port, url.database, *sorted(url.query.items())


def check_held(connection: Connection) -> None:
    """Raise LeaseLost when another process has taken a lock over that is held here."""
    store = address(connection.engine.url) if _HELD.get() else ()
    mine = {(lock.name, lock.holder) for lock in _HELD.get() if lock.store == store}
    if not mine:
        return
    # At every change of the store, so that not even a statement is built for it.
    ends = " FOR SHARE" if connection.dialect.name == "postgresql" else ""
    rows = connection.exec_driver_sql(f"SELECT name, holder FROM leases{ends}")  # noqa: S608
    if not mine <= {tuple(row) for row in rows}:
        raise LeaseLost(
            "Another reconflow took the lock of this study over, because this one was suspended or "
            "cut off for too long. What was done before is kept, and nothing was changed since. "
            "Run it again."
        )
