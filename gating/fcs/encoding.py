"""Determine how each channel's values are written, and turn them into linear numbers.

Written after the FCS 3.1 and 3.2 standards. What is not supported is refused, never guessed.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from gating.fcs.channels import Channel
from gating.fcs.keyword_numbers import finite_number, nonnegative_number
from gating.fcs.second_readers import ParsedHeader
from panels.acquisition_time import time_channel
from panels.text.errors import UnreadableFile
from panels.text.quoting import as_label, may_be_shown, quoted, value_shown

MOST_DECADES = 10.0
WHOLE_WIDTHS = (1, 2, 4, 8)
"""Bytes of the integers numpy knows; others (24 bits on some Cyteks) are put together byte by
byte."""
FLOAT_BITS = {"F": (32,), "D": (64,)}

Kind = Literal["I", "F", "D"]
Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the values of one channel are written, and what makes them linear.

    ``byte`` is the place within an event, ``width`` the number of bytes, ``bit_mask`` what ``$PnR``
    leaves of an integer, ``step`` the seconds per unit of the time channel (1 elsewhere).
    ``decades`` and ``log_zero`` are ``$PnE``, ``maximum`` is ``$PnR``, ``gain`` is ``$PnG``.
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


def encodings_of(
    name: str,
    parsed: ParsedHeader,
    keywords: Mapping[str, str],
    channels: Sequence[Channel],
    time_step: float | None,
) -> tuple[Encoding, ...]:
    """Determine how each channel is written; ``time_step`` is in seconds (None: unknown).

    Raises UnreadableFile when a channel is written in a way that is not supported.
    """
    places = [bits // 8 for bits in accumulate(parsed.bits, initial=0)][: len(channels)]
    clock = time_channel(channels)
    encodings: list[Encoding] = []
    for channel, place in zip(channels, places, strict=True):
        step = (time_step or 1.0) if channel is clock else None
        encodings.append(_encoding(name, parsed, keywords, channel, place, time_step=step))
    return tuple(encodings)


def _encoding(
    name: str,
    parsed: ParsedHeader,
    keywords: Mapping[str, str],
    channel: Channel,
    byte: int,
    *,
    time_step: float | None,
) -> Encoding:
    """Determine how a channel is written; ``time_step`` is None for all but the time channel."""
    number, bits = channel.index + 1, parsed.bits[channel.index]
    kind = _kind(name, channel, _datatype(parsed, keywords, number), bits)
    decades, log_zero = _amplification(name, keywords, channel, kind)
    bit_mask = _bit_mask(name, channel, bits) if kind == "I" else None
    if time_step is None:
        # A gain of 0 means none.
        step, gain = 1.0, nonnegative_number(name, keywords, f"$P{number}G", 1.0) or 1.0
    else:
        # Cytometers write a gain for Time too, which means nothing there.
        step, gain = time_step, 1.0
    return Encoding(
        kind=kind,
        byte=byte,
        width=bits // 8,
        bit_mask=bit_mask,
        step=step,
        decades=decades,
        log_zero=log_zero,
        maximum=channel.maximum,
        gain=gain,
    )


def _datatype(parsed: ParsedHeader, keywords: Mapping[str, str], number: int) -> str:
    """Give the type of a channel's values, which may differ from ``$DATATYPE`` from FCS 3.2 on."""
    of_channel = keywords.get(f"$P{number}DATATYPE", "").upper()
    if of_channel and parsed.version >= "3.2":
        return of_channel
    return parsed.datatype


def ignored_datatypes(parsed: ParsedHeader, keywords: Mapping[str, str]) -> tuple[str, ...]:
    """Name the ``$PnDATATYPE`` that differ from ``$DATATYPE`` in a file below FCS 3.2.

    There the standard does not know them.
    """
    if parsed.version >= "3.2":
        return ()
    names = [f"$P{n}DATATYPE" for n in range(1, parsed.channel_count + 1)]
    ignored = [
        each for each in names if keywords.get(each, parsed.datatype).upper() != parsed.datatype
    ]
    if not ignored:
        return ()
    more = f" (and {len(ignored) - 1} more)" if len(ignored) > 1 else ""
    sentence = (
        f"{ignored[0]} was ignored{more}: FCS {parsed.version} does not know it, "
        f"all values are of type {value_shown('$DATATYPE', parsed.datatype)} ($DATATYPE)."
    )
    return (sentence,)


def _kind(name: str, channel: Channel, kind: str, bits: int) -> Kind:
    """Check that values of this type and width are supported."""
    widths: Collection[int] = range(8, 65, 8) if kind == "I" else FLOAT_BITS.get(kind, ())
    if bits not in widths:
        described = f"type '{kind}'" if may_be_shown("$DATATYPE", kind) else "an unknown type"
        raise UnreadableFile(
            f"{name}: {as_label(channel.detector)} is written in {bits} bits of {described}, "
            f"which is not supported. Export it as FCS 3.1."
        )
    return cast("Kind", kind)


def _amplification(
    name: str, keywords: Mapping[str, str], channel: Channel, kind: str
) -> tuple[float, float]:
    """Read ``$PnE``: the log decades, and the value of channel 0.

    An invalid 0 for the latter counts as 1 (FCS 3.1, $PnE).
    """
    keyword, detector = f"$P{channel.index + 1}E", as_label(channel.detector)
    text = keywords.get(keyword) or "0,0"
    decades, _, zero = (part.strip() for part in text.partition(","))
    log_decades, log_zero = finite_number(decades), finite_number(zero)
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
    """Give the bits that count when ``$PnR`` leaves some unused; None when all count.

    Those count that lie below the next power of two (FCS 3.1, $PnR).
    """
    if channel.maximum < 2:  # a range of 1 or 0 would leave no bit: every event would read 0
        raise UnreadableFile(
            f"{name}: {as_label(channel.detector)} has no range ($P{channel.index + 1}R). "
            f"Export the file again from the cytometer."
        )
    used = (math.ceil(channel.maximum) - 1).bit_length()
    return (1 << used) - 1 if used < bits else None


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
    if encoding.gain != 1.0:
        values = values / encoding.gain
    return values


def stored_type(encoding: Encoding, order: Order) -> str:
    """Name the numpy type of one stored value; other widths than numpy's are read as bytes."""
    if encoding.kind != "I":
        return f"{order}f{encoding.width}"
    if encoding.width in WHOLE_WIDTHS:
        return f"{order}u{encoding.width}"
    return f"({encoding.width},)u1"


def _numbers(stored: NDArray[Any], encoding: Encoding, order: Order) -> NDArray[np.float64]:
    """Turn stored values into float64, without the bits that do not count."""
    if encoding.kind == "I" and encoding.width not in WHOLE_WIDTHS:
        places = range(encoding.width)
        if order == ">":
            places = places[::-1]
        whole = np.zeros(len(stored), dtype=np.uint64)
        for byte, place in enumerate(places):
            whole |= stored[:, byte].astype(np.uint64) << np.uint64(8 * place)
        stored = whole
    if encoding.bit_mask is not None:
        stored = stored & stored.dtype.type(encoding.bit_mask)
    return stored.astype(np.float64)
