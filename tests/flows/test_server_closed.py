"""Nobody but the account that started our own Prefect server can call it or read what it keeps."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flows.server import home_folder
from flows.server.start import StartingServer, prefect_server, starting_server
from panels.text.errors import UsageFault
from tests.flows.command import alive, reconflow_here, wait_until

pytestmark = pytest.mark.xdist_group("prefect")

NOBODY = 65534
as_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="NOT ROOT or no setpriv: what a second account can do is not tested",
)


def call(
    url: str, path: str, *, method: str = "GET", body: object = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Call a server as any program may; gives status, headers (lower case) and body."""
    place = urlsplit(url)
    with closing(HTTPConnection(place.hostname or "", place.port, timeout=20)) as connection:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        text = None if body is None else json.dumps(body)
        connection.request(method, path, body=text, headers=sent)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()


def login_of(server: StartingServer) -> dict[str, str]:
    return {"Authorization": basic(server.access.login or "")}


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


CALLS = [
    ("GET", "/api/admin/settings"),
    ("POST", "/api/flow_runs/filter"),
    ("POST", "/api/deployments/filter"),
    ("POST", "/api/artifacts/filter"),
    ("GET", "/api/variables/name/health"),
    ("PUT", "/api/health"),
]


@pytest.mark.server
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_the_login_nothing_is_answered(
    prefect_api: str, standing_server: StartingServer, method: str, path: str
) -> None:
    body = {} if method == "POST" else None
    assert call(prefect_api, path, method=method, body=body)[0] == 401
    for wrong in ("reconflow:", "reconflow:guess", ":", "admin:pass"):
        told = call(prefect_api, path, method=method, body=body, Authorization=basic(wrong))
        assert told[0] == 401
    right = call(prefect_api, path, method=method, body=body, **login_of(standing_server))
    assert right[0] in {200, 404, 405}


@pytest.mark.server
def test_another_name_of_the_machine_is_refused(
    prefect_api: str, standing_server: StartingServer
) -> None:
    port, login = urlsplit(prefect_api).port, login_of(standing_server)
    for name in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert call(prefect_api, "/api/admin/version", Host=name, **login)[0] == 200
    others = (f"rebound.example:{port}", "rebound.example", "127.0.0.1.example", "0.0.0.0", "")
    for name in others:
        for path in ("/api/admin/version", "/api/health", "/ui-settings", "/", "/docs"):
            assert call(prefect_api, path, Host=name, **login)[0] == 400, (name, path)


@pytest.mark.server
def test_a_page_of_another_origin_gets_no_permission(
    prefect_api: str, standing_server: StartingServer
) -> None:
    asked = {
        "Access_Control_Request_Method": "POST",
        "Access_Control_Request_Headers": "authorization,content-type",
    }
    ours = prefect_api.removesuffix("/api")
    for origin in ("https://rebound.example", "http://127.0.0.1:1", "null"):
        path = "/api/flow_runs/filter"
        status, headers, _ = call(prefect_api, path, method="OPTIONS", Origin=origin, **asked)
        assert status == 400
        assert "access-control-allow-origin" not in headers
        login = login_of(standing_server)
        _, headers, _ = call(prefect_api, path, method="POST", body={}, Origin=origin, **login)
        assert "access-control-allow-origin" not in headers
    _, headers, _ = call(prefect_api, "/api/health", Origin=ours)
    assert headers["access-control-allow-origin"] == ours


@pytest.mark.server
def test_no_socket_is_opened_without_the_login(prefect_api: str) -> None:
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    address = prefect_api.replace("http", "ws", 1)
    spoken = [Subprotocol("prefect")]
    for path in ("/events/in", "/events/out", "/logs/out", "/task_runs/subscriptions/scheduled"):
        with pytest.raises(InvalidStatus), connect(f"{address}{path}"):
            pass
        with connect(f"{address}{path}", subprotocols=spoken) as plain:
            plain.send(json.dumps({"type": "auth", "token": "guess"}))
            with pytest.raises(ConnectionClosed):
                plain.recv(timeout=20)
        rebound = {"Host": "rebound.example"}
        with (
            pytest.raises(InvalidStatus, match="400"),
            connect(f"{address}{path}", subprotocols=spoken, additional_headers=rebound),
        ):
            pass


@pytest.mark.server
def test_the_pages_ask_for_the_login_and_call_the_address_they_came_from(prefect_api: str) -> None:
    status, _, body = call(prefect_api, "/ui-settings")
    settings = json.loads(body)
    assert (status, settings["auth"], settings["api_url"]) == (200, "BASIC", "/api")


@pytest.fixture
def open_place() -> Iterator[Path]:
    """Give a folder that every account may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="reconflow-tests-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def second_account(script: str, *words: object) -> list[str]:
    """Run Python lines as another account; gives what they print."""
    done = subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
         "/usr/bin/env", "python3", "-c", textwrap.dedent(script), *map(str, words)],
        capture_output=True, text=True, check=False, timeout=60, cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


TRY = """
    import os, sys, urllib.error, urllib.request
    url, server, *paths = sys.argv[1:]
    for path in [*paths, f"/proc/{server}/environ"]:
        try:
            print(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read())
        except PermissionError:
            print("refused")
    for method, path in [("GET", "/admin/settings"), ("POST", "/deployments/filter")]:
        request = urllib.request.Request(url + path, method=method, data=b"{}")
        try:
            print(urllib.request.urlopen(request).status)
        except urllib.error.HTTPError as error:
            print(error.code)
    print(open(f"/proc/{server}/cmdline").read())
"""


@as_root
@pytest.mark.server
def test_a_second_account_can_neither_read_nor_call_nor_take_over(open_place: Path) -> None:
    home = open_place / ".prefect"
    home.mkdir(mode=0o755)
    for name in ("server.log", "server.lock", "server.url", "an-older-one.txt"):
        (home / name).touch(mode=0o644)
        (home / name).chmod(0o666)
    (home / "storage").mkdir(mode=0o777)
    with starting_server(home) as server, server.ready() as url:
        assert server.process is not None
        login = server.access.login or ""
        files = ["prefect.db", "server.login", "server.log", "server.url", "server.lock", "storage"]
        paths = [home, *(home / name for name in files)]
        told = second_account(TRY, url, server.process.pid, *paths)
        assert told[:-3] == ["refused"] * (len(paths) + 1)
        assert told[-3:-1] == ["401", "401"]
        assert login not in told[-1]
        assert rights(home) == {0o700}
        assert rights(*home.iterdir()) == {0o600, 0o700}
        assert login not in command_lines()
        kept = [path for path in home.rglob("*") if path.is_file() and holds(path, login)]
        assert kept == [home / "server.login"]
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        with pytest.raises((ConnectionError, HTTPException)):
            call(url, "/api/health")
        assert second_account(TAKE, urlsplit(url).port) == ["Address already in use"] * 2
    with socket.create_server(("127.0.0.1", urlsplit(url).port or 0)):
        pass


TAKE = """
    import socket, sys
    for reuse in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, reuse, 1)
        try:
            taken.bind(("127.0.0.1", int(sys.argv[1])))
            print("taken")
        except OSError as error:
            print(error.strerror)
"""


def rights(*paths: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in paths}


def holds(path: Path, login: str) -> bool:
    return login.encode() in path.read_bytes() or basic(login).encode() in path.read_bytes()


def command_lines() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)


@as_root
def test_the_folder_of_another_account_is_refused_with_its_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    with pytest.raises(UsageFault, match="belongs to another account"), starting_server(home):
        pass


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        named = rf"^Port {port} is in use\. .*: {{port: …}} in study\.yaml"
        with (
            pytest.raises(UsageFault, match=named),
            prefect_server(tmp_path / "home", port=port),
        ):
            pass


def test_a_port_can_be_taken_again_at_once(tmp_path: Path) -> None:
    """Connections of the server before linger on its port for a minute."""
    with socket.create_server(("127.0.0.1", 0)) as before:
        port = before.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            before.accept()[0].close()
            time.sleep(0.1)
    with starting_server(tmp_path / "home", port=port) as server:
        assert server.access.url == f"http://127.0.0.1:{port}/api"


@as_root
def test_status_tells_another_account_who_keeps_the_schedule(
    open_place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = open_place / "study"
    reconflow_here(capfd, "init", study)
    home_folder.close_to_others(study / ".prefect")
    plain = reconflow_here(capfd, "status", "--study", study)
    assert "next run: none is scheduled; `reconflow up` keeps the schedule" in plain.out
    for path in (study, *study.iterdir()):
        if path.name != ".prefect":
            os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        other = reconflow_here(capfd, "status", "--study", study)
    finally:
        os.seteuid(0)
    assert other.code == 0, other.err
    assert "next run: not shown to this account; `root` runs `reconflow up`" in other.out


KILLED = """
    import sys, time
    from flows.server.start import starting_server
    with starting_server() as server:
        print(server.process.pid, server.access.home, flush=True)
        time.sleep(60)
"""


def test_folders_that_killed_commands_left_are_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    command = [sys.executable, "-c", textwrap.dedent(KILLED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        server, left = killed.stdout.readline().split() if killed.stdout else ("", "")
        killed.kill()
    wait_until(lambda: not alive(int(server)), 30, "the server outlived its command")
    assert Path(left).is_dir()
    with starting_server() as used:
        unlike = [tmp_path / f"reconflow-server-{name}" for name in ("file", "link", "unlocked")]
        unlike[0].touch()
        unlike[1].symlink_to(used.access.home or "")
        unlike[2].mkdir()
        assert not Path(left).exists()
        with home_folder.temporary_home() as ours:
            assert ours.stat().st_mode & 0o777 == 0o700
            assert all(path.exists() for path in [*unlike, used.access.home or Path()])
    assert sorted(tmp_path.iterdir()) == sorted(unlike)


@as_root
def test_the_temporary_folder_of_another_account_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    others = tmp_path / "reconflow-server-theirs"
    others.mkdir()
    (others / "server.lock").write_text("1\n")
    os.chown(others, NOBODY, NOBODY)
    with home_folder.temporary_home():
        assert others.exists()
    os.chown(others, 0, 0)
    with home_folder.temporary_home():
        assert not others.exists()


def test_only_a_kept_database_that_nobody_else_wrote_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    home = home_folder.close_to_others(tmp_path / "home")
    assert home_folder.lay_database(home)
    (home / "prefect.db").touch()
    home_folder.keep_template(home)
    (template,) = (tmp_path / "cache" / "reconflow").iterdir()
    assert rights(template) == {0o600}
    template.chmod(0o644)
    (home / "prefect.db").unlink()
    assert not home_folder.lay_database(home)
    assert rights(template, home / "prefect.db") == {0o600}
    template.chmod(0o666)
    (home / "prefect.db").unlink()
    assert home_folder.lay_database(home)
    assert not (home / "prefect.db").exists()


def test_up_says_that_a_port_is_in_use_or_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reconflow_here(capfd, "init", tmp_path / "study")
    up = ("up", "--study", tmp_path / "study", "--port")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = reconflow_here(capfd, *up, port)
        assert (said.code, f"Port {port} is in use." in said.err) == (2, True)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    said = reconflow_here(capfd, *up, port)
    assert (said.code, "PREFECT_API_URL names another." in said.err) == (2, True)
    assert reconflow_here(capfd, *up, "70000").code == 2
    with (tmp_path / "study" / "study.yaml").open("a", encoding="utf-8") as settings:
        settings.write(f"up: {{port: {port}}}\n")
    said = reconflow_here(capfd, "up", "--study", tmp_path / "study")
    assert said.code == 2
    assert f"{tmp_path / 'study' / 'study.yaml'}: up: port is of the server that `up`" in said.err
