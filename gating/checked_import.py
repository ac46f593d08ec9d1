"""Import another program's gates and hold them against the counts it recorded, wherever the tube they are of is at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gating.events import TubeHeader, read_header
from gating.foreign import Foreign, read_foreign
from gating.importing import Imported, import_gates
from gating.notes import Note
from gating.recorded import Compared, compare_counts, refusal
from gating.sample_tube import tube_of_sample
from panels.errors import StrategyFault, TubeFault
from panels.panel import Panel


@dataclass(frozen=True, slots=True)
class CheckedImport:
    """An import, and how its counts compare with the recorded ones (empty when there are none, or no tube to count)."""

    foreign: Foreign
    imported: Imported
    compared: tuple[Compared, ...]


def import_checked(
    document: Path, panel: Panel, name: str, *, sample: str | None = None, tube: Path | None = None, accept: bool = False
) -> CheckedImport:
    """Import a document's gates as a strategy called ``name``.

    ``tube`` is the FCS file the gates were drawn on, or a folder that holds it; when not named it is looked for beside the document.
    Raises StrategyFault when recorded counts differ beyond FlowJo's binning, unless ``accept``; TubeFault when a named
    tube cannot be read.
    """
    place = tube_of_sample(document, sample, tube)
    header, unread = _header(place, named=tube is not None)
    foreign = read_foreign(document, sample, header)
    channels = header.channels if header else ()
    imported = import_gates(foreign, panel, name, channels=channels, stores_spill=None if header is None else header.spill is not None)
    notes = list(unread)
    compared: list[Compared] = []
    if header is not None and foreign.recorded and imported.document["gates"]:
        compared, more = _compared(foreign, imported, panel, header)
        notes += more
        fault = refusal(compared, header.path.name)
        if fault is not None and not accept:
            raise StrategyFault(fault)
        notes += [_accepted(each) for each in compared if each.verdict == "differs"]
    elif foreign.recorded and header is None:
        text = "The counts the workspace recorded were not compared: no tube is at hand. Name it, or its folder, with --fcs."
        notes.append(Note("to do", "", text))
    return CheckedImport(foreign, replace(imported, notes=(*imported.notes, *notes)), tuple(compared))


def _header(place: Path | None, *, named: bool) -> tuple[TubeHeader | None, list[Note]]:
    """Read a tube's header; one that merely lies beside the document need not be readable."""
    if place is None:
        return None, []
    try:
        return read_header(place), []
    except TubeFault as fault:
        if named:
            raise
        return None, [Note("to do", "", f"The tube beside the workspace cannot be read: {fault}")]


def _compared(foreign: Foreign, imported: Imported, panel: Panel, header: TubeHeader) -> tuple[list[Compared], list[Note]]:
    try:
        return compare_counts(foreign, imported, panel, header)
    except TubeFault as fault:
        return [], [Note("to do", "", f"The counts the workspace recorded were not compared: {fault}")]


def _accepted(each: Compared) -> Note:
    counted = f"We count {each.counted:,} where the workspace recorded {each.recorded:,}"
    return Note("to do", each.gate, f"{counted}; it was imported all the same (--accept).")
