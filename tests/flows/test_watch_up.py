"""What runs until it is stopped: the watcher and the laboratory's own server, started and
interrupted as a user does."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows import watch
from flows.served_study import deployment_name
from flows.server.access import Access
from flows.server.start import running_server
from flows.watch import watch_study
from tasks.store.ledger import FileRecord, all_files, history
from tasks.study.folder import Study, open_study
from tests.flows.command import PROJECT, descendants, reconflow, reconflow_here, running, wait_until
from tests.tasks.study_folder import DRAWN, make_study, write_tube

# With the demo rather than with the other tests of the shared server, so that two workers have as
# much to do.
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("demo")]

PATIENCE = 240
"""Seconds that a slow machine may need for what takes a few on a quick one."""
SETTINGS = """\
study: test
workers: 1
intake: {settle_seconds: 1.5}
nightly: {cron: "17 3 * * *", time_zone: Europe/Berlin}
"""
PRESSED_EARLY = """
import os, runpy, signal, sys
class Press:
    def find_spec(name, *_):
        if name == "flows.watch":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press)
runpy.run_module("flows.watcher", run_name="__main__", alter_sys=True)
"""
ROWS = [f"{name}.fcs,P01,{DRAWN},bcell" for name in "ab"]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path / "study", ROWS, settings=SETTINGS)


def record(study: Study, name: str) -> FileRecord | None:
    with study.store() as store:
        return next((each for each in all_files(store) if each.inbox_path == name), None)


def is_counted(study: Study, name: str) -> bool:
    found = record(study, name)
    return found is not None and found.state == "counted"


def drop_slowly(whole: bytes, target: Path, *, pieces: int = 6, pause: float = 0.4) -> None:
    """Write a file as a slow network does, with halts shorter than the time a file must be at
    rest."""
    step = -(-len(whole) // pieces)
    with target.open("wb", buffering=0) as file:
        for start in range(0, len(whole), step):
            file.write(whole[start : start + step])
            time.sleep(pause)


def test_watch_takes_a_slow_file_only_when_whole_and_ends_at_once_with_ctrl_c(
    prefect_api: str, study: Study, tmp_path: Path
) -> None:
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    with running(
        "watch", "--study", study.folder, "--interval", "0.2", log=tmp_path / "log"
    ) as watcher:
        wait_until(lambda: "Watching" in watcher.said(), PATIENCE, "the watcher did not start")
        drop_slowly(whole, study.inbox / "a.fcs")
        wait_until(lambda: is_counted(study, "a.fcs"), PATIENCE, watcher.said)
        shutil.copyfile(tmp_path / "whole.fcs", study.inbox / "copy.fcs")
        write_tube(study.inbox / "lost.fcs", seed=7)
        wait_until(
            lambda: (
                "lost.fcs: waiting" in watcher.said() and "copy.fcs: duplicate" in watcher.said()
            ),
            PATIENCE,
            watcher.said,
        )
        code, seconds = watcher.stop(PATIENCE)
    assert code == 130
    # The end of an interpreter takes its time on a loaded machine.
    assert seconds < 60
    said = watcher.said()
    assert "Traceback" not in said
    # Whichever took it in, the look of the watcher or the flow that the look began, says so.
    assert "a.fcs: accepted" in said or "1 accepted" in said
    assert "1 counted, 0 failed" in said
    assert "No line of samples.csv names lost.fcs" in said
    found = record(study, "a.fcs")
    assert found is not None
    with study.store() as store:
        first, *between, accepted, counted = [step.to_state for step in history(store, found.id)]
    assert (first, accepted, counted) == ("settling", "accepted", "counted")
    # On a loaded machine a halt may be longer than a file must be at rest: it waits to be whole.
    assert set(between) <= {"settling", "waiting"}
    assert study.path_of(found.place or "").read_bytes() == whole
    assert (study.results / "patients" / "P01" / "kinetics.csv").is_file()


class Looks(threading.Event):
    """Let a watcher in this process look again at once, with a step between two looks."""

    def __init__(self, *between: Callable[[], object]) -> None:
        super().__init__()
        self.between = list(between)

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - no time passes
        if not self.between:
            self.set()
        else:
            self.between.pop(0)()
        return self.is_set()


def look_again() -> None:
    """Change nothing between two looks."""


def test_watch_goes_on_after_wrong_settings_and_makes_one_pass_of_a_burst(
    prefect_api: str, study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    file = study.folder / "study.yaml"
    right = file.read_text(encoding="utf-8").replace("settle_seconds: 1.5", "settle_seconds: 0")

    def correct() -> None:
        file.write_text(right, encoding="utf-8")
        write_tube(study.inbox / "b.fcs", seed=2)

    file.write_text(f"{right}wrokers: 1\n", encoding="utf-8")

    def drop_another() -> None:
        write_tube(study.inbox / "a.fcs")

    burst = (correct, drop_another, look_again)
    watch_study(study.folder, 0.2, Looks(look_again, look_again, *burst))
    assert is_counted(study, "a.fcs")
    assert is_counted(study, "b.fcs")
    said = capfd.readouterr().err
    assert said.count("counted, 0 failed") == 1
    assert said.count("there is no setting 'wrokers'") == 1
    assert said.index("'wrokers'") < said.index("2 counted")


def test_watch_does_not_run_a_pass_in_vain_at_every_look(
    prefect_api: str,
    study: Study,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (study.folder / "study.yaml").write_text(
        "workers: 1\nintake: {settle_seconds: 0}\n", encoding="utf-8"
    )
    patients = study.patients_sheet.read_text(encoding="utf-8").splitlines()[0] + "\n"
    write_tube(study.inbox / "a.fcs")
    watch_study(
        study.folder,
        0.2,
        Looks(
            look_again,
            lambda: study.patients_sheet.write_text(patients, encoding="utf-8"),
            *[look_again] * 5,
            lambda: monkeypatch.setattr(watch, "AGAIN_SECONDS", 0.0),
        ),
    )
    said = capfd.readouterr().err
    assert said.count("1 counted") == 1
    assert "Patient 'P01' is not in patients.csv" in said
    # Once when the patient was gone, and once more when the time to try again had come.
    assert said.count("0 counted") == 2


def test_ctrl_c_while_a_watcher_is_being_loaded_ends_it_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRESSED_EARLY],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_up_keeps_server_schedule_and_watcher_and_one_ctrl_c_stops_them_all(
    study: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home, port = study.folder / ".prefect", free_port()
    write_tube(study.inbox / "a.fcs")
    words = ("--study", study.folder, "--interval", "1", "--port", str(port))
    place = folder_with_other_modules(tmp_path)
    with running("up", *words, log=tmp_path / "log", place=place) as up:
        wait_until(lambda: running_server(home), PATIENCE, up.said)
        access = running_server(home)
        assert access is not None
        assert access.url == f"http://127.0.0.1:{port}/api"
        wait_until(lambda: schedule_of(study, access), PATIENCE, up.said, every=0.5)
        assert schedule_of(study, access) == ("17 3 * * *", "Europe/Berlin", 1)
        assert f"Prefect's pages: http://127.0.0.1:{port} (log in with the line in" in up.said()
        assert (home / "server.login").read_text(encoding="utf-8") == f"{access.login}\n"
        wait_until(lambda: is_counted(study, "a.fcs"), PATIENCE, up.said, every=0.5)
        pages = re.search(r"Review pages: (http://127\.0\.0\.1:\d+)/", up.said())
        assert pages is not None
        front = f"{pages[1]}/index.html"
        wait_until(lambda: httpx.get(front).status_code == 200, PATIENCE, up.said)
        assert study.settings.study in httpx.get(front).text

        def status_here() -> dict[str, Any]:
            return reconflow_here(capfd, "status", "--study", study.folder, "--json").document

        wait_until(lambda: status_here()["next_run"], PATIENCE, "no next run is shown", every=0.5)
        status = status_here()
        assert status["next_run"][14:16] == "17"
        assert status["states"]["counted"] == 1
        second = reconflow("up", "--study", study.folder)
        assert second.code == 2
        assert "already running" in second.err
        standing = set(descendants(up.process.pid))
        night(study, access, "asked-for")
        wait_until(
            lambda: state_of(access, "asked-for")[0] == "COMPLETED", PATIENCE, up.said, every=0.5
        )
        night(study, access, "astray", tmp_path)
        wait_until(lambda: state_of(access, "astray")[0] == "FAILED", PATIENCE, up.said, every=0.5)
        refusal = f"in {study.folder} and no other; the run was started for {tmp_path}."
        assert refusal in state_of(access, "astray")[1]
        # The night's own process is Prefect's: Ctrl-C in the midst of its interpreter's end is not
        # ours to answer.
        wait_until(
            lambda: set(descendants(up.process.pid)) <= standing, 30, "the night's process stayed"
        )
        code, seconds = up.stop(PATIENCE)
    assert code == 0
    assert seconds < 120
    assert "Traceback" not in up.said()
    assert "temporary server" not in up.said()
    assert "telemetry" not in up.said()
    assert not (home / "server.login").exists()
    assert not (place / "was-imported").exists()
    for log in (tmp_path / "log", home / "server.log"):
        assert str(access.login).partition(":")[2] not in log.read_text(encoding="utf-8")
    assert "Traceback" not in (home / "server.log").read_text(encoding="utf-8")
    assert running_server(home) is None
    assert status_here()["next_run"] is None


def test_up_begins_again_after_a_power_cut_in_the_midst_of_a_pass(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On the same fixed ports, and where a proxy is named that must not be asked for loopback."""
    names = "abcdef"
    ports = (free_port(), free_port())
    settings = f"{SETTINGS}up: {{port: {ports[0]}, review_port: {ports[1]}}}\n"
    rows = [f"{name}.fcs,P01,{DRAWN},bcell" for name in names]
    study = make_study(tmp_path / "study", rows, settings=settings)
    for seed, name in enumerate(names):
        write_tube(study.inbox / f"{name}.fcs", seed=seed)
    words = ("up", "--study", study.folder, "--interval", "0.2")

    def counted() -> int:
        with study.store() as store:
            return len(all_files(store, ("counted",)))

    def pages() -> dict[str, Any]:
        return reconflow_here(capfd, "status", "--study", study.folder, "--json").document["pages"]

    with running(*words, log=tmp_path / "log") as up:
        wait_until(counted, PATIENCE, up.said)
        family = [up.process.pid, *descendants(up.process.pid)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        up.process.wait(10)
    assert 0 < counted() < len(names)
    assert not pages()["up"]
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    with running(*words, log=tmp_path / "log-2", **proxy) as up:
        wait_until(lambda: "counted, 0 failed" in up.said(), PATIENCE, up.said)
        assert counted() == len(names)
        assert pages() | {"prefect_login": ""} == {
            "front_page": str(study.results / "index.html"),
            "review": f"http://127.0.0.1:{ports[1]}",
            "review_all": [f"http://127.0.0.1:{ports[1]}"],
            "prefect": f"http://127.0.0.1:{ports[0]}",
            "prefect_login": "",
            "up": True,
        }
        up.stop(PATIENCE)
    assert "Traceback" not in up.said()
    assert pages()["review"] is None


def test_up_uses_the_server_of_the_site_and_leaves_it_standing(
    prefect_api: str, study: Study, tmp_path: Path
) -> None:
    with running("up", "--study", study.folder, "--interval", "1", log=tmp_path / "log") as up:
        site = Access(prefect_api)
        wait_until(
            lambda: (schedule_of(study, site) or ("",))[0] == "17 3 * * *",
            PATIENCE,
            up.said,
            every=0.5,
        )
        write_tube(study.inbox / "b.fcs", seed=2)
        wait_until(lambda: is_counted(study, "b.fcs"), PATIENCE, up.said, every=0.5)
        _, seconds = up.stop(PATIENCE)
    assert "temporary server" not in up.said()
    assert seconds < 120
    assert not (study.folder / ".prefect").exists()
    assert f"Prefect's pages: {prefect_api.removesuffix('/api')}\n" in up.said()
    assert schedule_of(study, site) is not None


def test_each_study_has_its_own_night_on_the_server_of_a_site(study: Study, tmp_path: Path) -> None:
    copy = open_study(shutil.copytree(study.folder, tmp_path / "copy of the study"))
    assert (
        deployment_name(copy) != deployment_name(study) == deployment_name(open_study(study.folder))
    )
    odd = replace(
        study, settings=study.settings.model_copy(update={"study": "SLE / CAR-T (part 2) > 100 %"})
    )
    assert re.fullmatch(r"SLE-CAR-T-part-2-100-[0-9a-f]{6}", deployment_name(odd))


def folder_with_other_modules(tmp_path: Path) -> Path:
    """Lay a folder in which another account has put modules with the names of ours."""
    place = tmp_path / "place"
    (place / "flows").mkdir(parents=True)
    for name in ("prefect", "multiprocessing", "uvicorn", "tasks", "flows/__init__"):
        marker = place / "was-imported"
        (place / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')", encoding="utf-8")
    return place


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def schedule_of(study: Study, access: Access) -> tuple[str, str, int] | None:
    """Ask a server for the nightly deployment: cron, time zone, how many may run at once."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with access.settings(), get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(f"nightly/{deployment_name(study)}")
        except ObjectNotFound:
            return None
    assert len(deployment.schedules) == 1
    schedule, limit = deployment.schedules[0].schedule, deployment.global_concurrency_limit
    return schedule.cron, schedule.timezone, limit.limit if limit else 0


def night(study: Study, access: Access, name: str, folder: Path | None = None) -> None:
    """Ask for a night now, as somebody may on Prefect's page."""
    from prefect.client.orchestration import get_client

    with access.settings(), get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(f"nightly/{deployment_name(study)}")
        parameters = {"study": str(folder)} if folder else None
        client.create_flow_run_from_deployment(deployment.id, name=name, parameters=parameters)


def state_of(access: Access, name: str) -> tuple[str, str]:
    """Give the state of a run and what Prefect's page says of it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    wanted = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    with access.settings(), get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=wanted)
    state = found[0].state if found else None
    return (state.type.value, state.message or "") if state else ("", "")
