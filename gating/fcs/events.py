"""Read the events of FCS files: the only reader of them in this program.

The file is mapped into memory and a column is converted when it is asked for, so a tube never lies in memory whole.
A value that cannot be trusted is never given: the file is refused with a sentence, or the sentence stands in ``problems``.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gating.evaluation.compensated_values import Some
from gating.fcs.encoding import (
    Channel,
    Layout,
    channels_of,
    encodings_of,
    event_type,
    finite,
    ignored_datatypes,
    layout_of,
    linear_values,
)
from gating.fcs.limits import MOST_EVENTS
from gating.fcs.second_readers import confirm, own_reading
from gating.fcs.spillover import Spill, read_spill
from gating.fcs.text import DataSet, read_data_sets, whole_number
from panels.acquisition_time import time_channel
from panels.text.errors import UnreadableFile
from panels.text.quoting import as_label, quoted

__all__ = ["Channel", "Events", "Spill", "TubeHeader", "file_sha256", "open_events", "read_header"]

LEAST_VOLUME_UL, MOST_VOLUME_UL = 1.0, 20_000.0
"""No tube is run in less or more; a value outside was written in another unit than assumed."""
MOST_LISTED = 12
"""Data sets that a sentence lists."""


@dataclass(frozen=True, slots=True)
class TubeHeader:
    """All a file says of its tube before an event is read.

    ``keywords`` have upper-case names with their ``$``. ``problems`` are sentences to show; they do not refuse the tube.
    ``spill`` is None when none is stored, when it is an identity (``identity_spill``), and when it
    cannot be used: then ``spill_fault`` says why and the tube must not be compensated.
    ``time_step`` is in seconds.
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
    identity_spill: bool
    acquired_volume_ul: float | None
    time_step: float | None
    layout: Layout


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """The events of one tube, mapped from its file; values are linear float64.

    ``plain`` is the type of every stored number, where all channels are stored as the same kind of decimals.
    """

    header: TubeHeader
    table: NDArray[np.void]
    plain: np.dtype[np.floating[Any]] | None

    @property
    def count(self) -> int:
        """Tell how many events there are."""
        return self.header.event_count

    def column(self, index: int, rows: Some = None) -> NDArray[np.float64]:
        """Read one channel of all events, or of the events at ``rows`` (indices or a stretch), as linear float64 (n,).

        Time step, log amplification ($PnE) and gain ($PnG) are applied as FlowKit's raw events have them.
        Raises UnreadableFile when a value is not a finite number.
        """
        layout, stored = self.header.layout, self.table[str(index)]
        with np.errstate(over="ignore", invalid="ignore"):
            values = linear_values(stored if rows is None else stored[rows], layout.encodings[index], layout.order)
        if not np.isfinite(values).all():
            raise self._not_finite(index)
        return values

    def columns(self, indices: Sequence[int], rows: Some = None) -> NDArray[np.float64]:
        """Read several channels as linear float64 (n × k); see ``column``."""
        if self.plain is None or not all(self.header.layout.encodings[index].is_linear for index in indices):
            values = [self.column(index, rows) for index in indices]
            return np.column_stack(values) if values else np.empty((self._length(rows), 0))
        # Whole events lie together in the file: fetching them whole is one access an event instead of one a value.
        # They are fetched as bytes, because NumPy copies a whole table that does not begin at a round address before it takes from it.
        events = self.table if rows is None else self.table[rows] if isinstance(rows, slice) else self.table.take(rows)
        stored = events.view(self.plain).reshape(len(events), -1)[:, _run_of(indices)]
        with np.errstate(invalid="ignore"):
            block = stored.astype(np.float64)
        finite = np.isfinite(block)
        if not finite.all():
            raise self._not_finite(indices[int(np.flatnonzero(~finite.all(axis=0))[0])])
        return block

    def _length(self, rows: Some) -> int:
        return self.count if rows is None else len(range(self.count)[rows]) if isinstance(rows, slice) else len(rows)

    def _not_finite(self, index: int) -> UnreadableFile:
        name = self.header.path.name
        detector = as_label(self.header.channels[index].detector)
        return UnreadableFile(f"{name}: {detector} holds values that are not numbers (NaN or infinite). Export it again.")


def _run_of(indices: Sequence[int]) -> slice | list[int]:
    """Write channels that lie side by side as a stretch, which is fetched without a list of places."""
    first, last = (indices[0], indices[-1] + 1) if indices else (0, 0)
    return slice(first, last) if list(indices) == list(range(first, last)) else list(indices)


def read_header(path: Path) -> TubeHeader:
    """Read what a file says of its tube; HEADER and TEXT are confirmed by a second reader.

    Of several data sets the last FCS 3 one is read, and ``problems`` says so. Raises UnreadableFile with a sentence a
    technician can act on, and OSError when the file cannot be opened at all (which may pass, as a share comes back).
    """
    name, size = path.name, path.stat().st_size
    data_sets = read_data_sets(path)
    index = max(
        (n for n, each in enumerate(data_sets) if each.version >= "3"), default=len(data_sets) - 1
    )
    data_set = data_sets[index]
    keywords, reading = data_set.keywords, own_reading(name, data_set)
    channels = channels_of(name, reading, keywords)
    time_step, time_problems = _time_step(keywords, channels)
    encodings = encodings_of(name, reading, keywords, channels, time_step)
    layout, layout_problems = layout_of(name, size, data_set, reading, encodings)
    if reading.event_count > MOST_EVENTS:
        raise UnreadableFile(f"{name} holds more than {MOST_EVENTS:,} events. Export it in parts.")
    confirm(path, data_sets, index, reading)
    stored = read_spill(keywords, data_set.spills, [each.detector for each in channels])
    volume, volume_problems = _acquired_volume_ul(keywords)
    empty = ("The tube holds no events.",) if reading.event_count == 0 else ()
    return TubeHeader(
        path=path,
        version=reading.version,
        keywords=keywords,
        channels=channels,
        event_count=reading.event_count,
        data_sets=len(data_sets),
        spill=stored.spill,
        spill_fault=stored.fault,
        identity_spill=stored.identity,
        acquired_volume_ul=volume,
        time_step=time_step,
        layout=layout,
        problems=(
            *_data_set_problems(data_sets, index),
            *data_set.problems,
            *layout_problems,
            *ignored_datatypes(reading, keywords),
            *empty,
            *stored.problems,
            *volume_problems,
            *time_problems,
        ),
    )


def open_events(header: TubeHeader) -> Events:
    """Map the events of a tube, without reading them; raises UnreadableFile when the file changed since its header was read."""
    layout, stored = header.layout, event_type(header.layout)
    if header.event_count == 0:
        return Events(header=header, table=np.empty(0, dtype=stored), plain=None)
    if header.path.stat().st_size < layout.start + header.event_count * layout.event_bytes:
        raise UnreadableFile(f"{header.path.name} has become shorter since it was first read. Copy it again from the cytometer.")
    mapped = np.asarray(np.memmap(header.path, dtype=stored, mode="r", offset=layout.start, shape=(header.event_count,)))
    kinds = {(each.kind, each.width) for each in layout.encodings}
    same = len(kinds) == 1 and "I" not in next(iter(kinds))
    plain = np.dtype(f"{layout.order}f{layout.encodings[0].width}") if same else None
    return Events(header=header, table=mapped, plain=plain)


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes, which is the identity of its tube."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _time_step(keywords: Mapping[str, str], channels: Sequence[Channel]) -> tuple[float | None, tuple[str, ...]]:
    """Read ``$TIMESTEP``; what is no positive number there is said when the tube has a time channel."""
    text = keywords.get("$TIMESTEP", keywords.get("TIMESTEP", ""))
    step = finite(text)
    if step is not None and step > 0:
        return step, ()
    timed = text and time_channel(channels) is not None
    told = "$TIMESTEP is not a number of seconds: Time is left in the cytometer's ticks."
    return None, (told,) if timed else ()


def _acquired_volume_ul(keywords: Mapping[str, str]) -> tuple[float | None, tuple[str, ...]]:
    """Read ``$VOL`` in µL; FCS 3.1 says nanolitres, but Cytek SpectroFlo writes microlitres."""
    text = keywords.get("$VOL", "")
    stored = finite(text)
    if not stored:
        return None, ()
    creator = keywords.get("CREATOR", keywords.get("$CREATOR", ""))
    volume = stored if creator.lower().startswith("spectroflo") else stored / 1000
    if LEAST_VOLUME_UL <= volume <= MOST_VOLUME_UL:
        return volume, ()
    sentence = (
        f"$VOL is {quoted('$VOL', text)}, which would be {volume:g} µL: its unit is in doubt, "
        f"so the acquired volume is not used."
    )
    return None, (sentence,)


def _data_set_problems(data_sets: Sequence[DataSet], index: int) -> tuple[str, ...]:
    if len(data_sets) == 1:
        return ()
    listed = ", ".join(map(_of_data_set, data_sets[:MOST_LISTED]))
    more = ", …" if len(data_sets) > MOST_LISTED else ""
    told = (
        f"This file holds {len(data_sets)} data sets ({listed}{more}). "
        f"Only number {index + 1} is read."
    )
    if sum(each.version >= "3" for each in data_sets) > 1:
        told += " THE EVENTS OF THE OTHERS ARE NOT COUNTED: export each acquisition to a file of its own."
    return (told,)


def _of_data_set(data_set: DataSet) -> str:
    count = whole_number(data_set.keywords.get("$TOT"))
    return f"FCS {data_set.version} with {'?' if count is None else count} events"
