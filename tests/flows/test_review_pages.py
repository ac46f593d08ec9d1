"""The review pages over a real server on loopback, called as browsers would and would not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.review_pages.failures import note_failure
from tasks.publish.app_files import write_app
from tasks.review.tokens import is_token, token_hash
from tasks.review.tokens import let_in as give_token
from tasks.store.audit import entries
from tasks.store.people import end_person, people_of
from tasks.study.folder import Study, open_study
from tasks.study.starter import init_study
from tests.browser import Browser, browser, needs_chromium
from tests.flows.command import reconflow_here
from tests.review_server import Served, serving

__all__ = ["browser"]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    init_study(tmp_path / "study")
    opened = open_study(tmp_path / "study")
    opened.results.mkdir(parents=True, exist_ok=True)
    (opened.results / "index.html").write_text("<h1>front page</h1>", encoding="utf-8")
    (opened.results / ".inputs.sha256").write_text("hidden", encoding="utf-8")
    (opened.results / "notes.txt").write_text("no page", encoding="utf-8")
    (opened.folder / "outside.html").write_text("outside", encoding="utf-8")
    (opened.results / "link.html").symlink_to(opened.folder / "outside.html")
    write_app(opened.results)
    return opened


@pytest.fixture
def served(study: Study) -> Iterator[Served]:
    with serving(study) as running:
        yield running


def let_in(study: Study, name: str, role: str) -> str:
    return give_token(study, name, role, by="head of laboratory")


def test_results_are_handed_out_and_nothing_else(served):
    assert "front page" in served.client.get("/").text
    assert "front page" in served.client.get("/index.html").text
    assert served.client.get("/app.js").headers["content-type"].startswith("text/javascript")
    for address in (
        "/.inputs.sha256",
        "/notes.txt",
        "/link.html",
        "/../study.yaml",
        "/%2e%2e/study.yaml",
        "/..%2fstudy.yaml",
        "/patients",
        "/patients/",
        "/nothing.html",
        "/a%00.html",
        "/docs",
        "/openapi.json",
    ):
        answer = served.client.get(address)
        assert answer.status_code == 404, address
        assert answer.json() == {"fault": "There is no such page."}


def test_every_answer_forbids_what_comes_from_elsewhere(served):
    for address in ("/", "/nothing", "/login", "/api/session"):
        headers = served.client.get(address).headers
        assert "default-src 'none'" in headers["content-security-policy"], address
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_a_foreign_name_for_this_machine_is_refused(served):
    answer = served.client.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    answer = served.client.post(
        "/api/login", json={"name": "A"}, headers={"origin": "http://evil.example"}
    )
    assert answer.status_code == 403


def test_a_body_that_is_long_or_does_not_say_how_long_is_refused(served):
    long = served.client.post("/api/login", json={"name": "A", "token": "x" * 200_000})
    assert long.status_code == 413
    unsaid = served.client.post("/api/login", content=iter([b'{"name": "A"}']))
    assert unsaid.status_code == 413


def test_what_cannot_be_read_is_answered_in_a_sentence(served, study):
    as_json = {"content-type": "application/json"}
    for sent in (b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"token": "x"}', b"[" * 50_000):
        answer = served.client.post("/api/login", content=sent, headers=as_json)
        assert answer.status_code in {400, 422}, sent[:9]
        assert list(answer.json()) == ["fault"]
        assert answer.json()["fault"].endswith(".")
    plain = served.client.post("/api/login", content=b'{"name": "A"}')
    assert (plain.status_code, list(plain.json())) == (422, ["fault"])
    assert list(served.client.put("/api/login", json={}).json()) == ["fault"]
    let_in(study, "Anna", "reader")
    for name, token in (("Anna", "\\ud800"), ("\\udfff", "x"), ("Anna", "x\\u0000")):
        sent = f'{{"name": "{name}", "token": "{token}"}}'
        answer = served.client.post("/api/login", content=sent, headers=as_json)
        assert answer.status_code in {400, 403, 422}
        assert answer.json()["fault"].endswith(".")


def test_what_the_server_did_not_foresee_is_a_sentence_too(served, study, capfd):
    @served.app.post("/api/broken")
    def broken() -> None:
        raise RuntimeError("inner words")

    answer = served.client.post("/api/broken", json={})
    assert answer.status_code == 500
    fault = answer.json()["fault"]
    assert fault.startswith("The review server failed at this")
    assert "inner words" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    (reference,) = re.findall(r"Its reference is ([0-9a-f]{8})\.$", fault)
    (line,) = capfd.readouterr().err.splitlines()
    assert f"failed at POST /api/broken (reference {reference}): RuntimeError" in line
    assert "inner words" not in line
    log = study.folder / ".review" / "failures.log"
    assert (log.parent.stat().st_mode & 0o777, log.stat().st_mode & 0o777) == (0o700, 0o600)
    kept = log.read_text(encoding="utf-8")
    assert f" {reference} POST /api/broken\nTraceback" in kept
    assert "RuntimeError: inner words" in kept
    assert served.client.get("/.review/failures.log").status_code == 404


def test_a_log_of_failures_that_cannot_be_kept_is_said_and_a_long_one_begins_anew(tmp_path, capfd):
    (tmp_path / ".review").mkdir()
    log = tmp_path / ".review" / "failures.log"
    log.write_text("x" * 1_000_001)
    first = note_failure(tmp_path, "GET /a", ValueError("y"))
    assert first in log.read_text(encoding="utf-8")
    assert (log.parent / "failures.1.log").stat().st_size == 1_000_001
    log.unlink()
    log.symlink_to(tmp_path / "elsewhere")
    note_failure(tmp_path, "GET /b", ValueError("y"))
    assert not (tmp_path / "elsewhere").exists()
    assert "the traceback could not be kept" in capfd.readouterr().err


def test_without_tokens_a_name_is_enough_on_this_machine(served):
    assert served.client.get("/api/session").json() == {"name": None}
    session = served.log_in("  Anna Arzt ").json()
    assert (session["name"], session["role"]) == ("Anna Arzt", "approver")
    assert served.client.get("/api/session").json()["name"] == "Anna Arzt"
    cookie = served.client.cookies.jar._cookies["127.0.0.1"]["/"]["reconflow_session"]
    assert cookie.has_nonstandard_attr("HttpOnly")
    for name, said in ((" ", "is empty"), ("x" * 101, "101 char"), ("a\u202eb", "cannot be seen")):
        answer = served.log_in(name)
        assert answer.status_code == 400
        assert answer.json()["fault"].startswith("Your name ")
        assert said in answer.json()["fault"]


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_behind_a_proxy_with_tls_the_cookie_is_sent_by_https_alone(served, scheme, secure):
    origin = served.url.replace("http:", f"{scheme}:")
    answer = served.client.post("/api/login", json={"name": "A"}, headers={"origin": origin})
    (cookie,) = answer.headers.get_list("set-cookie")
    assert answer.status_code == 200
    assert ("Secure" in cookie) == secure


def test_with_tokens_nothing_is_read_without_one(served, study):
    token = let_in(study, "Anna", "reader")
    answer = served.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert served.client.get("/login").status_code == 200
    assert served.log_in("Anna", "wrong").status_code == 403
    assert served.log_in("Nobody", token).status_code == 403
    assert served.log_in("Anna", token).json()["role"] == "reader"
    assert "front page" in served.client.get("/").text


def test_who_is_shut_out_is_out_at_once(served, study):
    let_in(study, "Berta", "approver")
    token = let_in(study, "Anna", "reviewer")
    served.log_in("Anna", token)
    with study.store() as store:
        assert end_person(store, "Anna", by="head")
        assert not end_person(store, "Anna", by="head")
    assert served.client.get("/").status_code == 303
    assert served.log_in("Anna", token).status_code == 403


def test_another_role_counts_at_once_and_the_earlier_token_ends(served, study):
    first = let_in(study, "Anna", "reader")
    served.log_in("Anna", first)
    second = let_in(study, "Anna", "approver")
    assert served.client.get("/api/session").json() == {"name": None}
    assert served.log_in("Anna", first).status_code == 403
    assert served.log_in("Anna", second).json()["role"] == "approver"


def test_a_login_without_token_ends_when_somebody_has_one(served, study):
    csrf = served.log_in("Anna").json()["csrf"]
    let_in(study, "Anna", "approver")
    assert served.client.get("/api/session").json() == {"name": None}
    assert served.client.get("/").status_code == 303
    answer = served.client.post("/api/logout", json={}, headers={"x-reconflow-csrf": csrf})
    assert answer.status_code == 401


def test_without_the_last_person_the_pages_stay_closed(served, study, capfd):
    token = let_in(study, "Anna", "approver")
    served.log_in("Anna", token)
    remove = ("review", "remove", "Anna", "--by", "head", "--study", study.folder)
    said = reconflow_here(capfd, *remove)
    assert "Nobody can open the review pages now" in said.out
    listed = reconflow_here(capfd, "review", "people", "--study", study.folder)
    assert "Nobody can open the review pages now" in listed.out
    assert served.client.get("/").status_code == 303
    assert served.log_in("Anna").status_code == 403
    assert served.log_in("Anna", token).status_code == 403
    token = let_in(study, "Berta", "approver")
    assert served.log_in("Berta", token).status_code == 200


def test_a_session_ends_by_itself_and_by_leaving(served, study):
    token = let_in(study, "Anna", "reader")
    csrf = served.log_in("Anna", token).json()["csrf"]
    served.now[0] = 3500
    assert served.client.get("/").status_code == 200
    served.now[0] = 3500 + 3601
    assert served.client.get("/").status_code == 303
    csrf = served.log_in("Anna", token).json()["csrf"]
    for hour in range(13):
        served.now[0] += 3599
        last = served.client.get("/").status_code
        assert last == 200 or hour == 12
    assert last == 303
    csrf = served.log_in("Anna", token).json()["csrf"]
    assert served.client.post("/api/logout", json={}).status_code == 403
    answer = served.client.post("/api/logout", json={}, headers={"x-reconflow-csrf": csrf})
    assert answer.status_code == 200
    assert served.client.get("/").status_code == 303


def test_guessing_is_slowed_down(served, study):
    token = let_in(study, "Anna", "reader")
    for _ in range(5):
        assert served.log_in("Anna", "guess").status_code == 403
    assert served.log_in("Anna", token).status_code == 429
    log_in = {"name": "Anna", "token": token}
    forged = served.client.post("/api/login", json=log_in, headers={"x-forwarded-for": "10.9.9.9"})
    assert forged.status_code == 429, "nobody takes another address by saying so"
    other = let_in(study, "Berta", "reader")
    assert served.log_in("Berta", other).status_code == 200, "who did not guess is not locked out"
    served.now[0] = 61
    assert served.log_in("Anna", token).status_code == 200


def test_only_the_hash_of_a_token_is_kept(study):
    token = let_in(study, "Anna", "reviewer")
    with study.store() as store:
        (person,) = people_of(store)
        told = [entry.details for entry in entries(store)]
    assert token not in repr(person)
    assert person.token_hash not in "".join(told)
    assert is_token(token, person.token_hash)
    assert not is_token(token + "x", person.token_hash)
    assert token_hash(token) != person.token_hash, "a salt of its own"
    assert token.encode() not in (study.folder / "reconflow.db").read_bytes()


@needs_chromium
def test_a_person_logs_in_and_out_in_a_browser(served, study, browser: Browser):
    token = let_in(study, "Anna", "reviewer")
    browser.open(f"{served.url}/login")
    browser.evaluate("document.querySelector('input[name=name]').focus()")
    browser.press(*"Anna", "Tab", *"wrong", "Enter")
    browser.until("!document.getElementById('fault').hidden")
    said = browser.evaluate("document.getElementById('fault').textContent")
    assert said == "Name and token do not belong together."
    browser.evaluate("document.querySelector('input[name=token]').value = ''")
    browser.press(*token, "Enter")
    browser.until("location.pathname === '/'")
    assert browser.evaluate("document.body.innerText.includes('front page')")
    assert [each for each in browser.console if "403" not in each] == []
