"""Write small FCS files in which any part can be wrong: HEADER, TEXT, DATA and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

Pair = tuple[str, str]


@dataclass(frozen=True)
class FcsFile:
    """One data set. ``pairs`` follow the required keywords; ``text`` replaces the whole TEXT.

    ``moved`` shifts what ``$BEGINDATA``/``$ENDDATA`` say, ``header_moved`` what the HEADER says.
    """

    events: np.ndarray
    names: Sequence[str] = ("FSC-A", "FITC-A", "PE-A", "Time")
    version: str = "3.1"
    delimiter: str = "/"
    order: str = "1,2,3,4"
    datatype: str = "F"
    bits: int = 32
    pairs: Sequence[Pair] = ()
    tail: str = ""
    ending: str | None = None
    padding: int = 0
    moved: int = 0
    header_moved: int = 0
    header_data: tuple[str, str] | None = None
    supplement: str = ""
    raw: bytes | None = None
    changed: dict[str, str] = field(default_factory=dict)

    def with_(self, **changes: Any) -> FcsFile:
        return replace(self, **changes)

    @property
    def data(self) -> bytes:
        if self.raw is not None:
            return self.raw
        kind = {"F": "f4", "D": "f8", "I": f"u{self.bits // 8}"}[self.datatype]
        big = self.order.startswith(("4", "8", "2,1"))
        return self.events.astype((">" if big else "<") + kind).tobytes()

    def write(self, path: Path) -> Path:
        """Write the file; offsets in TEXT have twelve digits, so that its length is known."""
        length = len(self._text(0).encode())
        first = 58 + length + self.padding
        text = self._text(first).encode()
        last = first + len(self.data) - 1
        fields = self.header_data or (str(first + self.header_moved), str(last + self.header_moved))
        header = f"FCS{self.version}    {58:8d}{57 + length:8d}{fields[0]:>8}{fields[1]:>8}"
        header = f"{header}{0:8d}{0:8d}"[:58]
        body = text + b" " * self.padding + self.data
        path.write_bytes(header.encode() + body + self.supplement.encode())
        return path

    def _text(self, first: int) -> str:
        count, last = len(self.events), first + len(self.data) - 1
        keywords = {
            "$BEGINDATA": f"{first + self.moved:012d}",
            "$ENDDATA": f"{last + self.moved:012d}",
            "$BEGINSTEXT": f"{last + 1 if self.supplement else 0:012d}",
            "$ENDSTEXT": f"{last + len(self.supplement) if self.supplement else 0:012d}",
            "$MODE": "L",
            "$DATATYPE": self.datatype,
            "$BYTEORD": self.order,
            "$NEXTDATA": "0",
            "$PAR": str(len(self.names)),
            "$TOT": str(count),
        }
        for n, name in enumerate(self.names, start=1):
            keywords |= {
                f"$P{n}N": name,
                f"$P{n}B": str(self.bits),
                f"$P{n}R": "1024",
                f"$P{n}E": "0,0",
            }
        pairs = [*(keywords | self.changed).items(), *self.pairs]
        d = self.delimiter
        escaped = [(key, value.replace(d, d * 2)) for key, value in pairs]
        text = d + d.join(part for pair in escaped for part in pair) + d + self.tail
        return text if self.ending is None else text.removesuffix(d) + self.ending


def counted(events: int = 20, channels: int = 4) -> np.ndarray:
    """Give whole numbers below 256, all different from their neighbours."""
    return (np.arange(events * channels).reshape(events, channels) * 7 % 251).astype(float)
