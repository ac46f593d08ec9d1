"""Run ``reconflow`` as a user does, and watch that nothing of it is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.cli import run
from tasks.review.audit_trail import kept_heads, read_trail
from tasks.study.folder import open_study

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Said:
    """What a command ended with and said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Read stdout, which must be one JSON document on one line and nothing else."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


def reconflow(*words: str | Path, seconds: float = 240, **variables: str) -> Said:
    """Run a command in a process of its own, as a user does."""
    done = subprocess.run(
        command_line(*words),
        cwd=PROJECT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def reconflow_here(capfd: pytest.CaptureFixture[str], *words: str | Path) -> Said:
    """Run a command in this process, with the server that the tests share."""
    capfd.readouterr()
    code = run([str(word) for word in words])
    captured = capfd.readouterr()
    return Said(code, captured.out, captured.err)


def entries_and_kept_head(folder: Path) -> tuple[int, int]:
    """Give the number of entries of a study's log, and how many results/audit-head.txt tells of."""
    study = open_study(folder)
    with study.store() as store:
        written = len(read_trail(study, store).entries)
    heads = kept_heads(study)
    return written, heads[-1].number if heads else 0


@dataclass
class Running:
    """A command that runs until it is stopped."""

    process: subprocess.Popen[str]
    log: Path

    def stop(self, seconds: float = 30) -> tuple[int, float]:
        """Press Ctrl-C as a terminal does (the whole foreground group gets it); gives exit code and
        seconds taken."""
        family = [self.process.pid, *descendants(self.process.pid)]
        begun = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(timeout=seconds)
        taken = time.monotonic() - begun
        wait_until(lambda: not any(alive(pid) for pid in family), 30, "processes were left behind")
        return code, taken

    def said(self) -> str:
        """Give all it said so far."""
        return self.log.read_text(encoding="utf-8")


@contextmanager
def running(
    *words: str | Path, log: Path, place: Path = PROJECT, **variables: str
) -> Iterator[Running]:
    """Start a command in ``place`` and a group of its own, and end it by force when the test did
    not."""
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command_line(*words),
            cwd=place,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        yield Running(process, log)
    finally:
        for pid in [*descendants(process.pid), process.pid] if process.poll() is None else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait(timeout=10)


def command_line(*words: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "flows.cli", *map(str, words)]


def wait_until(
    true: Callable[[], object],
    seconds: float,
    otherwise: str | Callable[[], str],
    *,
    every: float = 0.1,
) -> None:
    """Look ``every`` so many seconds until something is true; ``otherwise`` is what to say when
    time is over, or what tells it then. A look that calls a server or a command costs more than a
    pause."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, otherwise if isinstance(otherwise, str) else otherwise()
        time.sleep(every)


def descendants(pid: int) -> list[int]:
    """List the children of a process, theirs too."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found = list(parents.get(pid, []))
    for child in found:
        found += parents.get(child, [])
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
