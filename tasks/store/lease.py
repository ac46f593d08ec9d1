"""Let one process at a time do what two must not do at once, on whatever machines they run.

The lock lies in the store, where everybody who works on a study meets. On PostgreSQL it is an
advisory lock of a session, which the server frees when the session ends. SQLite has no such lock
that outlives a transaction, so there it is a lease: a row that its holder renews while it lives.
On both, the row says who holds the lock, and what is written under it checks that row (`fence.py`).
"""

import hashlib
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, text, update

from panels.text.errors import LeaseLost, StoreFault
from tasks.store.fence import Held, address, holding
from tasks.store.opening import Store, utc_now
from tasks.store.schema import leases

HEARTBEAT_SECONDS = 5.0
"""How often a holder shows that it lives."""
STALE_SECONDS = 60.0
"""A lease that was watched so long without a heartbeat is taken over.

A holder that lives may be held up by another writer of the store (at most BUSY_SECONDS, 30 s), and
then is late by one heartbeat. The time is measured by the one who waits: clocks of two machines
differ. A holder on this machine that has ended is not waited for at all.
"""
POLL_SECONDS = 0.2
SAID_AFTER_SECONDS = 1.0
"""Who waits no longer than this says nothing: passes of the watcher are often so short."""
_DEAD_AFTER = {"tcp_keepalives_idle": 15, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
"""PostgreSQL notices in these seconds that the machine of a holder has gone without a word."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a lock: ``started`` tells a process from a later one that has its ``pid``.

    ``machine`` stands for a boot of one machine (and a container on it), ``heartbeat`` grows.
    """

    name: str
    holder: str
    host: str
    machine: str
    pid: int
    started: str
    taken_at: str
    heartbeat: int

    @property
    def is_over(self) -> bool:
        """Tell whether the holder ran on this machine and has ended; False where nobody knows."""
        if self.machine != _machine():
            return False
        now = _started(self.pid)
        return now is None or bool(now and self.started and now != self.started)


@contextmanager
def lease(store: Store, name: str) -> Iterator[None]:
    """Hold a lock of the store for the block; waits for its holder, and says on stderr for whom.

    Whatever this process or its workers write in the block raises LeaseLost once the lock has been
    taken over. Raises StoreFault when the store cannot be used.
    """
    mine = Lease(
        name, uuid.uuid4().hex, socket.gethostname(), _machine(), os.getpid(),
        _started(os.getpid()) or "", utc_now(), 0,
    )  # fmt: skip
    waits = _on_the_server if store.engine.dialect.name == "postgresql" else _by_a_row
    with waits(store, mine):
        try:
            with holding(Held(address(store.engine.url), name, mine.holder)):
                yield
        finally:
            _release(store, mine)


def is_held(store: Store, name: str) -> bool:
    """Tell whether somebody holds a lock; one of another machine is watched for a heartbeat."""
    with store.reading() as connection:
        if connection.dialect.name == "postgresql":
            return bool(connection.execute(text(_LOCKED), _key(connection, name)).scalar())
        found = _row(connection, name)
    if found is None or found.is_over:
        return False
    return found.machine == _machine() or _beats(store, found)


@dataclass(slots=True)
class _Wait:
    """What was seen of a holder while waiting for it."""

    begun: float = field(default_factory=time.monotonic)
    last: Lease | None = None
    since: float = 0.0
    said: bool = False

    def is_free(self, found: Lease | None) -> bool:
        """Tell whether a lease may be taken: nobody has it, its holder ended or is silent."""
        now = time.monotonic()
        if found != self.last:
            self.last, self.since = found, now
        return found is None or found.is_over or now - self.since > STALE_SECONDS

    def on(self, found: Lease | None) -> None:
        """Wait a moment, and once say for whom."""
        if not self.said and time.monotonic() - self.begun > SAID_AFTER_SECONDS:
            who = f" on {found.host}, process {found.pid}, since {found.taken_at}" if found else ""
            sys.stderr.write(
                f"reconflow: Another reconflow works on this study ({found.name if found else 'it'}"
                f"{who}); this one waits for its end.\n"
            )
            sys.stderr.flush()
            self.said = True
        time.sleep(POLL_SECONDS)


@contextmanager
def _by_a_row(store: Store, mine: Lease) -> Iterator[None]:
    """Take a lease, and renew it from a thread while the block lasts."""
    wait = _Wait()
    while not _taken(store, mine, wait):
        wait.on(wait.last)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(store, mine, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()


def _taken(store: Store, mine: Lease, wait: _Wait) -> bool:
    with store.reading() as connection:
        found = _row(connection, mine.name)
    if not wait.is_free(found):
        return False
    with store.writing() as connection:
        if _row(connection, mine.name) != found:
            return False
        _write(connection, mine)
    return True


def _beat(store: Store, mine: Lease, ended: threading.Event) -> None:
    """Renew a lease until it is given back or lost; a store that is busy is tried again."""
    own = (leases.c.name == mine.name) & (leases.c.holder == mine.holder)
    grown = update(leases).where(own).values(heartbeat=leases.c.heartbeat + 1)
    while not ended.wait(HEARTBEAT_SECONDS):
        with suppress(StoreFault, LeaseLost), store.writing() as connection:
            if not connection.execute(grown).rowcount:
                return


def _beats(store: Store, found: Lease) -> bool:
    """Watch a lease for longer than a heartbeat takes; tells whether it changed."""
    until = time.monotonic() + 2 * HEARTBEAT_SECONDS
    while time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        with store.reading() as connection:
            if _row(connection, found.name) != found:
                return True
    return False


@contextmanager
def _on_the_server(store: Store, mine: Lease) -> Iterator[None]:
    """Take an advisory lock on a connection that is kept for the block."""
    with store.alone() as session:
        for name, seconds in _DEAD_AFTER.items():
            session.execute(text(f"SET {name} = {seconds}"))
        key, wait = _key(session, mine.name), _Wait()
        while not session.execute(text(_LOCK), key).scalar():
            wait.on(_row(session, mine.name))
        # Not before the lock is held: who was cut off and lost it may still be writing.
        with store.writing() as connection:
            _write(connection, mine)
        yield


_LOCK = "SELECT pg_try_advisory_lock((CAST(:high AS bigint) << 32) | :low)"
_LOCKED = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND classid = CAST(:high AS oid) AND objid = CAST(:low AS oid)"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def _key(connection: Connection, name: str) -> dict[str, int]:
    """Give the two halves of a lock's number; each schema of a database is a store of its own."""
    schema = connection.execute(text("SELECT current_schema()")).scalar()
    digest = hashlib.sha256(f"reconflow {schema} {name}".encode()).digest()
    return {"high": int.from_bytes(digest[:4]) >> 1, "low": int.from_bytes(digest[4:8])}


def _row(connection: Connection, name: str) -> Lease | None:
    row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
    return None if row is None else Lease(**row._mapping)  # noqa: SLF001 - public in SQLAlchemy


def _write(connection: Connection, mine: Lease) -> None:
    values = {name: getattr(mine, name) for name in Lease.__slots__}
    connection.execute(delete(leases).where(leases.c.name == mine.name))
    connection.execute(insert(leases).values(**values))


def _release(store: Store, mine: Lease) -> None:
    """Give a lock back; where the store cannot be used any more, the end of the process does."""
    own = (leases.c.name == mine.name) & (leases.c.holder == mine.holder)
    with suppress(StoreFault, LeaseLost), store.writing() as connection:
        connection.execute(delete(leases).where(own))


@lru_cache
def _machine() -> str:
    """Name this boot of this machine, and the processes that can be seen from here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """Give when a process started; empty where that cannot be read, None when it has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it lives, and is another user's
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    # After the name, which may hold blanks and brackets: state, then 18 numbers, then the start.
    words = stat.rpartition(")")[2].split()
    return None if words[0] in {"Z", "X"} else words[19]
