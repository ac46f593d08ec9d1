"""Look at the inbox again and again, and run a pass whenever there is something to do."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from panels.text.errors import ReconflowError
from panels.text.printable import printable
from panels.text.quoting import unexpected

if TYPE_CHECKING:
    from tasks.intake.admit import Outcome

AGAIN_SECONDS = 900.0
"""What a pass could not do is tried again after this time, not at every look."""


@dataclass(slots=True)
class _Memory:
    """What the watcher has said and tried, so that it neither repeats itself nor runs a pass in vain at every look."""

    told: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    tried: frozenset[str] = frozenset()
    tried_at: float = 0.0

    def is_new(self, outcome: "Outcome") -> bool:
        """Tell whether this was not said yet of the file; what waits is judged at every look."""
        what = f"{outcome.tube_sha256} {outcome.state} {outcome.reason}"
        known = self.files.get(outcome.inbox_path) == what
        self.files[outcome.inbox_path] = what
        return not known


def watch_study(folder: Path, interval: float, stop: threading.Event | None = None) -> None:
    """Watch until ``stop`` is set or the process is interrupted.

    A periodic look is the truth: a shared folder sends no word of what other computers write into
    it. A share that drops or a sheet that is wrong ends nothing; it is said once and looked at
    again.
    """
    if stop is not None:
        _watch(folder, interval, stop)
        return
    with _told_by_ctrl_c() as asked:
        _watch(folder, interval, asked)
    raise KeyboardInterrupt


@contextmanager
def _told_by_ctrl_c() -> Iterator[threading.Event]:
    """Remember that Ctrl-C was pressed: its exception alone is lost where it falls into a library's callback or clean-up."""
    asked, usual = threading.Event(), signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, usual)


def _watch(folder: Path, interval: float, stop: threading.Event) -> None:
    memory = _Memory()
    _say(f"Watching {folder}. Press Ctrl-C to stop.")
    while not stop.is_set():
        try:
            _look(folder, memory)
        except (ReconflowError, OSError) as error:
            _say_once(str(error).split("\n"), memory)
        except Exception as error:  # noqa: BLE001 - a watcher that died of one bad look would leave a laboratory unwatched
            _say_once([f"Unexpected {unexpected(error)}. Watching goes on."], memory)
        stop.wait(interval)


def _look(folder: Path, memory: _Memory) -> None:
    """Take in what has settled, and run the flow when something is due that was not just tried in vain."""
    from tasks.intake.take_in import take_in
    from tasks.results.front_page import write_front_page
    from tasks.steps.one_pass import what_is_due
    from tasks.strategies.in_use import read_snapshot
    from tasks.study.folder import open_study

    study = open_study(folder)
    taken = take_in(study, wait=False)
    news = [outcome for outcome in taken.outcomes if memory.is_new(outcome)]
    for outcome in news:
        _say(
            f"{outcome.inbox_path}: "
            f"{outcome.state}{'. ' + outcome.reason if outcome.reason else ''}"
        )
    due = what_is_due(read_snapshot(study))
    if due - memory.tried or (due and time.monotonic() - memory.tried_at > AGAIN_SECONDS):
        from flows.nightly import nightly

        summary = nightly(str(folder))
        memory.tried = what_is_due(read_snapshot(study))
        memory.tried_at = time.monotonic()
        told = ", ".join(f"{summary[what]} {what}" for what in ("accepted", "counted", "failed"))
        _say(f"{told}; report: {summary['report']}")
        for fault in summary["table_faults"]:
            _say(fault)
    elif news:
        write_front_page(read_snapshot(study))
    _say_once((*taken.inbox_faults, *taken.sheet_faults), memory)


def _say_once(sentences: Sequence[str], memory: _Memory) -> None:
    told = tuple(sentences)
    for sentence in told if told != memory.told else ():
        _say(sentence)
    memory.told = told


def _say(sentence: str) -> None:
    sys.stderr.write(f"{datetime.now().astimezone():%H:%M:%S}  {printable(sentence)}\n")
    sys.stderr.flush()
