"""Tell how one tube stands: what was decided on it, by whom, and what a person set in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from panels.text.errors import UsageFault
from tasks.review.decisions import TubeReview, tube_reviews
from tasks.review.seen import Row, rows_in, seen
from tasks.store.editions import last_editions
from tasks.store.exclusions import exclusions_of
from tasks.store.opening import Store
from tasks.store.reviews import reviews_of
from tasks.store.tubes import Tube, taken_in
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.corrections import binding_of, corrections_in_force, value_in_words, who_and_why


@dataclass(frozen=True, slots=True)
class TubeStanding:
    """How a tube stands: ``state`` as in kinetics.csv, by whom and when, and its corrections.

    ``reopened`` says why an earlier decision does not hold any more, ``changed_since`` how the
    numbers changed since a question that stands was asked. ``stamp`` changes with
    anything of it, and with the tube's numbers: who decides on another stamp did not see what
    there is now. ``visit_stamp`` does the same for all tubes of the visit together.
    """

    patient: str
    visit: str
    panel: str
    state: str
    by: str
    at: str
    comment: str
    reopened: str
    changed_since: str
    corrections: tuple[str, ...]
    stamp: str = ""
    visit_stamp: str = ""


def tube_standing(snapshot: StudySnapshot, store: Store, tube_sha256: str) -> TubeStanding:
    """Tell how a tube stands; raises UsageFault when it was never taken in."""
    identity = _tube(store, tube_sha256).identity
    edition = last_editions(store, identity.patient).get(identity.patient)
    rows = rows_in(edition.kinetics) if edition else []
    reviews = tube_reviews(rows, reviews_of(store, identity.patient))
    standings = {
        tube.identity.tube_sha256: _standing(snapshot, store, tube, rows, reviews)
        for tube in taken_in(store, patient=identity.patient)
        if tube.identity.visit == identity.visit
    }
    told = [[each.stamp for each in standings.values()], seen(rows, identity.visit)]
    return replace(standings[tube_sha256], visit_stamp=_sha256(told))


def standing_document(standing: TubeStanding) -> dict[str, object]:
    """Give a tube's standing as the page takes it."""
    return asdict(standing)


def _standing(
    snapshot: StudySnapshot,
    store: Store,
    tube: Tube,
    rows: Sequence[Row],
    reviews: Mapping[str, TubeReview],
) -> TubeStanding:
    """Tell how one tube of a visit stands, given the rows and reviews of its patient."""
    identity = tube.identity
    review = reviews.get(identity.tube_sha256)
    made = review.review if review else None
    state, by, at, comment = "", "", "", ""
    if made is not None and review is not None:
        state, by, at, comment = review.state, made.reviewer, made.at, made.comment
    exclusions = exclusions_of(store, identity.tube_sha256)
    if exclusions and exclusions[-1].action == "exclude":
        last = exclusions[-1]
        state, by, at, comment = "excluded", last.made_by, last.at, last.reason
    standing = TubeStanding(
        patient=identity.patient,
        visit=identity.visit,
        panel=identity.panel,
        state=state,
        by=by,
        at=_minute(at),
        comment=comment,
        reopened=review.reopened_because if review else "",
        changed_since=review.changed_since if review else "",
        corrections=_corrections(snapshot, store, tube),
    )
    told = [asdict(standing), at, seen(rows, identity.visit, identity.tube_sha256)]
    return replace(standing, stamp=_sha256(told))


def _corrections(snapshot: StudySnapshot, store: Store, tube: Tube) -> tuple[str, ...]:
    used = snapshot.strategies.get(tube.identity.panel)
    if used is None:
        return ()
    in_force = corrections_in_force(store, binding_of(tube, used, used.for_tube(tube)))
    return tuple(f"{value_in_words(each)}, {who_and_why(each)}" for each in in_force)


def _tube(store: Store, tube_sha256: str) -> Tube:
    for tube in taken_in(store, tube_sha256=tube_sha256):
        return tube
    raise UsageFault("There is no such tube in this study.")


def _sha256(told: object) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _minute(at: str) -> str:
    """Shorten a time of the store, which is of UTC, to minutes."""
    return f"{at[:16].replace('T', ' ')} UTC" if at else ""
