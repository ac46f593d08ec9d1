"""The lock of a study lies in its store.

One holds it at a time, nobody waits for a dead holder, and who lost it changes nothing.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text

from panels.text.errors import LeaseLost
from tasks.steps.worker_pool import apart, workers
from tasks.store import lease as module
from tasks.store.fence import held, holding
from tasks.store.lease import Lease, is_held, lease
from tasks.store.notes import recall, remember
from tasks.store.opening import Store, open_store
from tasks.store.schema.passes import leases
from tests.dask_cluster import as_computer, needs_unshare

PROJECT = Path(__file__).resolve().parents[2]
HOLDS = """
import signal, sys, time
from tasks.store.lease import lease
from tasks.store.notes import remember
from tasks.store.opening import open_store
def end(*_):
    raise SystemExit(143)
signal.signal(signal.SIGTERM, end)
with open_store(sys.argv[1]) as store, lease(store, "run"):
    print("held", flush=True)
    for line in sys.stdin:
        remember(store, "written", line.strip())
        print("wrote", flush=True)
"""


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


@contextmanager
def holder(url: str, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds the lock, and writes each line it gets into the store."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    words = [*before, sys.executable, "-c", HOLDS, url]
    process = subprocess.Popen(words, cwd=PROJECT, text=True, **pipes)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def seconds_until_held(store: Store) -> float:
    begun = time.monotonic()
    with lease(store, "run"):
        return time.monotonic() - begun


def row(store: Store) -> Lease | None:
    with store.reading() as connection:
        return module._row(connection, "run")


def put(store: Store, other: Lease) -> None:
    with store.writing() as connection:
        module._write(connection, other)


def a_lease(**others: object) -> Lease:
    mine = Lease(
        "run",
        "x" * 32,
        "lab2",
        "another machine",
        os.getpid(),
        "",
        "2026-11-25T02:00:00.000+00:00",
        7,
    )
    return replace(mine, **others)


def test_one_at_a_time_holds_a_lock_and_another_name_is_another_lock(store: Store) -> None:
    inside, most = 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with lease(store, "run"):
            with counting:
                inside += 1
                most = max(most, inside)
            time.sleep(0.05)
            with counting:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    with lease(store, "intake"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert (most, inside, row(store)) == (1, 0, None)


def test_who_waits_is_told_for_whom_and_since_when(
    url: str, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    with holder(url) as process:
        found = row(store)
        assert found is not None
        assert is_held(store, "run")
        threading.Timer(2.0, process.terminate).start()
        assert seconds_until_held(store) > 1.5
        process.wait(timeout=30)
        assert process.returncode == 143
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert f"on {found.host}, process {process.pid}, since {found.taken_at}" in said
    assert not is_held(store, "run")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_holder_that_ended_keeps_nobody_waiting(
    url: str, store: Store, number: signal.Signals
) -> None:
    with holder(url) as process:
        process.send_signal(number)
        process.wait(timeout=30)
        assert not is_held(store, "run")
        assert seconds_until_held(store) < 2
        assert row(store) is None


def test_a_killed_holder_whose_parent_did_not_take_note_of_it_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'reconflow.db'}"
    with holder(url) as process, open_store(url) as store:
        os.kill(process.pid, signal.SIGKILL)
        assert seconds_until_held(store) < 5  # still a zombie


def test_a_suspended_holder_is_waited_for_and_when_it_wakes_up_it_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'reconflow.db'}"
    monkeypatch.setattr(module, "STALE_SECONDS", 1.5)
    with holder(url) as process, open_store(url) as store:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("before\n")
        process.stdin.flush()
        assert process.stdout.readline() == "wrote\n"
        process.send_signal(signal.SIGSTOP)
        assert is_held(store, "run")
        with lease(store, "run"):
            process.send_signal(signal.SIGCONT)
            said = process.communicate("after\n", timeout=30)[1]
            assert "LeaseLost: Another reconflow took the lock of this study over" in said
            assert recall(store, "written") == "before"
            remember(store, "written", "by the next")
        assert recall(store, "written") == "by the next"


def test_a_holder_that_the_server_dropped_changes_nothing_once_another_holds_the_lock(
    empty_postgres: str,
) -> None:
    with open_store(empty_postgres) as store, holder(empty_postgres) as process:
        assert process.stdin is not None
        ends = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"
        with store.writing() as connection:
            assert connection.execute(text(ends)).scalar() == 1
        assert seconds_until_held(store) < 5
        assert "LeaseLost" in process.communicate("after\n", timeout=30)[1]
        assert recall(store, "written") is None


def test_a_lease_of_another_machine_is_taken_over_only_when_its_heartbeat_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALE_SECONDS", 1.0)
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.3)
    ended = threading.Event()
    with open_store(f"sqlite:///{tmp_path / 'reconflow.db'}") as store:
        put(store, a_lease())
        beats = threading.Thread(target=module._keep_renewing, args=(store, a_lease(), ended))
        beats.start()
        threading.Timer(2.0, ended.set).start()
        assert is_held(store, "run")
        assert seconds_until_held(store) > 2.0
        beats.join()
        put(store, a_lease(heartbeat=9))
        assert not is_held(store, "run")


@needs_unshare
def test_a_pass_of_another_computer_is_waited_for_and_taken_over_when_it_is_silent(
    url: str,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A process with the host name and the boot of another computer; that it ended is not seen."""
    monkeypatch.setattr(module, "STALE_SECONDS", 6.0)
    with holder(url, as_computer("lab2", tmp_path)) as process:
        found = row(store)
        assert found is not None
        assert (found.host, found.machine.split()[0]) == ("lab2", "lab2-0000-0000")
        assert found.machine != module._machine()
        assert is_held(store, "run")
        process.kill()
        process.wait(timeout=30)
        assert not found.is_over
        waited = seconds_until_held(store)
    if url.startswith("sqlite"):
        assert waited > 5
        assert f"run on lab2, process {process.pid}, since" in capfd.readouterr().err
    assert not is_held(store, "run")


def test_a_later_process_with_the_number_of_a_dead_holder_is_not_taken_for_it(
    tmp_path: Path,
) -> None:
    with open_store(f"sqlite:///{tmp_path / 'reconflow.db'}") as store:
        put(store, a_lease(machine=module._machine(), started="1"))
        assert not is_held(store, "run")
        assert seconds_until_held(store) < 1
        put(store, a_lease(machine=module._machine(), started=module._started(os.getpid())))
        assert is_held(store, "run")


def test_a_holder_renews_its_lease_even_while_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.05)
    with open_store(f"sqlite:///{tmp_path / 'reconflow.db'}") as store, lease(store, "run"):
        until = time.monotonic() + 20
        while (found := row(store)) is not None and found.heartbeat < 3:
            assert time.monotonic() < until
            sum(range(10_000))


def test_worker_processes_work_under_the_lock_of_their_parent(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The processes import this module, whichever way the tests were started.
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2]))
    with lease(store, "run"), workers(2, 4, url):
        apart(_writes, "under the lock")
    mine = module.Held(module.address(store.engine.url), "run", "mine")
    put(store, a_lease())
    with holding(mine), workers(2, 4, url), pytest.raises(LeaseLost):
        apart(_writes, "too late")
    assert recall(store, "written") == "under the lock"
    assert held() == ()


def _writes(url: str, words: str) -> None:
    with open_store(url) as store:
        remember(store, "written", words)


def test_a_lock_is_checked_in_the_transaction_that_writes(url: str, store: Store) -> None:
    """Whoever wants to take the lock over waits for a change that is under way."""
    order = []

    def take_over() -> None:
        with open_store(url) as other, other.writing() as connection:
            connection.execute(delete(leases))
            connection.execute(insert(leases).values(**asdict(a_lease())))
            order.append("taken over")

    thread = threading.Thread(target=take_over)
    with lease(store, "run"):
        with store.writing() as connection:
            thread.start()
            time.sleep(0.5)
            connection.execute(select(leases)).all()
            order.append("written")
        thread.join(timeout=30)
        with pytest.raises(LeaseLost):
            remember(store, "written", "too late")
    assert order == ["written", "taken over"]
