"""Answer the pages of drafts: the list, one over several tubes, edits, comparison, release."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import Field, StrictBool, StringConstraints

from flows.review_pages.access import Refused, acting, caller, is_at_least, may_read, server_of
from flows.review_pages.decisions import Body, Number, Outline, Text
from flows.review_pages.protection import refusal
from flows.review_pages.sessions import Session
from flows.review_pages.words import on_page
from panels.text.errors import UsageFault
from tasks.drafts.changes import Changes
from tasks.drafts.comparing import Comparisons, ComparisonUnderWay
from tasks.drafts.draft_document import draft_document, list_document
from tasks.drafts.draft_file import DraftName, NoSuchDraft, draft_named, read_draft
from tasks.drafts.dragged import Dragged
from tasks.drafts.edits import OutdatedDraft, keep_edit, told
from tasks.drafts.live_drafts import LiveDrafts, TooMuch
from tasks.drafts.release import own_edits, release_draft
from tasks.publish.pages import render
from tasks.strategies.in_use import read_snapshot

Sha12 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{12}$")]
Numbers = Annotated[dict[str, Number], Field(default_factory=dict)]
Outlines = Annotated[dict[str, Outline], Field(default_factory=dict)]
Key = Annotated[str, StringConstraints(max_length=300)]
NOT_COMPARED = "Compare first: a release needs the concordance of the draft as it is now."
MOST_NAMED = 5
STATUS: dict[type[UsageFault], int] = {
    NoSuchDraft: 404,
    OutdatedDraft: 409,
    ComparisonUnderWay: 409,
    TooMuch: 422,
}


class LaidOut(Body):
    """Tubes to be laid out."""

    tubes: list[Sha12]


class Moved(Body):
    """What was dragged in the tube ``at`` (positions), or typed (file values)."""

    tubes: list[Sha12]
    at: Sha12 | None = None
    thresholds: Numbers
    gates: Outlines
    values: Numbers
    vertices: Outlines
    still: StrictBool = False


class Edited(Body):
    """File values to be kept, with the reason."""

    values: Numbers
    vertices: Outlines
    reason: Text
    stamp: str


class Stamped(Body):
    """A comparison of the draft as it was shown."""

    stamp: str


class Releasing(Body):
    """A release, with its reason and, where there are any, the token once more.

    ``incomplete`` confirms that tubes which could not be compared are left out.
    """

    reason: Text
    incomplete: StrictBool = False
    token: Annotated[str, StringConstraints(max_length=200)] = ""
    stamp: str


def add_drafts(app: FastAPI) -> None:
    """Add the addresses by which drafts are looked at, edited, compared and released."""
    comparisons = Comparisons()
    for fault, status in STATUS.items():
        app.add_exception_handler(fault, _answering(status))
    _add_pages(app)
    _add_reading(app, comparisons)
    _add_looking(app)
    _add_deciding(app, comparisons)


def _add_pages(app: FastAPI) -> None:
    @app.get("/drafts")
    def drafts(request: Request) -> Response:
        if not may_read(request):
            return RedirectResponse("/login", status_code=303)
        values = {"root": "/", "data": (), "page": "drafts", "key": ""}
        return HTMLResponse(render("drafts.html", values))

    @app.get("/drafts/{key:path}")
    def draft(key: Key, request: Request) -> Response:
        if not may_read(request):
            return RedirectResponse("/login", status_code=303)
        name = draft_named(server_of(request).study, key)
        values = {"root": "/", "data": (), "page": "draft", "key": name.key}
        return HTMLResponse(render("draft.html", values))


def _add_reading(app: FastAPI, comparisons: Comparisons) -> None:
    @app.get("/api/drafts")
    def listed(request: Request) -> Response:
        _refuse_strangers(request)
        return JSONResponse(list_document(server_of(request).study))

    @app.get("/api/drafts/{key:path}/concordance")
    def compared(key: Key, request: Request) -> Response:
        _refuse_strangers(request)
        study = server_of(request).study
        return JSONResponse(comparisons.document(study, draft_named(study, key)))

    @app.get("/api/drafts/{key:path}")
    def shown(key: Key, request: Request) -> Response:
        _refuse_strangers(request)
        name = draft_named(server_of(request).study, key)
        return JSONResponse(_document(request, name, comparisons))


def _add_looking(app: FastAPI) -> None:
    live = LiveDrafts()

    @app.post("/api/drafts/{key:path}/tubes")
    def laid_out(
        key: Key, asked: LaidOut, request: Request, _: Annotated[Session, acting("reviewer")]
    ) -> Response:
        study = server_of(request).study
        return JSONResponse(live.laid_out(study, draft_named(study, key), asked.tubes))

    @app.post("/api/drafts/{key:path}/preview")
    def preview(
        key: Key, asked: Moved, request: Request, _: Annotated[Session, acting("reviewer")]
    ) -> Response:
        study = server_of(request).study
        dragged = Dragged(
            asked.thresholds, asked.gates, asked.values, asked.vertices, still=asked.still
        )
        name = draft_named(study, key)
        return JSONResponse(live.preview(study, name, asked.tubes, asked.at or "", dragged))


def _add_deciding(app: FastAPI, comparisons: Comparisons) -> None:
    one_at_a_time = threading.Lock()

    @app.post("/api/drafts/{key:path}/edits")
    def edited(
        key: Key, asked: Edited, request: Request, by: Annotated[Session, acting("reviewer")]
    ) -> Response:
        server = server_of(request)
        name = draft_named(server.study, key)
        vertices = {gate: tuple(each) for gate, each in asked.vertices.items()}
        changes = Changes(asked.values, vertices)
        with one_at_a_time:
            keep_edit(
                server.study, name, changes, by=by.name, reason=asked.reason, stamp=asked.stamp
            )
        server.note_log()
        return JSONResponse(_document(request, name, comparisons))

    @app.post("/api/drafts/{key:path}/concordance")
    def compare(
        key: Key, asked: Stamped, request: Request, by: Annotated[Session, acting("reviewer")]
    ) -> Response:
        study = server_of(request).study
        name = draft_named(study, key)
        comparisons.start(study, name, by=by.name, stamp=asked.stamp)
        return JSONResponse(comparisons.document(study, name))

    @app.post("/api/drafts/{key:path}/release")
    def release(
        key: Key, asked: Releasing, request: Request, by: Annotated[Session, acting("approver")]
    ) -> Response:
        server = server_of(request)
        name = draft_named(server.study, key)
        if server.needs_token():
            server.proven(by.name, asked.token, caller(request))
        with one_at_a_time:
            if not comparisons.is_current(server.study, name):
                raise Refused(409, NOT_COMPARED)
            reason = _with_what_is_left_out(asked, comparisons.uncompared(name))
            done = release_draft(server.study, name, by=by.name, reason=reason, stamp=asked.stamp)
        server.note_log()
        return JSONResponse({"pin": done.pin, "sha256": done.sha256, "words": list(done.words)})


def _with_what_is_left_out(asked: Releasing, uncompared: Sequence[str]) -> str:
    """Give the reason of a release with the tubes left out; raises Refused unless confirmed."""
    if not uncompared:
        return asked.reason
    more = len(uncompared) - MOST_NAMED
    names = ", ".join(uncompared[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    if not asked.incomplete:
        raise Refused(
            409,
            f"Not compared: {names}. See to it and compare all tubes again, or confirm that the "
            f"draft is released without comparing them.",
        )
    return asked.reason and f"{asked.reason} (not compared: {names})"


def _document(request: Request, name: DraftName, comparisons: Comparisons) -> dict[str, Any]:
    """Give a draft, with what stands in the way of a release by whoever asks."""
    server = server_of(request)
    shown = draft_document(read_snapshot(server.study), name)
    refused = shown["refused"] and f"It cannot be released: {shown['refused']}"
    release = {
        "by": "approver",
        "needs_token": server.needs_token(),
        "four_eyes": server.study.settings.review.four_eyes,
        "refused": refused or _in_the_way(request, name, comparisons),
    }
    return shown | {"release": release}


def _in_the_way(request: Request, name: DraftName, comparisons: Comparisons) -> str:
    server = server_of(request)
    who = server.session(request)
    if who is None:
        return "Log in first: an approver releases."
    if not is_at_least(who.role, "approver"):
        return f"{who.name} is a {who.role}: an approver releases."
    with server.study.store() as store:
        own = own_edits(server.study, told(store, read_draft(server.study, name)), who.name)
    return own or ("" if comparisons.is_current(server.study, name) else NOT_COMPARED)


def _refuse_strangers(request: Request) -> None:
    if not may_read(request):
        raise Refused(401, "Log in first.")


def _answering(status: int) -> Any:
    """Make the handler that answers a fault with its sentence and a status of its own."""

    def answer(_: Request, error: Exception) -> Response:
        return refusal(status, on_page(error))

    return answer
