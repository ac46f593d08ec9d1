"""Find the first byte of the events, where HEADER and TEXT may contradict each other or themselves.

A place that lies within the keywords is never read. Where HEADER and TEXT name two places that
could both be meant, the file is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gating.fcs.text import HEADER_BYTES, LAST_HEADER_OFFSET, DataSet, Offsets
from panels.text.errors import CutShort, UnreadableFile


@dataclass(frozen=True, slots=True)
class EventBlock:
    """How many events are announced, and how many bytes one takes."""

    count: int
    event_bytes: int

    @property
    def length(self) -> int:
        """Give the bytes that all events take."""
        return self.count * self.event_bytes


@dataclass(frozen=True, slots=True)
class DataPlace:
    """The first byte of the events in the file, and sentences on how it was found."""

    start: int
    problems: tuple[str, ...] = ()


def find_events(name: str, size: int, data_set: DataSet, block: EventBlock) -> DataPlace:
    """Say where the events of a data set begin, in a file of ``size`` bytes.

    Raises UnreadableFile when it is not said, when two places are said, or when fewer or more
    events lie there than are announced.
    """
    told = _told(data_set)
    if not told and block.count:
        raise UnreadableFile(
            f"{name} does not say where its events lie. Export it again from the cytometer."
        )
    told, problems = _outside_the_keywords(name, told, data_set, block)
    firsts = sorted({first for first, _ in told.values()})
    if len(firsts) > 1:
        raise UnreadableFile(
            f"{name} says in two places where its events begin: {firsts[0]} and {firsts[1]}. "
            f"Export it again."
        )
    start = data_set.start + (firsts[0] if firsts else 0)
    for first, last in told.values():
        _check_count(name, block.count, max(last - first + 1, 0) // block.event_bytes)
    in_the_file = max(size - start, 0) // block.event_bytes
    _check_count(name, block.count, min(in_the_file, block.count))
    return DataPlace(start, problems)


def _told(data_set: DataSet) -> dict[str, Offsets]:
    """Give what HEADER and TEXT say, each where it says something.

    FCS 2.0 knows offsets in the HEADER alone; those past 99,999,999 are 0 there, or cut to eight
    digits, and stand in TEXT alone.
    """
    header, text = data_set.header_offsets, data_set.text_offsets
    beyond = text[1] > LAST_HEADER_OFFSET
    if beyond:
        could_say = text[0] <= LAST_HEADER_OFFSET and header[0] not in (0, LAST_HEADER_OFFSET)
        header = (header[0] if could_say else text[0], text[1])
    told = {"HEADER": header, "TEXT": text}
    if data_set.version == "2.0" and header[0]:
        del told["TEXT"]
    return {source: offsets for source, offsets in told.items() if offsets[0]}


def _outside_the_keywords(
    name: str, told: Mapping[str, Offsets], data_set: DataSet, block: EventBlock
) -> tuple[dict[str, Offsets], tuple[str, ...]]:
    """Leave out a place within the keywords when the other one fits the events; this is said.

    Raises UnreadableFile when no other place is said.
    """
    inside = {
        source: segment
        for source, offsets in told.items()
        if (segment := _overlapped(offsets, data_set, block)) is not None
    }
    if not inside:
        return dict(told), ()
    source, segment = next(iter(inside.items()))
    wrong = told[source][0]
    if len(inside) == len(told):
        raise UnreadableFile(
            f"{name}: DATA overlaps {segment}: the events would begin at byte {wrong}, "
            f"so every channel would be read at a wrong place. Export it again from the cytometer."
        )
    right = "HEADER" if source == "TEXT" else "TEXT"
    lengths = [last - first + 1 for first, last in (told[right], told[source])]
    agreed = lengths[0] == lengths[1] or right == "HEADER"
    if lengths[0] // block.event_bytes != block.count or not agreed:
        return dict(told), ()  # two places, which is refused
    speaker = "$BEGINDATA" if source == "TEXT" else "The HEADER's first byte of DATA"
    sentence = (
        f"{speaker} ({wrong}) points into {segment}: "
        f"the events were read where the {right} says, from byte {told[right][0]} on."
    )
    return {right: told[right]}, (sentence,)


def _overlapped(offsets: Offsets, data_set: DataSet, block: EventBlock) -> str | None:
    """Name the segment that events at these offsets would share bytes with."""
    first, last = offsets
    if block.length == 0:
        return None
    last = min(last, first + block.length - 1) if last > first else first
    segments = {"the HEADER": (0, HEADER_BYTES - 1), **data_set.segments}
    return next((each for each, (a, b) in segments.items() if first <= b and last >= a), None)


def _check_count(name: str, announced: int, held: int) -> None:
    """Refuse fewer or more events than announced; a rest shorter than an event is padding."""
    if held < announced:
        raise CutShort(
            f"{name} is cut short: it announces {announced} events but holds {held}. "
            f"Copy it again from the cytometer."
        )
    if held > announced:
        raise UnreadableFile(
            f"{name} announces {announced} events but holds {held}: one of them is wrong. "
            f"Export it again."
        )
