"""Serve the review pages of a study until stopped."""

from __future__ import annotations

import sys

import uvicorn

from flows.review_pages.access import ReviewServer
from flows.review_pages.app import create_app
from panels.text.errors import UsageFault
from tasks.publish.app_files import write_app
from tasks.store.people import people_of
from tasks.study.folder import Study

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PORT = 8737


def serve_review(study: Study, host: str, port: int, names: tuple[str, ...] = ()) -> None:
    """Serve the review pages on an address of this machine.

    ``names`` are further host names (with port where it differs) by which it is called, behind a
    proxy for instance. Raises UsageFault when others could open the pages and nobody has a token,
    or the port is taken.
    """
    beyond = host not in {"127.0.0.1", "::1", "localhost"} or bool(names)
    if beyond:
        with study.store() as store:
            known = people_of(store)
        if not known:
            raise UsageFault(
                f"On {host} other computers can open the review pages, and nobody has a token yet. "
                "Make one first: reconflow review add NAME --role approver"
            )
    write_app(study.results)
    app = create_app(ReviewServer(study, beyond_loopback=beyond), _hosts(host, port, names))
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False
    )
    sys.stderr.write(f"Review pages: http://{_shown(host)}:{port}/ (Ctrl-C ends them)\n")
    uvicorn.Server(config).run()


def _hosts(host: str, port: int, names: tuple[str, ...]) -> list[str]:
    own = [*LOOPBACK, _shown(host)]
    return [*(f"{name}:{port}" for name in own), *own, *names, *(f"{n}:{port}" for n in names)]


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
