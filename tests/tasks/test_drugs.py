"""Drugs are known by what a ward writes; what is not known, or has no stop, is asked about and
never passed over."""

from datetime import date
from pathlib import Path

import pytest

from tasks.results.patient_inputs import tables_due
from tasks.sheets.drug_notices import drug_notices
from tasks.sheets.drugs import Exposure, read_drugs
from tasks.strategies.in_use import read_snapshot
from tasks.vocabulary.flags import Flag
from tests.tasks.plain_pass import notes
from tests.tasks.study_folder import make_study, sentences_on_sheets
from tests.tasks.test_patient_tables import give

DAY = date(2026, 3, 10)
HEADER = "patient,drug,start,stop\n"


def course(
    drug: str, start: str = "2026-03-01", stop: str | None = None, *, ongoing: bool = False
) -> Exposure:
    return Exposure(
        "P01",
        drug,
        date.fromisoformat(start),
        date.fromisoformat(stop) if stop else None,
        ongoing,
        2,
    )


def read(folder: Path, *lines: str, header: str = HEADER):
    (folder / "drugs.csv").write_text(
        header + "".join(f"{line}\n" for line in lines), encoding="utf-8"
    )
    return read_drugs(folder / "drugs.csv")


@pytest.mark.parametrize(
    ("drugs", "flag"),
    [
        (
            (
                "Rituximab|rituximab-abbs|RITUXIMAB|MabThera|Rituxan "
                "Hycela|Truxima|Rixathon|Riximyo|Ruxience|Gazyva|Gazyvaro|obinutuzumab"
                "|Ocrevus|ocrelizumab|Kesimpta|Arzerra|ofatumumab|Briumvi|Rituximab "
                "(MabThera®) 375 mg/m²|Rixathön|mab thera"
            ),
            Flag.CD20_MASKED,
        ),
        (
            (
                "Daratumumab|Darzalex Faspro|daratumumab and "
                "hyaluronidase-fihj|Sarclisa|isatuximab-irfc"
            ),
            Flag.CD38_MASKED,
        ),
        (
            (
                "IVIG|ivIg|i.v. Ig|IV IG|Octagam 10 "
                "%|Privigen|Kiovig|Gamunex-C|Hizentra|SCIG|Immunglobuline|Immune Globulin "
                "(human)"
                "|immunoglobulin G|Inmunoglobulina|IgVena|Ig Vena|HyQvia|Gammagard|Panzyga"
            ),
            Flag.IMMUNOGLOBULIN_GIVEN,
        ),
    ],
)
def test_brands_synonyms_and_biosimilars_are_known(drugs: str, flag: Flag) -> None:
    for drug in drugs.split("|"):
        assert set(course(drug).flags_on(DAY).values()) == {flag}, drug


@pytest.mark.parametrize(
    "drug",
    [
        "Prednisolon",
        "MMF",
        "Mycophenolat",
        "Hydroxychloroquine",
        "Benlysta",
        "belimumab",
        "Saphnelo",
        "Cyclophosphamid",
        "MTX",
    ],
)
def test_drugs_that_hide_nothing_need_no_word(drug: str) -> None:
    assert course(drug).flags_on(DAY) == {}
    assert drug_notices({"P01": [course(drug)]}, ["P01"]) == ()


@pytest.mark.parametrize(
    ("drug", "told"),
    [
        (
            "Foobarumab",
            "drugs.csv, line 2, column drug: 'Foobarumab' is not known here. No count is flagged",
        ),
        ("Rituximb", "did you mean 'rituximab'?"),
        ("Sarklisa", "did you mean 'sarclisa'?"),
        ("Thymoglobuline", "is not known here"),
        ("study drug 7", "is not known here"),
        ("Uplizna", "binds CD19"),
        ("Blinatumomab", "binds CD19"),
    ],
)
def test_an_unknown_drug_is_said_with_its_line(drug: str, told: str) -> None:
    assert course(drug).flags_on(DAY) == {}
    (notice,) = drug_notices({"P01": [course(drug, stop="2026-03-02")]}, ["P01"])
    assert told in notice


def test_a_patient_nobody_knows_is_said() -> None:
    (notice,) = drug_notices({"P01": [course("IVIG", stop="2026-03-02")]}, ["P1", "P02"])
    assert (
        "drugs.csv, line 2, column patient: 'P01' is not in patients.csv; did you mean 'P" in notice
    )


# -- courses


def said(exposure: Exposure, day: str) -> set[str]:
    return {str(flag) for flag in exposure.flags_on(date.fromisoformat(day)).values()}


def test_a_course_without_stop_counts_as_given_at_its_start_and_what_came_later_is_not_known() -> (
    None
):
    old = course("rituximab", "2010-05-01")
    assert said(old, "2010-04-30") == set()
    assert said(old, "2011-05-01") == {"cd20_masked_by_drug"}
    assert said(old, "2026-03-10") == {"drug_stop_missing"}
    (notice,) = drug_notices({"P01": [old]}, ["P01"])
    assert (
        "drugs.csv, line 2, column stop: rituximab of P01 was begun on 2010-05-01 and has no stop"
        in notice
    )
    assert "or 'ongoing'" in notice


def test_a_course_with_stop_is_felt_for_its_time_and_no_longer() -> None:
    ended = course("rituximab", "2010-05-01", "2025-04-01")
    assert said(ended, "2026-04-01") == {"cd20_masked_by_drug"}
    assert said(ended, "2026-04-02") == set()
    assert drug_notices({"P01": [ended]}, ["P01"]) == ()


def test_a_course_that_goes_on_is_said_to(tmp_path: Path) -> None:
    exposures, faults = read(tmp_path, "P01,IVIG,2024-01-01,Ongoing")
    assert faults == ()
    assert said(exposures["P01"][0], "2026-03-10") == {"immunoglobulin_given"}
    assert drug_notices(exposures, ["P01"]) == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("P01,rituximab,2026-01-01,9999-12-31", "column stop: 9999-12-31 is no day of a treatment"),
        (
            "P01,rituximab,2026-01-01,31.12.2026",
            "column stop: '31.12.2026' is no day: write it as 2026-03-31, or 'ongoing'",
        ),
        ("P01,rituximab,0001-01-01,", "column start: 0001-01-01 is no day of a treatment"),
        ("P01,rituximab,ongoing,", "column start: 'ongoing' is no day"),
        ("P01,rituximab,2026-03-01,2026-02-01", "was stopped on 2026-02-01"),
        (f"P01,{'x' * 600},2026-03-01,", "at most 500 characters"),
        ("P01,rituximab,2026-02-30,", "'2026-02-30' is no day"),
        ("P01,rituximab,2026-03-01,2026-03-02,more", "The line has 5 values"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_the_others_hold(
    tmp_path: Path, line: str, told: str
) -> None:
    exposures, (fault,) = read(tmp_path, line, "P02,IVIG,2026-01-01,2026-02-01")
    assert list(exposures) == ["P02"]
    assert str(fault).startswith("drugs.csv, line 2")
    assert told in str(fault)


@pytest.mark.parametrize(
    "header",
    ["patient,drug,start,stopp\n", "patient,drugs,start,stop\n", "patient;drug;start;stop\n"],
)
def test_a_misspelt_column_is_named(tmp_path: Path, header: str) -> None:
    exposures, (fault,) = read(tmp_path, "P01,rituximab,2026-01-01,2026-02-01", header=header)
    assert exposures == {}
    assert "drugs.csv, line 1" in str(fault)


def test_a_sheet_that_cannot_be_read_is_said_and_the_night_goes_on(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    give(study, "P01", 10)
    study.drugs_sheet.write_bytes(b"patient,drug,start,stop\nP01,M\xfcller,2026-01-01,\n")
    exposures, (fault,) = read_drugs(study.drugs_sheet)
    assert exposures == {}
    assert "not UTF-8" in str(fault)
    assert "no count says whether such a drug hides it" in " ".join(notes(study)["P01"])
    assert [inputs.patient for inputs in tables_due(read_snapshot(study)).patients] == ["P01"]


def test_a_wrong_line_stands_in_the_report_of_its_patient(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    for patient in ("P01", "P02"):
        give(study, patient, 10)
    read(study.folder, "P01,rituximab,2026-01-01,9999-12-31", "P02,Rituximb,2026-01-01,2026-01-02")
    assert list(notes(study)) == ["P01"]
    assert any("did you mean 'rituximab'" in notice for notice in sentences_on_sheets(study))
