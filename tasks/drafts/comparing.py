"""Compare drafts in the background, one at a time, while people go on looking."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

from panels.text.errors import ReconflowError, UsageFault
from panels.text.quoting import unexpected
from tasks.drafts.candidate import Candidate, candidate
from tasks.drafts.concordance import compare_draft
from tasks.drafts.draft_file import DraftName, read_draft
from tasks.drafts.edits import OutdatedDraft
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.study.lock import is_running

State = Literal["none", "waiting", "running", "done", "failed"]
PATIENCE_SECONDS = 2.0
"""So often a waiting comparison looks whether the pass has ended."""


class ComparisonUnderWay(UsageFault):
    """Another comparison is under way: one at a time is enough for a small machine."""


class _Abandoned(Exception):
    """A comparison whose draft is another one by now."""


@dataclass(slots=True)
class _Comparison:
    """One comparison: of which draft, as it was then, and how far it is."""

    name: DraftName
    stamp: str
    made_of: Hashable
    by: str
    state: State = "running"
    done: int = 0
    of: int = 0
    fault: str = ""
    result: dict[str, Any] | None = None
    abandoned: bool = False

    @property
    def is_under_way(self) -> bool:
        return self.state in {"running", "waiting"}


class Comparisons:
    """The last comparison of each draft; they are gone with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alone = threading.Lock()
        self._last: dict[str, _Comparison] = {}

    def start(self, study: Study, name: DraftName, *, by: str, stamp: str) -> None:
        """Begin to compare a draft anew, unless just that is under way.

        Raises OutdatedDraft when the draft is not the one of ``stamp``, ComparisonUnderWay while
        another draft is compared, and a UsageFault when it cannot be read.
        """
        present = _present(study, name)
        if present.draft.stamp != stamp:
            raise OutdatedDraft(
                "Meanwhile the draft was changed. Load the page again, and compare what it shows."
            )
        with self._lock:
            for other in self._last.values():
                if other.is_under_way and other.name != name:
                    raise ComparisonUnderWay(
                        f"{other.name.pin} is being compared by {other.by}: wait until that ended."
                    )
            last = self._last.get(name.key)
            if last is not None:
                if last.is_under_way and last.made_of == _made_of(present):
                    return
                last.abandoned = True
            begun = _Comparison(name, stamp, _made_of(present), by)
            self._last[name.key] = begun
        # It ends with the server: nothing it does is kept anywhere.
        work = (study, present, begun)
        threading.Thread(target=self._work, args=work, name="concordance", daemon=True).start()

    def document(self, study: Study, name: DraftName) -> dict[str, Any]:
        """Tell how far the comparison of a draft is, and its result."""
        last = self._last.get(name.key)
        if last is None:
            state: State = "none"
            told = {"state": state, "current": False, "by": "", "done": 0, "of": 0, "fault": ""}
            return told | {"result": None}
        return {
            "state": last.state,
            "current": self._is_of_now(study, last),
            "by": last.by,
            "done": last.done,
            "of": last.of,
            "fault": last.fault,
            "result": last.result,
        }

    def _is_of_now(self, study: Study, last: _Comparison) -> bool:
        """Tell whether a comparison is of the draft as it is now; under way, of its file alone."""
        if last.is_under_way:
            return last.stamp == read_draft(study, last.name).stamp
        return last.made_of == _made_of(_present(study, last.name))

    def is_current(self, study: Study, name: DraftName) -> bool:
        """Tell whether a draft was compared as it is now with what counts now."""
        last = self._last.get(name.key)
        return last is not None and last.state == "done" and self._is_of_now(study, last)

    def uncompared(self, name: DraftName) -> tuple[str, ...]:
        """Name the tubes of a draft that its last comparison could not count."""
        last = self._last.get(name.key)
        return () if last is None or last.result is None else tuple(last.result["uncompared"])

    def _work(self, study: Study, present: Candidate, this: _Comparison) -> None:
        def progress(done: int, of: int) -> None:
            this.done, this.of = done, of
            _wait_for_passes(study, this)

        with self._alone:
            try:
                this.result = compare_draft(present, progress)
                this.state = "done"
            except _Abandoned:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the page has to be told
                this.fault, this.state = _said(error), "failed"


def _wait_for_passes(study: Study, this: _Comparison) -> None:
    """Let a pass have the machine; raises _Abandoned when nobody asks for the result any more."""
    while not this.abandoned and is_running(study):
        this.state = "waiting"
        time.sleep(PATIENCE_SECONDS)
    if this.abandoned:
        raise _Abandoned
    this.state = "running"


def _present(study: Study, name: DraftName) -> Candidate:
    return candidate(read_snapshot(study), read_draft(study, name))


def _made_of(present: Candidate) -> Hashable:
    return present.draft.stamp, present.made_of()


def _said(error: Exception) -> str:
    if isinstance(error, ReconflowError | OSError):
        return str(error)
    sys.stderr.write(f"reconflow: the comparison of a draft failed: {unexpected(error)}\n")
    return f"The comparison failed: unexpected {unexpected(error)}"
