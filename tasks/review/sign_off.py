"""Sign a patient's tables, and tell how far they are signed.

A signature is bound to what the tables say. When they say something else it does not hold any more:
tables that were released are amended then, others are a draft again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from panels.text.errors import FieldFault, ReconflowError, UsageFault
from tasks.review.decisions import visit_reviews
from tasks.review.restated import RESTATED, Restated, restated, summary_of
from tasks.review.seen import content_sha256, rows_in
from tasks.store.audit import entries_on
from tasks.store.editions import Edition, earlier_editions, editions_as_of, last_editions
from tasks.store.opening import Store
from tasks.store.reviews import reviews_of
from tasks.store.signatures import Signature, Signed, add_signature, signatures_of, signing
from tasks.study.folder import Study
from tasks.vocabulary.person import explanation, is_same_person, person

State = Literal["draft", "reviewed", "approved", "released", "amended"]
STATES: tuple[Signed, ...] = get_args(Signed)
"""In the order in which they are signed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a patient's tables are signed: by whom last, when, and with what meaning.

    ``amended`` and ``draft`` have no signature that holds; ``reopened_because`` says why where
    there was one. ``data_cut`` is the day the tables are of (ISO 8601; empty: of now). ``last`` is
    the last signature of all, whether or not it holds.
    """

    patient: str
    state: State
    by: str = ""
    at: str = ""
    meaning: str = ""
    reopened_because: str = ""
    data_cut: str = ""
    signatures: tuple[Signature, ...] = ()
    last: Signature | None = None

    def document(self) -> dict[str, str]:
        """Give it for programs, without the signatures themselves."""
        names = ("patient", "data_cut", "state", "by", "at", "meaning", "reopened_because")
        return {name: getattr(self, name) for name in names}


def standing(store: Store, patient: str, data_cut: str = "") -> Standing:
    """Tell how far a patient's tables are signed: those of now, or those of a data-cut."""
    try:
        edition = _edition(store, patient, data_cut)
    except ReconflowError:
        # Editions of that day were altered; `export --as-of` says of whom.
        edition = None
    return _standing(store, patient, data_cut, edition)


def standings(store: Store) -> list[Standing]:
    """List how far the tables of every patient who was ever signed are signed, by data-cut too."""
    signed = {(each.patient, each.data_cut): None for each in signatures_of(store)}
    return [standing(store, patient, data_cut) for patient, data_cut in sorted(signed)]


def sign(
    study: Study, patient: str, state: Signed, *, by: str, meaning: str, data_cut: str = ""
) -> Standing:
    """Sign a patient's tables as reviewed, approved or released, and give how they stand then.

    The states are signed in this order. With ``review: four_eyes`` who approves is another person
    than who reviewed. Raises UsageFault, with what is to be done, where the signature is refused.
    """
    by, meaning = person("by", by), explanation("meaning", meaning)
    with study.store() as store:
        with signing(store) as connection:
            edition = _edition(store, patient, data_cut)
            if edition is None:
                raise UsageFault(_no_tables(store, patient, data_cut))
            now = _standing(store, patient, data_cut, edition)
            _refuse_out_of_order(now, state)
            if state == "approved" and study.settings.review.four_eyes:
                _refuse_same_person(now, by)
            open_visits = _open_visits(store, patient, edition, state)
            content = content_sha256(edition)
            signature = Signature(patient, state, by, meaning, content, data_cut)
            add_signature(connection, signature, not_accepted=open_visits)
        return standing(store, patient, data_cut)


def _standing(store: Store, patient: str, data_cut: str, edition: Edition | None) -> Standing:
    made = [each for each in signatures_of(store, patient) if each.data_cut == data_cut]
    if not made:
        return Standing(patient, "draft", data_cut=data_cut)
    content = content_sha256(edition) if edition else ""
    last = made[-1]
    if last.content == content:
        holding = tuple(_latest_run(made, content))
        return Standing(
            patient,
            last.state,
            last.signer,
            last.at,
            last.meaning,
            data_cut=data_cut,
            signatures=holding,
            last=last,
        )
    released = any(each.state == "released" for each in made)
    return Standing(
        patient,
        "amended" if released else "draft",
        reopened_because=_why_it_ended(store, last, edition),
        data_cut=data_cut,
        last=last,
    )


def _why_it_ended(store: Store, last: Signature, edition: Edition | None) -> str:
    """Give what the log says of the first change of the tables after the last signature."""
    if edition is None:
        return "the tables that were signed are not in the store any more, or were altered in it"
    told = (each for each in entries_on(store, RESTATED, last.patient) if each.at >= last.at)
    first = next(told, None)
    return summary_of(first) if first else "the tables say something else"


def restated_since(store: Store, signed: Standing) -> Restated | None:
    """Compare the tables of now with those of the last signature; None where it holds."""
    if signed.last is None or signed.state in STATES:
        return None
    present = last_editions(store, signed.patient).get(signed.patient)
    return _changed(store, signed.last, present)


def _latest_run(made: Sequence[Signature], content: str) -> list[Signature]:
    """Give the last signatures in a row that are under the present content."""
    run: list[Signature] = []
    for each in reversed(made):
        if each.content != content:
            break
        run.insert(0, each)
    return run


def _changed(store: Store, last: Signature, edition: Edition | None) -> Restated | None:
    """Compare the tables that were signed with those of now."""
    if edition is None:
        return None
    signed = (
        each
        for each in earlier_editions(store, last.patient)
        if each.kinetics and content_sha256(each) == last.content
    )
    before = next(signed, None)
    return restated(before, edition) if before else None


def _refuse_out_of_order(now: Standing, state: Signed) -> None:
    done = STATES.index(now.state) + 1 if now.state in STATES else 0
    if STATES.index(state) == done:
        return
    of = f" of {now.data_cut}" if now.data_cut else ""
    how = f"{now.patient}'s tables{of} are {_described(now)}"
    if STATES.index(state) < done:
        raise UsageFault(f"{how}. That stands until they change; there is nothing to sign.")
    raise UsageFault(f"{how}: sign them as {STATES[done]} first. The order is {', '.join(STATES)}.")


def _described(now: Standing) -> str:
    if now.by:
        return f"{now.state} already, by {now.by} at {now.at}"
    if now.reopened_because:
        return (
            f"{'amended' if now.state == 'amended' else 'a draft again'} ({now.reopened_because})"
        )
    return "a draft"


def _refuse_same_person(now: Standing, by: str) -> None:
    reviewers = [each.signer for each in now.signatures if each.state == "reviewed"]
    if any(is_same_person(by, each) for each in reviewers):
        raise UsageFault(
            f"{by} signed {now.patient}'s tables as reviewed; another person has to approve them "
            "(four eyes). Where one person may do both, write 'review: {four_eyes: false}' into "
            "study.yaml."
        )


def _open_visits(store: Store, patient: str, edition: Edition, state: Signed) -> list[str]:
    """List the visits that nobody accepted; refuses a signature while one has an open question."""
    visits = visit_reviews(rows_in(edition.kinetics), reviews_of(store, patient))
    for each in visits:
        asked = each.question
        if asked is not None:
            question = "queried" if asked.decision == "queried" else "to be repeated"
            raise UsageFault(
                f"{patient}'s tables cannot be signed as {state}: {each.visit} is {question}, "
                f"says {asked.reviewer} ({asked.comment}). When that is settled, "
                f"accept the tubes of {each.visit} and sign then."
            )
    return [each.visit for each in visits if each.state != "accepted"]


def _edition(store: Store, patient: str, data_cut: str) -> Edition | None:
    if not data_cut:
        return last_editions(store, patient).get(patient)
    moment = end_of_day(data_cut, store.time_zone)
    editions = {each.patient: each for each in editions_as_of(store, moment)}
    return editions.get(patient)


def end_of_day(data_cut: str, time_zone: str | None) -> datetime:
    """Give the moment a data-cut is of: the end of its day in the study's time zone.

    Raises UsageFault for what is no day, and for one that has not ended.
    """
    try:
        day = date.fromisoformat(data_cut)
    except ValueError as error:
        why = ": not a day; write 2026-03-31."
        raise FieldFault("data-cut", why, data_cut) from error
    moment = datetime.combine(day, time.max, ZoneInfo(time_zone or "UTC"))
    if moment > datetime.now(UTC):
        why = (
            ": that day has not ended; its tables may still change. Leave it out to sign the "
            "tables of now."
        )
        raise FieldFault("data-cut", why, data_cut)
    return moment


def _no_tables(store: Store, patient: str, data_cut: str) -> str:
    known = ", ".join(sorted(last_editions(store))) or "nobody yet"
    if data_cut:
        return f"{patient} had no tables on {data_cut}. There are tables of {known}."
    return (
        f"{patient} has no tables. There are tables of {known}; the next run (`reconflow run`) "
        f"makes them."
    )


def signed_at(store: Store, moment: datetime) -> dict[str, str]:
    """Say by patient how the tables that were known at a moment had been signed by then.

    Patients whose tables of then nobody had signed are left out. Raises ReconflowError when what
    the store kept of then was altered.
    """
    made = [each for each in signatures_of(store) if datetime.fromisoformat(each.at) <= moment]
    if not made:
        return {}
    contents = {each.patient: content_sha256(each) for each in editions_as_of(store, moment)}
    # The last one of each patient counts.
    return {
        each.patient: f"{each.state} by {each.signer} at {each.at}"
        for each in made
        if not each.data_cut and contents.get(each.patient) == each.content
    }
