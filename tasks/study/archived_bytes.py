"""Make sure that a tube's bytes are those that were taken in before anything is read from them."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from panels.files.plain_file import NotRegular, regular_sha256
from panels.text.errors import TubeFault
from tasks.store.tubes import Tube
from tasks.study.folder import Study

BY_ITSELF = "The tube is taken up again by itself when the right file is back."


class WrongBytes(TubeFault):
    """The file of a tube is not the one that was taken in."""


@contextmanager
def verified_bytes(study: Study, tube: Tube) -> Iterator[Path]:
    """Give the path of a tube's file, which holds the bytes taken in throughout the block.

    Raises WrongBytes when the file holds other bytes, and OSError when it cannot be read, or was
    changed during the block (the next attempt then tells what it holds).
    """
    path = study.path_of(tube.file.place or "")
    before = _signature(path)
    try:
        sha256 = regular_sha256(path)
    except NotRegular as error:
        reason = f"{path.name}: {error.strerror}, not the file that was taken in."
        raise WrongBytes(f"{reason} Put the file itself back. {BY_ITSELF}") from error
    if sha256 != tube.identity.tube_sha256:
        raise WrongBytes(
            f"{path.name} holds other bytes than were taken in as {tube.file.inbox_path}: it was "
            f"replaced or damaged. Put the right file back from the backup. {BY_ITSELF}"
        )
    try:
        yield path
    except TubeFault:
        _refuse_changed(path, before)
        raise
    _refuse_changed(path, before)


def _refuse_changed(path: Path, before: tuple[int, ...]) -> None:
    if _signature(path) != before:
        raise OSError(errno.EAGAIN, "The file was changed while it was read", str(path))


def _signature(path: Path) -> tuple[int, ...]:
    """Tell one version of a file from another without reading it (shares may renumber inodes)."""
    found = path.lstat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
