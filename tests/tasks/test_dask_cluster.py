"""Work on the workers of a real Dask cluster on loopback: who is not the same is named and unused,
who dies loses nothing."""

import asyncio
import math
import os
import pickle
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from operator import call
from pathlib import Path

import dask
import pytest
from sqlalchemy import delete

from panels.text.errors import LeaseLost, RunnerFault
from tasks.steps import dask_cluster, dask_worker
from tasks.steps.dask_crew import put_down
from tasks.steps.dask_worker import Given, accept, installation
from tasks.steps.worker_pool import apart, workers
from tasks.store.fence import held, holding
from tasks.store.lease import lease
from tasks.store.notes import recall
from tasks.store.schema.passes import leases
from tasks.study.folder import Study
from tests.dask_cluster import (
    PROJECT,
    DaskCluster,
    as_computer,
    certificates,
    free_port,
    kill_worker,
    needs_unshare,
    without,
)
from tests.dask_cluster import dask_cluster as a_cluster
from tests.flows.command import descendants, wait_until
from tests.tasks.cluster_work import die, die_once, fail_by_itself, sleep, write_note
from tests.tasks.study_folder import make_study

pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Dask's settings for TLS, in force here too."""
    found = certificates(tmp_path_factory.mktemp("tls") / "certificates")
    here = {name.removeprefix("DASK_").lower().replace("__", "."): v for name, v in found.items()}
    with dask.config.set(here):
        yield found


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]
) -> Iterator[DaskCluster]:
    """A scheduler and two workers."""
    folder = tmp_path_factory.mktemp("cluster")
    with a_cluster(folder, "--host", "127.0.0.1", scheme="tls", variables=variables) as started:
        started.worker()
        started.worker()
        yield started


@pytest.fixture
def study(tmp_path: Path, cluster: DaskCluster) -> Study:
    return make_study(tmp_path / "s", settings=f"study: s\n{cluster.setting}")


@contextmanager
def at_work(study: Study, shared: object, notes: list[str] | None = None) -> Iterator[None]:
    said: list[str] = [] if notes is None else notes
    with workers(2, 9, shared, study, said.append):
        yield
    assert not list(study.results.glob(".reconflow-workers-*"))


def test_results_and_errors_come_back_and_the_work_is_done_elsewhere(
    study: Study, cluster: DaskCluster
) -> None:
    with at_work(study, call):
        assert apart(call, math.sqrt, 9.0) == 3.0
        assert apart(call, os.getpid) != os.getpid()
        with pytest.raises(FileNotFoundError, match="nowhere"):
            apart(call, open, study.folder / "nowhere")
        with pytest.raises(ValueError, match=r"math domain|nonnegative"):
            apart(call, math.sqrt, -1.0)
        with pytest.raises(ValueError, match="SITE-0001-PATIENT"):
            apart(call, int, "SITE-0001-PATIENT")
    logs = [log.read_text() for log in cluster.folder.iterdir() if log.is_file()]
    assert any("Registered to:" in log for log in logs)
    assert not any("SITE-0001-PATIENT" in log for log in logs)


def test_a_worker_that_is_killed_loses_nothing_and_is_handed_again_what_the_work_shares(
    study: Study,
) -> None:
    mark = study.folder / "mark"
    with at_work(study, ["given"]):
        assert apart(die_once, mark) == ["given"]
        assert mark.exists()


def test_a_worker_that_is_started_anew_at_the_same_address_is_handed_everything_again(
    study: Study, cluster: DaskCluster
) -> None:
    address = ("--nthreads", "1", "--worker-port", str(free_port()))
    fixed = cluster.worker(*address)
    with at_work(study, call), ThreadPoolExecutor(3) as threads:

        def works() -> bool:
            pids = [threads.submit(copy_context().run, apart, sleep, 0.2) for _ in range(3)]
            return not {each.result(timeout=60) for each in pids}.isdisjoint(descendants(fixed.pid))

        wait_until(works, 60, "the worker gets no work")
        kill_worker(fixed)
        wait_until(works, 60, "the worker gets no work any more")
    cluster.end([fixed])


def test_a_worker_that_was_not_given_what_it_needs_is_given_it(study: Study) -> None:
    given = dask_cluster.Cluster(study, call, print, longest_seconds=60)
    try:
        assert given.run(call, math.sqrt, 16.0) == 4.0
        given.ready()[0].run(dask_worker.forget, str(study.folder), given._given.name)
        assert given.run(call, math.sqrt, 16.0) == 4.0
    finally:
        given.close()


def test_work_that_kills_every_worker_is_given_up_with_a_sentence_and_alone(study: Study) -> None:
    with at_work(study, call), ThreadPoolExecutor(9) as threads:
        killer = threads.submit(copy_context().run, apart, die)
        healthy = [threads.submit(copy_context().run, apart, sleep, 1.0) for _ in range(8)]
        assert all(each.result(timeout=120) for each in healthy)
        with pytest.raises(OSError, match="Workers died at this work"):
            killer.result(timeout=120)


def test_work_that_does_not_end_is_given_up_and_the_next_is_done(study: Study) -> None:
    slow = dask_cluster.Cluster(study, call, print, longest_seconds=4)
    try:
        slow.ready()
        with pytest.raises(TimeoutError, match="Does the share answer"):
            slow.run(call, sleep, None, 600)
        slow._longest_seconds = 60
        assert slow.run(call, math.sqrt, 16.0) == 4.0
    finally:
        slow.close()


def test_workers_work_under_the_lock_of_their_pass_and_not_once_it_is_lost(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_cluster, "GRACE_SECONDS", 0.0)
    with study.store() as store, lease(store, "run"):
        mine = held()
        with at_work(study, study):
            apart(write_note, "under the lock")
            with store.writing() as connection:
                connection.execute(delete(leases))
            with pytest.raises(LeaseLost):
                apart(write_note, "too late")
    with study.store() as store:
        assert recall(store, "written") == "under the lock"
    unseen = pytest.raises(RunnerFault, match="does not see the store of this pass")
    with holding(*mine), unseen, at_work(study, study):
        pass


@needs_unshare
def test_who_is_not_the_same_is_named_with_what_differs_and_gets_no_work(
    study: Study, cluster: DaskCluster, tmp_path: Path
) -> None:
    alone = ("--nthreads", "1", "--no-nanny")
    strangers = [
        cluster.worker(*alone),
        cluster.worker("--nthreads", "2", "--no-nanny"),
        cluster.worker(before=without(study.folder)),
        cluster.worker(before=as_computer("lab2", tmp_path)),
        cluster.worker(path=_patched_copy(tmp_path / "patched")),
    ]
    notes: list[str] = []
    with at_work(study, call, notes), ThreadPoolExecutor(8) as threads:
        wait_until(lambda: apart(call, len, ()) == 0 and len(notes) == 5, 60, lambda: str(notes))
        work = [threads.submit(copy_context().run, apart, call, sleep, None, 0.1) for _ in range(5)]
        pids = {each.result(timeout=60) for each in work}
    strange = {pid for process in strangers for pid in (process.pid, *descendants(process.pid))}
    assert pids
    assert not pids & strange
    lab2, patched, blind, threaded, unguarded = sorted(notes, key=_order)
    assert re.match(r"The Dask worker tls://127.0.0.1:\d+ on lab2 is not used: it is another", lab2)
    assert "an SQLite store may be written from one computer only" in lab2
    assert "store: postgresql+psycopg://" in lab2
    assert re.search(
        r"reconflow is (\S+) \(\w+\) there and \1 \(\w+\) here; numpy is 9.9.9", patched
    )
    assert f"does not see the same {study.results} as this computer" in blind
    assert "Start it without --no-nanny" in unguarded
    assert "it has 2 threads. Start it with --nthreads 1" in threaded
    cluster.end(strangers)


def _order(note: str) -> int:
    words = ("lab2", "numpy", "does not see", "2 threads", "nanny")
    return next(place for place, word in enumerate(words) if word in note)


def _patched_copy(folder: Path) -> Path:
    """Copy the program, change one line of it, and say that numpy is another."""
    for room in ("gating", "panels", "tasks"):
        shutil.copytree(PROJECT / room, folder / room)
    with (folder / "tasks" / "tubes" / "gate_tube.py").open("a", encoding="utf-8") as file:
        file.write("# patched by hand\n")
    (folder / "numpy-9.9.9.dist-info").mkdir()
    (folder / "numpy-9.9.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: numpy\nVersion: 9.9.9\n", encoding="ascii"
    )
    return folder


def test_a_scheduler_that_is_started_again_makes_no_error_of_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every piece of work ends, or fails as what is tried again does; its own faults stay its."""
    monkeypatch.setattr(dask_cluster, "LOOK_SECONDS", 0.1)  # threads stand at the lock
    with a_cluster(tmp_path / "cluster", "--host", "127.0.0.1") as cluster:
        cluster.worker()
        study = make_study(tmp_path / "s", settings=f"study: s\n{cluster.setting}")
        with at_work(study, call), ThreadPoolExecutor(16) as threads:
            work = [threads.submit(copy_context().run, _until_done, 0.4) for _ in range(16)]
            wait_until(lambda: any(each.done() for each in work), 60, "nothing was done")
            cluster.start_scheduler_again()
            cluster.worker()
            broken = [sentence for each in work for sentence in each.result(timeout=90)]
            with pytest.raises(RuntimeError, match="of the work itself"):
                apart(fail_by_itself)
    assert any(sentence.endswith("broke.") for sentence in broken), broken


def test_certificates_that_are_gone_when_the_scheduler_is_lost_end_the_pass(
    study: Study, variables: dict[str, str]
) -> None:
    lost = dask_cluster.Cluster(study, call, print, longest_seconds=60)
    gone = {
        name.removeprefix("DASK_").lower().replace("__", "."): None
        for name in variables
        if "CLIENT" in name
    }
    try:
        lost.ready()[0].close()
        with dask.config.set(gone):
            for _ in range(2):
                with pytest.raises(RunnerFault, match=r"was lost\. .* needs certificates"):
                    lost.run(call, math.sqrt, 16.0)
    finally:
        lost.close()


def test_work_begins_while_a_worker_does_not_answer(
    study: Study, cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_cluster, "FIRST_SECONDS", 1.0)
    monkeypatch.setattr(dask_cluster, "CLOSE_SECONDS", 1.0)
    hung = cluster.worker("--nthreads", "1", "--no-nanny")
    log = cluster.folder / f"worker-{len(cluster.processes) - 1}"
    wait_until(lambda: "Registered to:" in log.read_text(), 60, "no worker")
    hung.send_signal(signal.SIGSTOP)
    given = dask_cluster.Cluster(study, call, print, longest_seconds=60)
    try:
        assert given.run(call, math.sqrt, 16.0) == 4.0
        assert given._crew.awaits_answers()
        asking = [each for each in threading.enumerate() if each.name == "asks a worker"]
        assert asking
        assert all(each.daemon for each in asking)  # Not waited for when the pass's process ends.
    finally:
        given.close()
        cluster.end([hung])


def test_a_store_that_is_busy_is_not_taken_for_a_share_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_worker, "SEEING_SECONDS", 0.5)
    study = make_study(tmp_path / "s")
    writes = threading.Event()

    def keep_busy() -> None:
        with study.store() as store, store.writing():
            writes.set()
            time.sleep(1.0)

    with study.store() as store, lease(store, "run"), put_down(study) as sight:
        given = Given("work", study, sight, held(), pickle.dumps(call))
        busy = threading.Thread(target=keep_busy)
        busy.start()
        assert writes.wait(60)
        answer, against = asyncio.run(accept(given))
        busy.join()
        assert not against
        assert (sight.folder / answer).is_file()


def test_a_program_that_was_changed_while_it_ran_is_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "changed.py"
    changed.touch()
    monkeypatch.setattr(dask_worker, "_own_files", lambda: iter([(changed.name, changed)]))
    told = installation().parts["reconflow"]
    assert f", changed after process {os.getpid()} of {socket.gethostname()} began)" in told


def _until_done(seconds: float) -> list[str]:
    """Do some work as a pass does, again after every OSError; gives what these said."""
    said: list[str] = []
    while True:
        try:
            apart(sleep, seconds)
        except OSError as error:
            said.append(str(error))
            assert len(said) < 20, said
        else:
            return said
