"""Hold a tube that an instrument is calibrated on: its file as read, and what it can tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gating.evaluation.compensation import compensation_fault
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.quality.acquisition import time_quality
from panels.panel import match_panel
from panels.text.errors import CompensationFault, PanelMismatch

if TYPE_CHECKING:
    from gating.fcs.event_source import Rows
    from gating.fcs.events import Events
    from gating.fcs.header import TubeHeader
    from panels.panel import Panel, PanelMatch
    from tasks.store.tubes import Tube

Role = Literal["baseline", "batch control", "FMO control", "other"]


@dataclass(frozen=True, slots=True)
class CalibrationTube:
    """One tube of an instrument; ``left_out`` is the marker that an FMO control lacks.

    ``tube`` is what the study knows of it (None: a file that was never taken in).
    """

    name: str
    role: Role
    header: TubeHeader
    match: PanelMatch
    events: Events
    rows: Rows | None
    left_out: str = ""
    tube: Tube | None = None


def open_tube(
    path: Path,
    panel: Panel,
    *,
    name: str,
    role: Role,
    left_out: str = "",
    tube: Tube | None = None,
) -> CalibrationTube:
    """Read a tube's header and find the events that would be counted.

    Raises UnreadableFile, PanelMismatch where the tube does not fit the panel, and
    CompensationFault where it cannot be compensated as the panel asks.
    """
    header = read_header(path)
    match = match_panel(panel, header.channels)
    if not match.fits:
        raise PanelMismatch(f"it does not fit the panel {panel.panel}: {' '.join(match.problems)}")
    if fault := compensation_fault(header, panel):
        raise CompensationFault(fault)
    events = open_events(header)
    rows = time_quality(events, header, match.channel).kept
    return CalibrationTube(name, role, header, match, events, rows, left_out, tube)
