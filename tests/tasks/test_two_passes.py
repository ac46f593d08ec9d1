"""Two passes at once end as one did, whatever the locks of the file system say."""

import hashlib
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tasks.store.counts import gatings_of
from tasks.store.ledger import all_files, history, planned_moves
from tasks.store.tubes import taken_in
from tasks.study import Study, open_study
from tests.tasks.study_folder import DRAWN, make_study, write_rows, write_tube

PROJECT = Path(__file__).resolve().parents[2]
TAKES_IN = "from tasks.intake.turn import take_in; take_in(open_study(folder))"
RUNS = """
from tasks.build_tables import build_cohort, build_patient
from tasks.count_tube import count_tube, measure_reference
from tasks.intake.turn import take_in
from tasks.one_pass import one_pass
with one_pass(folder, "nightly") as this:
    this.taken_in = take_in(this.study)
    for sha in this.references():
        measure_reference(this.study, sha)
    this.counted = [count_tube(this.study, sha) for sha in this.tubes()]
    while patients := this.patients():
        for inputs in patients:
            build_patient(this.study, inputs)
    if this.cohort_is_due():
        build_cohort(this.study)
sys.exit(bool(this.summary["failed"] or this.summary["table_faults"]))
"""
_CHILD = """
import fcntl, sys, time
from contextlib import nullcontext
from pathlib import Path
import tasks.study_lock
from tasks.study import open_study
folder, leased, start = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
# As on two machines that mount one share without its locks.
fcntl.flock = lambda *_: None
if leased == "without":
    tasks.study_lock.lease = lambda *_: nullcontext()
import tasks.build_tables, tasks.count_tube, tasks.intake.turn, tasks.one_pass
start.with_name(f"ready-{sys.argv[4]}").touch()
while not start.exists():
    time.sleep(0.001)
"""


def at_once(study: Study, number: int, leased: str, what: str) -> list[str]:
    """Let some processes start the same at one moment; gives what those that failed said."""
    start = study.folder.parent / f"start-{study.folder.name}"
    for left in start.parent.glob("ready-*"):
        left.unlink()
    start.unlink(missing_ok=True)
    words = [[sys.executable, "-c", _CHILD + what, study.folder, leased, start, str(each)] for each in range(number)]
    processes = [
        subprocess.Popen(each, cwd=PROJECT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) for each in words
    ]
    try:
        while len(list(start.parent.glob("ready-*"))) < number:
            assert all(process.poll() is None for process in processes), [p.communicate() for p in processes]
        start.touch()
        said = [process.communicate(timeout=200)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [words for process, words in zip(processes, said, strict=True) if process.returncode]


def ledger(study: Study) -> list[tuple[str | None, ...]]:
    with study.store() as store:
        assert planned_moves(store) == []
        found = [(r.inbox_path, r.state, r.place, r.sha256, r.reason) for r in all_files(store)]
    return sorted(found)


def identities(study: Study) -> list[str]:
    with study.store() as store:
        return [repr(tube.identity) for tube in taken_in(store)]


def files(study: Study, *folders: str) -> dict[str, str]:
    """Every file in some folders of a study, by its place and hash."""
    paths = [path for name in folders for path in (study.folder / name).rglob("*") if path.is_file()]
    return {path.relative_to(study.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def drop(folder: Path, tubes: int, panel: str = "bcell") -> Study:
    """Make a study with many tubes, copies of some, files that are refused and some that wait."""
    days = [f"2026-02-{day:02d}T08:30" for day in range(1, 29)]
    rows = [f"t{n:03}.fcs,P0{1 + n % 2},{days[n % 28]},{panel}" for n in range(tubes)]
    study = make_study(folder, [*rows, f"cut.fcs,P01,{DRAWN},{panel}"])
    for n in range(tubes):
        write_tube(study.inbox / f"t{n:03}.fcs", panel, seed=n)
    for n in range(0, tubes, 5):
        shutil.copy(study.inbox / f"t{n:03}.fcs", study.inbox / f"copy-of-t{n:03}.fcs")
    (study.inbox / "cut.fcs").write_bytes((study.inbox / "t000.fcs").read_bytes()[:900])
    for n in range(4):
        (study.inbox / f"note-{n}.txt").write_text(f"no {n}", encoding="utf-8")
        write_tube(study.inbox / f"unnamed-{n}.fcs", panel, seed=900 + n)
    return study


def in_store(original: Study, folder: Path, url: str) -> Study:
    """Copy a study to a folder, its store at an address."""
    shutil.copytree(original.folder, folder)
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(f"store: {url}\n")
    return open_study(folder)


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return drop(tmp_path_factory.mktemp("dropped") / "s", 40)


@pytest.fixture(scope="module")
def by_one(dropped: Study) -> Study:
    """What one pass makes of it, and then a second when two unnamed tubes got their lines."""
    study = in_store(dropped, dropped.folder.with_name("one"), "sqlite:///reconflow.db")
    assert at_once(study, 1, "with", TAKES_IN) == []
    return study


@pytest.mark.parametrize(("number", "leased"), [(2, "without"), (4, "without"), (4, "with")])
def test_passes_at_once_take_in_what_one_takes_in(
    dropped: Study, by_one: Study, tmp_path: Path, url: str, number: int, leased: str
) -> None:
    study = in_store(dropped, tmp_path / "s", url)
    assert at_once(study, number, leased, TAKES_IN) == []
    assert ledger(study) == ledger(by_one)
    assert identities(study) == identities(by_one)
    assert files(study, "inbox", "archive", "quarantine") == files(by_one, "inbox", "archive", "quarantine")
