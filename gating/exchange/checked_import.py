"""Import another program's gates and compare their counts with those it recorded.

Counts are compared where the tube that the gates were drawn on is at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gating.exchange.flowjo_groups import notes_on_other_samples
from gating.exchange.flowjo_workspace import choose_sample
from gating.exchange.import_gates import Imported, import_gates
from gating.exchange.import_notes import Note
from gating.exchange.read_document import Foreign, read_foreign
from gating.exchange.recorded_counts import Compared, compare_counts, refusal, shown_count
from gating.exchange.safe_xml import read_xml
from gating.exchange.sample_tube import tube_of_sample
from gating.fcs.header import TubeHeader, read_header
from panels.panel import Panel
from panels.text.errors import StrategyFault, TubeFault


@dataclass(frozen=True, slots=True)
class CheckedImport:
    """An import, and how its counts compare with the recorded ones.

    ``compared`` is empty when no counts were recorded, or no tube is at hand.
    """

    foreign: Foreign
    imported: Imported
    compared: tuple[Compared, ...]


def import_checked(
    document: Path,
    panel: Panel,
    name: str,
    *,
    sample: str | None = None,
    tube: Path | None = None,
    accept: bool = False,
) -> CheckedImport:
    """Import a document's gates as a strategy called ``name``.

    ``tube`` is the FCS file the gates were drawn on, or a folder that holds it; when not named it
    is searched for beside the document. Raises StrategyFault when recorded counts differ beyond
    FlowJo's binning, unless ``accept``; TubeFault when a named tube cannot be read.
    """
    place = tube_of_sample(document, sample, tube)
    header, unread = _header(place, named=tube is not None)
    done = _checked(read_foreign(document, sample, header), panel, name, header)
    _refuse(document, done.compared, accept=accept)
    notes = [*unread, *accepted(done.compared), *_on_other_samples(document, sample)]
    return _with_notes(done, notes)


def _on_other_samples(document: Path, sample: str | None) -> list[Note]:
    """Note the gates that other samples of a workspace have otherwise."""
    from lxml import etree

    root = read_xml(document)
    if etree.QName(root).localname != "Workspace":
        return []
    return notes_on_other_samples(root, choose_sample(document, root, sample).find("SampleNode"))


NO_TUBE = (
    "The counts the workspace recorded were not compared: no tube is at hand. Name it, or "
    "its folder, with --fcs."
)


def _checked(foreign: Foreign, panel: Panel, name: str, header: TubeHeader | None) -> CheckedImport:
    """Import one document or sample, and compare its counts where its tube is at hand."""
    if header is None:
        imported = import_gates(foreign, panel, name)
        notes = [Note("to do", "", NO_TUBE)] if foreign.recorded else []
        return _with_notes(CheckedImport(foreign, imported, ()), notes)
    stores_spill = header.spill is not None
    imported = import_gates(
        foreign, panel, name, channels=header.channels, stores_spill=stores_spill
    )
    if not foreign.recorded or not imported.document["gates"]:
        return CheckedImport(foreign, imported, ())
    compared: list[Compared] = []
    try:
        compared, notes = compare_counts(foreign, imported, panel, header)
    except TubeFault as fault:
        text = f"The counts the workspace recorded were not compared: {fault}"
        notes = [Note("to do", "", text)]
    return _with_notes(CheckedImport(foreign, imported, tuple(compared)), notes)


def _with_notes(done: CheckedImport, notes: list[Note]) -> CheckedImport:
    return replace(done, imported=replace(done.imported, notes=(*done.imported.notes, *notes)))


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


def _refuse(document: Path, compared: tuple[Compared, ...], *, accept: bool) -> None:
    fault = refusal(compared, document.name)
    if fault is not None and not accept:
        raise StrategyFault(fault)


def accepted(compared: tuple[Compared, ...]) -> list[Note]:
    """Note the counts that differ although the import was accepted."""
    return [
        Note(
            "to do",
            each.gate,
            f"{each.sample}: we count {shown_count(each.counted)} where the workspace recorded "
            f"{shown_count(each.recorded)}; it was imported all the same (--accept).",
        )
        for each in compared
        if each.verdict == "differs"
    ]
