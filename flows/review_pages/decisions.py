"""Answer the pages that decide on a tube: how it stands, decisions, and corrections."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from flows.review_pages.access import Refused, acting, caller, is_at_least, may_read, server_of
from flows.review_pages.sessions import Session
from tasks.corrections.boundaries import LEAST_VERTICES as LEAST
from tasks.corrections.boundaries import MOST_VERTICES as MOST
from tasks.corrections.correct import Request as Correction
from tasks.corrections.correct import correct_tube
from tasks.corrections.exclusion import decide_on_tube
from tasks.corrections.live_tube import LiveTubes
from tasks.corrections.tube_standing import TubeStanding, standing_document, tube_standing
from tasks.review.deciding import decide
from tasks.store.reviews import Decision
from tasks.strategies.in_use import read_snapshot

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A number as JSON writes it: no text, no truth value."""
Outline = Annotated[list[tuple[Number, Number]], Field(min_length=LEAST, max_length=MOST)]
DECISIONS: dict[str, Decision] = {"accept": "accepted", "query": "queried", "repeat": "repeat"}


class Body(BaseModel):
    """What a page sends; a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class Decided(Body):
    """A decision on a tube, or with ``whole`` on all tubes of its visit.

    ``stamp`` is the tube's, or with ``whole`` that of the visit.
    """

    decision: Literal["accept", "query", "repeat", "exclude", "include"]
    comment: Text = ""
    whole: StrictBool = False
    stamp: str


class Moved(Body):
    """Thresholds and vertices where they were dragged to, in display units."""

    thresholds: dict[str, Number] = {}
    gates: dict[str, Outline] = {}


class Corrected(Moved):
    """A correction to be kept, with its reason and, beyond the limits, a second person."""

    reason: Text
    second: Text = ""
    second_token: str = ""
    stamp: str


def add_decisions(app: FastAPI) -> None:
    """Add the addresses by which tubes are decided on."""
    one_at_a_time = threading.Lock()
    live = LiveTubes()

    @app.get("/api/tubes/{sha256}")
    def standing(sha256: Hash, request: Request) -> Response:
        if not may_read(request):
            raise Refused(401, "Log in first.")
        return JSONResponse(standing_document(_standing(request, sha256)))

    @app.post("/api/tubes/{sha256}/decisions")
    def decided(
        sha256: Hash, asked: Decided, request: Request, by: Annotated[Session, acting("reviewer")]
    ) -> Response:
        server = server_of(request)
        with one_at_a_time:
            tube = _unchanged(request, sha256, asked.stamp, whole=asked.whole)
            if asked.decision in DECISIONS:
                place = (tube.patient, tube.visit, "" if asked.whole else sha256)
                made = DECISIONS[asked.decision]
                decide(server.study, place, made, by=by.name, comment=asked.comment)
                server.tables.write(tube.patient)
            elif asked.whole:
                raise Refused(422, "Tubes are excluded and included one by one, not by visit.")
            else:
                action: Literal["exclude", "include"] = (
                    "exclude" if asked.decision == "exclude" else "include"
                )
                decide_on_tube(server.study, sha256, action, by.name, asked.comment)
        server.note_log()
        return JSONResponse({})

    @app.post("/api/tubes/{sha256}/preview")
    def preview(
        sha256: Hash, asked: Moved, request: Request, _: Annotated[Session, acting("reviewer")]
    ) -> Response:
        tube = live.open(server_of(request).study, sha256)
        return JSONResponse(tube.preview(asked.thresholds, asked.gates).document())

    @app.post("/api/tubes/{sha256}/corrections")
    def corrected(
        sha256: Hash, asked: Corrected, request: Request, by: Annotated[Session, acting("reviewer")]
    ) -> Response:
        server = server_of(request)
        if asked.second:
            _agrees(request, asked)
        with one_at_a_time:
            _unchanged(request, sha256, asked.stamp)
            thresholds, gates = live.open(server.study, sha256).in_channel_units(
                asked.thresholds, asked.gates
            )
            made = Correction(by.name, asked.reason, thresholds, gates, asked.second)
            done = correct_tube(server.study, sha256, made)
            live.close(sha256)
        server.note_log()
        return JSONResponse({"faults": list(done.tables.faults) if done.tables else []})


def _standing(request: Request, sha256: str) -> TubeStanding:
    study = server_of(request).study
    with study.store() as store:
        return tube_standing(read_snapshot(study), store, sha256)


def _unchanged(request: Request, sha256: str, stamp: str, *, whole: bool = False) -> TubeStanding:
    """Give how a tube stands; raises Refused when it (or its visit) is not what the person saw."""
    now = _standing(request, sha256)
    if stamp == (now.visit_stamp if whole else now.stamp):
        return now
    what = f"a tube of {now.visit} changed" if whole else "this tube changed"
    told = f" ({now.by} set it to '{now.state}' at {now.at})" if now.state and not whole else ""
    raise Refused(
        409,
        f"Meanwhile {what}{told}: nothing of yours was saved. Load the page again and decide on "
        "what it shows then.",
    )


def _agrees(request: Request, asked: Corrected) -> None:
    """Raise Refused unless a second person, other than the first, agrees with their own token."""
    server = server_of(request)
    if not server.needs_token():
        return
    second = server.proven(asked.second, asked.second_token, caller(request))
    if not is_at_least(second.role, "reviewer"):
        raise Refused(403, f"{second.name} is a {second.role}; this asks for a reviewer.")
