"""Make the application behind the review pages of one study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from flows.review_pages.access import (
    Login,
    Refused,
    ReviewServer,
    acting,
    caller,
    may_read,
    server_of,
)
from flows.review_pages.decisions import add_decisions
from flows.review_pages.drafts import add_drafts
from flows.review_pages.failures import reported
from flows.review_pages.files import KINDS, find_result
from flows.review_pages.protection import COOKIE, HEADERS, cookie_of, guard, is_encrypted, refusal
from flows.review_pages.sessions import Session
from flows.review_pages.signatures import add_signatures
from flows.review_pages.words import UNFORESEEN, UNREADABLE, on_page, why_malformed
from panels.text.errors import ReconflowError, UsageFault
from tasks.publish.pages import render

OPEN = frozenset({"app.js", "app.css"})
"""What the login page itself is made of holds nothing of the study."""


def create_app(server: ReviewServer, hosts: Sequence[str]) -> FastAPI:
    """Make the application; ``hosts`` are the names and ports by which it may be called."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.server = server
    app.middleware("http")(reported(server.study.folder))
    app.middleware("http")(guard(hosts))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(ReconflowError, _faulty)
    app.add_exception_handler(HTTPException, _unreadable)
    app.add_exception_handler(Exception, _unforeseen)
    _add_sessions(app)
    add_decisions(app)
    add_signatures(app)
    add_drafts(app)
    _add_results(app)
    return app


def _add_sessions(app: FastAPI) -> None:
    @app.get("/favicon.ico")
    def no_icon() -> Response:
        return Response(status_code=204)

    @app.get("/login")
    def login_page(request: Request) -> Response:
        values = {
            "study": server_of(request).study.settings.study,
            "needs_token": server_of(request).needs_token(),
            "root": "/",
            "page": "login",
            "key": "",
            "data": (),
        }
        return HTMLResponse(render("login.html", values))

    @app.post("/api/login")
    def log_in(login: Login, request: Request) -> Response:
        secret, session = server_of(request).log_in(login, caller(request))
        response = JSONResponse(_described(session))
        response.set_cookie(
            COOKIE, secret, httponly=True, samesite="strict", secure=is_encrypted(request)
        )
        return response

    @app.post("/api/logout")
    def log_out(request: Request, _: Annotated[Session, acting("reader")]) -> Response:
        server_of(request).sessions.end(cookie_of(request))
        response = JSONResponse({})
        response.delete_cookie(COOKIE)
        return response

    @app.get("/api/session")
    def who(request: Request) -> Response:
        session = server_of(request).session(request)
        return JSONResponse(_described(session) if session else {"name": None})


def _add_results(app: FastAPI) -> None:
    @app.api_route("/{address:path}", methods=["GET", "HEAD"])
    def result(address: str, request: Request) -> Response:
        if address not in OPEN and not may_read(request):
            return RedirectResponse("/login", status_code=303)
        results = server_of(request).study.results
        path = find_result(results, address)
        if path is None:
            return refusal(404, "There is no such page.")
        return FileResponse(path, media_type=KINDS[path.suffix])


def _described(session: Session) -> dict[str, object]:
    return {"name": session.name, "role": session.role, "csrf": session.csrf}


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(error.status, error.sentence)


def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return refusal(422, why_malformed(error.errors()[0]))


def _unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = {400: UNREADABLE, 405: "This address takes no such call."}
    return refusal(error.status_code, known.get(error.status_code, str(error.detail)))


def _unforeseen(_: Request, __: Exception) -> Response:
    return refusal(500, UNFORESEEN, HEADERS)


def _faulty(_: Request, error: Exception) -> Response:
    return refusal(400 if isinstance(error, UsageFault) else 503, on_page(error))
