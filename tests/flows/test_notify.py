"""Whoever is to be told hears of a night once, in numbers, by a real message over http."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed, Failed

from flows.missed_nights import due_night, watch_nights
from flows.nightly import nightly
from flows.notify import missed_night, night_ended, night_failed, send
from tasks.store.runs import begin_run, end_run
from tasks.study.folder import open_study
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import DRAWN, make_study, write_tube


@pytest.fixture
def received():
    """A server on loopback that keeps what is sent to it."""
    bodies = []

    class Keeper(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Keeper) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bodies_and_address = bodies, f"json://127.0.0.1:{server.server_port}/"
        yield bodies_and_address
        server.shutdown()


def study_telling(folder, to, when="trouble", rows=(f"P01_D28.fcs,P01,{DRAWN},bcell",)):
    settings = (
        f"study: trial\ntime_zone: Europe/Berlin\nintake: {{settle_seconds: 0}}\n"
        f"notify:\n  to: [{json.dumps(to)}]\n  when: {when}\n"
    )
    study = make_study(folder, rows, settings=settings)
    write_tube(folder / "inbox" / "P01_D28.fcs")
    return study


def scheduled(study, **more):
    run = {"flow_id": uuid4(), "parameters": {"study": str(study.folder)}}
    return FlowRun(**(run | {"deployment_id": uuid4()} | more))


def test_a_night_that_asks_for_a_person_is_told_in_numbers(tmp_path, received, monkeypatch):
    bodies, address = received
    monkeypatch.setenv("RECONFLOW_REVIEW_URL", "http://127.0.0.1:8737/")
    study = study_telling(tmp_path / "study", address)
    plain_night(study)
    night_ended(nightly, scheduled(study), None)
    (body,) = bodies
    assert body["title"] == "reconflow: trial"
    assert "1 to look at" in body["message"]
    assert body["message"].endswith("http://127.0.0.1:8737/")
    assert not any(word in json.dumps(body) for word in ("P01", "D28", ".fcs"))


def test_a_pass_that_nobody_scheduled_is_not_told(tmp_path, received):
    bodies, address = received
    study = study_telling(tmp_path / "study", address)
    night_ended(nightly, scheduled(study, deployment_id=None), None)
    night_failed(nightly, scheduled(study, deployment_id=None), Failed())
    assert bodies == []


@pytest.mark.parametrize(("when", "messages"), [("trouble", 0), ("always", 1)])
def test_a_quiet_night_is_told_only_when_asked_for(when, messages, tmp_path, received):
    bodies, address = received
    study = study_telling(tmp_path / "study", address, when, rows=())
    (study.inbox / "P01_D28.fcs").unlink()
    with study.store() as store:
        end_run(store, begin_run(store, "nightly"), "done", {})
    night_ended(nightly, scheduled(study), None)
    assert len(bodies) == messages


@pytest.mark.parametrize("state", [Failed(message="P01 D28.fcs"), Crashed(message="P01")])
def test_a_night_that_failed_is_told_without_its_reason(state, tmp_path, received):
    bodies, address = received
    night_failed(nightly, scheduled(study_telling(tmp_path / "study", address)), state)
    (body,) = bodies
    assert f"The night FAILED ({state.name})" in body["message"]
    assert "P01" not in json.dumps(body)


def test_the_flow_tells_how_it_ended():
    assert nightly.on_completion_hooks == [night_ended]
    assert nightly.on_failure_hooks == [night_failed]
    assert nightly.on_crashed_hooks == [night_failed]


def test_an_address_may_lie_in_the_environment(tmp_path, received, monkeypatch, capsys):
    bodies, address = received
    study = study_telling(tmp_path / "study", "$LAB_MAIL")
    assert not send(study, "hello")
    assert "LAB_MAIL is not set" in capsys.readouterr().err
    monkeypatch.setenv("LAB_MAIL", address)
    assert send(study, "hello")
    assert [body["message"] for body in bodies] == ["hello"]


@pytest.mark.parametrize("address", ["json://127.0.0.1:9/", "no address", "nosuch://x"])
def test_what_cannot_be_sent_is_a_line_and_changes_nothing(address, tmp_path, capsys):
    study = study_telling(tmp_path / "study", address)
    night_failed(nightly, scheduled(study), Failed())
    assert "not every message could be sent" in capsys.readouterr().err


def test_a_study_that_is_gone_is_a_line(tmp_path, capsys):
    study = study_telling(tmp_path / "study", "json://127.0.0.1:9/")
    run = scheduled(study)
    (study.folder / "study.yaml").unlink()
    night_ended(nightly, run, None)
    assert "notify: unexpected SettingsFault" in capsys.readouterr().err


NOW = datetime(2026, 11, 30, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("due_before", "begun_before", "missed"),
    [(2, None, True), (2, 26, True), (2, 1.9, False), (0.5, None, False), (0.5, 25, False)],
)
def test_a_night_is_missed_an_hour_after_its_time(due_before, begun_before, missed):
    begun = None if begun_before is None else NOW - timedelta(hours=begun_before)
    assert missed_night(NOW - timedelta(hours=due_before), begun, NOW) == missed


def test_the_night_that_was_due_is_that_of_the_studys_zone(tmp_path):
    study = study_telling(tmp_path / "study", "json://127.0.0.1:9/")
    due = due_night(study, NOW - timedelta(days=3), NOW)
    assert due == datetime(2026, 11, 30, 1, 0, tzinfo=UTC)  # 02:00 in Berlin
    assert due_night(study, NOW - timedelta(hours=1), NOW) is None


def test_a_night_that_did_not_begin_is_told_once(tmp_path, received, monkeypatch):
    bodies, address = received
    study = study_telling(tmp_path / "study", address)
    due = datetime.now(UTC) - timedelta(hours=3)
    monkeypatch.setattr("flows.missed_nights.due_night", lambda *_: due)
    stop = threading.Event()
    watching = threading.Thread(target=watch_nights, args=(study, stop, 0.01))
    watching.start()
    for _ in range(500):
        if bodies:
            break
        stop.wait(0.02)
    stop.wait(0.2)
    stop.set()
    watching.join()
    assert ["did not begin" in body["message"] for body in bodies] == [True]
    assert open_study(study.folder) == study
