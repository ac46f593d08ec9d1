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
class _Style:
    """How a family of instruments writes: ``number`` is the type of an event's values."""

    version: str
    number: str
    byte_order: str
    spill_keyword: str
    count_width: int


_STYLES: Mapping[Dialect, _Style] = {
    "fcs3.1-le": _Style("FCS3.1", "<f4", "1,2,3,4", "$SPILLOVER", 0),
    "diva-fcs3.0-be": _Style("FCS3.0", ">f4", "4,3,2,1", "SPILL", _WIDTH),
}


@dataclass(frozen=True, slots=True)
class FcsChannel:
    """One parameter of the file: ``$PnN``, ``$PnS``, ``$PnR`` and ``$PnV``.

    ``$PnS`` and ``$PnV`` are left out when empty.
    """

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
    """Write ``events`` (n × channels, linear values) as one FCS data set.

    ``keywords`` are written beside those the format requires. Raises ValueError when the array does
    not have one column a channel.
    """
    if events.ndim != 2 or events.shape[1] != len(channels):
        raise ValueError(
            f"{path.name}: the events must have {len(channels)} columns, one a channel, not "
            f"shape {events.shape}."
        )
    style = _STYLES[dialect]
    content = np.ascontiguousarray(events, dtype=style.number)
    stored_spill = {style.spill_keyword: spill.text()} if spill else {}
    count = f"{len(events):<{style.count_width}}"
    required = _required(count, len(channels), style.byte_order)
    described = required | _parameters(channels) | stored_spill | dict(keywords)
    text, start = _placed_text(described, content.nbytes)
    end = max(start + content.nbytes - 1, start)
    header = _header(style.version, (_TEXT_START, start - 1), (start, end))
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
    """Build the TEXT segment, and give the place where the data begin after it.

    The segment's length decides that place, so the numbers that name it have a fixed width.
    """
    start = _TEXT_START + len(_text(keywords | _place(0, 0)))
    return _text(keywords | _place(start, max(start + size - 1, start))), start


def _place(start: int, end: int) -> dict[str, str]:
    return {"$BEGINDATA": f"{start:<{_WIDTH}}", "$ENDDATA": f"{end:<{_WIDTH}}"}


def _text(keywords: Mapping[str, str]) -> bytes:
    """Join keys and values (FCS 3.1, 3.2.9).

    A delimiter inside a value is doubled, an empty value becomes a space.
    """
    words = [word for pair in keywords.items() for word in pair]
    parts = [word.replace(_DELIMITER, _DELIMITER * 2) or " " for word in words]
    return (_DELIMITER + _DELIMITER.join(parts) + _DELIMITER).encode("utf-8")


def _header(version: str, text: tuple[int, int], data: tuple[int, int]) -> bytes:
    """Write the HEADER.

    A data segment too far for eight digits is given as 0; readers take its place from TEXT.
    """
    if data[1] > _HEADER_LIMIT:
        data = (0, 0)
    offsets = "".join(f"{number:>8}" for number in (*text, *data, 0, 0))
    return f"{version}    {offsets}".encode("ascii")
