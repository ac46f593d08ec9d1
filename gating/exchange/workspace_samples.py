"""List the samples of a FlowJo workspace, each with its gates and the FCS file it was drawn on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Literal

from gating.exchange.flowjo_channels import sample_channels
from gating.exchange.flowjo_populations import Drawn, drawn_populations
from gating.exchange.flowjo_workspace import count_of
from gating.exchange.foreign_document import ForeignChannel, Path
from gating.exchange.import_notes import Note
from gating.exchange.sample_tube import Files, file_names
from gating.exchange.scale_conversion import ChannelNames, is_scatter
from gating.fcs.header import TubeHeader, read_header
from panels.panel import Panel
from panels.text.errors import StrategyFault, TubeFault
from panels.text.printable import shown

if TYPE_CHECKING:
    from lxml import etree

TubeState = Literal["at hand", "no FCS file", "another FCS file", "unreadable FCS file"]
ACQUIRED = ("$DATE", "$BTIM", "$ETIM", "$CYTSN")
"""Keywords that differ between two acquisitions, and that copying a file leaves alone."""


@dataclass(frozen=True, slots=True)
class WorkspaceSample:
    """One sample of a workspace.

    ``label`` tells it from every other sample, also from one of the same name. ``header`` is that
    of its FCS file, where ``state`` says that one is there and readable.
    """

    label: str
    number: str
    element: etree._Element
    events: int | None
    gates: Mapping[Path, Drawn]
    channels: tuple[ForeignChannel, ...]
    state: TubeState
    header: TubeHeader | None
    notes: tuple[Note, ...]

    def markers(self, panel: Panel) -> frozenset[str]:
        """Name the markers of a panel that the sample reads."""
        names = ChannelNames(panel, self.channels)
        read = {names.axis(channel.detector) for channel in self.channels}
        return frozenset(axis for axis in read if axis is not None and not is_scatter(axis))


def samples_of(document: FilePath, root: etree._Element, files: Files) -> list[WorkspaceSample]:
    """List the samples of a workspace, each with its file among ``files``.

    Raises StrategyFault when there is no sample.
    """
    elements = [each for each in root.iterfind(".//Sample") if each.find("SampleNode") is not None]
    if not elements:
        raise StrategyFault(f"{document}: holds no sample. Save the workspace with FlowJo 10.")
    names = [_name(each) for each in elements]
    often = Counter(names)
    listed = []
    for element, name in zip(elements, names, strict=True):
        number = element.find("SampleNode").get("sampleID", "")
        label = name
        notes: list[Note] = []
        if often[name] > 1 or not name:
            label = f"{name or 'unnamed'} (sample {number})"
            notes.append(_same_name(name, often[name], label))
        listed.append(_sample(element, label, number, files, notes))
    return listed


def _name(element: etree._Element) -> str:
    return shown(element.find("SampleNode").get("name", ""))


def _same_name(name: str, many: int, label: str) -> Note:
    if not name:
        return Note("to do", "", f"A sample has no name: it is called '{label}' here. Name it.")
    text = (
        f"{many} samples are called {name}: one of them is '{label}' here. Give them names of "
        f"their own in FlowJo, or no corrections can be told apart by name."
    )
    return Note("to do", "", text)


def _sample(
    element: etree._Element, label: str, number: str, files: Files, notes: list[Note]
) -> WorkspaceSample:
    node = element.find("SampleNode")
    events = count_of(node)
    state, header, found = _tube(element, label, events, files)
    channels = sample_channels(element, header)
    return WorkspaceSample(
        label=label,
        number=number,
        element=element,
        events=events,
        gates=drawn_populations(node),
        channels=channels.listed,
        state=state,
        header=header,
        notes=(*notes, *found),
    )


def _tube(
    element: etree._Element, label: str, events: int | None, files: Files
) -> tuple[TubeState, TubeHeader | None, list[Note]]:
    """Find the file of a sample, and tell whether it is the one the gates were drawn on."""
    names = list(dict.fromkeys(file_names(element)))
    fitting = [file for name in names for file in files.get(name.lower(), ())]
    if not fitting:
        text = f"{label}: its FCS file{_called(names)} is not there. Its counts were not compared."
        cure = "Put it into the folder named with --fcs and import again."
        return "no FCS file", None, [Note("to do", "", f"{text} {cure}")]
    headers: list[TubeHeader] = []
    for file in fitting:
        try:
            headers.append(read_header(file))
        except (TubeFault, OSError) as fault:
            if len(fitting) == 1:
                return "unreadable FCS file", None, [Note("to do", "", f"{label}: {fault}")]
    if not headers:
        text = f"{label}: none of its {len(fitting)} files can be read, such as {fitting[0]}."
        return "unreadable FCS file", None, [Note("to do", "", text)]
    best = min(headers, key=lambda each: len(_changes(element, events, each)))
    changes = _changes(element, events, best)
    if not changes:
        alike = [each for each in headers if not _changes(element, events, each)]
        return "at hand", best, [*_several(label, alike)]
    text = (
        f"{label}: {best.path.name} is not the file the gates were drawn on "
        f"({'; '.join(changes)}). Put the right one into the folder named with --fcs."
    )
    same_number = events in {None, best.event_count}
    state: TubeState = "at hand" if same_number else "another FCS file"
    return state, best, [Note("to do", "", text)]


def _called(names: Sequence[str]) -> str:
    # Other names than the first may be the value of $FIL, which may hold a person's name.
    return f" ({names[0]})" if names else ""


def _several(label: str, same: Sequence[TubeHeader]) -> Iterator[Note]:
    if len(same) > 1:
        text = f"{label}: {len(same)} files fit; {same[0].path} was taken. Take the others away."
        yield Note("to do", "", text)


def _changes(element: etree._Element, events: int | None, header: TubeHeader) -> list[str]:
    """Say in what a file differs from the one that the workspace describes."""
    kept = {
        node.get("name", "").strip().upper(): node.get("value", "").strip()
        for node in element.iterfind("Keywords/Keyword")
    }
    changes = []
    if events not in {None, header.event_count}:
        changes.append(f"{header.event_count:,} events, the workspace says {events:,}")
    for key in ACQUIRED:
        now = header.keywords.get(key, "").strip()
        if now and kept.get(key) and now != kept[key]:
            changes.append(f"its {key} is another")
    return changes
