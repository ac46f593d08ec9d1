import csv
import io
import time
import zipfile
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.kinetics.schema import KINETICS, PARAMETERS, RECOVERY
from tasks.kinetics.wide_table import wide_frame
from tasks.publish.legend import LegendWords
from tasks.publish.table_files import write_cohort_tables, write_patient_tables
from tasks.publish.tables import csv_bytes, parquet_bytes, write_atomically
from tasks.publish.workbook import workbook_bytes
from tests.tasks.published_rows import NOT_DETECTED, at, kinetics, parameters

ROWS = kinetics(at(-7, **NOT_DETECTED), at(28, per_ul=1 / 3, flags="few_beads"))
CMAX = parameters(
    ("SLE-001", "blood", "car19_t", "Cmax", 60.125, "cells/uL", None, None, "none", 9, "nca@1")
)


def cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode())))


def book() -> bytes:
    return workbook_bytes(ROWS, wide_frame(ROWS), CMAX, LegendWords())


def test_csv_has_the_stated_columns_rounds_to_ten_digits_and_ends_lines_with_line_feeds():
    content = csv_bytes(ROWS, KINETICS)
    header, before, after = cells(content)
    assert header == KINETICS.names
    assert after[header.index("per_ul")] == "0.3333333333"
    assert (after[header.index("events")], after[header.index("day")]) == ("212", "28.0")
    assert b"\r" not in content
    assert content.endswith(b"\n")
    assert before[header.index("per_ul")] == ""


def test_not_measured_is_empty_and_measured_none_is_zero():
    frame = pd.DataFrame(
        {
            "a": [None, 0.0, np.nan],
            "b": [pd.NaT, datetime(2026, 3, 1, 9, tzinfo=UTC), pd.NaT],
            "c": [0, 1, 2],
        }
    )
    assert cells(csv_bytes(frame))[1:] == [
        ["", "", "0"],
        ["0.0", "2026-03-01T09:00:00+00:00", "1"],
        ["", "", "2"],
    ]


def test_counts_stay_whole_numbers_when_one_is_missing():
    rows = parameters(
        *(
            ("p", "blood", "b_cells", "nadir", 1.0, "1/uL", None, None, "none", n, "d")
            for n in (3, None)
        )
    )
    assert [row[9] for row in cells(csv_bytes(rows, PARAMETERS))[1:]] == ["3", ""]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+2", "'=1+2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-1+cmd|' /C x'!A0", "'-1+cmd|' /C x'!A0"),
        ("+A1*2", "'+A1*2"),
        ("-1w", "-1w"),
        ("D28", "D28"),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_disarmed(text, written):
    assert cells(csv_bytes(pd.DataFrame({"visit": [text]})))[1] == [written]


def test_a_frame_with_other_columns_is_refused():
    with pytest.raises(ValueError, match="one row a tube × population"):
        csv_bytes(ROWS.drop(columns="code"), KINETICS)


def test_parquet_has_one_type_a_column_and_the_same_rows():
    table = pq.read_table(io.BytesIO(parquet_bytes(ROWS, KINETICS)))
    assert table.column_names == KINETICS.names
    assert {str(table.schema.field(n).type) for n in ("events", "parent_events")} == {"int64"}
    assert str(table.schema.field("per_ul").type) == "double"
    assert table["per_ul"].to_pylist() == [None, 0.3333333333]
    assert pq.read_table(io.BytesIO(parquet_bytes(ROWS[:0], KINETICS))).num_rows == 0


def test_the_same_tables_give_the_same_bytes_at_another_time():
    first, begun = book(), int(time.time())
    while int(time.time()) == begun:  # a workbook notes when it was saved, to the second
        time.sleep(0.02)
    assert book() == first
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        assert {entry.date_time for entry in packed.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_patients_files_are_written_whole_and_nothing_else_is_left(tmp_path):
    write_patient_tables(tmp_path, ROWS, CMAX, wide_frame(ROWS))
    write_patient_tables(tmp_path, ROWS, CMAX, wide_frame(ROWS))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "kinetics.csv",
        "kinetics.xlsx",
        "kinetics_wide.csv",
        "parameters.csv",
    ]


def test_cohort_tables_come_patient_by_patient_whatever_order_patients_finished_in(tmp_path):
    other = ROWS.assign(patient="SLE-000")
    nobody = pd.DataFrame(columns=RECOVERY.names)
    write_cohort_tables(tmp_path / "a", pd.concat([ROWS, other]), CMAX, nobody)
    write_cohort_tables(tmp_path / "b", pd.concat([other, ROWS]), CMAX, nobody)
    names = [
        "kinetics.csv",
        "kinetics.parquet",
        "parameters.csv",
        "parameters.parquet",
        "recovery.csv",
    ]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == names
    assert all(
        (tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names
    )


def test_a_failed_write_keeps_the_old_file(tmp_path):
    target = tmp_path / "results"
    write_atomically(target / "table.csv", b"old")
    (target / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(target / "folder", b"new")
    assert (target / "table.csv").read_bytes() == b"old"
    assert sorted(p.name for p in target.iterdir()) == ["folder", "table.csv"]
