"""Tell somebody by e-mail, chat or telephone how a night went, without naming any patient.

Messages go where ``notify: {to: …}`` of study.yaml says, in the form of Apprise. What cannot be
sent is a sentence in the log: no night fails for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flows.review_pages.announced import review_address
from panels.text.quoting import unexpected

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

    from tasks.overview.night import Night
    from tasks.study.folder import Study

PATIENCE = timedelta(hours=1)
"""How long after its time a night may begin before it counts as missed."""


def night_ended(flow: object, flow_run: FlowRun, state: object) -> None:  # noqa: ARG001
    """Send how a scheduled night went, where anybody is to be told of it.

    Passes that a person or the watcher starts are not told: whoever started them sees them.
    """
    from tasks.results.front_page import read_now
    from tasks.strategies.in_use import read_snapshot

    with _told_of_faults():
        study = _study_of(flow_run)
        if study is None or not study.settings.notify.to:
            return
        night = read_now(read_snapshot(study)).night
        if study.settings.notify.when == "always" or is_trouble(night):
            send(study, f"{night.sentence} ({night.attention})")


def night_failed(flow: object, flow_run: FlowRun, state: State) -> None:  # noqa: ARG001
    """Send that a scheduled night failed; not why: a sentence might name a file."""
    with _told_of_faults():
        study = _study_of(flow_run)
        if study is not None:
            send(study, f"The night FAILED ({state.name}). `reconflow run` says why.")


def tell_missed(study: Study, due: datetime) -> None:
    """Send that a night did not begin."""
    send(study, f"The night of {due.isoformat(timespec='minutes')} did not begin.")


@contextmanager
def _told_of_faults() -> Iterator[None]:
    """Say on stderr what went wrong in telling; the night is over and stays as it is."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - telling must not change how a night ended
        sys.stderr.write(f"reconflow: notify: unexpected {unexpected(error)}.\n")


def _study_of(run: FlowRun) -> Study | None:
    """Give the study of a scheduled run; None for a run that was started by hand."""
    from tasks.study.folder import Study
    from tasks.study.settings import read_settings

    folder = run.parameters.get("study")
    if not (run.deployment_id and folder):
        return None
    # The night may have failed because a folder does not answer.
    settings = read_settings(Path(folder))
    return Study(Path(folder).resolve(), settings)


def is_trouble(night: Night) -> bool:
    """Tell whether a night asks for a person."""
    return night.standing != "quiet" or night.drifts > 0


def send(study: Study, message: str) -> bool:
    """Send one message to all addresses, and say on stderr where that failed."""
    import apprise

    addresses = list(_addresses(study))
    if not addresses:
        return False
    sender = apprise.Apprise()
    known = sum(sender.add(address) for address in addresses) == len(addresses)
    where = review_address()
    body = f"{message}\n{where}" if where else message
    sent = bool(len(sender)) and sender.notify(
        title=f"reconflow: {study.settings.study}", body=body
    )
    if not (known and sent):
        sys.stderr.write(
            "reconflow: notify: not every message could be sent: check 'to' in study.yaml.\n"
        )
    return bool(known and sent)


def missed_night(due: datetime, last_begun: datetime | None, now: datetime) -> bool:
    """Tell whether a night that was due did not begin, an hour after its time."""
    return now - due > PATIENCE and (last_begun is None or last_begun < due)


def _addresses(study: Study) -> Iterator[str]:
    """Yield the addresses; ``$NAME`` stands for an environment variable that holds one."""
    for address in study.settings.notify.to:
        if not address.startswith("$"):
            yield address
            continue
        held = os.environ.get(address[1:], "").strip()
        if held:
            yield held
            continue
        sys.stderr.write(f"reconflow: notify: the environment variable {address[1:]} is not set.\n")
