"""Serve the review pages of a study until stopped."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from flows.review_pages.access import ReviewServer
from flows.review_pages.announced import BY_REVIEW, BY_UP, announced, review_address
from flows.review_pages.app import create_app
from panels.text.errors import UsageFault
from tasks.publish.app_files import write_app
from tasks.store.people import people_of
from tasks.study.folder import Study

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
USUAL_PORT = 8737


def serve_review(study: Study, host: str, port: int, names: tuple[str, ...] = ()) -> None:
    """Serve the review pages on an address of this machine until stopped.

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
                "Make one first: reconflow review add NAME --role approver --by NAME"
            )
    url = f"http://{_shown(host)}:{port}/"
    called = _called(names) or url
    with _bound(host, port) as listening, announced(study.folder, BY_REVIEW, called):
        server = _server(study, host, port, names, beyond=beyond)
        by_name = f", for others {called}" if called != url else ""
        sys.stderr.write(f"Review pages: {url}{by_name} (Ctrl-C ends them)\n")
        server.run(sockets=[listening])


def _called(names: tuple[str, ...]) -> str | None:
    """Give the address by which others call the pages: as the site says, else a proxy's with TLS.

    None where neither is known.
    """
    return review_address() or next((f"https://{name}/" for name in names), None)


@contextmanager
def review_pages_beside(study: Study, port: int | None) -> Iterator[str]:
    """Serve the review pages on loopback in a thread while the block runs; gives their address.

    Without a port the usual one is taken, or a free one where it is in use. Raises UsageFault where
    a port that was asked for cannot be had.
    """
    listening = _listening_beside(port)
    with listening, announced(study.folder, BY_UP, _url_of(listening)):
        port = listening.getsockname()[1]
        server = _server(study, LOOPBACK[0], port, (), beyond=False)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="review pages", daemon=True
        )
        thread.start()
        try:
            yield _url_of(listening)
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def _listening_beside(port: int | None) -> socket.socket:
    if port is not None:
        try:
            return _bound(LOOPBACK[0], port)
        except UsageFault as fault:
            raise UsageFault(
                f"Port {port} of the review pages cannot be had, perhaps because `reconflow up` of "
                "another study has it. Give each study its own: up: {review_port: …} in "
                "study.yaml, or --review-port."
            ) from fault
    try:
        return _bound(LOOPBACK[0], USUAL_PORT)
    except UsageFault:
        return _bound(LOOPBACK[0], 0)


def _url_of(listening: socket.socket) -> str:
    return f"http://{LOOPBACK[0]}:{listening.getsockname()[1]}"


def _server(
    study: Study, host: str, port: int, names: tuple[str, ...], *, beyond: bool
) -> uvicorn.Server:
    write_app(study.results)
    app = create_app(ReviewServer(study, beyond_loopback=beyond), _hosts(host, port, names))
    return uvicorn.Server(server_config(app))


def server_config(app: FastAPI) -> uvicorn.Config:
    """Say how the pages are served: no header of a caller gives it another address."""
    return uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=False
    )


def _bound(host: str, port: int) -> socket.socket:
    """Give a socket that listens at an address; raises UsageFault where that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageFault(
            f"The review pages cannot be served at {_shown(host)}:{port}: {error.strerror}. Name "
            "another with --host and --port."
        ) from error
    return listening


def _hosts(host: str, port: int, names: tuple[str, ...]) -> list[str]:
    own = [*LOOPBACK, _shown(host)]
    return [*(f"{name}:{port}" for name in own), *own, *names, *(f"{n}:{port}" for n in names)]


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
