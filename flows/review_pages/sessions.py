"""Remember who is logged in to the review pages: in memory, until they leave or time is up."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.store.people import Role

IDLE_SECONDS, LONGEST_SECONDS = 60 * 60, 12 * 60 * 60
MOST_SESSIONS = 1000
MOST_FAILURES, FAILURE_SECONDS = 5, 60.0


@dataclass(slots=True)
class Session:
    """One login; ``csrf`` is what a page has to send with every change.

    ``row`` is that of the person whose token was shown; None: none was asked for.
    """

    name: str
    role: Role
    row: int | None
    begun: float
    seen: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Sessions:
    """The logins of one server. A login ends after an hour without use, and after twelve hours."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._failures: dict[tuple[str, str], list[float]] = {}

    def begin(self, name: str, role: Role, row: int | None = None) -> tuple[str, Session]:
        """Log somebody in; gives the secret that the browser keeps as a cookie."""
        now, secret = self._clock(), secrets.token_urlsafe(32)
        session = Session(name, role, row, now, now)
        with self._lock:
            self._drop_ended(now)
            if len(self._sessions) >= MOST_SESSIONS:
                del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
            self._sessions[secret] = session
        return secret, session

    def find(self, secret: str | None) -> Session | None:
        """Give the login of a cookie; None when there is none or it has ended."""
        now = self._clock()
        with self._lock:
            self._drop_ended(now)
            session = self._sessions.get(secret or "")
            if session:
                session.seen = now
            return session

    def end(self, secret: str | None) -> None:
        """Log somebody out."""
        with self._lock:
            self._sessions.pop(secret or "", None)

    def may_try(self, name: str, address: str) -> bool:
        """Tell whether an address may try a token of a name: five failures a minute are enough.

        Behind a proxy all share one address: one who errs does not lock the others out.
        """
        now = self._clock()
        with self._lock:
            recent = [
                at for at in self._failures.get((name, address), []) if now - at < FAILURE_SECONDS
            ]
            self._failures = {
                key: times
                for key, times in self._failures.items()
                if now - times[-1] < FAILURE_SECONDS
            }
            return len(recent) < MOST_FAILURES

    def note_failure(self, name: str, address: str) -> None:
        """Remember that a wrong token of a name came from an address."""
        with self._lock:
            self._failures.setdefault((name, address), []).append(self._clock())

    def _drop_ended(self, now: float) -> None:
        ended = [
            key
            for key, session in self._sessions.items()
            if now - session.seen > IDLE_SECONDS or now - session.begun > LONGEST_SECONDS
        ]
        for key in ended:
            del self._sessions[key]
