"""Say that a name is unknown, and list those that are known, the nearest first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from panels.text.errors import FieldFault
from panels.text.printable import shown

LISTED = " It has:"
"""How a sentence ends that is followed by a list of names, one a line."""


def unknown_name(
    field: str, name: str, thing: str, known: Iterable[str], described: Mapping[str, str]
) -> FieldFault:
    """Give the fault for a name that nothing of a tube has.

    ``described`` says more of each known name, or of the unknown one itself.
    """
    if name in described:
        return FieldFault(field, f": it {described[name]}.", shown(name))

    def likeness(each: str) -> tuple[bool, float, str]:
        begins_so = each.startswith(name) or name.startswith(each)
        return not begins_so, -difflib.SequenceMatcher(None, name, each).ratio(), each

    listed = sorted(known, key=likeness)
    if not listed:
        return FieldFault(field, f": this tube has no {thing}.", shown(name))
    lines = [f"  {each:<20} {described.get(each, '')}".rstrip() for each in listed]
    why = "\n".join([f": this tube has no {thing} of that name.{LISTED}", *lines])
    return FieldFault(field, why, shown(name))
