"""Tell which decisions of reviewers hold, for each tube and visit of a patient."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.review.seen import Row, holds, seen, why_reopened
from tasks.store.reviews import Review

State = Literal["", "accepted", "queried", "repeat", "mixed"]
"""Of a visit: ``mixed`` when its tubes differ, empty when nothing was decided or it was
reopened."""


@dataclass(frozen=True, slots=True)
class TubeReview:
    """The last decision on a tube, and whether it holds.

    ``state`` is empty without a decision, and where the numbers are others now: then
    ``reopened_because`` says how.
    """

    state: Literal["", "accepted", "queried", "repeat"] = ""
    review: Review | None = None
    reopened_because: str = ""


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
    def reopened_because(self) -> str:
        """Say why a decision does not hold any more; empty while all do."""
        reasons = dict.fromkeys(each.reopened_because for each in self.tubes.values())
        return "; ".join(filter(None, reasons))


def tube_reviews(rows: Sequence[Row], decisions: Iterable[Review]) -> dict[str, TubeReview]:
    """Map every tube of a patient's kinetics.csv to the last decision on it.

    ``decisions`` are the patient's, oldest first. One on the whole visit and one on the tube alone
    replace each other; one that does not hold any more never brings an earlier one back.
    """
    last: dict[tuple[str, str], tuple[int, Review]] = {}
    for place, review in enumerate(decisions):
        last[review.visit, review.tube_sha256] = (place, review)
    visit_of = {row["tube_sha256"]: row["visit"] for row in rows}
    reasons: dict[tuple[str, str], str] = {}
    found = {}
    for sha256, visit in visit_of.items():
        made = [last[key] for key in ((visit, ""), (visit, sha256)) if key in last]
        if not made:
            found[sha256] = TubeReview()
            continue
        review = max(made, key=lambda each: each[0])[1]
        key = (visit, review.tube_sha256)
        if key not in reasons:
            reasons[key] = _why_not(review, rows)
        state = "" if reasons[key] else review.decision
        found[sha256] = TubeReview(state, review, reasons[key])
    return found


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


def _why_not(review: Review, rows: Sequence[Row]) -> str:
    """Say why a decision does not hold any more; empty while it does."""
    now = seen(rows, review.visit, review.tube_sha256)
    return "" if holds(review.saw, now) else why_reopened(review.saw, now)
