"""Find the gates of a FlowJo sample that are not its group's.

A strategy made of them would hold for that sample alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gating.exchange.flowjo_populations import Drawn, drawn_populations
from gating.exchange.foreign_document import Path
from gating.exchange.import_notes import Note
from panels.text.errors import StrategyFault
from panels.text.printable import shown

if TYPE_CHECKING:
    from lxml import etree

MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a workspace: its gates, and the ``sampleID`` of the samples in it."""

    name: str
    gates: Mapping[Path, Drawn]
    members: frozenset[str]


def groups_of(root: etree._Element) -> list[Group]:
    """List the groups of a workspace in its order."""
    return [
        Group(
            node.get("name", ""),
            drawn_populations(node),
            frozenset(reference.get("sampleID", "") for reference in node.iter("SampleRef")),
        )
        for node in root.iter("GroupNode")
    ]


def notes_on_groups(root: etree._Element, sample: etree._Element) -> list[Note]:
    """Note where a sample's gates differ from those of the groups it is in.

    FlowJo marks a gate that follows its group with the group's name and any other with an empty
    one. There are no notes when no group has gates.
    """
    groups = {
        group.name: group.gates
        for group in groups_of(root)
        if sample.get("sampleID") in group.members and group.gates
    }
    drawn = drawn_populations(sample)
    if not groups or not drawn:
        return []
    return [*_differing_from_groups(drawn, groups), *_missing_from_sample(drawn, groups)]


def notes_on_other_samples(root: etree._Element, sample: etree._Element) -> list[Note]:
    """Note that other samples of a workspace have gates of this one drawn otherwise, and which."""
    drawn = drawn_populations(sample)
    differing: dict[str, list[str]] = {}
    for other in root.iterfind(".//Sample/SampleNode"):
        if other is sample:
            continue
        theirs = _readable(other)
        otherwise = [
            "/".join(path[1:])
            for path, own in drawn.items()
            if path in theirs and theirs[path].shape != own.shape
        ]
        for gate in otherwise:
            differing.setdefault(gate, []).append(shown(other.get("name", "")))
    return [
        Note(
            "to do",
            gate,
            f"Other samples have it drawn otherwise ({shortlist(samples)}): it is this sample's. "
            f"--all-samples adopts the whole workspace and lists what each sample has.",
        )
        for gate, samples in differing.items()
    ]


def _readable(sample: etree._Element) -> Mapping[Path, Drawn]:
    """Give the gates of a sample that is not the one asked for; none where it has too many."""
    try:
        return drawn_populations(sample)
    except StrategyFault:
        return {}


def _differing_from_groups(
    drawn: Mapping[Path, Drawn], groups: Mapping[str, Mapping[Path, Drawn]]
) -> Iterator[Note]:
    """Note each gate of a sample that its group lacks or has drawn otherwise."""
    for path, own in drawn.items():
        group = own.owner
        if group not in groups:
            group = next((name for name, gates in groups.items() if path in gates), "")
        in_group = groups[group].get(path) if group else None
        if in_group is None:
            text = (
                f"This sample alone has it: no gate of that name belongs to its group "
                f"{' or '.join(groups)}."
            )
        elif in_group.shape != own.shape:
            text = f"This sample's own: the group {group} has it drawn otherwise."
        else:
            continue
        yield Note("to do", "/".join(path[1:]), f"{text} Decide which one the strategy is to have.")


def _missing_from_sample(
    drawn: Mapping[Path, Drawn], groups: Mapping[str, Mapping[Path, Drawn]]
) -> Iterator[Note]:
    """Note for each group the gates that a sample lacks, unless it lacks all of them."""
    for group, gates in groups.items():
        missing = ["/".join(path[1:]) for path in gates if path not in drawn]
        if missing and len(missing) < len(gates):
            text = f"The group {group} has gates that this sample has not: {shortlist(missing)}."
            yield Note("to do", "", text)


def shortlist(names: Sequence[str]) -> str:
    """List the first six names, with an ellipsis where there are more."""
    listed = ", ".join(names[:MOST_NAMED])
    return f"{listed} …" if len(names) > MOST_NAMED else listed
