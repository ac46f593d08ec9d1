"""Work in processes of its own: results and errors come back, and a process that dies hangs
nothing."""

import math
import multiprocessing
import os
import time
import xml.sax
import xml.sax.handler
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

from tasks.steps.worker_pool import FEW, Workers, apart, workers


def test_without_processes_ready_the_work_is_done_here() -> None:
    assert apart(os.getpid) == os.getpid()


def test_little_work_is_done_here_and_much_in_other_processes() -> None:
    with workers(2, FEW):
        assert apart(os.getpid) == os.getpid()
        assert multiprocessing.active_children() == []
    with workers(1, 100):
        assert apart(os.getpid) == os.getpid()
    with workers(2, FEW + 1):
        assert apart(os.getpid) != os.getpid()
    assert multiprocessing.active_children() == []


def test_results_and_errors_come_back_and_a_process_that_dies_does_not_stop_the_next(
    tmp_path: Path,
) -> None:
    with workers(2, 100):
        assert apart(math.sqrt, 9.0) == 3.0
        with pytest.raises(FileNotFoundError, match="nowhere"):
            apart(open, tmp_path / "nowhere")
        with pytest.raises(ValueError, match=r"math domain|nonnegative"):
            apart(math.sqrt, -1.0)
        with pytest.raises(OSError, match="worker process died"):
            apart(os._exit, 1)
        assert apart(math.sqrt, 16.0) == 4.0
    assert multiprocessing.active_children() == []


def test_many_threads_get_an_answer_each_when_processes_die() -> None:
    """Everything that is under way when a process dies fails in a way that is retried; nothing
    waits for ever."""
    with workers(2, 100), ThreadPoolExecutor(8) as threads:
        work = [(os._exit, 1) if n % 5 == 0 else (math.sqrt, float(n * n)) for n in range(20)]
        futures = [threads.submit(copy_context().run, apart, *each) for each in work]
        answers = [future.exception(timeout=60) or future.result() for future in futures]
    for n, answer in enumerate(answers):
        assert isinstance(answer, OSError) or (n % 5 and answer == n)
    assert multiprocessing.active_children() == []


def test_work_that_does_not_end_is_given_up_and_the_next_is_done() -> None:
    hanging = Workers(2, longest_seconds=6)
    try:
        assert hanging.run(math.sqrt, 9.0) == 3.0
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="Does the share answer"):
            hanging.run(time.sleep, 300)
        assert time.monotonic() - began < 60
        assert hanging.run(math.sqrt, 16.0) == 4.0
    finally:
        hanging.close()
    deadline = time.monotonic() + 30
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert multiprocessing.active_children() == []


def test_an_error_that_cannot_be_made_anew_does_not_break_the_pool() -> None:
    with workers(2, 100):
        with pytest.raises(RuntimeError, match="SAXParseException"):
            apart(xml.sax.parseString, b"<", xml.sax.handler.ContentHandler())
        assert apart(math.sqrt, 16.0) == 4.0
