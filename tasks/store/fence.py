"""Keep a process that has lost the lock of its study from changing the store.

A process that was suspended, or cut off from the database, may wake up when another one has taken
its lock over. So whatever is written under a lock checks in the same transaction that the lock is
still held; the row that says so cannot change until the transaction has ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import Connection, select

from panels.errors import LeaseLost
from tasks.store.schema import leases


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that this process holds: in which store, under which name, by which random id."""

    store: str
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


def check_held(connection: Connection, store: str) -> None:
    """Raise LeaseLost when another process has taken a lock over that is held here."""
    mine = {lock.name: lock.holder for lock in _HELD.get() if lock.store == store}
    if not mine:
        return
    chosen = select(leases.c.name, leases.c.holder).with_for_update(read=True)
    rows = {row.name: row.holder for row in connection.execute(chosen)}
    if any(rows.get(name) != holder for name, holder in mine.items()):
        raise LeaseLost(
            "Another reconflow took the lock of this study over, because this one was suspended or "
            "cut off for too long. What was done before is kept, and nothing was changed since. "
            "Run it again."
        )
