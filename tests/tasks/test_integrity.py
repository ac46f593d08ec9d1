"""What was kept is compared with what was written: archive, counts, identities, tables, shares."""

import csv
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from panels.text.errors import ReconflowError, SettingsFault
from tasks.export.study_data import collect
from tasks.intake.retry import retry
from tasks.intake.take_in import take_in
from tasks.results.cohort_tables import build_cohort
from tasks.results.front_page import write_front_page
from tasks.results.stored_tables import patient_folder
from tasks.steps.one_pass import one_pass
from tasks.store.ledger import all_files
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.archived_bytes import verified_bytes
from tasks.study.folder import Study, open_study
from tasks.study.integrity import check_integrity
from tasks.tubes.count_tube import count_tube, counting_inputs, measure_reference
from tasks.tubes.gate_tube import gate_tube
from tests.tasks.plain_pass import take_in_count_and_build
from tests.tasks.study_folder import AT_ONCE, DRAWN, make_study, write_tube

pytestmark = pytest.mark.xdist_group("integrity")

ROWS = [f"a.fcs,P01,{DRAWN},bcell", f"b.fcs,P02,{DRAWN},bcell"]


def night(study: Study) -> dict[str, Any]:
    """Run one pass in this process; gives its summary."""
    with one_pass(study.folder, "run") as this:
        take_in_count_and_build(this)
        if this.cohort_is_due():
            build_cohort(read_snapshot(this.study))
        this.report = str(write_front_page(read_snapshot(this.study)))
    return this.summary


@pytest.fixture(scope="module")
def counted_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a study with one counted tube of two patients each."""
    study = make_study(tmp_path_factory.mktemp("counted") / "s", ROWS)
    for seed, name in enumerate("ab"):
        write_tube(study.inbox / f"{name}.fcs", seed=seed)
    assert night(study)["counted"] == 2
    return study.folder


@pytest.fixture
def study(counted_study: Path, tmp_path: Path) -> Study:
    """Give a copy of the counted study; times of change are kept, as a backup keeps them."""
    shutil.copytree(counted_study, tmp_path / "s")
    return open_study(tmp_path / "s")


def archived(study: Study) -> dict[str, Path]:
    with study.store() as store:
        return {t.identity.patient: study.path_of(t.file.place or "") for t in taken_in(store)}


def states(study: Study) -> dict[str, tuple[str, str]]:
    with study.store() as store:
        return {record.inbox_path: (record.state, record.reason) for record in all_files(store)}


def change(study: Study, statement: str) -> None:
    with study.store() as store, store.writing() as connection:
        assert connection.execute(text(statement)).rowcount > 0


def patients_in(table: Path) -> set[str]:
    with table.open(encoding="utf-8", newline="") as file:
        return {row["patient"] for row in csv.DictReader(file)}


def swap(one: Path, other: Path) -> None:
    """Exchange the bytes of two files under their names, as a wrong restore does."""
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def test_a_quiet_pass_finds_nothing(study: Study) -> None:
    summary = night(study)
    assert summary["failed"] == 0
    assert summary["sentences"] == []
    assert summary["counted"] == 0


def test_archived_files_swapped_with_each_other_fail_and_come_back_by_themselves(
    study: Study,
) -> None:
    one, other = archived(study).values()
    swap(one, other)
    summary = night(study)
    assert summary["failed"] == 2
    assert all("holds other bytes" in reason for _, reason in states(study).values())
    assert sum("holds other bytes" in sentence for sentence in summary["sentences"]) == 2
    swap(one, other)
    summary = night(study)
    assert (summary["failed"], summary["counted"]) == (0, 2)
    assert any("is back" in sentence for sentence in summary["sentences"])


def test_a_file_swapped_under_its_time_and_size_is_never_gated(study: Study) -> None:
    one, other = archived(study).values()
    kept = one.stat()
    assert kept.st_size == other.stat().st_size
    shutil.copyfile(other, one)
    os.utime(one, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    with study.store() as store:
        tube = taken_in(store, patient="P01")[0]
    inputs = counting_inputs(read_snapshot(study))
    with pytest.raises(ReconflowError, match=r"holds other bytes than were taken in as a\.fcs"):
        gate_tube(study, tube, inputs.snapshot.strategies["bcell"], inputs.references)
    outcome = count_tube(counting_inputs(read_snapshot(study)), tube.identity.tube_sha256)
    assert not outcome.counted
    assert states(study)["a.fcs"][0] == "failed"


def test_a_file_changed_while_it_is_gated_gives_no_count(study: Study) -> None:
    with study.store() as store:
        tube = taken_in(store, patient="P01")[0]

    def gate_while_it_changes() -> None:
        with verified_bytes(study, tube) as path, path.open("r+b") as file:
            file.seek(3000)
            file.write(b"other")

    with pytest.raises(OSError, match="was changed while it was read"):
        gate_while_it_changes()


def test_a_file_deleted_from_the_archive_is_named(study: Study) -> None:
    path = archived(study)["P02"]
    kept = path.read_bytes()
    path.unlink()
    for _ in range(2):
        summary = night(study)
        assert summary["failed"] == 1
        (sentence,) = [each for each in summary["sentences"] if "is gone" in each]
        assert "b.fcs" in sentence
        assert study.place_of(path) in sentence
    path.write_bytes(kept)
    assert night(study)["failed"] == 0
    assert states(study)["b.fcs"][0] == "counted"


def test_a_file_replaced_where_it_was_left_is_not_counted_under_the_old_hash(
    tmp_path: Path,
) -> None:
    settings = AT_ONCE.replace("{settle_seconds: 0}", "{settle_seconds: 0, mode: leave}")
    study = make_study(tmp_path / "s", ROWS, settings=settings)
    path = write_tube(study.inbox / "a.fcs", seed=1)
    take_in(study)
    write_tube(path, seed=2)
    with study.store() as store:
        (tube,) = taken_in(store)
    outcome = count_tube(counting_inputs(read_snapshot(study)), tube.identity.tube_sha256)
    assert not outcome.counted
    assert "holds other bytes" in outcome.reason


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE counts SET reference_events = reference_events + 1 WHERE population = 'leukocytes'",
        "UPDATE counts SET parent_events = parent_events + 1 WHERE population = 'b_cells'",
        "UPDATE gatings SET total_events = total_events + 1",
        "UPDATE gatings SET qc = '{}'",
        "UPDATE gatings SET flags = '[\"carry_over\"]'",
        "DELETE FROM counts WHERE population = 'plasma_cells'",
    ],
)
def test_counts_altered_in_the_store_enter_no_table(study: Study, statement: str) -> None:
    sha = archived(study)["P01"].stem
    change(
        study, f"{statement} {'AND' if 'WHERE' in statement else 'WHERE'} tube_sha256 LIKE '{sha}%'"
    )
    before = (patient_folder(study, "P02") / "kinetics.csv").read_bytes()
    summary = night(study)
    assert summary["failed"] == 1
    assert "were altered in the store" in states(study)["a.fcs"][1]
    assert any("a.fcs" in each and "altered" in each for each in summary["sentences"])
    assert night(study)["failed"] == 1
    assert (patient_folder(study, "P02") / "kinetics.csv").read_bytes() == before


def test_altered_counts_are_counted_again_on_request(study: Study) -> None:
    table = patient_folder(study, "P01") / "kinetics.csv"
    before = table.read_bytes()
    change(study, "UPDATE counts SET parent_events = 100 WHERE population = 'b_cells'")
    assert night(study)["failed"] == 2
    retry(study)
    assert night(study)["counted"] == 2
    assert table.read_bytes() == before
    assert night(study)["sentences"] == []


def test_an_altered_identity_is_again_what_the_sheet_says(study: Study) -> None:
    before = (patient_folder(study, "P01") / "kinetics.csv").read_bytes()
    change(study, "UPDATE tubes SET patient = 'P02', visit = 'D99' WHERE patient = 'P01'")
    summary = night(study)
    assert any("identity was altered in the store" in each for each in summary["sentences"])
    assert (patient_folder(study, "P01") / "kinetics.csv").read_bytes() == before
    assert patients_in(study.results / "cohort" / "kinetics.csv") == {"P01", "P02"}


def test_an_altered_identity_that_no_sheet_gives_back_is_in_no_table(study: Study) -> None:
    change(study, "UPDATE tubes SET collected = '2026-01-30T08:30:00' WHERE patient = 'P01'")
    sheet = study.samples_sheet.read_text(encoding="utf-8")
    study.samples_sheet.write_text(sheet.replace("a.fcs", "c.fcs"), encoding="utf-8")
    assert night(study)["failed"] == 1
    assert "identity was altered in the store" in states(study)["a.fcs"][1]
    study.samples_sheet.write_text(sheet, encoding="utf-8")
    assert night(study)["failed"] == 0
    assert patients_in(study.results / "cohort" / "kinetics.csv") == {"P01", "P02"}


@pytest.mark.parametrize("name", ["kinetics.csv", "parameters.csv", "kinetics_wide.csv"])
def test_a_table_edited_by_hand_is_written_again_and_never_read(study: Study, name: str) -> None:
    cohort = (study.results / "cohort" / "kinetics.csv").read_bytes()
    path = patient_folder(study, "P01") / name
    before = path.read_bytes()
    edited = before.replace(b"P01", b"P77").replace(b"M", b"N")
    edited = edited if edited != before else before + b"# a remark\n"
    path.write_bytes(edited)
    summary = night(study)
    assert path.read_bytes() == before
    assert any(f"{name} was changed" in sentence for sentence in summary["sentences"])
    assert [each.read_bytes() for each in path.parent.glob("*.edited-1.csv")] == [edited]
    assert (study.results / "cohort" / "kinetics.csv").read_bytes() == cohort
    assert night(study)["sentences"] == []


def test_an_edited_cohort_table_is_written_again(study: Study) -> None:
    path = study.results / "cohort" / "kinetics.csv"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"P01", b"P77"))
    night(study)
    assert path.read_bytes() == before
    assert "P77" not in (study.results / "index.html").read_text(encoding="utf-8")


def test_tables_altered_in_the_store_are_made_again(study: Study) -> None:
    table = patient_folder(study, "P01") / "kinetics.csv"
    before = table.read_bytes()
    change(
        study,
        "UPDATE editions SET kinetics = (SELECT kinetics FROM editions WHERE patient = 'P02')",
    )
    with pytest.raises(ReconflowError, match="of P01 were altered since they were written"):
        collect(study)
    night(study)
    assert table.read_bytes() == before
    assert set(collect(study).kinetics["patient"]) == {"P01", "P02"}


def test_files_that_were_left_on_a_share_are_missed(tmp_path: Path) -> None:
    settings = AT_ONCE.replace("{settle_seconds: 0}", "{settle_seconds: 0, mode: leave}")
    study = make_study(tmp_path / "s", ROWS, settings=settings)
    write_tube(study.inbox / "a.fcs", seed=1)
    take_in(study)
    assert sorted(path.name for path in study.inbox.iterdir()) == ["a.fcs"]
    study.inbox.rename(study.folder / "share")
    study.inbox.mkdir()
    with pytest.raises(SettingsFault, match="is the share connected"):
        take_in(study)
    assert states(study)["a.fcs"][0] == "accepted"


@pytest.mark.parametrize("kind", ["inbox", "archive"])
def test_a_share_that_is_not_mounted_is_noticed_and_nothing_is_written_under_it(
    study: Study, kind: str
) -> None:
    folder = study.folder / kind
    folder.rename(study.folder / "share")
    folder.mkdir()
    write_tube(study.folder / "new" / "c.fcs", seed=5)
    for attempt in (night, take_in, retry):
        with pytest.raises(SettingsFault, match="is the share connected"):
            attempt(study)
    assert list(folder.iterdir()) == []
    assert {state for state, _ in states(study).values()} == {"counted"}
    folder.rmdir()
    (study.folder / "share").rename(folder)
    assert night(study)["failed"] == 0


def test_another_studys_share_is_noticed(study: Study) -> None:
    (study.inbox / ".reconflow-inbox").write_text("0123456789abcdef\n")
    with pytest.raises(SettingsFault, match="belongs to another study"):
        take_in(study)


def test_the_sentence_about_a_missing_marker_says_how_to_write_it(study: Study) -> None:
    marker = study.inbox / ".reconflow-inbox"
    kept = marker.read_text(encoding="utf-8").strip()
    marker.unlink()
    with pytest.raises(SettingsFault, match=f"write the line {kept} into {marker}"):
        take_in(study)
    marker.write_text(kept, encoding="utf-8")
    assert night(study)["failed"] == 0


def test_an_archive_restored_without_hidden_files_is_known_by_its_tubes(study: Study) -> None:
    marker = study.archive / ".reconflow-archive"
    kept = marker.read_text(encoding="utf-8")
    marker.unlink()
    assert night(study)["failed"] == 0
    assert marker.read_text(encoding="utf-8") == kept


def test_another_programs_files_that_come_and_go_fail_no_tube(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is listed and gone before it is looked at is nobody's tube."""
    listed = os.scandir

    class Gone:
        name = "gone.part"

        def stat(self, **_: bool) -> os.stat_result:
            raise FileNotFoundError(2, "No such file or directory", self.name)

    class Listing:
        def __init__(self, folder: Path) -> None:
            self.entries = listed(folder)

        def __enter__(self) -> list[Any]:
            return [Gone(), *self.entries]

        def __exit__(self, *_: object) -> None:
            self.entries.close()

    monkeypatch.setattr("tasks.study.integrity.os.scandir", Listing)
    with study.store() as store:
        assert check_integrity(study, store) == []


def test_a_pipe_in_the_place_of_a_tube_is_not_opened(study: Study) -> None:
    path = archived(study)["P01"]
    kept = path.rename(study.folder / "kept")
    os.mkfifo(path)
    with study.store() as store:
        tube = taken_in(store, patient="P01")[0]
    outcome = count_tube(counting_inputs(read_snapshot(study)), tube.identity.tube_sha256)
    assert "it is a pipe" in outcome.reason
    with study.store() as store:
        (sentence,) = check_integrity(study, store)
        assert "is a pipe, not the file that was taken in" in sentence
        path.unlink()
        kept.rename(path)
        assert "the tube is counted again" in check_integrity(study, store)[0]
    assert states(study)["a.fcs"][0] == "accepted"


def test_a_control_with_other_bytes_fails_and_is_not_taken_for_one_that_tells_nothing(
    tmp_path: Path,
) -> None:
    header = "file,patient,collected,panel,control\n"
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},bcell,fmo:IgD"], header=header)
    write_tube(study.inbox / "a.fcs", without="IgD")
    take_in(study)
    (path,) = archived(study).values()
    write_tube(path, seed=9)
    with study.store() as store:
        (tube,) = taken_in(store)
    assert not measure_reference(read_snapshot(study), tube.identity.tube_sha256).counted
    assert states(study)["a.fcs"][0] == "failed"


def test_a_tube_overwritten_where_it_was_left_comes_back_with_its_bytes(tmp_path: Path) -> None:
    settings = AT_ONCE.replace("{settle_seconds: 0}", "{settle_seconds: 0, mode: leave}")
    study = make_study(tmp_path / "s", [*ROWS, f"c.fcs,P01,{DRAWN},bcell"], settings=settings)
    path = write_tube(study.inbox / "a.fcs", seed=1)
    take_in(study)
    kept = path.read_bytes()
    write_tube(path, seed=2)
    take_in(study)
    with study.store() as store:
        assert (
            "overwritten" in {record.state: record.reason for record in all_files(store)}["failed"]
        )
    assert retry(study) == ()
    path.write_bytes(kept)
    take_in(study)
    take_in(study)
    with study.store() as store:
        assert [tube.identity.patient for tube in taken_in(store)] == ["P01"]
        assert study.path_of(taken_in(store)[0].file.place or "") == path


def test_an_archive_that_moved_to_another_folder_is_found_again(study: Study) -> None:
    (study.folder / "elsewhere").mkdir()
    study.archive.rename(study.folder / "elsewhere" / "archive")
    with (study.folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("archive: elsewhere/archive\n")
    summary = night(open_study(study.folder))
    assert (summary["failed"], summary["counted"], summary["sentences"]) == (0, 0, [])


def test_a_killed_table_is_made_again_and_not_taken_for_edited(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    edited = study.patients_sheet.read_text(encoding="utf-8").replace("T11:00", "T12:00")
    study.patients_sheet.write_text(edited, encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr("tasks.results.patient_tables.save_edition", full)
        with pytest.raises(OSError, match="No space"):
            night(study)
    night(study)
    assert night(study)["sentences"] == []
    assert not list(study.results.rglob("*.edited-*"))


def test_a_folder_is_the_studys_as_long_as_nothing_was_in_it(tmp_path: Path) -> None:
    """The first pass may come before the share is connected."""
    study = make_study(tmp_path / "s", ROWS)
    take_in(study)
    study.inbox.rename(tmp_path / "under the share")
    write_tube(study.inbox / "a.fcs")
    assert take_in(study).judged("accepted") == 1
