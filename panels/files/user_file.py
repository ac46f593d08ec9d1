"""Read a file that a person wrote: a regular file only, and none larger than its kind ever is.

A named pipe never ends and a device may do anything when it is opened, so neither is opened. The
size is bounded before the bytes are held in memory.
"""

import os
from pathlib import Path

from panels.files.plain_file import NotRegular, open_regular

MEGABYTE = 1_000_000


class NotReadable(Exception):
    """Why a file was not read: half a sentence that follows the file's name and a colon."""


class TooLarge(NotReadable):
    """The file is larger than its kind ever is."""


def read_user_file(path: Path, most_bytes: int, *, follow: bool = True) -> bytes:
    """Give the bytes of a file, at most ``most_bytes`` of them; a link is read with ``follow``.

    Raises NotReadable, with what to correct; FileNotFoundError where there is no such file.
    """
    try:
        with open_regular(path, follow=follow) as file:
            handle = file.fileno()
            content = b"" if os.fstat(handle).st_size > most_bytes else file.read(most_bytes + 1)
            size = max(os.fstat(handle).st_size, len(content))
    except NotRegular as error:
        kind = str(error.strerror).replace("it is", "this is", 1)
        raise NotReadable(f"{kind}, not a file. Put the file itself here.") from error
    except FileNotFoundError as error:
        if path.is_symlink():
            raise NotReadable("this is a link to a file that is not there.") from error
        raise
    except OSError as error:
        raise NotReadable(
            f"the file cannot be opened ({error.strerror or error}). "
            f"Close it in other programs, or correct its rights."
        ) from error
    except ValueError as error:
        raise NotReadable("the file's name holds a character that no name can hold.") from error
    if size > most_bytes:
        raise TooLarge(
            f"the file is larger than {_in_words(most_bytes)} and was not read. Is it another file?"
        )
    return content


def _in_words(size: int) -> str:
    return f"{size // MEGABYTE} MB" if size >= MEGABYTE else f"{size // 1000} kB"
