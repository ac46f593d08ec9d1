"""Say where the events lie in an FCS file, how each channel's values are written, and turn them into linear numbers.

Written after the FCS 3.1 and 3.2 standards. What is not supported is refused, never guessed.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from gating.fcs.data_offsets import EventBlock, find_events
from gating.fcs.limits import MOST_NAME
from gating.fcs.second_readers import ParsedHeader
from gating.fcs.text import DataSet
from panels.acquisition_time import time_channel
from panels.text.errors import UnreadableFile
from panels.text.printable import without_controls
from panels.text.quoting import as_label, may_be_shown, quoted, value_shown

MOST_DECADES = 10.0
WHOLE_WIDTHS = (1, 2, 4, 8)
"""Bytes of the integers numpy knows; others (24 bits on some Cyteks) are put together byte by
byte."""
STANDARD_ORDER = 4
"""FCS 3.1 writes four numbers in $BYTEORD, whatever the width of the values."""
FLOAT_BITS = {"F": 32, "D": 64}

Kind = Literal["I", "F", "D"]
Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a tube: its place (from 0), detector (``$PnN``), label (``$PnS`` or empty) and ``$PnR``."""

    index: int
    detector: str
    label: str
    maximum: float


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the values of one channel are written, and what makes them linear.

    ``byte`` is the place within an event, ``width`` the number of bytes, ``bit_mask`` what ``$PnR``
    leaves of an integer.
    """

    kind: Kind
    byte: int
    width: int
    bit_mask: int | None
    step: float
    decades: float
    log_zero: float
    maximum: float
    gain: float

    @property
    def is_linear(self) -> bool:
        """Tell whether the stored numbers are the linear values already."""
        return self.bit_mask is None and (self.step, self.decades, self.gain) == (1.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the events lie in the file: first byte, bytes per event, byte order, and each channel's encoding."""

    start: int
    event_bytes: int
    order: Order
    encodings: tuple[Encoding, ...]


def channels_of(
    name: str, parsed: ParsedHeader, keywords: Mapping[str, str]
) -> tuple[Channel, ...]:
    """List the channels; raises UnreadableFile when two have one name."""
    detectors = [_bounded(name, f"$P{n}N", each) for n, each in enumerate(parsed.detectors, 1)]
    twice = [detector for detector, times in Counter(detectors).items() if times > 1]
    if twice:
        raise UnreadableFile(
            f"{name} has two channels called {as_label(twice[0])}: a gate cannot tell them apart. "
            f"Rename one and export again."
        )
    return tuple(
        Channel(
            index=n - 1,
            detector=detector,
            label=_bounded(name, f"$P{n}S", keywords.get(f"$P{n}S", "")),
            maximum=_number(name, keywords, f"$P{n}R"),
        )
        for n, detector in enumerate(detectors, start=1)
    )


def _bounded(name: str, keyword: str, text: str) -> str:
    """Give a detector or a label on one line; one that is no name but a whole text is refused."""
    if len(text) > MOST_NAME:
        told = f"{keyword} has more than {MOST_NAME} characters, so it names no channel"
        raise UnreadableFile(f"{name}: {told}. Correct it and export the file again.")
    return without_controls(text)


def _number(
    name: str, keywords: Mapping[str, str], keyword: str, missing: float | None = None
) -> float:
    """Read a keyword that must hold a finite number of 0 or more."""
    text = keywords.get(keyword, "")
    if not text and missing is not None:
        return missing
    value = finite(text)
    if value is None or value < 0:
        raise UnreadableFile(
            f"{name}: {keyword} is {quoted(keyword, text)}, but must be a number of 0 or more. "
            f"Export the file again from the cytometer."
        )
    return value


def finite(text: str) -> float | None:
    """Read a finite number, or None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def encodings_of(
    name: str,
    parsed: ParsedHeader,
    keywords: Mapping[str, str],
    channels: Sequence[Channel],
    time_step: float | None,
) -> tuple[Encoding, ...]:
    """Say how each channel is written; raises UnreadableFile when it is in a way not supported."""
    places = [bits // 8 for bits in accumulate(parsed.bits, initial=0)][: len(channels)]
    clock = time_channel(channels)
    return tuple(
        _encoding(
            name,
            parsed,
            keywords,
            channel,
            place,
            time_step=time_step or 1.0 if channel is clock else None,
        )
        for channel, place in zip(channels, places, strict=True)
    )


def _encoding(
    name: str,
    parsed: ParsedHeader,
    keywords: Mapping[str, str],
    channel: Channel,
    byte: int,
    *,
    time_step: float | None,
) -> Encoding:
    """Say how a channel is written; ``time_step`` is the clock's (None: the channel is none)."""
    number, bits = channel.index + 1, parsed.bits[channel.index]
    kind = _kind(name, channel, _datatype(parsed, keywords, number), bits)
    decades, log_zero = _amplification(name, keywords, channel, kind)
    return Encoding(
        kind=kind,
        byte=byte,
        width=bits // 8,
        bit_mask=_bit_mask(name, channel, bits) if kind == "I" else None,
        step=1.0 if time_step is None else time_step,
        decades=decades,
        log_zero=log_zero,
        maximum=channel.maximum,
        # Cytometers write a gain for Time too, which means nothing there; a gain of 0 means none.
        gain=1.0 if time_step is not None else _number(name, keywords, f"$P{number}G", 1.0) or 1.0,
    )


def _datatype(parsed: ParsedHeader, keywords: Mapping[str, str], number: int) -> str:
    """Give the type of a channel's values, which may differ from ``$DATATYPE`` from FCS 3.2 on."""
    own = keywords.get(f"$P{number}DATATYPE", "").upper()
    return own if own and parsed.version >= "3.2" else parsed.datatype


def ignored_datatypes(parsed: ParsedHeader, keywords: Mapping[str, str]) -> tuple[str, ...]:
    """Say where a ``$PnDATATYPE`` that FCS below 3.2 does not know asks for other values."""
    if parsed.version >= "3.2":
        return ()
    numbers = range(1, parsed.channel_count + 1)
    asked = [
        f"$P{n}DATATYPE"
        for n in numbers
        if keywords.get(f"$P{n}DATATYPE", parsed.datatype).upper() != parsed.datatype
    ]
    more = f" (and {len(asked) - 1} more)" if len(asked) > 1 else ""
    sentence = (
        f"{asked[0] if asked else ''} was ignored{more}: FCS {parsed.version} does not know it, "
        f"all values are of type {value_shown('$DATATYPE', parsed.datatype)} ($DATATYPE)."
    )
    return (sentence,) if asked else ()


def _kind(name: str, channel: Channel, kind: str, bits: int) -> Kind:
    supported = bits in range(8, 65, 8) if kind == "I" else FLOAT_BITS.get(kind) == bits
    if not supported:
        told = f"type '{kind}'" if may_be_shown("$DATATYPE", kind) else "an unknown type"
        raise UnreadableFile(
            f"{name}: {as_label(channel.detector)} is written in {bits} bits of {told}, "
            f"which is not supported. Export it as FCS 3.1."
        )
    return cast("Kind", kind)


def _amplification(
    name: str, keywords: Mapping[str, str], channel: Channel, kind: str
) -> tuple[float, float]:
    """Read ``$PnE``: log decades and the value of channel 0; an invalid 0 there counts as 1 (FCS 3.1, $PnE)."""
    keyword, detector = f"$P{channel.index + 1}E", as_label(channel.detector)
    text = keywords.get(keyword) or "0,0"
    decades, _, zero = (part.strip() for part in text.partition(","))
    log_decades, log_zero = finite(decades), finite(zero)
    if (
        log_decades is None
        or log_zero is None
        or not 0 <= log_decades <= MOST_DECADES
        or log_zero < 0
    ):
        raise UnreadableFile(
            f"{name}: the amplification of {detector} ({keyword}) is {quoted(keyword, text)}, "
            f"not two numbers. Export the file again."
        )
    if log_decades and kind != "I":
        # The standard forbids it, and readers differ on whether such values are still to be
        # linearised.
        raise UnreadableFile(
            f"{name}: {detector} holds decimals and yet is marked logarithmic. "
            f"Export it with linear scales."
        )
    return log_decades, log_zero or 1.0


def _bit_mask(name: str, channel: Channel, bits: int) -> int | None:
    """Give the bits that count when ``$PnR`` leaves some unused: those below the next power of two (FCS 3.1, $PnR)."""
    if channel.maximum < 2:  # a range of 1 or 0 would leave no bit: every event would read 0
        raise UnreadableFile(
            f"{name}: {as_label(channel.detector)} has no range ($P{channel.index + 1}R). "
            f"Export the file again from the cytometer."
        )
    used = (math.ceil(channel.maximum) - 1).bit_length()
    return (1 << used) - 1 if used < bits else None


def layout_of(
    name: str, size: int, data_set: DataSet, parsed: ParsedHeader, encodings: tuple[Encoding, ...]
) -> tuple[Layout, tuple[str, ...]]:
    """Find where the events lie and check that as many lie there as are announced.

    Gives sentences on how they were found, too. Raises UnreadableFile where it is in doubt.
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
    fields = {
        str(index): (_stored_type(each, layout.order), each.byte)
        for index, each in enumerate(layout.encodings)
    }
    return np.dtype({
        "names": list(fields), "formats": [kind for kind, _ in fields.values()], "offsets": [byte for _, byte in fields.values()],
        "itemsize": layout.event_bytes,
    })  # fmt: skip


def linear_values(stored: NDArray[Any], encoding: Encoding, order: Order) -> NDArray[np.float64]:
    """Turn one channel's stored values into linear float64.

    Time step, log amplification and gain are undone in FlowIO's order and arithmetic, so that
    values agree to the last bit.
    """
    values = _numbers(stored, encoding, order)
    if encoding.step != 1.0:
        values = values * encoding.step
    if encoding.decades:
        values = np.power(10, encoding.decades * values / encoding.maximum) * encoding.log_zero
    return values if encoding.gain == 1.0 else values / encoding.gain


def _order(name: str, byte_order: str, width: int) -> Order:
    """Read ``$BYTEORD``: a count up or down to 4, or to the bytes of the widest value.

    Counted otherwise it does not say in which order those bytes lie. One byte needs no order.
    """
    count = byte_order.count(",") + 1
    counted = ",".join(str(n) for n in range(1, count + 1))
    if byte_order in (counted, counted[::-1]) and (width == 1 or count in {STANDARD_ORDER, width}):
        return "<" if byte_order == counted else ">"
    raise UnreadableFile(
        f"{name}: $BYTEORD is {quoted('$BYTEORD', byte_order)}, a byte order that does not say how "
        f"values of {width} bytes are written. Export it as FCS 3.1."
    )


def _stored_type(encoding: Encoding, order: Order) -> str:
    if encoding.kind != "I":
        return f"{order}f{encoding.width}"
    return (
        f"{order}u{encoding.width}" if encoding.width in WHOLE_WIDTHS else f"({encoding.width},)u1"
    )


def _numbers(stored: NDArray[Any], encoding: Encoding, order: Order) -> NDArray[np.float64]:
    """Turn stored values into float64, without the bits that do not count."""
    if encoding.kind == "I" and encoding.width not in WHOLE_WIDTHS:
        places = range(encoding.width) if order == "<" else range(encoding.width)[::-1]
        whole = np.zeros(len(stored), dtype=np.uint64)
        for byte, place in enumerate(places):
            whole |= stored[:, byte].astype(np.uint64) << np.uint64(8 * place)
        stored = whole
    if encoding.bit_mask is not None:
        stored = stored & stored.dtype.type(encoding.bit_mask)
    return stored.astype(np.float64)
