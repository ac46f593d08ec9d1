"""Check how the gates of a Gating-ML document refer to each other before a parser follows them.

Names that are no XML names are replaced by valid ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gating.strategy.bounds import (
    LONGEST_NAME,
    MOST_CORNERS,
    MOST_CORNERS_TOGETHER,
    MOST_GATES,
    MOST_LEVELS,
)
from panels.text.errors import StrategyFault
from panels.text.printable import shown

if TYPE_CHECKING:
    from lxml import etree

STANDARD = "http://www.isac-net.org/std/Gating-ML/v2.0/"
SPACES = {
    "gating": f"{STANDARD}gating",
    "data-type": f"{STANDARD}datatypes",
    "transforms": f"{STANDARD}transformations",
}
KINDS = ("RectangleGate", "PolygonGate", "EllipsoidGate", "QuadrantGate", "BooleanGate")
XML_NAME = re.compile(r"[^\W\d][\w.\-]*")
NAMES = (
    "gating:id",
    "gating:parent_id",
    "gating:ref",
    "gating:divider_ref",
    "gating:transformation-ref",
    "gating:compensation-ref",
    "transforms:id",
    "data-type:transformation-ref",
)
"""Attributes that name a gate, a divider, a scale or a matrix."""


def check_structure(path: Path, root: etree._Element) -> None:
    """Refuse a document whose gates cannot be evaluated one after the other.

    Raises StrategyFault for gates without a name or of one name, for references to a gate that is
    not there, for circles, and for too many gates, levels, corners or letters in a name.
    """
    gates = list(root.iterchildren(*(qualified(f"gating:{kind}") for kind in KINDS)))
    if len(gates) > MOST_GATES:
        raise StrategyFault(
            f"{path}: {len(gates):,} gates are more than one strategy has ({MOST_GATES:,} at most)."
        )
    _check_sizes(path, root)
    needs: dict[str, list[str]] = {}
    for gate in gates:
        for name, needed in _named(path, gate):
            if name in needs:
                raise StrategyFault(
                    f"{path}: two gates are called '{shown(name)}'. Give each a name of its own."
                )
            _check_name(path, name, needed)
            needs[name] = needed
    _check_present(path, needs)
    _check_levels(path, needs)


def _check_name(path: Path, name: str, needed: list[str]) -> None:
    if name == "root":
        raise StrategyFault(
            f"{path}: a gate is called 'root', which stands for all events. Rename it."
        )
    if len(needed) > MOST_GATES:
        raise StrategyFault(
            f"{path}: the gate '{shown(name)}' combines {len(needed):,} gates "
            f"({MOST_GATES} at most)."
        )


def _check_present(path: Path, needs: Mapping[str, list[str]]) -> None:
    """Refuse references to gates that are not there."""
    for name, needed in needs.items():
        missing = [other for other in needed if other not in needs]
        if missing:
            raise StrategyFault(
                f"{path}: the gate '{shown(name)}' refers to '{shown(missing[0])}', which is not "
                f"in the document."
            )


def _check_sizes(path: Path, root: etree._Element) -> None:
    """Refuse names too long to be names, and polygons that would take minutes a tube."""
    for element in root.iter("{*}*"):
        longest = max(map(len, element.attrib.values()), default=0)
        if longest > LONGEST_NAME:
            raise StrategyFault(
                f"{path}, line {element.sourceline}: a name or number of {longest:,} letters is "
                f"none ({LONGEST_NAME} at most). Correct it."
            )
    together = 0
    for polygon in root.iter(qualified("gating:PolygonGate")):
        corners = sum(1 for _ in polygon.iterchildren(qualified("gating:vertex")))
        together += corners
        if corners > MOST_CORNERS or together > MOST_CORNERS_TOGETHER:
            raise StrategyFault(
                f"{path}, line {polygon.sourceline}: has polygons of more than "
                f"{MOST_CORNERS:,} corners, or {MOST_CORNERS_TOGETHER:,} together. "
                f"Draw them with fewer."
            )


def _named(path: Path, gate: etree._Element) -> Iterator[tuple[str, list[str]]]:
    """Yield a gate, and its quadrants, with the names it needs."""
    parent = gate.get(qualified("gating:parent_id"))
    above = [] if parent is None else [parent]
    references = gate.iter(qualified("gating:gateReference"))
    name = _identifier(path, gate)
    yield name, [*above, *(each.get(qualified("gating:ref"), "") for each in references)]
    for quadrant in gate.iter(qualified("gating:Quadrant")):
        yield _identifier(path, quadrant), [name]


def _identifier(path: Path, element: etree._Element) -> str:
    name = element.get(qualified("gating:id"))
    if not name:
        raise StrategyFault(
            f"{path}, line {element.sourceline}: a gate has no gating:id. Give it a name."
        )
    return str(name)


def _check_levels(path: Path, needs: Mapping[str, list[str]]) -> None:
    """Refuse circles and too many levels of gates.

    Gates are settled level by level: those whose needs are settled come next, and what never is
    refers to itself.
    """
    settled: set[str] = set()
    waiting = dict(needs)
    levels = 0
    while waiting:
        ready = [name for name, needed in waiting.items() if settled.issuperset(needed)]
        if not ready:
            listed = ", ".join(map(shown, sorted(waiting)[:6]))
            raise StrategyFault(
                f"{path}: gates refer to each other in a circle, so that none can be counted "
                f"first (among them {listed})."
            )
        levels += 1
        if levels > MOST_LEVELS:
            raise StrategyFault(
                f"{path}: gates stand on each other more than {MOST_LEVELS} levels deep: no "
                f"strategy does."
            )
        settled |= set(ready)
        for name in ready:
            del waiting[name]


def make_names_valid(root: etree._Element) -> dict[str, str]:
    """Replace names that are no XML names (``IgD+CD27+``, as FlowKit writes) wherever they occur.

    Gives new name → the document's.
    """
    attributes = [
        (element, key)
        for element in root.iter("{*}*")
        for key in map(qualified, NAMES)
        if element.get(key)
    ]
    used = {element.get(key) for element, key in attributes}
    new: dict[str, str] = {}
    for name in sorted(name for name in used if not XML_NAME.fullmatch(name)):
        valid = re.sub(r"[^\w.\-]", "_", name)
        if not XML_NAME.fullmatch(valid):
            valid = f"_{valid}"
        while valid in used:
            valid += "_"
        used.add(valid)
        new[name] = valid
    for element, key in attributes:
        name = element.get(key)
        if name in new:
            element.set(key, new[name])
    return {valid: name for name, valid in new.items()}


def qualified(name: str) -> str:
    """Write ``gating:id`` with its name space, as lxml has it."""
    space, _, local = name.partition(":")
    return f"{{{SPACES[space]}}}{local}"
