"""Accept a patient's visit, query it, or ask to repeat it."""

from collections.abc import Sequence

from panels.text.errors import UsageFault
from panels.text.printable import shown
from panels.text.spelling import nearest
from tasks.review.seen import Row, rows_in, seen
from tasks.store.editions import last_editions
from tasks.store.opening import Store
from tasks.store.reviews import Decision, Review, add_review, reviews_of
from tasks.study.folder import Study
from tasks.study.tube_named import tube_named
from tasks.vocabulary.person import explanation, person


def decide(
    study: Study, place: tuple[str, str, str], decision: Decision, *, by: str, comment: str = ""
) -> tuple[Review, Review | None]:
    """Keep a decision on a visit of a patient, or on one tube of it.

    ``place`` is patient, visit and tube (its file's name, or 6 digits of its hash; empty: all of
    the visit). The decision is bound to the numbers that the patient's tables hold now. Gives it
    and the last one that it replaces. Raises UsageFault when there is no such visit or tube, when
    the name is none, or when the comment is missing that a query or a repeat needs.
    """
    patient, visit, tube = place
    by = person("by", by)
    if comment.strip() or decision != "accepted":
        comment = explanation("comment", comment)
    with study.store() as store:
        rows = _rows(store, patient)
        _refuse_unknown_visit(rows, patient, visit)
        tube_sha256 = ""
        if tube:
            of_visit = {row["tube_sha256"] for row in rows if row["visit"] == visit}
            meant = tube_named(store, tube, of_visit, f"{patient} {visit}")
            tube_sha256 = meant.identity.tube_sha256
        saw = seen(rows, visit, tube_sha256)
        review = Review(patient, visit, decision, by, comment, saw, tube_sha256)
        before = [
            each
            for each in reviews_of(store, patient)
            if each.visit == visit and each.tube_sha256 in {"", tube_sha256}
        ]
        add_review(store, review)
    return review, before[-1] if before else None


def _rows(store: Store, patient: str) -> list[dict[str, str]]:
    edition = last_editions(store, patient).get(patient)
    if edition is not None:
        return rows_in(edition.kinetics)
    known = sorted(last_editions(store))
    there = f"There are tables of {', '.join(known)}." if known else "There are none yet."
    raise UsageFault(
        f"There are no tables of a patient '{shown(patient)}'{nearest(patient, known) or '.'} "
        f"{there} The next run (`reconflow run`) makes them."
    )


def _refuse_unknown_visit(rows: Sequence[Row], patient: str, visit: str) -> None:
    visits = list(dict.fromkeys(row["visit"] for row in rows))
    if visit not in visits:
        raise UsageFault(
            f"{patient} has no visit '{shown(visit)}' in its tables"
            f"{nearest(visit, visits) or '.'} Its visits: {', '.join(visits)}."
        )
