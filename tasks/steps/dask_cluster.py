"""Do heavy work on the workers of a Dask cluster, which may be other computers.

Every worker is asked first whether it is the same program and sees the same study
(tasks/steps/dask_crew.py), and is handed with that question, once, what all pieces of work share.
"""

import logging
import pickle
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from panels.text.errors import RunnerFault, SettingsFault
from tasks.steps.dask_crew import Crew, WorkerProcess, open_port, put_down
from tasks.steps.dask_worker import Answer, Given, NotGiven, Piece, forget, work_on
from tasks.steps.piece_of_work import DidNotEnd
from tasks.store.fence import held
from tasks.study.folder import Study
from tasks.study.settings import FILE_NAME

if TYPE_CHECKING:
    from distributed import Client, Future

R = TypeVar("R")

CONNECT_SECONDS = 10.0
"""A scheduler that does not answer within this is not there."""
GONE_SECONDS = 40.0
"""A scheduler that went away is looked for at least so long before the pass is given up."""
PATIENCE_SECONDS = 60.0
"""A pass waits so long for a worker that it may use: one that died is started anew."""
GRACE_SECONDS = 10.0
"""Where all workers were refused at the beginning, others may be about to come."""
FIRST_SECONDS = 10.0
"""So long all workers may take to answer before work begins with those that have."""
LOOK_SECONDS = 2.0
"""How often it is looked which workers are there."""
CLOSE_SECONDS = 5.0
MOST_DEATHS = 3
"""So many workers may die at the same work before it is given up."""
_CERTIFIED = " with a certificate of the same authority"
_DIED = "Workers died at this work, perhaps for lack of memory."


class Cluster:
    """The workers of the Dask cluster that a study's settings name.

    ``note`` is told a sentence of each worker that may not be used.
    """

    def __init__(
        self, study: Study, shared: object, note: Callable[[str], None], longest_seconds: float
    ) -> None:
        self.shared = shared
        self._study, self._note, self._longest_seconds = study, note, longest_seconds
        self._address = study.settings.runner.address or ""
        self._lock, self._left = threading.Lock(), ExitStack()
        self._given = Given(
            name=uuid.uuid4().hex,
            study=study,
            sight=self._left.enter_context(put_down(study)),
            locks=held(),
            shared=pickle.dumps(shared),
        )
        self._client: Client | None = None
        self._broken: list[Client] = []
        self._crew = Crew(self._given, note)
        self._usable: frozenset[WorkerProcess] = frozenset()
        self._busy: set[WorkerProcess] = set()
        self._freed = threading.Condition()
        self._looked_at = self._seen_at = self._lost_at = 0.0
        self._was_usable = False
        self._ended: RunnerFault | None = None

    def run(self, work: Callable[..., R], *args: object) -> R:
        """Give the result of ``work(shared, *args)``.

        Raises what it raised; OSError when the scheduler was lost, workers died at it again and
        again, or it does not end; RunnerFault when nobody is left to do it.

        A worker that dies loses nothing: another one does its work. Each has one piece at a time,
        so that only the piece that it died at counts its death.
        """
        piece = Piece(pickle.dumps((work, args, held())))
        for _ in range(MOST_DEATHS):
            with self._free_worker() as (client, process):
                answer = self._tried(client, process, work.__name__, piece)
            if answer is not None:
                result: R = _opened(answer)
                return result
        raise OSError(_DIED)

    def ready(self) -> tuple["Client", frozenset[WorkerProcess]]:
        """Connect where that is necessary, and give the workers to be used.

        Waits for one. Raises SettingsFault where study.yaml has to be changed, OSError when the
        scheduler does not answer, RunnerFault when it does not for long or no worker may be used.
        """
        with self._lock:
            while True:
                if self._ended:
                    raise self._ended
                client = self._connected()
                if time.monotonic() - self._looked_at > LOOK_SECONDS or not self._usable:
                    self._look(client)
                if self._usable:
                    return client, self._usable
                time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """Let go of the workers without waiting for work that has not begun."""
        self._ended = RunnerFault("The run was stopped before this work began.")
        with self._freed:
            self._freed.notify_all()
        with self._lock, self._left:
            client, self._client = self._client, None
            self._crew.close(CLOSE_SECONDS)
            if client is not None:
                folder = str(self._study.folder)
                with suppress(OSError, RuntimeError, CancelledError):
                    client.run(forget, folder, self._given.name, callback_timeout=CLOSE_SECONDS)
                _close(client)
            for broken in self._broken:
                _close(broken)

    def _connected(self) -> "Client":
        """Give the connection, made anew when it was lost."""
        if self._client is not None and self._client.status == "running":
            return self._client
        if self._client is not None:
            # Closed at the end: threads that still ask it would get errors like the work's own.
            self._broken.append(self._client)
            self._client, self._lost_at = None, time.monotonic()
        try:
            self._client = _connect(self._address)
        except OSError as error:
            self._not_there(error)
        except SettingsFault as fault:
            if not self._lost_at:
                raise
            self._ended = RunnerFault(f"The Dask scheduler was lost. {fault}")
            raise self._ended from fault
        listens_at = self._client.scheduler_info().get("address", self._address)
        if not self._study.settings.runner.may_use(listens_at):
            self._ended = RunnerFault(f"The Dask scheduler {open_port(listens_at)}.")
            raise self._ended
        self._crew.close(0.0)
        self._crew, self._usable = Crew(self._given, self._note), frozenset()
        self._looked_at, self._seen_at = 0.0, time.monotonic()
        return self._client

    def _not_there(self, error: OSError) -> NoReturn:
        sentence = (
            f"No Dask scheduler answers at {self._address} within {CONNECT_SECONDS:g} seconds: "
            f"start it{_CERTIFIED * self._address.startswith('tls://')}, or correct runner in "
            f"{self._study.folder / FILE_NAME}. What was counted before is kept."
        )
        if self._lost_at and time.monotonic() - self._lost_at < GONE_SECONDS:
            raise OSError(sentence) from error
        self._ended = RunnerFault(sentence)
        raise self._ended from error

    def _look(self, client: "Client") -> None:
        """See which workers there are; ends all work when none was to be used for long."""
        present = client.scheduler_info().get("workers", {})
        patience = 0.0 if self._usable else FIRST_SECONDS
        self._usable = self._crew.look(client, present, patience)
        self._looked_at = time.monotonic()
        if self._usable:
            self._seen_at, self._was_usable = self._looked_at, True
        if self._usable or self._crew.awaits_answers():
            return
        refusals, waited = self._crew.refusals(), self._looked_at - self._seen_at
        all_refused = bool(refusals) and not self._was_usable
        if waited > (GRACE_SECONDS if all_refused else PATIENCE_SECONDS):
            why = "\n".join(refusals) or "None is connected to it. Start one: dask worker …"
            self._ended = RunnerFault(
                f"The Dask scheduler at {self._address} has no worker for this study.\n{why}"
            )
            raise self._ended

    @contextmanager
    def _free_worker(self) -> Iterator[tuple["Client", WorkerProcess]]:
        """Wait for a worker that has no work, and keep it for the block; raises as ``ready``."""
        process = None
        while process is None:
            client, usable = self.ready()
            with self._freed:
                process = min(usable - self._busy, default=None)
                if process is None:
                    self._freed.wait(LOOK_SECONDS)
                else:
                    self._busy.add(process)
        try:
            yield client, process
        finally:
            with self._freed:
                self._busy.discard(process)
                self._freed.notify()

    def _tried(
        self, client: "Client", process: WorkerProcess, called: str, piece: Piece
    ) -> Answer | None:
        """Have a worker do a piece of work; gives None when it died or was started anew."""
        until = time.monotonic() + self._longest_seconds
        with self._breaking(client):
            future = self._submit(client, process.address, called, piece)
        while not self._has_ended(client, future) and process in self.ready()[1]:
            if time.monotonic() > until:
                self._give_up(client, future, process)
        if future.status != "pending":
            return self._answer(client, future, process)
        # Dask would wait for ever for the worker that is gone (its issue 7346).
        future.cancel()
        return None

    def _submit(self, client: "Client", address: str, called: str, piece: Piece) -> "Future":
        return client.submit(
            work_on,
            str(self._study.folder),
            self._given.name,
            piece,
            key=f"{called}-{uuid.uuid4().hex}",
            workers=[address],
            allow_other_workers=False,
            pure=False,
        )

    def _has_ended(self, client: "Client", future: "Future") -> bool:
        """Wait a moment for some work, and tell whether it ended, well or not."""
        from distributed import wait

        with self._breaking(client), client.as_current(), suppress(TimeoutError, CancelledError):
            wait(future, timeout=LOOK_SECONDS / 2)
        return bool(future.status != "pending")

    def _answer(self, client: "Client", future: "Future", process: WorkerProcess) -> Answer | None:
        """Give what came of work that ended; None when its worker died or was started anew."""
        from distributed import KilledWorker

        try:
            with self._breaking(client):
                answer: Answer = future.result()
        except (KilledWorker, NotGiven):
            self._forget(process)
            return None
        return answer

    def _forget(self, process: WorkerProcess) -> None:
        """Give a worker no work before it was looked for and asked again."""
        with self._lock:
            self._crew.forget(process)
            self._usable -= {process}
            self._looked_at = 0.0

    @contextmanager
    def _breaking(self, client: "Client") -> Iterator[None]:
        """Say of what Dask raises because a connection broke in the block that it did.

        Dask raises a RuntimeError for other reasons too: it is taken for this one only when the
        connection is lost.
        """
        from distributed.client import ClosedClientError

        try:
            yield
        except (CancelledError, ClosedClientError, RuntimeError) as error:
            if self._ended:
                raise self._ended from error
            lost = client.status != "running" or client is not self._client
            if isinstance(error, RuntimeError) and not lost:
                raise
            raise OSError(f"The connection to the Dask scheduler {self._address} broke.") from error

    def _give_up(self, client: "Client", future: "Future", process: WorkerProcess) -> NoReturn:
        """Raise TimeoutError for work that does not end, and have its worker started anew."""
        with suppress(OSError, RuntimeError, CancelledError):
            future.cancel()
            client.restart_workers(
                [process.address], timeout=CONNECT_SECONDS, raise_for_error=False
            )
        self._forget(process)
        raise DidNotEnd.within(self._longest_seconds)


def _opened(answer: Answer) -> Any:
    """Give the result of some work; raises what it raised."""
    if answer.error is not None:
        raise answer.error
    return answer.result


def _connect(address: str) -> "Client":
    """Connect to a scheduler.

    Raises SettingsFault where the package or the certificates are missing, OSError when nobody
    answers.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise SettingsFault(
            f"study.yaml: runner: kind: dask needs the package '{error.name}': install "
            f"reconflow[dask]."
        ) from error
    for name in ("distributed", "distributed.client"):  # what it logs of a lost scheduler, we say
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except TypeError as error:
        raise SettingsFault(
            f"study.yaml: runner: {address} needs certificates. Name them in Dask's own "
            f"configuration (docs/hosts.md)."
        ) from error


def _close(client: "Client") -> None:
    with suppress(OSError, RuntimeError, CancelledError):
        client.close(timeout=CLOSE_SECONDS)
