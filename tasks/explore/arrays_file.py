"""Write arrays to a file and read them back: an .npz without pickles, of stated names and types."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from panels.files.durable import write_durably
from panels.files.user_file import NotReadable, read_user_file

HEAD = "head"
MOST_BYTES = 200_000_000
Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


class NotArrays(Exception):
    """A file does not hold the arrays that it should: half a sentence that follows its name."""


def arrays_bytes(head: Mapping[str, object], arrays: Arrays) -> bytes:
    """Write arrays, little-endian, and a head that JSON can hold; the same bytes each time."""
    text = json.dumps(head, sort_keys=True, ensure_ascii=True, allow_nan=False)
    stored = {HEAD: np.frombuffer(text.encode("ascii"), dtype=np.uint8), **arrays}
    written = io.BytesIO()
    # By hand, because numpy says nothing of the time of a member: each is of 1980 here.
    with zipfile.ZipFile(written, "w") as archive:
        for name, array in stored.items():
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, little, allow_pickle=False)
    return written.getvalue()


def write_arrays(path: Path, head: Mapping[str, object], arrays: Arrays) -> None:
    """Write a file of arrays whole."""
    write_durably(path, arrays_bytes(head, arrays))


def kept_arrays(path: Path, key: str) -> tuple[dict[str, Any], Arrays] | None:
    """Read what was kept: head and arrays; None where it is not there, or is of another key.

    ``key`` is that of its head: it stands for all that the file follows from.
    """
    try:
        _, head, arrays = read_arrays(path)
    except (FileNotFoundError, NotArrays):
        return None
    return (head, arrays) if head.get("key") == key else None


def read_arrays(path: Path) -> tuple[bytes, dict[str, Any], Arrays]:
    """Read a file of arrays; gives its bytes, its head and the arrays.

    Raises NotArrays when it is not such a file, FileNotFoundError where there is none.
    """
    try:
        content = read_user_file(path, MOST_BYTES, follow=False)
    except NotReadable as error:
        raise NotArrays(str(error)) from error
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as read:
            arrays = {name: read[name] for name in read.files}
        head = json.loads(arrays.pop(HEAD).tobytes())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise NotArrays("it does not hold what was written there.") from error
    return content, head, arrays
