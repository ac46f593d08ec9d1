"""What a worker of a Dask cluster is asked: what it is, whether it sees the study, and its work.

These functions run in the worker's process, on whatever computer it is; the side of the pass is
tasks/steps/dask_cluster.py.
"""

import asyncio
import hashlib
import math
import os
import pickle
import platform
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from panels.text.errors import LeaseLost, ReconflowError
from tasks.steps.piece_of_work import do_piece
from tasks.store.fence import Held, check_held, holding
from tasks.study.folder import Study

ROOMS = ("gating", "panels", "tasks")
"""Packages of this program that a worker runs."""
SEEING_SECONDS = 20.0
"""A share that does not answer a worker for so long is taken for hung."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What has to be the same on every worker, lest one counts otherwise or misreads its work.

    ``computer`` stands for a boot of one computer, ``parts`` for what is installed, by name. A
    worker that is ``guarded`` has a process beside it that starts it anew when it hangs or dies.
    """

    host: str
    computer: str
    parts: Mapping[str, str]
    threads: int = 1
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class Sight:
    """What a pass has put down for workers to find: who finds it sees the same study.

    ``folder`` is a folder in results/ with the file ``pass``, in which ``token`` stands;
    ``markers`` are the contents of files that mark other folders, by path.
    """

    folder: Path
    token: str
    markers: Mapping[Path, str]


@dataclass(frozen=True, slots=True)
class Given:
    """What all work of one block shares, by a name of its own, under the locks of its pass.

    Dask writes what it was called with into a worker's log: settings (with the password of a store)
    and patients stay out of it.
    """

    name: str
    study: Study = field(repr=False)
    sight: Sight
    locks: tuple[Held, ...]
    shared: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of work, pickled; what Dask may write of it into a log names no patient."""

    pickled: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a piece of work: its result, or the error that it raised.

    Dask writes what is raised into a worker's log; an answer stays out of it.
    """

    result: Any = field(default=None, repr=False)
    error: Exception | None = field(default=None, repr=False)


class NotGiven(Exception):
    """A worker was asked to work with what it was not given: its process was started anew."""


_GIVEN: dict[str, tuple[str, object]] = {}
"""By study folder: the name of what was given last, and what it was. Passes of a study run one at a
time, so one that was killed leaves no more than this behind."""


def installation() -> Installation:
    """Describe the program and the computer of this process."""
    return Installation(socket.gethostname(), _computer(), _parts())


async def describe(dask_worker: Any) -> Installation:
    """Describe this worker, which Dask puts in."""
    threads, guarded = dask_worker.state.nthreads, dask_worker.nanny is not None
    return replace(installation(), threads=threads, guarded=guarded)


async def accept(given: Given) -> tuple[str, str]:
    """Take what work shares if this worker sees the study.

    Gives an answer to be found in the folder of ``Sight``, or "" and what this worker does not see.
    Other work of this process goes on meanwhile.
    """
    try:
        answer = await asyncio.wait_for(asyncio.to_thread(_answer, given), SEEING_SECONDS)
        # Not the share's time: a busy store is waited for, and the work's modules are loaded.
        await asyncio.to_thread(_see_store, given)
    except TimeoutError:
        return "", f"its share does not answer within {SEEING_SECONDS:g} seconds"
    except (OSError, ReconflowError) as error:
        return "", str(error)
    shared = await asyncio.to_thread(pickle.loads, given.shared)
    _GIVEN[str(given.study.folder)] = given.name, shared
    return answer, ""


def work_on(folder: str, name: str, piece: Piece) -> Answer:
    """Do one piece of work with what was given under a name; raises NotGiven when it was not."""
    known, shared = _GIVEN.get(folder, ("", None))
    if known != name:
        raise NotGiven("This worker was started anew in the meantime.")
    work, args, locks = pickle.loads(piece.pickled)  # noqa: S301 - who may call a worker is Dask's to decide
    try:
        return Answer(do_piece(shared, work, args, locks))
    except Exception as error:  # noqa: BLE001 - raised again by the pass that waits for it
        return Answer(error=error)


def forget(folder: str, name: str) -> None:
    """Let go of what was given under a name."""
    if _GIVEN.get(folder, ("", None))[0] == name:
        del _GIVEN[folder]


def _answer(given: Given) -> str:
    """Find what the pass put down and put an answer beside it; raises OSError where it cannot."""
    study, sight = given.study, given.sight
    put_down = sight.folder / "pass"
    if not put_down.is_file() or put_down.read_text(encoding="ascii") != sight.token:
        raise OSError(f"it does not see the same {study.results} as this computer")
    for marker, text in sight.markers.items():
        if not marker.is_file() or marker.read_text(encoding="utf-8", errors="replace") != text:
            raise OSError(f"it does not see the same {marker.parent} as this computer")
    answer = uuid.uuid4().hex
    try:
        (sight.folder / answer).write_text(sight.token, encoding="ascii")
    except OSError as error:
        raise OSError(f"it cannot write to {study.results} ({error.strerror})") from error
    return answer


def _see_store(given: Given) -> None:
    """Write under the locks of the pass; raises a fault where another store is seen, or none."""
    try:
        with given.study.store() as store, holding(*given.locks), store.writing() as connection:
            check_held(connection)
    except LeaseLost as error:
        raise OSError("it does not see the store of this pass") from error


def _parts() -> dict[str, str]:
    """Name what is installed: the program's own files by their hash, Python and packages."""
    changed = (
        ""
        if _is_as_started()
        else f", changed after process {os.getpid()} of {socket.gethostname()} began"
    )
    parts = {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "processor": platform.machine(),
        "reconflow": f"{version('reconflow')} ({_hash_of_files()[:8]}{changed})",
    }
    for line in requires("reconflow") or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": "dask"}):
            parts[requirement.name] = _version(requirement.name)
    return parts


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _own_files() -> Iterator[tuple[str, Path]]:
    """Give the files of this program that decide what a worker does, by their names in it."""
    root = Path(__file__).resolve().parents[2]
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix(), path


def _hash_of_files() -> str:
    """Hash the program's own files, patched ones too."""
    digest = hashlib.sha256()
    for name, path in _own_files():
        digest.update(f"{name} ".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _is_as_started() -> bool:
    """Tell whether the program's files are those that were there when this process began.

    Else nobody knows which of them it has loaded: one that watches a study runs for months.
    """
    began = _began()
    return all(path.stat().st_ctime <= began for _, path in _own_files())


def _began() -> float:
    """Give when this process began, in seconds as ``time.time``; endless where Linux is not."""
    try:
        told = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return math.inf
    ticks = int(told.rpartition(")")[2].split()[19])  # since the computer was started
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


@lru_cache
def _computer() -> str:
    """Name this boot of this computer, whose processes may share a store that is a file."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()
