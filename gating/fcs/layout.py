"""Find where the events lie in an FCS file and how one event is put together.

Written after the FCS 3.1 and 3.2 standards. What is not supported is refused, never guessed.
"""

from dataclasses import dataclass

import numpy as np

from gating.fcs.data_offsets import EventBlock, find_events
from gating.fcs.encoding import Encoding, Order, stored_type
from gating.fcs.second_readers import ParsedHeader
from gating.fcs.text import DataSet
from panels.text.errors import UnreadableFile
from panels.text.quoting import quoted

STANDARD_ORDER = 4
"""FCS 3.1 writes four numbers in $BYTEORD, whatever the width of the values."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the events lie in the file, and how they are written.

    ``start`` is their first byte.
    """

    start: int
    event_bytes: int
    order: Order
    encodings: tuple[Encoding, ...]


def layout_of(
    name: str, size: int, data_set: DataSet, parsed: ParsedHeader, encodings: tuple[Encoding, ...]
) -> tuple[Layout, tuple[str, ...]]:
    """Find where the events lie, and check that as many lie there as are announced.

    Gives also sentences on how they were found. Raises UnreadableFile where it is in doubt.
    """
    mode = data_set.keywords.get("$MODE", "L").upper()
    if mode != "L":
        raise UnreadableFile(
            f"{name} holds histograms, not events ($MODE is {quoted('$MODE', mode)}). "
            f"Export it in list mode."
        )
    event_bytes = sum(encoding.width for encoding in encodings)
    order = _order(name, parsed.byte_order, max(encoding.width for encoding in encodings))
    place = find_events(name, size, data_set, EventBlock(parsed.event_count, event_bytes))
    return Layout(place.start, event_bytes, order, encodings), place.problems


def event_type(layout: Layout) -> np.dtype[np.void]:
    """Give the numpy type of one event as it is stored, its fields named by channel index."""
    return np.dtype(
        {
            "names": [str(index) for index in range(len(layout.encodings))],
            "formats": [stored_type(each, layout.order) for each in layout.encodings],
            "offsets": [each.byte for each in layout.encodings],
            "itemsize": layout.event_bytes,
        }
    )


def _order(name: str, byte_order: str, width: int) -> Order:
    """Read ``$BYTEORD``: a count up or down to 4, or to the bytes of the widest value.

    Counted otherwise it does not tell in which order those bytes lie. One byte needs no order.
    """
    count = byte_order.count(",") + 1
    counted = ",".join(str(n) for n in range(1, count + 1))
    if byte_order in (counted, counted[::-1]) and (width == 1 or count in {STANDARD_ORDER, width}):
        return "<" if byte_order == counted else ">"
    raise UnreadableFile(
        f"{name}: $BYTEORD is {quoted('$BYTEORD', byte_order)}, a byte order that does not say how "
        f"values of {width} bytes are written. Export it as FCS 3.1."
    )
