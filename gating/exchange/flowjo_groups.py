"""Find the gates of a FlowJo sample that are not its group's: a strategy made of them would hold for that sample alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gating.exchange.import_notes import Note

if TYPE_CHECKING:
    from lxml import etree

MOST_NAMED = 6


def own_gates(root: etree._Element, sample: etree._Element) -> list[Note]:
    """Compare a sample's gates with those of the groups it is in and of its neighbours there; silent when no group has gates.

    FlowJo marks a gate that follows its group with the group's name and any other with an empty
    one.
    """
    groups = {
        name: gates
        for name, gates, members in _groups(root)
        if sample.get("sampleID") in members and gates
    }
    own = dict(_gates(sample))
    if not groups or not own:
        return []
    notes = []
    for path, (owner, shape) in own.items():
        group = (
            owner
            if owner in groups
            else next((name for name, gates in groups.items() if path in gates), None)
        )
        drawn = groups[group].get(path) if group else None
        if drawn is None:
            text = (
                f"This sample alone has it: no gate of that name belongs to its group "
                f"{' or '.join(groups)}."
            )
        elif drawn[1] != shape:
            text = f"This sample's own: the group {group} has it drawn otherwise."
        else:
            continue
        notes.append(
            Note("to do", "/".join(path), f"{text} Decide which one the strategy is to have.")
        )
    for group, gates in groups.items():
        missing = [path for path in gates if path not in own]
        if missing and len(missing) < len(gates):
            listed = ", ".join("/".join(path) for path in missing[:MOST_NAMED]) + (
                " …" if len(missing) > MOST_NAMED else ""
            )
            notes.append(
                Note(
                    "to do", "", f"The group {group} has gates that this sample has not: {listed}."
                )
            )
    return notes


def gates_of_its_own(sample: etree._Element, other: etree._Element) -> list[str]:
    """List the gates that one sample has and another has not, or has drawn otherwise, by their paths."""
    theirs = {path: shape for path, (_, shape) in _gates(other)}
    return ["/".join(path) for path, (_, shape) in _gates(sample) if theirs.get(path) != shape]


def drawing(sample: etree._Element) -> frozenset[object]:
    """Give what two samples have in common that keep the same events: their gates, with all that decides who is in them."""
    return frozenset((path, shape) for path, (_, shape) in _gates(sample))


Gates = dict[tuple[str, ...], tuple[str, tuple[object, ...]]]


def _groups(root: etree._Element) -> Iterator[tuple[str, Gates, set[str]]]:
    for node in root.iter("GroupNode"):
        members = {reference.get("sampleID", "") for reference in node.iter("SampleRef")}
        yield node.get("name", ""), dict(_gates(node)), members


def _gates(
    node: etree._Element, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], tuple[str, tuple[object, ...]]]]:
    """Yield path, owning group and shape of every population below a node."""
    for populations in node.findall("Subpopulations"):
        for each in populations:
            if isinstance(each.tag, str) and each.get("name") is not None:
                path = (*above, each.get("name", ""))
                yield path, (each.get("owningGroup") or "", _shape(each))
                yield from _gates(each, path)


def _shape(population: etree._Element) -> tuple[object, ...]:
    """Give what decides which events a population keeps: kinds, channels and numbers, without ids and looks."""
    from lxml import etree

    shape: list[object] = [etree.QName(population).localname]
    for part in (*population.findall("Gate"), *population.findall("Dependents")):
        for element in part.iter(etree.Element):
            kept = {etree.QName(key).localname: value for key, value in element.attrib.items()}
            words = {
                key: kept[key]
                for key in ("min", "max", "value", "name", "eventsInside", "distance")
                if key in kept
            }
            shape.append(
                (
                    etree.QName(element).localname,
                    tuple(sorted((key, _number(value)) for key, value in words.items())),
                )
            )
    return tuple(shape)


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text
