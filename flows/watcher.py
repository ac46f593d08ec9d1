"""Keep a watcher in a process of its own, which can be ended when a share hangs, and begun anew."""

import os
import signal
import sys

if __name__ == "__main__":
    # As long as the rest is being loaded, Ctrl-C would end in a traceback.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import subprocess
import threading
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import flows.process_start  # noqa: F401 - before anything imports numpy
from flows.child_process import end_with
from flows.watch import say, set_by_ctrl_c, watch_study
from panels.files.watchdog import Reason, until_answered, watch_folders, watchdog
from tasks.study.folder import Study

SILENT = 75
"""The code with which a watcher ends whose share does not answer (EX_TEMPFAIL)."""
STANDSTILL = 74
"""The code with which one ends whose work stands still though the folders answer (EX_IOERR)."""
STOP_SECONDS = 45.0
UNKNOWN_SECONDS = 60.0
"""It is begun again after this time where nobody can ask whether the folders answer."""
STANDSTILL_SECONDS = 600.0
"""What stood still would soon stand still again: a person has time to look."""
_TICK_SECONDS = 0.2
_RESTART_SECONDS = 10.0


def keep_watching(study: Study, interval: float, stop: threading.Event | None = None) -> None:
    """Watch a study until ``stop`` is set or the process is interrupted.

    ``interval`` are the seconds between two looks. A folder that does not answer ends the watcher,
    which is said once; when it answers again another one is begun.
    """
    with watchdog(None):
        folders = (study.folder, study.inbox, study.archive, study.quarantine, study.results)
        watch_folders(folders, study.settings.share_seconds)
        if stop is not None:
            _keep(study.folder, interval, stop)
            return
        with set_by_ctrl_c() as interrupted, suppress(KeyboardInterrupt):
            _keep(study.folder, interval, interrupted)
    raise KeyboardInterrupt


def _keep(folder: Path, interval: float, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            code = _run(folder, interval, stop)
        except OSError as error:
            say(f"No watcher can be started: {error}. It is tried again.")
            stop.wait(UNKNOWN_SECONDS)
            continue
        if not stop.is_set():
            _wait_after(code, stop)


def _wait_after(code: int, stop: threading.Event) -> None:
    """Wait until a watcher that ended with this code may be begun again."""
    if code == SILENT:
        answered = until_answered(stop)
        if stop.is_set():
            return
        if answered:
            say("All folders answer again; watching goes on.")
            return
        say(
            "Whether the folders answer cannot be asked: this computer starts no more processes. "
            f"Watching is tried again in {UNKNOWN_SECONDS:g} seconds."
        )
        stop.wait(UNKNOWN_SECONDS)
    elif code == STANDSTILL:
        stop.wait(STANDSTILL_SECONDS)
    else:
        say(f"The watcher ended by itself (code {code}); it is started again.")
        stop.wait(_RESTART_SECONDS)


def _run(folder: Path, interval: float, stop: threading.Event) -> int:
    """Run one watcher until it ends or ``stop`` is set; gives its exit code.

    Raises OSError where no process can be started.
    """
    module = [sys.executable, "-P", "-m", "flows.watcher"]
    options = ["--interval", str(interval), "--parent", str(os.getpid()), "--", str(folder)]
    # A session of its own: Ctrl-C in the terminal reaches this process first, which then stops it.
    process = subprocess.Popen(
        [*module, *options], stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while process.poll() is None and not stop.wait(_TICK_SECONDS):
            pass
    finally:
        _end(process)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a watcher to end, and end it by force when it does not; one that hangs is left."""
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGKILL, 5.0)):
        if process.poll() is None:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)


def main() -> None:
    """Watch one study in this process, until interrupted or a folder does not answer."""
    parser = ArgumentParser(prog="flows.watcher")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--interval", type=float, required=True, help="seconds between two looks")
    parser.add_argument("--parent", type=int, required=True, help="process to end with")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _unless_interrupted
    end_with(options.parent)
    codes: Mapping[Reason, int] = {"silence": SILENT, "standstill": STANDSTILL}
    with watchdog(_say_ending, codes), suppress(KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        watch_study(options.folder, options.interval)


def _unless_interrupted(lost: "sys.UnraisableHookArgs") -> None:
    """Say what was raised where it is lost; an interrupt is noted already."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(lost)


def _say_ending(sentence: str, reason: Reason) -> None:
    later = f"in {STANDSTILL_SECONDS / 60:g} minutes"
    say(f"{sentence} Watching goes on {'once it answers' if reason == 'silence' else later}.")


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)


if __name__ == "__main__":
    main()
