"""A line that is gone from a sheet takes nothing with it, and is said until it is put back or the
tube is excluded."""

from pathlib import Path

from tasks.corrections.exclusion import decide_on_tube
from tasks.intake.take_in import take_in
from tasks.results.front_page import write_front_page
from tasks.results.patient_inputs import tables_due
from tasks.results.patient_tables import build_patient
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tests.tasks.study_folder import (
    DRAWN,
    PATIENTS,
    make_study,
    sentences_on_sheets,
    write_rows,
    write_tube,
)
from tests.tasks.test_patient_tables import give

ROWS = [
    f"{name}.fcs,P01,{DRAWN},{panel}"
    for name, panel in (("a", "bcell"), ("b", "cart"), ("c", "tbnk"))
]


def taken(folder: Path, rows: list[str] = ROWS, **options: str) -> Study:
    study = make_study(folder, rows, **options)
    for seed, row in enumerate(rows):
        name, _, _, panel = row.split(",")
        write_tube(study.inbox / name, panel, seed=seed)
    take_in(study)
    return study


def shas(study: Study) -> dict[str, str]:
    with study.store() as store:
        return {tube.file.inbox_path: tube.identity.tube_sha256 for tube in taken_in(store)}


def test_a_study_whose_lines_are_all_there_needs_no_word(tmp_path: Path) -> None:
    study = taken(tmp_path / "s")
    assert len(shas(study)) == 3
    assert sentences_on_sheets(study) == ()


def test_a_line_that_is_gone_is_said_with_what_it_said_and_comes_back_with_it(
    tmp_path: Path,
) -> None:
    study = taken(tmp_path / "s")
    before = shas(study)
    write_rows(study.folder, ROWS[1:])
    for _ in range(2):
        take_in(study)
        (notice,) = sentences_on_sheets(study)
    assert "samples.csv: no line names a.fcs any more" in notice
    assert before["a.fcs"][:12] in notice
    assert "patient P01, collected 2026-02-07T08:30:00, panel bcell, visit D28, blood" in notice
    told = f"take the tube out: reconflow tube exclude {before['a.fcs'][:12]}"
    assert f"Put the line back, or {told}" in notice
    assert shas(study) == before
    assert "no line names a.fcs any more" in write_front_page(read_snapshot(study)).read_text(
        encoding="utf-8"
    )
    write_rows(study.folder, ROWS)
    take_in(study)
    assert sentences_on_sheets(study) == ()


def test_an_excluded_tube_is_not_asked_about_until_it_is_included(tmp_path: Path) -> None:
    study = taken(tmp_path / "s")
    write_rows(study.folder, ROWS[1:])
    take_in(study)
    decide_on_tube(study, "a.fcs", "exclude", "A. Okafor", "taken out of the sheet on purpose")
    assert sentences_on_sheets(study) == ()
    decide_on_tube(study, "a.fcs", "include", "A. Okafor", "a slip")
    assert len(sentences_on_sheets(study)) == 1


def test_a_line_that_names_another_file_now_is_gone_too(tmp_path: Path) -> None:
    study = taken(tmp_path / "s")
    write_rows(study.folder, [ROWS[0].replace("a.fcs", "z.fcs"), *ROWS[1:]])
    assert "no line names a.fcs any more" in sentences_on_sheets(study)[0]


def test_a_sheet_that_is_gone_is_said_in_one_sentence(tmp_path: Path) -> None:
    rows = [f"{number}.fcs,P01,{DRAWN},bcell" for number in range(7)]
    study = taken(tmp_path / "s", rows)
    study.samples_sheet.unlink()
    (notice,) = sentences_on_sheets(study)
    assert "no line names 7 tubes any more" in notice


def test_a_sheet_that_cannot_be_read_is_no_line_that_is_gone(tmp_path: Path) -> None:
    study = taken(tmp_path / "s")
    study.samples_sheet.write_bytes(b"file;patient;collected;panel\n")
    assert sentences_on_sheets(study) == ()


def test_while_the_inbox_is_away_no_line_is_said_to_be_gone(tmp_path: Path) -> None:
    study = taken(tmp_path / "s")
    write_rows(study.folder, ROWS[1:])
    study.inbox.rename(tmp_path / "away")
    assert sentences_on_sheets(study) == ()


def test_a_tube_whose_name_says_all_needs_no_line(tmp_path: Path) -> None:
    settings = (
        "study: s\nintake: {settle_seconds: 0, filename_pattern: "
        "'(?P<patient>[^_]+)_(?P<collected>[^_]+)_(?P<panel>.+)'}\n"
    )
    study = make_study(tmp_path / "s", settings=settings)
    write_tube(study.inbox / "P01_20260207T0830_bcell.fcs")
    take_in(study)
    assert len(shas(study)) == 1
    assert sentences_on_sheets(study) == ()


def test_a_patient_who_is_gone_is_said_with_the_infusion_of_the_tables(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [])
    for day in (10, 20):
        give(study, "P01", day)
    write_rows(study.folder, [f"P01_{day}.fcs,P01,2026-03-{day}T08:00,bcell" for day in (10, 20)])
    for inputs in tables_due(read_snapshot(study)).patients:
        build_patient(read_snapshot(study), inputs)
    (study.folder / "patients.csv").write_text(
        PATIENTS.replace("P01,2026-01-10T11:00\n", ""), encoding="utf-8"
    )
    (notice,) = sentences_on_sheets(study)
    assert "patients.csv: there is no line of P01 any more, of whom 2 tubes were taken in" in notice
    assert "infused 2026-01-10T11:00" in notice
    assert "Put the line back" in notice


def test_a_patient_whose_line_is_wrong_is_not_said_to_be_gone(tmp_path: Path) -> None:
    study = taken(tmp_path / "s")
    (study.folder / "patients.csv").write_text("patient,infused\nP01,yesterday\n", encoding="utf-8")
    assert sentences_on_sheets(study) == ()
