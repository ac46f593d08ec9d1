"""List how every visit and every patient of a study stands: reviewed or open, signed or not."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.review.decisions import VisitReview, visit_reviews
from tasks.review.seen import rows_in
from tasks.review.sign_off import Standing, standing, standings
from tasks.store.editions import last_editions
from tasks.store.exclusions import Exclusion, exclusions_of
from tasks.store.opening import Store
from tasks.store.reviews import Review, reviews_of
from tasks.vocabulary.severity import WORST_FIRST, worst

_ORDER = ("queried", "repeat", "mixed", "", "accepted")


@dataclass(frozen=True, slots=True)
class PatientVisit:
    """One visit of one patient; ``severity`` is that of its worst flag (empty: it has none).

    ``excluded`` says of each tube that is in no series by whom, when and why it was excluded.
    """

    patient: str
    severity: str
    visit: VisitReview
    excluded: tuple[str, ...] = ()


def visits_by_urgency(store: Store, patient: str | None = None) -> list[PatientVisit]:
    """List the visits of a patient (None: of all): what is open first, worst flags first."""
    decisions: defaultdict[str, list[Review]] = defaultdict(list)
    for each in reviews_of(store, patient):
        decisions[each.patient].append(each)
    last = {each.tube_sha256: each for each in exclusions_of(store)}
    excluded = {sha256: each for sha256, each in last.items() if each.action == "exclude"}
    visits = []
    for name, edition in last_editions(store, patient).items():
        rows = rows_in(edition.kinetics)
        panels = {row["tube_sha256"]: row["panel"] for row in rows}
        for visit in visit_reviews(rows, decisions[name]):
            told = tuple(
                _excluded(panels[sha256], excluded[sha256])
                for sha256 in visit.tubes
                if sha256 in excluded
            )
            visits.append(PatientVisit(name, worst(visit.flags), visit, told))
    return sorted(visits, key=_urgency)


def _excluded(panel: str, made: Exclusion) -> str:
    return (
        f"{panel} {made.tube_sha256[:12]} excluded by {made.made_by} on {made.at[:10]} "
        f"({made.reason})"
    )


def patients_signed(store: Store, patient: str | None = None) -> list[Standing]:
    """List how far the tables of a patient (None: of all) are signed, data-cuts after the present.

    A patient whose tables nobody signed is a draft.
    """
    signed = [each for each in standings(store) if patient in {None, each.patient}]
    known = {each.patient for each in signed if not each.data_cut}
    others = [standing(store, name) for name in last_editions(store, patient) if name not in known]
    return sorted((*signed, *others), key=lambda each: (each.patient, each.data_cut))


def _urgency(each: PatientVisit) -> tuple[bool, int, int]:
    accepted = each.visit.state == "accepted"
    severities: Sequence[str] = (*WORST_FIRST, "")
    return accepted, severities.index(each.severity), _ORDER.index(each.visit.state)
