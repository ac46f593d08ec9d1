"""Write FCS files the way two families of cytometers do.

``fcs3.1-le`` is FCS 3.1, little-endian, ``$SPILLOVER`` (BD FACSuite on a FACSLyric).
``diva-fcs3.0-be`` is FCS 3.0, big-endian, ``SPILL`` without a dollar sign, numbers padded with
spaces (BD FACSDiva). Both are list mode, 32-bit floats, delimiter 0x0C, one data set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Dialect = Literal["fcs3.1-le", "diva-fcs3.0-be"]

_DELIMITER = "\x0c"
_TEXT_START = 58
_WIDTH = 12
_HEADER_LIMIT = 99_999_999


@dataclass(frozen=True, slots=True)
class FcsChannel:
    """One parameter of the file: ``$PnN``, ``$PnS`` and ``$PnV`` (left out when empty), ``$PnR``."""

    detector: str
    label: str = ""
    maximum: int = 262144
    voltage: int | None = None


@dataclass(frozen=True, slots=True)
class FcsSpill:
    """The stored spillover matrix: row = dye, column = detector."""

    detectors: tuple[str, ...]
    matrix: NDArray[np.float64]

    def text(self) -> str:
        """Write it as the keyword's value: size, names, then the rows one after another."""
        numbers = (f"{value:.6g}" for value in self.matrix.ravel())
        return ",".join([str(len(self.detectors)), *self.detectors, *numbers])


def write_fcs(
    path: Path,
    events: NDArray[np.float32],
    channels: Sequence[FcsChannel],
    *,
    dialect: Dialect,
    spill: FcsSpill | None,
    keywords: Mapping[str, str],
) -> None:
    """Write ``events`` (n × channels, linear values) as one FCS data set, with further ``keywords``.

    Raises ValueError when the array does not have one column a channel.
    """
    if events.ndim != 2 or events.shape[1] != len(channels):
        raise ValueError(
            f"{path.name}: the events must have {len(channels)} columns, one a channel, not "
            f"shape {events.shape}."
        )
    big = dialect == "diva-fcs3.0-be"
    content = np.ascontiguousarray(events, dtype=">f4" if big else "<f4")
    spilled = {"SPILL" if big else "$SPILLOVER": spill.text()} if spill else {}
    count = f"{len(events):<{_WIDTH}}" if big else str(len(events))
    required = _required(count, len(channels), "4,3,2,1" if big else "1,2,3,4")
    described = required | _parameters(channels) | spilled | dict(keywords)
    text, start = _placed_text(described, content.nbytes)
    end = max(start + content.nbytes - 1, start)
    header = _header("FCS3.0" if big else "FCS3.1", (_TEXT_START, start - 1), (start, end))
    with path.open("wb") as file:
        file.write(header)
        file.write(text)
        file.write(content.tobytes())


def _required(events: str, parameters: int, byte_order: str) -> dict[str, str]:
    return {
        "$BEGINANALYSIS": "0",
        "$ENDANALYSIS": "0",
        "$BEGINSTEXT": "0",
        "$ENDSTEXT": "0",
        "$BYTEORD": byte_order,
        "$DATATYPE": "F",
        "$MODE": "L",
        "$NEXTDATA": "0",
        "$PAR": str(parameters),
        "$TOT": events,
    }


def _parameters(channels: Sequence[FcsChannel]) -> dict[str, str]:
    keywords: dict[str, str] = {}
    for number, channel in enumerate(channels, 1):
        keywords |= {
            f"$P{number}N": channel.detector,
            f"$P{number}B": "32",
            f"$P{number}E": "0,0",
            f"$P{number}G": "1.0",
            f"$P{number}R": str(channel.maximum),
        }
        if channel.label:
            keywords[f"$P{number}S"] = channel.label
        if channel.voltage is not None:
            keywords[f"$P{number}V"] = str(channel.voltage)
    return keywords


def _placed_text(keywords: dict[str, str], size: int) -> tuple[bytes, int]:
    """Build the TEXT segment; its own length decides where the data begin, so those two numbers have a fixed width."""
    start = _TEXT_START + len(_text(keywords | _place(0, 0)))
    return _text(keywords | _place(start, max(start + size - 1, start))), start


def _place(start: int, end: int) -> dict[str, str]:
    return {"$BEGINDATA": f"{start:<{_WIDTH}}", "$ENDDATA": f"{end:<{_WIDTH}}"}


def _text(keywords: Mapping[str, str]) -> bytes:
    """Join keys and values; a delimiter inside a value is doubled, an empty value becomes a space (FCS 3.1, 3.2.9)."""
    parts = [
        (value.replace(_DELIMITER, _DELIMITER * 2) or " ")
        for pair in keywords.items()
        for value in pair
    ]
    return (_DELIMITER + _DELIMITER.join(parts) + _DELIMITER).encode("utf-8")


def _header(version: str, text: tuple[int, int], data: tuple[int, int]) -> bytes:
    """Write the HEADER; a data segment too far for eight digits is given as 0 and found from TEXT."""
    data = data if data[1] <= _HEADER_LIMIT else (0, 0)
    offsets = "".join(f"{number:>8}" for number in (*text, *data, 0, 0))
    return f"{version}    {offsets}".encode("ascii")
