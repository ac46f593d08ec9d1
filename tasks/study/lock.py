"""Let one process at a time change what a study is counted with, or count it, or take files in."""

from collections.abc import Iterator
from contextlib import contextmanager

from panels.files.watchdog import steps_limited
from tasks.store.lease import is_held, lease
from tasks.store.opening import Store
from tasks.study.folder import Study

RUN = "run"
INTAKE = "intake"


@contextmanager
def study_lock(study: Study) -> Iterator[None]:
    """Wait until no pass and no promotion is under way, and hold others up."""
    with steps_limited(), study.store() as store, lease(store, RUN):
        yield


@contextmanager
def intake_lock(store: Store) -> Iterator[None]:
    """Wait until nobody takes files in, and hold others up; a pass counts meanwhile."""
    with steps_limited(), lease(store, INTAKE):
        yield


def is_running(study: Study) -> bool:
    """Tell whether a pass or a promotion is under way."""
    with study.store() as store:
        return is_held(store, RUN)
