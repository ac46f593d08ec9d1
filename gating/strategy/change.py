"""Describe one thing that changed between two versions of a strategy.

Each change requires a step of the version number: *major*, a definition changes and counts before
and after are not of the same thing; *minor*, populations (and the gates they need) are added and
nothing else; *patch*, bounds move within the limits their threshold declares, or only words change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Step = Literal["none", "patch", "minor", "major"]
STEPS: tuple[Step, ...] = ("none", "patch", "minor", "major")
MEANING: Mapping[Step, str] = {
    "none": "nothing differs",
    "patch": "bounds move within declared limits, or words change",
    "minor": "populations are added",
    "major": "a definition changes",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed from one version to another.

    ``kind`` and ``where`` are for programs, ``text`` is for people; ``step`` is the step of the
    version number that the change requires.
    """

    kind: str
    where: str
    text: str
    step: Step
    was: Any = None
    now: Any = None


def field_changes(
    where: str,
    old: Any,
    new: Any,
    *,
    without: Collection[str] = (),
    words: Collection[str] = (),
) -> Iterator[Change]:
    """Compare two models field by field, but for the fields in ``without``.

    A field that is not in ``words`` is a part of the definition.
    """
    for field in type(new).model_fields:
        was, now = getattr(old, field), getattr(new, field)
        if field in without or was == now:
            continue
        kind, _, name = where.partition(" ")
        text = f"{where}: {field.replace('_', ' ')} is now {written(now)} (was {written(was)})"
        step: Step = "patch" if field in words else "major"
        yield Change(f"{kind}_{field}", name or kind, text, step, _for_json(was), _for_json(now))


def written(value: Any) -> str:
    """Write a value as a person would."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:.10g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {written(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return f"({', '.join(map(written, value))})"
    if value is None or value == "":
        return "not given"
    if hasattr(value, "model_dump"):
        return written(value.model_dump())
    return str(value)


def _for_json(value: Any) -> Any:
    """Give a value in the types that JSON has."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    return value
