"""Give what reviewers asked of tubes that they queried or want repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from panels.text.printable import printable
from tasks.overview.attention import ASKED
from tasks.overview.counted_tube import CountedTube
from tasks.store.reviews import Review

_DONE = {"queried": "queried by", "repeat": "to be repeated, says"}


def questions_asked(tubes: Iterable[CountedTube], decisions: Sequence[Review]) -> dict[str, str]:
    """Map the SHA-256 of tubes whose question is open to who asked it, and in which words.

    ``decisions`` are those of reviewers, oldest first; which of them hold, the tubes say. The last
    one on the tube or on its visit is meant.
    """
    last: dict[tuple[str, str, str], tuple[int, Review]] = {}
    for place, each in enumerate(decisions):
        last[each.patient, each.visit, each.tube_sha256] = (place, each)
    found = {}
    for tube in tubes:
        if tube.review not in ASKED:
            continue
        keys = ((tube.patient, tube.visit, sha256) for sha256 in ("", tube.sha256))
        made = [last[key] for key in keys if key in last]
        review = max(made, key=lambda each: each[0])[1] if made else None
        if review is not None and review.decision == tube.review and review.comment:
            found[tube.sha256] = _sentence(review)
    return found


def _sentence(review: Review) -> str:
    return printable(f"{_DONE[review.decision]} {review.reviewer}: {review.comment}")
