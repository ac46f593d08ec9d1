"""Read the data files of pages as a browser does: one call, its arguments, packed numbers."""

import json
import re
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np

CALL = re.compile(rb"reconflow\.add\((.*)\);\n", re.DOTALL)


def arguments(script: bytes) -> tuple[str, str, Any]:
    """Give kind, key and value of a data file."""
    call = CALL.fullmatch(script)
    assert call is not None
    kind, key, value = json.loads(b"[" + call[1] + b"]")
    return kind, key, value


def tube_data(folder: Path) -> dict[str, Any]:
    """Read the data of the page of a tube, which has to be that of its folder."""
    kind, key, value = arguments((folder / "gating.js").read_bytes())
    assert (kind, key) == ("tube", folder.name)
    return value


def unpacked(text: str, kind: str) -> np.ndarray:
    """Give packed numbers as an array of this type."""
    return np.frombuffer(zlib.decompress(b64decode(text)), dtype=kind)
