"""Notice a night that did not begin, while `reconflow up` runs."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import UTC, datetime, timedelta

from prefect.server.schemas.schedules import CronSchedule

from flows.notify import missed_night, tell_missed
from panels.files.watchdog import silence
from panels.text.errors import ReconflowError
from tasks.store.runs import last_run
from tasks.study.folder import Study, open_study

LOOK_SECONDS = 900.0


def watch_nights(study: Study, stop: threading.Event, look_seconds: float = LOOK_SECONDS) -> None:
    """Say once of each night that it did not begin, until ``stop`` is set.

    Nights that were due before the watch began are not told: nothing ran that could have begun
    them.
    """
    since, told = datetime.now(UTC), None
    while not stop.wait(look_seconds):
        try:
            due = due_night(study, since)
            if due is None or due == told:
                continue
            if missed_night(due, _begun(study), datetime.now(UTC)):
                told = due
                sys.stderr.write(f"reconflow: The night of {due.isoformat()} did not begin.\n")
                tell_missed(study if silence() else open_study(study.folder), due)
        except (ReconflowError, OSError) as error:
            sys.stderr.write(f"reconflow: {error}\n")


def due_night(study: Study, since: datetime, now: datetime | None = None) -> datetime | None:
    """Give the latest time since then at which a night was due; None before the first."""
    night, zone = study.settings.nightly, study.settings.nightly_zone
    schedule = CronSchedule(cron=night.cron, timezone=zone)
    until = now or datetime.now(UTC)
    # A week holds the latest night of any schedule that runs at least weekly.
    start = max(since, until - timedelta(days=8))
    times = asyncio.run(schedule.get_dates(start=start, end=until))
    return max((time for time in times if since < time <= until), default=None)


def _begun(study: Study) -> datetime | None:
    """Give when the last nightly pass began."""
    with study.store() as store:
        run = last_run(store, "nightly")
    return datetime.fromisoformat(run.started_at) if run else None
