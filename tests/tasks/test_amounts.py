"""One number has the same digits wherever it is printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.counting.measurements import Measurement
from tasks.kinetics.wide_table import print_result
from tasks.publish.wording import amount_text, parameter_sentence
from tasks.vocabulary.amounts import concentration_text, decimals, percent_text


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (4670.762, "4671"),
        (100.0, "100"),
        (99.96, "100"),
        (99.94, "99.9"),
        (12.345, "12.3"),
        (1.04, "1.0"),
        (0.996, "1.0"),
        (0.994, "0.99"),
        (0.0999, "0.1"),
        (0.0764, "0.076"),
        (0.00251, "0.0025"),
        (0.0, "0"),
    ],
)
def test_a_count_is_printed_with_the_digits_it_can_carry(value: float, printed: str) -> None:
    assert (concentration_text(value), percent_text(value)) == (printed, printed)
    assert decimals(value) == len(printed.partition(".")[2])


@given(st.floats(1e-9, 1e7))
def test_what_is_printed_lies_within_rounding_of_the_number(value: float) -> None:
    text = concentration_text(value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.051)
    assert concentration_text(float(text)) == text


@pytest.mark.parametrize("value", [4628.4, 99.96, 31.83, 4.633, 0.0764, 0.1])
def test_table_parameter_and_comparison_print_a_concentration_alike(value: float) -> None:
    row = {"specimen": "blood", "code": "Q", "per_ul": value, "lod_per_ul": 0.1, "per_ul_high": 9e3}
    printed = print_result(row)
    assert amount_text(value, "1/uL") == printed
    parameter = {"parameter": "Cmax", "value": value, "unit": "1/uL", "low": None, "high": None}
    said = parameter_sentence({**parameter, "censoring": "none", "definition": "", "points": 3})
    assert said.amount == f"{printed} cells/µL"
    measured = Measurement("the analyser", "a", "b_cells", value, 0.01)
    assert measured.description == f"{printed}/µL by the analyser"
    marrow = {"specimen": "marrow", "code": "Q", "percent_reference": value}
    assert print_result(row | marrow) == f"{amount_text(value, '%')} %"
    assert print_result(row | marrow, with_unit=False) == printed
