"""Whose tube a file is comes from sheet, name and keywords; what contradicts itself waits and is
never guessed."""

from datetime import datetime
from pathlib import Path

import pytest

from gating.fcs.header import read_header
from tasks.intake.identify import Identification, identify
from tasks.intake.registry import Registry
from tasks.intake.sources import trusted_keywords
from tasks.sheets.patients import read_patients
from tasks.sheets.samples import read_samples
from tasks.study.settings import StudySettings
from tests.tasks.study_folder import PATIENTS, write_tube

NOW = datetime(2026, 6, 1)  # noqa: DTZ001
PATTERN = {"study": "s", "intake": {"filename_pattern": "{patient}_{visit}_{panel}"}}


def look(
    folder: Path,
    sheet: str,
    file: str = "a.fcs",
    *,
    settings: dict[str, object] | None = None,
    keywords: dict[str, str] | None = None,
) -> Identification:
    (folder / "samples.csv").write_text(sheet, encoding="utf-8")
    (folder / "patients.csv").write_text(PATIENTS, encoding="utf-8")
    registry = Registry(
        read_samples(folder / "samples.csv", folder / "inbox"),
        read_patients(folder / "patients.csv"),
        StudySettings.model_validate(settings or {"study": "s"}),
        NOW,
    )
    return identify(registry, file, "0" * 64, keywords or {})


def row(**cells: str) -> str:
    given = {
        "file": "a.fcs",
        "patient": "P01",
        "collected": "2026-02-07T08:30",
        "panel": "bcell",
    } | cells
    return ",".join(given) + "\n" + ",".join(given.values()) + "\n"


@pytest.mark.parametrize(
    ("collected", "visit"),
    [
        ("2026-02-07T08:30", "D28"),
        ("2026-01-03T08:30", "D-7"),
        ("2026-01-10T11:00", "D0"),
        ("2026-01-10T02:00", "D0"),
        ("2026-01-09T22:00", "D-1"),
        ("2026-01-12T23:00", "D3"),
    ],
)
def test_the_visit_is_the_rounded_day_since_infusion(
    tmp_path: Path, collected: str, visit: str
) -> None:
    found = look(tmp_path, row(collected=collected)).identity
    assert found is not None
    assert found.visit == visit


def test_what_the_sheet_lacks_comes_from_the_name(tmp_path: Path) -> None:
    found = look(
        tmp_path,
        "file,collected\nP01_EOS_bcell.fcs,2026-02-07T08:30\n",
        "P01_EOS_bcell.fcs",
        settings=PATTERN,
    ).identity
    assert found is not None
    assert (found.patient, found.visit, found.panel) == ("P01", "EOS", "bcell")


def test_sheet_and_name_that_contradict_each_other_are_both_named(tmp_path: Path) -> None:
    found = look(tmp_path, row(file="P02_D28_bcell.fcs"), "P02_D28_bcell.fcs", settings=PATTERN)
    assert found.identity is None
    assert "samples.csv, line 2 says P01" in found.sentences[0]
    assert "the file's name says P02" in found.sentences[0]


def test_no_keyword_is_believed_unless_the_study_says_so(tmp_path: Path) -> None:
    header = read_header(write_tube(tmp_path / "a.fcs"))
    assert trusted_keywords(header, StudySettings(study="s")) == {}
    named = StudySettings.model_validate(
        {"study": "s", "intake": {"keywords": {"instrument": "$CYT"}}}
    )
    assert trusted_keywords(header, named) == {"instrument": "BD FACSLyric"}


def test_a_keyword_completes_the_sheet(tmp_path: Path) -> None:
    found = look(
        tmp_path, row(), keywords={"instrument": "BD FACSLyric", "acquired_volume_ul": "30.59"}
    ).identity
    assert found is not None
    assert (found.instrument, found.acquired_volume_ul) == ("BD FACSLyric", 30.59)


def test_a_keyword_that_contradicts_the_sheet_is_not_repeated(tmp_path: Path) -> None:
    found = look(tmp_path, row(), keywords={"patient": "Miller"})
    assert found.identity is None
    assert "a keyword of the file says something else" in found.sentences[0]
    assert "Miller" not in " ".join(found.sentences)


def test_numbers_that_differ_by_rounding_are_the_same(tmp_path: Path) -> None:
    assert (
        look(
            tmp_path, row(acquired_volume_ul="30.6"), keywords={"acquired_volume_ul": "30.59"}
        ).identity
        is not None
    )
    assert (
        look(
            tmp_path, row(acquired_volume_ul="40"), keywords={"acquired_volume_ul": "30.59"}
        ).identity
        is None
    )


@pytest.mark.parametrize(
    ("sheet", "told"),
    [
        (
            "file,patient\nb.fcs,P01\n",
            "No line of samples.csv names a.fcs: add one with file,patient,collected,panel",
        ),
        ("file,patient\na.fcs,P01\n", "samples.csv, line 2: collected, panel missing"),
        (row(patient="P09"), "Patient 'P09' is not in patients.csv"),
        (row(collected="2027-02-07T08:30"), "lies in the future"),
        (row(collected="2006-02-07T08:30"), "more than a year before the infusion"),
        (row(acquired="2026-02-06T08:30"), "is before collected"),
        (row(collected="2026-02-07T08:30+01:00"), "has an offset"),
        (
            row(visit="D4"),
            (
                "samples.csv, line 2: visit D4 contradicts collected 2026-02-07T08:30:00, which "
                "is day 27.9"
            ),
        ),
        (row(visit="Day 280"), "contradicts"),
        (row(visit="D-28"), "contradicts"),
    ],
)
def test_what_is_missing_or_cannot_be_says_where_to_mend(
    tmp_path: Path, sheet: str, told: str
) -> None:
    found = look(tmp_path, sheet)
    assert found.identity is None
    assert told in " ".join(found.sentences)


@pytest.mark.parametrize("visit", ["D14", "D21", "D28", "d35", "D+28", "W4", "EOS", "D28-repeat"])
def test_a_visit_may_lie_in_its_window_and_a_label_that_names_no_day_says_none(
    tmp_path: Path, visit: str
) -> None:
    assert look(tmp_path, row(visit=visit)).identity is not None


@pytest.mark.parametrize(
    ("collected", "visit", "taken"),
    [("2025-12-20T08:30", "D-7", True), ("2026-01-04T08:30", "D7", False)],
)
def test_before_infusion_any_day_may_be_the_baseline_and_none_a_later_visit(
    tmp_path: Path, collected: str, visit: str, *, taken: bool
) -> None:
    assert (look(tmp_path, row(collected=collected, visit=visit)).identity is not None) is taken


def test_a_late_visit_has_a_wider_window(tmp_path: Path) -> None:
    assert look(tmp_path, row(collected="2026-05-20T08:30", visit="D168")).identity is not None
    assert look(tmp_path, row(collected="2026-05-20T08:30", visit="D300")).identity is None


def test_a_keywords_lymphocytes_above_the_sheets_leukocytes_are_in_doubt_and_not_repeated(
    tmp_path: Path,
) -> None:
    found = look(tmp_path, row(leukocytes_per_ul="500"), keywords={"lymphocytes_per_ul": "5000"})
    assert found.identity is None
    assert "lymphocytes_per_ul is above leukocytes_per_ul" in found.sentences[0]
    assert "5000" not in found.sentences[0]


@pytest.mark.parametrize(
    "written",
    ["p01_d28_BCELL.fcs", "P01_D28_bcel.fcs", "P01_D28_bcell.FCS", "run1/P01_D28_bcelll.fcs"],
)
def test_a_slip_in_the_name_of_a_file_is_found_and_its_line_named(
    tmp_path: Path, written: str
) -> None:
    found = look(tmp_path, row(file=written), "P01_D28_bcell.fcs")
    assert found.identity is None
    assert f"samples.csv, line 2 names '{written}': if that is this file" in found.sentences[0]


@pytest.mark.parametrize(
    "written", ["P02_D28_bcell.fcs", "P01_D56_bcell.fcs", "P01_D28_tbnk.fcs", "*_D28_bcel.fcs"]
)
def test_the_line_of_another_tube_is_not_taken_for_a_slip(tmp_path: Path, written: str) -> None:
    found = look(tmp_path, row(file=written), "P01_D28_bcell.fcs")
    assert "add one with file" in found.sentences[0]


@pytest.mark.parametrize(
    ("file", "cells"),
    [
        ("P01_D28_BM.fcs", {}),
        ("marrow 3/a.fcs", {}),
        ("a.fcs", {"visit": "D28 marrow"}),
        ("a.fcs", {"comment": "Knochenmark links"}),
    ],
)
def test_what_may_be_marrow_waits_until_its_specimen_is_written(
    tmp_path: Path, file: str, cells: dict[str, str]
) -> None:
    found = look(tmp_path, row(file=file, **cells), file)
    assert found.identity is None
    assert "Write blood or marrow in the column specimen" in found.sentences[0]
    assert all(
        look(tmp_path, row(file=file, specimen=each, **cells), file).identity
        for each in ("blood", "marrow")
    )


@pytest.mark.parametrize("file", ["submarine.fcs", "BMX.fcs", "P01_D28_bcell.fcs"])
def test_a_name_that_does_not_speak_of_marrow_is_blood(tmp_path: Path, file: str) -> None:
    found = look(tmp_path, row(file=file), file).identity
    assert found is not None
    assert found.specimen == "blood"


def test_a_tube_collected_this_evening_far_east_is_not_in_the_future(tmp_path: Path) -> None:
    assert look(tmp_path, row(collected="2026-06-01T12:00")).identity is not None
