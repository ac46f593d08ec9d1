"""Every file of a drop ends in the right state, with a sentence a technician can act on, and
nothing is lost."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from panels.text.errors import SettingsFault, UsageFault
from tasks.intake.inbox import list_inbox
from tasks.intake.retry import retry
from tasks.intake.scan import scan_inbox
from tasks.intake.take_in import take_in
from tasks.store.ledger import FileRecord, all_files, history, set_state
from tasks.store.moves import PlannedMove, plan_move
from tasks.store.tubes import save_tube, taken_in
from tasks.study.folder import Study
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.shared_data import SHARED, needs_shared
from tests.tasks.study_folder import AT_ONCE, DRAWN, make_study, write_rows, write_tube

GOOD = f"good.fcs,P01,{DRAWN},bcell"


def records(study: Study) -> dict[str, FileRecord]:
    with study.store() as store:
        return {record.inbox_path: record for record in all_files(store)}


def states(study: Study) -> dict[str, str]:
    return {name: record.state for name, record in records(study).items()}


def bytes_on_disk(study: Study) -> set[str]:
    folders = (study.inbox, study.archive, study.quarantine)
    found = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix.lower() in {".fcs", ".lmd"}
    ]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def snapshot(study: Study) -> dict[str, bytes]:
    """Everything on disk and in the ledger's history."""
    with study.store() as store:
        steps = repr([(record, history(store, record.id)) for record in all_files(store)])
    files = [
        path
        for path in study.folder.rglob("*")
        if path.is_file() and "reconflow.db" not in path.name
    ]
    return {str(path.relative_to(study.folder)): path.read_bytes() for path in files} | {
        "ledger": steps.encode()
    }


def drop_with_good(folder: Path, bad_row: str, *, settings: str = AT_ONCE) -> Study:
    """A study with one good tube in its inbox, and a row for a bad one that the test adds."""
    study = make_study(folder, [GOOD, *([bad_row] if bad_row else [])], settings=settings)
    write_tube(study.inbox / "good.fcs")
    return study


def judged(study: Study, bad: str, state: str) -> str:
    """Take the drop in; the good tube is accepted, the bad one in ``state``, nothing lost, a rerun
    changes nothing."""
    before = bytes_on_disk(study)
    take_in(study)
    after = records(study)
    assert after["good.fcs"].state == "accepted"
    assert after[bad].state == state
    assert bytes_on_disk(study) == before
    kept = snapshot(study)
    take_in(study)
    assert snapshot(study) == kept
    return after[bad].reason


def test_an_accepted_tube_is_archived_under_its_patient_with_its_identity(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    sha = hashlib.sha256((study.inbox / "good.fcs").read_bytes()).hexdigest()
    summary = take_in(study)
    archived = study.archive / "P01" / f"{sha[:12]}.fcs"
    assert hashlib.sha256(archived.read_bytes()).hexdigest() == sha
    assert summary.judged("accepted") == 1
    assert summary.sentences == ()
    with study.store() as store:
        (tube,) = taken_in(store)
    assert (
        tube.identity.patient,
        tube.identity.visit,
        tube.identity.panel,
        tube.identity.specimen,
    ) == ("P01", "D28", "bcell", "blood")
    assert tube.file.place == f"archive/P01/{sha[:12]}.fcs"


def test_a_file_of_zero_bytes_is_quarantined(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", f"bad.fcs,P01,{DRAWN},bcell")
    (study.inbox / "bad.fcs").write_bytes(b"")
    reason = judged(study, "bad.fcs", "quarantined")
    assert "bad.fcs" in reason
    assert reason in (study.quarantine / "bad.fcs.reason.txt").read_text(encoding="utf-8")


def test_half_a_file_is_quarantined(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", f"bad.fcs,P01,{DRAWN},bcell")
    whole = write_tube(study.inbox / "bad.fcs", seed=2).read_bytes()
    (study.inbox / "bad.fcs").write_bytes(whole[: len(whole) // 2])
    assert judged(study, "bad.fcs", "quarantined")


def test_a_text_renamed_to_fcs_is_quarantined(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    (study.inbox / "bad.fcs").write_text("patient feels well\n" * 40, encoding="utf-8")
    assert "FCS" in judged(study, "bad.fcs", "quarantined")


def test_a_tube_of_another_panel_is_quarantined_and_the_right_panel_is_named(
    tmp_path: Path,
) -> None:
    study = drop_with_good(tmp_path / "s", f"bad.fcs,P01,{DRAWN},cart")
    write_tube(study.inbox / "bad.fcs", "tbnk", seed=2)
    reason = judged(study, "bad.fcs", "quarantined")
    assert reason.startswith(
        "It fits the panel tbnk: correct the sample sheet. The tube does not fit the panel cart."
    )
    assert "Then run: reconflow run" in (study.quarantine / "bad.fcs.reason.txt").read_text(
        encoding="utf-8"
    )


def test_a_tube_missing_cd3_is_quarantined(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", f"bad.fcs,P01,{DRAWN},bcell")
    write_tube(study.inbox / "bad.fcs", seed=2, without="CD3")
    assert "CD3 is missing" in judged(study, "bad.fcs", "quarantined")


def test_an_fmo_control_may_lack_the_marker_it_is_for(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "s",
        [f"fmo.fcs,P01,{DRAWN},bcell,fmo:CD27"],
        header="file,patient,collected,panel,control\n",
    )
    write_tube(study.inbox / "fmo.fcs", without="CD27")
    take_in(study)
    assert states(study) == {"fmo.fcs": "accepted"}


def test_a_tube_without_compensation_is_quarantined(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", f"bad.fcs,P01,{DRAWN},bcell")
    write_tube(study.inbox / "bad.fcs", seed=2, spill=False)
    assert "no compensation" in judged(study, "bad.fcs", "quarantined")


@needs_shared
def test_real_odd_files_that_fit_no_panel_are_quarantined_with_a_reason_each(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path / "s", [f"*.fcs,P01,{DRAWN},bcell"])
    for path in (SHARED / "odd").glob("*.fcs"):
        shutil.copyfile(path, study.inbox / path.name)
    before = bytes_on_disk(study)
    take_in(study)
    assert set(states(study).values()) == {"quarantined"}
    assert bytes_on_disk(study) == before
    assert len(list(study.quarantine.glob("*.reason.txt"))) == len(before)


def test_an_unknown_patient_waits_and_the_sentence_names_patients_csv(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", f"bad.fcs,P09,{DRAWN},bcell")
    write_tube(study.inbox / "bad.fcs", seed=2)
    reason = judged(study, "bad.fcs", "waiting")
    assert "samples.csv, line 3" in reason
    assert "P09" in reason
    assert "patients.csv" in reason


def test_a_tube_collected_before_the_birth_of_the_study_waits(tmp_path: Path) -> None:
    study = drop_with_good(
        tmp_path / "s",
        "bad.fcs,P01,2025-12-01T08:30,bcell",
        settings=f"{AT_ONCE}start: 2026-01-01\n",
    )
    write_tube(study.inbox / "bad.fcs", seed=2)
    reason = judged(study, "bad.fcs", "waiting")
    assert "samples.csv, line 3" in reason
    assert "before the study started (2026-01-01" in reason


def test_two_rows_for_one_file_make_it_wait_and_both_lines_are_named(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "s", [GOOD, f"bad.fcs,P01,{DRAWN},bcell", f"bad.fcs,P02,{DRAWN},bcell"]
    )
    write_tube(study.inbox / "good.fcs")
    write_tube(study.inbox / "bad.fcs", seed=2)
    assert "samples.csv, line 3 and samples.csv, line 4" in judged(study, "bad.fcs", "waiting")


def test_a_sheet_with_a_wrong_column_makes_its_files_wait_and_the_nearest_column_is_named(
    tmp_path: Path,
) -> None:
    study = drop_with_good(tmp_path / "s", "")
    (study.inbox / "more.csv").write_text(
        f"file,pateint,collected,panel\nbad.fcs,P01,{DRAWN},bcell\n", encoding="utf-8"
    )
    write_tube(study.inbox / "bad.fcs", seed=2)
    reason = judged(study, "bad.fcs", "waiting")
    assert "inbox/more.csv, line 1" in reason
    assert "'pateint'" in reason
    assert "'patient'" in reason


@pytest.mark.parametrize(
    ("number", "told"),
    [('"49.713,0"', "decimal point"), ("4,5", "decimal comma"), ("49.713", "too few to be true")],
)
def test_a_european_number_makes_its_file_wait_and_is_never_guessed(
    tmp_path: Path, number: str, told: str
) -> None:
    header = "file,patient,collected,panel,beads_per_tube\n"
    rows = [f"good.fcs,P01,{DRAWN},bcell,49713", f"bad.fcs,P01,{DRAWN},bcell,{number}"]
    study = make_study(tmp_path / "s", rows, header=header)
    write_tube(study.inbox / "good.fcs")
    write_tube(study.inbox / "bad.fcs", seed=2)
    assert told in judged(study, "bad.fcs", "waiting")


def test_a_file_without_a_line_waits_and_is_taken_up_by_itself_once_the_sheet_is_mended(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path / "s")
    write_tube(study.inbox / "good.fcs")
    take_in(study)
    assert "No line of samples.csv names good.fcs" in records(study)["good.fcs"].reason
    write_rows(study.folder, [GOOD])
    take_in(study)
    assert states(study) == {"good.fcs": "accepted"}


def test_a_second_copy_is_a_duplicate_that_leaves_the_inbox_and_is_kept(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    take_in(study)
    write_tube(study.inbox / "again.fcs")
    take_in(study)
    found = records(study)
    assert found["again.fcs"].state == "duplicate"
    assert "good.fcs" in found["again.fcs"].reason
    assert [path.name for path in study.inbox.iterdir()] == [".reconflow-inbox"]
    assert len(list((study.archive / "_duplicates").iterdir())) == 1


def test_of_two_copies_in_one_drop_the_one_the_sheet_names_is_taken(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    write_tube(study.inbox / "a-copy.fcs")
    take_in(study)
    assert states(study) == {"a-copy.fcs": "duplicate", "good.fcs": "accepted"}


def test_copies_that_the_sheet_gives_to_two_patients_both_wait(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [GOOD, f"other.fcs,P02,{DRAWN},bcell"])
    write_tube(study.inbox / "good.fcs")
    write_tube(study.inbox / "other.fcs")
    take_in(study)
    assert states(study) == {"good.fcs": "waiting", "other.fcs": "waiting"}
    assert "same bytes" in records(study)["good.fcs"].reason


def test_a_line_that_named_one_tube_never_names_another_of_the_same_file_name(
    tmp_path: Path,
) -> None:
    study = drop_with_good(tmp_path / "s", "")
    take_in(study)
    write_tube(study.inbox / "good.fcs", seed=2)
    write_tube(study.inbox / "day2" / "good.fcs", seed=3)
    take_in(study)
    with study.store() as store:
        found = sorted((record.state, record.inbox_path) for record in all_files(store))
    assert found == [
        ("accepted", "good.fcs"),
        ("waiting", "day2/good.fcs"),
        ("waiting", "good.fcs"),
    ]


def test_files_in_sub_folders_are_named_by_path_or_glob(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "s",
        [
            f"run1/a.fcs,P01,{DRAWN},bcell",
            f"run2/*.FCS,P02,{DRAWN},tbnk",
            f"c.lmd,P01,{DRAWN},cart",
        ],
    )
    write_tube(study.inbox / "run1" / "a.fcs")
    write_tube(study.inbox / "run2" / "b1.FCS", "tbnk", seed=2)
    write_tube(study.inbox / "run2" / "b2.FCS", "tbnk", seed=3)
    write_tube(study.inbox / "run3" / "c.lmd", "cart", seed=4)
    take_in(study)
    assert list(states(study).values()) == ["accepted"] * 4


def test_unfinished_and_hidden_files_are_left_alone(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    for name in ("a.fcs.tmp", "b.fcs.part", ".c.fcs", "~d.fcs", "e.fcs~", "Thumbs.db"):
        (study.inbox / name).write_bytes(b"x")
    take_in(study)
    assert states(study) == {}


def test_a_file_that_still_grows_settles_first(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "s", [GOOD], settings="study: test\nintake: {settle_seconds: 0.2}\n"
    )
    whole = write_tube(tmp_path / "whole.fcs").read_bytes()
    (study.inbox / "good.fcs").write_bytes(whole[:1000])
    with study.store() as store:
        assert scan_inbox(study, store) == []
        (study.inbox / "good.fcs").write_bytes(whole[:2000])
        time.sleep(0.25)
        assert scan_inbox(study, store) == []
        assert states(study) == {"good.fcs": "settling"}
    (study.inbox / "good.fcs").write_bytes(whole)
    take_in(study)
    assert states(study) == {"good.fcs": "accepted"}


def test_a_file_whose_bytes_change_under_the_same_size_and_time_settles_again(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path / "s", [GOOD])
    path = write_tube(study.inbox / "good.fcs")
    stamp, whole = path.stat(), path.read_bytes()
    with study.store() as store:
        path.write_bytes(b"\0" * len(whole))
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert scan_inbox(study, store) == []
        path.write_bytes(whole)
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert scan_inbox(study, store) == []
        assert len(scan_inbox(study, store)) == 1


def test_left_in_place_the_inbox_is_not_touched(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "s", [GOOD], settings="study: test\nintake: {mode: leave, settle_seconds: 0}\n"
    )
    write_tube(study.inbox / "good.fcs")
    write_tube(study.inbox / "good-copy.fcs")
    (study.inbox / "bad.fcs").write_text("no", encoding="utf-8")
    (study.inbox / "protocol.pdf").write_bytes(b"%PDF")
    before = {p.name: p.read_bytes() for p in study.inbox.iterdir()}
    take_in(study)
    kept = snapshot(study)
    take_in(study)
    assert snapshot(study) == kept
    assert {p.name: p.read_bytes() for p in study.inbox.iterdir()} == before
    assert states(study) == {
        "bad.fcs": "quarantined",
        "good-copy.fcs": "duplicate",
        "good.fcs": "accepted",
    }
    assert (study.quarantine / "bad.fcs.reason.txt").is_file()


def test_refused_files_of_one_name_are_all_kept(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    for number in range(3):
        (study.inbox / "bad.fcs").write_text(f"no {number}", encoding="utf-8")
        take_in(study)
    refused = [p for p in study.quarantine.iterdir() if p.suffix == ".fcs"]
    assert sorted(p.read_text(encoding="utf-8") for p in refused) == ["no 0", "no 1", "no 2"]
    assert all(p.with_name(f"{p.name}.reason.txt").is_file() for p in refused)


def test_a_refused_file_is_taken_up_again_by_retry_and_when_dropped_again(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", f"bad.fcs,P01,{DRAWN},cart")
    write_tube(study.inbox / "bad.fcs", "tbnk", seed=2)
    take_in(study)
    write_rows(study.folder, [GOOD, f"bad.fcs,P01,{DRAWN},tbnk"])
    copy = (study.quarantine / "bad.fcs").read_bytes()
    assert retry(study, ["bad.fcs"]) == ("bad.fcs",)
    assert (study.inbox / "bad.fcs").read_bytes() == copy
    take_in(study)
    assert states(study)["bad.fcs"] == "accepted"
    assert list(study.quarantine.iterdir()) == []


def test_a_refused_file_dropped_again_has_one_state_and_one_copy(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [f"bad.fcs,P01,{DRAWN},cart"])
    write_tube(study.inbox / "bad.fcs", "tbnk", seed=2)
    take_in(study)
    write_rows(study.folder, [f"bad.fcs,P01,{DRAWN},tbnk"])
    write_tube(study.inbox / "bad.fcs", "tbnk", seed=2)
    take_in(study)
    assert states(study) == {"bad.fcs": "accepted"}
    assert list(study.quarantine.iterdir()) == []


def test_retry_of_an_unknown_name_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=r"nothing\.fcs"):
        retry(make_study(tmp_path / "s"), ["nothing.fcs"])


def test_a_file_renamed_while_it_waits_stays_one_file(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [GOOD])
    write_tube(study.inbox / "Tube_001.fcs")
    take_in(study)
    (study.inbox / "Tube_001.fcs").rename(study.inbox / "good.fcs")
    take_in(study)
    assert states(study) == {"good.fcs": "accepted"}


def test_a_file_that_gets_its_name_when_its_copy_ends_is_taken_then(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [GOOD])
    part = write_tube(study.inbox / "good.fcs.part")
    take_in(study)
    assert states(study) == {}
    part.rename(study.inbox / "good.fcs")
    take_in(study)
    assert states(study) == {"good.fcs": "accepted"}


def test_names_that_differ_in_case_are_two_tubes_and_in_how_an_umlaut_is_written_one(
    tmp_path: Path,
) -> None:
    names = ("tube.fcs", "Tube.fcs", "Mu\u0308ller.fcs")  # as macOS writes it
    written = (*names[:2], "M\u00fcller.fcs")
    rows = [f"{name},P01,2026-02-0{day}T08:30,bcell" for day, name in enumerate(written, 1)]
    study = make_study(tmp_path / "s", rows)
    for seed, name in enumerate(names):
        write_tube(study.inbox / name, seed=seed)
    take_in(study)
    assert states(study) == dict.fromkeys(names, "accepted")
    with study.store() as store:
        days = {tube.file.inbox_path: tube.identity.collected.day for tube in taken_in(store)}
    assert days == dict(zip(names, (1, 2, 3), strict=True))


def test_a_missing_share_is_said_and_nothing_is_taken_for_removed(tmp_path: Path) -> None:
    share = tmp_path / "share"
    study = make_study(tmp_path / "s", settings=f"{AT_ONCE}inbox: {share}\n")
    write_tube(share / "good.fcs")
    take_in(study)
    assert states(study) == {"good.fcs": "waiting"}
    share.rename(tmp_path / "gone")
    with pytest.raises(SettingsFault, match="share connected"):
        take_in(study)
    (tmp_path / "gone").rename(share)
    write_rows(study.folder, [GOOD])
    take_in(study)
    assert states(study) == {"good.fcs": "accepted"}


def test_a_name_of_a_person_stays_in_the_ledger_and_out_of_the_archive(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [f"Müller Anna 01.FCS,P01,{DRAWN},bcell"])
    for name in ("Müller Anna 01.FCS", "Müller Anna 01 copy.FCS"):
        write_tube(study.inbox / name)
    take_in(study)
    found = records(study)
    assert found["Müller Anna 01.FCS"].state == "accepted"
    short = (found["Müller Anna 01.FCS"].sha256 or "")[:12]
    kept = sorted(study.place_of(path) for path in study.archive.rglob("*.fcs"))
    assert kept == [f"archive/P01/{short}.fcs", f"archive/_duplicates/{short}.fcs"]


def test_lines_that_name_no_file_are_said_until_it_comes(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", f"Good2.fcs,P01,{DRAWN},bcell")
    (said,) = take_in(study).sentences
    assert (
        "One line names a file that has not come into the inbox so far: samples.csv, line 3 "
        "(Good2.fcs)"
    ) in said
    write_tube(study.inbox / "Good2.fcs", seed=2)
    assert take_in(study).sentences == ()


# -- mending after acceptance


def test_a_mended_line_changes_the_identity_of_its_tube_and_its_history_says_so(
    tmp_path: Path,
) -> None:
    study = drop_with_good(tmp_path / "s", "")
    take_in(study)
    write_rows(study.folder, [f"good.fcs,P02,{DRAWN},bcell"])
    summary = take_in(study)
    with study.store() as store:
        (tube,) = taken_in(store)
        steps = history(store, tube.file.id)
    assert tube.identity.patient == "P02"
    assert tube.identity.visit == "D18"
    assert "patient P01 → P02" in steps[-1].reason
    assert any("identity corrected" in sentence for sentence in summary.sentences)
    assert tube.file.place is not None
    assert tube.file.place.startswith("archive/P02/")
    assert [p.name for p in (study.archive / "P02").iterdir()] == [
        tube.file.place.rpartition("/")[2]
    ]
    kept = snapshot(study)
    take_in(study)
    assert snapshot(study) == kept


def test_a_line_mended_wrongly_keeps_the_earlier_identity_and_is_reported_until_it_is_right(
    tmp_path: Path,
) -> None:
    study = drop_with_good(tmp_path / "s", "")
    take_in(study)
    write_rows(study.folder, [f"good.fcs,P99,{DRAWN},bcell"])
    for _ in range(2):
        assert any("keeps its identity" in sentence for sentence in take_in(study).sentences)
    with study.store() as store:
        assert taken_in(store)[0].identity.patient == "P01"


def test_a_line_that_is_about_another_tube_by_now_does_not_touch_the_first(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    take_in(study)
    write_rows(study.folder, ["good.fcs,P02,2026-02-20T08:30,bcell"])
    assert any("another tube" in sentence for sentence in take_in(study).sentences)
    with study.store() as store:
        assert taken_in(store)[0].identity.patient == "P01"


def test_a_removed_line_leaves_its_tube_as_it_was(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    take_in(study)
    write_rows(study.folder, [])
    assert take_in(study).sentences == ()
    assert states(study) == {"good.fcs": "accepted"}


# -- one label, two draws

VISITS = "file,patient,collected,panel,visit\n"
LATER = "2026-03-07T08:30"


def two_days(folder: Path, *rows: str) -> Study:
    """A study with a tube of day 28 and one of day 56."""
    study = make_study(folder, rows, header=VISITS)
    write_tube(study.inbox / "d28.fcs")
    write_tube(study.inbox / "d56.fcs", seed=2)
    return study


def visits(study: Study) -> dict[str, str]:
    with study.store() as store:
        return {tube.identity.file: tube.identity.visit for tube in taken_in(store)}


def test_a_visit_label_used_for_two_draws_makes_the_later_file_wait_and_both_are_named(
    tmp_path: Path,
) -> None:
    study = two_days(
        tmp_path / "s", f"d28.fcs,P01,{DRAWN},bcell,M1", f"d56.fcs,P01,{LATER},bcell,M1"
    )
    take_in(study)
    assert states(study) == {"d28.fcs": "accepted", "d56.fcs": "waiting"}
    reason = records(study)["d56.fcs"].reason
    for told in (
        "samples.csv, line 3",
        "d28.fcs (collected 2026-02-07",
        "d56.fcs (collected 2026-03-07",
        "visit M1",
        "28.0 days apart",
    ):
        assert told in reason
    write_rows(
        study.folder,
        [f"d28.fcs,P01,{DRAWN},bcell,M1", f"d56.fcs,P01,{LATER},bcell,M2"],
        header=VISITS,
    )
    take_in(study)
    assert visits(study) == {"d28.fcs": "M1", "d56.fcs": "M2"}


def test_a_file_that_waits_for_an_earlier_ones_wrong_label_is_taken_as_soon_as_that_is_mended(
    tmp_path: Path,
) -> None:
    study = two_days(
        tmp_path / "s", f"d28.fcs,P01,{DRAWN},bcell,M2", f"d56.fcs,P01,{LATER},bcell,M2"
    )
    take_in(study)
    write_rows(
        study.folder,
        [f"d28.fcs,P01,{DRAWN},bcell,M1", f"d56.fcs,P01,{LATER},bcell,M2"],
        header=VISITS,
    )
    take_in(study)
    assert visits(study) == {"d28.fcs": "M1", "d56.fcs": "M2"}


def test_two_labels_that_were_swapped_are_mended_together(tmp_path: Path) -> None:
    study = two_days(
        tmp_path / "s", f"d28.fcs,P01,{DRAWN},bcell,M2", f"d56.fcs,P01,{LATER},bcell,M1"
    )
    take_in(study)
    write_rows(
        study.folder,
        [f"d28.fcs,P01,{DRAWN},bcell,M1", f"d56.fcs,P01,{LATER},bcell,M2"],
        header=VISITS,
    )
    take_in(study)
    assert visits(study) == {"d28.fcs": "M1", "d56.fcs": "M2"}


def test_a_label_mended_into_that_of_another_draw_is_not_taken_over(tmp_path: Path) -> None:
    study = two_days(
        tmp_path / "s", f"d28.fcs,P01,{DRAWN},bcell,M1", f"d56.fcs,P01,{LATER},bcell,M2"
    )
    take_in(study)
    write_rows(
        study.folder,
        [f"d28.fcs,P01,{DRAWN},bcell,M1", f"d56.fcs,P01,{LATER},bcell,M1"],
        header=VISITS,
    )
    assert any(
        "28.0 days apart" in sentence and "keeps its identity" in sentence
        for sentence in take_in(study).sentences
    )
    assert visits(study) == {"d28.fcs": "M1", "d56.fcs": "M2"}


def test_tubes_of_one_draw_marrow_and_controls_may_share_a_label(tmp_path: Path) -> None:
    rows = [
        f"d28.fcs,P01,{DRAWN},bcell,M1,,",
        "d56.fcs,P01,2026-02-08T08:00,bcell,M1,,",
        f"bm.fcs,P01,{LATER},bcell,M1,marrow,",
        f"batch.fcs,P01,{LATER},bcell,M1,,batch",
    ]
    study = make_study(
        tmp_path / "s", rows, header="file,patient,collected,panel,visit,specimen,control\n"
    )
    for seed, name in enumerate(("d28", "d56", "bm", "batch")):
        write_tube(study.inbox / f"{name}.fcs", seed=seed)
    take_in(study)
    assert list(states(study).values()) == ["accepted"] * 4


# -- killed in between


def _planned(study: Study) -> tuple[Path, Path]:
    """Bring a study to the moment where acceptance is written down and the file has not moved."""
    from tasks.intake.context import open_intake
    from tasks.intake.judge import judge

    with study.store() as store:
        scan_inbox(study, store)
        (candidate,) = scan_inbox(study, store)
        verdict = judge(open_intake(study, store, list_inbox(study)), candidate)
        assert verdict.identity is not None
        target = f"archive/P01/{candidate.sha256[:12]}.fcs"
        with store.writing() as connection:
            save_tube(connection, verdict.identity, verdict.keywords)
            plan_move(
                connection,
                candidate.record,
                PlannedMove(candidate.record.id, "inbox/good.fcs", target, "accepted", ""),
            )
    return study.inbox / "good.fcs", study.folder / target


def _is_whole(study: Study, source: Path, target: Path) -> None:
    take_in(study)
    assert list(states(study).values()).count("accepted") == 1
    assert not source.exists()
    assert target.is_file()
    assert [p for p in target.parent.iterdir() if p != target] == []
    with study.store() as store:
        assert [tube.file.place for tube in taken_in(store)] == [study.place_of(target)]
    kept = snapshot(study)
    take_in(study)
    assert snapshot(study) == kept


def test_recorded_but_not_moved_is_finished(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    _is_whole(study, *_planned(study))


def test_moved_but_not_recorded_is_finished(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    source, target = _planned(study)
    target.parent.mkdir(parents=True)
    source.rename(target)
    _is_whole(study, source, target)


def test_copied_to_another_disk_but_not_removed_is_finished(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    source, target = _planned(study)
    target.parent.mkdir(parents=True)
    shutil.copy2(source, target)
    _is_whole(study, source, target)


def test_half_copied_to_another_disk_is_finished(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    source, target = _planned(study)
    target.parent.mkdir(parents=True)
    target.with_name(f".{target.name}.part").write_bytes(source.read_bytes()[:500])
    source.rename(source.with_name("kept"))
    source.symlink_to(source.with_name("kept"))  # a link is copied, as between two disks
    take_in(study)
    assert [p.name for p in target.parent.iterdir()] == [target.name]
    assert target.is_file()
    assert not target.is_symlink()


def test_another_file_at_the_target_is_never_overwritten(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    _, target = _planned(study)
    target.parent.mkdir(parents=True)
    target.write_bytes(b"somebody else's")
    take_in(study)
    assert target.read_bytes() == b"somebody else's"
    place = records(study)["good.fcs"].place
    assert place is not None
    assert study.path_of(place) != target
    assert study.path_of(place).is_file()


def test_a_file_changed_before_it_was_moved_settles_again(tmp_path: Path) -> None:
    study = drop_with_good(tmp_path / "s", "")
    source, target = _planned(study)
    write_tube(source, seed=9)
    take_in(study)
    assert not target.exists()
    sha = next(iter(bytes_on_disk(study)))
    assert records(study)["good.fcs"].sha256 == sha
    assert states(study) == {"good.fcs": "accepted"}


_KILLED = """
import os, sys
from pathlib import Path
from tasks.intake.take_in import take_in
from tasks.study.folder import open_study
steps = int(sys.argv[2])
def watch(name, args):
    global steps
    writes = name == "open" and "part" in str(args[0])
    if writes or name in {"os.rename", "os.mkdir", "sqlite3.connect"}:
        steps -= 1
        if steps < 0:
            os._exit(9)
study = open_study(Path(sys.argv[1]))
sys.addaudithook(watch)
take_in(study)
"""


def test_a_run_killed_at_any_step_is_finished_by_the_next(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [f"{name}.fcs,P01,{DRAWN},bcell" for name in "ab"])
    for seed, name in enumerate("ab"):
        write_tube(study.inbox / f"{name}.fcs", seed=seed)
    (study.inbox / "c.fcs").write_text("no", encoding="utf-8")
    before = bytes_on_disk(study)
    killed = 0
    for steps in range(1, 8):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, str(study.folder), str(steps)],
            check=False,
            cwd=Path(__file__).parents[2],
        )
        assert done.returncode in {0, 9}
        killed += done.returncode == 9
        assert bytes_on_disk(study) == before
    assert killed >= 3
    take_in(study)
    assert states(study) == {"a.fcs": "accepted", "b.fcs": "accepted", "c.fcs": "quarantined"}
    assert bytes_on_disk(study) == before


# -- cost


def _thousand_accepted(study: Study) -> None:
    """Fill inbox and ledger as a thousand accepted tubes leave them."""
    for n in range(1000):
        (study.inbox / f"t{n:04}.fcs").write_bytes(b"%d" % n)
    with study.store() as store:
        scan_inbox(study, store)
        with store.writing() as connection:
            for record in all_files(store):
                assert record.sha256
                tube = TubeIdentity(
                    record.sha256,
                    record.inbox_path,
                    "P01",
                    datetime.fromisoformat(DRAWN),
                    "bcell",
                    "D28",
                )
                save_tube(connection, tube, {})
                set_state(connection, record, "accepted", "")


def test_a_pass_over_a_thousand_known_tubes_opens_none_of_them(tmp_path: Path) -> None:
    rows = [f"t{n:04}.fcs,P01,{DRAWN},bcell" for n in range(1000)]
    study = make_study(
        tmp_path / "s", rows, settings="study: test\nintake: {mode: leave, settle_seconds: 0}\n"
    )
    _thousand_accepted(study)
    take_in(study)
    for path in study.inbox.glob("*.fcs"):
        # Same size and time, other bytes: whoever opened the file would see another tube.
        before = path.stat()
        path.write_bytes(b"x" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = take_in(study)
    assert again.outcomes == ()
    assert again.sentences == ()
    assert list(states(study).values()) == ["accepted"] * 1000
