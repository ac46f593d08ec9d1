"""The commands by which persons decide on visits and sign tables, without a browser."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from flows.cli import Json, Outcome, Study
from flows.commands.log_head import note_log_head
from panels.text.plural import counted

if TYPE_CHECKING:
    from tasks.review.overview import PatientVisit
    from tasks.review.sign_off import Standing
    from tasks.store.reviews import Decision, Review
    from tasks.study.folder import Study as OpenStudy

review = App(
    name="review",
    help=(
        "Serve the review pages; or, without a browser, accept, query or repeat visits, sign a "
        "patient's tables, and list what is open."
    ),
    help_format="plaintext",
)

PORTS = Number(gte=1, lte=65535)
By = Annotated[str, Parameter(help="Your name, at most 100 characters; it is kept.")]
Tube = Annotated[
    str,
    Parameter(
        help="Only this tube of the visit: its file's name, or 6 digits or more of its hash."
    ),
]
Comment = Annotated[str, Parameter(help="What there is to say, on one line; it is kept.")]
IN_WORDS = {
    "": "open",
    "accepted": "accepted",
    "queried": "queried",
    "repeat": "to be repeated",
    "mixed": "in part decided",
}


@review.default
def pages(
    *,
    host: Annotated[
        str,
        Parameter(
            help="Address of this machine; another than loopback asks everybody for a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port of the pages.", validator=PORTS)] = 8737,
    name: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="A further name of this server, as behind a proxy."),
    ] = (),
    study: Study = Path(),
) -> None:
    """Serve the pages of the study, where people look, decide, correct and sign (Ctrl-C ends)."""
    from flows.review_pages.serve import serve_review
    from panels.files.watchdog import watchdog
    from tasks.study.folder import open_study

    opened = open_study(study)
    with watchdog(None):
        serve_review(opened, host, port, name)


@review.command
def add(
    person: Annotated[str, Parameter(name="NAME", help="As decisions are signed with it.")],
    /,
    *,
    role: Annotated[
        Literal["reader", "reviewer", "approver"],
        Parameter(help="A reader looks, a reviewer decides and corrects, an approver signs."),
    ],
    by: By,
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Give NAME a token for the review pages, shown once; an earlier one of NAME ends."""
    from tasks.review.tokens import let_in
    from tasks.study.folder import open_study

    token = let_in(open_study(study), person, role, by=by)
    note_log_head(study)
    text = (
        f"{person} may open the review pages as {role} with this token, which is kept nowhere:\n"
        f"{token}"
    )
    return Outcome(document={"name": person, "role": role, "token": token}, text=text)


@review.command
def remove(
    person: Annotated[str, Parameter(name="NAME", help="Who was let in.")],
    /,
    *,
    by: By,
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """End the token of NAME, and what NAME is logged in to."""
    from tasks.review.tokens import NOBODY_LEFT, shut_out
    from tasks.study.folder import open_study

    left = "" if shut_out(open_study(study), person, by=by) else f"\n{NOBODY_LEFT}"
    note_log_head(study)
    return Outcome({"name": person, "others": not left}, f"{person} is let in no more.{left}")


@review.command
def people(*, study: Study = Path(), json: Json = False) -> Outcome:
    """List who may open the review pages."""
    from tasks.review.tokens import nobody_in_words
    from tasks.store.people import people_of
    from tasks.study.folder import open_study

    with open_study(study).store() as store:
        known, nobody = people_of(store), nobody_in_words(store)
    listed = [{"name": each.name, "role": each.role, "since": each.since} for each in known]
    lines = [f"{each.name}  {each.role}  since {each.since[:10]}" for each in known]
    return Outcome(document={"people": listed}, text="\n".join(lines) or nobody)


@review.command
def accept(  # noqa: PLR0913 - options of one command
    patient: str,
    visit: str,
    *,
    by: By,
    comment: Comment = "",
    tube: Tube = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Accept the numbers of VISIT of PATIENT as they are in the tables now."""
    return _decided(study, "accepted", (patient, visit, tube), by, comment)


@review.command
def query(  # noqa: PLR0913 - options of one command
    patient: str,
    visit: str,
    *,
    by: By,
    comment: Comment,
    tube: Tube = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Ask a question about VISIT of PATIENT; its tables are not signed before it is settled."""
    return _decided(study, "queried", (patient, visit, tube), by, comment)


@review.command
def repeat(  # noqa: PLR0913 - options of one command
    patient: str,
    visit: str,
    *,
    by: By,
    comment: Comment,
    tube: Tube = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Ask to stain or acquire VISIT of PATIENT again; its tables are not signed before."""
    return _decided(study, "repeat", (patient, visit, tube), by, comment)


@review.command
def status(
    *,
    patient: Annotated[str | None, Parameter(help="Only this patient.")] = None,
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """List every visit, open ones with the worst flags first, and who signed which tables."""
    from tasks.review.overview import patients_signed, visits_by_urgency
    from tasks.review.sign_off import restated_since
    from tasks.study.folder import open_study

    with open_study(study).store() as store:
        visits = visits_by_urgency(store, patient)
        signed = patients_signed(store, patient)
        restated = [restated_since(store, each) if json or patient else None for each in signed]
    heading = f"{'patient':<12} {'visit':<8} {'worst':<5} {'state':<16} panels"
    lines = [_count_line(visits), heading, *map(_visit_line, visits), ""]
    for each, changed in zip(signed, restated, strict=True):
        lines.append(_standing_line(each))
        lines += [f"    {value.text}" for value in changed.values] if changed else []
    document = {
        "visits": [_visit_document(each) for each in visits],
        "patients": [
            each.document()
            | {"restated": [asdict(value) for value in changed.values] if changed else []}
            for each, changed in zip(signed, restated, strict=True)
        ],
    }
    return Outcome(document=document, text="\n".join(lines))


@review.command
def sign(  # noqa: PLR0913 - options of one command
    patient: str,
    state: Annotated[
        Literal["reviewed", "approved", "released"], Parameter(help="Signed in this order.")
    ],
    *,
    by: By,
    meaning: Annotated[str, Parameter(help="What you sign, such as 'all gates seen'; it is kept.")],
    data_cut: Annotated[
        str, Parameter(help="Sign the tables as they were at the end of this day (2026-03-31).")
    ] = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Sign PATIENT's tables as reviewed, approved or released.

    A signature is bound to what the tables say: when they change it does not hold any more.
    """
    from tasks.results.sign_tables import sign_tables
    from tasks.study.folder import open_study

    signed = sign_tables(
        open_study(study), patient, state, by=by, meaning=meaning, data_cut=data_cut
    )
    note_log_head(study)
    return Outcome(document=signed.document(), text=_standing_line(signed))


def _decided(
    study: Path, decision: "Decision", place: tuple[str, str, str], by: str, comment: str
) -> Outcome:
    """Keep a decision on a patient's visit (and tube), and write it into the tables at once."""
    from tasks.review.deciding import decide
    from tasks.study.folder import open_study

    opened = open_study(study)
    made, before = decide(opened, place, decision, by=by, comment=comment)
    note_log_head(study)
    written = _write_tables(opened, made.patient)
    why = _why_reopened(opened, made)
    of = f" tube {made.tube_sha256[:12]}" if made.tube_sha256 else ""
    lines = [f"{made.patient} {made.visit}{of} is {IN_WORDS[decision]} by {made.reviewer}."]
    if before is not None:
        lines.append(f"It replaces: {_told(before)}")
    if why:
        lines.append(f"It is open again: the tables were out of date and are written anew: {why}")
    document = {
        **{name: value for name, value in asdict(made).items() if name != "saw"},
        "replaces": None if before is None else _told(before),
        "tables_written": written,
        "reopened_because": why,
    }
    return Outcome(document=document, text="\n".join(lines), failed=not written or bool(why))


def _why_reopened(study: "OpenStudy", made: "Review") -> str:
    """Say why a decision does not hold any more in the tables as they are now."""
    from tasks.review.overview import visits_by_urgency

    with study.store() as store:
        visits = [each.visit for each in visits_by_urgency(store, made.patient)]
    return "; ".join(each.reopened_because for each in visits if each.visit == made.visit)


def _write_tables(study: "OpenStudy", patient: str) -> bool:
    """Write a patient's tables with the decision, and tell whether they could be written."""
    from panels.text.errors import ReconflowError
    from tasks.results.rebuild import rebuild_tables

    try:
        rebuild_tables(study, patient)
    except (ReconflowError, OSError) as error:
        sys.stderr.write(
            f"reconflow: The decision is kept. The tables of {patient} cannot be written now: "
            f"{error} The next run writes them.\n"
        )
        return False
    return True


def _told(made: "Review") -> str:
    comment = f" ({made.comment})" if made.comment else ""
    return f"{IN_WORDS[made.decision]} by {made.reviewer} at {_minute(made.at)}{comment}"


def _minute(at: str) -> str:
    """Shorten a time of the store, which is of UTC, to minutes."""
    return f"{at[:16].replace('T', ' ')} UTC"


def _count_line(visits: Sequence["PatientVisit"]) -> str:
    states = [each.visit.state for each in visits]
    numbers = (
        f"{states.count(state):,} {word}" for state, word in IN_WORDS.items() if state in states
    )
    return f"{counted(len(visits), 'visit')}: {', '.join(numbers) or 'none'}"


def _visit_line(each: "PatientVisit") -> str:
    visit, last = each.visit, _told(each.visit.last) if each.visit.last else ""
    words = f"{IN_WORDS[visit.state]:<16} {', '.join(visit.panels)}"
    told = [f"{each.patient:<12} {visit.visit:<8} {each.severity or '-':<5} {words}"]
    if visit.reopened_because:
        told.append(f"reopened: {visit.reopened_because}; before {last}")
    elif last:
        told.append(last)
    if visit.changed_since:
        told.append(f"its numbers changed since it was asked: {visit.changed_since}")
    return "\n    ".join((*told, *each.excluded))


def _visit_document(each: "PatientVisit") -> dict[str, Any]:
    visit, last = each.visit, each.visit.last
    return {
        "patient": each.patient,
        "visit": visit.visit,
        "day": visit.day,
        "panels": list(visit.panels),
        "severity": each.severity,
        "flags": sorted(visit.flags),
        "state": visit.state,
        "by": last.reviewer if last else "",
        "at": last.at if last else "",
        "comment": last.comment if last else "",
        "reopened_because": visit.reopened_because,
        "changed_since": visit.changed_since,
        "excluded": list(each.excluded),
        "tubes": {sha256: tube.state for sha256, tube in visit.tubes.items()},
    }


def _standing_line(signed: "Standing") -> str:
    of = f" of {signed.data_cut}" if signed.data_cut else ""
    line = f"{signed.patient}: tables{of}: {signed.state}"
    if signed.by:
        return f"{line}, signed by {signed.by} at {_minute(signed.at)}: {signed.meaning}"
    return f"{line}: {signed.reopened_because}" if signed.reopened_because else line
