"""Keep what reviewers decided on visits and tubes, and on which numbers they decided."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Row, insert, select

from tasks.store.audit import AuditEntry, add_entry
from tasks.store.digests import is_intact, sealed
from tasks.store.opening import Store, utc_now
from tasks.store.schema import reviews

Decision = Literal["accepted", "queried", "repeat"]
ACTIONS: dict[Decision, str] = {
    "accepted": "accepted",
    "queried": "queried",
    "repeat": "asked to repeat",
}
"""What the log says was done."""


@dataclass(frozen=True, slots=True)
class Review:
    """One decision on a patient's visit, or (with ``tube_sha256``) on one tube of it.

    ``saw`` describes the numbers it was made on (tasks/review/seen.py). ``at`` and ``entry``, the
    hash of its entry in the log, are given by the store.
    """

    patient: str
    visit: str
    decision: Decision
    reviewer: str
    comment: str
    saw: Mapping[str, Any]
    tube_sha256: str = ""
    at: str = ""
    entry: str = ""


def add_review(store: Store, review: Review) -> None:
    """Keep a decision together with its entry in the log; earlier ones stay."""
    details = {
        "patient": review.patient,
        "visit": review.visit,
        "tube_sha256": review.tube_sha256,
        "comment": review.comment,
        "saw": review.saw,
    }
    subject = f"{review.patient} {review.visit}"
    if review.tube_sha256:
        subject += f" tube {review.tube_sha256[:12]}"
    action = ACTIONS[review.decision]
    with store.writing() as connection:
        entry = add_entry(connection, AuditEntry(review.reviewer, action, subject, details))
        values = {
            "at": utc_now(),
            "patient": review.patient,
            "visit": review.visit,
            "tube_sha256": review.tube_sha256,
            "decision": review.decision,
            "reviewer": review.reviewer,
            "comment": review.comment,
            "saw": json.dumps(review.saw, sort_keys=True, ensure_ascii=False),
            "entry": entry,
        }
        connection.execute(insert(reviews).values(**sealed(reviews, values)))


def reviews_of(store: Store, patient: str | None = None) -> list[Review]:
    """List the decisions on a patient (None: on all), oldest first, without altered ones."""
    return [_review(row) for row in _rows(store, patient) if is_intact(reviews, row)]


def _rows(store: Store, patient: str | None) -> list[Row[Any]]:
    chosen = select(reviews).order_by(reviews.c.id)
    if patient is not None:
        chosen = chosen.where(reviews.c.patient == patient)
    with store.reading() as connection:
        return list(connection.execute(chosen).all())


def _review(row: Row[Any]) -> Review:
    return Review(
        patient=row.patient,
        visit=row.visit,
        decision=row.decision,
        reviewer=row.reviewer,
        comment=row.comment,
        saw=json.loads(row.saw),
        tube_sha256=row.tube_sha256,
        at=row.at,
        entry=row.entry,
    )
