"""A sheet is read strictly: a wrong line is named and stops no other, and what can be read two ways
is not read."""

from datetime import datetime
from pathlib import Path

import pytest

from tasks.sheets.csv_table import SheetProblem
from tasks.sheets.patients import read_patients
from tasks.sheets.samples import SampleRow, SampleSheet, read_samples

HEADER = "file,patient,collected,panel,beads_per_tube,specimen,control\n"
GOOD = "a.fcs,P01,2026-02-07T08:30,tbnk,49713,,\n"


def read(folder: Path, content: str | bytes) -> SampleSheet:
    (folder / "samples.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return read_samples(folder / "samples.csv", folder / "inbox")


def only_fault(sheet: SampleSheet) -> SheetProblem:
    (fault,) = sheet.faults
    return fault


def test_a_line_is_read_with_its_types(tmp_path: Path) -> None:
    (row,) = read(tmp_path, HEADER + GOOD).rows
    assert row.values == {
        "patient": "P01",
        "collected": datetime(2026, 2, 7, 8, 30),  # noqa: DTZ001 - as it stands in the sheet
        "panel": "tbnk",
        "beads_per_tube": 49713.0,
    }
    assert str(row) == "samples.csv, line 2"


def test_byte_order_mark_windows_line_ends_blank_lines_and_capitals_do_no_harm(
    tmp_path: Path,
) -> None:
    text = "\ufeff" + (HEADER.replace("file", " File") + "\n,,,,,,\n" + GOOD).replace("\n", "\r\n")
    (row,) = read(tmp_path, text.encode()).rows
    assert row.file == "a.fcs"
    assert row.line == 4


def test_empty_columns_at_the_right_do_no_harm(tmp_path: Path) -> None:
    text = HEADER.replace("\n", ",,\n") + GOOD.replace("\n", ",,\n")
    assert read(tmp_path, text).faults == ()


@pytest.mark.parametrize(
    ("line", "column", "told"),
    [
        ('b.fcs,P01,2026-02-07T08:30,tbnk,"49.713,0",,', "beads_per_tube", "decimal point"),
        ('b.fcs,P01,2026-02-07T08:30,tbnk,"4,5",,', "beads_per_tube", "decimal point"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk,49713,5,,", "", "8 values, but there are 7 columns"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk", "", "4 values, but there are 7 columns"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk,49.713,,", "beads_per_tube", "too few"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk,0,,", "beads_per_tube", "above 0"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk,-5,,", "beads_per_tube", "above 0"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk,nan,,", "beads_per_tube", "not a number"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk,49713 beads,,", "beads_per_tube", "without unit"),
        ("b.fcs,P01,07.02.2026 08:30,tbnk,,,", "collected", "ISO 8601"),
        ("b.fcs,P01,02/07/2026,tbnk,,,", "collected", "ISO 8601"),
        ("b.fcs,P01,2026-02-07,tbnk,,,", "collected", "2026-02-07T08:30"),
        ("b.fcs,P01,2026-02-30T08:30,tbnk,,,", "collected", "no day or time that exists"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk,,plasma,", "specimen", "blood or marrow"),
        ("b.fcs,P01,2026-02-07T08:30,tbnk,,,FMO CD27", "control", "fmo:<marker>"),
        ("b.fcs,../P01,2026-02-07T08:30,tbnk,,,", "patient", "cannot be a patient id"),
        ("b.fcs,P01.,2026-02-07T08:30,tbnk,,,", "patient", "cannot be a patient id"),
        ("b.fcs,Con.1,2026-02-07T08:30,tbnk,,,", "patient", "Windows computers cannot open"),
    ],
)
def test_a_wrong_line_names_its_column_and_mend_and_stops_no_other(
    tmp_path: Path, line: str, column: str, told: str
) -> None:
    sheet = read(tmp_path, f"{HEADER}{line}\n{GOOD}")
    fault = only_fault(sheet)
    assert (fault.line, fault.column, fault.concerns) == (2, column, ("b.fcs",))
    assert told in fault.sentence
    assert [row.file for row in sheet.rows] == ["a.fcs"]
    assert sheet.naming("b.fcs") == [fault]


@pytest.mark.parametrize(
    ("column", "number", "told"),
    [
        ("leukocytes_per_ul", "0.48", "Is it in 10⁹/L? Then write 480."),
        ("leukocytes_per_ul", "49", "below 50"),
        ("lymphocytes_per_ul", "0.3", "Then write 300."),
        ("lymphocytes_per_ul", "4.9", "below 5"),
        ("dilution", "0.1", "final volume over the volume of blood"),
    ],
)
def test_a_number_in_another_unit_is_asked_about(
    tmp_path: Path, column: str, number: str, told: str
) -> None:
    fault = only_fault(read(tmp_path, f"file,{column}\nb.fcs,{number}\n"))
    assert fault.column == column
    assert told in fault.sentence


@pytest.mark.parametrize("cells", ["50,5,1", "500,500,10", ",5,", "480,,2.5"])
def test_small_counts_that_can_be_true_are_taken(tmp_path: Path, cells: str) -> None:
    assert (
        read(
            tmp_path, f"file,leukocytes_per_ul,lymphocytes_per_ul,dilution\nb.fcs,{cells}\n"
        ).faults
        == ()
    )


def test_more_lymphocytes_than_leukocytes_are_in_doubt_and_both_are_named(tmp_path: Path) -> None:
    fault = only_fault(
        read(tmp_path, "file,leukocytes_per_ul,lymphocytes_per_ul\nb.fcs,500,5000\n")
    )
    assert "5000 lymphocytes per µL are more than all leukocytes (500 per µL)" in fault.sentence


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ((HEADER + GOOD).replace(",", ";").encode(), "separated by semicolons"),
        ((HEADER + GOOD).replace(",", "\t").encode(), "separated by tabs"),
        ((HEADER + GOOD).encode("utf-16"), "UTF-16"),
        ((HEADER + GOOD.replace("a.fcs", "é.fcs")).encode("latin-1"), "not UTF-8"),
        (b"", "empty"),
        (b"PK\x03\x04" + b"\0" * 60, "no text"),
        (HEADER.replace("panel", "file").encode(), "'file' is there twice"),
        (b"well,dye\nA1,PE\n", "not a sample sheet"),
    ],
)
def test_a_sheet_that_cannot_be_read_says_how_to_save_it(
    tmp_path: Path, content: bytes, told: str
) -> None:
    sheet = read(tmp_path, content)
    assert sheet.rows == ()
    assert told in only_fault(sheet).sentence


def test_an_unknown_column_is_named_with_the_nearest_and_no_line_is_used(tmp_path: Path) -> None:
    sheet = read(tmp_path, HEADER.replace("beads_per_tube", "beads_pertube") + GOOD)
    assert sheet.rows == ()
    assert "'beads_pertube'" in only_fault(sheet).sentence
    assert "'beads_per_tube'" in only_fault(sheet).sentence
    assert sheet.naming("a.fcs") == [only_fault(sheet)]


@pytest.mark.parametrize(
    ("pattern", "named", "not_named"),
    [
        ("run1/*.fcs", ["run1/a.fcs"], ["a.fcs", "run1/x/a.fcs", "run2/a.fcs"]),
        ("**/a.fcs", ["a.fcs", "run1/a.fcs", "run1/x/a.fcs"], ["run1/ba.fcs"]),
        ("run1\\a.fcs", ["run1/a.fcs"], ["a.fcs"]),
        ("T?.fcs", ["T1.fcs"], ["T12.fcs", "T/.fcs"]),
        ("T[1-3].fcs", ["T2.fcs", "T[1-3].fcs"], ["T4.fcs"]),
        ("Tube (1)+.fcs", ["Tube (1)+.fcs", "x/Tube (1)+.fcs"], ["Tube 1.fcs"]),
        ("./a.fcs", ["a.fcs"], []),
        ("Zo\u00eb.fcs", ["Zoe\u0308.fcs"], ["Zoe.fcs"]),
    ],
)
def test_a_line_names_files_by_path_name_or_glob(
    tmp_path: Path, pattern: str, named: list[str], not_named: list[str]
) -> None:
    sheet = read(tmp_path, f"file,patient\n{pattern},P01\n")
    assert sheet.faults == ()
    assert all(
        isinstance(sheet.naming(name)[0], SampleRow) and len(sheet.naming(name)) == 1
        for name in named
    )
    assert all(sheet.naming(name) == [] for name in not_named)


def test_a_sheet_in_a_sub_folder_may_name_the_files_beside_it(tmp_path: Path) -> None:
    dropped = tmp_path / "inbox" / "run1" / "sheet.csv"
    dropped.parent.mkdir(parents=True)
    dropped.write_text("file,patient\na.fcs,P01\nrun1/b.fcs,P01\n", encoding="utf-8")
    sheet = read_samples(tmp_path / "samples.csv", tmp_path / "inbox", [dropped])
    assert [len(sheet.naming(name)) for name in ("run1/a.fcs", "run1/b.fcs")] == [1, 1]
    assert sheet.rows[0].sheet == "inbox/run1/sheet.csv"


# -- patients.csv


def patients_file(folder: Path, text: str) -> Path:
    (folder / "patients.csv").write_text(text, encoding="utf-8")
    return folder / "patients.csv"


def test_patients_have_products_a_baseline_and_any_further_column_as_text(tmp_path: Path) -> None:
    times = "2026-01-10T11:00,2026-01-10T11:00,2026-01-10T13:00"
    text = (
        f"patient,infused,infused_car19,infused_carbcma,baseline_visit,arm\nP01,{times},D-7,dose "
        f"2\n"
    )
    patient = read_patients(patients_file(tmp_path, text)).patients["P01"]
    assert patient.products == {
        "car19": datetime(2026, 1, 10, 11),  # noqa: DTZ001 - the same
        "carbcma": datetime(2026, 1, 10, 13),  # noqa: DTZ001 - the same
    }
    assert patient.baseline_visit == "D-7"
    assert patient.strata == {"arm": "dose 2"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("P02,2026-01-10", "date without time"),
        ("P02,", "infused is empty"),
        (",2026-01-10T11:00", "patient is empty"),
        ("Mrs Miller,2026-01-10T11:00", "cannot be a patient id"),
        ("P02,2026-01-10T11:00,x", "3 values, but there are 2 columns"),
    ],
)
def test_a_wrong_patient_stops_no_other(tmp_path: Path, line: str, told: str) -> None:
    sheet = read_patients(
        patients_file(tmp_path, f"patient,infused\n{line}\nP01,2026-01-10T11:00\n")
    )
    assert set(sheet.patients) == {"P01"}
    assert told in str(sheet.faults[0])
    assert "patients.csv, line 2" in str(sheet.faults[0])


@pytest.mark.parametrize(
    ("times", "earliest"),
    [
        ("2026-01-10T11:00,2026-01-08T11:00,", "infused_car19 2026-01-08T11:00:00"),
        (
            "2026-01-10T11:00,2026-01-12T11:00,2026-01-11T11:00",
            "infused_carbcma 2026-01-11T11:00:00",
        ),
    ],
)
def test_an_infusion_that_is_not_that_of_the_first_product_is_refused(
    tmp_path: Path, times: str, earliest: str
) -> None:
    sheet = read_patients(
        patients_file(tmp_path, f"patient,infused,infused_car19,infused_carbcma\nP01,{times}\n")
    )
    assert sheet.patients == {}
    assert f"infused is 2026-01-10T11:00:00, but the earliest of the products is {earliest}" in str(
        sheet.faults[0]
    )


def test_a_patient_twice_is_used_nowhere(tmp_path: Path) -> None:
    sheet = read_patients(
        patients_file(tmp_path, "patient,infused\nP01,2026-01-10T11:00\np01,2026-01-11T11:00\n")
    )
    assert sheet.patients == {}
    assert "line 2" in sheet.why_not("P01")
    assert "line 3" in sheet.why_not("p01")


def test_a_second_course_of_treatment_is_told_how_to_be_written(tmp_path: Path) -> None:
    sheet = read_patients(
        patients_file(tmp_path, "patient,infused\nP01,2026-01-10T11:00\nP01,2027-01-11T11:00\n")
    )
    assert sheet.patients == {}
    assert sheet.why_not("P01").endswith(
        "A second course of treatment is a patient of its own here, such as P01-2."
    )


def test_a_column_nearly_called_infused_is_asked_about(tmp_path: Path) -> None:
    sheet = read_patients(patients_file(tmp_path, "patient,infusd\nP01,2026-01-10T11:00\n"))
    assert any("'infused'" in str(fault) for fault in sheet.faults)
