"""Import another program's gates and compare their counts with those it recorded.

Counts are compared where the tube that the gates were drawn on is at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gating.exchange.flowjo_groups import differing_gates, gate_signature, shortlist
from gating.exchange.flowjo_workspace import read_sample
from gating.exchange.import_gates import Imported, import_gates
from gating.exchange.import_notes import Note
from gating.exchange.read_document import Foreign, read_foreign
from gating.exchange.recorded_counts import Compared, compare_counts, refusal
from gating.exchange.safe_xml import read_xml
from gating.exchange.sample_tube import tube_of_sample, tubes_in
from gating.fcs.header import TubeHeader, read_header
from panels.panel import Panel
from panels.text.errors import StrategyFault, TubeFault, UsageFault

if TYPE_CHECKING:
    from lxml import etree


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
    return _with_notes(done, [*unread, *_accepted(done.compared)])


def import_workspace(
    document: Path, panel: Panel, name: str, *, tubes: Path | None = None, accept: bool = False
) -> CheckedImport:
    """Import a whole FlowJo workspace: the gates that most samples have.

    Each sample's gates are compared with that sample's counts. ``tubes`` is the folder with the
    samples' FCS files; when not named they are searched for beside the workspace. A sample whose
    gates are not those of the strategy is named. Raises as ``import_checked`` does.
    """
    root = _workspace(document)
    if tubes is not None and not tubes.is_dir():
        raise UsageFault(
            f"{tubes}: is no folder. With --all-samples, --fcs is the folder with the "
            f"samples' files."
        )
    files = tubes_in(tubes or document.parent, deep=tubes is not None)
    done: dict[str, CheckedImport] = {}
    nodes: dict[str, etree._Element] = {}
    for node in root.iterfind(".//Sample/SampleNode"):
        sample = node.get("name", "")
        place = tube_of_sample(document, sample, None, root=root, files=files)
        header, unread = _header(place, named=False)
        nodes[sample] = node
        checked = _checked(read_sample(document, root, sample, header), panel, name, header)
        done[sample] = _with_notes(checked, unread)
    chosen = _most_common(document, nodes)
    compared = tuple(row for each in done.values() for row in each.compared)
    _refuse(document, compared, accept=accept)
    notes = [*_differing_samples(nodes, chosen), *_accepted(compared), *_uncounted(done)]
    return replace(_with_notes(done[chosen], notes), compared=compared)


def _workspace(document: Path) -> etree._Element:
    from lxml import etree

    root = read_xml(document)
    if etree.QName(root).localname != "Workspace":
        raise UsageFault(
            f"{document}: is not a FlowJo workspace, so it has no samples. Leave --all-samples out."
        )
    return root


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


def _accepted(compared: tuple[Compared, ...]) -> list[Note]:
    text = (
        "{}: we count {:,} where the workspace recorded {:,}; it was imported all the same "
        "(--accept)."
    )
    differing = [each for each in compared if each.verdict == "differs"]
    return [
        Note("to do", each.gate, text.format(each.sample, each.counted, each.recorded))
        for each in differing
    ]


def _most_common(document: Path, nodes: dict[str, etree._Element]) -> str:
    """Choose the sample whose gates most samples have; of equals the first."""
    alike: dict[object, list[str]] = {}
    for sample, node in nodes.items():
        signature = gate_signature(node)
        if signature:
            alike.setdefault(signature, []).append(sample)
    if not alike:
        raise StrategyFault(f"{document}: no sample has a gate.")
    return max(alike.values(), key=len)[0]


def _differing_samples(nodes: dict[str, etree._Element], chosen: str) -> Iterator[Note]:
    """Name the samples whose gates are not those of the strategy."""
    for sample, node in nodes.items():
        extra = differing_gates(node, nodes[chosen])
        missing = [path for path in differing_gates(nodes[chosen], node) if path not in extra]
        if extra:
            text = (
                f"The sample {sample} has gates of its own ({shortlist(extra)}), which the "
                f"strategy, made after {chosen}, has not. Its counts were compared under its own. "
                f"To have them, import it with --sample."
            )
            yield Note("to do", "", text)
        elif missing:
            text = (
                f"The sample {sample} lacks {len(missing)} of the gates of the strategy, made "
                f"after {chosen}."
            )
            yield Note("to do", "", text)


def _uncounted(done: dict[str, CheckedImport]) -> Iterator[Note]:
    """Name the samples whose recorded counts were not compared."""
    samples = [name for name, each in done.items() if each.foreign.recorded and not each.compared]
    if samples:
        text = (
            f"Recorded counts that were not compared, for want of the samples' tubes: "
            f"{shortlist(samples)}."
        )
        yield Note("to do", "", text)
