"""Find the first byte of the events, though HEADER and TEXT may contradict each other.

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
    """The first byte of the events in the file, and sentences on how it was determined."""

    start: int
    problems: tuple[str, ...] = ()


def find_events(name: str, size: int, data_set: DataSet, block: EventBlock) -> DataPlace:
    """Find where the events of a data set begin, in a file of ``size`` bytes.

    Raises UnreadableFile when neither HEADER nor TEXT names a place, when they name two places, or
    when fewer or more events lie there than are announced.
    """
    stated = _stated_offsets(data_set)
    if not stated and block.count:
        raise UnreadableFile(
            f"{name} does not say where its events lie. Export it again from the cytometer."
        )
    stated, problems = _outside_the_keywords(name, stated, data_set, block)
    firsts = sorted({first for first, _ in stated.values()})
    if len(firsts) > 1:
        raise UnreadableFile(
            f"{name} says in two places where its events begin: {firsts[0]} and {firsts[1]}. "
            f"Export it again."
        )
    start = data_set.start + (firsts[0] if firsts else 0)
    for first, last in stated.values():
        _check_count(name, block.count, max(last - first + 1, 0) // block.event_bytes)
    in_the_file = max(size - start, 0) // block.event_bytes
    _check_count(name, block.count, min(in_the_file, block.count))
    return DataPlace(start, problems)


def _stated_offsets(data_set: DataSet) -> dict[str, Offsets]:
    """Give first and last byte of the events as HEADER and TEXT state them; one may state nothing.

    FCS 2.0 knows offsets in the HEADER alone; those past 99,999,999 are 0 there, or cut to eight
    digits, and stand in TEXT alone.
    """
    header, text = data_set.header_offsets, data_set.text_offsets
    if text[1] > LAST_HEADER_OFFSET:
        first_fits = text[0] <= LAST_HEADER_OFFSET and header[0] not in (0, LAST_HEADER_OFFSET)
        header = (header[0] if first_fits else text[0], text[1])
    stated = {"HEADER": header, "TEXT": text}
    if data_set.version == "2.0" and header[0]:
        del stated["TEXT"]
    return {source: offsets for source, offsets in stated.items() if offsets[0]}


def _outside_the_keywords(
    name: str, stated: Mapping[str, Offsets], data_set: DataSet, block: EventBlock
) -> tuple[dict[str, Offsets], tuple[str, ...]]:
    """Leave out a place within the keywords when the other one fits the events.

    Gives a sentence on what was left out. Raises UnreadableFile when there is no other place.
    """
    overlapped = {
        source: _overlapped(offsets, data_set, block) for source, offsets in stated.items()
    }
    inside = {source: segment for source, segment in overlapped.items() if segment is not None}
    if not inside:
        return dict(stated), ()
    source, segment = next(iter(inside.items()))
    wrong = stated[source][0]
    if len(inside) == len(stated):
        raise UnreadableFile(
            f"{name}: DATA overlaps {segment}: the events would begin at byte {wrong}, "
            f"so every channel would be read at a wrong place. Export it again from the cytometer."
        )
    right = "HEADER" if source == "TEXT" else "TEXT"
    lengths = [last - first + 1 for first, last in (stated[right], stated[source])]
    agreed = lengths[0] == lengths[1] or right == "HEADER"
    if lengths[0] // block.event_bytes != block.count or not agreed:
        return dict(stated), ()  # two places, which is refused
    offset = "$BEGINDATA" if source == "TEXT" else "The HEADER's first byte of DATA"
    sentence = (
        f"{offset} ({wrong}) points into {segment}: "
        f"the events were read where the {right} says, from byte {stated[right][0]} on."
    )
    return {right: stated[right]}, (sentence,)


def _overlapped(offsets: Offsets, data_set: DataSet, block: EventBlock) -> str | None:
    """Name the segment that events at these offsets would share bytes with."""
    first, last = offsets
    if block.length == 0:
        return None
    last = max(first, min(last, first + block.length - 1))
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
