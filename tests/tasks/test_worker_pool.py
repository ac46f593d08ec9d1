"""Work in processes of its own: results and errors come back, and a process that dies hangs
nothing."""

import errno
import math
import multiprocessing
import os
import subprocess
import sys
import time
import xml.sax
import xml.sax.handler
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from operator import call
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect.states import Failed

from panels.text.errors import SettingsFault
from tasks.results.cohort_tables import build_cohort
from tasks.results.patient_tables import build_patient
from tasks.steps.piece_of_work import DidNotEnd, name_of
from tasks.steps.prefect_tasks import _may_pass
from tasks.steps.worker_pool import FEW, LONGEST_SECONDS, Workers, apart, workers
from tasks.tubes.count_tube import count_tube
from tests.flows.command import PROJECT
from tests.tasks.study_folder import make_study

STANDS_STILL = """
import time
from operator import call
from panels.files.watchdog import steps_limited, watch_folders, watchdog
from pathlib import Path
from tasks.steps.worker_pool import apart, workers
with watchdog(), workers(1, 1, call), steps_limited(2):
    watch_folders([Path.cwd()])
    for seconds in (1, 1, 1, 1, 300):
        apart(call, time.sleep, seconds)
        print(seconds, flush=True)
"""


def test_little_work_is_done_here_and_much_in_other_processes() -> None:
    with workers(2, FEW, call):
        assert apart(call, os.getpid) == os.getpid()
        assert multiprocessing.active_children() == []
    with workers(1, 100, call):
        assert apart(call, os.getpid) == os.getpid()
    with workers(2, FEW + 1, call):
        assert apart(call, os.getpid) != os.getpid()
    assert multiprocessing.active_children() == []


def test_what_the_work_shares_is_handed_to_it_first() -> None:
    with workers(1, 1, [3, 1, 2]):
        assert apart(sorted) == [1, 2, 3]
    with workers(2, 100, 16.0):
        assert apart(math.pow, 2.0) == 256.0
        assert apart(math.sqrt) == 4.0


def test_results_and_errors_come_back_and_a_process_that_dies_does_not_stop_the_next(
    tmp_path: Path,
) -> None:
    with workers(2, 100, call):
        assert apart(call, math.sqrt, 9.0) == 3.0
        with pytest.raises(FileNotFoundError, match="nowhere"):
            apart(call, open, tmp_path / "nowhere")
        with pytest.raises(ValueError, match=r"math domain|nonnegative"):
            apart(call, math.sqrt, -1.0)
        with pytest.raises(OSError, match="worker process died"):
            apart(call, os._exit, 1)
        assert apart(call, math.sqrt, 16.0) == 4.0
    assert multiprocessing.active_children() == []


def test_many_threads_get_an_answer_each_when_processes_die() -> None:
    """Only the work at which a process dies fails, in a way that is retried; nothing waits for
    ever."""
    with workers(2, 100, call), ThreadPoolExecutor(8) as threads:
        work = [(os._exit, 1) if n % 5 == 0 else (math.sqrt, float(n * n)) for n in range(20)]
        futures = [threads.submit(copy_context().run, apart, call, *each) for each in work]
        answers = [future.exception(timeout=60) or future.result() for future in futures]
    for n, answer in enumerate(answers):
        assert answer == n if n % 5 else isinstance(answer, OSError)
    assert multiprocessing.active_children() == []


def test_work_that_does_not_end_is_given_up_and_the_next_is_done() -> None:
    hanging = Workers(2, call)
    try:
        # Processes may start as slowly as a loaded machine lets them: the limit is for the work.
        assert hanging.run(call, math.sqrt, 9.0) == 3.0
        hanging._longest_seconds = 1.0
        began = time.monotonic()
        with pytest.raises(DidNotEnd, match="Does the share answer") as given_up:
            hanging.run(call, time.sleep, 300)
        assert not _may_pass(None, None, Failed(data=given_up.value))
        assert _may_pass(None, None, Failed(data=TimeoutError(errno.ETIMEDOUT, "timed out")))
        assert time.monotonic() - began < 200
        hanging._longest_seconds = LONGEST_SECONDS
        assert hanging.run(call, math.sqrt, 16.0) == 4.0
    finally:
        hanging.close()
    deadline = time.monotonic() + 30
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert multiprocessing.active_children() == []


def test_each_end_of_work_is_progress_and_work_that_stands_still_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STANDS_STILL],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 1
    assert done.stdout == "1\n" * 4
    assert "Under way: call. Nothing was lost. The next run goes on from here." in done.stderr


def test_work_is_named_by_the_short_hash_of_its_tube_or_by_its_patient() -> None:
    assert name_of(count_tube, ["0123456789abcdef"]) == "count tube 0123456789ab"
    inputs = SimpleNamespace(patient="SITE-0001-PATIENT")
    assert name_of(build_patient, [inputs]) == "build patient SITE-0001-PATIENT"
    assert name_of(build_cohort, []) == "build cohort"


def test_work_that_has_not_begun_when_a_run_is_stopped_keeps_no_thread_waiting() -> None:
    stopped = Workers(2, call)
    with ThreadPoolExecutor(12) as threads:
        futures = [threads.submit(stopped.run, call, time.sleep, 2) for _ in range(12)]
        while not multiprocessing.active_children():
            time.sleep(0.05)
        stopped.close()
        ends = [future.exception(timeout=60) for future in futures]
    assert sum(isinstance(end, OSError) and "was stopped" in str(end) for end in ends) >= 4
    assert multiprocessing.active_children() == []


def test_an_error_that_cannot_be_made_anew_does_not_break_the_pool() -> None:
    with workers(2, 100, call):
        with pytest.raises(RuntimeError, match="SAXParseException"):
            apart(call, xml.sax.parseString, b"<", xml.sax.handler.ContentHandler())
        assert apart(call, math.sqrt, 16.0) == 4.0


@pytest.mark.parametrize(
    ("missing", "address", "told"),
    [
        ("distributed", "tcp://127.0.0.1:9", r"'distributed': install reconflow\[dask\]"),
        ("", "tls://127.0.0.1:9", r"tls://127.0.0.1:9 needs certificates.*Dask's own config"),
    ],
)
def test_what_a_cluster_needs_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, address: str, told: str
) -> None:
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    study = make_study(
        tmp_path / "s", settings=f"study: s\nrunner: {{kind: dask, address: '{address}'}}\n"
    )
    with pytest.raises(SettingsFault, match=told), workers(2, 9, call, study):
        pass
    assert list(study.results.iterdir()) == []
