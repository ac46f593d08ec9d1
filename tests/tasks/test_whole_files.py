"""A file that is still being copied is never taken for a tube: not before it is whole, and once."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from gating.fcs.header import read_header
from tasks.intake.admit import admit
from tasks.intake.context import open_intake
from tasks.intake.inbox import list_inbox
from tasks.intake.scan import scan_inbox
from tasks.intake.take_in import take_in
from tasks.intake.whole import missing_part
from tasks.simulate.fcs import FcsChannel, write_fcs
from tasks.store.ledger import FileRecord, State, all_files, history
from tasks.store.moves import PlannedMove, plan_move
from tasks.store.tubes import taken_in
from tasks.study.folder import Study, open_study
from tests.gating.test_events import describe
from tests.gating.test_events import write_fcs as write_plain_fcs
from tests.shared_data import SHARED, needs_shared
from tests.tasks.study_folder import DRAWN, make_study, write_tube

GOOD = f"good.fcs,P01,{DRAWN},bcell"
MODES = ("move", "leave")
AT_ONCE = 0.0
LONG = 600.0


def study_of(folder: Path, mode: str, patience: float = LONG) -> Study:
    """A study whose files settle at once and are refused as cut short after ``patience``."""
    intake = f"intake: {{mode: {mode}, settle_seconds: 0, cut_short_seconds: {patience}}}\n"
    return make_study(folder, [GOOD], settings=f"study: test\n{intake}")


def records(study: Study) -> list[FileRecord]:
    with study.store() as store:
        return all_files(store)


def only(study: Study) -> FileRecord:
    (record,) = records(study)
    return record


def steps(study: Study) -> list[str]:
    with study.store() as store:
        return [step.to_state for step in history(store, only(study).id)]


def is_counted_once_and_whole(study: Study, whole: bytes) -> None:
    take_in(study)
    take_in(study)
    record = only(study)
    assert record.state == "accepted", record.reason
    assert record.sha256 == hashlib.sha256(whole).hexdigest()
    assert study.path_of(record.place or "").read_bytes() == whole
    with study.store() as store:
        assert [tube.identity.tube_sha256 for tube in taken_in(store)] == [record.sha256]
    refused = list(study.quarantine.iterdir()) if study.quarantine.is_dir() else []
    assert refused == []


@contextmanager
def half_written(path: Path, whole: bytes, *, reserved) -> Iterator[BinaryIO]:
    """Hold a file open of which half is written; its size may be set before, as Windows does."""
    with path.open("wb", buffering=0) as file:
        if reserved:
            file.truncate(len(whole))
        file.write(whole[: len(whole) // 2])
        yield file


@pytest.mark.parametrize("reserved", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_half_a_copy_settles_until_it_is_whole_however_long_it_is_quiet(
    tmp_path: Path, mode: str, reserved
) -> None:
    study = study_of(tmp_path / "s", mode)
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    with half_written(study.inbox / "good.fcs", whole, reserved=reserved) as file:
        for _ in range(3):
            said = take_in(study)
            record = only(study)
            assert record.state == "settling"
            assert record.reason.startswith("The copy is not finished: ")
            assert "looked at again by itself" in record.reason
            assert any(record.reason in sentence for sentence in said.sentences)
        assert (study.inbox / "good.fcs").exists()
        file.write(whole[len(whole) // 2 :])
    is_counted_once_and_whole(study, whole)
    assert steps(study).count("accepted") == 1


@pytest.mark.parametrize("reserved", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_copy_that_stopped_is_refused_after_the_stated_time_and_taken_up_when_it_goes_on(
    tmp_path: Path, mode: str, reserved
) -> None:
    study = study_of(tmp_path / "s", mode, AT_ONCE)
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    with half_written(study.inbox / "good.fcs", whole, reserved=reserved) as file:
        take_in(study)
        record = only(study)
        assert record.state == "quarantined"
        assert "is cut short" in record.reason
        assert (study.quarantine / "good.fcs.reason.txt").is_file()
        take_in(study)
        assert only(study) == record
        # The writer holds the file itself, wherever it was moved.
        file.write(whole[len(whole) // 2 :])
    is_counted_once_and_whole(study, whole)


@pytest.mark.parametrize("reserved", [True, False])
def test_a_refused_half_that_is_dropped_again_whole_is_one_file(tmp_path: Path, reserved) -> None:
    study = study_of(tmp_path / "s", "move", AT_ONCE)
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    with half_written(study.inbox / "good.fcs", whole, reserved=reserved):
        take_in(study)
    assert only(study).state == "quarantined"
    (study.inbox / "good.fcs").write_bytes(whole)
    is_counted_once_and_whole(study, whole)


def test_another_file_under_the_name_of_a_refused_half_takes_nothing_away(tmp_path: Path) -> None:
    study = study_of(tmp_path / "s", "move", AT_ONCE)
    whole = write_tube(tmp_path / "whole.fcs", seed=2).read_bytes()
    (study.inbox / "good.fcs").write_bytes(whole[: len(whole) // 2])
    take_in(study)
    write_tube(study.inbox / "good.fcs", seed=3)
    take_in(study)
    assert sorted(record.state for record in records(study)) == ["accepted", "quarantined"]
    assert (study.quarantine / "good.fcs").read_bytes() == whole[: len(whole) // 2]


@pytest.mark.parametrize("part", [0, 1, 4, 30, 57, 58, 400, -61, -1])
def test_every_beginning_of_a_tube_is_known_for_one(tmp_path: Path, part: int) -> None:
    study = study_of(tmp_path / "s", "move")
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    (study.inbox / "good.fcs").write_bytes(whole[: part if part >= 0 else len(whole) + part])
    take_in(study)
    assert only(study).reason.startswith("The copy is not finished: ")


@pytest.mark.parametrize("part", [0, 1, 30, 58, 400, -6 * 60, -61, -60])
def test_every_beginning_in_a_file_whose_size_is_reserved_is_known_for_one(
    tmp_path: Path, part: int
) -> None:
    study = study_of(tmp_path / "s", "move")
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    written = whole[: part if part >= 0 else len(whole) + part]
    (study.inbox / "good.fcs").write_bytes(written.ljust(len(whole), b"\0"))
    take_in(study)
    assert only(study).reason.startswith("The copy is not finished: ")


def test_other_refusals_do_not_wait(tmp_path: Path) -> None:
    study = study_of(tmp_path / "s", "move")
    (study.inbox / "good.fcs").write_text("the patient feels well\n" * 40, encoding="utf-8")
    take_in(study)
    assert only(study).state == "quarantined"


@pytest.mark.parametrize("hours", [-500_000, -3, 3])
def test_the_clock_of_a_share_refuses_no_copy_that_is_under_way(
    tmp_path: Path, hours: float
) -> None:
    study = study_of(tmp_path / "s", "move", 600)
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    copy = study.inbox / "good.fcs"
    copy.write_bytes(whole[:2000])
    other_clock = max(time.time() + hours * 3600, 0)
    os.utime(copy, (other_clock, other_clock))
    for _ in range(2):
        take_in(study)
        assert only(study).state == "settling"
        assert only(study).reason.startswith("The copy is not finished: ")
    copy.write_bytes(whole)
    os.utime(copy, (other_clock, other_clock))
    take_in(study)
    assert only(study).state == "accepted"


def test_the_time_until_a_refusal_follows_the_settling_time_unless_it_is_set(
    tmp_path: Path,
) -> None:
    told = {"": 600, "intake: {settle_seconds: 0}\n": 0, "intake: {settle_seconds: 10}\n": 3000}
    told["intake: {settle_seconds: 0, cut_short_seconds: 5}\n"] = 5
    for number, (text, seconds) in enumerate(told.items()):
        study = make_study(tmp_path / str(number), settings=f"study: test\n{text}")
        assert study.settings.intake.patience_seconds == seconds


# -- zeros that belong there


def tube_with(path: Path, events: np.ndarray, *, clock: bool, behind: bytes = b"") -> str:
    """Write a tube whose last channel may be a clock, and say what seems to be missing of it."""
    names = ["FSC-A", "SSC-A", "PE-A", "Time" if clock else "APC-A"]
    stored = events.astype("<f4").tobytes()
    write_plain_fcs(path, stored, describe(names, len(events)), after=behind)
    found = missing_part(path, read_header(path))
    return found.refusal if found else ""


def rising(count: int = 20) -> np.ndarray:
    return np.column_stack([np.full((count, 3), 5.0), np.arange(1, count + 1)])


def test_zeros_that_a_cytometer_writes_are_not_missing_events(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    last = rising()
    last[-1, :] = 0, 0, 0, 20
    assert tube_with(path, last, clock=True) == ""
    last[-1, :] = 5, 0, 0, 0
    assert tube_with(path, last, clock=False) == ""
    middle = rising()
    middle[5:9] = 0
    assert tube_with(path, middle, clock=True) == ""
    assert tube_with(path, rising(), clock=True, behind=b"\0" * 5000) == ""
    ended = rising()
    ended[-3:] = 0
    assert tube_with(path, ended, clock=True, behind=b"00001234") == ""
    assert tube_with(path, np.zeros((0, 4)), clock=True) == ""


def test_last_events_that_are_all_zero_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    ended = rising()
    ended[-3:] = 0
    for clock in (True, False):
        told = tube_with(path, ended, clock=clock)
        assert told.startswith("a.fcs is cut short: its last 3 events hold nothing but zeros")
    assert "its last 3 events" in tube_with(path, ended, clock=True, behind=b"\0" * 500)
    part = rising()
    part[-1, 1:] = 0  # the clock stands at zero, although it was running
    assert "its last event" in tube_with(path, part, clock=True)


@needs_shared
def test_no_real_file_is_taken_for_a_copy_under_way() -> None:
    from panels.text.errors import UnreadableFile

    read = 0
    for path in sorted(SHARED.rglob("*.fcs")):
        try:
            header = read_header(path)
        except UnreadableFile:
            continue
        read += 1
        assert missing_part(path, header) is None, path.name
    assert read > 30


# -- a writer that goes on while the file is taken in


@pytest.mark.parametrize("mode", MODES)
def test_bytes_that_change_between_the_judgement_and_the_move_are_never_accepted(
    tmp_path: Path, mode: str
) -> None:
    study = study_of(tmp_path / "s", mode)
    path = write_tube(study.inbox / "good.fcs")
    before = path.stat()
    with study.store() as store, path.open("r+b", buffering=0) as writer:
        scan_inbox(study, store)
        (candidate,) = scan_inbox(study, store)
        context = open_intake(study, store, list_inbox(study))
        writer.seek(-8, os.SEEK_END)
        writer.write(b"\1" * 8)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        outcome = admit(context, candidate)
    assert outcome.state == "settling"
    assert "changed while it was being taken in" in outcome.reason
    record = only(study)
    assert record.place == "inbox/good.fcs"
    assert not any(study.archive.rglob("*.fcs"))
    is_counted_once_and_whole(study, path.read_bytes())


def planned(study: Study, state: State, target: str) -> None:
    """Write down that the only file of the ledger moves from the inbox."""
    record = only(study)
    move = PlannedMove(record.id, record.place or "", target.format(sha=record.sha256), state, "")
    with study.store() as store, store.writing() as connection:
        plan_move(connection, record, move)


def test_a_pass_killed_between_the_move_and_its_check_accepts_no_other_bytes(
    tmp_path: Path,
) -> None:
    study = study_of(tmp_path / "s", "move")
    path = write_tube(study.inbox / "good.fcs")
    with study.store() as store:
        scan_inbox(study, store)
    planned(study, "accepted", "archive/P01/{sha:.12}.fcs")
    with path.open("r+b", buffering=0) as writer:
        moved = study.archive / "P01" / f"{(only(study).sha256 or '')[:12]}.fcs"
        moved.parent.mkdir(parents=True)
        path.rename(moved)
        writer.seek(-8, os.SEEK_END)
        writer.write(b"\1" * 8)
    whole = moved.read_bytes()
    is_counted_once_and_whole(study, whole)
    assert list(study.archive.rglob("*.fcs")) == [study.path_of(only(study).place or "")]


@pytest.mark.parametrize("moved", [True, False])
def test_a_pass_killed_while_it_brings_a_refused_file_back_is_finished(
    tmp_path: Path, moved
) -> None:
    study = study_of(tmp_path / "s", "move", AT_ONCE)
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    (study.inbox / "good.fcs").write_bytes(whole[:3000])
    take_in(study)
    refused = study.quarantine / "good.fcs"
    refused.write_bytes(whole)
    planned(study, "settling", "inbox/good.fcs")
    if moved:
        refused.rename(study.inbox / "good.fcs")
    is_counted_once_and_whole(study, whole)


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on another file system, as a share is."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("NO SECOND FILE SYSTEM: /dev/shm is missing or the same one")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize("changes", [True, False])
def test_an_inbox_on_another_disk_loses_nothing_to_a_writer(
    tmp_path: Path, other_disk: Path, changes
) -> None:
    study = study_of(tmp_path / "s", "move")
    with (study.folder / "study.yaml").open("a") as file:
        file.write(f"inbox: {other_disk}\n")
    study = open_study(study.folder)
    path = write_tube(study.inbox / "good.fcs")
    before = path.stat()
    with study.store() as store:
        scan_inbox(study, store)
        (candidate,) = scan_inbox(study, store)
        context = open_intake(study, store, list_inbox(study))
        if changes:
            path.write_bytes(path.read_bytes()[:-8] + b"\1" * 8)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        outcome = admit(context, candidate)
    assert outcome.state == ("settling" if changes else "accepted")
    kept = path if changes else next(study.archive.rglob("*.fcs"))
    is_counted_once_and_whole(study, kept.read_bytes())
    assert list(study.archive.rglob("*.part")) == []
    assert [path for path in study.inbox.iterdir() if not path.name.startswith(".")] == []


@needs_shared
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("script", ["copy_preallocated.py", "copy_growing.py"])
def test_the_copies_of_the_field_are_counted_once_and_whole(
    tmp_path: Path, mode: str, script: str
) -> None:
    settings = f"study: test\nintake: {{mode: {mode}, settle_seconds: 0.2}}\n"
    study = make_study(tmp_path / "s", [GOOD], settings=settings)
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    command = [
        sys.executable,
        SHARED / "field" / script,
        tmp_path / "whole.fcs",
        study.inbox / "good.fcs",
        "1.2",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as copy:
        while copy.poll() is None:
            take_in(study)
            assert all(record.state in {"settling", "accepted"} for record in records(study))
            time.sleep(0.05)
        assert copy.returncode == 0
    time.sleep(0.2)
    is_counted_once_and_whole(study, whole)
    assert steps(study).count("accepted") == 1
    assert "quarantined" not in steps(study)


def test_a_written_tube_of_the_simulator_is_whole(tmp_path: Path) -> None:
    channels = [FcsChannel("FSC-A"), FcsChannel("Time")]
    events = np.ones((3, 2), dtype=np.float32)
    write_fcs(tmp_path / "a.fcs", events, channels, dialect="fcs3.1-le", spill=None, keywords={})
    assert missing_part(tmp_path / "a.fcs", read_header(tmp_path / "a.fcs")) is None
