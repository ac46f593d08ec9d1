"""Guard the review pages: who may call, from where, and what a page may do in the browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from panels.files.watchdog import silence
from panels.text.printable import printable_lines

COOKIE = "reconflow_session"
CSRF_HEADER = "x-reconflow-csrf"
SAFE = frozenset({"GET", "HEAD"})
MOST_BYTES = 100_000
"""A polygon of 200 vertices takes some 10 KB."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Nothing from elsewhere is loaded or run. Inline styles are let in: mailed reports have theirs."""

Next = Callable[[Request], Awaitable[Response]]


def refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer a call that is refused, with the sentence that the page shows."""
    return JSONResponse({"fault": printable_lines(sentence)}, status, headers)


def guard(hosts: Sequence[str]) -> Callable[[Request, Next], Awaitable[Response]]:
    """Make the step that every call passes: the host it names, its origin, and our headers.

    ``hosts`` are the names by which the server may be called (with port). A page of another site
    that had its own name resolved to this machine would send that name.
    """
    known = frozenset(host.lower() for host in hosts)

    async def passed(request: Request, call_next: Next) -> Response:
        host = request.headers.get("host", "").lower()
        origin = request.headers.get("origin")
        if host not in known:
            response: Response = refusal(400, "This server is not called by that name.")
        elif request.method not in SAFE and not _is_own(origin, host):
            response = refusal(403, "Changes are taken from this server's own pages only.")
        elif request.method not in SAFE and not _is_short(request.headers.get("content-length")):
            response = refusal(413, "That is more than any decision needs.")
        elif silence():
            # The call would wait for it, and in the end all threads of the server would.
            response = refusal(503, silence())
        else:
            response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return passed


def cookie_of(request: Request) -> str | None:
    """Give the session's cookie of a call, None without one."""
    try:
        jar = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return None
    return jar[COOKIE].value if COOKIE in jar else None


def is_encrypted(request: Request) -> bool:
    """Tell whether the browser came by https, to a proxy before this server for instance.

    It says so itself in the origin of a change, for its own cookie alone.
    """
    return urlsplit(request.headers.get("origin", "")).scheme == "https"


def _is_short(length: str | None) -> bool:
    """Tell whether a body says how long it is and is no longer than a correction may be."""
    return length is not None and length.isdecimal() and int(length) <= MOST_BYTES


def _is_own(origin: str | None, host: str) -> bool:
    """Tell whether a change comes from a page of this server, or from no browser at all."""
    return origin is None or urlsplit(origin).netloc.lower() == host
