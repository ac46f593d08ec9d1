"""Keep what reviewers decided on visits and tubes, and on which numbers they decided."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert

from panels.text.printable import printable
from tasks.store.audit import AuditEntry, KeptEntry, add_entry
from tasks.store.digests import sealed
from tasks.store.opening import Store, utc_now
from tasks.store.schema.decisions import reviews
from tasks.store.told import Details, Matched, matched

Decision = Literal["accepted", "queried", "repeat"]
ACTIONS: dict[Decision, str] = {
    "accepted": "accepted",
    "queried": "queried",
    "repeat": "asked to repeat",
}
"""What the log says was done."""
_TOLD = ("patient", "visit", "tube_sha256", "comment")


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
    """List the decisions on a patient (None: on all), in the order of the log.

    Rows that were altered, or that the log does not tell of, are left out.
    """
    with store.reading() as connection:
        rows = matched_reviews(connection).rows
    return [_review(row) for row in rows if patient in {None, row.patient}]


def matched_reviews(connection: Connection) -> Matched:
    """Hold the decisions against the log."""
    return matched(connection, reviews, ACTIONS.values(), _of_row, _of_entry)


def _of_row(row: Row[Any]) -> object:
    told = {name: getattr(row, name) for name in _TOLD} | {"saw": json.loads(row.saw)}
    return [row.entry, ACTIONS.get(row.decision), printable(row.reviewer), told]


def _of_entry(entry: KeptEntry, details: Details) -> Iterator[object]:
    told = {name: details.get(name) for name in (*_TOLD, "saw")}
    yield [entry.sha256, entry.action, entry.actor, told]


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
