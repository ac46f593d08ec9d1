"""Do heavy work in processes of its own, a few at a time, or here when there is little of it.

Prefect's tasks wait in threads; gating and drawing would hold each other up there, so they are
handed to a pool of spawned processes, which know nothing of Prefect. Measured on two cores with 80
tasks of 0.3 s: threads alone 27 s, Prefect's own process runner 19 s (and a Ctrl-C that hangs),
this 15 s.

What every piece of work needs (the study as it was read) is handed to each process once, when it
starts; a piece of work is then named by an id.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar

from panels.files.watchdog import note_progress, under_way
from tasks.steps.piece_of_work import DidNotEnd, do_piece, name_of
from tasks.store.fence import Held, held
from tasks.study.folder import Study

R = TypeVar("R")

LONGEST_SECONDS = 3600.0
"""No tube, table or comparison takes so long, with all that may wait before it."""
_STOPPED = "The run was stopped before this work began."
FEW = 3
"""So few pieces of work are done before a new process would have imported what it needs."""


class _ProcessDied(OSError):
    """A process died at this work, or at other work of its pool."""


class _Pool:
    """Some processes, started when the first work comes.

    A process that dies takes the pool with it, and the next work starts a new one.
    """

    def __init__(self, number: int, shared: object) -> None:
        self._number, self._shared = number, shared
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        self._closed = False

    def run(self, longest_seconds: float, work: Callable[..., R], *args: object) -> R:
        """Give the result of ``work(shared, *args)``; raises as ``Workers.run`` does.

        Raises _ProcessDied, too, when the process of other work died.
        """
        pool = self._ready_pool()
        try:
            future = pool.submit(_run_in_worker, work, args, held())
            return future.result(timeout=longest_seconds)
        except CancelledError as error:
            raise OSError(_STOPPED) from error
        except BrokenProcessPool as error:
            self._drop(pool)
            raise _ProcessDied("A worker process died, perhaps for lack of memory.") from error
        except TimeoutError as error:
            if future.cancel():
                raise OSError("No process became free for this work: others hang.") from error
            if future.done():
                raise
            self._give_up(pool)
            raise DidNotEnd.within(longest_seconds) from error

    def close(self) -> None:
        """End the processes without waiting for work that has not begun."""
        with self._lock:
            self._closed = True
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def _ready_pool(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise OSError(_STOPPED)
            if self._pool is None:
                spawn = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(
                    self._number,
                    mp_context=spawn,
                    initializer=_begin,
                    initargs=(os.getpid(), self._shared),
                )
            return self._pool

    def _give_up(self, hanging: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is hanging:
                self._pool = None
        for process in list((hanging._processes or {}).values()):  # noqa: SLF001 - the pool itself only ever waits for them
            process.kill()
        hanging.shutdown(wait=False, cancel_futures=True)

    def _drop(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is not broken:
                return
            self._pool = None
        # The other processes of a broken pool are being ended; wait, so that none outlives the
        # pass.
        broken.shutdown()


class Workers:
    """Some processes that share what they work with.

    Nobody can tell which of the pieces under way a process died at: all of them are done again, one
    at a time in a process of their own, so that only the one that kills it fails.
    """

    def __init__(
        self, number: int, shared: object, longest_seconds: float = LONGEST_SECONDS
    ) -> None:
        self._number = number
        self.shared = shared
        self._longest_seconds = longest_seconds
        self._together, self._alone = _Pool(number, shared), _Pool(1, shared)
        self._lock = threading.Lock()

    def run(self, work: Callable[..., R], *args: object) -> R:
        """Give the result of ``work(shared, *args)``.

        Raises what it raised, OSError when its process died, DidNotEnd when it does not end.

        A process that hangs in the operating system (a share that went away) can only be given up
        with its pool; what others were doing in it is done again.
        """
        if self._number < 2:
            with self._lock, under_way(name_of(work, args)):
                return work(self.shared, *args)
        try:
            return self._together.run(self._longest_seconds, work, *args)
        except _ProcessDied:
            with self._lock:
                return self._alone.run(self._longest_seconds, work, *args)

    def ready(self) -> None:
        """Start nothing yet: processes are started when the first work comes."""

    def close(self) -> None:
        """End the processes without waiting for work that has not begun."""
        self._together.close()
        self._alone.close()


class Hands(Protocol):
    """What does the work of a block: processes of this computer, or a cluster."""

    shared: object

    def run(self, work: Callable[..., R], *args: object) -> R: ...

    def ready(self) -> object: ...

    def close(self) -> None: ...


_WORKERS: ContextVar[Hands] = ContextVar("workers")
_SHARED: ContextVar[object] = ContextVar("shared")
"""In a worker process: what its pool was given."""


@contextmanager
def workers(
    number: int,
    pieces: int,
    shared: object,
    study: Study | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Have somebody ready in the block for that many pieces of work with ``shared``.

    These are ``number`` processes (few pieces are done in this one), or the cluster that the
    settings of ``study`` name; ``note`` is told a sentence of each of its workers that may not be
    used. Raises RunnerFault when the cluster cannot be used, SettingsFault when study.yaml is wrong
    in it.
    """
    chosen: Hands
    if study is not None and study.settings.runner.kind == "dask":
        from tasks.steps.dask_cluster import Cluster

        chosen = Cluster(study, shared, note, LONGEST_SECONDS)
    else:
        chosen = Workers(1 if pieces <= FEW else min(number, pieces), shared)
    token = _WORKERS.set(chosen)
    try:
        chosen.ready()
        yield
    finally:
        _WORKERS.reset(token)
        chosen.close()


def apart(work: Callable[..., R], *args: object) -> R:
    """Give the result of ``work(shared, *args)``, done by the surrounding ``workers`` block.

    Its end, good or bad, is progress of the pass.
    """
    try:
        return _WORKERS.get().run(work, *args)
    finally:
        note_progress()


@contextmanager
def aside() -> Iterator[Callable[..., Any]]:
    """Give what does ``work(shared, *args)`` as ``apart`` does, in a process of its own here.

    What its work loads is gone with it, and what breaks it breaks no other work.
    """
    alone = _Pool(1, _WORKERS.get().shared)
    try:
        yield partial(alone.run, LONGEST_SECONDS)
    finally:
        alone.close()


def _begin(parent: int, shared: object) -> None:
    """Set a worker process up with what it shares.

    Ctrl-C is its parent's to handle, and it does not outlive a parent that was killed.
    """
    _SHARED.set(shared)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_in_worker(work: Callable[..., R], args: Sequence[object], locks: Sequence[Held] = ()) -> R:
    """Do one piece of work in a worker process, under the locks of its parent."""
    return do_piece(_SHARED.get(), work, args, locks)
