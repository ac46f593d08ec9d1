"""Change numbers in the text of a draft, and nothing else of it but the comment that says who.

A number is replaced where it stands, so that comments, order and layout stay. What was written is
read again: text and content say the same, or nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from panels.text.errors import UsageFault
from panels.text.printable import printable
from tasks.drafts.draft_file import FAULTS, parsed

if TYPE_CHECKING:
    from tasks.drafts.changes import At, Number
    from tasks.drafts.draft_file import Draft

BY_HAND = "by hand: "
FIRST = "said "
LONGEST_REASON = 160
"""So much of a reason stands in the file; the log of decisions has it whole."""


def text_with(draft: Draft, numbers: Mapping[At, Number], content: Any, comment: str) -> str:
    """Give the text of a draft with other numbers, each line with the comment on who moved it.

    ``content`` is what the text has to say then, ``comment`` as ``by_hand`` gives it. Raises a
    UsageFault where a number is not written out in the file.
    """
    text = draft.text
    lines: list[tuple[int, str]] = []
    for at, number in _from_the_end(draft, numbers):
        begin, end = _span(draft, at)
        text = f"{text[:begin]}{number}{text[end:]}"
        shift = len(str(number)) - (end - begin)
        lines = [(place + shift, was) for place, was in lines]
        place = end + shift
        if at[-1] == "value":
            lines.append((place, draft.text[begin:end]))
        elif at[0] == "gates" and not (lines and "\n" not in text[place : lines[-1][0]]):
            lines.append((place, ""))
    for place, was in lines:
        text = _commented(text, place, comment, was)
    _refuse_other_content(draft, text, content)
    return text


def source_of(draft: Draft, at: At) -> str:
    """Give the comment at the end of the line on which a number stands, or nothing."""
    span = draft.document.span(at)
    if span is None:
        return ""
    begin, end = _comment(draft.text, span[1])
    return draft.text[begin:end].lstrip(" #").strip()


def _refuse_other_content(draft: Draft, text: str, content: Any) -> None:
    """Refuse a text that does not say what it has to, such as where an alias shares a number."""
    try:
        says = parsed(draft.name.kind, text, draft.path).content
    except UsageFault:
        says = None
    if says != content:
        raise FAULTS[draft.name.kind](
            f"{draft.path}: the number cannot be changed here, the way it is written. Change it in "
            f"the file."
        )


def by_hand(by: str, day: str, reason: str) -> str:
    """Write the comment on a number that a person set."""
    short = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"
    return printable(f"{BY_HAND}{by}, {day}: {short}")


def _from_the_end(draft: Draft, numbers: Mapping[At, Number]) -> list[tuple[At, Number]]:
    return sorted(numbers.items(), key=lambda each: _span(draft, each[0]), reverse=True)


def _span(draft: Draft, at: At) -> tuple[int, int]:
    span = draft.document.span(at)
    if span is None:
        raise UsageFault(
            f"{draft.path}: {draft.document.words(at)} is not written out there. Change it in the "
            f"file."
        )
    return span


def _commented(text: str, end: int, comment: str, was: str) -> str:
    """Put a comment at the end of the line of a place, in the stead of the one that was there."""
    begin, stop = _comment(text, end)
    before = text[begin:stop].lstrip(" #").strip()
    return f"{text[:begin].rstrip(' ')}  # {comment}{_first_said(before, was)}{text[stop:]}"


def _first_said(before: str, was: str) -> str:
    """Give what the file said before anybody set a number by hand."""
    if before.startswith(BY_HAND):
        said = before.rpartition(" (")[2]
        return f" ({said}" if said.endswith(")") and FIRST in said else ""
    if not was:
        return f" ({before})" if before else ""
    return f" ({before + ',' if before else 'the file'} {FIRST}{was})"


def _comment(text: str, end: int) -> tuple[int, int]:
    """Find the comment on the line of a place: where it begins and ends; empty where is none."""
    stop = len(text)
    for mark in ("\n", "\r"):
        found = text.find(mark, end, stop)
        stop = stop if found < 0 else found
    quote = ""
    for place in range(end, stop):
        letter = text[place]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and text[place - 1] in " [{,:":
            quote = letter
        elif letter == "#" and text[place - 1] in " \t":
            return place, stop
    return stop, stop
