"""A real Prefect server is started, used by a flow, and gone afterwards."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

from flows.server.access import Access
from flows.server.home_folder import lock_home
from flows.server.start import (
    ServerFault,
    StartingServer,
    prefect_server,
    running_server,
    server_for_a_command,
    starting_server,
)
from panels.text.errors import ReconflowError, UsageFault

pytestmark = pytest.mark.xdist_group("prefect")

FLOW = """
import os, sys
sys.path.insert(0, os.getcwd())
from prefect import flow
from flows.server.start import prefect_server

@flow
def greet(name: str) -> str:
    return f"hello {name}"

with prefect_server() as url:
    print(url, greet("tube"))
"""


class _SaysYes(BaseHTTPRequestHandler):
    """Answer everything, as a program of another account would that wants to be taken for ours."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class _WantsAKey(BaseHTTPRequestHandler):
    """A site's server that answers nobody without a key."""

    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def test_a_site_server_is_used_as_it_is_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with HTTPServer(("127.0.0.1", 0), _WantsAKey) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{site.server_port}/api"
        monkeypatch.setenv("PREFECT_API_URL", address)
        with prefect_server(tmp_path / "home") as url:
            assert url == address
        site.shutdown()
    assert not (tmp_path / "home").exists()


def test_a_site_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with (
        pytest.raises(
            ServerFault,
            match=r"names http://127\.0\.0\.1:9/api, where no Prefect server answers",
        ),
        prefect_server(),
    ):
        pass


@pytest.mark.server
def test_a_standing_server_answers_refuses_a_second_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    assert running_server(home) is None
    with starting_server(home) as starting:
        with pytest.raises(UsageFault, match="already running"), prefect_server(home):
            pass
        with starting.ready() as url:
            with urlopen(f"{url}/health", timeout=5) as answer:
                assert answer.status == 200
            assert running_server(home) == starting.access
            assert url == starting.access.url
            assert os.environ["PREFECT_API_URL"] == url
            assert _prefect_asks() == url
            monkeypatch.delenv("PREFECT_API_URL")
            with server_for_a_command(home) as used:
                assert used == url == os.environ["PREFECT_API_URL"]
                assert os.environ["PREFECT_API_AUTH_STRING"] == starting.access.login
            monkeypatch.undo()
    assert not {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"} & os.environ.keys()
    assert running_server(home) is None
    assert starting.process is not None
    assert starting.process.poll() is not None
    assert not _group_lives(starting.process.pid)
    assert (home / "prefect.db").exists()


@pytest.mark.server
def test_a_flow_runs_on_a_server_for_one_command_even_behind_a_proxy(tmp_path: Path) -> None:
    blocked = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", FLOW],
        env=os.environ | blocked | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1].endswith("hello tube"), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.server
def test_a_terminated_command_takes_its_server_with_it(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import signal, sys, time
        from pathlib import Path
        from flows.cli import _terminate
        from flows.server.start import starting_server
        signal.signal(signal.SIGTERM, _terminate)
        with starting_server(Path({str(tmp_path)!r})) as server:
            print(server.process.pid, flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        server = int(command.stdout.readline())
        assert _group_lives(server)
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=30) == 143
    assert not _group_lives(server)


def test_a_server_that_dies_while_starting_is_reported_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("line\n" * 50 + "no room left on the disk\n")
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    process.wait()
    server = StartingServer(Access("http://127.0.0.1:9/api", "a:b", tmp_path), process)
    with (
        pytest.raises(
            ServerFault, match=r"stopped while starting \(code 3\)(.|\n)*no room left on the disk"
        ),
        server.ready(),
    ):
        pass
    assert issubclass(ServerFault, ReconflowError)


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "server.log").touch()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        server = StartingServer(Access("http://127.0.0.1:9/api", "a:b", tmp_path), process)
        begun = time.monotonic()
        with (
            pytest.raises(ServerFault, match=r"did not answer within 0 s\. It left no message"),
            server.ready(seconds=0.2),
        ):
            pass
        assert time.monotonic() - begun < 5
        process.kill()


def test_whoever_took_the_port_of_a_killed_server_is_not_believed(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _SaysYes) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        (tmp_path / "server.url").write_text(f"http://127.0.0.1:{other.server_port}/api")
        (tmp_path / "server.login").write_text("reconflow:left-behind")
        (tmp_path / "server.lock").touch()
        assert running_server(tmp_path) is None
        with lock_home(tmp_path):
            assert running_server(tmp_path) is not None
        assert running_server(tmp_path) is None
        other.shutdown()


def _prefect_asks() -> str | None:
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
