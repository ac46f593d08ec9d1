"""Let one process at a time do what two must not do at once, on whatever machines they run.

The lock lies in the store, which every process that works on a study opens. On PostgreSQL it is an
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
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, delete, insert, select, text, update

from panels.files.watchdog import note_progress
from panels.text.errors import LeaseLost, StoreFault
from tasks.store.fence import Held, address, holding
from tasks.store.opening import Store, utc_now
from tasks.store.schema.passes import leases

HEARTBEAT_SECONDS = 5.0
"""How often a holder shows that it lives."""
STALE_SECONDS = 60.0
"""A lease that was watched so long without a heartbeat is taken over.

A holder that lives may be held up by another writer of the store (at most BUSY_SECONDS, 30 s), and
then is late by one heartbeat. The time is measured by the one who waits: clocks of two machines
differ. A holder on this machine that has ended is not waited for at all.
"""
POLL_SECONDS = 0.2
ANNOUNCED_AFTER_SECONDS = 1.0
"""A shorter wait is not announced: passes of the watcher are often so short."""
_DEAD_AFTER = {"tcp_keepalives_idle": 15, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
"""PostgreSQL notices in these seconds that the machine of a holder is gone."""


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
        started = _started(self.pid)
        if started is None:
            return True
        both_known = bool(started and self.started)
        return both_known and started != self.started


@contextmanager
def lease(store: Store, name: str) -> Iterator[None]:
    """Hold a lock of the store for the block; waits for its holder, and says on stderr for whom.

    Whatever this process or its workers write in the block raises LeaseLost once the lock has been
    taken over. Raises StoreFault when the store cannot be used.
    """
    mine = _new_lease(name)
    waits = _renewed_row
    if store.engine.dialect.name == "postgresql":
        waits = _advisory_lock
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
        held = _row(connection, name)
    if held is None or held.is_over:
        return False
    return held.machine == _machine() or _is_renewed(store, held)


def _new_lease(name: str) -> Lease:
    """Describe a lock that this process takes now."""
    pid = os.getpid()
    return Lease(
        name=name,
        holder=uuid.uuid4().hex,
        host=socket.gethostname(),
        machine=_machine(),
        pid=pid,
        started=_started(pid) or "",
        taken_at=utc_now(),
        heartbeat=0,
    )


@dataclass(slots=True)
class _Wait:
    """What was seen of a holder while waiting for it."""

    begun: float = field(default_factory=time.monotonic)
    last: Lease | None = None
    unchanged_since: float = 0.0
    announced: bool = False

    def is_free(self, current: Lease | None) -> bool:
        """Tell whether a lease may be taken: nobody has it, its holder ended or is silent."""
        now = time.monotonic()
        if current != self.last:
            self.last, self.unchanged_since = current, now
        if current is None or current.is_over:
            return True
        return now - self.unchanged_since > STALE_SECONDS

    def wait_for(self, holder: Lease | None) -> None:
        """Wait a moment, and once announce for whom."""
        if not self.announced and time.monotonic() - self.begun > ANNOUNCED_AFTER_SECONDS:
            sys.stderr.write(
                f"reconflow: Another reconflow works on this study ({_described(holder)}); "
                "this one waits for its end.\n"
            )
            sys.stderr.flush()
            self.announced = True
        note_progress()  # A wait for another pass is no standstill of this one.
        time.sleep(POLL_SECONDS)


def _described(holder: Lease | None) -> str:
    if holder is None:
        return "it"
    return f"{holder.name} on {holder.host}, process {holder.pid}, since {holder.taken_at}"


@contextmanager
def _renewed_row(store: Store, mine: Lease) -> Iterator[None]:
    """Take a lease, and renew it from a thread while the block lasts."""
    wait = _Wait()
    while not _take(store, mine, wait):
        wait.wait_for(wait.last)
    ended = threading.Event()
    renewing = threading.Thread(target=_keep_renewing, args=(store, mine, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()


def _take(store: Store, mine: Lease, wait: _Wait) -> bool:
    """Take a lease if it is free, and tell whether it was."""
    with store.reading() as connection:
        current = _row(connection, mine.name)
    if not wait.is_free(current):
        return False
    with store.writing() as connection:
        if _row(connection, mine.name) != current:
            return False
        _write(connection, mine)
    return True


def _keep_renewing(store: Store, mine: Lease, ended: threading.Event) -> None:
    """Renew a lease until it is given back or lost; a store that is busy is tried again."""
    renewal = update(leases).where(_is_row_of(mine)).values(heartbeat=leases.c.heartbeat + 1)
    while not ended.wait(HEARTBEAT_SECONDS):
        with suppress(StoreFault, LeaseLost), store.writing() as connection:
            if not connection.execute(renewal).rowcount:
                return


def _is_renewed(store: Store, seen: Lease) -> bool:
    """Watch a lease for longer than a heartbeat takes; tells whether it changed."""
    until = time.monotonic() + 2 * HEARTBEAT_SECONDS
    while time.monotonic() < until:
        time.sleep(POLL_SECONDS)
        with store.reading() as connection:
            if _row(connection, seen.name) != seen:
                return True
    return False


@contextmanager
def _advisory_lock(store: Store, mine: Lease) -> Iterator[None]:
    """Take an advisory lock on a connection that is kept for the block."""
    with store.alone() as session:
        for name, seconds in _DEAD_AFTER.items():
            session.execute(text(f"SET {name} = {seconds}"))
        key, wait = _key(session, mine.name), _Wait()
        while not session.execute(text(_LOCK), key).scalar():
            wait.wait_for(_row(session, mine.name))
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
    chosen = select(leases).where(leases.c.name == name)
    row = connection.execute(chosen).mappings().one_or_none()
    return None if row is None else Lease(**row)


def _write(connection: Connection, mine: Lease) -> None:
    connection.execute(delete(leases).where(leases.c.name == mine.name))
    connection.execute(insert(leases).values(**asdict(mine)))


def _is_row_of(mine: Lease) -> ColumnElement[bool]:
    return (leases.c.name == mine.name) & (leases.c.holder == mine.holder)


def _release(store: Store, mine: Lease) -> None:
    """Give a lock back; where the store cannot be used any more, the end of the process does."""
    with suppress(StoreFault, LeaseLost), store.writing() as connection:
        connection.execute(delete(leases).where(_is_row_of(mine)))


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
