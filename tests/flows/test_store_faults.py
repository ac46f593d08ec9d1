"""A pass on PostgreSQL is a pass; a locked store and a full disk are said as what they are."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from panels.text.errors import StoreBusy, StoreFault
from tasks.intake import take_in as intake_pass
from tasks.intake.take_in import take_in
from tasks.results.stored_tables import patient_folder
from tasks.store import fence, lease, opening
from tasks.store.ledger import all_files, count_by_state
from tasks.study.folder import Study, open_study
from tasks.tubes import count_tube
from tests.flows.command import Said, reconflow_here, running, wait_until
from tests.flows.test_run import hashes, some_tubes

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

LOCKS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]):
    def runs(study: Study) -> Said:
        return reconflow_here(capfd, "run", "--study", study.folder)

    return runs


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NO SMALL DISK: a tmpfs cannot be mounted here ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, left: int = 0) -> Path:
    """Fill a disk but for some bytes."""
    path = disk / "filling"
    free = shutil.disk_usage(disk).free - left
    with path.open("wb") as file:
        file.write(b"0" * free)
    return path


@contextmanager
def locked(study: Study) -> Iterator[int]:
    """Let another program keep the store locked; gives its process id."""
    command = [sys.executable, "-c", LOCKS, study.folder / "reconflow.db"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process.pid
        finally:
            process.kill()


def states(study: Study) -> dict[str, str]:
    with study.store() as store:
        return {record.inbox_path: record.state for record in all_files(store)}


def test_a_run_whose_store_is_on_postgresql_counts_and_says_so(
    tmp_path: Path, run, empty_postgres: str, capfd
) -> None:
    """What is in its tables: tests/tasks/test_postgres_pass.py."""
    study = some_tubes(tmp_path / "s")
    with (study.folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(f"store: {empty_postgres}\n")
    assert run(study).code == 0
    assert states(open_study(study.folder)) == {"a.fcs": "counted", "b.fcs": "counted"}
    said = reconflow_here(capfd, "status", "--study", study.folder)
    assert (said.code, "counted" in said.out) == (0, True)
    assert not (study.folder / "reconflow.db").exists()


def test_a_store_that_another_program_keeps_locked_is_said_with_who_does(
    tmp_path: Path, run, monkeypatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.5)
    study = some_tubes(tmp_path / "s")
    study.store().close()
    with locked(study) as pid:
        said = run(study)
    assert said.code == 1
    assert said.err.strip().startswith(
        f"reconflow: The store sqlite:///{study.folder / 'reconflow.db'} is locked: process {pid} ("
    )
    assert "is writing to it and does not end" in said.err
    assert "fault in reconflow" not in said.err
    assert said.err.strip().count("\n") == 0
    assert run(study).code == 0


def test_a_store_that_is_locked_in_the_middle_of_a_pass_is_said_and_the_next_goes_on(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.3)
    study = some_tubes(tmp_path / "s")
    with study.store() as store, lease.lease(store, "run"):
        with locked(study), pytest.raises(StoreBusy, match="is locked"):
            take_in(study)
        take_in(study)
    assert list(states(study).values()) == ["accepted"] * 2


def test_a_full_disk_under_the_whole_study_is_said_and_nothing_is_lost(disk: Path, run) -> None:
    study = some_tubes(disk / "s")
    dropped = set(hashes(study.inbox).values())
    study.store().close()
    filling = fill(disk)
    said = run(study)
    assert said.code == 1
    assert f"cannot grow: the disk at {disk} is full. Free space there" in said.err
    assert "fault in reconflow" not in said.err
    filling.unlink()
    assert dropped <= set(hashes(study.folder).values())
    assert run(study).code == 0
    assert set(states(study).values()) == {"counted"}


def test_a_full_disk_under_a_new_study_is_no_fault_of_its_settings(disk: Path, run) -> None:
    study = some_tubes(disk / "s")
    filling = fill(disk)
    said = run(study)
    assert (said.code, f"the disk at {disk} is full" in said.err) == (1, True)
    filling.unlink()
    assert run(study).code == 0


@pytest.mark.parametrize("folder", ["archive", "results"])
def test_a_full_disk_under_one_folder_is_said_and_the_next_pass_goes_on(
    tmp_path: Path, disk: Path, run, folder: str
) -> None:
    study = some_tubes(tmp_path / "s")
    (study.folder / folder).symlink_to(disk / folder)
    (disk / folder).mkdir()
    dropped = set(hashes(study.inbox).values())
    filling = fill(disk, left=8192)
    said = run(study)
    assert said.code == 1
    assert f"{folder}/" in said.err + said.out
    assert "The disk is full: free some space there." in said.err + said.out
    assert "fault in reconflow" not in said.err
    filling.unlink()
    assert dropped <= set(hashes(study.folder).values()) | set(hashes(disk).values())
    assert run(study).code == 0
    assert set(states(study).values()) == {"counted"}
    assert list(disk.rglob("*.part*")) == []
    assert (patient_folder(study, "P01") / "kinetics.csv").is_file()


def test_a_pass_that_was_killed_keeps_the_next_one_waiting_for_no_time(tmp_path: Path, run) -> None:
    study = some_tubes(tmp_path / "s")
    with running("run", "--study", study.folder, log=tmp_path / "log") as first:
        wait_until(
            lambda: (study.folder / "reconflow.db").exists() and _is_running(study), 120, first.said
        )
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        assert not _is_running(study)
        said = run(study)
    assert (said.code, said.err) == (0, said.err)
    assert "waits for its end" not in said.err
    assert set(states(study).values()) == {"counted"}


def test_every_step_of_a_pass_works_under_its_lock(tmp_path: Path, run, monkeypatch) -> None:
    held: dict[str, set[str]] = {}

    def noting(what):
        def noted(*words):
            held[what.__name__] = {lock.name for lock in fence.held()}
            return what(*words)

        return noted

    monkeypatch.setattr(intake_pass, "take_in", noting(intake_pass.take_in))
    monkeypatch.setattr(intake_pass, "_take_in", noting(intake_pass._take_in))
    monkeypatch.setattr(count_tube, "count_tube", noting(count_tube.count_tube))
    assert run(some_tubes(tmp_path / "s")).code == 0
    assert held == {"take_in": {"run"}, "_take_in": {"run", "intake"}, "count_tube": {"run"}}
    assert fence.held() == ()


def _is_running(study: Study) -> bool:
    from tasks.study.lock import is_running

    return is_running(study)


def test_a_damaged_or_unwritable_store_is_said(tmp_path: Path) -> None:
    study = some_tubes(tmp_path / "s")
    study.store().close()
    file = study.folder / "reconflow.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = file.read_bytes()
    with study.store() as store:
        with file.open("r+b") as written:
            written.seek(4096)
            written.write(b"\xff" * (len(whole) - 4096))
        with pytest.raises(StoreFault, match=r"is damaged .*backup"):
            count_by_state(store)
