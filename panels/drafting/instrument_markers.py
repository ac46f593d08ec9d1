"""Join the tubes of each instrument: which marker it reads on which detector.

Where two tubes contradict each other nothing is chosen: the fault names both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from panels.drafting.marker_names import Reading
from panels.drafting.tube_readings import TubeReadings
from panels.panel import plain
from panels.text.errors import PanelFault
from panels.text.printable import shown
from panels.text.quoting import LONGEST_SHOWN, as_label, may_be_shown

UNNAMED = "unknown cytometer"
MOST_SAID = 6


@dataclass(frozen=True, slots=True)
class InstrumentMarkers:
    """The tubes of one instrument, and its markers by their plain name."""

    name: str
    tubes: tuple[TubeReadings, ...]
    markers: dict[str, Reading]

    def is_in_every_tube(self, marker: str) -> bool:
        """Tell whether each tube has a marker (``plain``), or its detector without a label."""
        reading = self.markers.get(marker)
        if reading is None:
            return False
        return all(_has(tube, marker, reading.detector) for tube in self.tubes)


def by_instrument(tubes: Sequence[TubeReadings]) -> tuple[InstrumentMarkers, ...]:
    """Group tubes by ``$CYT`` and ``$CYTSN``, in the order of their first tubes.

    Raises PanelFault when one detector has two markers, one marker two detectors, or a tube has
    mostly other markers than another.
    """
    groups: dict[tuple[str, str], list[TubeReadings]] = {}
    for each in tubes:
        groups.setdefault((each.tube.cytometer.strip(), each.tube.serial.strip()), []).append(each)
    names = _names(list(groups))
    faults = [sentence for group in groups.values() for sentence in _contradictions(group)]
    if faults:
        more = f" ({len(faults) - MOST_SAID} more like this.)" if len(faults) > MOST_SAID else ""
        raise PanelFault(
            f"The files contradict each other, so nothing was drafted. "
            f"{' '.join(faults[:MOST_SAID])}{more} Draft a panel from the tubes of one staining "
            f"and one instrument, or correct the labels."
        )
    _refuse_other_stainings(tubes)
    return tuple(
        InstrumentMarkers(name, tuple(group), _markers(group))
        for name, group in zip(names, groups.values(), strict=True)
    )


def _refuse_other_stainings(tubes: Sequence[TubeReadings]) -> None:
    """Refuse a tube that shares less than half of its markers with the one that has most."""
    names = [{plain(reading.marker) for reading in each.markers} for each in tubes]
    place = max(range(len(tubes)), key=lambda each: len(names[each]))
    for each, markers in zip(tubes, names, strict=True):
        common = len(markers & names[place])
        if 2 * common < len(markers):
            raise PanelFault(
                f"{shown(each.tube.source)} has another staining than "
                f"{shown(tubes[place].tube.source)}: it shares {common} of its {len(markers)} "
                f"markers with it. Draft a panel for each staining."
            )


def _markers(group: Iterable[TubeReadings]) -> dict[str, Reading]:
    """Take each marker as the first tube that has it reads it, with the synonyms of all."""
    markers: dict[str, Reading] = {}
    for tube in group:
        for reading in tube.markers:
            key = plain(reading.marker)
            first = markers.setdefault(key, reading)
            synonyms = joined_synonyms(first, reading)
            markers[key] = Reading(
                first.marker, first.detector, synonyms, first.remark, first.certain
            )
    return markers


def joined_synonyms(*readings: Reading) -> tuple[str, ...]:
    """Join the synonyms of one marker in several tubes, each once."""
    by_name: dict[str, str] = {}
    for each in readings:
        for name in each.synonyms:
            by_name.setdefault(plain(name), name)
    return tuple(by_name.values())


def _has(tube: TubeReadings, marker: str, detector: str) -> bool:
    named = any(plain(each.marker) == marker for each in tube.markers)
    return named or any(
        plain(c.detector) == plain(detector) and not plain(c.label) for c in tube.unnamed
    )


def _contradictions(group: Sequence[TubeReadings]) -> Iterator[str]:
    """Name each detector with two markers, then each marker with two detectors."""
    seen = [(each.tube.source, reading) for each in group for reading in each.markers]
    yield from _differing(
        ((plain(reading.detector), plain(reading.marker)), source, reading)
        for source, reading in seen
    )
    yield from _differing(
        ((plain(reading.marker), plain(reading.detector)), source, reading)
        for source, reading in seen
    )
    for each in group:
        yield from _twice(each)


def _twice(tube: TubeReadings) -> Iterator[str]:
    """Name each marker that one tube has twice on detectors whose names differ in signs alone."""
    first: dict[str, Reading] = {}
    for reading in tube.markers:
        other = first.setdefault(plain(reading.marker), reading)
        if other is not reading and plain(other.detector) == plain(reading.detector):
            source = tube.tube.source
            yield f"{_where(other, source)}, {_where(reading, source)}."


def _differing(entries: Iterable[tuple[tuple[str, str], str, Reading]]) -> Iterator[str]:
    """Compare each value with the first of its key; tells of each key once."""
    first: dict[str, tuple[str, str, Reading]] = {}
    told: set[str] = set()
    for (key, value), source, reading in entries:
        other_value, other_source, other = first.setdefault(key, (value, source, reading))
        if value != other_value and key not in told:
            told.add(key)
            yield f"{_where(other, other_source)}, {_where(reading, source)}."


def _where(reading: Reading, source: str) -> str:
    return f"{as_label(reading.marker)} is on {as_label(reading.detector)} in {shown(source)}"


def _names(keys: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Name each instrument by its ``$CYT``, and by its serial number where two share it."""
    named = [cytometer_shown(cytometer) for cytometer, _ in keys]
    for number, ((_, serial), name) in enumerate(zip(keys, named, strict=True), start=1):
        if named.count(name) == 1:
            yield name
        elif serial and may_be_shown("$CYTSN", serial):
            yield f"{name} {serial}"
        else:
            yield f"{name} ({number})"


def cytometer_shown(cytometer: str) -> str:
    """Give the name of a cytometer where it cannot be a person's."""
    if cytometer and len(cytometer) <= LONGEST_SHOWN and may_be_shown("$CYT", cytometer):
        return cytometer
    return UNNAMED
