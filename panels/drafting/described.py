"""Hold what a laboratory's files say of their channels, from which a panel is drafted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from panels.panel import ChannelLike

Compensation = Literal["stored", "identity", "unmixed", "unusable", "subtracted", "none"]
"""What a file says of its compensation: it stores a spill; its spill is an identity; a spectral
cytometer unmixed it; its spill cannot be used; the cytometer subtracted before it stored; nothing.
"""


@dataclass(frozen=True, slots=True)
class DescribedTube:
    """One tube as its FCS file, or a workspace that keeps its keywords, describes it.

    ``cytometer`` and ``serial`` are ``$CYT`` and ``$CYTSN`` (FACSDiva's ``CYTNUM``; empty when
    absent), ``covered`` the detectors its spill names, ``remark`` why a spill cannot be used.
    ``raw`` tells that the channels are raw signals of a spectral cytometer, ``volume`` that
    ``$VOL`` can be used.
    """

    source: str
    channels: Sequence[ChannelLike]
    cytometer: str = ""
    serial: str = ""
    covered: tuple[str, ...] = ()
    compensation: Compensation = "none"
    remark: str = ""
    raw: bool = False
    volume: bool = False


@dataclass(frozen=True, slots=True)
class DescribedGates:
    """The channels that the gates of a document read.

    ``compensated`` tells whether they read fluorescence compensated (None: no gate tells),
    ``mixed`` are the detectors that the document's own matrix needs to compensate them.
    """

    source: str
    channels: tuple[str, ...]
    compensated: bool | None = None
    mixed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """All that the files say: tubes, gates, and sentences on what they cannot tell."""

    tubes: tuple[DescribedTube, ...]
    gates: tuple[DescribedGates, ...] = ()
    notes: tuple[str, ...] = ()
