"""Read all that an FCS file tells of its tube before an event is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gating.fcs.channels import Channel, channels_of
from gating.fcs.encoding import encodings_of, ignored_datatypes
from gating.fcs.keyword_numbers import finite_number, whole_number
from gating.fcs.layout import Layout, layout_of
from gating.fcs.limits import MOST_EVENTS
from gating.fcs.second_readers import confirm, parsed_header
from gating.fcs.spillover import Spill, read_spill
from gating.fcs.text import DataSet, read_data_sets
from gating.fcs.vendor_quirks import acquired_volume_ul, cytometer_name, cytometer_serial
from panels.acquisition_time import time_channel
from panels.text.errors import UnreadableFile

MOST_LISTED = 12
"""Data sets that a sentence lists."""


@dataclass(frozen=True, slots=True)
class TubeHeader:
    """All that a file tells of its tube before an event is read.

    ``keywords`` have upper-case names with their ``$``. ``problems`` are sentences to show; they do
    not refuse the tube. ``spill`` is None when none is stored, when it is an identity
    (``identity_spill``), and when it cannot be used: then ``spill_fault`` says why and the tube
    must not be compensated. ``time_step`` is in seconds.
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

    @property
    def stores_spill(self) -> bool:
        """Tell whether the file stores a spill, be it one that cannot be used."""
        return self.spill is not None or self.spill_fault is not None

    @property
    def cytometer(self) -> str:
        """Give the instrument as the file names it (``$CYT``); empty where it names none."""
        return cytometer_name(self.keywords)

    @property
    def serial(self) -> str:
        """Give the instrument's serial number; empty where the file has none."""
        return cytometer_serial(self.keywords)


def read_header(path: Path) -> TubeHeader:
    """Read the header of a tube; HEADER and TEXT are confirmed by a second reader.

    Of several data sets the last FCS 3 one is read, and ``problems`` says so. Raises UnreadableFile
    with a sentence a technician can act on, and OSError when the file cannot be opened at all
    (which may pass, as a share comes back).
    """
    name, size = path.name, path.stat().st_size
    data_sets = read_data_sets(path)
    index = _last_of_fcs3(data_sets)
    data_set = data_sets[index]
    keywords, parsed = data_set.keywords, parsed_header(name, data_set)
    channels = channels_of(name, parsed, keywords)
    time_step, time_problems = _time_step(keywords, channels)
    encodings = encodings_of(name, parsed, keywords, channels, time_step)
    layout, layout_problems = layout_of(name, size, data_set, parsed, encodings)
    if parsed.event_count > MOST_EVENTS:
        raise UnreadableFile(f"{name} holds more than {MOST_EVENTS:,} events. Export it in parts.")
    confirm(path, data_sets, index, parsed)
    stored = read_spill(keywords, data_set.spills, [each.detector for each in channels])
    volume, volume_problems = acquired_volume_ul(keywords)
    empty = ("The tube holds no events.",) if parsed.event_count == 0 else ()
    return TubeHeader(
        path=path,
        version=parsed.version,
        keywords=keywords,
        channels=channels,
        event_count=parsed.event_count,
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
            *ignored_datatypes(parsed, keywords),
            *empty,
            *stored.problems,
            *volume_problems,
            *time_problems,
        ),
    )


def _time_step(
    keywords: Mapping[str, str], channels: Sequence[Channel]
) -> tuple[float | None, tuple[str, ...]]:
    """Read ``$TIMESTEP`` in seconds; None where it is no positive number.

    Then a tube with a time channel gets a sentence on it, unless the keyword is missing.
    """
    text = keywords.get("$TIMESTEP", keywords.get("TIMESTEP", ""))
    step = finite_number(text)
    if step is not None and step > 0:
        return step, ()
    if not text or time_channel(channels) is None:
        return None, ()
    sentence = "$TIMESTEP is not a number of seconds: Time is left in the cytometer's ticks."
    return None, (sentence,)


def _last_of_fcs3(data_sets: Sequence[DataSet]) -> int:
    """Give the index of the last data set of FCS 3, else that of the last one."""
    numbers = [n for n, each in enumerate(data_sets) if each.version >= "3"]
    return numbers[-1] if numbers else len(data_sets) - 1


def _data_set_problems(data_sets: Sequence[DataSet], index: int) -> tuple[str, ...]:
    """List the data sets of a file with several of them, and name the one that is read."""
    if len(data_sets) == 1:
        return ()
    listed = ", ".join(map(_of_data_set, data_sets[:MOST_LISTED]))
    more = ", …" if len(data_sets) > MOST_LISTED else ""
    sentence = (
        f"This file holds {len(data_sets)} data sets ({listed}{more}). "
        f"Only number {index + 1} is read."
    )
    if sum(each.version >= "3" for each in data_sets) > 1:
        sentence += (
            " THE EVENTS OF THE OTHERS ARE NOT COUNTED: export each acquisition to a file of its "
            "own."
        )
    return (sentence,)


def _of_data_set(data_set: DataSet) -> str:
    count = whole_number(data_set.keywords.get("$TOT"))
    written = "?" if count is None else str(count)
    return f"FCS {data_set.version} with {written} events"
