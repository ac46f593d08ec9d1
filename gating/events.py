"""Read the events of FCS files: the only reader of them in this program.

The file is mapped into memory and a column is converted when it is asked for, so a tube never lies in memory whole.
A value that cannot be trusted is never given: the file is refused with a sentence, or the sentence stands in ``problems``.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from gating.fcs_text import DataSet, Reading, agreed_reading, read_data_sets
from gating.spill import Spill, read_spill
from panels.errors import UnreadableFile

__all__ = ["Channel", "Events", "Spill", "TubeHeader", "file_sha256", "open_events", "read_header"]

LEAST_VOLUME_UL, MOST_VOLUME_UL = 1.0, 20_000.0
"""No tube is run in less or more; a value outside was written in another unit than assumed."""
MOST_DECADES = 10.0


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

    ``byte`` is the place within an event, ``width`` the number of bytes, ``bit_mask`` what ``$PnR`` leaves of an integer.
    """

    kind: Literal["I", "F", "D"]
    byte: int
    width: int
    bit_mask: int | None
    step: float
    decades: float
    log_zero: float
    maximum: float
    gain: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the events lie in the file: first byte, bytes per event, byte order, and each channel's encoding."""

    start: int
    event_bytes: int
    order: Literal["<", ">"]
    encodings: tuple[Encoding, ...]


@dataclass(frozen=True, slots=True)
class TubeHeader:
    """All a file says of its tube before an event is read.

    ``keywords`` have upper-case names with their ``$``. ``problems`` are sentences to show; they do not refuse the tube.
    ``spill`` is None when none is stored, when it is an identity, and when it cannot be used: then ``spill_fault`` says why
    and the tube must not be compensated. ``time_step`` is in seconds.
    """

    path: Path
    version: str
    keywords: Mapping[str, str]
    channels: tuple[Channel, ...]
    event_count: int
    data_sets: int
    problems: tuple[str, ...]
    spill: Spill | None
    spill_fault: str | None
    acquired_volume_ul: float | None
    time_step: float | None
    layout: Layout


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """The events of one tube, mapped from its file; values are linear float64."""

    header: TubeHeader
    table: NDArray[np.void]

    @property
    def count(self) -> int:
        """Tell how many events there are."""
        return self.header.event_count

    def column(self, index: int, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Read one channel of all events, or of the events at ``rows``, as linear float64 (n,).

        Time step, log amplification ($PnE) and gain ($PnG) are applied as FlowKit's raw events have them.
        Raises UnreadableFile when a value is not a finite number.
        """
        encoding = self.header.layout.encodings[index]
        stored = self.table[str(index)]
        with np.errstate(over="ignore", invalid="ignore"):
            values = _linear(_numbers(stored if rows is None else stored[rows], encoding, self.header.layout.order), encoding)
        if not np.isfinite(values).all():
            detector = self.header.channels[index].detector
            raise UnreadableFile(f"{self.header.path.name}: {detector} holds values that are not numbers (NaN or infinite). Export it again.")
        return values

    def columns(self, indices: Sequence[int], rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Read several channels as linear float64 (n × k), one column contiguous in memory; see ``column``."""
        values = np.empty((self.count if rows is None else len(rows), len(indices)), dtype=np.float64, order="F")
        for place, index in enumerate(indices):
            values[:, place] = self.column(index, rows)
        return values


def read_header(path: Path) -> TubeHeader:
    """Read what a file says of its tube; HEADER and TEXT are confirmed by a second reader.

    Of several data sets the last FCS 3 one is read, and ``problems`` says so. Raises UnreadableFile with a sentence a
    technician can act on, and OSError when the file cannot be opened at all (which may pass, as a share comes back).
    """
    data_sets = read_data_sets(path)
    index = max((n for n, each in enumerate(data_sets) if each.version >= "3"), default=len(data_sets) - 1)
    reading, keywords = agreed_reading(path, data_sets, index), data_sets[index].keywords
    channels = _channels(path.name, reading, keywords)
    time_step, time_problems = _time_step(keywords, channels)
    layout = _layout(path, data_sets[index], reading, _encodings(path.name, reading, keywords, channels, time_step))
    stored = read_spill(keywords, reading.detectors)
    volume, volume_problems = _acquired_volume_ul(keywords)
    return TubeHeader(
        path=path, version=reading.version, keywords=keywords, channels=channels, event_count=reading.event_count,
        data_sets=len(data_sets), spill=stored.spill, spill_fault=stored.fault, acquired_volume_ul=volume,
        time_step=time_step, layout=layout,
        problems=(
            *_data_set_problems(data_sets, index), *data_sets[index].problems,
            *(("The tube holds no events.",) if reading.event_count == 0 else ()),
            *stored.problems, *volume_problems, *time_problems,
        ),
    )  # fmt: skip


def open_events(header: TubeHeader) -> Events:
    """Map the events of a tube, without reading them; raises UnreadableFile when the file changed since its header was read."""
    table = np.dtype({
        "names": [str(index) for index in range(len(header.channels))],
        "formats": [_stored_type(encoding, header.layout.order) for encoding in header.layout.encodings],
        "offsets": [encoding.byte for encoding in header.layout.encodings],
        "itemsize": header.layout.event_bytes,
    })  # fmt: skip
    if header.event_count == 0:
        return Events(header=header, table=np.empty(0, dtype=table))
    if header.path.stat().st_size < header.layout.start + header.event_count * header.layout.event_bytes:
        raise UnreadableFile(f"{header.path.name} has become shorter since it was first read. Copy it again from the cytometer.")
    mapped = np.memmap(header.path, dtype=table, mode="r", offset=header.layout.start, shape=(header.event_count,))
    return Events(header=header, table=np.asarray(mapped))


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes, which is the identity of its tube."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _channels(name: str, reading: Reading, keywords: Mapping[str, str]) -> tuple[Channel, ...]:
    for detector in reading.detectors:
        if reading.detectors.count(detector) > 1:
            raise UnreadableFile(f"{name} has two channels called {detector}: a gate cannot tell them apart. Rename one and export again.")
    return tuple(
        Channel(index=n - 1, detector=detector, label=keywords.get(f"$P{n}S", ""), maximum=_number(name, keywords, f"$P{n}R"))
        for n, detector in enumerate(reading.detectors, start=1)
    )


def _number(name: str, keywords: Mapping[str, str], keyword: str, missing: float | None = None) -> float:
    """Read a keyword that must hold a finite number of 0 or more."""
    text = keywords.get(keyword, "")
    if not text and missing is not None:
        return missing
    value = _float(text)
    if value is None or value < 0:
        raise UnreadableFile(f"{name}: {keyword} is '{text}', but must be a number of 0 or more. Export the file again from the cytometer.")
    return value


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _time_step(keywords: Mapping[str, str], channels: Sequence[Channel]) -> tuple[float | None, tuple[str, ...]]:
    """Read ``$TIMESTEP``; what is no positive number there is said when the tube has a time channel."""
    text = keywords.get("$TIMESTEP", keywords.get("TIMESTEP", ""))
    step = _float(text)
    if step is not None and step > 0:
        return step, ()
    timed = text and any(channel.detector.lower() == "time" for channel in channels)
    return None, (f"$TIMESTEP is '{text}', which is not a number of seconds: Time is left in the cytometer's ticks.",) if timed else ()


def _encodings(
    name: str, reading: Reading, keywords: Mapping[str, str], channels: Sequence[Channel], time_step: float | None
) -> tuple[Encoding, ...]:
    found: list[Encoding] = []
    byte = 0
    for channel, bits in zip(channels, reading.bits, strict=True):
        n = channel.index + 1
        kind = keywords.get(f"$P{n}DATATYPE", reading.datatype).upper()  # FCS 3.2: a channel may differ from the others
        if kind not in ("I", "F", "D") or (kind == "F" and bits != 32) or (kind == "D" and bits != 64) or bits % 8 or not 8 <= bits <= 64:
            raise UnreadableFile(f"{name}: {channel.detector} is written in {bits} bits of type '{kind}', which is not supported. Export as FCS 3.1.")
        decades, log_zero = _amplification(name, keywords, channel, kind)
        is_time = channel.detector.lower() == "time"
        found.append(
            Encoding(
                kind=cast(Literal["I", "F", "D"], kind), byte=byte, width=bits // 8,
                bit_mask=_bit_mask(name, channel, bits) if kind == "I" else None,
                step=time_step if is_time and time_step is not None else 1.0,
                decades=decades, log_zero=log_zero, maximum=channel.maximum,
                # Cytometers write a gain for Time too, which means nothing there.
                gain=1.0 if is_time else _number(name, keywords, f"$P{n}G", 1.0) or 1.0,
            )
        )  # fmt: skip
        byte += bits // 8
    return tuple(found)


def _amplification(name: str, keywords: Mapping[str, str], channel: Channel, kind: str) -> tuple[float, float]:
    """Read ``$PnE``: log decades and the value of channel 0 (FCS 3.1, section 3.2.20; an invalid 0 there counts as 1)."""
    text = keywords.get(f"$P{channel.index + 1}E") or "0,0"
    decades, _, zero = (part.strip() for part in text.partition(","))
    found = _float(decades), _float(zero)
    if found[0] is None or found[1] is None or not 0 <= found[0] <= MOST_DECADES or found[1] < 0:
        raise UnreadableFile(f"{name}: the amplification of {channel.detector} reads '{text}' ($P{channel.index + 1}E). Export the file again.")
    if found[0] and kind != "I":
        raise UnreadableFile(f"{name}: {channel.detector} holds decimal numbers and yet is marked logarithmic. Export it with linear scales.")
    if found[0] and not channel.maximum:
        raise UnreadableFile(f"{name}: {channel.detector} is logarithmic but has no range ($P{channel.index + 1}R). Export the file again.")
    return found[0], found[1] or 1.0


def _bit_mask(name: str, channel: Channel, bits: int) -> int | None:
    """Give the bits that count when ``$PnR`` leaves some unused: those below the next power of two (FCS 3.1, 3.2.20)."""
    if channel.maximum < 1:
        raise UnreadableFile(f"{name}: {channel.detector} has no range ($P{channel.index + 1}R). Export the file again from the cytometer.")
    used = (math.ceil(channel.maximum) - 1).bit_length()
    return (1 << used) - 1 if used < bits else None


def _layout(path: Path, data_set: DataSet, reading: Reading, encodings: tuple[Encoding, ...]) -> Layout:
    """Find where the events lie and check that as many lie there as are announced."""
    if data_set.keywords.get("$MODE", "L").upper() != "L":
        raise UnreadableFile(f"{path.name} holds histograms, not events ($MODE {data_set.keywords['$MODE']}). Export it in list mode.")
    event_bytes = sum(encoding.width for encoding in encodings)
    # FCS 2.0 knows offsets in the HEADER alone; those past 99,999,999 are 0 there and stand in TEXT alone.
    told = [offsets for offsets in (data_set.header_offsets, data_set.text_offsets) if offsets[0]]
    if data_set.version == "2.0":
        told = told[:1]
    if not told and reading.event_count:
        raise UnreadableFile(f"{path.name} does not say where its events lie. Export it again from the cytometer.")
    if len({first for first, _ in told}) > 1:
        raise UnreadableFile(f"{path.name} says in two places where its events begin, and they differ: {told[0][0]} and {told[1][0]}. Export it again.")
    for first, last in told:
        _check_count(path.name, reading.event_count, max(last - first + 1, 0) // event_bytes)
    start = data_set.start + (told[0][0] if told else 0)
    held = max(path.stat().st_size - start, 0) // event_bytes
    if held < reading.event_count:
        _check_count(path.name, reading.event_count, held)
    return Layout(start=start, event_bytes=event_bytes, order=_order(path.name, reading), encodings=encodings)


def _check_count(name: str, announced: int, held: int) -> None:
    if held < announced:
        raise UnreadableFile(f"{name} is cut short: it announces {announced} events but holds {held}. Copy it again from the cytometer.")
    if held > announced:
        raise UnreadableFile(f"{name} announces {announced} events but holds {held}: which is right cannot be known. Export it again from the cytometer.")


def _order(name: str, reading: Reading) -> Literal["<", ">"]:
    counted = ",".join(str(n) for n in range(1, reading.byte_order.count(",") + 2))
    if reading.byte_order == counted and (counted != "1" or set(reading.bits) == {8}):
        return "<"
    if reading.byte_order == counted[::-1]:
        return ">"
    raise UnreadableFile(f"{name}: the byte order {reading.byte_order} is not supported. Export it as FCS 3.1.")


def _stored_type(encoding: Encoding, order: str) -> Any:
    """Give the numpy type of a stored value; integers of odd width are taken byte by byte."""
    if encoding.kind != "I":
        return f"{order}f{encoding.width}"
    return f"{order}u{encoding.width}" if encoding.width in (1, 2, 4, 8) else ("u1", (encoding.width,))


def _numbers(stored: NDArray[Any], encoding: Encoding, order: str) -> NDArray[np.float64]:
    """Turn stored values into float64, without the bits that do not count."""
    if encoding.kind == "I" and encoding.width not in (1, 2, 4, 8):
        places = range(encoding.width) if order == "<" else range(encoding.width)[::-1]
        whole = np.zeros(len(stored), dtype=np.uint64)
        for byte, place in enumerate(places):
            whole |= stored[:, byte].astype(np.uint64) << np.uint64(8 * place)
        stored = whole
    if encoding.bit_mask is not None:
        stored = stored & stored.dtype.type(encoding.bit_mask)
    return stored.astype(np.float64)


def _linear(values: NDArray[np.float64], encoding: Encoding) -> NDArray[np.float64]:
    """Undo time step, log amplification and gain, in FlowIO's order and arithmetic, so that values agree to the last bit."""
    if encoding.step != 1.0:
        values = values * encoding.step
    if encoding.decades:
        values = np.power(10, encoding.decades * values / encoding.maximum) * encoding.log_zero
    return values if encoding.gain == 1.0 else values / encoding.gain


def _acquired_volume_ul(keywords: Mapping[str, str]) -> tuple[float | None, tuple[str, ...]]:
    """Read ``$VOL`` in µL; FCS 3.1 says nanolitres, but Cytek SpectroFlo writes microlitres."""
    text = keywords.get("$VOL", "")
    stored = _float(text)
    if not stored:
        return None, ()
    creator = keywords.get("CREATOR", keywords.get("$CREATOR", ""))
    volume = stored if creator.lower().startswith("spectroflo") else stored / 1000
    if LEAST_VOLUME_UL <= volume <= MOST_VOLUME_UL:
        return volume, ()
    return None, (f"$VOL is {text}, which would be {volume:g} µL: its unit is in doubt, so the acquired volume is not used.",)


def _data_set_problems(data_sets: Sequence[DataSet], index: int) -> tuple[str, ...]:
    if len(data_sets) == 1:
        return ()
    listed = ", ".join(f"FCS {each.version} with {each.keywords.get('$TOT', '?')} events" for each in data_sets)
    told = f"This file holds {len(data_sets)} data sets ({listed}). Only number {index + 1} is read."
    if sum(each.version >= "3" for each in data_sets) > 1:
        told += " THE EVENTS OF THE OTHERS ARE NOT COUNTED: export each acquisition to a file of its own."
    return (told,)
