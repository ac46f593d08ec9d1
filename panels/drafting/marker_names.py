"""Read the marker of a channel from its label, else from its detector's name."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from panels.drafting.channel_names import is_dye, without_ending
from panels.panel import FLUOROCHROMES, ChannelLike, Stain, label_meanings, names_of, plain
from panels.text.quoting import as_label

_CD = re.compile(r"CD\d+[a-zA-Z]*")
_SIGNAL = re.compile(r"(?<!HLA)-[AHW]$")
_BEADS = re.compile(r"BEADS?|TRUCOUNT|COUNTBRIGHT|123COUNT|FLOWCOUNT|PERFECTCOUNT")


@dataclass(frozen=True, slots=True)
class Reading:
    """A marker that a tube has on a detector, and in words how it was read.

    ``certain`` is False for a channel that nothing names, which is called by its dye.
    """

    marker: str
    detector: str
    synonyms: tuple[str, ...]
    remark: str
    certain: bool = True


class KnownMarkers:
    """The markers that panels know, by their names and synonyms.

    A marker called by its dye, as a draft calls it that nobody corrected, is none.
    """

    def __init__(self, stains: Iterable[Stain]) -> None:
        self._stain_of: dict[str, Stain] = {}
        for stain in (each for each in stains if not is_dye(each.marker)):
            for name in names_of(stain):
                other = self._stain_of.setdefault(name, stain)
                if plain(other.marker) != plain(stain.marker) and name == plain(stain.marker):
                    self._stain_of[name] = stain

    def named_in(self, text: str) -> Stain | None:
        """Find the marker that a label names; of several the one with the longest name."""
        found = [self._stain_of[name] for name in label_meanings(text) if name in self._stain_of]
        return max(found, key=lambda stain: (len(stain.marker), stain.marker), default=None)


def read_marker(channel: ChannelLike, known: KnownMarkers) -> Reading | None:
    """Read the marker of a fluorescence channel; None where neither label nor detector has one."""
    label, detector = channel.label.strip(), channel.detector.strip()
    if _is_empty(channel):
        return _from_detector(detector, "", known)
    if not is_dye(label):
        return _from_label(detector, label, known)
    if is_dye(detector):
        return None
    found = _from_detector(detector, label, known)
    return found or _reading(without_ending(detector), detector, label, _swapped(label))


def by_dye(channel: ChannelLike) -> Reading:
    """Call the marker of a channel that nothing names by its dye."""
    label = "" if _is_empty(channel) else channel.label.strip()
    name = without_ending(label or channel.detector)
    remark = "what does it stain? It has no label"
    if label:
        remark = f"what does it stain? Its label is '{as_label(label)}'"
    return _reading(name, channel.detector, label, remark, certain=False)


def tells_of_beads(label: str) -> bool:
    """Tell whether a label names counting beads."""
    return _BEADS.search(plain(label)) is not None


def _is_empty(channel: ChannelLike) -> bool:
    """Tell whether a label is missing, or only repeats the detector's name."""
    label = plain(channel.label)
    return not label or label == plain(channel.detector)


def _from_label(detector: str, label: str, known: KnownMarkers) -> Reading:
    stain = known.named_in(label)
    if stain is not None:
        exact = plain(label) == plain(stain.marker)
        remark = "" if exact else f"label '{as_label(label)}'"
        return _reading(stain.marker, detector, label, remark, stain.synonyms)
    marker = _without_dye(label)
    said = "as the label has it" if marker == label else f"label '{as_label(label)}'"
    return _reading(marker, detector, label, f"{said}; in no known panel")


def _swapped(label: str) -> str:
    return f"from the detector's name; the label is '{as_label(label)}'"


def _from_detector(detector: str, label: str, known: KnownMarkers) -> Reading | None:
    """Read a marker that stands in the detector's name, as ``CD8 PerCP-Cy5.5 FLR-A``."""
    name = without_ending(detector)
    if is_dye(name):
        return None
    remark = _swapped(label) if label else "no label; from the detector's name"
    stain = known.named_in(name)
    if stain is not None:
        return _reading(stain.marker, detector, label, remark, stain.synonyms)
    marker = _without_dye(name)
    if marker != name or _CD.fullmatch(name):
        return _reading(marker, detector, label, remark)
    return None


def _reading(
    marker: str,
    detector: str,
    label: str,
    remark: str,
    synonyms: tuple[str, ...] = (),
    *,
    certain: bool = True,
) -> Reading:
    """Make a reading whose names match the label again, adding the label to its synonyms."""
    stain = Stain(marker=marker, detector=detector, synonyms=synonyms)
    if label and not names_of(stain) & label_meanings(label):
        synonyms = (*synonyms, label)
    return Reading(marker, detector, synonyms, remark, certain)


def _without_dye(label: str) -> str:
    """Cut the dye behind a marker's name: ``CD22-PC5`` → ``CD22``; else the label as it is.

    Of a list such as ``CD21;FITC;530/30`` the first part is the marker.
    """
    first = _SIGNAL.sub("", label.partition(";")[0].strip()) or label
    words = re.split(r"([\s_:|]+|(?<=\w)-(?=[A-Z]{2}))", first)
    ends = list(accumulate(len(word) for word in words))
    for end in ends[:-1]:
        head, tail = first[:end].strip(" _:|-"), first[end:].strip(" _:|-")
        if head and plain(tail) in FLUOROCHROMES:
            return head
    return first
