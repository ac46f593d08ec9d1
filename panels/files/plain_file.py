"""Open a file of a laboratory only where it is a regular file, whatever takes its place.

Opening a pipe waits for whoever writes into it, reading a device never ends, and a link may lead to
a file that is nobody's sample.
"""

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from panels.files.watchdog import note_progress

_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(OSError):
    """Something lies there that is no regular file."""


def kind_of(mode: int) -> str:
    """Name the kind of what is no regular file; empty for a regular one. ``mode`` is of a stat."""
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "")


def open_regular(path: Path, *, follow: bool = False) -> BufferedReader:
    """Open a regular file for reading, without ever waiting; a link only with ``follow``.

    Raises NotRegular for everything else, and OSError when the file cannot be opened.
    """
    note_progress()
    mode = path.stat(follow_symlinks=follow).st_mode
    if not stat.S_ISREG(mode):
        raise _not_regular(path, mode)
    # Something else may have taken its place since.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    if not follow:
        flags |= os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _not_regular(path, mode)
    return os.fdopen(descriptor, "rb")


def regular_sha256(path: Path, *, follow: bool = False) -> str:
    """Compute the SHA-256 of a file's bytes, which is the identity of a tube.

    Raises as ``open_regular`` does.
    """
    with open_regular(path, follow=follow) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _not_regular(path: Path, mode: int) -> NotRegular:
    return NotRegular(errno.EINVAL, f"it is {kind_of(mode) or 'no regular file'}", str(path))
