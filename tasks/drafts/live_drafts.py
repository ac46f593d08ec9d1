"""Hold the tubes that people look at with a draft, while they move its numbers."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from panels.text.errors import TubeFault, UsageFault
from tasks.drafts.candidate import Candidate, candidate
from tasks.drafts.changes import Changes, changed, moved
from tasks.drafts.draft_file import DraftName, read_draft
from tasks.drafts.dragged import Dragged, file_numbers
from tasks.drafts.laid_out_tube import LaidOutTube
from tasks.drafts.permitted import why_refused
from tasks.drafts.references import DraftReferences, Shown, references_now
from tasks.store.tubes import Tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study

MOST_TUBES = 8
MOST_EVENTS = 4_000_000
"""Of all tubes that are held: a million events are some 150 MB."""
Document = dict[str, Any]


class TooMuch(UsageFault):
    """More tubes, or more events, than are held at once."""


class LiveDrafts:
    """The tubes that are laid out now, each opened once while draft and study count the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, str], tuple[Hashable, LaidOutTube]] = OrderedDict()
        self._references: tuple[Hashable, DraftReferences] | None = None

    def laid_out(self, study: Study, name: DraftName, tubes: Sequence[str]) -> Document:
        """Give tubes, by the first digits of their hashes, as the page lays them out.

        Raises TooMuch for more than are held at once, UsageFault for what is no tube of the draft.
        """
        with self._lock:
            now = self._now(study, name)
            todays = references_now(now.candidate.snapshot)
            answers = []
            named = now.named(tubes)
            for tube in named:
                held, fault = self._held(now, tube, named)
                answers.append(
                    {
                        "sha12": sha12_of(tube),
                        "fault": fault,
                        "value": held and held.value,
                        "today": held and held.as_counted(now.candidate, todays),
                    }
                )
            return {"stamp": now.candidate.draft.stamp, "tubes": answers}

    def preview(
        self, study: Study, name: DraftName, tubes: Sequence[str], at: str, dragged: Dragged
    ) -> Document:
        """Say what a move would do in tubes; ``at`` is the one in which positions were read.

        Raises as ``laid_out`` does, and UsageFault for what cannot be moved.
        """
        with self._lock:
            now = self._now(study, name)
            named = now.named(tubes)
            held = {sha12_of(tube): self._held(now, tube, named) for tube in named}
            place = at or next(iter(held))
            reading = held.get(place, (None, ""))[0]
            if reading is None:
                raise UsageFault(f"The tube {place}, in which this was moved, is not laid out.")
            changes = file_numbers(now.candidate, reading, dragged)
            references = DraftReferences(
                now.candidate.snapshot, now.lent if dragged.still else None
            )
            return _previewed(study, now.candidate, held, changes, references)

    def _now(self, study: Study, name: DraftName) -> _Now:
        snapshot = read_snapshot(study)
        present = candidate(snapshot, read_draft(study, name))
        made_of = (present.draft.stamp, present.made_of())
        if self._references is None or self._references[0] != made_of:
            self._references = made_of, DraftReferences(snapshot)
        return _Now(present, made_of, self._references[1])

    def _held(
        self, now: _Now, tube: Tube, wanted: Sequence[Tube]
    ) -> tuple[LaidOutTube | None, str]:
        """Give a tube laid out, or the sentence that says why it cannot be."""
        key = now.key_of(tube)
        made_of = (now.made_of, tube.file, tube.identity)
        kept = self._open.pop(key, None)
        if kept is None or kept[0] != made_of:
            try:
                kept = made_of, LaidOutTube(now.candidate, tube, now.references)
            except TubeFault as fault:
                return None, str(fault)
            except OSError as error:
                return None, f"{tube.identity.file} cannot be read ({error.strerror or error})."
        self._open[key] = kept
        self._let_go({now.key_of(each) for each in wanted})
        return kept[1], ""

    def _let_go(self, wanted: set[tuple[str, str]]) -> None:
        """Let go what was not looked at for longest; raises TooMuch where all is ``wanted``."""
        while len(self._open) > 1 and (
            len(self._open) > MOST_TUBES or self._events() > MOST_EVENTS
        ):
            key = next((each for each in self._open if each not in wanted), None)
            if key is None:
                events = self._events()
                self._open.clear()
                raise TooMuch(
                    f"These tubes have {events:,} events and more; at most {MOST_EVENTS:,} are "
                    f"laid out at once. Choose fewer."
                )
            del self._open[key]

    def _events(self) -> int:
        return sum(tube.events for _, tube in self._open.values())


@dataclass(frozen=True, slots=True)
class _Now:
    """A draft as it is kept now, with all that it would count with.

    ``made_of`` is another one when anything of that changes.
    """

    candidate: Candidate
    made_of: Hashable
    references: DraftReferences

    def key_of(self, tube: Tube) -> tuple[str, str]:
        """Name a tube under the draft."""
        return self.candidate.draft.name.key, tube.identity.tube_sha256

    def lent(self, tube: Tube) -> Shown:
        """Give what a reference tube shows under the draft as it is kept."""
        return self.references.shown_by(tube, self.candidate.used_for(tube))

    def named(self, tubes: Sequence[str]) -> list[Tube]:
        """Give the tubes whose hashes begin so; raises UsageFault for one of no such draft."""
        if not 0 < len(set(tubes)) <= MOST_TUBES:
            raise TooMuch(f"1 to {MOST_TUBES} tubes are laid out at once, not {len(set(tubes))}.")
        with self.candidate.snapshot.study.store() as store:
            known = {sha12_of(each): each for each in taken_in(store)}
        for sha12 in tubes:
            if sha12 not in known or not self.candidate.takes(known[sha12]):
                raise UsageFault(
                    f"The tube {sha12} is none of {self.candidate.draft.name.pin}: its panel or "
                    f"its instrument is another one, or it left the study."
                )
        return [known[sha12] for sha12 in dict.fromkeys(tubes)]


def sha12_of(tube: Tube) -> str:
    """Name a tube as addresses do."""
    return tube.identity.tube_sha256[:12]


def _previewed(
    study: Study,
    present: Candidate,
    held: Mapping[str, tuple[LaidOutTube | None, str]],
    changes: Changes,
    references: DraftReferences,
) -> Document:
    """Gate the tubes with the changed draft, and say what it does."""
    before = present.draft
    answer: Document = {
        "stamp": before.stamp,
        "values": dict(changes.values),
        "vertices": {name: list(map(list, each)) for name, each in changes.vertices.items()},
        "moved": [],
        "refused": "",
        "exact": True,
        "tubes": [],
    }
    try:
        after = changed(study, before, changes)
        with_it = candidate(present.snapshot, after)
    except UsageFault as fault:
        return answer | {"refused": str(fault)}
    answer["moved"] = [asdict(each) for each in moved(before, after)]
    answer["refused"] = why_refused(study, after)
    for sha12, (tube, why) in held.items():
        shown: Document = {"gates": {}, "outlines": {}, "thresholds": {}}
        if tube is not None:
            shown = tube.moved(with_it, references)
        answer["tubes"].append({"sha12": sha12, "fault": why, **shown})
    answer["exact"] = not references.has_lent
    return answer
