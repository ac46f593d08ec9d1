"""Look at the inbox again and again, and run a pass whenever there is something to do.

It runs in a process of its own (watcher.py).
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from flows.arrivals import Arrivals
from panels.text.errors import ReconflowError
from panels.text.printable import printable
from panels.text.quoting import unexpected

if TYPE_CHECKING:
    from tasks.intake.admit import Outcome

ARRIVING_SECONDS = 300.0
"""A pass waits so long for files that still arrive: a burst is one pass, not one a look."""
LONGEST_PAUSE_SECONDS = 30.0
MOMENT_SECONDS = 0.5
LOOKING_SHARE = 5.0
"""The pause after a look is at least five times the processor time that it took."""
AGAIN_SECONDS = 900.0
"""What a pass could not do is tried again after this time, not at every look."""


@dataclass(slots=True)
class _Memory:
    """What the watcher has printed and tried.

    With it, nothing is printed twice and no pass is run in vain at every look.
    """

    printed: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    tried: frozenset[str] = frozenset()
    tried_at: float = 0.0
    held_since: float | None = None
    inbox: Path | None = None
    arriving: int = 0
    settle_seconds: float = 0.0

    def pause(self, interval: float) -> float:
        """Give the seconds until the next look; what arrives is looked at when it may rest."""
        if self.arriving:
            return min(interval, max(self.settle_seconds, MOMENT_SECONDS))
        return interval

    def is_new(self, outcome: "Outcome") -> bool:
        """Tell whether this was not printed yet of the file; what waits is judged at every look."""
        judgement = f"{outcome.tube_sha256} {outcome.state} {outcome.reason}"
        known = self.files.get(outcome.inbox_path) == judgement
        self.files[outcome.inbox_path] = judgement
        return not known

    def is_worth_a_pass(self, due: frozenset[str]) -> bool:
        """Tell whether something is due that the last pass did not just try in vain."""
        if due - self.tried:
            return True
        return bool(due) and time.monotonic() - self.tried_at > AGAIN_SECONDS

    def note_arriving(self, files: int) -> None:
        """Keep how many files still arrive; the next burst is held up anew."""
        self.arriving = files
        if not files:
            self.held_since = None

    def waits_for_more(self) -> bool:
        """Tell whether a pass had better wait for files that still arrive."""
        if not self.arriving:
            return False
        self.held_since = self.held_since or time.monotonic()
        return time.monotonic() - self.held_since < ARRIVING_SECONDS


def watch_study(folder: Path, interval: float, stop: threading.Event | None = None) -> None:
    """Watch until ``stop`` is set or the process is interrupted.

    A periodic look is the truth: a shared folder sends no word of what other computers write into
    it. A share that drops or a sheet that is wrong ends nothing; it is printed once and looked at
    again.
    """
    if stop is not None:
        _watch(folder, interval, stop)
        return
    with set_by_ctrl_c() as interrupted:
        _watch(folder, interval, interrupted, Arrivals())
    raise KeyboardInterrupt


@contextmanager
def set_by_ctrl_c() -> Iterator[threading.Event]:
    """Give an event that is set when Ctrl-C is pressed.

    Its exception alone is lost where it falls into a library's callback or clean-up.
    """
    interrupted, usual = threading.Event(), signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, usual)


def _watch(
    folder: Path, interval: float, stop: threading.Event, arrivals: Arrivals | None = None
) -> None:
    memory = _Memory()
    say(f"Watching {folder}. Press Ctrl-C to stop.")
    while not stop.is_set():
        used = time.process_time()
        try:
            _look(folder, memory)
        except (ReconflowError, OSError) as error:
            _print_once(str(error).split("\n"), memory)
        except Exception as error:  # noqa: BLE001 - one bad look must not leave a laboratory unwatched
            _print_once([f"Unexpected {unexpected(error)}. Watching goes on."], memory)
        least = min(LOOKING_SHARE * (time.process_time() - used), LONGEST_PAUSE_SECONDS)
        seconds = max(memory.pause(interval), least)
        if arrivals and memory.inbox:
            arrivals.wait(memory.inbox, least, seconds, stop)
        else:
            stop.wait(seconds)


def _look(folder: Path, memory: _Memory) -> None:
    """Take in what has settled, and run the flow when something is due."""
    from tasks.intake.take_in import take_in
    from tasks.results.front_page import read_now, rewrite_front_page
    from tasks.steps.one_pass import what_is_due
    from tasks.strategies.in_use import read_snapshot
    from tasks.study.folder import open_study

    study = open_study(folder)
    memory.inbox, memory.settle_seconds = study.inbox, study.settings.intake.settle_seconds
    taken = take_in(study, wait=False)
    memory.note_arriving(taken.arriving)
    news = [outcome for outcome in taken.outcomes if memory.is_new(outcome)]
    for outcome in news:
        reason = f". {outcome.reason}" if outcome.reason else ""
        say(f"{outcome.inbox_path}: {outcome.state}{reason}")
    due = what_is_due(read_snapshot(study))
    if memory.is_worth_a_pass(due) and not memory.waits_for_more():
        from flows.nightly import nightly

        summary = nightly(str(folder))
        memory.tried = what_is_due(read_snapshot(study))
        memory.tried_at, memory.held_since = time.monotonic(), None
        _print_summary(summary)
        say(read_now(read_snapshot(study)).night.attention)
    elif news:
        rewrite_front_page(read_snapshot(study))
    _print_once((*taken.inbox_faults, *taken.sheet_faults), memory)


def _print_summary(summary: Mapping[str, Any]) -> None:
    counts = ", ".join(f"{summary[state]} {state}" for state in ("accepted", "counted", "failed"))
    say(f"{counts}; report: {summary['report']}")
    for fault in summary["table_faults"]:
        say(fault)


def _print_once(sentences: Sequence[str], memory: _Memory) -> None:
    if tuple(sentences) != memory.printed:
        for sentence in sentences:
            say(sentence)
    memory.printed = tuple(sentences)


def say(sentence: str) -> None:
    """Print one sentence with the time."""
    sys.stderr.write(f"{datetime.now().astimezone():%H:%M:%S}  {printable(sentence)}\n")
    sys.stderr.flush()
