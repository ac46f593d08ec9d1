"""Describe the channels of a FlowJo workspace's samples, whose files need not be at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gating.evaluation.compensation import is_unmixed, raw_spectral
from gating.exchange.flowjo_channels import sample_channels
from gating.exchange.foreign_document import ForeignChannel
from gating.exchange.gatingml_structure import qualified
from gating.exchange.mixed_detectors import mixed_detectors
from gating.fcs.spillover import StoredSpill, is_subtracted, read_spill
from gating.fcs.text_segment import SPILL_KEYWORDS
from gating.fcs.vendor_quirks import acquired_volume_ul
from gating.strategy.bounds import LONGEST_NAME
from panels.drafting.channel_names import is_scatter
from panels.drafting.described import Compensation, Described, DescribedGates, DescribedTube
from panels.text.errors import StrategyFault
from panels.text.printable import printable, shown, without_controls

if TYPE_CHECKING:
    from lxml import etree


@dataclass(frozen=True, slots=True)
class SampleKeywords:
    """What a workspace keeps of a sample's file, as far as it tells of spectral cytometers."""

    keywords: Mapping[str, str]
    channels: tuple[ForeignChannel, ...]
    stored: StoredSpill

    @property
    def identity_spill(self) -> bool:
        """Tell whether the spill stored is an identity matrix."""
        return self.stored.identity

    @property
    def stores_spill(self) -> bool:
        """Tell whether the file stores a spill, be it one that cannot be used."""
        return self.stored.spill is not None or self.stored.fault is not None


def describe_workspace(path: Path, root: etree._Element) -> Described:
    """Describe each sample of a workspace, and the channels that its gates read.

    Raises StrategyFault when it has no samples, or keeps the channels of none.
    """
    samples = list(root.iterfind(".//Sample"))
    if not samples:
        raise StrategyFault(
            f"{path}: the workspace has no samples. Add them in FlowJo and save it."
        )
    tubes = [tube for sample in samples for tube in _tube(path, sample)]
    if not tubes:
        raise StrategyFault(
            f"{path}: keeps no channels of its samples ($PnN). Save the workspace again with "
            f"FlowJo 10, or name the FCS files."
        )
    left = len(samples) - len(tubes)
    notes = [f"{path.name}: {left} samples without channels were left out."] if left else []
    gates = [gates for sample in samples for gates in _gates(path, sample)]
    own = any(_Prefixed.of(sample).mixed for sample in samples)
    if own and not any(each.covered for each in tubes):
        notes.append(
            f"{path.name}: the compensation is the workspace's own and not in the files. "
            f"`reconflow strategy import` keeps it as the panel's matrix."
        )
    return Described(tuple(tubes), tuple(gates), tuple(notes))


def _tube(path: Path, sample: etree._Element) -> Iterator[DescribedTube]:
    """Give the tube of a sample; none where the workspace keeps no channels of it."""
    kept = {
        node.get("name", "").strip().upper(): node.get("value", "").strip()
        for node in sample.iterfind("Keywords/Keyword")
    }
    channels = tuple(_channels(sample))
    if not channels:
        return
    spills = {key: (kept[key],) for key in SPILL_KEYWORDS if key in kept}
    stored = read_spill(kept, spills, [channel.detector for channel in channels])
    keywords = SampleKeywords(kept, channels, stored)
    node = sample.find("SampleNode")
    name = "" if node is None else node.get("name", "")
    yield DescribedTube(
        source=printable(f"{path.name}, sample {shown(name) or 'without a name'}"),
        channels=channels,
        cytometer=kept.get("$CYT", ""),
        serial=kept.get("$CYTSN") or kept.get("CYTNUM", ""),
        covered=() if stored.spill is None else stored.spill.detectors,
        compensation=_compensation(keywords),
        remark=stored.fault or "",
        raw=raw_spectral(keywords) is not None,
        volume=acquired_volume_ul(kept)[0] is not None,
    )


def _channels(sample: etree._Element) -> Iterator[ForeignChannel]:
    """Yield the channels of the sample's file, without those that FlowJo adds compensated."""
    listed = list(map(_clean, sample_channels(sample, None).listed))
    detectors = {channel.detector for channel in listed}
    bare = _Prefixed.of(sample)
    for channel in listed:
        added = bare.marks(channel.detector) and bare.name(channel.detector) in detectors
        if not added:
            yield channel


def _clean(channel: ForeignChannel) -> ForeignChannel:
    """Bound the names of a channel as the reader of FCS files does."""
    names = [without_controls(text)[:LONGEST_NAME] for text in (channel.detector, channel.label)]
    return ForeignChannel(channel.index, names[0], names[1], channel.maximum)


def _compensation(sample: SampleKeywords) -> Compensation:
    if sample.stored.spill is not None:
        return "stored"
    if is_unmixed(sample):
        return "unmixed"
    if sample.stored.fault:
        return "unusable"
    if sample.identity_spill:
        return "identity"
    return "subtracted" if any(map(is_subtracted, sample.keywords)) else "none"


def _gates(path: Path, sample: etree._Element) -> Iterator[DescribedGates]:
    """Give the channels that the gates of a sample read; none where it has no gates."""
    node = sample.find("SampleNode")
    names = (
        []
        if node is None
        else [
            each.get(qualified("data-type:name"), "")
            for each in node.iter(qualified("data-type:fcs-dimension"))
        ]
    )
    if not names:
        return
    bare = _Prefixed.of(sample)
    channels = [without_controls(bare.name(name))[:LONGEST_NAME] for name in names]
    colours = {bare.marks(name) for name in names if not is_scatter(name)}
    yield DescribedGates(
        source=path.name,
        channels=tuple(dict.fromkeys(channels)),
        compensated=any(colours) and bool(bare.mixed) if colours else None,
        mixed=bare.mixed,
    )


@dataclass(frozen=True, slots=True)
class _Prefixed:
    """How FlowJo marks compensated channels, and which detectors its matrix needs."""

    prefix: str = ""
    suffix: str = ""
    mixed: tuple[str, ...] = ()

    @classmethod
    def of(cls, sample: etree._Element) -> _Prefixed:
        matrix = sample.find(qualified("transforms:spilloverMatrix"))
        if matrix is None:
            return cls()
        listed = qualified("data-type:parameters"), qualified("data-type:parameter")
        names = [
            without_controls(each.get(qualified("data-type:name"), ""))
            for each in matrix.iterfind("/".join(listed))
        ]
        coefficients = [
            each.get(qualified("transforms:value"), "")
            for each in matrix.iter(qualified("transforms:coefficient"))
        ]
        mixed = mixed_detectors(names, coefficients)
        return cls(matrix.get("prefix", ""), matrix.get("suffix", ""), mixed)

    def marks(self, name: str) -> bool:
        """Tell whether a name is that of a compensated channel."""
        marked = bool(self.prefix or self.suffix)
        return marked and name.startswith(self.prefix) and name.endswith(self.suffix)

    def name(self, name: str) -> str:
        """Give the channel that a name means, compensated or not."""
        if not self.marks(name):
            return name
        return name.removeprefix(self.prefix).removesuffix(self.suffix)
