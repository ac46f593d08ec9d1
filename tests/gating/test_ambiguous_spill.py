"""Stored spills that can be read in more than one way, and those that are no spill."""

from pathlib import Path

import numpy as np
import pytest

from gating.fcs.header import TubeHeader, read_header
from gating.fcs.spillover import read_spill
from tests.gating.fcs_writer import FcsFile, counted
from tests.shared_data import SHARED, needs_shared

FIELD = SHARED / "field"
TUBE = FcsFile(counted())
KEYWORDS = ["$SPILLOVER", "SPILL", "SPILLOVER", "$SPILL"]
GOOD = "2,FITC-A,PE-A,1,0.18,0.012,1"


def tube(path: Path, *spills: tuple[str, str], supplement: str = "") -> TubeHeader:
    file = TUBE.with_(pairs=spills, supplement=supplement)
    return read_header(file.write(path / "a.fcs"))


# --- a decimal comma ---------------------------------------------------------------------------


@needs_shared
def test_the_field_spill_with_a_decimal_comma_names_the_regional_setting() -> None:
    header = read_header(FIELD / "spillover_decimal_comma.fcs")
    assert header.spill is None
    assert "decimal comma" in (header.spill_fault or "")
    assert "regional setting" in (header.spill_fault or "")


@pytest.mark.parametrize("keyword", KEYWORDS)
@pytest.mark.parametrize(
    "value",
    [
        "2,FITC-A,PE-A,1,000,0,180,0,012,1,000",
        "2,FITC-A,PE-A,1,0,18,0,012,1",  # those without decimals are written whole
        "2,FITC-A,PE-A,1,0,1,8E-01,0,1",
        "2,2,3,1,0,0,18,0,01,1,0",
        "2;FITC-A;PE-A;1,0;0,18;0,012;1,0",
        "2, FITC-A, PE-A, 1,00, 0,18, -0,01, 1,00",
        "1,PE-A,1,000",
    ],
)
def test_a_spill_with_a_decimal_comma_is_never_used(
    tmp_path: Path, keyword: str, value: str
) -> None:
    header = tube(tmp_path, (keyword, value))
    assert header.spill is None
    assert "decimal comma" in (header.spill_fault or "")


@pytest.mark.parametrize("value", ["2,FITC-A,PE-A,1,0,0,1,1.5", "2,FITC-A,PE-A,1,0,0"])
def test_another_number_of_fields_is_not_taken_for_a_decimal_comma(
    tmp_path: Path, value: str
) -> None:
    header = tube(tmp_path, ("SPILL", value))
    assert "n × n" in (header.spill_fault or "")


# --- two spills --------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("name", ["fcs_two_SPILL", "fcs_spill_primary_vs_supplemental"])
def test_a_field_file_with_two_spills_that_differ_has_none(name: str) -> None:
    header = read_header(FIELD / f"{name}.fcs")
    assert header.spill is None
    assert "two spills that differ" in (header.spill_fault or "")


@pytest.mark.parametrize("first", KEYWORDS)
@pytest.mark.parametrize("second", KEYWORDS)
@pytest.mark.parametrize(
    "other",
    [
        "2,FITC-A,PE-A,1,0.19,0.012,1",
        "2,FITC-A,PE-A,1,0.2,0.012,1",  # one digit does not make 0.18 the same
        "2,PE-A,FITC-A,1,0.18,0.012,1",  # the same numbers, the other way round
        "2,FITC-A,PE-A,1,0,0,1",
        "2,FITC-A,Time,1,0.18,0.012,1",
    ],
)
def test_two_spills_that_differ_are_never_chosen_from(
    tmp_path: Path, first: str, second: str, other: str
) -> None:
    header = tube(tmp_path, (first, GOOD), (second, other))
    assert header.spill is None
    assert "two spills that differ" in (header.spill_fault or "")


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_spill_of_the_supplemental_text_counts_as_one_of_text(
    tmp_path: Path, keyword: str
) -> None:
    differ = tube(tmp_path, ("SPILL", GOOD), supplement=f"/{keyword}/{GOOD.replace('18', '19')}/")
    assert "two spills that differ" in (differ.spill_fault or "")
    same = tube(tmp_path, ("SPILL", GOOD), supplement=f"/{keyword}/{GOOD}/")
    assert same.spill is not None


@pytest.mark.parametrize(
    "other",
    [
        GOOD,
        "2,FITC-A,PE-A,1.000000,0.180000,0.012000,1.000000",
        "2,FITC-A,PE-A,1,0.17998,0.01204,1",
        "2,PE-A,FITC-A,1,0.012,0.18,1",
        "2,2,3,1,1.8e-1,1.2e-2,1",
    ],
)
def test_spills_that_are_equal_within_rounding_are_one(tmp_path: Path, other: str) -> None:
    header = tube(tmp_path, ("SPILL", GOOD), ("$SPILLOVER", other))
    assert header.spill_fault is None
    assert header.spill is not None
    order = [header.spill.detectors.index(name) for name in ("FITC-A", "PE-A")]
    matrix = header.spill.matrix[np.ix_(order, order)]
    np.testing.assert_allclose(matrix, [[1, 0.18], [0.012, 1]], atol=1e-4)


def test_of_two_roundings_the_finer_one_is_used(tmp_path: Path) -> None:
    fine = "2,FITC-A,PE-A,1,0.17998,0.01204,1"
    for spills in ((("SPILL", GOOD), ("$SPILLOVER", fine)), (("SPILL", fine), ("SPILL", GOOD))):
        spill = tube(tmp_path, *spills).spill
        assert spill is not None
        assert spill.matrix[0, 1] == 0.17998


# --- what is no spill --------------------------------------------------------------------------


def test_what_the_cytometer_subtracted_before_storing_is_never_subtracted_again(
    tmp_path: Path,
) -> None:
    """FCS 3.0, $COMP: the percentage "that has been subtracted electronically"."""
    complete = [("$DFC1TO2", "0"), ("$DFC2TO3", "18"), ("$DFC3TO2", "1.2")]
    for pairs in ([("$COMP", "4,0,0,0,0,0,0,-1.2,0,0,-18,0,0,0,0,0,0")], complete):
        header = tube(tmp_path, *pairs)
        assert (header.spill, header.spill_fault) == (None, None)
        assert "compensate them twice" in header.problems[0]
        assert pairs[0][0] in header.problems[0]


def test_a_comment_is_not_taken_for_a_compensation(tmp_path: Path) -> None:
    assert tube(tmp_path, ("$COMMENT", "x"), ("$DFCOM", "y")).problems == ()


@needs_shared
def test_a_navios_file_numbers_its_compensation_by_dye_and_not_by_channel() -> None:
    """Ten rows for seven channels: which channel $DFC1TO2 means stands nowhere."""
    path = SHARED / "instruments" / "fcsparser" / "fake_bitmask_error__fcs1_cleaned.lmd"
    header = read_header(path)
    assert header.keywords["$DFC10TO10"] == "0.0"
    assert len(header.channels) == 7
    assert header.spill is None
    assert any("$DFC1TO1" in each and "twice" in each for each in header.problems)


def test_no_spill_is_no_fault() -> None:
    stored = read_spill({}, {}, ["FITC-A"])
    assert (stored.spill, stored.fault, stored.identity, stored.problems) == (None, None, False, ())


# --- a channel that the tube does not have ------------------------------------------------------


def spilling(*, out: float = 0.0, into: float = 0.0) -> str:
    """Write a spill of FITC and PE, and of BV421, which the tube does not have."""
    rows = f"1,0.18,{into},0.012,1,0,{out},0,1"
    return f"3,FITC-A,PE-A,BV421-A,{rows}"


@pytest.mark.parametrize(("out", "into"), [(0.0, 0.0), (1e-3, 0.0), (0.0, 1e-3)])
def test_a_channel_without_spill_need_not_be_in_the_tube(
    tmp_path: Path, out: float, into: float
) -> None:
    header = tube(tmp_path, ("SPILL", spilling(out=out, into=into)))
    assert header.spill is not None
    assert header.spill.detectors == ("FITC-A", "PE-A")
    assert header.spill.matrix.tolist() == [[1.0, 0.18], [0.012, 1.0]]
    assert any("BV421-A" in sentence and "left out" in sentence for sentence in header.problems)


@pytest.mark.parametrize(("out", "into"), [(1.1e-3, 0.0), (0.0, 1.1e-3), (0.0, -0.02)])
def test_a_channel_with_spill_must_be_in_the_tube(tmp_path: Path, out: float, into: float) -> None:
    header = tube(tmp_path, ("SPILL", spilling(out=out, into=into)))
    assert header.spill is None
    assert header.spill_fault is not None
    assert "SPILL names the channel 'BV421-A', which this tube does not have" in header.spill_fault


def test_the_rounding_of_the_other_spill_is_that_of_the_same_coefficients(tmp_path: Path) -> None:
    header = tube(tmp_path, ("SPILL", spilling()), ("$SPILLOVER", GOOD))
    assert header.spill is not None
    assert header.spill.detectors == ("FITC-A", "PE-A")
