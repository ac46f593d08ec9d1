"""What waits for a folder that does not answer is ended, with a sentence and a note."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from panels.files.watchdog import silence, until_answered, watch_folders, watchdog
from tests.flows.command import PROJECT, descendants, wait_until

PATIENCE = 120
HANGS = """
import os, sys
from pathlib import Path
from panels.files.plain_file import regular_sha256
from panels.files.watchdog import *
folder = Path(sys.argv[1])
with watchdog(codes={"silence": 1, "standstill": 3}), noted_at_end((folder / "noted").write_text):
    watch_folders([folder], 1)
    with steps_limited(float(sys.argv[2])), under_way("count tube 0123456789ab"):
        while not (folder / "hang").exists():
            regular_sha256(folder / "file")
        os.open(folder / "hang", os.O_WRONLY)
"""
STOPS = """
import os, sys, time
from pathlib import Path
from panels.files.watchdog import *
folder = Path(sys.argv[1])
with watchdog():
    watch_folders([folder], 1)
    with watchdog(None):
        while not silence():
            time.sleep(0.05)
    print("stopping", flush=True)
    os.open(folder / "hang", os.O_WRONLY)
"""


@contextmanager
def hanging(folder: Path, step_seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Run a process that waits for ever once a pipe ``hang`` lies in its folder."""
    (folder / "file").touch()
    command = [sys.executable, "-c", HANGS, str(folder), str(step_seconds)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        try:
            yield process
        finally:
            process.kill()


def probe_of(pid: int) -> int:
    """Give the probe of a process; its questions are the only program of that kind."""
    wait_until(lambda: probes(pid), PATIENCE, "no probe was started")
    return probes(pid)[0]


def probes(pid: int) -> list[int]:
    return [each for each in descendants(pid) if b"os.statvfs" in said_by(each)]


def said_by(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_silent_folder_ends_the_process_that_hangs(tmp_path: Path) -> None:
    with hanging(tmp_path, 600) as process:
        probe = probe_of(process.pid)
        os.mkfifo(tmp_path / "hang")
        os.kill(probe, signal.SIGSTOP)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    sentence = f"The folder {tmp_path} did not answer within 1 seconds"
    assert said.startswith(f"reconflow: {sentence}")
    assert "Traceback" not in said
    assert (tmp_path / "noted").read_text().startswith(sentence)
    wait_until(lambda: not said_by(probe), PATIENCE, "the probe stayed")


def test_a_hanging_file_ends_the_process_though_its_folder_answers(tmp_path: Path) -> None:
    with hanging(tmp_path, 2) as process:
        # As long as files are opened the step may take as long as it likes.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=4)
        os.mkfifo(tmp_path / "hang")
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert "No file was opened and no work was finished" in said
    assert "Under way: count tube 0123456789ab. Nothing was lost." in said


def test_a_server_that_stops_while_a_folder_is_silent_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hang")
    command = [sys.executable, "-c", STOPS, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=PROJECT) as process:
        os.kill(probe_of(process.pid), signal.SIGSTOP)
        out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == "stopping\n"
    assert said.startswith(f"reconflow: The folder {tmp_path} did not answer")


def test_nobody_waits_for_folders_that_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watchdog(None):
        monkeypatch.setattr(sys, "executable", str(tmp_path / "not there"))
        watch_folders([tmp_path], 1)
        assert not until_answered(threading.Event())
        monkeypatch.undo()
        wait_until(lambda: until_answered(threading.Event()), PATIENCE, "nothing was asked")


def test_a_process_that_stays_is_told_of_the_silence_and_of_its_end(tmp_path: Path) -> None:
    stop = threading.Event()
    with watchdog(None):
        watch_folders([tmp_path, tmp_path / "not there"], 1)
        probe = probe_of(os.getpid())
        until_answered(stop)
        assert silence() == ""
        os.kill(probe, signal.SIGSTOP)
        wait_until(silence, PATIENCE, "nothing was noticed")
        assert str(tmp_path) in silence()
        os.kill(probe, signal.SIGCONT)
        until_answered(stop)
        assert silence() == ""
        # A probe that is killed (lack of memory) says nothing of the folders; another takes over.
        os.kill(probe, signal.SIGKILL)
        until_answered(stop)
        assert silence() == ""
        assert probes(os.getpid()) != [probe]
    assert probes(os.getpid()) == []
    assert silence() == ""
