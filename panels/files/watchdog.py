"""End a process that waits for a folder which does not answer, with a sentence.

A call on a share whose server is gone may never return. The thread that made it cannot be
interrupted: what it holds (locks, a transaction, a place in a queue) is freed by the end of the
process alone. So a small process beside this one, the probe, asks the watched folders again and
again; a thread here waits for its answers, says which folder is silent, and ends the process.

Time is counted in short waits: a computer that was asleep has not waited.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal

from panels.files.probe import Probe

SHARE_SECONDS = 60.0
"""How long a folder may take to answer, unless the study says otherwise."""
STEP_SECONDS = 7200.0
"""How long work may neither open a file nor finish a piece: twice what a piece of it may take."""
ROUND_SECONDS = 10.0
UNASKED_ROUNDS = 3
"""After so many rounds in which nothing could be asked it is told."""
NOTE_SECONDS = 20.0
"""How long each note of an ending may take."""
_TICK_SECONDS = 0.5
Reason = Literal["silence", "standstill"]
Note = Callable[[str], object]
Ending = Callable[[str, Reason], object]


class Watchdog:
    """Watch folders for this process; ``ending`` says why it ends, and None only keeps ``silence``.

    ``silence`` is the sentence on a folder that does not answer now, ``rounds`` how often all of
    them have, ``unasked`` how often in a row they could not be asked.
    """

    def __init__(self, ending: Ending | None, codes: Mapping[Reason, int]) -> None:
        self.ending = ending
        self._codes = codes
        self.silence = ""
        self.rounds = self.unasked = 0
        self.seconds = SHARE_SECONDS
        self.notes: list[Note] = []
        self._folders: dict[Path, None] = {}
        self._probe = Probe()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._moved, self._still = 0, 0.0

    def watch(self, folders: Iterable[Path]) -> None:
        """Ask these folders, too, from now on."""
        # The probe works elsewhere, and a resolved path would have been asked already.
        places = (Path(os.path.abspath(folder)) for folder in folders)  # noqa: PTH100
        self._folders = self._folders | dict.fromkeys(places)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if all(self._answers(folder) for folder in self._folders):
                    self.silence = ""
                    self.rounds += 1
                    self.unasked = 0
                else:
                    self.unasked += 1
                for _ in range(int(min(ROUND_SECONDS, self.seconds / 3) / _TICK_SECONDS) + 1):
                    self._stop.wait(_TICK_SECONDS)
                    self._notice_standstill()
        finally:
            self._probe.end()

    def _answers(self, folder: Path) -> bool:
        """Wait for a folder; False where nothing can be said of it."""
        asked, waited, ending = self._probe.ask(folder), 0.0, self.ending
        while asked and not self._stop.is_set():
            answer = self._probe.answer(_TICK_SECONDS)
            if answer is not None:
                return answer
            waited += _TICK_SECONDS
            if self.ending is not ending:  # What stops now has the same time for it.
                ending, waited = self.ending, 0.0
            if waited >= self.seconds and (ending or not self.silence):
                self._fall_silent(
                    f"The folder {folder} did not answer within {self.seconds:g} seconds: is the "
                    "server of its share up? Nothing was lost.",
                    "silence",
                )
            self._notice_standstill()
        return False

    def _notice_standstill(self) -> None:
        if self._moved != _PROGRESS[0] or self.ending is None:
            self._moved, self._still = _PROGRESS[0], 0.0
            return
        self._still += _TICK_SECONDS
        for limit in _LIMITS[-1:]:
            if self._still >= limit:
                self._fall_silent(_stood_still(limit), "standstill")

    def _fall_silent(self, sentence: str, reason: Reason) -> None:
        self.silence = sentence
        if self.ending is None:
            return
        notes = [partial(note, sentence) for note in reversed(self.notes)]
        ending = partial(self.ending, sentence, reason)
        for process in multiprocessing.active_children():
            process.kill()
        self._probe.end()
        # Whatever becomes of the words (a closed stderr), the process ends.
        for note in (ending, *notes):
            noting = threading.Thread(target=_attempt, args=(note,), daemon=True)
            noting.start()
            noting.join(timeout=NOTE_SECONDS)
        os._exit(self._codes[reason])


def _stood_still(seconds: float) -> str:
    under_way = f" Under way: {', '.join(_UNDER_WAY)}." if _UNDER_WAY else ""
    return (
        f"No file was opened and no work was finished for {seconds / 60:g} minutes, though the "
        f"folders answer: does one file or disk hang?{under_way} Nothing was lost."
    )


def _attempt(note: Callable[[], object]) -> None:
    with suppress(Exception):
        note()


FAILED: Mapping[Reason, int] = {"silence": 1, "standstill": 1}
_PROGRESS = [0]
_LIMITS: list[float] = []
"""How many seconds work may stand still, the last one counting; threads come and go in any order.
"""
_UNDER_WAY: list[str] = []
"""Names of the pieces of work that are done in this process now."""
_RUNNING: list[Watchdog] = []
"""The watchdog of this process, where it has one."""


def say(sentence: str, _reason: Reason) -> None:
    """Say on stderr why the process ends."""
    sys.stderr.write(f"reconflow: {sentence} The next run goes on from here.\n")
    sys.stderr.flush()


@contextmanager
def watchdog(ending: Ending | None = say, codes: Mapping[Reason, int] = FAILED) -> Iterator[None]:
    """Watch, in the block, the folders that ``watch_folders`` is given.

    When one does not answer, or work stands still (``steps_limited``), ``ending`` is called with
    the sentence and the reason, and the process ends with the reason's code; with None the process
    goes on, and ``silence()`` tells of a folder. A block within a block changes nothing, except
    that with None it keeps the process from ending.
    """
    if _RUNNING:
        running = _RUNNING[0]
        before, running.ending = running.ending, running.ending if ending else None
        try:
            yield
        finally:
            running.ending = before
        return
    _RUNNING.append(Watchdog(ending, codes))
    try:
        yield
    finally:
        _RUNNING.pop().stop()


def watch_folders(folders: Iterable[Path], seconds: float | None = None) -> None:
    """Watch folders until the watchdog of this process ends; nothing where it has none.

    A relative path is of the working folder of now. No folder is asked here.
    """
    for running in _RUNNING:
        running.seconds = seconds or running.seconds
        running.watch(folders)


@contextmanager
def noted_at_end(*notes: Note) -> Iterator[None]:
    """Call the notes, last first, with the sentence when the process has to end within the block.

    Each runs in a thread of its own, may take ``NOTE_SECONDS`` and may fail.
    """
    for running in _RUNNING:
        running.notes.extend(notes)
    try:
        yield
    finally:
        for running in _RUNNING:
            del running.notes[-len(notes) :]


@contextmanager
def steps_limited(seconds: float = STEP_SECONDS) -> Iterator[None]:
    """End the process, too, when the block makes no progress for so long.

    Not where the process goes on when a folder is silent (``watchdog(None)``).
    """
    note_progress()
    _LIMITS.append(seconds)
    try:
        yield
    finally:
        _LIMITS.remove(seconds)


@contextmanager
def under_way(name: str) -> Iterator[None]:
    """Name the work of the block for whoever has to look what stands still."""
    _UNDER_WAY.append(name)
    try:
        yield
    finally:
        _UNDER_WAY.remove(name)


def note_progress() -> None:
    """Show that work moves on: a file was opened, a piece of work was finished."""
    _PROGRESS[0] += 1


def silence() -> str:
    """Give the sentence on a folder that does not answer now; empty where all do."""
    return _RUNNING[0].silence if _RUNNING else ""


def until_answered(stop: threading.Event) -> bool:
    """Wait until all watched folders have answered from now on, or ``stop`` is set.

    False where they cannot be asked (no process can be started), so that nobody knows.
    """
    for running in _RUNNING:
        wanted = running.rounds + 2  # The round under way may have asked before.
        while running.rounds < wanted and not stop.wait(_TICK_SECONDS):
            if running.unasked >= UNASKED_ROUNDS:
                return False
    return True
