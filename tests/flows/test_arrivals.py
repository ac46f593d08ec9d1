"""The watcher is woken by changes where the system tells of them, and looks again without them."""

import threading
import time
from pathlib import Path

import pytest

from flows.arrivals import Arrivals
from flows.watch import ARRIVING_SECONDS, _Memory
from tests.flows.command import wait_until

PATIENCE = 120


def test_a_change_wakes_the_watcher(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles", reason="needs reconflow[events]")
    arrivals, stop, inbox = Arrivals(), threading.Event(), tmp_path / "inbox"
    arrivals.wait(inbox, 0, 0.01, stop)  # There is no inbox yet.
    inbox.mkdir()
    woken = threading.Event()

    def wait() -> None:
        arrivals.wait(inbox, 0, 1000, stop)
        woken.set()

    def change() -> bool:
        (inbox / "f.fcs").write_bytes(b"x")
        return woken.is_set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    wait_until(change, PATIENCE, "nothing woke it")
    stop.set()
    waiting.join(timeout=PATIENCE)
    assert not waiting.is_alive()


def test_without_word_of_changes_the_wait_ends_by_itself(tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()
    for asked in ((tmp_path / "away", 0, 0.1, threading.Event()), (tmp_path, 1000, 1000, stopped)):
        waiting = threading.Thread(target=Arrivals().wait, args=asked, daemon=True)
        waiting.start()
        waiting.join(timeout=PATIENCE)
        assert not waiting.is_alive()


def test_a_later_burst_is_waited_for_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, now = _Memory(), [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    memory.note_arriving(3)
    assert memory.waits_for_more()
    now[0] += ARRIVING_SECONDS
    assert not memory.waits_for_more()
    # Nothing arrives, and nothing is due: no pass asks.
    memory.note_arriving(0)
    now[0] += ARRIVING_SECONDS
    memory.note_arriving(2)
    assert memory.waits_for_more()
