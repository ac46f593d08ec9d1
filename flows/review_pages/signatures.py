"""Answer the page of a patient: how far its tables are signed, and signatures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from flows.review_pages.access import (
    Refused,
    acting,
    caller,
    is_at_least,
    may_read,
    server_of,
)
from flows.review_pages.sessions import Session
from panels.text.printable import shown
from tasks.results.sign_tables import sign_tables
from tasks.review.seen import content_sha256
from tasks.review.sign_off import STATES, standing
from tasks.store.editions import last_editions
from tasks.store.people import Role
from tasks.store.signatures import Signed
from tasks.store.tubes import taken_in
from tasks.study.folder import Study

ASKS: dict[Signed, Role] = {"reviewed": "reviewer", "approved": "approver", "released": "approver"}


class Signing(BaseModel):
    """A signature: what is signed, what it means, and the token once more where there are any."""

    model_config = ConfigDict(extra="forbid")

    state: Signed
    meaning: Annotated[str, StringConstraints(max_length=2000)]
    token: Annotated[str, StringConstraints(max_length=200)] = ""
    stamp: str


def add_signatures(app: FastAPI) -> None:
    """Add the addresses by which a patient's tables are signed."""

    @app.get("/api/patients/{patient}")
    def signed(patient: str, request: Request) -> Response:
        if not may_read(request):
            raise Refused(401, "Log in first.")
        _refuse_unknown(request, patient)
        return JSONResponse(_document(request, patient))

    @app.post("/api/patients/{patient}/signatures")
    def signature(
        patient: str, asked: Signing, request: Request, by: Annotated[Session, acting("reader")]
    ) -> Response:
        server = server_of(request)
        _refuse_unknown(request, patient)
        if not is_at_least(by.role, ASKS[asked.state]):
            needed = ASKS[asked.state]
            raise Refused(403, f"{by.name} is a {by.role}; '{asked.state}' asks for a {needed}.")
        if server.needs_token():
            server.proven(by.name, asked.token, caller(request))
        if _stamp(server.study, patient) != asked.stamp:
            raise Refused(
                409,
                "The tables changed since this page was loaded: nothing was signed. Load it again "
                "and look at what it shows then.",
            )
        sign_tables(server.study, patient, asked.state, by=by.name, meaning=asked.meaning)
        server.note_log()
        return JSONResponse(_document(request, patient))


def _refuse_unknown(request: Request, patient: str) -> None:
    """Raise Refused for a patient of whom there is no tube, no table and no line in the sheet."""
    study = server_of(request).study
    with study.store() as store:
        if taken_in(store, patient=patient) or patient in last_editions(store, patient):
            return
    if patient not in study.patients().patients:
        raise Refused(404, f"There is no patient '{shown(patient)}' in this study.")


def _document(request: Request, patient: str) -> dict[str, object]:
    server = server_of(request)
    with server.study.store() as store:
        now = standing(store, patient)
    done = STATES.index(now.state) + 1 if now.state in STATES else 0
    return {
        "state": now.state,
        "signatures": [
            {key: value for key, value in asdict(each).items() if key != "content"}
            for each in now.signatures
        ],
        "reopened": now.reopened_because,
        "next": STATES[done] if done < len(STATES) else None,
        "needs_token": server.needs_token(),
        "stamp": _stamp(server.study, patient),
    }


def _stamp(study: Study, patient: str) -> str:
    """Hash what a signature would bind; empty where the patient has no tables."""
    with study.store() as store:
        edition = last_editions(store, patient).get(patient)
    return content_sha256(edition) if edition else ""
