"""Read the HEADER and TEXT of FCS files, and let two other readers confirm what was read.

Written after the FCS 2.0, 3.0, 3.1 and 3.2 standards. FlowIO and fcsparser each trip over something the standard
allows (offsets of 0 in the HEADER, a second data set, blanks around keywords), so there are three voices: this
reading, FlowIO's and fcsparser's. Every voice that can read the file must say the same; two are the fewest trusted.
"""

import mmap
import re
import struct
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO

from panels.errors import UnreadableFile

VERSIONS = ("2.0", "3.0", "3.1", "3.2")
HEADER_BYTES = 58
_ESCAPED = "\U0010ffff"
"""Stands for a doubled delimiter while TEXT is split; this code point is never a character."""

_Offsets = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set of a file as its HEADER and TEXT describe it; offsets count from ``start``, the data set's first byte.

    ``keywords`` have upper-case names with their ``$``; ``padded`` tells that blanks stood around a keyword's name.
    """

    start: int
    version: str
    header_offsets: _Offsets
    keywords: Mapping[str, str]
    encoding: str
    padded: bool
    problems: tuple[str, ...]

    @property
    def text_offsets(self) -> _Offsets:
        """Give first and last byte of the events as TEXT says, or zeros where it does not."""
        return _whole(self.keywords.get("$BEGINDATA")) or 0, _whole(self.keywords.get("$ENDDATA")) or 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reader says of a data set; two readers must agree on all of it."""

    version: str
    channel_count: int
    event_count: int
    datatype: str
    byte_order: str
    detectors: tuple[str, ...]
    bits: tuple[int, ...]
    header_offsets: _Offsets
    text_offsets: _Offsets


def read_data_sets(path: Path) -> tuple[DataSet, ...]:
    """Read HEADER and TEXT of every data set of the file, in the order of ``$NEXTDATA``.

    Raises UnreadableFile with a sentence, and OSError when the file cannot be opened at all (a share that is gone).
    """
    size = path.stat().st_size
    if size == 0:
        raise UnreadableFile(f"{path.name} is empty (0 bytes). Copy it again from the cytometer.")
    found: list[DataSet] = []
    start = 0
    with path.open("rb") as file:
        while True:
            found.append(_read_data_set(path.name, file, start, size))
            following = found[-1].keywords.get("$NEXTDATA", "0")
            step = _whole(following)
            if step is None:
                raise UnreadableFile(f"{path.name}: $NEXTDATA is '{following}', which is not a number. Export the file again.")
            if step == 0:
                return tuple(found)
            start += step
            if start + HEADER_BYTES > size:
                raise UnreadableFile(f"{path.name} is cut short: it ends before a further data set it announces. Copy it again.")


def agreed_reading(path: Path, data_sets: Sequence[DataSet], index: int) -> Reading:
    """Read what decides where and how the events lie, and have FlowIO and fcsparser confirm it.

    Raises UnreadableFile when a required keyword is missing or wrong, when a reader disagrees, or when neither can read.
    """
    data_set = data_sets[index]
    own = _own_reading(path.name, data_set)
    others = {"FlowIO": _by_flowio(path, data_set), "fcsparser": _by_fcsparser(path, data_set, index)}
    for reader, other in others.items():
        for field in fields(Reading) if other is not None else ():
            here, there = getattr(own, field.name), getattr(other, field.name)
            if here != there:
                raise UnreadableFile(
                    f"{path.name}: its header can be read in two ways. {field.name.replace('_', ' ').capitalize()}: "
                    f"{_short(here)}, but {_short(there)} as {reader} reads it. Export the file again from the cytometer."
                )
    if not any(others.values()) and not data_set.padded:
        raise UnreadableFile(f"{path.name}: neither FlowIO nor fcsparser can read its header. Export the file again from the cytometer.")
    return own


def _read_data_set(name: str, file: BinaryIO, start: int, size: int) -> DataSet:
    """Read HEADER, TEXT and supplemental TEXT of the data set that begins at byte ``start``."""
    file.seek(start)
    header = file.read(HEADER_BYTES)
    version = header[3:6].decode("ascii", errors="replace")
    if header[:3] != b"FCS":
        where = f" at byte {start}" if start else ""
        raise UnreadableFile(f"{name} is not an FCS file: it does not begin with 'FCS'{where}. Export it from the cytometer as FCS.")
    if version not in VERSIONS:
        raise UnreadableFile(f"{name} calls itself FCS{version}. Only FCS {', '.join(VERSIONS)} can be read: export it as FCS 3.1.")
    if len(header) < HEADER_BYTES:
        raise UnreadableFile(f"{name} is cut short: it ends within its header. Copy it again from the cytometer.")
    numbers = [_header_number(name, header[at : at + 8]) for at in (10, 18, 26, 34)]
    first, last = numbers[0], numbers[1]
    raw = _segment(name, file, start, (first, last), size)
    keywords, encoding, padded = _read_text(name, raw)
    supplement, problems = _read_supplement(name, file, start, keywords, (first, last), size)
    return DataSet(
        start=start, version=version, header_offsets=(numbers[2], numbers[3]), keywords=supplement | keywords,
        encoding=encoding, padded=padded, problems=problems,
    )  # fmt: skip


def _header_number(name: str, field: bytes) -> int:
    """Read an 8-byte HEADER offset; a blank one, which old writers use for large files, is 0."""
    digits = field.strip(b" \0")
    if digits and not digits.isdigit():
        raise UnreadableFile(f"{name}: its header is damaged (an offset reads {field!r}). Copy it again from the cytometer.")
    return int(digits or b"0")


def _segment(name: str, file: BinaryIO, start: int, offsets: _Offsets, size: int) -> bytes:
    first, last = offsets
    if not HEADER_BYTES <= first < last:
        raise UnreadableFile(f"{name}: its header does not say where the keywords lie. Export the file again from the cytometer.")
    if start + last >= size:
        raise UnreadableFile(f"{name} is cut short: it ends within its keywords. Copy it again from the cytometer.")
    file.seek(start + first)
    return file.read(last - first + 1)


def _read_supplement(
    name: str, file: BinaryIO, start: int, keywords: Mapping[str, str], primary: _Offsets, size: int
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read the supplemental TEXT, where labels and spill may lie; what cannot be read there is said, not fatal."""
    offsets = _whole(keywords.get("$BEGINSTEXT")) or 0, _whole(keywords.get("$ENDSTEXT")) or 0
    if offsets == primary or offsets[1] <= offsets[0] or offsets[0] == 0:
        return {}, ()
    try:
        return _read_text(name, _segment(name, file, start, offsets, size))[0], ()
    except UnreadableFile:
        return {}, ("The supplemental TEXT of this file cannot be read: labels or compensation stored there are missing.",)


def _read_text(name: str, raw: bytes) -> tuple[dict[str, str], str, bool]:
    """Split a TEXT segment into keywords; give them, the encoding, and whether blanks stood around a name."""
    encoding = "utf-8"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = raw.decode(encoding)
    delimiter = text[0]
    if not delimiter.isascii() or delimiter.isalnum() or delimiter == "\0":
        raise UnreadableFile(f"{name}: its keywords do not begin with a delimiter. Copy the file again from the cytometer.")
    names, values = _split(name, text[1:], delimiter)
    keywords: dict[str, str] = {}
    for key, value in zip((key.strip().upper() for key in names), (value.strip() for value in values), strict=True):
        if key.startswith("$") and keywords.get(key, value) != value:
            raise UnreadableFile(f"{name}: {key} is written twice, as '{keywords[key]}' and '{value}'. Export the file again.")
        keywords[key] = value
    # fcsparser makes a list as long as $PAR, so an absurd one would fill the memory.
    if (_whole(keywords.get("$PAR")) or 0) > len(keywords):
        raise UnreadableFile(f"{name} announces {keywords['$PAR']} channels but describes fewer. Copy it again from the cytometer.")
    return keywords, encoding, any(key != key.strip() for key in names)


def _split(name: str, body: str, delimiter: str) -> tuple[list[str], list[str]]:
    """Split at single delimiters; a doubled one is a character of the value (FCS 3.1, TEXT segment).

    Some writers leave values empty, which the standard forbids and which looks like a doubled delimiter: where reading
    by the standard gives no whole pairs, every delimiter is taken as a separator.
    """
    body = body.rstrip("".join(set(" \0\r\n\t") - {delimiter}))
    for doubled in (_ESCAPED, delimiter * 2):
        pieces = body.replace(delimiter * 2, doubled).split(delimiter)
        if pieces[-1] == "" and len(pieces) % 2 and not any(key.strip() == "" or _ESCAPED in key for key in pieces[:-1:2]):
            pieces = [piece.replace(_ESCAPED, delimiter) for piece in pieces[:-1]]
            return pieces[::2], pieces[1::2]
    raise UnreadableFile(f"{name}: its keywords are damaged or cut off. Copy the file again from the cytometer.")


def _whole(value: str | None) -> int | None:
    """Read a whole number as TEXT writes it (padded, with leading zeros), or None where it is none."""
    digits = (value or "").strip()
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else None


def _own_reading(name: str, data_set: DataSet) -> Reading:
    keywords = data_set.keywords

    def required(key: str) -> str:
        if not keywords.get(key):
            raise UnreadableFile(f"{name}: the keyword {key} is missing. Export the file again from the cytometer.")
        return keywords[key]

    def number(key: str) -> int:
        value = _whole(required(key))
        if value is None:
            raise UnreadableFile(f"{name}: {key} is '{keywords[key]}', which is not a whole number. Export the file again.")
        return value

    channel_count = number("$PAR")
    if channel_count == 0:
        raise UnreadableFile(f"{name} has no channels. Export it again from the cytometer.")
    channels = range(1, channel_count + 1)
    if required("$DATATYPE").upper() == "A":
        raise UnreadableFile(f"{name} holds its events as text ($DATATYPE A). Export it as FCS 3.1 with floating-point numbers.")
    return Reading(
        version=data_set.version, channel_count=channel_count, event_count=number("$TOT"),
        datatype=required("$DATATYPE").upper(), byte_order=_plain_order(required("$BYTEORD")),
        detectors=tuple(required(f"$P{n}N") for n in channels), bits=tuple(number(f"$P{n}B") for n in channels),
        header_offsets=data_set.header_offsets, text_offsets=data_set.text_offsets,
    )  # fmt: skip


def _by_flowio(path: Path, data_set: DataSet) -> Reading | None:
    """Give FlowIO's reading, or None where it cannot read the file."""
    import flowio

    def read() -> Reading:
        # A map of the file, not its path: FlowIO reads as many bytes as a damaged offset asks for, and leaves files open.
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            flow = flowio.FlowData(mapped, only_text=True, nextdata_offset=data_set.start, ignore_offset_discrepancy=True)
        channels = range(1, flow.channel_count + 1)
        return Reading(
            version=flow.version, channel_count=flow.channel_count, event_count=flow.event_count,
            datatype=flow.data_type.strip().upper(), byte_order=_plain_order(flow.text["byteord"]),
            # FlowIO drops every $ of TEXT, in values too.
            detectors=tuple(_with_dollars(flow.text[f"p{n}n"], data_set.keywords.get(f"$P{n}N", "")) for n in channels),
            bits=tuple(int(flow.text[f"p{n}b"]) for n in channels),
            header_offsets=(flow.header["data_start"], flow.header["data_stop"]),
            text_offsets=(_whole(flow.text.get("begindata")) or 0, _whole(flow.text.get("enddata")) or 0),
        )  # fmt: skip

    return _unless_it_fails(read, flowio.exceptions.FlowIOException)


def _by_fcsparser(path: Path, data_set: DataSet, index: int) -> Reading | None:
    """Give fcsparser's reading, or None where it cannot read the file (from the third data set on it looks in the wrong place)."""
    if index > 1:
        return None
    import fcsparser
    from fcsparser.api import ParserFeatureNotImplementedError

    def read() -> Reading:
        # Latin-1 reads any byte; only the names may hold more than ASCII.
        told = fcsparser.parse(str(path), meta_data_only=True, data_set=index, encoding="latin-1")
        header, channels = told["__header__"], range(1, told["$PAR"] + 1)
        return Reading(
            version=header["FCS format"][3:].decode("ascii"), channel_count=told["$PAR"], event_count=told["$TOT"],
            datatype=told["$DATATYPE"].strip().upper(), byte_order=_plain_order(told["$BYTEORD"]),
            detectors=tuple(told[f"$P{n}N"].encode("latin-1").decode(data_set.encoding).strip() for n in channels),
            bits=tuple(told[f"$P{n}B"] for n in channels),
            header_offsets=(header["data start"] - data_set.start, header["data end"] - data_set.start),
            text_offsets=(_whole(told.get("$BEGINDATA")) or 0, _whole(told.get("$ENDDATA")) or 0),
        )  # fmt: skip

    return _unless_it_fails(read, ParserFeatureNotImplementedError)


def _unless_it_fails(read: Callable[[], Reading], own_error: type[Exception]) -> Reading | None:
    """Run another reader; a reader that fails has no voice, since its reason may be its own limit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn of ANALYSIS segments and padding, which are not read here
        try:
            return read()
        except own_error:  # what it refuses on purpose
            return None
        except (
            ValueError,  # a number or a character it cannot read (UnicodeDecodeError is one), a seek outside the file
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


def _with_dollars(name: str, own: str) -> str:
    """Put back the dollar signs FlowIO drops from a name, when nothing else differs from our own reading."""
    return own if name.strip() == own.replace("$", "").strip() else name.strip()


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "…"
