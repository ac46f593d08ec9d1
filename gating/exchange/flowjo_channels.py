"""Give the factor by which FlowJo's numbers of each channel become ours.

FlowJo 10 leaves the gain a file declares (``$PnG``) alone; FCS 3.1 (3.2.20) divides by it, and so
does our reader. On Time FlowJo multiplies the cytometer's ticks by a gain it chooses; our reader
multiplies them by ``$TIMESTEP``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gating.exchange.foreign_document import ForeignChannel
from gating.exchange.import_notes import Note
from gating.fcs.limits import MOST_CHANNELS
from panels.acquisition_time import is_time_channel
from panels.files.yaml_scalars import shortened
from panels.text.quoting import as_label

if TYPE_CHECKING:
    from lxml import etree

    from gating.fcs.header import TubeHeader

MOST_NAMED = 6
ALIKE = 0.01
"""Two ends of an axis that differ by less than this part of each other are one: FlowJo rounds
them."""
UNKNOWN_RANGE = 262144.0


class LeftOut(Exception):
    """The reason why a gate of a workspace cannot be carried over; its reader notes it."""


def number(text: str, what: str) -> float:
    """Read a finite number of a workspace; raises LeftOut, naming ``what``, when it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LeftOut(f"'{shortened(text)}' stands for {what}, which is no number.")
    return value


@dataclass(frozen=True, slots=True)
class SampleChannels:
    """The channels of one sample, as its file describes them, or else the workspace."""

    listed: tuple[ForeignChannel, ...]
    gains: Mapping[str, float]
    time_step: float | None
    of_file: bool
    notes: tuple[Note, ...]

    def named(self, name: str) -> ForeignChannel | None:
        """Find a channel by its detector; FlowJo writes '_' for a '/' in it."""
        for each in self.listed:
            if name in {each.detector, each.detector.replace("/", "_")}:
                return each
        return None

    def factor(self, name: str, scale_gain: float, scale_top: float | None) -> float:
        """Give what FlowJo's number of a channel is multiplied by to be ours.

        ``scale_gain`` and ``scale_top`` are those of the linear scale FlowJo draws the channel on.
        Raises LeftOut when it is not clear.
        """
        if is_time_channel(name):
            return (self.time_step or 1.0) / self._seconds_a_tick(name, scale_gain, scale_top)
        if scale_gain != 1.0:
            raise LeftOut(
                f"FlowJo draws {name} with a gain of its own ({scale_gain:g}): what its "
                f"numbers are in the file is not clear."
            )
        channel = self.named(name)
        return 1.0 if channel is None else 1.0 / self.gains.get(channel.detector, 1.0)

    def _seconds_a_tick(self, name: str, scale_gain: float, scale_top: float | None) -> float:
        """Give what FlowJo multiplies a tick of Time by."""
        if not 0 < scale_gain < math.inf:
            raise LeftOut(
                f"FlowJo's gain of {name} ({scale_gain:g}) is no positive number: its time "
                f"cannot be read."
            )
        if scale_gain != 1.0 and self.time_step is None and not self.of_file:
            raise LeftOut(
                f"How long a tick of {name} is ($TIMESTEP) is not in the workspace. Name the "
                f"sample's FCS file with --fcs."
            )
        if scale_gain != 1.0 or self.time_step in {None, 1.0}:
            return scale_gain
        channel = self.named(name)
        if channel is not None and scale_top is not None and self.time_step is not None:
            for step in (self.time_step, 1.0):
                if math.isclose(scale_top, channel.maximum * step, rel_tol=ALIKE):
                    return step
        raise LeftOut(
            f"Whether FlowJo counted {name} in seconds or in the cytometer's ticks is not "
            f"clear ($TIMESTEP {self.time_step:g})."
        )


def sample_channels(sample: etree._Element, tube: TubeHeader | None) -> SampleChannels:
    """Read the channels of a sample from its file, else from the keywords in the workspace."""
    kept = {
        node.get("name", "").strip().upper(): node.get("value", "")
        for node in sample.iterfind("Keywords/Keyword")
    }
    keywords = kept if tube is None else tube.keywords
    step = _positive(keywords.get("$TIMESTEP", keywords.get("TIMESTEP", "")))
    listed, gains, notes = [], {}, []
    for number in range(1, MOST_CHANNELS + 1):
        detector = keywords.get(f"$P{number}N", "").strip()
        if not detector:
            break
        maximum, gain = _positive(keywords.get(f"$P{number}R", "")), _gain(keywords, number)
        label = keywords.get(f"$P{number}S", "").strip()
        if maximum is None:
            maximum = _top_of_scales(sample, detector)
        listed.append(ForeignChannel(number - 1, detector, label, maximum))
        gains[detector] = gain
        in_workspace = kept.get(f"$P{number}N", "").strip() == detector
        if tube is not None and in_workspace and _gain(kept, number) != gain:
            notes.append(_gains_differ(tube, detector, gain, _gain(kept, number)))
    notes += _gain_notes(gains)
    return SampleChannels(tuple(listed), gains, step, tube is not None, tuple(notes))


def _gain_notes(gains: Mapping[str, float]) -> Iterator[Note]:
    """Note the channels, other than Time, on which the file declares a gain."""
    scaled = [
        f"{as_label(detector)} ({gain:g})"
        for detector, gain in gains.items()
        if gain != 1.0 and not is_time_channel(detector)
    ]
    if scaled:
        more = f" and {len(scaled) - MOST_NAMED} more" if len(scaled) > MOST_NAMED else ""
        text = (
            f"The file declares a gain on {', '.join(scaled[:MOST_NAMED])}{more}. "
            f"FlowJo ignores it and we divide by it: bounds there were divided too."
        )
        yield Note("changed", "", text)


def _gains_differ(tube: TubeHeader, detector: str, gain: float, kept: float) -> Note:
    text = (
        f"{tube.path.name} declares the gain {gain:g} on {as_label(detector)}, "
        f"the workspace {kept:g} for this sample: that of the file was used."
    )
    return Note("to do", "", f"{text} Is it the file the gates were drawn on?")


def _gain(keywords: Mapping[str, str], number: int) -> float:
    """Read ``$PnG``; a gain of 0 means none, as our reader of events has it."""
    return _positive(keywords.get(f"$P{number}G", "")) or 1.0


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def _top_of_scales(sample: etree._Element, detector: str) -> float:
    """Give where FlowJo's scale of a channel ends, for a channel whose ``$PnR`` is not known."""
    from lxml import etree

    for scale in sample.iterfind("Transformations/*"):
        named = {
            value
            for part in scale
            for key, value in part.attrib.items()
            if etree.QName(key).localname == "name"
        }
        if detector in named or detector.replace("/", "_") in named:
            written = {etree.QName(key).localname: value for key, value in scale.attrib.items()}
            top = _positive(written.get("T", written.get("maxRange", "")))
            if top is not None:
                return top
    return UNKNOWN_RANGE
