"""Let one process at a time change what a study is counted with, or count it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.study import Study

LOCK = ".run.lock"


@contextmanager
def study_lock(study: Study) -> Iterator[None]:
    """Wait until no pass and no promotion is under way, and hold others up; the operating system frees the lock of a killed one."""
    with (study.folder / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_running(study: Study) -> bool:
    """Tell whether a pass or a promotion is under way."""
    with (study.folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
