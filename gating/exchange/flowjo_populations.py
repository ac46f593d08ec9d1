"""Walk the populations of a FlowJo sample or group, and tell which keep the same events."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gating.exchange.foreign_document import Path
from gating.strategy.bounds import MOST_GATES
from panels.text.errors import StrategyFault
from panels.text.printable import printable, shown

if TYPE_CHECKING:
    from lxml import etree

BOOLEANS = {"AndNode": "and", "OrNode": "or", "NotNode": "not"}
Shape = tuple[object, ...]
DECIDING = ("min", "max", "value", "name", "eventsInside", "distance")
"""The attributes of a shape that decide which events it keeps."""
ROOT: Path = ("root",)
DIGITS = 12
"""Numbers are compared to this many digits: saving a workspace again rounds the rest."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One population as a workspace has it.

    ``path`` begins with ``root`` and is that of ``Foreign``; ``owner`` is the group whose gate it
    follows (empty: none); two populations with the same ``shape`` keep the same events.
    """

    path: Path
    element: etree._Element
    owner: str
    shape: Shape


def drawn_populations(node: etree._Element) -> dict[Path, Drawn]:
    """Give every population below a sample's or group's node by its path, parents first.

    A second population of one name under the same parent is numbered, as ``Foreign`` numbers it.
    Raises StrategyFault when there are more than a strategy has.
    """
    drawn: dict[Path, Drawn] = {}
    waiting: list[tuple[etree._Element, Path]] = [(node, ROOT)]
    while waiting:
        above, parent = waiting.pop(0)
        for each in above.iterfind("Subpopulations/*"):
            if each.tag == "Population" or each.tag in BOOLEANS:
                if len(drawn) >= MOST_GATES:
                    raise StrategyFault(
                        f"'{shown(node.get('name', ''))}', line {node.sourceline}, has more than "
                        f"{MOST_GATES:,} gates in one sample or group: more than one strategy has."
                    )
                path = unique_path((*parent, plain_name(each.get("name") or "unnamed")), drawn)
                drawn[path] = Drawn(path, each, each.get("owningGroup") or "", _shape(each))
                waiting.append((each, path))
    return drawn


def unique_path(path: Path, taken: Container[Path]) -> Path:
    """Number a path that is among ``taken`` already: ``B``, ``B (2)``, ``B (3)``."""
    unique, number = path, 2
    while unique in taken:
        unique, number = (*path[:-1], f"{path[-1]} ({number})"), number + 1
    return unique


def plain_name(name: str) -> str:
    """Write a name so that a path can hold it: on one line, without '/', and not '.' or 'root'."""
    plain = printable(" ".join(name.split())).replace("/", "_") or "unnamed"
    return f"{plain}_" if plain in {".", "..", "root"} else plain


def channels_of(population: etree._Element) -> Iterator[str]:
    """Yield the names of the channels that a population's shape is drawn on."""
    for gate in population.findall("Gate"):
        for dimension in gate.iter("{*}fcs-dimension"):
            yield from (value for key, value in dimension.attrib.items() if key.endswith("}name"))


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
            shape.append((etree.QName(element).localname, tuple(sorted(deciding, key=repr))))
    return tuple(shape)


def _number(text: str) -> object:
    try:
        return float(f"{float(text):.{DIGITS}g}")
    except ValueError:
        return text
