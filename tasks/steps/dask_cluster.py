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
from tasks.steps.dask_crew import Crew, open_port, put_down
from tasks.steps.dask_worker import Given, forget, work_on
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
"""So often the same work is given to others when all are gone that were to do it."""
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
        self._usable: frozenset[str] = frozenset()
        self._looked_at = self._seen_at = self._lost_at = 0.0
        self._was_usable = False
        self._ended: RunnerFault | None = None

    def run(self, work: Callable[..., R], *args: object) -> R:
        """Give the result of ``work(shared, *args)``.

        Raises what it raised; OSError when the scheduler was lost, workers died at it again and
        again, or it does not end; RunnerFault when nobody is left to do it.

        A worker that dies loses nothing: another one does its work.
        """
        piece = pickle.dumps((work, args, held()))
        until = time.monotonic() + self._longest_seconds
        for _ in range(MOST_DEATHS):
            client, usable = self.ready()
            with self._breaking(client):
                future = self._submit(client, usable, work.__name__, piece)
            while not self._has_ended(client, future) and self.ready()[1] & usable:
                if time.monotonic() > until:
                    self._give_up(client, future)
            if future.status != "pending":
                result: R = self._result(client, future)
                return result
            # Those it was for are gone and others came; Dask would wait for ever for the former
            # (its issue 7346).
            future.cancel()
        raise OSError(_DIED)

    def ready(self) -> tuple["Client", frozenset[str]]:
        """Connect where that is necessary, and give the addresses of the workers to be used.

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

    def _submit(
        self, client: "Client", usable: frozenset[str], called: str, piece: bytes
    ) -> "Future":
        return client.submit(
            work_on,
            str(self._study.folder),
            self._given.name,
            piece,
            key=f"{called}-{uuid.uuid4().hex}",
            workers=sorted(usable),
            allow_other_workers=False,
            pure=False,
        )

    def _has_ended(self, client: "Client", future: "Future") -> bool:
        """Wait a moment for some work, and tell whether it ended, well or not."""
        from distributed import wait

        with self._breaking(client), client.as_current(), suppress(TimeoutError, CancelledError):
            wait(future, timeout=LOOK_SECONDS / 2)
        return bool(future.status != "pending")

    def _result(self, client: "Client", future: "Future") -> Any:
        from distributed import KilledWorker

        try:
            with self._breaking(client):
                return future.result()
        except KilledWorker as error:
            raise OSError(_DIED) from error

    @contextmanager
    def _breaking(self, client: "Client") -> Iterator[None]:
        """Say of what Dask raises because a connection broke in the block that it did.

        Work may raise a RuntimeError of its own: only with the connection it is taken for Dask's.
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

    def _give_up(self, client: "Client", future: "Future") -> NoReturn:
        """Raise TimeoutError for work that does not end, and have its worker started anew."""
        with suppress(OSError, RuntimeError, CancelledError):
            at_it = [who for who, keys in client.processing().items() if future.key in keys]
            future.cancel()
            client.restart_workers(at_it, timeout=CONNECT_SECONDS, raise_for_error=False)
        raise DidNotEnd.within(self._longest_seconds)


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
