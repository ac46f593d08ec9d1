"""Find the events of every data set of an FCS file, not only of the one that is counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gating.fcs.channels import channels_of
from gating.fcs.encoding import encodings_of
from gating.fcs.layout import layout_of
from gating.fcs.second_readers import parsed_header
from gating.fcs.text import DataSet, read_data_sets


@dataclass(frozen=True, slots=True)
class LocatedDataSet:
    """A data set with the first byte of its events in the file, and how many bytes they take."""

    data_set: DataSet
    first: int
    length: int


def locate_data_sets(path: Path) -> tuple[LocatedDataSet, ...]:
    """Find the events of every data set, in the order of the file.

    Raises UnreadableFile with a sentence where one of them cannot be found beyond doubt.
    """
    size = path.stat().st_size
    return tuple(_located(path.name, size, each) for each in read_data_sets(path))


def _located(name: str, size: int, data_set: DataSet) -> LocatedDataSet:
    parsed = parsed_header(name, data_set)
    channels = channels_of(name, parsed, data_set.keywords)
    encodings = encodings_of(name, parsed, data_set.keywords, channels, None)
    layout, _ = layout_of(name, size, data_set, parsed, encodings)
    return LocatedDataSet(data_set, layout.start, parsed.event_count * layout.event_bytes)
