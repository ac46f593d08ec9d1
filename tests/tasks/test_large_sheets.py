"""A sheet too large, too wide or without end is refused in a sentence, and soon."""

import time
from pathlib import Path

import pytest

from tasks.sheets.drugs import read_drugs
from tasks.sheets.patients import read_patients
from tasks.sheets.samples import read_samples

HEADER = "file,patient,collected,panel\n"
LINE = "a.fcs,P01,2026-01-02T10:00,tbnk"
LARGE = {
    "a cell of 100 MB": (
        HEADER + '"' + "a" * 100_000_000 + '",P01,2026-01-02T10:00,tbnk\n',
        "larger than 10 MB",
    ),
    "a cell of 9 MB": (
        HEADER + '"' + "a" * 9_000_000 + '",P01,2026-01-02T10:00,tbnk\n',
        "not a CSV file that can be read",
    ),
    "a cell of 100 kB": (
        HEADER + "a" * 100_000 + ",P01,2026-01-02T10:00,tbnk\n",
        "A value has 100,000 letters",
    ),
    "a million columns": (
        ",".join(f"c{i}" for i in range(1_000_000)) + "\n",
        "names 1,000,000 columns",
    ),
    "a long column": ("file," + "c" * 5000 + "\n", "a name of 5,000 letters"),
    "a quote that never ends": (
        HEADER + f'"{LINE}\n' + f"{LINE}\n" * 100_000,
        "not a CSV file that can be read",
    ),
    "nothing but lines": (HEADER + "\n" * 9_000_000, "more than 50,000 lines"),
    "nothing but commas": (HEADER + ",\n" * 4_000_000, "more than 50,000 lines"),
    "too many lines": (HEADER + f"{LINE}\n" * 60_000, "more than 50,000 lines"),
}


@pytest.mark.parametrize("kind", LARGE)
def test_it_is_refused_soon(tmp_path: Path, kind: str) -> None:
    text, told = LARGE[kind]
    (tmp_path / "samples.csv").write_text(text, encoding="utf-8")
    begun = time.process_time()
    sheet = read_samples(tmp_path / "samples.csv", tmp_path / "inbox")
    assert time.process_time() - begun < 5
    assert sheet.rows == ()
    assert told in str(sheet.faults[0])


def test_a_million_empty_columns_at_the_right_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text(
        HEADER.strip() + "," * 1_000_000 + "\n" + LINE + "," * 1_000_000 + "\n", encoding="utf-8"
    )
    (row,) = read_samples(tmp_path / "samples.csv", tmp_path / "inbox").rows
    assert row.file == "a.fcs"


def test_a_value_beyond_the_empty_columns_is_not_dropped(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text(
        HEADER.strip() + ",,\n" + LINE + ",,,5\n", encoding="utf-8"
    )
    (fault,) = read_samples(tmp_path / "samples.csv", tmp_path / "inbox").faults
    assert "7 values, but there are 4 columns" in fault.sentence


def test_the_sheets_written_by_hand_have_fewer_lines(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "patient,infused\n" + "".join(f"P{i},2026-01-02T10:00\n" for i in range(6000)),
        encoding="utf-8",
    )
    assert "more than 5,000 lines" in str(read_patients(tmp_path / "p.csv").faults[0])
    (tmp_path / "d.csv").write_text(
        "patient,drug,start,stop\n" + "P1,x,2026-01-02,\n" * 6000, encoding="utf-8"
    )
    assert "more than 5,000 lines" in str(read_drugs(tmp_path / "d.csv")[1][0])


@pytest.mark.parametrize("number", ["1e300", "1e-300", "9" * 400, "0." + "0" * 400 + "1"])
def test_a_number_nobody_measured_is_refused(tmp_path: Path, number: str) -> None:
    (tmp_path / "samples.csv").write_text(
        f"{HEADER.strip()},blood_volume_ul\n{LINE},{number}\n", encoding="utf-8"
    )
    (fault,) = read_samples(tmp_path / "samples.csv", tmp_path / "inbox").faults
    assert fault.column == "blood_volume_ul"


def test_letters_that_are_not_to_be_seen_are_written_out(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text(
        f'{HEADER}"a\x1b[31m\nb.fcs","P\u202e1",2026-01-02T10:00,tbnk\n', encoding="utf-8"
    )
    (fault,) = read_samples(tmp_path / "samples.csv", tmp_path / "inbox").faults
    assert str(fault).isprintable()
    assert "P\\u202e1" in str(fault)
