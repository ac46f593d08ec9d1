"""The watcher is woken by changes where the system tells of them, and looks again without them."""

import threading
from pathlib import Path

import pytest

from flows.arrivals import Arrivals
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
    Arrivals().wait(tmp_path / "away", 0, 0.1, threading.Event())
    stopped = threading.Event()
    stopped.set()
    Arrivals().wait(tmp_path, 1000, 1000, stopped)
