"""Tell a file that is whole from a copy that is under way, by what the file says of itself.

A copy over a network either grows, and ends before what it announces, or has its full size from the
start (Windows sets it first) and zeros where nothing was written yet. Being quiet for a while tells
neither from a file that is whole.

What counts as missing: an event that is zero in every channel, and one that is zero from some
channel on, its clock included, though the clock was running the event before. Both only where
nothing but zeros follows in the file: it is written from front to back. Zeros behind the events are
padding, and zeros within an event are what cytometers write for dim signals.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gating.fcs.events import open_events
from gating.fcs.header import TubeHeader
from gating.fcs.keyword_numbers import whole_number
from gating.fcs.text import HEADER_BYTES
from panels.acquisition_time import time_channel
from panels.files.plain_file import open_regular
from panels.text.errors import CutShort, UnreadableFile

FEWEST_ZEROS = 512
"""So many zeros at the end of an unreadable file (a sector) are space that a copy has reserved."""
_BLOCK = 1 << 16
_MAGIC = b"FCS"


@dataclass(frozen=True, slots=True)
class MissingPart:
    """What a file lacks, in words for as long as it may still come.

    ``refusal`` is the sentence for a file that never became whole; it is empty where the events are
    all there and the file is judged as it is.
    """

    why: str
    refusal: str = ""


def missing_part(path: Path, header: TubeHeader) -> MissingPart | None:
    """Say what is missing of a file whose header can be read; None for one that is whole."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        written = size - _zeros_at_the_end(file, size)
    missing = _missing_events(header, written)
    if missing:
        number = f"{missing} events hold" if missing > 1 else "event holds"
        why = f"its last {number} nothing but zeros"
        refusal = f"{path.name} is cut short: {why}, as a copy leaves them that stopped."
        return MissingPart(why, f"{refusal} Copy it again from the cytometer.")
    beyond = _segment_beyond(header, size)
    if beyond:
        return MissingPart(f"its {beyond} lies behind the end of the file")
    return None


def unreadable_part(path: Path, fault: UnreadableFile) -> MissingPart | None:
    """Say what is missing of a file that cannot be read; None where something else is wrong."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        zeros = _zeros_at_the_end(file, size)
        file.seek(0)
        start = file.read(len(_MAGIC))
    if size == 0:
        return MissingPart("it is empty so far", str(fault))
    if zeros == size or zeros >= FEWEST_ZEROS:
        why = f"it holds nothing but zeros from byte {size - zeros} on"
        refusal = f"{path.name} is cut short: {why}. Copy it again from the cytometer."
        return MissingPart(why, refusal)
    if isinstance(fault, CutShort):
        return MissingPart("it ends before all that it announces is there", str(fault))
    if size < HEADER_BYTES and start == _MAGIC[:size]:
        return MissingPart("it ends within its header", str(fault))
    return None


def continues(part: Path, path: Path) -> bool:
    """Tell whether a file begins with all that ``part`` holds, but for zeros at its end."""
    try:
        with open_regular(part) as old, open_regular(path) as new:
            size = os.fstat(old.fileno()).st_size
            left = size - _zeros_at_the_end(old, size)
            old.seek(0)
            while left > 0:
                block = old.read(min(left, _BLOCK))
                if not block or new.read(len(block)) != block:
                    return False
                left -= len(block)
            return size <= os.fstat(new.fileno()).st_size
    except OSError:
        return False


def _missing_events(header: TubeHeader, written: int) -> int:
    """Count the events missing in a file that is zero from the byte ``written`` on."""
    layout, count = header.layout, header.event_count
    whole = max(written - layout.start, 0) // layout.event_bytes
    begun = written > layout.start + whole * layout.event_bytes
    if whole >= count:
        return 0
    missing = count - whole
    if begun and not _clock_is_missing(header, whole, written):
        missing -= 1
    return missing


def _clock_is_missing(header: TubeHeader, event: int, written: int) -> bool:
    """Tell whether an event that has only begun lacks its time, though time ran before."""
    clock, layout = time_channel(header.channels), header.layout
    if clock is None or event == 0:
        return False
    reached = written - (layout.start + event * layout.event_bytes)
    if layout.encodings[clock.index].byte < reached:
        return False
    before = open_events(header).column(clock.index, np.array([event - 1]))
    return bool(before[0] > 0)


def _segment_beyond(header: TubeHeader, size: int) -> str:
    """Name a segment that TEXT announces and a file of one data set does not reach."""
    if header.data_sets > 1:
        return ""
    for end, words in (("$ENDSTEXT", "supplemental TEXT"), ("$ENDANALYSIS", "ANALYSIS")):
        if (whole_number(header.keywords.get(end)) or 0) >= size:
            return words
    return ""


def _zeros_at_the_end(file: BinaryIO, size: int) -> int:
    """Count the zero bytes at the end of a file."""
    end = size
    while end > 0:
        start = max(end - _BLOCK, 0)
        file.seek(start)
        written = file.read(end - start).rstrip(b"\0")
        if written:
            return size - (start + len(written))
        end = start
    return size
