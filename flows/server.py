"""Give a command a Prefect server: the one the site names, or one of our own on loopback.

A server kept in a ``home`` folder holds the schedule and the history of a study and has Prefect's own pages and services.
Without a home the server serves one command: only its programming interface is started, and its database goes with it.
Migrating a new Prefect database takes three times as long as starting on a migrated one, so an empty, migrated database of
the installed Prefect version is kept in the user's cache folder and copied for every new home.
"""

import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from panels.errors import ReconflowError, UsageFault

LOOPBACK = "127.0.0.1"
LAUNCH = """
import runpy, signal, sys
if sys.platform == "linux":  # When reconflow is killed outright it can stop nothing any more: Linux ends the server for it.
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
runpy.run_module("prefect", run_name="__main__", alter_sys=True)
"""
START_SECONDS = 120.0
STOP_SECONDS = 10.0
LAST_WORDS_SECONDS = 10.0


class ServerFault(ReconflowError):
    """Our own Prefect server did not start or did not answer."""


@dataclass(frozen=True, slots=True)
class StartingServer:
    """Hold a server that was told to start; ``process`` is None when the site's own server is used.

    ``fresh`` says that its database is made new by this start, so that it can hold no study's history.
    """

    url: str
    home: Path | None
    process: subprocess.Popen[bytes] | None
    fresh: bool = False

    @contextmanager
    def ready(self, seconds: float = START_SECONDS) -> Iterator[str]:
        """Wait until the server answers, and point Prefect, here and in child processes, at it for the block."""
        if self.process is None or self.home is None:
            if not _answers(self.url):
                raise ServerFault(
                    f"PREFECT_API_URL names {self.url}, where no Prefect server answers. Start it, correct the variable or unset it."
                )
            yield self.url
            return
        _await_health(self.url, self.process, self.home / "server.log", seconds)
        if self.fresh:
            _keep_template(self.home / "prefect.db")
        (self.home / "server.url").write_text(self.url, encoding="utf-8")
        with _environment(_client_environment(self.url, self.home)), _prefect_settings(self.url, self.home):
            try:
                yield self.url
            finally:
                _send_the_rest()


@contextmanager
def prefect_server(home: Path | None = None) -> Iterator[str]:
    """Yield the address of a Prefect server that answers, and stop it afterwards if it was started here.

    ``home`` is the folder of a standing server (one at a time: UsageFault if one already runs there); None is a server for
    one command. Where ``PREFECT_API_URL`` is set its value is yielded and nothing is started. Raises ServerFault with the
    end of the server's log when it does not come up.
    """
    with starting_server(home) as server, server.ready() as url:
        yield url


@contextmanager
def starting_server(home: Path | None = None) -> Iterator[StartingServer]:
    """Start a server and return at once, so that other work can overlap its start; ``ready()`` waits for it."""
    site = os.environ.get("PREFECT_API_URL")
    if site:
        yield StartingServer(url=site, home=None, process=None)
    elif home is None:
        with (
            tempfile.TemporaryDirectory(prefix="reconflow-server-", ignore_cleanup_errors=True) as folder,
            _own_server(Path(folder), options=["--no-ui", "--no-services"]) as server,
        ):
            yield server
    else:
        home.mkdir(parents=True, exist_ok=True)
        with _own_server(home.resolve(), options=[]) as server:
            yield server


def running_server(home: Path) -> str | None:
    """Give the address of the server that runs on ``home``, or None when none answers."""
    try:
        url = (home / "server.url").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return url if _is_healthy(url) else None


@contextmanager
def _own_server(home: Path, *, options: list[str]) -> Iterator[StartingServer]:
    """Run ``prefect server start`` on a free loopback port, in a process group of its own, for the block."""
    with _lock(home) as lock:
        fresh = _is_fresh(home / "prefect.db")
        port = _free_port()
        command = [sys.executable, "-c", LAUNCH, "server", "start", "--host", LOOPBACK, "--port", str(port), *options]
        with (home / "server.log").open("wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches this process first, which then stops the server in order.
            # The server inherits the lock, so that an orphaned one still holds its home.
            process = subprocess.Popen(
                command,
                env=os.environ | _server_environment(home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
        try:
            yield StartingServer(url=f"http://{LOOPBACK}:{port}/api", home=home, process=process, fresh=fresh)
        finally:
            _stop(process)
            (home / "server.url").unlink(missing_ok=True)


@contextmanager
def _lock(home: Path) -> Iterator[IO[str]]:
    """Hold the home folder for one server: two on one SQLite database would block each other."""
    with (home / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{home}: a Prefect server is already running for this folder. Stop the other `reconflow up` first."
            raise UsageFault(message) from error
        yield lock


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _server_environment(home: Path) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "NO_COLOR": "1",
    }


def _client_environment(url: str, home: Path) -> dict[str, str]:
    """Say what this process and its children must know; a hospital's proxy must not be asked for loopback addresses."""
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK]))
    return {"PREFECT_API_URL": url, "PREFECT_HOME": str(home), "NO_PROXY": direct, "no_proxy": direct, "DO_NOT_TRACK": "1"}


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _prefect_settings(url: str, home: Path) -> Iterator[None]:
    """Override what Prefect read at its import, which may have been before the server had an address."""
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    with temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: home}):
        yield


def _send_the_rest() -> None:
    """Let Prefect send what it still holds of logs and events; without their server it would wait for a minute at exit."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=LAST_WORDS_SECONDS)
    EventsWorker.drain_all(timeout=LAST_WORDS_SECONDS)


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _is_healthy(url):
        if process.poll() is not None:
            raise ServerFault(f"The Prefect server stopped while starting (code {process.returncode}).{_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerFault(f"The Prefect server did not answer within {seconds:.0f} s.{_tail(log)}")
        time.sleep(0.1)


def _is_healthy(url: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _answers(url: str) -> bool:
    """Tell whether anything answers at a site's address; a server of the site may want a key even for its health."""
    try:
        build_opener().open(f"{url}/health", timeout=10).close()
    except HTTPError:
        return True
    except (URLError, OSError, ValueError):
        return False
    return True


def _tail(log: Path, lines: int = 12) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return "\nIts last words:\n" + "\n".join(text.splitlines()[-lines:]) if text else " It left no message."


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server's whole group to end, and end it by force when it does not."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_SECONDS)
            return


def _template() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "reconflow" / f"prefect-{version('prefect')}.db"


def _is_fresh(database: Path) -> bool:
    """Tell whether the server must make its database; a copy of the kept one stands in for it where there is one."""
    if database.exists():
        return False
    if _template().exists():
        shutil.copyfile(_template(), database)
        return False
    return True


def _keep_template(database: Path) -> None:
    """Keep the freshly migrated database for the next new home; without a writable cache the next start is only slower."""
    template = _template()
    if template.exists():
        return
    with suppress(OSError, sqlite3.Error):
        template.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=template.parent) as folder:
            copy = Path(folder) / template.name
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            copy.replace(template)
