"""Run Prefect's server in a process of its own, on a socket that reconflow has opened for it.

``prefect server start`` serves the same app, but answers under any name (a page of the internet
whose name was pointed at loopback could then read it) and binds its port late, when another
account may have taken it.
"""

import os
import socket
from argparse import ArgumentParser

from flows.child_process import end_with

HOSTS = ("127.0.0.1", "localhost")


def main() -> None:
    """Serve until SIGTERM, or until the process that started this one is gone."""
    parser = ArgumentParser(prog="flows.server.process")
    parser.add_argument("--socket", type=int, required=True, help="listening socket, inherited")
    parser.add_argument("--parent", type=int, required=True, help="process to end with")
    parser.add_argument("--services", action="store_true", help="run the scheduler and its like")
    options = parser.parse_args()
    end_with(options.parent)
    _serve(socket.socket(fileno=options.socket), services=options.services)


def _serve(listening: socket.socket, *, services: bool) -> None:
    import uvicorn
    from fastapi.middleware.trustedhost import TrustedHostMiddleware
    from prefect.server.api.server import create_app

    app = create_app(final=True, webserver_only=not services)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
    # Only now: create_app may unpack Prefect's pages for all who share this installation.
    os.umask(0o077)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
