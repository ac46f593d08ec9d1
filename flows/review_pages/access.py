"""Let people in to the review pages, and tell who makes a call and what they may do."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, StringConstraints

from flows.review_pages.protection import CSRF_HEADER, cookie_of
from flows.review_pages.sessions import Session, Sessions
from flows.review_pages.tables_writer import TablesWriter
from tasks.review.audit_trail import keep_head
from tasks.review.tokens import is_token, token_hash
from tasks.store.people import ROLES, Person, Role, people_of, was_anybody_let_in
from tasks.study.folder import Study
from tasks.vocabulary.person import person as named

NOBODY = token_hash("")
"""Compared with where no such person is known, so that both answers take equally long."""


class Refused(Exception):
    """A call that is not answered: with its status and the sentence that the page shows."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)
        self.status, self.sentence = status, sentence


class Login(BaseModel):
    """Who wants to log in; the token is empty where nobody has one."""

    model_config = ConfigDict(extra="forbid")

    name: str
    token: Annotated[str, StringConstraints(max_length=200)] = ""


@dataclass(slots=True)
class ReviewServer:
    """What all calls share: the study, who is logged in, and tables that have to be written.

    ``beyond_loopback`` says that the server may be called from other machines.
    """

    study: Study
    beyond_loopback: bool = False
    sessions: Sessions = field(default_factory=Sessions)
    tables: TablesWriter = field(init=False)

    def __post_init__(self) -> None:
        self.tables = TablesWriter(self.study)

    def needs_token(self) -> bool:
        """Tell whether people must show a token: on this machine once anybody was given one.

        It stays so when the last of them is let in no more, or a token was altered in the store:
        such a token lets nobody in, and opens the pages to nobody.
        """
        if self.beyond_loopback:
            return True
        with self.study.store() as store:
            return was_anybody_let_in(store)

    def log_in(self, login: Login, address: str) -> tuple[str, Session]:
        """Begin a session.

        Raises UsageFault when a name is none, Refused when name and token are not anybody's.
        """
        name = named("Your name", login.name)
        if not self.needs_token():
            return self.sessions.begin(name, "approver")
        person = self.proven(name, login.token, address)
        return self.sessions.begin(person.name, person.role, person.row)

    def proven(self, name: str, token: str, address: str) -> Person:
        """Give the person whose token it is; raises Refused, and for a while after many tries."""
        if not self.sessions.may_try(name, address):
            raise Refused(429, "Too many wrong tokens: wait a minute, then try again.")
        person = self._people().get(name)
        if not is_token(token, person.token_hash if person else NOBODY) or person is None:
            self.sessions.note_failure(name, address)
            raise Refused(403, "Name and token do not belong together.")
        return person

    def session(self, request: Request) -> Session | None:
        """Give who calls; None: nobody who may.

        A login with a token ends with that token, one without as soon as anybody has a token.
        """
        session = self.sessions.find(cookie_of(request))
        if session is None or self._still_holds(session):
            return session
        self.sessions.end(cookie_of(request))
        return None

    def note_log(self) -> None:
        """Note outside the database how far the log of decisions goes now."""
        with self.study.store() as store:
            for sentence in keep_head(self.study, store):
                sys.stderr.write(f"reconflow: {sentence}\n")

    def _still_holds(self, session: Session) -> bool:
        if session.row is None:
            return not self.needs_token()
        person = self._people().get(session.name)
        return person is not None and person.row == session.row

    def _people(self) -> dict[str, Person]:
        with self.study.store() as store:
            return {person.name: person for person in people_of(store)}


def server_of(request: Request) -> ReviewServer:
    """Give what the calls share."""
    server: ReviewServer = request.app.state.server
    return server


def caller(request: Request) -> str:
    """Give the address that a call comes from."""
    return request.client.host if request.client else ""


def may_read(request: Request) -> bool:
    """Tell whether a call may read: anybody on this machine, where nobody has a token."""
    server = server_of(request)
    return server.session(request) is not None or not server.needs_token()


def is_at_least(role: Role, asked: Role) -> bool:
    """Tell whether a role may do what another may."""
    return ROLES.index(role) >= ROLES.index(asked)


def acting(role: Role) -> Any:
    """Make the check that a change is made by somebody with at least a role, from our own page."""

    def check(request: Request) -> Session:
        session = server_of(request).session(request)
        if session is None:
            raise Refused(401, "Log in first.")
        if request.headers.get(CSRF_HEADER) != session.csrf:
            raise Refused(403, "This page is of an earlier login: load it again.")
        if not is_at_least(session.role, role):
            raise Refused(403, f"{session.name} is a {session.role}; this asks for a {role}.")
        return session

    return Depends(check)
