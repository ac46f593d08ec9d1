"""Tell which decisions of reviewers hold, for each tube and visit of a patient."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.review.seen import Row, holds, seen, why_reopened
from tasks.store.reviews import Review

State = Literal["", "accepted", "queried", "repeat", "mixed"]
"""Of a visit: ``mixed`` when its tubes differ, empty when nothing was decided or it was
reopened."""
QUESTIONS = frozenset({"queried", "repeat"})
"""The decisions that stand until somebody decides again, whatever the numbers become."""


@dataclass(frozen=True, slots=True)
class TubeReview:
    """The last decision on a tube, and whether it holds.

    ``state`` is empty without a decision, and where numbers that were accepted are others now: then
    ``reopened_because`` says how. A question (a query, a repeat) stands until somebody decides
    again; ``changed_since`` says how the numbers changed since it was asked.
    """

    state: Literal["", "accepted", "queried", "repeat"] = ""
    review: Review | None = None
    reopened_because: str = ""
    changed_since: str = ""


@dataclass(frozen=True, slots=True)
class VisitReview:
    """How a visit stands: ``tubes`` are its tubes by SHA-256, ``flags`` those of all its rows."""

    visit: str
    day: str
    panels: tuple[str, ...]
    flags: frozenset[str]
    tubes: Mapping[str, TubeReview]

    @property
    def state(self) -> State:
        """Give the state that all its tubes have, or ``mixed``."""
        states = {each.state for each in self.tubes.values()}
        return next(iter(states)) if len(states) == 1 else "mixed"

    @property
    def last(self) -> Review | None:
        """Give the last decision on any of its tubes."""
        reviews = [each.review for each in self.tubes.values() if each.review]
        return max(reviews, key=lambda each: each.at, default=None)

    @property
    def question(self) -> Review | None:
        """Give the last question on any of its tubes that nobody answered."""
        asked = [each.review for each in self.tubes.values() if each.state in QUESTIONS]
        return max(filter(None, asked), key=lambda each: each.at, default=None)

    @property
    def reopened_because(self) -> str:
        """Say why a decision does not hold any more; empty while all do."""
        return _joined(each.reopened_because for each in self.tubes.values())

    @property
    def changed_since(self) -> str:
        """Say how numbers changed since a question on them that still stands; empty if none did."""
        return _joined(each.changed_since for each in self.tubes.values())


def tube_reviews(rows: Sequence[Row], decisions: Iterable[Review]) -> dict[str, TubeReview]:
    """Map every tube of a patient's kinetics.csv to the last decision on it.

    ``decisions`` are the patient's, oldest first. One on the whole visit and one on the tube alone
    replace each other; one that does not hold any more never brings an earlier one back. A question
    goes with its tubes when their visit gets another name.
    """
    made = list(decisions)
    reasons: dict[int, str] = {}
    found = {}
    for sha256, visit in {row["tube_sha256"]: row["visit"] for row in rows}.items():
        place = _last_on(made, visit, sha256)
        if place is None:
            found[sha256] = TubeReview()
            continue
        if place not in reasons:
            reasons[place] = _why_changed(made[place], rows)
        found[sha256] = _tube_review(made[place], reasons[place])
    return found


def _last_on(decisions: Sequence[Review], visit: str, tube_sha256: str) -> int | None:
    """Give the place of the last decision on a tube."""
    places = range(len(decisions) - 1, -1, -1)
    return next((each for each in places if _is_on(decisions[each], visit, tube_sha256)), None)


def _is_on(review: Review, visit: str, tube_sha256: str) -> bool:
    """Tell whether a decision is on a tube: by its visit, or as a question that was asked of it."""
    if review.visit == visit:
        return review.tube_sha256 in {"", tube_sha256}
    return review.decision in QUESTIONS and tube_sha256 in review.saw


def _tube_review(review: Review, changed: str) -> TubeReview:
    if review.decision in QUESTIONS:
        return TubeReview(review.decision, review, changed_since=changed)
    return TubeReview("" if changed else review.decision, review, reopened_because=changed)


def visit_reviews(rows: Sequence[Row], decisions: Iterable[Review]) -> list[VisitReview]:
    """List how every visit of a patient's kinetics.csv stands, in the order of the table."""
    of_tubes = tube_reviews(rows, decisions)
    return list(_visits(rows, of_tubes))


def _visits(rows: Sequence[Row], of_tubes: Mapping[str, TubeReview]) -> Iterator[VisitReview]:
    for visit in dict.fromkeys(row["visit"] for row in rows):
        its_rows = [row for row in rows if row["visit"] == visit]
        flags = {flag for row in its_rows for flag in row["flags"].split(";")}
        yield VisitReview(
            visit=visit,
            day=its_rows[0]["day"],
            panels=tuple(dict.fromkeys(row["panel"] for row in its_rows)),
            flags=frozenset(flags - {""}),
            tubes={row["tube_sha256"]: of_tubes[row["tube_sha256"]] for row in its_rows},
        )


def _why_changed(review: Review, rows: Sequence[Row]) -> str:
    """Say how the numbers differ from those that a decision was made on; empty if not at all."""
    now = seen(rows, review.visit, review.tube_sha256)
    return "" if holds(review.saw, now) else why_reopened(review.saw, now)


def _joined(sentences: Iterable[str]) -> str:
    return "; ".join(filter(None, dict.fromkeys(sentences)))
