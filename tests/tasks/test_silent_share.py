"""A pass and a watcher whose share stops answering: the lock is freed, the night is recorded."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows import watcher
from flows.watcher import keep_watching
from tasks.intake.take_in import take_in
from tasks.steps.one_pass import one_pass
from tasks.store.runs import last_run
from tasks.study.folder import Study
from tasks.study.lock import intake_lock, is_running
from tests.flows.command import PROJECT, descendants, wait_until
from tests.panels.test_watchdog import probe_of
from tests.silent_share import APART, can_hang, switch_of
from tests.tasks.study_folder import DRAWN, make_study, write_tube

PATIENCE = 240
SETTINGS = "study: test\nworkers: 1\nshare_seconds: 1\nintake: {settle_seconds: 0}\n"
PASS = """
import sys
from pathlib import Path
from panels.files.watchdog import watchdog
from tasks.intake.take_in import take_in
from tasks.steps.one_pass import one_pass
folder = Path(sys.argv[1])
with watchdog(), one_pass(folder, "nightly") as this:
    (folder / "begun").touch()
    if sys.argv[2:]:
        Path(sys.argv[2] + ".silent").touch()
        while "fuse.silent" not in Path("/proc/self/mountinfo").read_text():
            pass
    this.note_intake(take_in(this.study))
"""
OPENS = """
import os, sys
from pathlib import Path
from panels.files import watchdog
from tasks.study.folder import open_study
watchdog.SHARE_SECONDS = 1
os.chdir(sys.argv[1])
with watchdog.watchdog():
    list(open_study(Path(sys.argv[2])).inbox.iterdir())
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},bcell"], settings=SETTINGS)
    write_tube(made.inbox / "a.fcs")
    return made


def begin_pass(study: Study, *words: str, apart: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*apart, sys.executable, "-c", PASS, str(study.folder), *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=PROJECT)


def stopped_probe(study: Study) -> tuple[int, str]:
    """Let a pass wait for another's intake, and what asks its folders answer no more."""
    with study.store() as store, intake_lock(store), begin_pass(study) as process:
        wait_until((study.folder / "begun").exists, PATIENCE, "the pass did not begin")
        os.kill(probe_of(process.pid), signal.SIGSTOP)
        _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def hanging_inbox(study: Study) -> tuple[int, str]:
    """Let a pass take files in from a file system that hangs."""
    apart = (*APART, str(study.inbox))
    with begin_pass(study, str(study.inbox), apart=apart) as process:
        _, said = process.communicate(timeout=PATIENCE)
    switch_of(study.inbox).unlink()
    return process.returncode, said


def test_a_pass_whose_share_goes_silent_ends_and_frees_the_lock(study: Study) -> None:
    hang = hanging_inbox if can_hang(study.inbox) else stopped_probe
    code, said = hang(study)
    assert code == 1
    assert "Traceback" not in said
    silent = re.search(r"The folder (.+) did not answer within 1 seconds", said)
    assert silent is not None
    assert hang is stopped_probe or silent[1] == str(study.inbox)
    assert not is_running(study)
    with study.store() as store:
        failed = last_run(store)
    assert failed is not None
    assert failed.outcome == "failed"
    assert failed.summary["fault"].startswith(silent[0])
    assert "FAILED" in (study.results / "index.html").read_text(encoding="utf-8")
    with one_pass(study.folder, "nightly") as this:
        this.note_intake(take_in(study))
    assert this.summary["accepted"] == 1


@pytest.mark.parametrize("silent", ["s", "s/inbox"])
def test_a_study_that_is_silent_before_it_is_opened_is_told_wherever_it_is_named_from(
    study: Study, silent: str
) -> None:
    folder = study.folder.parent / silent
    if not can_hang(folder):
        pytest.skip("no file system that hangs can be mounted here")
    switch_of(folder).touch()
    command = [*APART, str(folder), sys.executable, "-c", OPENS, str(study.folder.parent), "s"]
    opened = subprocess.run(
        command, capture_output=True, text=True, cwd=PROJECT, timeout=PATIENCE, check=False
    )
    switch_of(folder).unlink()
    assert opened.returncode == 1
    assert opened.stderr.startswith(f"reconflow: The folder {folder} did not answer within 1 sec")


@contextmanager
def kept_watching(study: Study) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=keep_watching, args=(study, 0.2, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=PATIENCE)


def watchers() -> list[int]:
    return [each for each in descendants(os.getpid()) if is_watcher(each)]


def is_watcher(pid: int) -> bool:
    try:
        return b"flows.watcher" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_watcher_whose_share_goes_silent_is_begun_again_when_it_answers(
    study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    # What every look says, once; no pass is begun.
    lost = "sqlite:////not/there/reconflow.db"
    (study.folder / "study.yaml").write_text(f"{SETTINGS}store: {lost}\n", encoding="utf-8")
    said: list[str] = []

    def heard(words: str, times: int) -> Callable[[], bool]:
        def enough() -> bool:
            said.append(capfd.readouterr().err)
            return "".join(said).count(words) >= times

        return enough

    with kept_watching(study):
        wait_until(heard("cannot be opened", 1), PATIENCE, "no look was made")
        (first,) = watchers()
        os.kill(probe_of(first), signal.SIGSTOP)
        wait_until(heard("cannot be opened", 2), PATIENCE, lambda: "".join(said))
        (second,) = watchers()
    assert second != first
    assert not watchers()
    told = "".join(said)
    assert told.count("did not answer within 1 seconds") == 1
    assert told.count("All folders answer again") == 1
    assert "Traceback" not in told


def test_a_watcher_that_stood_still_is_not_begun_again_at_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    stop = threading.Event()
    waiting = threading.Thread(target=watcher._wait_after, args=(watcher.STANDSTILL, stop))
    waiting.start()
    waiting.join(timeout=1)
    assert waiting.is_alive()
    stop.set()
    waiting.join(timeout=PATIENCE)
    watcher._say_ending("No work was finished.", "standstill")
    said = capfd.readouterr().err
    assert "answer" not in said
    assert "No work was finished. Watching goes on in 10 minutes." in said
