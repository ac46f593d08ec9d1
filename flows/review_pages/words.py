"""Say on a page what is wrong with what was sent to the review server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panels.text.errors import FieldFault
from tasks.corrections.boundaries import LEAST_VERTICES, MOST_VERTICES

UNREADABLE = "What was sent to the review server cannot be read: nothing was saved."
UNFORESEEN = "The review server failed at this; what it was at is in its own log."
_FIELDS = {
    "by": "Your name",
    "comment": "The comment",
    "gate": "The outline of",
    "meaning": "What the signature means",
    "reason": "The reason",
    "second": "The second person",
    "threshold": "The threshold",
    "tube": "The tube",
}
"""What the forms call the fields of ``FieldFault``."""
_KINDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "float_type": "is no number",
    "finite_number": "is no number",
    "too_short": f"an outline has {LEAST_VERTICES} to {MOST_VERTICES} vertices",
    "too_long": f"an outline has {LEAST_VERTICES} to {MOST_VERTICES} vertices",
}


def on_page(fault: Exception) -> str:
    """Say a fault with the names that the forms have for what a person gives."""
    sentence = str(fault)
    if isinstance(fault, FieldFault):
        sentence = fault.sentence(_FIELDS.get(fault.field, fault.field), " at ")
    return sentence[:1].upper() + sentence[1:]


def why_malformed(error: Mapping[str, Any]) -> str:
    """Say what is wrong with a body, given the first error that its model finds."""
    place = ".".join(map(str, error["loc"][1:]))
    if error["type"] == "json_invalid" or not place:
        return UNREADABLE
    return f"{place}: {_KINDS.get(error['type'], error['msg'])}."
