"""Find the time channel of a tube: the one place that knows how cytometers spell its name."""

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

TIME = "Time"
"""The name of the time axis in panels and strategies, however the cytometer spells its channel."""
SPELLINGS = ("TIME", "HDRT")
"""The standard's name, and that of MACSQuant. ``TIME-LSW`` and ``TIME-MSW`` are halves of a clock,
and neither of them is one."""


class Named(Protocol):
    """A channel with the name of its detector (``$PnN``)."""

    @property
    def detector(self) -> str: ...


AnyChannel = TypeVar("AnyChannel", bound=Named)


def is_time_channel(detector: str) -> bool:
    """Tell whether a channel of this name holds the acquisition time."""
    return _plain(detector) in SPELLINGS


def time_channel(channels: Sequence[AnyChannel]) -> AnyChannel | None:
    """Find the channel that holds the acquisition time; None where there is none.

    Of several, the one with the standard's name comes first.
    """
    clocks = [channel for channel in channels if is_time_channel(channel.detector)]
    return min(clocks, key=lambda channel: SPELLINGS.index(_plain(channel.detector)), default=None)


def _plain(detector: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", detector.upper())
