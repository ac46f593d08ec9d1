"""Find out which workers of a Dask cluster a pass may use, and say why it may not use others."""

import asyncio
import secrets
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from panels.files.durable import write_durably
from panels.text.printable import shown
from tasks.intake.marker_files import MARKER
from tasks.steps.dask_worker import Given, Installation, Sight, accept, describe, installation
from tasks.study.folder import Study

if TYPE_CHECKING:
    from distributed import Client

ASKING_SECONDS = 120.0
"""A worker that does not say within this what it is gets no work.

It has to load this program first, perhaps from a share.
"""
ASKED_AT_ONCE = 8
MOST_NAMED = 3
"""So many differences of a worker are named."""
_FOLDER = ".reconflow-workers-"

Answer = TypeVar("Answer")


class WorkerProcess(NamedTuple):
    """One process of a worker; one that is started anew is another, even at the same address.

    Each has a scratch folder of its own, which Dask names by chance.
    """

    address: str
    scratch: str


class Crew:
    """The workers that were seen, each with the reason why it may not be used, "" if it may.

    Each is asked in a thread: while a slow one loads the program, work goes on with the others.
    """

    def __init__(self, given: Given, note: Callable[[str], None]) -> None:
        self._given, self._note = given, note
        self._judged: dict[WorkerProcess, str] = {}
        self._asked: dict[WorkerProcess, Future[str | None]] = {}
        self._at_once = threading.Semaphore(ASKED_AT_ONCE)
        self._mine = installation()

    def look(
        self, client: "Client", workers: Mapping[str, Mapping[str, Any]], patience: float = 0.0
    ) -> frozenset[WorkerProcess]:
        """Give the workers that may be used now; those that are new are asked.

        ``workers`` is what the scheduler says of each, by address; ``patience`` is how many seconds
        to wait for those that have not answered.
        """
        present = [
            WorkerProcess(address, str(told.get("local_directory")))
            for address, told in workers.items()
        ]
        for process in sorted({*present} - self._judged.keys() - self._asked.keys()):
            self._asked[process] = self._begin_to_ask(client, process)
        for answered in wait(self._asked.values(), timeout=patience).done:
            self._take(answered)
        return frozenset(each for each in present if self._judged.get(each) == "")

    def forget(self, process: WorkerProcess) -> None:
        """Ask a worker again if it is still there."""
        self._judged.pop(process, None)

    def awaits_answers(self) -> bool:
        """Tell whether a worker that was asked has not answered yet."""
        return bool(self._asked)

    def close(self, patience: float) -> None:
        """Ask nobody any more; waits so many seconds for those that were asked."""
        for asked in self._asked.values():
            asked.cancel()
        wait(self._asked.values(), timeout=patience)

    def refusals(self) -> list[str]:
        """Give a sentence for each worker that may not be used."""
        return list(dict.fromkeys(filter(None, self._judged.values())))

    def _begin_to_ask(self, client: "Client", process: WorkerProcess) -> "Future[str | None]":
        """Ask a worker in a thread that keeps nothing from ending when it is never answered."""
        answer: Future[str | None] = Future()

        def ask() -> None:
            with self._at_once:
                if answer.set_running_or_notify_cancel():
                    answer.set_result(self._judge(client, process.address))

        threading.Thread(target=ask, name="asks a worker", daemon=True).start()
        return answer

    def _take(self, answered: "Future[str | None]") -> None:
        """Keep what came of asking a worker; one that went away is asked again if it comes back."""
        process = next(who for who, future in self._asked.items() if future is answered)
        del self._asked[process]
        against = answered.result()
        if against and against not in self._judged.values():
            self._note(against)
        if against is not None:
            self._judged[process] = against

    def _judge(self, client: "Client", address: str) -> str | None:
        """Ask a worker what it is and whether it sees the study.

        Gives what speaks against it, and None where it went away meanwhile.
        """
        host = ""
        if not self._given.study.settings.runner.may_use(address):
            return f"The Dask worker {open_port(address)}."
        try:
            theirs = _asked(client, address, describe)
            host = f" on {shown(theirs.host)}"
            against = self._differences(theirs) or self._handed(client, address)
        except TimeoutError:
            against = f"it does not answer within {ASKING_SECONDS:g} seconds"
        except (OSError, KeyError, asyncio.CancelledError):
            return None
        except Exception as error:  # noqa: BLE001 - whatever a strange worker raises, it gets no work
            against = f"it has no reconflow, or another ({type(error).__name__}). Install it there"
        return f"The Dask worker {address}{host} is not used: {against}." if against else ""

    def _differences(self, theirs: Installation) -> str:
        """Say what of a worker's installation differs from the one that asks."""
        mine = self._mine
        if theirs.threads != 1:
            return (
                f"it has {theirs.threads} threads. Start it with --nthreads 1, and with --nworkers "
                f"for as many processes as it shall be"
            )
        if not theirs.guarded:
            return "nothing starts it anew when it hangs. Start it without --no-nanny"
        differing = [
            f"{part} is {theirs.parts.get(part, 'none')} there and {there} here"
            for part, there in mine.parts.items()
            if theirs.parts.get(part) != there
        ]
        if differing:
            more = len(differing) - MOST_NAMED
            named = "; ".join(differing[:MOST_NAMED]) + (f"; {more} more" if more > 0 else "")
            return (
                f"{named}. Install reconflow there with the same constraints.txt, and start anew "
                f"what ran meanwhile"
            )
        if self._given.study.store_file and theirs.computer != mine.computer:
            return (
                f"it is another computer than {mine.host}, and an SQLite store may be written from "
                f"one computer only. Set store: postgresql+psycopg://… in study.yaml"
            )
        return ""

    def _handed(self, client: "Client", address: str) -> str:
        """Hand a worker what the work shares; gives what it does not see."""
        answer, against = _asked(client, address, accept, self._given)
        if against:
            return f"{against}. Connect its share under the same path, for the same account"
        put_down = self._given.sight.folder / answer
        if (
            not put_down.is_file()
            or put_down.read_text(encoding="ascii") != self._given.sight.token
        ):
            return f"what it writes into {put_down.parent.parent} is not seen here"
        return ""


def open_port(address: str) -> str:
    """Say why a part of the cluster at such an address is not used."""
    return (
        f"{address} is not used: whoever reaches it can run programs there. Start it with "
        f"--host 127.0.0.1, or use tls:// (docs/hosts.md), or set insecure: true in study.yaml if "
        f"nobody else can reach that network"
    )


@contextmanager
def put_down(study: Study) -> Iterator[Sight]:
    """Put down in results/ what workers have to see, for the block; raises OSError."""
    study.results.mkdir(parents=True, exist_ok=True)
    for left in study.results.glob(f"{_FOLDER}*"):
        shutil.rmtree(left, ignore_errors=True)
    token, folder = secrets.token_hex(16), study.results / f"{_FOLDER}{secrets.token_hex(8)}"
    write_durably(folder / "pass", token.encode("ascii"))
    try:
        yield Sight(folder, token, dict(_markers(study)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _markers(study: Study) -> Iterator[tuple[Path, str]]:
    """Give the marker files of inbox and archive that are there, and what stands in them."""
    for kind, folder in (("inbox", study.inbox), ("archive", study.archive)):
        marker = folder / MARKER[kind]
        if marker.is_file():
            yield marker, marker.read_text(encoding="utf-8", errors="replace")


def _asked(
    client: "Client",
    address: str,
    question: Callable[..., Coroutine[Any, Any, Answer]],
    *words: object,
) -> Answer:
    """Ask one worker, which answers beside its work; raises what it raised, and TimeoutError."""
    found = client.run(question, *words, workers=[address], callback_timeout=ASKING_SECONDS)
    answer: Answer = found[address]
    return answer
