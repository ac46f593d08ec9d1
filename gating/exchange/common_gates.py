"""Find the gates that the samples of a FlowJo workspace have in common.

A group's gates are those of all its samples. Where no group has gates, and for gates that a group
lacks, those count that most samples have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from gating.exchange.flowjo_groups import Group, groups_of, shortlist
from gating.exchange.flowjo_populations import ROOT, Drawn
from gating.exchange.foreign_document import Path
from gating.exchange.import_notes import Note
from gating.exchange.workspace_samples import WorkspaceSample
from panels.panel import Panel
from panels.text.errors import StrategyFault, UsageFault
from panels.text.printable import shown

if TYPE_CHECKING:
    from lxml import etree


@dataclass(frozen=True, slots=True)
class CommonGates:
    """The gates of a group, or those most samples have (``group`` empty), parents first.

    ``template`` is the member whose scales and compensation hold for the gates; ``left_out`` maps
    the label of each sample that is no member to the reason.
    """

    group: str
    gates: Mapping[Path, Drawn]
    members: tuple[WorkspaceSample, ...]
    template: WorkspaceSample
    left_out: Mapping[str, str]
    notes: tuple[Note, ...]

    def element(self) -> etree._Element:
        """Write a ``Sample`` element with the common gates and the template's axes."""
        from lxml import etree

        sample = deepcopy(self.template.element)
        node = sample.find("SampleNode")
        for below in node.findall("Subpopulations"):
            node.remove(below)
        made: dict[Path, etree._Element] = {ROOT: node}
        for path, drawn in self.gates.items():
            above = made[path[:-1]]
            below = above.find("Subpopulations")
            if below is None:
                below = etree.SubElement(above, "Subpopulations")
            made[path] = deepcopy(drawn.element)
            for inner in made[path].findall("Subpopulations"):
                made[path].remove(inner)
            below.append(made[path])
        return sample


def common_gates(
    document: FilePath,
    root: etree._Element,
    samples: Sequence[WorkspaceSample],
    panel: Panel,
    wanted: str | None = None,
) -> CommonGates:
    """Find the gates of the samples that a panel reads.

    ``wanted`` names the group; else it is the one with gates that has most of these samples. Raises
    UsageFault for a group that is not there or has no gates, StrategyFault when the panel reads no
    sample, or no sample has gates.
    """
    fitting, left_out = _of_panel(document, samples, panel)
    group, notes = _group(document, root, fitting, wanted)
    # Without a group a control without gates is like any other sample, and would be a majority.
    members = [each for each in fitting if each.gates]
    if group is None:
        left_out |= {each.label: NO_GATES for each in fitting if not each.gates}
    else:
        members = [each for each in fitting if each.number in group.members]
        reason = f"not in the group {shown(group.name)}"
        left_out |= {each.label: reason for each in fitting if each not in members}
    if not members:
        raise StrategyFault(f"{document}: no sample that the panel {panel.panel} reads has a gate.")
    gates = _gates(members, {} if group is None else group.gates)
    if not gates:
        raise StrategyFault(
            f"{document}: no gate is in more than half of the samples that the panel "
            f"{panel.panel} reads. Import the gates of one with --sample."
        )
    return CommonGates(
        group="" if group is None else group.name,
        gates=gates,
        members=tuple(members),
        template=_template(members),
        left_out=left_out,
        notes=(*notes, *_left_out_notes(left_out)),
    )


def _of_panel(
    document: FilePath, samples: Sequence[WorkspaceSample], panel: Panel
) -> tuple[list[WorkspaceSample], dict[str, str]]:
    """Divide samples into those of which the panel reads most markers, and the others."""
    read = {each.label: each.markers(panel) for each in samples}
    most = max(map(len, read.values()))
    if not most:
        channels = [channel.label or channel.detector for channel in samples[0].channels]
        raise StrategyFault(
            f"{document}: the panel {panel.panel} reads no channel of any sample. Name the panel "
            f"of these tubes with --panel, or give its markers these channels as 'detector' or "
            f"'synonyms': {shortlist(channels) or 'the workspace lists none'}."
        )
    best: frozenset[str] = max(read.values(), key=len)
    left_out = {
        label: f"another panel: it does not read {shortlist(sorted(best - markers))}"
        for label, markers in read.items()
        if len(markers) < most
    }
    return [each for each in samples if each.label not in left_out], left_out


def _group(
    document: FilePath,
    root: etree._Element,
    samples: Sequence[WorkspaceSample],
    wanted: str | None,
) -> tuple[Group | None, list[Note]]:
    """Choose the group whose gates are adopted; None where no group has gates."""
    groups = [each for each in groups_of(root) if each.gates]
    numbers = {each.number for each in samples}
    if wanted is not None:
        chosen = [each for each in groups if each.name == wanted]
        if not chosen or not chosen[0].members & numbers:
            listed = ", ".join(shown(each.name) for each in groups) or "none"
            raise UsageFault(
                f"{document}: has no group '{shown(wanted)}' with gates and samples of this panel. "
                f"Groups with gates: {listed}."
            )
        return chosen[0], []
    groups = [each for each in groups if each.members & numbers]
    if not groups:
        return None, [Note("to do", "", NO_GROUP)]
    chosen = sorted(groups, key=lambda each: (-len(each.members & numbers), -len(each.gates)))
    others = [shown(each.name) for each in chosen[1:]]
    notes = [Note("changed", "", f"The gates are those of the group {shown(chosen[0].name)}.")]
    if others:
        text = (
            f"Other groups with gates were not adopted: {shortlist(others)}. To have one of them, "
            f"import it under another name with --group."
        )
        notes.append(Note("to do", "", text))
    return chosen[0], notes


NO_GATES = "it has no gates"
NO_GROUP = (
    "No group of the workspace has gates: the strategy has the gates that most of the samples "
    "have. Look whether they are the ones that are meant for all."
)


def _gates(members: Sequence[WorkspaceSample], of_group: Mapping[Path, Drawn]) -> dict[Path, Drawn]:
    """Give the gates of a group, and those it lacks that more than half of the samples have."""
    gates = dict(of_group)
    having = Counter(path for each in members for path in each.gates)
    for path, many in having.items():
        if path in gates or 2 * many <= len(members):
            continue
        alike = Counter(each.gates[path].shape for each in members if path in each.gates)
        shape = alike.most_common(1)[0][0]
        gates[path] = next(
            each.gates[path]
            for each in members
            if path in each.gates and each.gates[path].shape == shape
        )
    return dict(sorted(gates.items(), key=lambda each: len(each[0])))


def _template(members: Sequence[WorkspaceSample]) -> WorkspaceSample:
    """Choose the sample whose scales and compensation are taken.

    It is one whose file is at hand, where there is one, with the axes that most of them have.
    """
    gated = [each for each in members if each.gates] or list(members)
    at_hand = [each for each in gated if each.state == "at hand"]
    known = at_hand or [each for each in gated if each.header is not None] or gated
    axes = [_axes_of(each) for each in known]
    return known[axes.index(Counter(axes).most_common(1)[0][0])]


def _axes_of(sample: WorkspaceSample) -> tuple[object, ...]:
    """Give what tells the scales and the compensation of a sample from those of another."""
    scales = sample.element.iterfind("Transformations/*")
    matrix = sample.element.iterfind(".//{*}spilloverMatrix//{*}coefficient")
    return tuple(tuple(sorted(each.attrib.items())) for each in (*scales, *matrix))


def _left_out_notes(left_out: Mapping[str, str]) -> Iterator[Note]:
    for reason in dict.fromkeys(left_out.values()):
        labels = [label for label, each in left_out.items() if each == reason]
        text = f"Samples left out ({reason}): {shortlist(labels)}."
        cure = " Import them under another name, with their own panel or --group."
        yield Note("to do", "", text if reason == NO_GATES else text + cure)
