"""Read what decides where and how events lie, and let two other readers confirm it.

FlowIO and fcsparser each trip over something the standard allows (offsets of 0 in the HEADER, a
second data set, blanks around keywords), so there are three voices: this reading, FlowIO's and
fcsparser's. Every voice that can read the file must say the same; two are the fewest trusted, except
where the others cannot read a form at all: then keywords and the extent of DATA must agree.
"""

import mmap
import re
import struct
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from gating.fcs_text import DataSet, Offsets, whole_number
from panels.errors import UnreadableFile


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
    header_offsets: Offsets
    text_offsets: Offsets


def own_reading(name: str, data_set: DataSet) -> Reading:
    """Read what decides where and how the events lie.

    Raises UnreadableFile when a required keyword is missing or wrong.
    """
    keywords = data_set.keywords
    channel_count = _number(name, keywords, "$PAR")
    if channel_count == 0:
        raise UnreadableFile(f"{name} has no channels. Export it again from the cytometer.")
    channels = range(1, channel_count + 1)
    if data_set.irregular and data_set.version >= "3":
        for n in channels:  # optional before; a TEXT in doubt must have all that FCS 3 requires
            _required(name, keywords, f"$P{n}E")
    if _required(name, keywords, "$DATATYPE").upper() == "A":
        raise UnreadableFile(
            f"{name} holds its events as text ($DATATYPE A). "
            f"Export it as FCS 3.1 with floating-point numbers."
        )
    return Reading(
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


def confirm(path: Path, data_sets: Sequence[DataSet], index: int, own: Reading) -> None:
    """Have FlowIO and fcsparser confirm a reading.

    Raises UnreadableFile when one of them disagrees, or when neither can read the file. A TEXT that
    breaks the standard is read by neither, and what they make of it is not asked: there every
    required keyword and the extent of DATA have confirmed the reading.
    """
    data_set, name = data_sets[index], path.name
    if data_set.irregular:
        return
    others = {
        "FlowIO": _by_flowio(path, data_set),
        "fcsparser": _by_fcsparser(path, data_set, index),
    }
    for reader, other in others.items():
        for field in fields(Reading) if other is not None else ():
            here, there = getattr(own, field.name), getattr(other, field.name)
            if here != there:
                what = field.name.replace("_", " ").capitalize()
                raise UnreadableFile(
                    f"{name}: its header can be read in two ways. {what}: {_short(here)}, but "
                    f"{_short(there)} as {reader} reads it. Export the file again."
                )
    if not any(others.values()) and not data_set.padded:
        raise UnreadableFile(
            f"{name}: neither FlowIO nor fcsparser can read its header. "
            f"Export the file again from the cytometer."
        )


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
            f"{name}: {key} is '{keywords[key]}', which is not a whole number. "
            f"Export the file again."
        )
    return value


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
            text_offsets=(whole_number(flow.text.get("begindata")) or 0, whole_number(flow.text.get("enddata")) or 0),
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
            text_offsets=(whole_number(told.get("$BEGINDATA")) or 0, whole_number(told.get("$ENDDATA")) or 0),
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
