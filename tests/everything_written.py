"""Read all that a file can hold as text: its bytes, and what is packed or deflated in them."""

from __future__ import annotations

import base64
import io
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

_DEFLATED = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")


def readable(path: Path) -> Iterator[bytes]:
    """Give a file's bytes and whatever can be unpacked from them.

    Members of zip files, deflated streams (of PNG, PDF, HDF5), base64, Parquet's columns and the
    cells of a database are given; a compressed database or encryption are not looked into.
    """
    content = path.read_bytes()
    yield from _unpacked(content)
    if path.suffix == ".parquet":
        import pandas as pd

        yield pd.read_parquet(path).to_csv().encode()
    if content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as database:
            yield "\n".join(database.iterdump()).encode("utf-8", "replace")


def _unpacked(content: bytes) -> Iterator[bytes]:
    yield content
    # Words are written with two bytes a letter by some formats.
    yield content.replace(b"\0", b"")
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for name in packed.namelist():
                yield from _unpacked(packed.read(name))
    yield from _inflated(content)
    for found in _BASE64.finditer(content):
        decoded = base64.b64decode(found[0][: len(found[0]) // 4 * 4])
        yield decoded
        yield from _inflated(decoded)


def _inflated(content: bytes) -> Iterator[bytes]:
    for found in _DEFLATED.finditer(content):
        try:
            yield zlib.decompressobj().decompress(content[found.start() :])
        except zlib.error:
            continue
