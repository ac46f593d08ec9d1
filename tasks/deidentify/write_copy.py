"""Write the clean copy of an FCS file: its events byte by byte, its keywords and offsets anew."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from gating.fcs.located import LocatedDataSet
from gating.fcs.text import HEADER_BYTES, LAST_HEADER_OFFSET
from panels.files.durable import full_disk_named, sync_folder
from panels.text.errors import UnreadableFile

NO_CRC = b"00000000"
"""What the standard has a data set end with where no checksum was computed (FCS 3.1, 3.5)."""
_DELIMITERS = "\x0c\x1e\x1f|\\!~^"
_WIDTH = 12
_PIECE = 2**20


def write_copy(
    source: Path,
    target: Path,
    data_sets: Sequence[LocatedDataSet],
    keywords: Sequence[Mapping[str, str]],
) -> None:
    """Write all data sets of a file with other keywords; ``target`` appears whole or not at all.

    Supplemental TEXT is written with the rest of TEXT; ANALYSIS, OTHER and whatever lies between
    the segments is left out. Raises UnreadableFile for what the format cannot hold.
    """
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with full_disk_named(target), source.open("rb") as read, partial.open("wb") as file:
            for place, (each, kept) in enumerate(zip(data_sets, keywords, strict=True)):
                _write_data_set(read, file, each, kept, last=place == len(data_sets) - 1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(target.parent)


def _write_data_set(
    read: BinaryIO, file: BinaryIO, each: LocatedDataSet, kept: Mapping[str, str], *, last: bool
) -> None:
    name, version, size = Path(read.name).name, each.data_set.version, each.length
    delimiter = next((mark for mark in _DELIMITERS if not _occurs(mark, kept)), None)
    if delimiter is None:
        raise UnreadableFile(
            f"{name}: its keywords hold every letter that could part them. Leave this file out."
        )
    start = HEADER_BYTES + len(_text(kept, delimiter, 0, 0, 0))
    end = start + size - 1 if size else 0
    crc = NO_CRC if version >= "3" else b""
    following = 0 if last else start + size + len(crc)
    text = _text(kept, delimiter, start if size else 0, end, following)
    if version < "3" and start + size > LAST_HEADER_OFFSET:
        raise UnreadableFile(
            f"{name} is FCS 2.0, which cannot hold so many events. Export it as FCS 3.1 first."
        )
    in_header = (start, end) if size and end <= LAST_HEADER_OFFSET else (0, 0)
    offsets = (HEADER_BYTES, start - 1, *in_header, 0, 0)
    file.write(f"FCS{version}    {''.join(f'{offset:>8}' for offset in offsets)}".encode("ascii"))
    file.write(text)
    read.seek(each.first)
    left = size
    while left:
        piece = read.read(min(left, _PIECE))
        if not piece:
            raise UnreadableFile(f"{name} became shorter while it was read. Copy it again.")
        file.write(piece)
        left -= len(piece)
    file.write(crc)


def _occurs(mark: str, kept: Mapping[str, str]) -> bool:
    return any(mark in word for pair in kept.items() for word in pair)


def _text(kept: Mapping[str, str], delimiter: str, start: int, end: int, following: int) -> bytes:
    """Write TEXT; the numbers that depend on its length have a fixed width."""
    places = {
        "$BEGINDATA": f"{start:<{_WIDTH}}",
        "$ENDDATA": f"{end:<{_WIDTH}}",
        "$BEGINANALYSIS": "0",
        "$ENDANALYSIS": "0",
        "$BEGINSTEXT": "0",
        "$ENDSTEXT": "0",
        "$NEXTDATA": f"{following:<{_WIDTH}}",
    }
    words = [word for pair in (places | dict(kept)).items() for word in pair]
    return (delimiter + delimiter.join(words) + delimiter).encode("utf-8")
