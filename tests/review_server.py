"""The review server of a study on loopback, in a thread, for the tests that call it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from flows.review_pages.access import ReviewServer
from flows.review_pages.app import create_app
from flows.review_pages.serve import server_config
from flows.review_pages.sessions import Sessions
from tasks.study.folder import Study


class Served:
    """A running server, a client that keeps its cookies, and the clock of the sessions."""

    def __init__(self, url: str, now: list[float], app: FastAPI) -> None:
        self.url, self.now, self.app = url, now, app
        self.client = self.another()

    def another(self) -> httpx.Client:
        """Give a client of somebody else."""
        return httpx.Client(base_url=self.url, timeout=120)

    def log_in(self, name: str, token: str = "") -> httpx.Response:
        return self.client.post("/api/login", json={"name": name, "token": token})


def posted(client: httpx.Client, name: str, address: str, body: dict[str, Any]) -> httpx.Response:
    """Log in as somebody and send a change."""
    session = client.post("/api/login", json={"name": name}).json()
    headers = {"x-reconflow-csrf": session["csrf"], "content-type": "application/json"}
    return client.post(address, content=json.dumps(body), headers=headers)


@contextmanager
def serving(study: Study) -> Iterator[Served]:
    """Serve a study until the block ends."""
    now = [0.0]
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    review = ReviewServer(study, sessions=Sessions(lambda: now[0]))
    app = create_app(review, [f"127.0.0.1:{port}"])
    server = uvicorn.Server(server_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    running = Served(f"http://127.0.0.1:{port}", now, app)
    try:
        yield running
    finally:
        running.client.close()
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()
