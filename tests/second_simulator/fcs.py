"""Write FCS 3.0 and 3.1 files of 32-bit floats, as a FACSLyric lays them out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Version = Literal["FCS3.0", "FCS3.1"]
_HEADER_BYTES = 58
_LARGEST_IN_HEADER = 99_999_999


def write_fcs(
    path: Path,
    events: NDArray[np.float64],
    channels: Sequence[tuple[str, str]],
    keywords: Mapping[str, str],
    *,
    version: Version = "FCS3.1",
    big_endian: bool = False,
) -> None:
    """Write events (n × channels); a channel is its detector and its marker ("" for none)."""
    stored = np.ascontiguousarray(events, dtype=">f4" if big_endian else "<f4")
    told = _described(channels, len(events), big_endian=big_endian) | dict(keywords)
    begin = end = 0
    while True:
        text = _text(told | {"$BEGINDATA": str(begin), "$ENDDATA": str(end)})
        first = _HEADER_BYTES + len(text)
        last = first + stored.nbytes - 1
        if (begin, end) == (first, last):
            break
        begin, end = first, last
    fits = last <= _LARGEST_IN_HEADER
    places = (_HEADER_BYTES, begin - 1, begin if fits else 0, end if fits else 0, 0, 0)
    header = version + " " * 4 + "".join(f"{place:>8d}" for place in places)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        file.write(text)
        file.write(stored.tobytes())


def spill_text(detectors: Sequence[str], matrix: NDArray[np.float64]) -> str:
    """Write a spill as the value of its keyword: n, the names, then the rows."""
    return ",".join(
        [str(len(detectors)), *detectors, *(f"{value:.6g}" for value in matrix.ravel())]
    )


def _described(
    channels: Sequence[tuple[str, str]], events: int, *, big_endian: bool
) -> dict[str, str]:
    told = {
        "$BEGINANALYSIS": "0",
        "$ENDANALYSIS": "0",
        "$BEGINSTEXT": "0",
        "$ENDSTEXT": "0",
        "$NEXTDATA": "0",
        "$BYTEORD": "4,3,2,1" if big_endian else "1,2,3,4",
        "$DATATYPE": "F",
        "$MODE": "L",
        "$PAR": str(len(channels)),
        "$TOT": str(events),
    }
    for number, (detector, marker) in enumerate(channels, start=1):
        told |= {
            f"$P{number}N": detector,
            f"$P{number}B": "32",
            f"$P{number}E": "0,0",
            f"$P{number}R": "262144",
        }
        told |= {f"$P{number}G": "1"} | ({f"$P{number}S": marker} if marker else {})
    return told


def _text(told: Mapping[str, str]) -> bytes:
    """Join keywords and values with form feeds, doubling those inside a value."""
    parts = [part.replace("\f", "\f\f") for pair in told.items() if pair[1] for part in pair]
    return ("\f" + "\f".join(parts) + "\f").encode("utf-8")
