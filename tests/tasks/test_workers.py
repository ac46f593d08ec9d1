"""Work in processes of its own: results and errors come back, and a process that dies hangs nothing."""

import math
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

from tasks.workers import FEW, apart, workers


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


def test_results_and_errors_come_back_and_a_process_that_dies_does_not_stop_the_next(tmp_path: Path) -> None:
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
    """Everything that is under way when a process dies fails in a way that is retried; nothing waits for ever."""
    with workers(2, 100), ThreadPoolExecutor(8) as threads:
        work = [(os._exit, 1) if n % 5 == 0 else (math.sqrt, float(n * n)) for n in range(20)]
        futures = [threads.submit(copy_context().run, apart, *each) for each in work]
        answers = [future.exception(timeout=60) or future.result() for future in futures]
    for n, answer in enumerate(answers):
        assert isinstance(answer, OSError) or (n % 5 and answer == n)
    assert multiprocessing.active_children() == []
