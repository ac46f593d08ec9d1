"""Sort the channels of one tube: scatter, markers, and those that nothing names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from panels.drafting.channel_names import (
    is_autofluorescence,
    is_bookkeeping,
    is_scatter,
    scatter_name,
)
from panels.drafting.described import DescribedTube
from panels.drafting.marker_names import KnownMarkers, Reading, by_dye, read_marker, tells_of_beads
from panels.panel import ChannelLike, area_channels, plain


@dataclass(frozen=True, slots=True)
class TubeReadings:
    """What each channel of a tube is.

    ``scatter`` maps the names that strategies have to detectors, ``other_scatter`` are detectors
    that strategies have no name for, ``unnamed`` are channels without a marker, ``beads`` are
    detectors labelled for counting beads, ``apart`` those of autofluorescence, ``beside`` heights
    and widths with a marker's label, in whose place the area is read.
    """

    tube: DescribedTube
    markers: tuple[Reading, ...]
    unnamed: tuple[ChannelLike, ...]
    scatter: Mapping[str, str]
    other_scatter: tuple[str, ...]
    beads: tuple[str, ...]
    apart: tuple[str, ...]
    beside: tuple[str, ...]

    def with_unnamed(self, wanted: Iterable[str] | None = None) -> "TubeReadings":
        """Take unnamed channels for markers called by their dyes.

        Those with one of the ``wanted`` names (``plain``) are taken, or all of them.
        """
        names = None if wanted is None else set(wanted)
        taken = [c for c in self.unnamed if names is None or plain(c.detector) in names]
        rest = tuple(c for c in self.unnamed if c not in taken)
        return replace(self, markers=(*self.markers, *map(by_dye, taken)), unnamed=rest)


def read_tube(tube: DescribedTube, known: KnownMarkers) -> TubeReadings:
    """Sort the channels of a tube; the height and width of a detector with an area are left out."""
    scatter: dict[str, str] = {}
    for channel in tube.channels:
        name = scatter_name(channel.detector)
        if name is not None:
            scatter.setdefault(name, channel.detector)
    other = [c.detector for c in tube.channels if _is_other_scatter(c)]
    markers: list[Reading] = []
    unnamed: list[ChannelLike] = []
    beads: list[str] = []
    apart: list[str] = []
    for channel in area_channels(tube.channels):
        if is_scatter(channel.detector) or is_bookkeeping(channel.detector):
            continue
        reading = read_marker(channel, known)
        if tells_of_beads(channel.label):
            beads.append(channel.detector)
        elif is_autofluorescence(channel.detector) or is_autofluorescence(channel.label):
            apart.append(channel.detector)
        elif reading is None:
            unnamed.append(channel)
        else:
            markers.append(reading)
    return TubeReadings(
        tube,
        tuple(markers),
        tuple(unnamed),
        scatter,
        tuple(other),
        tuple(beads),
        tuple(apart),
        tuple(_beside_areas(tube, markers, known)),
    )


def _beside_areas(
    tube: DescribedTube, markers: Iterable[Reading], known: KnownMarkers
) -> Iterator[str]:
    """Yield each height or width that names a marker which no area names."""
    areas = set(area_channels(tube.channels))
    named = {plain(each.marker) for each in markers}
    for channel in tube.channels:
        if channel in areas or is_scatter(channel.detector) or is_bookkeeping(channel.detector):
            continue
        reading = read_marker(channel, known)
        if reading is not None and plain(reading.marker) not in named:
            yield f"{channel.detector} ({reading.marker})"


def _is_other_scatter(channel: ChannelLike) -> bool:
    return is_scatter(channel.detector) and scatter_name(channel.detector) is None
