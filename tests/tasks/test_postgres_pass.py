"""A study with a PostgreSQL store has the tables, pages and exports of one with SQLite."""

import csv
import hashlib
import shutil
from pathlib import Path

import pytest

from tasks.export.files import write_export
from tasks.export.study_data import collect
from tasks.results.cohort_tables import build_cohort
from tasks.results.tables_expected import KEPT
from tasks.simulate.study import TRUTH, write_study
from tasks.steps.one_pass import one_pass
from tasks.store.ledger import all_files, history
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tests.tasks.plain_pass import take_in_count_and_build


@pytest.fixture
def twins(tmp_path: Path, empty_postgres: str) -> tuple[Study, Study]:
    """Two copies of a simulated study: one keeps its store in its folder, one on a server."""
    simulated = write_study(tmp_path / "one", patients=1, visits=2, events=0.03, workers=1).folder
    shutil.rmtree(simulated / TRUTH)
    shutil.copytree(simulated, tmp_path / "two")
    for name, store in (("one", ""), ("two", f"store: {empty_postgres}\n")):
        with (tmp_path / name / "study.yaml").open("a", encoding="utf-8") as file:
            file.write(f"intake: {{settle_seconds: 0}}\n{store}")
    return open_study(tmp_path / "one"), open_study(tmp_path / "two")


def a_pass(study: Study) -> dict[str, object]:
    """Make a whole pass and export what it made; gives the pass's summary."""
    with one_pass(study.folder, "nightly") as this:
        take_in_count_and_build(this)
        if this.counted:
            build_cohort(read_snapshot(study))
    write_export(collect(study), "csv", study.results / "export")
    return {name: number for name, number in this.summary.items() if name != "report"}


def hashes(folder: Path) -> dict[str, str]:
    """Hash every file but the store, its address and the marks that name each folder."""
    differing = ("reconflow.db", "study.yaml", ".reconflow-", KEPT)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.startswith(differing)
    }


def courses(study: Study) -> dict[str, list[tuple[str | None, str, str]]]:
    """Give what the ledger says happened to each file."""
    with study.store() as store:
        return {
            record.inbox_path: [
                (step.from_state, step.to_state, step.reason) for step in history(store, record.id)
            ]
            for record in all_files(store)
        }


def test_inbox_to_tables_on_postgresql_is_inbox_to_tables_on_sqlite(
    twins: tuple[Study, Study],
) -> None:
    sqlite, postgres = twins
    first = a_pass(sqlite)
    assert (first["accepted"], first["counted"], first["patients"]) == (7, 7, 1)
    assert a_pass(postgres) == first
    made = hashes(sqlite.folder)
    assert hashes(postgres.folder) == made
    assert courses(postgres) == courses(sqlite)
    assert not (postgres.folder / "reconflow.db").exists()
    with (postgres.results / "patients" / "P01" / "kinetics.csv").open(encoding="utf-8") as file:
        codes = [row["code"] for row in csv.DictReader(file)]
    assert {"Q", "ND", "NE"} <= set(codes)
    assert a_pass(postgres)["counted"] == 0
    assert hashes(postgres.folder) == made
