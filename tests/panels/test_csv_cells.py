"""What a spreadsheet would run is written as text; everything else is written as it is."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panels.files.csv_cells import RISKY, csv_blocks, csv_text, harmless


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-cmd|x!A"]
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "CD3", "-1w", "-1.5", "+", "-", "a=b", "1-2", "'x", "µ"])
def test_a_harmless_text_stays(text: str) -> None:
    assert harmless(text) == text


def test_numbers_stay_numbers() -> None:
    row = (-1.5, 1e-9, -1e-9, 3, np.float64(-2.5), np.int64(-4), True, None)
    assert csv_text(("a",), [row]) == "a\n-1.5,1e-09,-1e-09,3,-2.5,-4,True,\n"


@given(st.lists(st.text()))
def test_no_cell_that_can_call_begins_as_a_formula(cells: list[str]) -> None:
    (_, *rows) = csv.reader(
        io.StringIO(csv_text(("a",), [[cell, "x"] for cell in cells]), newline="")
    )
    assert [row[0].removeprefix("'") for row in rows] == [cell.removeprefix("'") for cell in cells]
    assert not any(row[0].startswith(RISKY) and set(row[0]) & set("|!(") for row in rows)


CELLS = st.none() | st.text(max_size=4) | st.floats(allow_nan=False) | st.integers()


@given(st.lists(st.tuples(CELLS, CELLS, st.text(max_size=2), st.floats(allow_nan=False))))
def test_columns_are_written_as_their_rows_are(rows: list[tuple[str | float | None, ...]]) -> None:
    columns = [*zip(*rows, strict=True)] or [(), (), (), ()]
    for places in ((0, 1, 2, 3), (2,)):
        header = [f"c{place}" for place in places]
        alone = [[row[place] for place in places] for row in rows]
        written = "".join(csv_blocks(header, [columns[place] for place in places]))
        assert written == csv_text(header, alone)
