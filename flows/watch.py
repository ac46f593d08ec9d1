"""Look at the inbox again and again, and run a pass whenever there is something to do."""

import sys
import threading
from datetime import datetime
from pathlib import Path

from panels.errors import ReconflowError


def watch_study(folder: Path, interval: float, stop: threading.Event | None = None) -> None:
    """Watch until ``stop`` is set or the process is interrupted.

    A periodic look is the truth: a shared folder sends no word of what other computers write into it. A share that drops or
    a sheet that is wrong ends nothing; it is said once and looked at again.
    """
    stop = stop or threading.Event()
    _say(f"Watching {folder}. Press Ctrl-C to stop.")
    told = ""
    while not stop.is_set():
        try:
            told = _look(folder, told)
        except (ReconflowError, OSError) as error:
            told = _once(str(error), told)
        stop.wait(interval)


def _look(folder: Path, told: str) -> str:
    """Take in what has settled and run the flow when something is due; gives what was said last."""
    from tasks.intake.turn import take_in
    from tasks.one_pass import something_is_due
    from tasks.study import open_study

    study = open_study(folder)
    taken = take_in(study, wait=False)
    for outcome in taken.outcomes:
        _say(f"{outcome.inbox_path}: {outcome.state}{'. ' + outcome.reason if outcome.reason else ''}")
    if something_is_due(study):
        from flows.nightly import nightly

        summary = nightly(str(folder))
        _say(f"{summary['counted']} counted, {summary['failed']} failed; report: {summary['report']}")
    return _once("\n".join(taken.sheet_faults), told)


def _once(sentence: str, told: str) -> str:
    if sentence and sentence != told:
        _say(sentence)
    return sentence


def _say(sentence: str) -> None:
    sys.stderr.write(f"{datetime.now().astimezone():%H:%M:%S}  {sentence}\n")
    sys.stderr.flush()
