"""Read a file that a person wrote: a regular file only, and none larger than its kind ever is.

A named pipe never ends and a device may do anything when it is opened, so neither is opened. The
size is bounded before the bytes are held in memory.
"""

import os
import stat
from pathlib import Path

MEGABYTE = 1_000_000


class NotReadable(Exception):
    """Why a file was not read: half a sentence that follows the file's name and a colon."""


class TooLarge(NotReadable):
    """The file is larger than its kind ever is."""


def read_user_file(path: Path, most_bytes: int) -> bytes:
    """Give the bytes of a file, at most ``most_bytes`` of them.

    Raises NotReadable, with what to mend; FileNotFoundError where there is no such file.
    """
    try:
        _refuse_what_is_no_file(path.stat().st_mode)
        # Without blocking: between the two calls a pipe may have come in the place of the file.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            _refuse_what_is_no_file(os.fstat(handle).st_mode)
            content = b"" if os.fstat(handle).st_size > most_bytes else file.read(most_bytes + 1)
            size = max(os.fstat(handle).st_size, len(content))
    except FileNotFoundError:
        raise
    except OSError as error:
        told = f"the file cannot be opened ({error.strerror or error})"
        raise NotReadable(f"{told}. Close it in other programs, or correct its rights.") from error
    except ValueError as error:
        raise NotReadable("the file's name holds a character that no name can hold.") from error
    if size > most_bytes:
        raise TooLarge(
            f"the file is larger than {_in_words(most_bytes)} and was not read. Is it another file?"
        )
    return content


def _refuse_what_is_no_file(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise NotReadable("this is a folder, not a file.")
    if not stat.S_ISREG(mode):
        raise NotReadable("this is a pipe or a device, not a file. Put the file itself here.")


def _in_words(size: int) -> str:
    return f"{size // MEGABYTE} MB" if size >= MEGABYTE else f"{size // 1000} kB"
