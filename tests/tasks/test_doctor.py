"""Each fault that is planted in a study or an installation is found by the check that is for it."""

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from packaging.specifiers import SpecifierSet

from flows.cli import run
from tasks.store.audit import AuditEntry, add_entry
from tasks.store.runs import begin_run, end_run
from tasks.study.folder import open_study
from tasks.upkeep import installation, study_checks
from tasks.upkeep.installation import check_installation, fits
from tasks.upkeep.study_checks import check_study
from tests.tasks.earlier_stores import make_earlier_store
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import DRAWN, make_study, write_tube


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted") / "study"
    settings = "study: test\ntime_zone: Europe/Berlin\nintake: {settle_seconds: 0}\n"
    study = make_study(folder, [f"a.fcs,P01,{DRAWN},bcell"], settings=settings)
    write_tube(folder / "inbox" / "a.fcs")
    plain_night(study)
    with study.store() as store:
        with store.writing() as connection:
            add_entry(connection, AuditEntry("A. Meyer", "noted", "something", {}))
        end_run(store, begin_run(store, "nightly"), "done", {})
    return study


@pytest.fixture
def study(counted, tmp_path):
    shutil.copytree(counted.folder, tmp_path / "study")
    return open_study(tmp_path / "study")


def found(study, **options):
    return {each.check: each for each in check_study(study.folder, **options)}


def changed(study, statement):
    with closing(sqlite3.connect(study.folder / "reconflow.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_sound_study_has_nothing_wrong(study):
    assert {each.state for each in check_study(study.folder)} == {"ok"}


def test_an_archived_tube_with_other_bytes(study):
    tube = next(study.archive.rglob("*.fcs"))
    tube.write_bytes(tube.read_bytes()[:-4] + b"xxxx")
    assert found(study)["archive"].state == "wrong"
    assert tube.name in found(study, all_files_read=True)["archive"].sentence


def test_a_log_that_was_altered(study):
    changed(study, "UPDATE audit SET actor = 'B. Weber'")
    assert "Entry 1 was altered" in found(study)["log of decisions"].sentence


def test_a_store_of_an_earlier_version_is_told_and_left_as_it_is(study):
    for path in study.folder.glob("reconflow.db*"):
        path.unlink()
    make_earlier_store(study.store_url, 6)
    before = (study.folder / "reconflow.db").read_bytes()
    store = found(study)["store"]
    assert (store.state, "of version 6" in store.sentence) == ("look", True)
    assert (study.folder / "reconflow.db").read_bytes() == before


def test_a_store_that_is_no_database(study):
    (study.folder / "reconflow.db").write_bytes(b"x" * 100_000)
    assert found(study)["store"].state == "wrong"


def test_a_store_that_is_gone_is_wrong_and_never_made_anew(study, capsys):
    for path in study.folder.glob("reconflow.db*"):
        path.unlink()
    missing = found(study)["store"]
    assert missing.state == "wrong"
    assert "reconflow restore FILE --by NAME" in missing.sentence
    assert run(["status", "--study", str(study.folder)]) == 2
    assert "is not there" in capsys.readouterr().err
    assert not list(study.folder.glob("reconflow.db*"))
    study.store().close()
    assert run(["status", "--study", str(study.folder)]) == 2
    assert "does not know this study's tubes" in capsys.readouterr().err


def test_a_new_study_has_no_store_yet(tmp_path):
    study = make_study(tmp_path / "new", [])
    assert found(study)["store"].state == "look"
    assert not list(study.folder.glob("reconflow.db*"))


def test_a_store_that_is_damaged_inside(study):
    place = study.folder / "reconflow.db"
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'tubes'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(place.read_bytes())
    content[(root - 1) * size : (root - 1) * size + 64] = b"\xff" * 64
    place.write_bytes(bytes(content))
    states = [each.state for each in check_study(study.folder)]
    assert "wrong" in states


def test_settings_that_cannot_be_read(study):
    (study.folder / "study.yaml").write_text("study: test\nworker: 2\n")
    findings = list(check_study(study.folder))
    assert [each.check for each in findings] == ["settings"]
    assert "workers" in findings[0].sentence


def test_a_study_without_time_zone(study):
    (study.folder / "study.yaml").write_text("study: test\n")
    assert found(study)["time zone"].state == "look"


def test_a_folder_that_cannot_be_written(study):
    shutil.rmtree(study.results)
    study.results.write_text("a file")
    assert found(study)["results"].state == "wrong"


def test_a_clock_that_is_behind_what_the_store_holds(study):
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="milliseconds")
    changed(study, f"UPDATE runs SET started_at = '{later}'")
    assert "clock is behind" in found(study)["clock"].sentence


def test_a_disk_whose_clock_differs(study, monkeypatch):
    now = time.time
    monkeypatch.setattr(study_checks.time, "time", lambda: now() + 600)
    assert "its clock differs by 600 s" in found(study)["inbox"].sentence


@pytest.mark.parametrize(("free", "state"), [(10**8, "wrong"), (5 * 10**9, "look")])
def test_a_disk_that_is_nearly_full(free, state, study, monkeypatch):
    usage = shutil.disk_usage(study.folder)
    monkeypatch.setattr(study_checks.shutil, "disk_usage", lambda _: usage._replace(free=free))
    assert found(study)["disk of the study"].state == state


def test_a_released_strategy_that_was_changed(study):
    folder = study.own_strategies / "mine" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "strategy.yaml").write_text("name: mine\n")
    (study.own_strategies / "LOCK").write_text(f"mine@1.0.0 {'0' * 64}\n")
    assert found(study)["strategies"].state == "wrong"


@pytest.mark.parametrize(
    ("statement", "check", "state"),
    [
        ("UPDATE runs SET outcome = 'failed'", "last run", "wrong"),
        ("DELETE FROM runs", "last run", "look"),
        ("UPDATE runs SET started_at = '2026-01-01T00:00:00.000+00:00'", "last night", "look"),
        (
            "UPDATE runs SET outcome = 'running', started_at = '2026-01-01T00:00:00.000+00:00'",
            "last run",
            "look",
        ),
    ],
)
def test_a_night_that_failed_was_missed_or_never_ended(statement, check, state, study):
    changed(study, statement)
    assert found(study)[check].state == state


def test_a_tube_in_the_archive_that_the_store_does_not_know(study):
    tube = next(study.archive.rglob("*.fcs"))
    shutil.copy(tube, tube.with_name("0123456789ab.fcs"))
    assert found(study)["ledger"].state == "wrong"


def test_a_package_of_another_version_or_missing(monkeypatch):
    asked = ["numpy>=999", "no-such-package-of-anybody", 'tomli; extra == "dev"']
    monkeypatch.setattr(installation, "requires", lambda _: asked)
    packages = [each for each in check_installation() if each.check == "packages"]
    assert packages[0].state == "wrong"
    assert "no-such-package-of-anybody is missing" in packages[0].sentence
    assert "tomli" not in packages[0].sentence
    assert fits("2.0.0rc1", SpecifierSet(">=1"))


def test_the_command_ends_with_1_when_something_is_wrong(study, capsys, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    call = ["doctor", "--json", "--study", str(study.folder)]
    assert run(call) == 0
    assert json.loads(capsys.readouterr().out)["wrong"] == 0
    next(study.archive.rglob("*.fcs")).unlink()
    assert run(["doctor", "--study", str(study.folder)]) == 1
    said = capsys.readouterr().out
    assert "WRONG archive: 1 tube of 1 read are gone" in said
    assert "→ Put them back from the backup of the archive." in said
    assert os.listdir(study.inbox) == [".reconflow-inbox"]  # noqa: PTH208 - names alone
