"""Write one version of a strategy as a FlowJo 10 workspace, with the tubes it is to be seen on.

FlowKit's ``export_wsp`` writes rectangles and polygons alone, and its matrix where no sample is
read with it; so the document is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING
from urllib.parse import quote

from gating.evaluation.reference_gates import compile_reference
from gating.exchange.foreign_document import Path
from gating.exchange.gatingml_structure import SPACES
from gating.exchange.import_notes import Note
from gating.exchange.sample_tube import tubes_in
from gating.exchange.workspace_axes import WorkspaceAxes, WrittenChannel, add
from gating.exchange.workspace_populations import PopulationWriter
from gating.fcs.events import open_events
from gating.fcs.header import TubeHeader, read_header
from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.model import Strategy
from gating.thresholds.apply import apply_strategy
from panels.acquisition_time import is_time_channel
from panels.panel import Panel, match_panel
from panels.text.errors import TubeFault, UsageFault

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

NumbersFor = Callable[[TubeHeader], Strategy]
VERSION = "10.8.1"
"""The version of FlowJo whose workspaces are written so."""
KEPT = ("$TOT", "$PAR", "$TIMESTEP", "$CYT")
"""The keywords of a file that go into the workspace beside those of its channels; FlowJo reads the
others, which may name a person, from the file."""


@dataclass(frozen=True, slots=True)
class ExportedWorkspace:
    """A workspace as bytes, and what of the strategy FlowJo cannot hold as it is.

    ``samples`` are the names of the files in it; ``left_out`` are sentences on files that are not.
    """

    content: bytes
    samples: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Tube:
    """The gates of one tube with its boundaries, its axes and the events in each gate."""

    header: TubeHeader
    gating: flowkit.GatingStrategy
    axes: WorkspaceAxes
    counts: Mapping[Path, int]


def export_workspace(
    strategy: Strategy,
    panel: Panel,
    tubes: Sequence[FilePath] = (),
    instrument: str | None = None,
    numbers_for: NumbersFor | None = None,
) -> ExportedWorkspace:
    """Give a strategy as a FlowJo 10 workspace, its gates owned by a group of the strategy's name.

    Each tube has its own boundaries and the counts of ``reconflow gate``; ``numbers_for`` gives the
    strategy with the numbers of a tube's instrument. Without tubes the group has no sample. Raises
    UsageFault when none of the tubes fits the panel, PanelFault when the panel does not read a
    marker.
    """
    from lxml import etree

    root = etree.Element("Workspace", nsmap=SPACES)
    root.set("version", "20.0")
    root.set("flowJoVersion", VERSION)
    add(root, "Matrices")
    groups, listed = add(root, "Groups"), add(root, "SampleList")
    gated, left_out = _gated(strategy, panel, tubes, numbers_for or (lambda _header: strategy))
    numbers = [str(number) for number, _ in enumerate(gated, 1)]
    _group(groups, "All Samples", numbers)
    own = _group(groups, strategy.name, numbers)
    notes: list[Note] = []
    if not gated:
        notes = _gates_of_group(own, strategy, panel, instrument)
    for number, tube in zip(numbers, gated, strict=True):
        found = _sample(listed, tube, number, strategy.name)
        if number == "1":
            notes = found
            PopulationWriter(tube.gating, tube.axes, strategy.name, {}).write(own)
    content = etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)
    samples = tuple(tube.header.path.name for tube in gated)
    return ExportedWorkspace(content, samples, left_out, tuple(notes))


def tubes_to_show(place: FilePath | None) -> list[FilePath]:
    """List the FCS files that were named: one file, or those of a folder and of the folders in it.

    Raises UsageFault when there is none.
    """
    if place is None:
        return []
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UsageFault(f"{place}: there is no such file or folder.")
    found = [file for files in tubes_in(place, deep=True).values() for file in files]
    if not found:
        raise UsageFault(f"{place}: holds no FCS file.")
    return sorted(found)


def _gated(
    strategy: Strategy, panel: Panel, tubes: Sequence[FilePath], numbers_for: NumbersFor
) -> tuple[list[_Tube], tuple[str, ...]]:
    """Count the tubes that fit the panel; say why others do not."""
    gated, left_out = [], []
    for path in tubes:
        try:
            gated.append(_tube(numbers_for, panel, path))
        except TubeFault as fault:
            left_out.append(str(fault))
    if tubes and not gated:
        raise UsageFault(
            f"No file can be counted under {strategy.name}, so the workspace would have no "
            f"sample. {left_out[0]}"
        )
    return gated, tuple(left_out)


def _tube(numbers_for: NumbersFor, panel: Panel, path: FilePath) -> _Tube:
    header = read_header(path)
    match = match_panel(panel, header.channels)
    applied = apply_strategy(numbers_for(header), match, header, open_events(header))
    gating = applied.compiled.gating
    channels = {
        channel.detector: WrittenChannel(
            channel.detector, channel.label, channel.maximum, _gain(header, channel.index)
        )
        for channel in header.channels
    }
    matrix = next(iter(gating.comp_matrices.values()), None)
    axes = WorkspaceAxes(channels, gating.transformations, matrix, header.time_step)
    kept = applied.evaluation
    return _Tube(header, gating, axes, {path: kept.count(path) for path in kept.rows})


def _gain(header: TubeHeader, index: int) -> float:
    """Give ``$PnG``, which our reader divides by; Time has none."""
    written = header.keywords.get(f"$P{index + 1}G", "").strip()
    if is_time_channel(header.channels[index].detector):
        return 1.0
    return (float(written) if written else 1.0) or 1.0


def _group(groups: etree._Element, name: str, numbers: Iterable[str]) -> etree._Element:
    node = add(groups, "GroupNode", name=name, annotation="", owningGroup=name, count="-1")
    group = add(node, "Group", name=name, live="1")
    references = add(group, "SampleRefs")
    for number in numbers:
        add(references, "SampleRef", sampleID=number)
    return node


def _gates_of_group(
    node: etree._Element, strategy: Strategy, panel: Panel, instrument: str | None
) -> list[Note]:
    """Write the gates of a strategy for no tube in particular, its axes ending at 262144."""
    import flowkit
    import numpy as np

    gating = compile_reference(strategy, panel, instrument)
    known = panel.detectors()[instrument or panel.instrument]
    detectors = [*known.values(), *panel.scatter.values()]
    channels = {each: WrittenChannel(each, "", FULL_SCALE) for each in detectors}
    matrix = next(iter(gating.comp_matrices.values()), None)
    if matrix is None and panel.compensated:
        stained = list(known.values())
        matrix = flowkit.Matrix(np.eye(len(stained)), stained, fluorochromes=list(stained))
    axes = WorkspaceAxes(channels, gating.transformations, matrix, None)
    writer = PopulationWriter(gating, axes, strategy.name, {})
    writer.write(node)
    text = (
        "No file was named with --fcs, so the group has no sample: add your files to it in FlowJo. "
        "Bounds are those of files whose axes end at 262144."
    )
    return [*writer.notes, Note("changed", "", text)]


def _sample(listed: etree._Element, tube: _Tube, number: str, owner: str) -> list[Note]:
    """Write one sample: its file, compensation, scales, channels and gates with their counts."""
    name = tube.header.path.name
    sample = add(listed, "Sample")
    add(sample, "DataSet", uri=quote(name), sampleID=number)
    tube.axes.add_matrix(sample)
    scales, keywords = add(sample, "Transformations"), add(sample, "Keywords")
    for key, value in _keywords(tube.header):
        add(keywords, "Keyword", name=key, value=value)
    node = add(
        sample,
        "SampleNode",
        name=name,
        annotation="",
        owningGroup="",
        count=str(tube.header.event_count),
        sampleID=number,
    )
    writer = PopulationWriter(tube.gating, tube.axes, owner, tube.counts)
    writer.write(node)
    tube.axes.add_scales(scales, writer.used)
    return writer.notes


def _keywords(header: TubeHeader) -> Iterable[tuple[str, str]]:
    for key in KEPT:
        if key in header.keywords:
            yield key, header.keywords[key].strip()
    for number in range(1, len(header.channels) + 1):
        for letter in "NSRG":
            key = f"$P{number}{letter}"
            if header.keywords.get(key, "").strip():
                yield key, header.keywords[key].strip()
