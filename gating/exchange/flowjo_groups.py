"""Find the gates of a FlowJo sample that are not its group's.

A strategy made of them would hold for that sample alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gating.exchange.import_notes import Note

if TYPE_CHECKING:
    from lxml import etree

MOST_NAMED = 6
Path = tuple[str, ...]
Shape = tuple[object, ...]
Gates = dict[Path, tuple[str, Shape]]
"""The group that owns each gate, and the gate's shape."""
DECIDING = ("min", "max", "value", "name", "eventsInside", "distance")
"""The attributes of a shape that decide which events it keeps."""


def notes_on_groups(root: etree._Element, sample: etree._Element) -> list[Note]:
    """Note where a sample's gates differ from those of the groups it is in.

    FlowJo marks a gate that follows its group with the group's name and any other with an empty
    one. There are no notes when no group has gates.
    """
    groups = {
        name: gates
        for name, gates, members in _groups(root)
        if sample.get("sampleID") in members and gates
    }
    drawn = dict(_gates(sample))
    if not groups or not drawn:
        return []
    return [*_differing_from_groups(drawn, groups), *_missing_from_sample(drawn, groups)]


def _differing_from_groups(drawn: Gates, groups: Mapping[str, Gates]) -> Iterator[Note]:
    """Note each gate of a sample that its group lacks or has drawn otherwise."""
    for path, (owner, shape) in drawn.items():
        group = owner
        if owner not in groups:
            group = next((name for name, gates in groups.items() if path in gates), "")
        in_group = groups[group].get(path) if group else None
        if in_group is None:
            text = (
                f"This sample alone has it: no gate of that name belongs to its group "
                f"{' or '.join(groups)}."
            )
        elif in_group[1] != shape:
            text = f"This sample's own: the group {group} has it drawn otherwise."
        else:
            continue
        yield Note("to do", "/".join(path), f"{text} Decide which one the strategy is to have.")


def _missing_from_sample(drawn: Gates, groups: Mapping[str, Gates]) -> Iterator[Note]:
    """Note for each group the gates that a sample lacks, unless it lacks all of them."""
    for group, gates in groups.items():
        missing = ["/".join(path) for path in gates if path not in drawn]
        if missing and len(missing) < len(gates):
            text = f"The group {group} has gates that this sample has not: {shortlist(missing)}."
            yield Note("to do", "", text)


def shortlist(names: Sequence[str]) -> str:
    """List the first six names, with an ellipsis where there are more."""
    listed = ", ".join(names[:MOST_NAMED])
    return f"{listed} …" if len(names) > MOST_NAMED else listed


def differing_gates(sample: etree._Element, other: etree._Element) -> list[str]:
    """List the paths of the gates that one sample has and another lacks or has drawn otherwise."""
    others = {path: shape for path, (_, shape) in _gates(other)}
    return ["/".join(path) for path, (_, shape) in _gates(sample) if others.get(path) != shape]


def gate_signature(sample: etree._Element) -> frozenset[object]:
    """Give a sample's gates with all that decides which events they keep.

    Two samples with the same signature keep the same events.
    """
    return frozenset((path, shape) for path, (_, shape) in _gates(sample))


def _groups(root: etree._Element) -> Iterator[tuple[str, Gates, set[str]]]:
    for node in root.iter("GroupNode"):
        members = {reference.get("sampleID", "") for reference in node.iter("SampleRef")}
        yield node.get("name", ""), dict(_gates(node)), members


def _gates(node: etree._Element, above: Path = ()) -> Iterator[tuple[Path, tuple[str, Shape]]]:
    """Yield path, owning group and shape of every population below a node."""
    for populations in node.findall("Subpopulations"):
        for each in populations:
            if isinstance(each.tag, str) and each.get("name") is not None:
                path = (*above, each.get("name", ""))
                yield path, (each.get("owningGroup") or "", _shape(each))
                yield from _gates(each, path)


def _shape(population: etree._Element) -> Shape:
    """Give what decides which events a population keeps: kinds, channels and numbers.

    Identifiers and colours are left out.
    """
    from lxml import etree

    shape: list[object] = [etree.QName(population).localname]
    for part in (*population.findall("Gate"), *population.findall("Dependents")):
        for element in part.iter(etree.Element):
            written = {etree.QName(key).localname: value for key, value in element.attrib.items()}
            deciding = [(key, _number(written[key])) for key in DECIDING if key in written]
            shape.append((etree.QName(element).localname, tuple(sorted(deciding))))
    return tuple(shape)


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text
