"""Keep what a person moved in the file of a draft, and in the log of decisions; tell it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from panels.files.durable import write_durably
from panels.text.errors import UsageFault
from tasks.calibrate.draft_file import is_as_drafted
from tasks.drafts.changes import Changes, changed, moved, replaced_numbers
from tasks.drafts.draft_file import FAULTS, Draft, DraftName, draft_named, read_draft
from tasks.drafts.file_text import by_hand, text_with
from tasks.drafts.permitted import why_refused
from tasks.store.audit import AuditEntry, KeptEntry, add_entry, entries_on
from tasks.store.opening import Store, utc_now
from tasks.vocabulary.person import explanation, person

if TYPE_CHECKING:
    from tasks.study.folder import Study

EDITED = "edited draft"


class OutdatedDraft(UsageFault):
    """A draft that was changed since it was looked at."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit by hand: when (UTC), by whom, why, and what was moved in words.

    ``numbers`` are those it moved, by place in the file, before and after it.
    """

    at: str
    by: str
    reason: str
    words: tuple[str, ...]
    after: str
    numbers: Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class Told:
    """What the log tells of a draft; ``unlogged`` says that its last change is not in it."""

    edits: tuple[Edit, ...] = ()
    unlogged: str = ""

    def in_force(self) -> list[Edit]:
        """Give the edits of which a boundary stands now where it was not drafted.

        A number that is another one than the edit before left was drafted anew in between.
        """
        drafted: dict[str, object] = {}
        last: dict[str, tuple[object, Edit]] = {}
        for edit in self.edits:
            for place, (before, after) in edit.numbers.items():
                if place not in last or last[place][0] != before:
                    drafted[place] = before
                last[place] = after, edit
        holding = [edit for place, (after, edit) in last.items() if after != drafted[place]]
        return [each for each in self.edits if each in holding]


def keep_edit(
    study: Study, name: DraftName, changes: Changes, *, by: str, reason: str, stamp: str
) -> Draft:
    """Write numbers into the file of a draft, and the log of decisions; gives it as it is then.

    The file is replaced before the entry of the log is final: a process that is killed between the
    two leaves a file whose last change is not in the log, which ``told`` says. Raises OutdatedDraft
    when the file is not the one of ``stamp``, and a UsageFault when a release would refuse the
    numbers or they cannot be written.
    """
    by, reason = person("by", by), explanation("reason", reason)
    draft = read_draft(study, name)
    if draft.stamp != stamp:
        with study.store() as store:
            raise OutdatedDraft(_outdated(told(store, draft)))
    text, entry = _edited(study, draft, changes, by, reason)
    with study.store() as store, store.writing() as connection:
        add_entry(connection, entry)
        # From here on no other edit is under way, in this process or another.
        draft_named(study, name.key)
        if read_draft(study, name).stamp != stamp:
            raise OutdatedDraft(_outdated(told(store, draft)))
        write_durably(draft.path, text.encode())
    return read_draft(study, name)


def told(store: Store, draft: Draft) -> Told:
    """Give the edits of a draft that are in the log, oldest first.

    Those of a draft that lay in its place before, and was drafted anew, are none of its own.
    """
    edits = tuple(map(_edit, entries_on(store, EDITED, draft.name.subject)))
    if edits and edits[-1].after == draft.stamp:
        return Told(edits)
    is_calibration = draft.name.kind == "calibration"
    if is_calibration and is_as_drafted(draft.path):
        return Told()
    if not edits and not is_calibration:
        return Told()
    return Told(
        edits,
        "The file was changed, or written, outside these pages, or the server was stopped while it "
        "kept an edit: who changed it last is not in the log.",
    )


def _edited(
    study: Study, draft: Draft, changes: Changes, by: str, reason: str
) -> tuple[str, AuditEntry]:
    """Give the text of a draft with other numbers, and the entry of the log that tells of it."""
    after = changed(study, draft, changes)
    words = moved(draft, after)
    if not words:
        raise UsageFault("Nothing was moved: the draft has these numbers already.")
    why = why_refused(study, after)
    if why:
        raise FAULTS[draft.name.kind](f"Nothing was moved: {why}")
    numbers = replaced_numbers(draft, changes)
    comment = by_hand(by, utc_now()[:10], reason)
    text = text_with(draft, numbers, after.document.content, comment)
    details: dict[str, object] = {
        "reason": reason,
        "set": [each.words for each in words],
        "numbers": {
            ".".join(map(str, at)): [_number_at(draft.document.content, at), number]
            for at, number in numbers.items()
        },
        "before": draft.stamp,
        "after": hashlib.sha256(text.encode()).hexdigest(),
    }
    return text, AuditEntry(by, EDITED, draft.name.subject, details)


def _number_at(content: Any, at: tuple[int | str, ...]) -> Any:
    for part in at:
        content = content[part]
    return content


def _outdated(now: Told) -> str:
    last = now.edits[-1] if now.edits and not now.unlogged else None
    at = last.at[: len("2026-11-30T20:20")].replace("T", " ") if last else ""
    who = f" ({last.by} at {at} UTC: {last.reason})" if last else ""
    return (
        f"Meanwhile the draft was changed{who}: nothing of yours was kept. Load the page again and "
        f"decide on what it shows then."
    )


def _edit(entry: KeptEntry) -> Edit:
    try:
        details = json.loads(entry.details)
    except ValueError:
        details = {}
    if not isinstance(details, Mapping):
        details = {}
    return Edit(
        entry.at,
        entry.actor,
        str(details.get("reason", "")),
        tuple(map(str, details.get("set", ()))),
        str(details.get("after", "")),
        _boundaries(details.get("numbers")),
    )


def _boundaries(numbers: object) -> dict[str, tuple[object, object]]:
    """Give the values and vertices of an entry; what only keeps its proportion is left out."""
    if not isinstance(numbers, Mapping):
        return {}
    pairs = {place: pair for place, pair in numbers.items() if isinstance(pair, list)}
    return {
        place: (pair[0], pair[1])
        for place, pair in pairs.items()
        if len(pair) == len(("before", "after")) and _is_boundary(place)
    }


def _is_boundary(place: str) -> bool:
    return place.endswith(".value") or ".vertices." in place
