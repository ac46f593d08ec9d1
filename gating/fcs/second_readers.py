"""Read the keywords that decide where and how events lie, and have two other readers confirm them.

FlowIO and fcsparser each fail on something the standard allows (offsets of 0 in the HEADER, a
second data set, blanks around keywords), so there are three readers: this one, FlowIO and
fcsparser. All that can read the file must agree, and two are the fewest trusted, except where the
others cannot read a form at all: then keywords and the extent of DATA must agree.
"""

import re
import struct
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

from gating.fcs.keyword_numbers import whole_number
from gating.fcs.limits import MOST_CHANNELS, MOST_SECOND_WORK, MOST_TEXT_BYTES
from gating.fcs.text import DataSet, Offsets
from panels.text.errors import UnreadableFile
from panels.text.quoting import quoted


@dataclass(frozen=True, slots=True)
class ParsedHeader:
    """What one reader reads of a data set; two readers must agree on all of it."""

    version: str
    channel_count: int
    event_count: int
    datatype: str
    byte_order: str
    detectors: tuple[str, ...]
    bits: tuple[int, ...]
    header_offsets: Offsets
    text_offsets: Offsets


def parsed_header(name: str, data_set: DataSet) -> ParsedHeader:
    """Read the keywords that decide where and how the events lie.

    Raises UnreadableFile when a required keyword is missing or wrong.
    """
    keywords = data_set.keywords
    channel_count = _number(name, keywords, "$PAR")
    if channel_count == 0:
        raise UnreadableFile(f"{name} has no channels. Export it again from the cytometer.")
    if channel_count > MOST_CHANNELS:
        raise UnreadableFile(
            f"{name} has {channel_count:,} channels, more than {MOST_CHANNELS:,}, which no "
            f"cytometer writes. Export only those that were measured."
        )
    channels = range(1, channel_count + 1)
    if data_set.irregular and data_set.version >= "3":
        for n in channels:  # optional before; a TEXT in doubt must have all that FCS 3 requires
            _required(name, keywords, f"$P{n}E")
    if _required(name, keywords, "$DATATYPE").upper() == "A":
        raise UnreadableFile(
            f"{name} holds its events as text ($DATATYPE A). "
            f"Export it as FCS 3.1 with floating-point numbers."
        )
    return ParsedHeader(
        version=data_set.version,
        channel_count=channel_count,
        event_count=_number(name, keywords, "$TOT"),
        datatype=_required(name, keywords, "$DATATYPE").upper(),
        byte_order=_plain_order(_required(name, keywords, "$BYTEORD")),
        detectors=tuple(_required(name, keywords, f"$P{n}N") for n in channels),
        bits=tuple(_number(name, keywords, f"$P{n}B") for n in channels),
        header_offsets=data_set.header_offsets,
        text_offsets=data_set.text_offsets,
    )


def confirm(path: Path, data_sets: Sequence[DataSet], index: int, parsed: ParsedHeader) -> None:
    """Have FlowIO and fcsparser confirm the header of a data set.

    Raises UnreadableFile when one of them disagrees, or when neither can read the file. A TEXT that
    breaks the standard is read by neither, and they are not used: there every required keyword and
    the extent of DATA have confirmed the header.
    """
    data_set, name = data_sets[index], path.name
    if data_set.irregular:
        return
    others = {
        "FlowIO": _by_flowio(path, data_set),
        "fcsparser": _by_fcsparser(path, data_sets, index),
    }
    for reader, other in others.items():
        if other is not None:
            _refuse_disagreement(name, parsed, reader, other)
    if not any(others.values()) and not data_set.padded:
        raise UnreadableFile(
            f"{name}: neither FlowIO nor fcsparser can read its header. "
            f"Export the file again from the cytometer."
        )


def _refuse_disagreement(name: str, parsed: ParsedHeader, reader: str, other: ParsedHeader) -> None:
    """Raise UnreadableFile for the first field that another reader reads differently."""
    for field in fields(ParsedHeader):
        here, there = getattr(parsed, field.name), getattr(other, field.name)
        if here != there:
            what = f"{field.name.replace('_', ' ').capitalize()}{_compared(here, there)}"
            raise UnreadableFile(
                f"{name}: its header can be read in two ways. {what} as {reader} reads it. "
                f"Export the file again."
            )


def _compared(here: object, there: object) -> str:
    """Repeat two values that are numbers; others may hold the text of any keyword."""
    if isinstance(here, int) and isinstance(there, int):
        return f": {here}, but {there}"
    return " are others"


def _required(name: str, keywords: Mapping[str, str], key: str) -> str:
    if not keywords.get(key):
        raise UnreadableFile(
            f"{name}: the keyword {key} is missing. Export the file again from the cytometer."
        )
    return keywords[key]


def _number(name: str, keywords: Mapping[str, str], key: str) -> int:
    value = whole_number(_required(name, keywords, key))
    if value is None:
        raise UnreadableFile(
            f"{name}: {key} is {quoted(key, keywords[key])}, which is not a whole number. "
            f"Export the file again."
        )
    return value


def _by_flowio(path: Path, data_set: DataSet) -> ParsedHeader | None:
    """Read a data set with FlowIO; None where it cannot read the file."""
    import flowio

    def read() -> ParsedHeader:
        # Not by its path: FlowIO reads as many bytes as an offset announces, and leaves files open.
        with path.open("rb") as file:
            flow = flowio.FlowData(
                _Bounded(file),
                only_text=True,
                nextdata_offset=data_set.start,
                ignore_offset_discrepancy=True,
            )
        text, channels = flow.text, range(1, flow.channel_count + 1)
        # FlowIO drops every $ of TEXT, in values too.
        detectors = (
            _with_dollars(text[f"p{n}n"], data_set.keywords.get(f"$P{n}N", "")) for n in channels
        )
        return ParsedHeader(
            version=flow.version,
            channel_count=flow.channel_count,
            event_count=flow.event_count,
            datatype=flow.data_type.strip().upper(),
            byte_order=_plain_order(text["byteord"]),
            detectors=tuple(detectors),
            bits=tuple(int(text[f"p{n}b"]) for n in channels),
            header_offsets=(flow.header["data_start"], flow.header["data_stop"]),
            text_offsets=_text_offsets(text, "begindata", "enddata"),
        )

    return _unless_it_fails(read, flowio.exceptions.FlowIOException)


def _by_fcsparser(path: Path, data_sets: Sequence[DataSet], index: int) -> ParsedHeader | None:
    """Read a data set with fcsparser; None where it cannot read the file, or only at great length.

    From the third data set on it reads the wrong place.
    """
    if index > 1 or any(_is_laborious(path, each) for each in data_sets[: index + 1]):
        return None
    from fcsparser.api import FCSParser, ParserFeatureNotImplementedError

    data_set = data_sets[index]

    def read() -> ParsedHeader:
        # Latin-1 reads any byte; only the names may hold more than ASCII.
        parser = FCSParser(encoding="latin-1")
        with path.open("rb") as file:
            parser.load_file(_Bounded(file), data_set=index, read_data=False)
        text = parser.annotation
        header, channels = text["__header__"], range(1, text["$PAR"] + 1)
        detectors = (
            text[f"$P{n}N"].encode("latin-1").decode(data_set.encoding).strip() for n in channels
        )
        first, last = (header[end] - data_set.start for end in ("data start", "data end"))
        return ParsedHeader(
            version=header["FCS format"][3:].decode("ascii"),
            channel_count=text["$PAR"],
            event_count=text["$TOT"],
            datatype=text["$DATATYPE"].strip().upper(),
            byte_order=_plain_order(text["$BYTEORD"]),
            detectors=tuple(detectors),
            bits=tuple(text[f"$P{n}B"] for n in channels),
            header_offsets=(first, last),
            text_offsets=_text_offsets(text, "$BEGINDATA", "$ENDDATA"),
        )

    return _unless_it_fails(read, ParserFeatureNotImplementedError)


def _unless_it_fails(
    read: Callable[[], ParsedHeader], refusal: type[Exception]
) -> ParsedHeader | None:
    """Run another reader; one that fails does not count, since the limit may be its own.

    ``refusal`` is the error by which it refuses a file on purpose.
    """
    with warnings.catch_warnings():
        # Both warn of ANALYSIS segments and padding, which are not read here.
        warnings.simplefilter("ignore")
        try:
            return read()
        except refusal:
            return None
        except (
            ValueError,  # a number or character it cannot read, a seek outside the file
            LookupError,  # a keyword or a TEXT segment that is not there (KeyError, IndexError)
            TypeError,  # a keyword that is not what it takes it for
            ArithmeticError,  # an offset too large for a seek (OverflowError)
            EOFError,  # fewer bytes than an offset announces
            OSError,  # a seek before the start of the file
            struct.error,  # bytes that do not fill a number
            re.error,  # FlowIO builds a pattern from the delimiter
        ):
            return None


def _plain_order(value: str) -> str:
    return re.sub(r"\s", "", value)


def _text_offsets(text: Mapping[str, str], first: str, last: str) -> Offsets:
    return whole_number(text.get(first)) or 0, whole_number(text.get(last)) or 0


def _with_dollars(name: str, expected: str) -> str:
    """Put back the dollar signs that FlowIO drops, when nothing else differs from ``expected``."""
    if name.strip() == expected.replace("$", "").strip():
        return expected
    return name.strip()


class _Bounded:
    """A file of which no more can be read than two TEXT segments may hold.

    The libraries read, and make a dictionary of, as many bytes as ANALYSIS or any offset announces.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self.close = file.seek, file.tell, file.close
        self._file = file
        self._left = 2 * MOST_TEXT_BYTES

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes; raises EOFError where they are more than any reader needs."""
        if not 0 <= size <= self._left:
            raise EOFError
        self._left -= size
        return self._file.read(size)


def _is_laborious(path: Path, data_set: DataSet) -> bool:
    """Tell whether fcsparser would take long or much memory for TEXT.

    It copies a value once for each escaped delimiter, and makes a list as long as anything it takes
    for ``$PAR``.
    """
    first, last = data_set.segments["TEXT"]
    with path.open("rb") as file:
        file.seek(data_set.start + first)
        text = file.read(last - first + 1)
    many_channels = rb"\$PAR\s*" + re.escape(text[:1]) + rb"+[\s+_]*[0-9_]{5}"
    copied = text.count(text[:1] * 2) * len(text)
    return copied > MOST_SECOND_WORK or re.search(many_channels, text) is not None
