"""Read the signals in which the counting beads of a tube are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gating.fcs.event_source import EventSource, Rows
    from gating.fcs.header import TubeHeader
    from panels.panel import PanelMatch

Floats = NDArray[np.float64]

SCATTER_NAMES = ("FSC-A", "SSC-A")


@dataclass(frozen=True, slots=True)
class Signals:
    """Uncompensated signals of a tube's events (n × channels), as shares of each channel's range.

    ``fluorescence`` are the detectors of ``markers``, ``scatter`` FSC-A and SSC-A.
    """

    markers: tuple[str, ...]
    fluorescence: Floats
    scatter_names: tuple[str, ...]
    scatter: Floats


def bead_signals(
    events: EventSource,
    header: TubeHeader,
    match: PanelMatch,
    markers: Sequence[str],
    rows: Rows | None = None,
) -> Signals:
    """Read the uncompensated signals of some markers and the scatter of a tube.

    With ``rows`` only those events are read. Markers and scatter that the tube lacks are left out.
    """
    read = [marker for marker in markers if marker in match.channel]
    scatter = [name for name in SCATTER_NAMES if name in match.channel]
    indices = [match.channel[name] for name in (*read, *scatter)]
    ends = np.array([header.channels[index].maximum - 1 for index in indices])
    shares = events.columns(indices, rows) / ends
    return Signals(tuple(read), shares[:, : len(read)], tuple(scatter), shares[:, len(read) :])
