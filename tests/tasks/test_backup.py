"""A store that was backed up comes back whole, on SQLite and PostgreSQL, and a lost one begins
anew."""

import json
import shutil
import sqlite3
import stat
import threading
import zipfile
from contextlib import closing

import pytest

from flows.cli import run
from panels.text.errors import UsageFault
from tasks.review.audit_trail import keep_head, kept_heads, read_trail
from tasks.store.audit import AuditEntry, add_entry
from tasks.store.ledger import all_files
from tasks.study.folder import open_study
from tasks.upkeep.backup import back_up
from tasks.upkeep.rebuild import rebuild
from tasks.upkeep.restore import read_manifest, restore
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import DRAWN, make_study, write_tube

ROWS = [f"tube{number}.fcs,P01,{DRAWN},bcell" for number in (1, 2)]


def counted_study(folder, store=""):
    """A study of two counted tubes, with a log of decisions."""
    settings = f"study: test\nintake: {{settle_seconds: 0}}\n{store}"
    study = make_study(folder, ROWS, settings=settings)
    for number in (1, 2):
        write_tube(folder / "inbox" / f"tube{number}.fcs", seed=number)
    plain_night(study)
    log(study, "first")
    return study


def log(study, subject):
    with study.store() as store:
        with store.writing() as connection:
            add_entry(connection, AuditEntry("A. Meyer", "noted", subject, {}))
        assert keep_head(study, store) == ()


def known(study):
    with study.store() as store:
        files = [(each.inbox_path, each.state, each.sha256) for each in all_files(store)]
        return sorted(files), [each.subject for each in read_trail(study, store).entries]


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    return counted_study(tmp_path_factory.mktemp("counted") / "study")


@pytest.fixture
def study(counted, tmp_path):
    shutil.copytree(counted.folder, tmp_path / "study")
    return open_study(tmp_path / "study")


def test_what_is_made_again_of_maps_is_in_no_backup(study, tmp_path):
    """What is named alike elsewhere is: a strategy may be called "tubes"."""
    kept = ["maps/LOCK", "maps/b_cells/1.0.0/map.yaml", "maps/b_cells/1.0.0/reference.npz"]
    kept += ["strategies/tubes/1.0.0/strategy.yaml", "panels/clusters/1.0.0/panel.yaml"]
    made = ["b_cells/tubes/ab.npz", "b_cells/tubes/ab-counted.npz", "b_cells/1.0.0/clusters.npz"]
    made += ["b_cells/1.0.0/placed/ab.npz", "b_cells/1.0.0/clusters/ab.npz"]
    for name in (*kept, *(f"maps/{each}" for each in made)):
        (study.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (study.folder / name).write_bytes(b"x")
    file = tmp_path / "backup.zip"
    assert run(["backup", str(file), "--study", str(study.folder)]) == 0
    with zipfile.ZipFile(file) as archive:
        inside = {name.removeprefix("study/") for name in archive.namelist()}
    folders = ("maps", "strategies", "panels")
    assert {name for name in inside if name.split("/")[0] in folders} == {*kept}


def test_what_was_backed_up_comes_back_and_later_entries_lie_aside(study, tmp_path, capsys):
    before = known(study)
    file = tmp_path / "backup.zip"
    assert run(["backup", str(file), "--study", str(study.folder)]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    log(study, "after the backup")
    assert run(["restore", str(file), "--by", "B. Weber", "--study", str(study.folder)]) == 0
    assert "keep it, it shows what was lost" in capsys.readouterr().out
    files, log_of = known(study)
    assert files == before[0]
    assert log_of == [*before[1], "store"]
    assert kept_heads(study)[-1].number == len(log_of)
    with study.store() as store:
        assert read_trail(study, store).verified
    (aside,) = study.folder.glob("reconflow.db.before-restore-*")
    with closing(sqlite3.connect(aside)) as lost:
        subjects = [row[0] for row in lost.execute("SELECT subject FROM audit")]
    assert "after the backup" in subjects
    assert list(study.results.glob("audit-head.txt.before-restore-*"))
    plain_night(study)  # nothing is due, nothing fails


def test_a_whole_study_comes_back_into_an_empty_folder(study, tmp_path):
    back_up(study, tmp_path / "backup.zip")
    done = restore(tmp_path / "new", tmp_path / "backup.zip", by="B. Weber")
    assert "study.yaml" in done.written
    assert "samples.csv" in done.written
    again = open_study(tmp_path / "new")
    assert known(again)[0] == known(study)[0]
    assert "2 files of 2 are missing in the archive" in done.faults[-1]
    shutil.copytree(study.archive, again.archive)
    assert restore(again.folder, tmp_path / "backup.zip", by="B. Weber").faults == ()


def test_a_backup_during_a_run_is_of_one_moment(study, tmp_path):
    ended = threading.Event()

    def go_on_writing():
        number = 0
        while not ended.is_set():
            log(study, f"busy {number}")
            number += 1

    writer = threading.Thread(target=go_on_writing)
    writer.start()
    try:
        for number in range(4):
            back_up(study, tmp_path / f"{number}.zip")
    finally:
        ended.set()
        writer.join()
    for number in range(4):
        restore(tmp_path / f"study-{number}", tmp_path / f"{number}.zip", by="B. Weber")
        again = open_study(tmp_path / f"study-{number}")
        with again.store() as store:
            assert read_trail(again, store).broken is None


def test_settings_that_changed_since_are_named_and_stay(study, tmp_path):
    back_up(study, tmp_path / "backup.zip")
    sheet = study.samples_sheet
    sheet.write_text(sheet.read_text() + f"tube3.fcs,P01,{DRAWN},bcell\n")
    written = sheet.read_text()
    done = restore(study.folder, tmp_path / "backup.zip", by="B. Weber")
    assert done.differing == ("samples.csv",)
    assert sheet.read_text() == written


def test_a_store_that_cannot_be_opened_is_moved_aside(study, tmp_path):
    before = known(study)
    back_up(study, tmp_path / "backup.zip")
    place = study.folder / "reconflow.db"
    place.write_bytes(b"no database" * 1000)
    restore(study.folder, tmp_path / "backup.zip", by="B. Weber")
    assert known(study)[0] == before[0]
    (aside,) = study.folder.glob("reconflow.db.before-restore-*")
    assert aside.read_bytes().startswith(b"no database")


def test_an_archived_tube_with_other_bytes_is_named(study, tmp_path):
    back_up(study, tmp_path / "backup.zip")
    tube = next(study.archive.rglob("*.fcs"))
    content = bytearray(tube.read_bytes())
    content[-1] ^= 1
    tube.write_bytes(bytes(content))
    done = restore(study.folder, tmp_path / "backup.zip", by="B. Weber")
    assert any(tube.name in fault for fault in done.faults)


def damaged(file, change):
    """Write a backup again with something of it changed."""
    with zipfile.ZipFile(file) as archived:
        members = {name: archived.read(name) for name in archived.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w") as archived:
        for name, content in members.items():
            archived.writestr(name, content)


def of_a_newer_program(members):
    manifest = json.loads(members["manifest.json"])
    manifest["store_version"] = 99_999
    members["manifest.json"] = json.dumps(manifest).encode()


def leading_out(members):
    manifest = json.loads(members["manifest.json"])
    manifest["files"]["study/../../evil"] = "0" * 64
    members["manifest.json"] = json.dumps(manifest).encode()
    members["study/../../evil"] = b""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda members: members.update({"store.db": b"x"}), "store.db is not as it was written"),
        (lambda members: members.pop("manifest.json"), "no backup of a study"),
        (lambda members: members.update({"manifest.json": b"[]"}), "no backup of a study"),
        (lambda members: members.update({"manifest.json": b"{"}), "no backup of a study"),
        (of_a_newer_program, "written by a newer reconflow"),
        (leading_out, "no backup of a study"),
    ],
)
def test_a_backup_that_is_not_as_written_changes_nothing(change, said, study, tmp_path):
    file = tmp_path / "backup.zip"
    back_up(study, file)
    damaged(file, change)
    before = known(study)
    with pytest.raises(UsageFault, match=said):
        restore(study.folder, file, by="B. Weber")
    assert known(study) == before
    assert not list(study.folder.glob("*before-restore*"))


def test_a_file_that_is_cut_short_or_no_backup_is_refused(study, tmp_path):
    file = tmp_path / "backup.zip"
    back_up(study, file)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(UsageFault, match="no backup of a study"):
        read_manifest(file)


def test_no_backup_is_written_over(study, tmp_path, capsys):
    (tmp_path / "backup.zip").write_text("mine")
    call = ["backup", str(tmp_path / "backup.zip"), "--study", str(study.folder)]
    assert run(call) == 2
    assert "name a new file" in capsys.readouterr().err
    assert (tmp_path / "backup.zip").read_text() == "mine"


def test_a_postgresql_store_moves_to_another_database(empty_postgres, tmp_path):
    study = counted_study(tmp_path / "study", f"store: {empty_postgres}\n")
    back_up(study, tmp_path / "backup.zip")
    with pytest.raises(UsageFault, match="is not empty"):
        restore(study.folder, tmp_path / "backup.zip", by="B. Weber")
    before = known(study)
    settings = study.folder / "study.yaml"
    settings.write_text("study: test\nintake: {settle_seconds: 0}\n")
    local = open_study(study.folder)
    restore(study.folder, tmp_path / "backup.zip", by="B. Weber")
    assert known(local)[0] == before[0]


def test_rows_go_from_a_file_to_postgresql_and_numbering_goes_on(study, empty_postgres, tmp_path):
    before = known(study)
    back_up(study, tmp_path / "backup.zip")
    with (study.folder / "study.yaml").open("a") as settings:
        settings.write(f"store: {empty_postgres}\n")
    served = open_study(study.folder)
    restore(served.folder, tmp_path / "backup.zip", by="B. Weber")
    assert known(served)[0] == before[0]
    write_tube(served.inbox / "tube3.fcs", seed=3)
    served.samples_sheet.write_text(
        served.samples_sheet.read_text() + f"tube3.fcs,P01,{DRAWN},bcell\n"
    )
    plain_night(served)
    assert len(known(served)[0]) == 3


def test_a_lost_store_begins_anew_with_the_same_tubes(study, tmp_path, capsys):
    before = known(study)[0]
    for path in study.folder.glob("reconflow.db*"):
        path.unlink()
    assert run(["run", "--study", str(study.folder)]) == 2
    assert run(["store", "rebuild", "--study", str(study.folder)]) == 0
    assert "2 tubes brought back into the inbox." in capsys.readouterr().out
    assert run(["store", "rebuild", "--study", str(study.folder)]) == 0
    assert "No tube is left in the archive; 2 files in the inbox" in capsys.readouterr().out
    plain_night(study)
    assert known(study)[0] == before
    with pytest.raises(UsageFault, match="is not lost"):
        rebuild(study)


def test_a_store_that_is_no_database_and_has_no_backup_begins_anew(study, capsys):
    damaged = study.folder / "reconflow.db"
    damaged.write_bytes(b"no database" * 1000)
    assert run(["status", "--study", str(study.folder)]) == 2
    assert "Without a backup: reconflow store rebuild" in capsys.readouterr().err
    assert run(["store", "rebuild", "--study", str(study.folder)]) == 0
    assert "no database any more" in capsys.readouterr().out
    (aside,) = study.folder.glob("reconflow.db.before-rebuild-*")
    assert aside.read_bytes() == b"no database" * 1000
    assert len(list(study.inbox.glob("*.fcs"))) == 2


def test_a_tube_whose_name_nothing_tells_keeps_the_archives(study):
    for path in study.folder.glob("reconflow.db*"):
        path.unlink()
    shutil.rmtree(study.results)
    done = rebuild(study)
    assert sorted(done.nameless) == sorted(done.returned)
    assert all(name[:12].isalnum() for name in done.nameless)
