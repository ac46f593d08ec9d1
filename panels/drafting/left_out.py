"""List what the files have and a drafted panel does not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from panels.drafting.described import DescribedGates
from panels.drafting.tube_readings import TubeReadings
from panels.panel import plain
from panels.text.quoting import as_label


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the channels below it."""

    heading: str
    channels: tuple[str, ...]


def left_out(
    tubes: Sequence[TubeReadings],
    scatter: dict[str, str],
    detectors: Iterable[str],
    gates: Sequence[DescribedGates],
) -> tuple[Section, ...]:
    """List the channels that the panel does not read, by the reason why.

    ``scatter`` and ``detectors`` are those of the draft.
    """
    used = {plain(detector) for each in tubes for detector in _detectors(each)}
    used |= {plain(detector) for detector in detectors}
    used_scatter = {plain(detector) for detector in scatter.values()}
    sections = (
        (
            "Detectors that the spill covers and no marker uses",
            (
                name
                for each in tubes
                for name in each.tube.covered
                if each.tube.compensation == "stored" and plain(name) not in used
            ),
        ),
        (
            "Markers that the spill does not cover: a strategy that gates on them is refused",
            _uncovered(tubes),
        ),
        (
            "Channels without a label, which no marker uses",
            (c.detector for each in tubes for c in each.unnamed if plain(c.detector) not in used),
        ),
        (
            "Autofluorescence that the unmixing set apart",
            (name for each in tubes for name in each.apart),
        ),
        (
            "Heights and widths that name a marker; the area recorded beside them is read instead",
            (name for each in tubes for name in each.beside),
        ),
        ("Labelled for counting beads", (name for each in tubes for name in each.beads)),
        (
            "Scatter that strategies have no name for, or that not every file has",
            (
                name
                for each in tubes
                for name in (*each.scatter.values(), *each.other_scatter)
                if plain(name) not in used_scatter
            ),
        ),
        ("Channels that the gates read and no file has", _unknown(tubes, gates)),
    )
    listed = ((heading, dict.fromkeys(map(as_label, names))) for heading, names in sections)
    return tuple(Section(heading, tuple(names)) for heading, names in listed if names)


def _detectors(tube: TubeReadings) -> Iterable[str]:
    return (reading.detector for reading in tube.markers)


def _uncovered(tubes: Sequence[TubeReadings]) -> Iterable[str]:
    for each in tubes:
        covered = {plain(name) for name in each.tube.covered}
        if each.tube.compensation == "stored":
            yield from (name for name in _detectors(each) if plain(name) not in covered)


def _unknown(tubes: Sequence[TubeReadings], gates: Sequence[DescribedGates]) -> Iterable[str]:
    channels = [channel for each in tubes for channel in each.tube.channels]
    names = {plain(name) for c in channels for name in (c.detector, c.label)}
    for each in gates:
        yield from (name for name in each.channels if plain(name) not in names)
