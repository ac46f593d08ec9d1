"""Hold what was read of another program's gates.

The gates themselves, the program's channels and counts, and notes on what was left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from gating.exchange.import_notes import Note
from panels.panel import ChannelLike

if TYPE_CHECKING:
    import flowkit

Path = tuple[str, ...]
"""The names of a gate and of those above it, from ``root`` on."""


class RangedChannel(ChannelLike, Protocol):
    """What an import needs of a channel beside what a panel needs: its range."""

    @property
    def maximum(self) -> float: ...


@dataclass(frozen=True, slots=True)
class ForeignChannel:
    """A channel as the document describes it; ``maximum`` is its ``$PnR``."""

    index: int
    detector: str
    label: str
    maximum: float


@dataclass(frozen=True, slots=True)
class Foreign:
    """Gates of another program, in the linear units of our reader of FCS files.

    ``channels`` are empty when the document does not list them. Of a FlowJo sample, ``events`` is
    how many it has, ``recorded`` the counts the workspace keeps of its gates (of those left out
    too), and ``bins`` into how many parts FlowJo cuts an axis to decide which events are in a
    polygon or ellipse.
    """

    source: str
    gating: flowkit.GatingStrategy
    channels: tuple[ForeignChannel, ...] = ()
    notes: tuple[Note, ...] = ()
    recorded: Mapping[Path, int] = field(default_factory=dict)
    sample: str = ""
    events: int | None = None
    bins: Mapping[Path, int] = field(default_factory=dict)
