"""Keep a laboratory running: serve the nightly schedule and watch the inbox, until stopped."""

import sys
import threading
from contextlib import chdir
from pathlib import Path
from typing import cast

from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.missed_nights import watch_nights
from flows.nightly import nightly
from flows.served_study import deployment_name, serving
from flows.server.home_folder import LOGIN
from flows.watcher import keep_watching
from tasks.study.folder import Study

PROGRAM = Path(__file__).resolve().parents[1]
"""Where the nights run: Prefect imports the flow from the working folder first, whatever it is."""


def print_address(url: str, home: Path | None) -> None:
    """Print where Prefect's pages are and, of our own server in ``home``, how to log in."""
    login = (
        f" (log in with the line in {home / LOGIN}, which only this account can read)"
        if home
        else ""
    )
    sys.stderr.write(f"Prefect's pages: {url.removesuffix('/api')}{login}\n")


def up_study(study: Study, interval: float) -> None:
    """Serve the nightly run at most once at a time and watch the inbox; returns when interrupted.

    Nothing that is started here, by whomever, runs another study. A night that is still running
    when the next is due goes on alone. Nights missed while the server was down are not made up one
    by one: each pass does all there is to do.
    """
    night = study.settings.nightly
    deployment = nightly.to_deployment(
        name=deployment_name(study),
        schedule=Cron(night.cron, timezone=study.settings.nightly_zone, slug="nightly"),
        parameters={"study": str(study.folder)},
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    stop = threading.Event()
    watching = (study, interval, stop)
    watcher = threading.Thread(target=keep_watching, args=watching, name="watcher", daemon=True)
    sys.stderr.write(
        f"Every night at '{night.cron}' ({study.settings.nightly_zone}), and whenever a file "
        "arrives. Ctrl-C ends it.\n"
    )
    missed = threading.Thread(target=watch_nights, args=(study, stop), name="nights", daemon=True)
    with serving(study.folder), chdir(PROGRAM):
        watcher.start()
        missed.start()
        try:
            serve(cast("RunnerDeployment", deployment), limit=1, print_starting_message=False)
        finally:
            stop.set()
            watcher.join(timeout=60)
