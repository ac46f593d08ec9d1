"""Describe the channels of a laboratory's files, from which a panel is drafted.

They are FCS files, folders of them, FlowJo 10 workspaces and Gating-ML 2.0 documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gating.evaluation.compensation import is_unmixed, raw_spectral
from gating.exchange.describe_gatingml import describe_gatingml, tube_of_gates
from gating.exchange.describe_workspace import describe_workspace
from gating.exchange.safe_xml import read_xml
from gating.exchange.sample_tube import tubes_in
from gating.fcs.header import TubeHeader, read_header
from gating.fcs.spillover import is_subtracted
from panels.drafting.described import Compensation, Described, DescribedGates, DescribedTube
from panels.text.errors import StrategyFault, UsageFault

if TYPE_CHECKING:
    from lxml import etree

DOCUMENTS = frozenset({".wsp", ".xml", ".gatingml"})
GATES_ALONE = (
    "A Gating-ML document names the channels that its gates read and nothing else: no labels, no "
    "instrument, no acquired volume, no channel without a gate. Name an FCS file too, or write "
    "them by hand."
)


def describe_files(paths: Sequence[Path]) -> Described:
    """Describe every file; of a folder, the FCS files in it.

    Raises UsageFault where a file or folder is not there or a folder holds no FCS file, TubeFault
    for an FCS file that cannot be read, StrategyFault for a document that is neither a workspace
    nor Gating-ML, or holds no sample.
    """
    tubes: list[DescribedTube] = []
    gates: list[DescribedGates] = []
    notes: list[str] = []
    for path in fcs_and_documents(paths):
        if path.suffix.lower() not in DOCUMENTS:
            tubes.append(describe_tube(read_header(path)))
            continue
        described = _describe_document(path, read_xml(path))
        tubes += described.tubes
        gates += described.gates
        notes += described.notes
    if not tubes:
        tubes = [tube_of_gates(gates)]
        notes.append(GATES_ALONE)
    return Described(tuple(tubes), tuple(gates), tuple(notes))


def fcs_and_documents(paths: Iterable[Path]) -> list[Path]:
    """List the files, each once; of a folder, the FCS files in it.

    Raises UsageFault where one is not there, or a folder holds none.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [file for same in tubes_in(path, deep=False).values() for file in same]
            if not inside:
                raise UsageFault(
                    f"{path}: the folder holds no FCS file (.fcs or .lmd). Name the files, or the "
                    f"folder they lie in."
                )
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise UsageFault(f"{path}: there is no such file or folder.")
    if not files:
        raise UsageFault("Name the FCS files, FlowJo workspaces or Gating-ML documents to read.")
    return list(dict.fromkeys(files))


def describe_tube(header: TubeHeader) -> DescribedTube:
    """Describe the channels of one FCS file."""
    spill = header.spill
    return DescribedTube(
        source=header.path.name,
        channels=header.channels,
        cytometer=header.keywords.get("$CYT", ""),
        serial=header.keywords.get("$CYTSN") or header.keywords.get("CYTNUM", ""),
        covered=() if spill is None else spill.detectors,
        compensation=_compensation(header),
        remark=header.spill_fault or "",
        raw=raw_spectral(header) is not None,
        volume=header.acquired_volume_ul is not None,
    )


def _compensation(header: TubeHeader) -> Compensation:
    if header.spill is not None:
        return "stored"
    if is_unmixed(header):
        return "unmixed"
    if header.spill_fault:
        return "unusable"
    if header.identity_spill:
        return "identity"
    subtracted = any(map(is_subtracted, header.keywords))
    return "subtracted" if subtracted else "none"


def _describe_document(path: Path, root: etree._Element) -> Described:
    from lxml import etree

    kind = etree.QName(root).localname
    if kind == "Workspace":
        return describe_workspace(path, root)
    if kind == "Gating-ML":
        return Described((), (describe_gatingml(path, root),))
    raise StrategyFault(
        f"{path}: is neither a FlowJo workspace nor a Gating-ML 2.0 document, so it names no "
        f"channels."
    )
