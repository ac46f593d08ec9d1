"""Find the first entry of the log that is not as it was written."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tasks.store.audit import Head, KeptEntry


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain breaks: the number of the first entry concerned, and how, in a sentence."""

    number: int
    how: str


def first_break(
    kept: Sequence[KeptEntry], noted: Head | None, heads: Sequence[Head] = ()
) -> Break | None:
    """Find the first break of a chain; None where every entry is as it was written.

    ``kept`` are all entries by number, ``noted`` is how far the log goes by the store's own note,
    ``heads`` how far it went at times when that was noted elsewhere.
    """
    ends = [_end(kept, head) for head in (noted, *heads) if head is not None]
    found = [_numbering(kept), _alteration(kept), _link(kept), _beyond(kept, noted), *ends]
    breaks = [each for each in found if each is not None]
    return min(breaks, key=lambda each: each.number, default=None)


def _numbering(kept: Sequence[KeptEntry]) -> Break | None:
    for expected, entry in enumerate(kept, 1):
        if entry.number != expected:
            last = entry.number - 1
            named = (
                f"Entry {expected} is" if last == expected else f"Entries {expected} to {last} are"
            )
            before = f"entry {expected - 1}" if expected > 1 else "the beginning"
            how = f"{named} missing: entry {entry.number} comes right after {before}."
            return Break(expected, how)
    return None


def _alteration(kept: Sequence[KeptEntry]) -> Break | None:
    for entry in kept:
        if entry.sha256 != entry.expected:
            how = f"Entry {entry.number} was altered: what it says now does not give its hash."
            return Break(entry.number, how)
    return None


def _link(kept: Sequence[KeptEntry]) -> Break | None:
    """Find an entry that was written anew with a hash that fits it, but not what follows."""
    if kept and kept[0].number == 1 and kept[0].previous:
        return Break(1, "Entry 1 was written anew: it names an entry before it.")
    for entry, following in pairwise(kept):
        follows = following.number == entry.number + 1 and following.sha256 == following.expected
        if follows and following.previous != entry.sha256:
            how = (
                f"Entry {entry.number} was written anew: entry {following.number} was made after "
                "another one."
            )
            return Break(entry.number, how)
    return None


def _end(kept: Sequence[KeptEntry], head: Head) -> Break | None:
    """Compare the chain with how far it went at some time."""
    at = next((entry for entry in kept if entry.number == head.number), None)
    if at is not None and at.sha256 != head.sha256:
        how = f"Entry {head.number} was written anew: its hash was noted as {head.sha256[:12]}."
        return Break(head.number, how)
    last = kept[-1].number if kept else 0
    if at is None and last < head.number:
        lost = (
            f"Entry {head.number}"
            if head.number == last + 1
            else (f"Entries {last + 1} to {head.number}")
        )
        verb = "is" if head.number == last + 1 else "are"
        return Break(last + 1, f"{lost} {verb} missing: the log was cut at its end.")
    return None


def _beyond(kept: Sequence[KeptEntry], noted: Head | None) -> Break | None:
    """Find an entry that was not appended by the program, which notes how far the log goes."""
    number = noted.number if noted else 0
    added = next((entry.number for entry in kept if entry.number > number), None)
    if added is None:
        return None
    how = f"Entry {added} was added by another hand: the store noted {number:,} entries."
    return Break(added, how)
