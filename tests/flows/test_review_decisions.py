"""Decisions and corrections on the review pages, by people in browsers and beside them."""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.corrections.correct import Request, correct_tube
from tasks.corrections.exclusion import decide_on_tube
from tasks.corrections.live_tube import LiveTubes
from tasks.publish.app_files import write_app
from tasks.results.front_page import rewrite_front_page
from tasks.review.tokens import let_in
from tasks.store.audit import entries
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.study.tube_named import tube_named
from tests.browser import Browser, browser, needs_chromium
from tests.review_server import Served, posted, serving
from tests.tasks.simulated_patient import (
    COMPANION,
    FILE,
    accompanied_patient,
)

__all__ = ["accompanied_patient", "browser"]
pytestmark = pytest.mark.xdist_group("review_decisions")

SIGNED_UNSEEN = {"state": "reviewed", "meaning": "all gates seen", "stamp": ""}
EVIL = "<img src=x onerror=alert(1)> \u202e=cmd|x"


@pytest.fixture
def study(accompanied_patient: Path, tmp_path: Path) -> Study:
    study = open_study(shutil.copytree(accompanied_patient, tmp_path / "s"))
    write_app(study.results)
    rewrite_front_page(read_snapshot(study))
    return study


@pytest.fixture
def served(study: Study) -> Iterator[Served]:
    with serving(study) as running:
        yield running


@pytest.fixture
def sha(study: Study) -> str:
    with study.store() as store:
        return tube_named(store, FILE).identity.tube_sha256


def rows_of(study: Study, sha256: str) -> list[dict[str, str]]:
    with (study.results / "patients" / "P01" / "kinetics.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["tube_sha256"] == sha256]


def until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def standing(served: Served, sha256: str) -> dict[str, object]:
    return served.client.get(f"/api/tubes/{sha256}").json()


def page_of(served: Served, sha256: str, gate: str = "") -> str:
    return f"{served.url}/tubes/{sha256[:12]}/gating.html{gate and f'#gate={gate}'}"


def logged_in(browser: Browser, served: Served, name: str) -> None:
    browser.open(f"{served.url}/login")
    browser.evaluate("document.querySelector('input[name=name]').focus()")
    browser.press(*name, "Enter")
    browser.until("location.pathname === '/'")


@needs_chromium
def test_a_person_accepts_a_tube_by_keys_and_the_tables_say_so(browser, served, study, sha):
    logged_in(browser, served, "Anna Arzt")
    browser.open(page_of(served, sha))
    browser.until("document.querySelector('.review-buttons button')")
    browser.press("a")
    browser.until("document.querySelector('.review-dialog[open] textarea')")
    browser.press(*"seen")
    browser.evaluate("document.querySelector('.review-dialog form').requestSubmit()")
    browser.until("document.querySelector('.review-accepted')")
    said = browser.evaluate("document.querySelector('.review-state').textContent")
    assert said.startswith("Accepted by Anna Arzt, ")
    assert said.endswith(": seen")
    until(lambda: {row["review"] for row in rows_of(study, sha)} == {"accepted"})
    with study.store() as store:
        assert [(each.actor, each.action) for each in entries(store)] == [("Anna Arzt", "accepted")]
    assert browser.console == []
    assert all(address.startswith((served.url, "data:", "about:")) for address in browser.requests)


@needs_chromium
def test_a_question_says_how_the_numbers_changed_since_it_was_asked(browser, served, study, sha):
    body = {"decision": "query", "comment": "CD24?", "stamp": standing(served, sha)["stamp"]}
    assert posted(served.client, "Berta", f"/api/tubes/{sha}/decisions", body).status_code == 200
    assert standing(served, sha)["changed_since"] == ""
    correct_tube(study, sha, Request("A. Meyer", "the valley lies higher", {"cd24_tr": 8500.0}))
    changed = standing(served, sha)["changed_since"]
    assert "corrected" in changed
    logged_in(browser, served, "Anna Arzt")
    browser.open(page_of(served, sha))
    browser.until("document.querySelector('.review-queried')")
    said = browser.evaluate("document.querySelector('.review-panel').textContent")
    assert f"The numbers changed since it was asked: {changed}." in said


def test_the_second_of_two_reviewers_is_told(served, study, sha):
    saw = standing(served, sha)
    body = {"decision": "query", "comment": "is that real?", "stamp": saw["stamp"]}
    address = f"/api/tubes/{sha}/decisions"
    assert posted(served.client, "Anna", address, body).status_code == 200
    with served.another() as other:
        answer = posted(other, "Berta", address, body | {"decision": "accept"})
    assert answer.status_code == 409
    assert "Anna set it to 'queried'" in answer.json()["fault"]
    assert standing(served, sha)["state"] == "queried"


def test_a_visit_is_decided_on_as_all_its_tubes_were_seen(served, study, sha):
    with study.store() as store:
        other = tube_named(store, COMPANION).identity.tube_sha256
    saw = standing(served, sha)
    one = {"decision": "query", "comment": "real?", "stamp": standing(served, other)["stamp"]}
    assert posted(served.client, "Berta", f"/api/tubes/{other}/decisions", one).status_code == 200
    body = {"decision": "accept", "whole": True, "stamp": saw["visit_stamp"]}
    address = f"/api/tubes/{sha}/decisions"
    for stamp in (saw["visit_stamp"], saw["stamp"]):
        answer = posted(served.client, "Anna", address, body | {"stamp": stamp})
        assert answer.status_code == 409
        assert "a tube of D84 changed" in answer.json()["fault"]
    assert standing(served, other)["state"] == "queried"
    now = standing(served, sha)
    assert now["stamp"] == saw["stamp"], "this tube itself is as it was"
    body["stamp"] = now["visit_stamp"]
    assert posted(served.client, "Anna", address, body).status_code == 200
    assert standing(served, other)["state"] == "accepted"


IMPOSSIBLE = [
    ({"gates": {"cells": []}}, "an outline has 3 to 200 vertices"),
    ({"gates": {"cells": [[0.1, 0.1]]}}, "an outline has 3 to 200 vertices"),
    ({"gates": {"cells": [[0.1, 0.1]] * 201}}, "an outline has 3 to 200 vertices"),
    ({"gates": {"cells": [[0.1, True]] * 4}}, "is no number"),
    ({"thresholds": {"cd24_tr": True}}, "is no number"),
    ({"thresholds": {"cd24_tr": "0.5"}}, "is no number"),
    ({"thresholds": {"cd24_tr": 10**400}}, "is no number"),
    ({"thresholds": {"cd24_tr": 1e300}}, "far beyond the axis of CD24"),
    ({"thresholds": {"cd24_tr": -50}}, "far beyond the axis of CD24"),
    ({"gates": {"cells": [[1e300, 0.1]] * 4}}, "far beyond the axis of FSC-A"),
    ({"thresholds": {"cells": 0.5}}, "has no threshold 'cells'"),
    ({"gates": {"a\ud800": [[1, 1], [2, 1], [2, 2]]}}, "has no polygon 'a\\ud800'"),
    ({}, "move a threshold or an outline first"),
    ({"thresholds": {"cd24_tr": 1.5}}, "The threshold cd24_tr at"),
]


def test_boundaries_that_cannot_be_are_refused_in_words(served, sha):
    kept = {"reason": "x", "second": "Berta", "stamp": standing(served, sha)["stamp"]}
    for moved, said in IMPOSSIBLE:
        answer = posted(served.client, "Anna", f"/api/tubes/{sha}/corrections", moved | kept)
        assert answer.status_code in {400, 422}, moved
        assert said in answer.json()["fault"]
        assert "--" not in answer.json()["fault"]
        if moved and not said.startswith("The threshold"):
            answer = posted(served.client, "Anna", f"/api/tubes/{sha}/preview", moved)
            assert answer.status_code in {400, 422}
            assert said in answer.json()["fault"]


def test_an_excluded_tube_is_used_no_more_and_can_be_let_in_again(served, study, sha):
    address = f"/api/tubes/{sha}/decisions"
    for decision, state, used in (("exclude", "excluded", {"N"}), ("include", "", {"Y", "N"})):
        stamp = standing(served, sha)["stamp"]
        body = {"decision": decision, "comment": EVIL.replace("\u202e", ""), "stamp": stamp}
        assert posted(served.client, "Anna", address, body).status_code == 200
        assert standing(served, sha)["state"] == state
        assert {row["used"] for row in rows_of(study, sha)} <= used
        assert {row["review"] for row in rows_of(study, sha)} == {state}


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"decision": "query", "comment": " "}, 400, "The comment is empty"),
        ({"decision": "query", "comment": EVIL}, 400, "cannot be seen"),
        ({"decision": "delete"}, 422, "decision"),
        ({"stamp": "old"}, 409, "Meanwhile this tube changed"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(served, sha, change, status, said):
    body = {"decision": "accept", "comment": "", "stamp": standing(served, sha)["stamp"]}
    answer = posted(served.client, "Anna", f"/api/tubes/{sha}/decisions", body | change)
    assert answer.status_code == status
    assert said in answer.json()["fault"]


def test_a_reader_decides_nothing_and_an_unknown_tube_is_none(served, study, sha):
    token = let_in(study, "Rita", "reader", by="head")
    session = served.client.post("/api/login", json={"name": "Rita", "token": token}).json()
    headers = {"x-reconflow-csrf": session["csrf"]}
    body = {"decision": "accept", "stamp": standing(served, sha)["stamp"]}
    answer = served.client.post(f"/api/tubes/{sha}/decisions", json=body, headers=headers)
    assert (answer.status_code, answer.json()["fault"]) == (
        403,
        "Rita is a reader; this asks for a reviewer.",
    )
    assert served.client.get(f"/api/tubes/{'0' * 64}").status_code == 400
    assert served.client.get("/api/tubes/nonsense").status_code == 422


def preview(served: Served, sha256: str, **moved: object) -> dict[str, object]:
    body = {"thresholds": {}, "gates": {}} | moved
    answer = posted(served.client, "Anna", f"/api/tubes/{sha256}/preview", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_preview_is_what_a_saved_correction_counts(served, study, sha):
    tube = tube_document(study, sha)
    place = threshold(tube, "cd24_tr")["value"][1] + 0.03
    seen = preview(served, sha, thresholds={"cd24_tr": place})
    assert [each["beyond"] for each in seen["moved"]] == [""]
    changed = {each["population"]: (each["after"], each["printed"]) for each in seen["changes"]}
    assert "transitional_b" in changed
    before = {row["population"]: row for row in rows_of(study, sha)}
    body = {"thresholds": {"cd24_tr": place}, "reason": "the valley lies higher"}
    body["stamp"] = standing(served, sha)["stamp"]
    answer = posted(served.client, "Anna", f"/api/tubes/{sha}/corrections", body)
    assert answer.json() == {"faults": []}
    after = {row["population"]: row for row in rows_of(study, sha)}
    for population, row in after.items():
        events = changed.get(population, (int(before[population]["events"]), ""))[0]
        assert int(row["events"]) == events
    assert after["transitional_b"]["corrected"] == "Y"
    assert "the valley lies higher" in " ".join(standing(served, sha)["corrections"])
    nothing = preview(served, sha, thresholds={"cd24_tr": place})
    assert nothing["changes"] == [], "it is where it counts now"


def test_a_preview_begins_where_others_left_the_tube(served, study, sha):
    place = threshold(tube_document(study, sha), "cd24_tr")["value"][1] + 0.1
    before = preview(served, sha, thresholds={"cd24_tr": place})
    assert before["changes"]
    moved = preview(served, sha, thresholds={"cd24_tr": place})["moved"]
    assert moved == before["moved"]
    correct_tube(study, FILE, Request("Berta", "the valley", {"cd24_tr": 8500.0}))
    after = preview(served, sha, thresholds={"cd24_tr": place})
    assert "8,500 →" in after["moved"][0]["words"]


def test_a_tube_is_opened_anew_when_a_tube_beside_it_changed(study, sha):
    tubes = LiveTubes()
    held = tubes.open(study, sha)
    assert tubes.open(study, sha) is held
    sheet = study.patients_sheet
    sheet.write_bytes(sheet.read_bytes() + b"\n")
    assert tubes.open(study, sha) is held, "a line without values concerns no tube"
    decide_on_tube(study, COMPANION, "exclude", "Berta", "clot")
    assert tubes.open(study, sha) is not held


def test_beyond_the_limits_a_second_person_is_needed(served, study, sha):
    high = threshold(tube_document(study, sha), "cd24_tr")["high"][1] + 0.05
    seen = preview(served, sha, thresholds={"cd24_tr": high})
    assert "a second person has to agree" in seen["moved"][0]["beyond"]
    body = {"thresholds": {"cd24_tr": high}, "reason": "far", "gates": {}}
    body["stamp"] = standing(served, sha)["stamp"]
    address = f"/api/tubes/{sha}/corrections"
    for second, said in (("", "second person"), ("anna", "name another person")):
        answer = posted(served.client, "Anna", address, body | {"second": second})
        assert answer.status_code == 400
        assert said in answer.json()["fault"]
    answer = posted(served.client, "Anna", address, body | {"second": "Berta"})
    assert answer.status_code == 200


def test_the_second_person_shows_a_token_of_their_own(served, study, sha):
    tokens = {name: let_in(study, name, "reviewer", by="head") for name in ("Anna", "Berta")}
    log_in = {"name": "Anna", "token": tokens["Anna"]}
    csrf = served.client.post("/api/login", json=log_in).json()["csrf"]
    high = threshold(tube_document(study, sha), "cd24_tr")["high"][1] + 0.05
    body = {"thresholds": {"cd24_tr": high}, "reason": "far", "second": "Berta"}
    body["stamp"] = standing(served, sha)["stamp"]
    for token, status in (("", 403), (tokens["Anna"], 403), (tokens["Berta"], 200)):
        answer = served.client.post(
            f"/api/tubes/{sha}/corrections",
            json=body | {"second_token": token},
            headers={"x-reconflow-csrf": csrf},
        )
        assert answer.status_code == status


SLOW_PREVIEWS = """
{
  const { fetch } = window;
  window.fetch = async (...asked) => {
    const answer = await fetch(...asked);
    if (String(asked[0]).includes("preview")) await new Promise((done) => setTimeout(done, 700));
    return answer;
  };
}
"""
"""The answer to a move comes while the reason is typed: the letters must still go into the form."""


@needs_chromium
def test_a_threshold_is_dragged_in_the_browser_and_kept_with_a_reason(browser, served, study, sha):
    logged_in(browser, served, "Anna")
    gate = gate_on(tube_document(study, sha), "cd24_tr")
    browser.open(page_of(served, sha, gate["name"]))
    browser.until("document.querySelector('.review-buttons button')")
    browser.press("e")
    canvas = ".plot-dialog[open] canvas"
    browser.until(f"document.querySelector('{canvas}')?.width > 700")
    browser.until("document.querySelector('.edit-panel p')")
    place = place_in(browser, canvas, tube_document(study, sha), "cd24_tr")
    end = (place[0] + place[2], place[1] + place[3])
    browser.evaluate(SLOW_PREVIEWS)
    browser.drag(canvas, place[:2], end)
    browser.until("document.querySelector('.edit-panel table')")
    assert "Transitional" in browser.evaluate("document.querySelector('.edit-panel').innerText")
    assert browser.evaluate("document.querySelectorAll('.mini-curve circle').length") > 0
    browser.press("]")
    browser.evaluate("document.querySelector('.edit-form textarea').focus()")
    browser.press(*"the valley lies")
    browser.evaluate("new Promise((done) => setTimeout(done, 1000))")  # the last answer comes
    browser.press(*" higher")
    browser.evaluate("document.querySelector('.edit-form').requestSubmit()")
    browser.until("document.querySelector('.review-correction')")
    told = browser.evaluate("document.querySelector('.review-correction').textContent")
    assert "the valley lies higher" in told
    assert {row["corrected"] for row in rows_of(study, sha)} == {"Y", "N"}
    assert [each for each in browser.console if "favicon" not in each] == []


def signed(served: Served, name: str, state: str, **change: object):
    stamp = served.client.get("/api/patients/P01").json()["stamp"]
    body = {"state": state, "meaning": "all gates seen", "stamp": stamp} | change
    return posted(served.client, name, "/api/patients/P01/signatures", body)


def test_tables_are_signed_in_order_by_two_persons_and_reopened_by_a_change(served, study, sha):
    assert signed(served, "Anna", "approved").status_code == 400, "not reviewed yet"
    assert signed(served, "Anna", "reviewed").json()["next"] == "approved"
    answer = signed(served, "anna", "approved")
    assert (answer.status_code, "four eyes" in answer.json()["fault"]) == (400, True)
    assert signed(served, "Berta", "approved", stamp="old").status_code == 409
    assert signed(served, "Berta", "approved").status_code == 200
    told = signed(served, "Berta", "released").json()
    assert (told["state"], told["next"]) == ("released", None)
    assert [each["signer"] for each in told["signatures"]] == ["Anna", "Berta", "Berta"]
    stamp = standing(served, sha)["stamp"]
    body = {"decision": "exclude", "comment": "clot", "stamp": stamp}
    posted(served.client, "Anna", f"/api/tubes/{sha}/decisions", body)
    told = served.client.get("/api/patients/P01").json()
    assert (told["state"], told["next"]) == ("amended", "reviewed")
    assert told["reopened"]


def test_an_unknown_patient_is_not_there(served):
    assert served.client.get("/api/patients/P01").status_code == 200
    answers = [
        served.client.get("/api/patients/P99"),
        posted(served.client, "Anna", "/api/patients/P99/signatures", SIGNED_UNSEEN),
    ]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json() == {"fault": "There is no patient 'P99' in this study."}


def test_an_edited_table_is_not_signed(served, study):
    table = study.results / "patients" / "P01" / "kinetics.csv"
    table.write_bytes(table.read_bytes() + b"x")
    answer = signed(served, "Anna", "reviewed")
    assert (answer.status_code, "was changed after" in answer.json()["fault"]) == (400, True)


def test_a_signature_asks_for_the_token_again_and_for_the_role(served, study):
    roles = {"Anna": "reviewer", "Berta": "approver", "Rita": "reader"}
    tokens = {name: let_in(study, name, role, by="head") for name, role in roles.items()}
    for name, state, token, status in (
        ("Rita", "reviewed", "Rita", 403),
        ("Anna", "reviewed", "Berta", 403),
        ("Anna", "reviewed", "Anna", 200),
        ("Anna", "approved", "Anna", 403),
        ("Berta", "approved", "Berta", 200),
    ):
        log_in = {"name": name, "token": tokens[name]}
        csrf = served.client.post("/api/login", json=log_in).json()["csrf"]
        stamp = served.client.get("/api/patients/P01").json()["stamp"]
        body = {"state": state, "meaning": "seen", "token": tokens[token], "stamp": stamp}
        answer = served.client.post(
            "/api/patients/P01/signatures", json=body, headers={"x-reconflow-csrf": csrf}
        )
        assert answer.status_code == status, (name, state, answer.text)


@needs_chromium
def test_tables_are_signed_on_the_report(browser, served, study):
    logged_in(browser, served, "Anna")
    browser.open(f"{served.url}/patients/P01/report.html")
    browser.until("document.querySelector('.sign-form')")
    browser.evaluate("document.querySelector('.sign-form input').focus()")
    browser.press(*"all gates seen", "Enter")
    browser.until("document.querySelector('.review-state').textContent.includes('reviewed')")
    panel = browser.evaluate("document.querySelector('.review-panel').innerText")
    assert "reviewed by Anna" in panel
    assert "all gates seen" in panel
    assert browser.console == []


def tube_document(study: Study, sha256: str) -> dict[str, object]:
    script = (study.results / "tubes" / sha256[:12] / "gating.js").read_text(encoding="utf-8")
    return json.loads(script[script.index("{") : script.rindex("}") + 1])


def threshold(tube, name: str):
    return next(each for each in tube["thresholds"] if each["name"] == name)


def gate_on(tube, name: str):
    """Give a gate that is drawn on the axis of a threshold that it uses."""
    number = tube["thresholds"].index(threshold(tube, name))
    axis = tube["thresholds"][number]["axis"]
    return next(
        each
        for each in tube["gates"]
        if number in each["thresholds"] and axis in (each["x"], each["y"])
    )


def place_in(browser, canvas: str, tube, name: str):
    """Give where a threshold's grip lies in the enlarged plot, and by how much to drag it."""
    drawn, edge = gate_on(tube, name), threshold(tube, name)
    axis = tube["axes"][edge["axis"]]
    size = browser.evaluate(f"document.querySelector('{canvas}').clientWidth") - 62
    share = (edge["value"][1] - axis["low"]) / (axis["high"] - axis["low"])
    if edge["axis"] == drawn["x"]:
        return 52 + share * size, 8 + size / 2, 12.0, 0.0
    return 52 + size / 2, 8 + (1 - share) * size, 0.0, -12.0
