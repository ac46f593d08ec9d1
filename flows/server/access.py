"""Call a Prefect server: with its address and login, for this process and its children."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where a Prefect server is called, and with which login (``user:password``).

    ``login`` is None for the server of a site, whose own settings hold what it wants; ``home`` is
    None there too.
    """

    url: str
    login: str | None = field(default=None, repr=False)
    home: Path | None = None

    @contextmanager
    def used(self) -> Iterator[None]:
        """Point Prefect, here and in child processes, at the server for the block."""
        if self.login is None or self.home is None:
            yield
            return
        environment = _client_environment(self.url, self.login, self.home)
        with _environment(environment), self.settings():
            try:
                yield
            finally:
                _drain_logs_and_events()

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Override what Prefect read at its import, perhaps before the server was up."""
        from prefect.settings import (
            PREFECT_API_AUTH_STRING,
            PREFECT_API_URL,
            PREFECT_HOME,
            temporary_settings,
        )

        ours = {PREFECT_API_AUTH_STRING: self.login, PREFECT_HOME: self.home}
        with temporary_settings({PREFECT_API_URL: self.url, **(ours if self.login else {})}):
            yield


def _client_environment(url: str, login: str, home: Path) -> dict[str, str]:
    """Give the environment with which this process and its children call the server.

    A hospital's proxy must not be used for loopback addresses.
    """
    proxied = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    direct = ",".join(filter(None, [proxied, LOOPBACK]))
    return {
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": login,
        "PREFECT_HOME": str(home),
        "NO_PROXY": direct,
        "no_proxy": direct,
        "DO_NOT_TRACK": "1",
    }


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


def _drain_logs_and_events() -> None:
    """Let Prefect send what it still holds of logs and events.

    Without their server it would wait for a minute at exit.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=DRAIN_SECONDS)
    EventsWorker.drain_all(timeout=DRAIN_SECONDS)
