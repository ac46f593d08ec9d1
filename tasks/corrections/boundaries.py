"""Read the thresholds and outlines that a person gives for a tube."""

from __future__ import annotations

import re
from collections.abc import Sequence

from panels.text.errors import FieldFault
from panels.text.printable import shown
from tasks.store.corrections import Vertices

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?"
)
LEAST_VERTICES, MOST_VERTICES = 3, 200


def thresholds_given(texts: Sequence[str]) -> dict[str, float]:
    """Read ``NAME=VALUE`` as often as it was given; raises FieldFault with what to write instead.

    Values are in the file's linear units, as thresholds.csv prints them.
    """
    given: dict[str, float] = {}
    for text in texts:
        name, value = _parted("threshold", text, "NAME=VALUE, such as cd19=1500")
        _refuse_second("threshold", name, given)
        given[name] = _number("threshold", name, value)
    return given


def gates_given(texts: Sequence[str]) -> dict[str, Vertices]:
    """Read ``NAME=x1,y1;x2,y2;…`` as often as it was given; raises FieldFault as above."""
    given: dict[str, Vertices] = {}
    for text in texts:
        example = "NAME=x1,y1;x2,y2;x3,y3, such as cells=30000,5000;90000,5000;90000,60000"
        name, outline = _parted("gate", text, example)
        _refuse_second("gate", name, given)
        vertices = tuple(_vertex(name, part) for part in outline.strip("; ").split(";"))
        refuse_no_outline(name, len(vertices), f", written {example}")
        given[name] = vertices
    return given


def refuse_no_outline(name: str, vertices: int, written: str = "") -> None:
    """Raise FieldFault unless an outline has as many vertices as one may have."""
    if not LEAST_VERTICES <= vertices <= MOST_VERTICES:
        has = "1 vertex" if vertices == 1 else f"{vertices:,} vertices"
        why = f": {has}; an outline has {LEAST_VERTICES} to {MOST_VERTICES}{written}."
        raise FieldFault("gate", why, shown(name))


def _parted(field: str, text: str, example: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise FieldFault(field, f": write {example}.", f"'{shown(text)}'")
    return name.strip(), value.strip()


def _refuse_second(field: str, name: str, given: object) -> None:
    if isinstance(given, dict) and name in given:
        raise FieldFault(field, " is given twice: which of the two is meant?", shown(name))


def _vertex(name: str, text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        why = (
            f": '{shown(text)}' is no vertex. Write its two numbers with a comma between them, and "
            f"a ; between vertices (no commas within a number)."
        )
        raise FieldFault("gate", why, shown(name))
    return _number("gate", name, parts[0].strip()), _number("gate", name, parts[1].strip())


def _number(field: str, name: str, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        why = (
            f": '{shown(text)}' is no number. Write it with a point and without separators, such "
            f"as 1500 or 1500.5."
        )
        raise FieldFault(field, why, shown(name))
    return float(text)
