"""What no cytometer writes ends with one sentence, soon and in little memory, through every
door."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gating.fcs.limits import MOST_CHANNELS
from tests.gating.endless import ENDLESS, channels
from tests.shared_data import SHARED, needs_shared

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 5.0
MEMORY = 2**30
LOOKED_AT = """
import json, sys, time
from pathlib import Path
import flowio, fcsparser.api
from gating.evaluation.compensation import compensation_fault
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from panels.catalogue import load_panel
from panels.text.errors import TubeFault
from tasks.intake.panel_fit import refusal

panel = load_panel("bcell")
for line in sys.stdin:
    begun = time.process_time()
    try:
        header = read_header(Path(line.strip()))
        open_events(header)
        sentences = [*header.problems, header.spill_fault or "", refusal(header, panel, None) or ""]
        sentence = " ".join(sentences)
    except TubeFault as fault:
        sentence = str(fault)
    taken = time.process_time() - begun
    # The peak of this program alone: ru_maxrss counts what its parent held when it was started.
    memory = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
    print(json.dumps([sentence, taken, memory]), flush=True)
"""
COMMANDS = """
import sys
from flows.cli import run
sys.exit(run(sys.argv[1:]))
"""


def environment() -> dict[str, str]:
    return os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}


def test_every_endless_file_is_judged_in_seconds_and_little_memory(tmp_path: Path) -> None:
    """Processor time is measured, because other work on the machine is not the file's fault."""
    judge = subprocess.Popen(
        [sys.executable, "-c", LOOKED_AT],
        cwd=PROJECT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    resource.prlimit(judge.pid, resource.RLIMIT_DATA, (2 * MEMORY, 2 * MEMORY))
    assert judge.stdin is not None
    assert judge.stdout is not None
    with judge:
        for what, (write, expected) in ENDLESS.items():
            path = write(tmp_path / "t.fcs")
            judge.stdin.write(f"{path}\n")
            judge.stdin.flush()
            answer = judge.stdout.readline()
            assert answer, f"{what}: the judge ended"
            sentence, seconds, memory = json.loads(answer)
            assert seconds < SECONDS, (what, seconds)
            assert memory < MEMORY, (what, memory)
            assert re.search(expected, sentence), (what, sentence[:400])
            assert len(sentence) < 2_000, what
        judge.stdin.close()


@pytest.mark.parametrize(
    "words",
    [
        ["inspect"],
        ["inspect", "--json"],
        ["gate", "--strategy", "bcell@1.0.0"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("what", ["60,000 channels", "4,000 channels of one label"])
def test_every_command_ends_soon_with_a_sentence(
    tmp_path: Path, words: list[str], what: str
) -> None:
    path = ENDLESS[what][0](tmp_path / "t.fcs")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, words[0], str(path), *words[1:]],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert taken < SECONDS
    assert "Traceback" not in done.stderr
    said = done.stdout + done.stderr
    assert re.search("keywords, which no|none of the known panels|labelled on", said)


@needs_shared
def test_an_import_with_an_endless_tube_ends_soon(tmp_path: Path) -> None:
    path = ENDLESS["60,000 channels"][0](tmp_path / "gain2.fcs")
    field = SHARED / "field" / "gain2.wsp"
    words = ["strategy", "import", str(field), "--panel", "bcell", "--name", "x"]
    command = [
        sys.executable,
        "-c",
        COMMANDS,
        *words,
        "--output",
        str(tmp_path),
        "--fcs",
        str(path),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, cwd=PROJECT, env=environment(), capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
    assert done.returncode == 1
    assert "more than 100,000 keywords" in done.stderr


def test_as_many_channels_as_are_allowed_are_read(tmp_path: Path) -> None:
    from gating.fcs.events import open_events
    from gating.fcs.header import read_header

    header = read_header(channels(tmp_path / "t.fcs", MOST_CHANNELS))
    assert open_events(header).columns(range(MOST_CHANNELS)).shape == (1, MOST_CHANNELS)
