"""Give a command a Prefect server: the one the site names, or one of our own on loopback.

A server kept in a ``home`` folder holds the schedule and the history of a study and has Prefect's
own pages and services. Without a home the server serves one command: only its programming
interface is started, and its database goes with it.

Loopback is open to every account of the machine. A server of our own therefore answers only who
shows its login, a random secret of this start, which is handed on in the environment and lies in
a file that only this account can read. Its port is bound here and kept as long as the server may
be called, so that no other account can answer in its place.
"""

import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from flows.server import home_folder
from flows.server.access import LOOPBACK, Access
from panels.text.errors import ReconflowError, UsageFault

START_SECONDS = 120.0
STOP_SECONDS = 10.0


class ServerFault(ReconflowError):
    """Our own Prefect server did not start or did not answer."""


@dataclass(frozen=True, slots=True)
class StartingServer:
    """Hold a server that is being started; ``process`` is None when none had to be.

    ``fresh`` says that its database is made new by this start, so that it can hold no study's
    history.
    """

    access: Access
    process: subprocess.Popen[bytes] | None = None
    fresh: bool = False

    @contextmanager
    def ready(self, seconds: float = START_SECONDS) -> Iterator[str]:
        """Wait until the server answers, and use it for the block; yields its address."""
        home = self.access.home
        if home is None:
            check_site(self.access.url)
        elif self.process is not None:
            _await_health(self.access.url, self.process, home / home_folder.LOG, seconds)
            if self.fresh:
                home_folder.keep_template(home)
            home_folder.write_private(home / home_folder.LOGIN, f"{self.access.login}\n")
            home_folder.write_private(home / home_folder.URL, self.access.url)
        with self.access.used():
            yield self.access.url


@contextmanager
def prefect_server(home: Path | None = None, *, port: int = 0) -> Iterator[str]:
    """Yield the address of a Prefect server that answers, and stop it if it was started here.

    ``home`` is the folder of a standing server (one at a time: UsageFault if one already runs
    there, or if ``port`` is in use; 0 takes a free one); None is a server for one command. Where
    ``PREFECT_API_URL`` is set its value is yielded and nothing is started. Raises ServerFault with
    the end of the server's log when it does not come up.
    """
    with starting_server(home, port=port) as server, server.ready() as url:
        yield url


@contextmanager
def starting_server(home: Path | None = None, *, port: int = 0) -> Iterator[StartingServer]:
    """Start a server and return at once, so that other work can overlap its start."""
    site = os.environ.get("PREFECT_API_URL")
    if site:
        yield StartingServer(Access(site))
    elif home is None:
        with (
            home_folder.temporary_home() as folder,
            _own_server(folder, port=0, standing=False) as server,
        ):
            yield server
    else:
        folder = home_folder.close_to_others(home)
        with _own_server(folder, port=port, standing=True) as server:
            yield server


@contextmanager
def server_for_a_command(home: Path) -> Iterator[str]:
    """Yield the site's server, else the one that stands on ``home``, else one for this command."""
    standing = None if os.environ.get("PREFECT_API_URL") else running_server(home)
    if standing is None:
        with prefect_server() as url:
            yield url
    else:
        with standing.used():
            yield standing.url


def running_server(home: Path) -> Access | None:
    """Give the server that runs on ``home``; None when none answers or it is another account's.

    A file of a server that was killed is not believed: somebody else may hold its port now, and
    would be given our login.
    """
    try:
        if not home_folder.is_held(home):
            return None
        login = (home / home_folder.LOGIN).read_text(encoding="utf-8").strip()
        url = (home / home_folder.URL).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return Access(url, login, home.resolve()) if _is_healthy(url) else None


@contextmanager
def _own_server(home: Path, *, port: int, standing: bool) -> Iterator[StartingServer]:
    """Run Prefect's server on a loopback port, in a process group of its own, for the block."""
    with home_folder.lock_home(home) as lock, _listening(port) as listening:
        # Those of a server that was killed: its port may be somebody else's by now.
        for name in (home_folder.URL, home_folder.LOGIN):
            (home / name).unlink(missing_ok=True)
        url = f"http://{LOOPBACK}:{listening.getsockname()[1]}/api"
        login = f"reconflow:{secrets.token_urlsafe(32)}"
        fresh = home_folder.lay_database(home)
        environment = _server_environment(url, login, home, pages=standing)
        process = _launch(home, environment, lock.fileno(), listening.fileno(), services=standing)
        threading.Thread(target=_refuse_calls, args=(process, listening), daemon=True).start()
        try:
            yield StartingServer(Access(url, login, home), process, fresh)
        finally:
            _stop(process)
            (home / home_folder.URL).unlink(missing_ok=True)
            (home / home_folder.LOGIN).unlink(missing_ok=True)


def _launch(
    home: Path, environment: dict[str, str], lock: int, listening: int, *, services: bool
) -> subprocess.Popen[bytes]:
    """Start the server's process; it inherits the lock, so that an orphan still holds its home."""
    module = [sys.executable, "-P", "-m", "flows.server.process"]
    options = ["--socket", str(listening), "--parent", str(os.getpid())]
    if services:
        options.append("--services")
    with home_folder.open_private(home / home_folder.LOG) as log:
        # A session of its own: Ctrl-C in the terminal reaches this process first, which then
        # stops the server in order.
        return subprocess.Popen(
            [*module, *options],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock, listening],
        )


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Hold a port of loopback; calls wait in it until the server has started."""
    try:
        listening = socket.create_server((LOOPBACK, port))
    except OSError as error:
        reason = {errno.EADDRINUSE: "is in use", errno.EACCES: "is kept for the system"}
        why = reason.get(error.errno or 0, f"cannot be used ({error.strerror})")
        raise UsageFault(
            f"Port {port} {why}. Name another for Prefect's pages, with up: {{port: …}} in "
            "study.yaml or with --port; each study on this computer needs its own."
        ) from error
    with listening:
        try:
            yield listening
        finally:
            # Wakes the thread that refuses calls, which would keep the port otherwise.
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


def _refuse_calls(process: subprocess.Popen[bytes], listening: socket.socket) -> None:
    """Let no call wait for a server that has ended, and yet keep its port from other accounts."""
    process.wait()
    with suppress(OSError):
        listening.setblocking(True)  # The server, which shares the socket, had it otherwise.
        while True:
            listening.accept()[0].close()


def _server_environment(url: str, login: str, home: Path, *, pages: bool) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": url.removesuffix("/api"),
        "PREFECT_SERVER_UI_ENABLED": str(pages).lower(),
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": (
            f"sqlite+aiosqlite:///{home / home_folder.DATABASE}"
        ),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "NO_COLOR": "1",
    }


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _is_healthy(url):
        if process.poll() is not None:
            message = f"The Prefect server stopped while starting (code {process.returncode})."
            raise ServerFault(message + _tail(log))
        if time.monotonic() > deadline:
            message = f"The Prefect server did not answer within {seconds:.0f} s."
            raise ServerFault(message + _tail(log))
        time.sleep(0.1)


def _is_healthy(url: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def check_site(url: str) -> None:
    """Raise ServerFault where nothing answers at a site's address.

    A server of the site may want a key even for its health.
    """
    try:
        build_opener().open(f"{url}/health", timeout=10).close()
    except HTTPError:
        return
    except (URLError, OSError, ValueError) as error:
        message = (
            f"PREFECT_API_URL names {url}, where no Prefect server answers."
            " Start it, correct the variable or unset it."
        )
        raise ServerFault(message) from error


def _tail(log: Path, lines: int = 12) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    last = "\n".join(text.splitlines()[-lines:])
    if not text:
        return " It left no message."
    return f"\nIts last words:\n{last}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server's whole group to end, and end it by force when it does not."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_SECONDS)
            return
