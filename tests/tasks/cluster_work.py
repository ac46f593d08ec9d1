"""Work that tests give to the workers of a cluster."""

import os
import signal
import time
from pathlib import Path

from tasks.store.notes import remember
from tasks.study.folder import Study


def die_once(shared: object, mark: Path) -> object:
    """Be killed at the first try, as by the system for lack of memory, and give ``shared`` then."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return shared


def die(_shared: object) -> None:
    """Be killed at every try."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(_shared: object, seconds: float) -> int:
    """Take so long; gives which process did it."""
    time.sleep(seconds)
    return os.getpid()


def fail_by_itself(_shared: object) -> None:
    """Fail with an error as Dask raises it too."""
    raise RuntimeError("of the work itself")


def write_note(study: Study, words: str) -> None:
    """Write into the store of a study."""
    with study.store() as store:
        remember(store, "written", words)
