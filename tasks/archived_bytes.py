"""Make sure that a tube's bytes are those that were taken in before anything is read from them."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gating.events import file_sha256
from panels.errors import TubeFault
from tasks.store.tubes import Tube
from tasks.study import Study


@contextmanager
def verified_bytes(study: Study, tube: Tube) -> Iterator[Path]:
    """Give the path of a tube's file, which holds the bytes taken in throughout the block.

    Raises TubeFault when the file holds other bytes, and OSError when it cannot be read, or was
    changed during the block (the next attempt then tells what it holds).
    """
    path = study.path_of(tube.file.place or "")
    before = _signature(path)
    if file_sha256(path) != tube.identity.tube_sha256:
        raise TubeFault(
            f"{path.name} holds other bytes than were taken in as {tube.file.inbox_path}: it was "
            "replaced or damaged. It is not counted. Put the right file back from the backup."
        )
    yield path
    if _signature(path) != before:
        raise OSError(errno.EAGAIN, "The file was changed while it was read", str(path))


def _signature(path: Path) -> tuple[int, ...]:
    """Tell one version of a file from another without reading it."""
    found = path.lstat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
