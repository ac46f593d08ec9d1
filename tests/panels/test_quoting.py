"""What of an FCS file may stand in a sentence."""

import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panels.text.quoting import (
    as_label,
    is_standard,
    may_be_shown,
    note_place,
    quoted,
    unexpected,
    value_shown,
)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("$TOT", "20000"),
        ("$NEXTDATA", "-58"),
        ("$BYTEORD", "4,3,2,1"),
        ("$BYTEORD", "1, 2, 3, 4"),
        ("$P12E", "4.0,0.01"),
        ("$P3B", "*"),
        ("$P3G", "1e-3"),
        ("$VOL", "25016.5"),
        ("TIMESTEP", ".01"),
        ("$DATATYPE", "F"),
        ("$MODE", "L"),
        ("$CYT", "BD FACSLyric™ (lab 2)"),
        ("CREATOR", "SpectroFlo 3.3.0"),
        ("$CYTSN", "P65938000013"),
        ("$CYTSN", "LYRIC-R659180000042"),
        ("$CYTSN", "2AFC238251017"),
        ("APPLY COMPENSATION", "TRUE"),
        ("CST SETUP STATUS", "SUCCESS"),
    ],
)
def test_a_technical_value_is_repeated(keyword: str, value: str) -> None:
    assert quoted(keyword, f" {value} ") == f"'{value}'"
    assert value_shown(keyword, value) == value


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("$TOT", "Doe"),
        ("$TOT", "20 of Doe"),
        ("$VOL", "1980-02-01"),
        ("$P3E", "4,Doe"),
        ("$DATATYPE", "Doe"),
        ("$MODE", "Li"),
        ("$CYT", "Doe, Jane"),
        ("$CYT", "Doe^Jane"),
        ("$CYTSN", "Jane Doe"),
        ("$CYTSN", "Doe"),
        ("APPLY COMPENSATION", "Doe"),
        ("CST SETUP STATUS", "Doe"),
        ("$SRC", "20000"),
        ("$OP", "F"),
        ("PATIENT ID", "4711"),
    ],
)
def test_what_could_be_a_person_is_described_by_its_length(keyword: str, value: str) -> None:
    assert quoted(keyword, value) == f"a text of {len(value)} characters"
    assert value_shown(keyword, value) == f"(a text of {len(value)} characters, not shown)"


def test_an_empty_value_is_called_so() -> None:
    assert quoted("$TOT", "  ") == "empty"


def test_only_keywords_of_the_standard_are_named() -> None:
    known = ("$TOT", "$P4000DATATYPE", "$DFC1TO2", "$SRC", "$BEGINSTEXT", "CREATOR", "SPILL")
    assert all(map(is_standard, known))
    assert not any(
        map(is_standard, ("$DOE", "$P1DOE", "$P1", "PATIENT DOE", "$TOTDOE", "$P123456N"))
    )


@given(st.text(max_size=300))
def test_a_label_is_one_short_line(text: str) -> None:
    label = as_label(text)
    assert len(label) <= 64
    assert not set(label) & set(map(chr, [*range(32), 127, *range(128, 160)]))


@pytest.mark.parametrize(
    "value", ["1" * 4_000_000, "A1-" * 1_000_000, "1," * 2_000_000, " " * 4_000_000]
)
@pytest.mark.parametrize("keyword", ["$TOT", "$CYTSN", "$CYT", "$P1E"])
def test_a_long_value_takes_no_time(keyword: str, value: str) -> None:
    begun = time.process_time()
    assert not may_be_shown(keyword, value)
    assert time.process_time() - begun < 1


def test_an_unexpected_error_is_said_by_kind_and_place_alone() -> None:
    assert unexpected(ValueError("Doe")) == "ValueError"


def test_the_place_of_an_error_crosses_to_another_process() -> None:
    def broken() -> None:
        as_label(7)  # type: ignore[arg-type]

    with pytest.raises(TypeError) as caught:
        broken()
    note_place(caught.value)
    here = unexpected(caught.value)
    there = unexpected(pickle.loads(pickle.dumps(caught.value)))
    assert here == there
    assert here.startswith("TypeError in panels/text/printable.py, line ")


def test_a_note_that_is_no_place_is_not_said() -> None:
    error = ValueError("x")
    error.add_note("Doe, Jane")
    assert unexpected(error) == "ValueError"
