"""Make the application behind the review pages of one study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.middleware.base import BaseHTTPMiddleware

from flows.review_pages.files import KINDS, find_result
from flows.review_pages.protection import COOKIE, CSRF_HEADER, cookie_of, guard, refusal
from flows.review_pages.sessions import Session, Sessions
from panels.text.errors import ReconflowError, UsageFault
from tasks.publish.pages import render
from tasks.review.tokens import is_token, token_hash
from tasks.store.people import ROLES, Role, people_of
from tasks.study.folder import Study

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
OPEN = frozenset({"app.js", "app.css"})
"""What the login page itself is made of holds nothing of the study."""
NOBODY = token_hash("")
"""Compared with where no such person is known, so that both answers take equally long."""


class Refused(Exception):
    """A call that is not answered: with its status and the sentence that the page shows."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Login(BaseModel):
    """Who wants to log in; the token is empty where nobody has one."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    token: Annotated[str, StringConstraints(max_length=200)] = ""


@dataclass(slots=True)
class ReviewServer:
    """What all calls share: the study and who is logged in.

    ``beyond_loopback`` says that the server may be called from other machines.
    """

    study: Study
    beyond_loopback: bool = False
    sessions: Sessions = field(default_factory=Sessions)

    def needs_token(self) -> bool:
        """Tell whether people must show a token: on this machine only once somebody has one."""
        with self.study.store() as store:
            return self.beyond_loopback or bool(people_of(store))

    def log_in(self, login: Login, address: str) -> tuple[str, Session]:
        """Begin a session; raises Refused when name and token are not those of anybody."""
        with self.study.store() as store:
            known = {person.name: person for person in people_of(store)}
        if not known and not self.beyond_loopback:
            return self.sessions.begin(login.name, "approver")
        if not self.sessions.may_try(address):
            raise Refused(429, "Too many wrong tokens: wait a minute, then try again.")
        person = known.get(login.name)
        if not is_token(login.token, person.token_hash if person else NOBODY) or person is None:
            self.sessions.note_failure(address)
            raise Refused(403, "Name and token do not belong together.")
        return self.sessions.begin(person.name, person.role)

    def session(self, request: Request) -> Session | None:
        """Give who calls, with the role that the store knows now; None: nobody who may."""
        session = self.sessions.find(cookie_of(request))
        if session is None:
            return None
        with self.study.store() as store:
            known = {person.name: person.role for person in people_of(store)}
        if not known and not self.beyond_loopback:
            return session
        if session.name not in known:
            self.sessions.end(cookie_of(request))
            return None
        session.role = known[session.name]
        return session


def server_of(request: Request) -> ReviewServer:
    """Give what the calls share."""
    server: ReviewServer = request.app.state.server
    return server


def may_read(request: Request) -> bool:
    """Tell whether a call may read: anybody on this machine, where nobody has a token."""
    server = server_of(request)
    return server.session(request) is not None or not server.needs_token()


def acting(role: Role):  # noqa: ANN201 - a dependency of FastAPI
    """Make the check that a change is made by somebody with at least a role, from our own page."""

    def check(request: Request) -> Session:
        session = server_of(request).session(request)
        if session is None:
            raise Refused(401, "Log in first.")
        if request.headers.get(CSRF_HEADER) != session.csrf:
            raise Refused(403, "This page is of an earlier login: load it again.")
        if ROLES.index(session.role) < ROLES.index(role):
            raise Refused(403, f"{session.name} is a {session.role}; this asks for a {role}.")
        return session

    return Depends(check)


def create_app(server: ReviewServer, hosts: Sequence[str]) -> FastAPI:
    """Make the application; ``hosts`` are the names and ports by which it may be called."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.server = server
    app.add_middleware(BaseHTTPMiddleware, dispatch=guard(hosts))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(ReconflowError, _faulty)
    _add_sessions(app)
    _add_results(app)
    return app


def _add_sessions(app: FastAPI) -> None:
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
        address = request.client.host if request.client else ""
        secret, session = server_of(request).log_in(login, address)
        response = JSONResponse(_described(session))
        response.set_cookie(
            COOKIE, secret, httponly=True, samesite="strict", secure=request.url.scheme == "https"
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
    first = error.errors()[0]
    return refusal(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}.")


def _faulty(_: Request, error: Exception) -> Response:
    return refusal(400 if isinstance(error, UsageFault) else 503, str(error))
