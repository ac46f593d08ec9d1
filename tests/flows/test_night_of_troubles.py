"""A whole run among troubles: good tubes are counted, each trouble is named, nothing hangs."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.intake.take_in import take_in
from tasks.store.ledger import FileRecord, all_files, history
from tasks.store.moves import PlannedMove, plan_move
from tasks.study.folder import Study
from tests.flows.command import Said, reconflow_here
from tests.tasks.study_folder import DRAWN, PATIENTS, make_study, write_rows, write_tube
from tests.time_limit import ends_within

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

INTAKE = "intake: {settle_seconds: 0, cut_short_seconds: 600}\n"
SETTINGS = f"study: test\nstart: 2026-01-01\nworkers: 1\n{INTAKE}"
ROWS = [
    f"good.fcs,P01,{DRAWN},bcell",
    f"closed.fcs,P03,{DRAWN},bcell",
    f"half.fcs,P01,{DRAWN},bcell",
]
LONG = "n" * 251 + ".fcs"
ESCAPE = "\x1b[2J.fcs"
GOOD = ("good.fcs",)
SECONDS = 600


@pytest.fixture
def no_hang() -> Iterator[None]:
    with ends_within(SECONDS):
        yield


def plant(folder: Path) -> Study:
    study = make_study(folder, ROWS, settings=SETTINGS)
    study.patients_sheet.write_text(f"{PATIENTS}P03,2026-01-12T11:00\n", encoding="utf-8")
    for seed, name in enumerate((*GOOD, "closed.fcs", "half.fcs", ESCAPE)):
        write_tube(study.inbox / name, seed=seed)
    whole = (study.inbox / "half.fcs").read_bytes()
    (study.inbox / "half.fcs").write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    (study.inbox / LONG).write_text("no")
    os.mkfifo(study.inbox / "pipe.fcs")
    os.mkfifo(study.inbox / "more.csv")
    (study.inbox / "zero.fcs").symlink_to("/dev/zero")
    (study.inbox / "link.csv").symlink_to(study.samples_sheet)
    (study.inbox / "folder.csv").mkdir()
    study.drugs_sheet.mkdir()
    # A file in the way of a patient's folder: no account may write there, root neither.
    study.archive.mkdir()
    (study.archive / "P03").write_text("in the way")
    return study


def records(study: Study) -> dict[str, FileRecord]:
    with study.store() as store:
        return {record.inbox_path: record for record in all_files(store)}


def steps(study: Study) -> dict[str, list[str]]:
    with study.store() as store:
        return {
            each.inbox_path: [step.reason for step in history(store, each.id)]
            for each in all_files(store)
        }


def test_a_night_among_troubles_counts_what_is_good_and_names_the_rest(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], no_hang
) -> None:
    study = plant(tmp_path / "s")

    def run() -> Said:
        return reconflow_here(capfd, "run", "--study", study.folder)

    first = run()
    assert first.code == 2  # a sheet has to be mended; everything else was done
    found = records(study)
    assert {name: record.state for name, record in found.items()} == {
        **dict.fromkeys(GOOD, "counted"),
        **dict.fromkeys(("closed.fcs", "half.fcs"), "settling"),
        ESCAPE: "waiting",
        LONG: "quarantined",
    }
    said = first.out + first.err
    for words in (
        "closed.fcs: The file cannot be moved (archive/P03",
        "half.fcs: The copy is not finished: ",
        "inbox/pipe.fcs is a pipe",
        "inbox/zero.fcs is a link",
        "inbox/more.csv is a pipe",
        "inbox/link.csv is a link",
        "inbox/folder.csv is a folder",
        "drugs.csv, line 1: This is a folder, not a file",
        "\\x1b[2J.fcs",
    ):
        assert words in said, words
    assert "\x1b" not in said
    assert LONG in next(study.quarantine.glob("*.reason.txt")).read_text(encoding="utf-8")
    status = reconflow_here(capfd, "status", "--study", study.folder)
    assert "\x1b" not in status.out
    assert "inbox/pipe.fcs is a pipe" in status.out

    kept = steps(study)
    # A move that was written down is no better than one that is due.
    with study.store() as store, store.writing() as connection:
        closed = found["closed.fcs"]
        target = f"archive/P03/{(closed.sha256 or '')[:12]}.fcs"
        move = PlannedMove(closed.id, "inbox/closed.fcs", target, "accepted", "")
        plan_move(connection, closed, move)
    assert run().code == 2
    assert (steps(study), records(study)) == (kept, found)
    mend(study, tmp_path)
    take_in(study)
    after = {name: record.state for name, record in records(study).items()}
    taken = dict.fromkeys(("closed.fcs", "half.fcs", ESCAPE), "accepted")
    assert after == dict.fromkeys(GOOD, "counted") | taken | {LONG: "quarantined"}


def mend(study: Study, folder: Path) -> None:
    (study.archive / "P03").unlink()
    study.drugs_sheet.rmdir()
    for name in ("pipe.fcs", "more.csv", "zero.fcs", "link.csv"):
        (study.inbox / name).unlink()
    (study.inbox / "folder.csv").rmdir()
    shutil.copyfile(write_tube(folder / "whole.fcs", seed=2), study.inbox / "half.fcs")
    write_rows(study.folder, [*ROWS, f"{ESCAPE},P02,{DRAWN},bcell"])
