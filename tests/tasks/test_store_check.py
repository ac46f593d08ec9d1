"""A store that was lost is never taken for an empty study: nothing is withdrawn, nothing deleted,
and the sentence says what to do."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from panels.text.errors import UsageFault
from tasks.intake.take_in import take_in
from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.results.cohort_tables import build_cohort, cohort_is_due
from tasks.results.stored_tables import built_patients, patient_folder
from tasks.steps.one_pass import one_pass
from tasks.store.editions import Edition, save_edition
from tasks.store.tubes import save_tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tests.tasks.published_rows import ROW
from tests.tasks.study_folder import AT_ONCE, DRAWN, make_study, write_tube

ROWS = [f"a.fcs,P01,{DRAWN},bcell", f"b.fcs,P02,{DRAWN},bcell"]


def with_results(folder: Path) -> Study:
    """A study with a tube of two patients each, and tables that say they were made of those
    tubes."""
    study = make_study(folder, ROWS)
    for seed, name in enumerate("ab"):
        write_tube(study.inbox / f"{name}.fcs", seed=seed)
    take_in(study)
    with study.store() as store:
        tubes = [tube.identity for tube in taken_in(store)]
    for tube in tubes:
        made = patient_folder(study, tube.patient)
        made.mkdir(parents=True)
        cells = ROW | {"patient": tube.patient, "tube_sha256": tube.tube_sha256}
        lines = [",".join(KINETICS.names), ",".join(str(cells[name]) for name in KINETICS.names)]
        tables = [("\n".join(lines) + "\n").encode(), (",".join(PARAMETERS.names) + "\n").encode()]
        for name, table in zip(("kinetics.csv", "parameters.csv"), tables, strict=True):
            (made / name).write_bytes(table)
        with study.store() as store:
            save_edition(store, Edition(tube.patient, "made of its tube", *tables))
    return study


def on_disk(study: Study) -> dict[str, bytes]:
    folders = (study.inbox, study.archive, study.results)
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def lose_store(study: Study) -> None:
    for path in study.folder.glob("reconflow.db*"):
        path.unlink()


def test_a_lost_store_stops_the_pass_and_nothing_is_deleted(tmp_path: Path) -> None:
    study = with_results(tmp_path / "s")
    lose_store(study)
    before = on_disk(study)
    with (
        pytest.raises(
            UsageFault, match=r"reconflow\.db does not know this study's tubes, but 2 tubes lie in"
        ),
        one_pass(study.folder, "run"),
    ):
        pass
    with pytest.raises(UsageFault):
        take_in(study)
    assert on_disk(study) == before


def test_another_store_stops_the_pass_even_when_new_files_lie_in_the_inbox(tmp_path: Path) -> None:
    study = with_results(tmp_path / "s")
    (study.folder / "study.yaml").write_text(
        f"{AT_ONCE}store: sqlite:///other.db\n", encoding="utf-8"
    )
    study = open_study(study.folder)
    write_tube(study.inbox / "a.fcs", seed=9)
    before = on_disk(study)
    for _ in range(2):
        with pytest.raises(UsageFault, match="correct 'store'"):
            take_in(study)
    assert on_disk(study) == before


def test_files_left_in_place_are_missed_by_the_results_they_gave(tmp_path: Path) -> None:
    study = with_results(tmp_path / "s")
    study.archive.rename(tmp_path / "elsewhere")
    lose_store(study)
    before = on_disk(study)
    with pytest.raises(UsageFault, match="there are patients' tables"):
        take_in(study)
    assert on_disk(study) == before


def test_an_older_copy_of_the_store_keeps_the_patients_it_does_not_know_and_says_so(
    tmp_path: Path,
) -> None:
    study = with_results(tmp_path / "s")
    with study.store() as store, store.writing() as connection:
        connection.execute(text("DELETE FROM transitions WHERE file_id = 2"))
        connection.execute(text("DELETE FROM files WHERE id = 2"))
        connection.execute(text("DELETE FROM tubes WHERE patient = 'P02'"))
    assert any(
        "1 tubes in the archive are unknown" in sentence for sentence in take_in(study).sentences
    )
    cohort_is_due(study)
    build_cohort(read_snapshot(study))
    assert built_patients(study) == ["P01", "P02"]


def test_results_of_a_patient_whose_tubes_went_to_another_are_set_aside_not_deleted(
    tmp_path: Path,
) -> None:
    study = with_results(tmp_path / "s")
    kept = (patient_folder(study, "P02") / "kinetics.csv").read_bytes()
    with study.store() as store:
        (tube,) = taken_in(store, patient="P02")
        with store.writing() as connection:
            save_tube(connection, replace(tube.identity, patient="P01"), {})
    (study.results / "withdrawn" / "P02").mkdir(parents=True)
    assert cohort_is_due(study)
    assert build_cohort(read_snapshot(study)) == 1
    assert built_patients(study) == ["P01"]
    assert (study.results / "withdrawn" / "P02-2" / "kinetics.csv").read_bytes() == kept
