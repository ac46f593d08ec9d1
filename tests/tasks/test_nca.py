"""Known answers (SCIENCE 4.1) of the non-compartmental analysis."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panels.text.errors import SheetFault
from tasks.kinetics.nca import (
    NAMES,
    GroupResult,
    PartialArea,
    analyse,
    area_to_first_below,
    area_to_last,
    doubling_time,
    nca_groups,
    partial_area,
    partial_areas,
    terminal_slope,
)
from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.sample_series import Series, series
from tasks.kinetics.slopes import TerminalSlope
from tasks.sheets.series_file import read_series
from tasks.vocabulary.reasons import Why
from tests.tasks.nca_values import nca

TIME = [0.0, 4, 7, 10, 14, 21, 28, 42, 56, 84]
CONC = [0.0, 2.1, 85, 140, 62, 18, 7.5, 2.4, 0.9, 0.0]
BLQ = [True, *[False] * 8, True]


def test_the_published_series() -> None:
    found = nca(TIME, CONC, BLQ)
    assert tuple(found) == NAMES
    assert (found["Cmax"], found["Tmax"], found["Clast"], found["Tlast"], found["Tbql"]) == (
        140,
        10,
        0.9,
        56,
        84,
    )
    assert found["AUC0-28"] == pytest.approx(1188.396, abs=5e-4)
    assert found["AUClast"] == found["AUC0-84"] == pytest.approx(1272.469, abs=5e-4)
    assert area_to_first_below(series(TIME, CONC, BLQ)) == pytest.approx(1285.069, abs=5e-4)
    assert found["lambda_z"] == pytest.approx(0.07572, abs=5e-6)
    assert found["half_life"] == pytest.approx(9.154, abs=5e-4)
    assert found["persistence_wk24"] is None


def test_the_linear_rule_gives_the_published_linear_area() -> None:
    assert nca(TIME, CONC, BLQ, NcaRules(auc_method="linear"))["AUC0-28"] == pytest.approx(1245.6)


def test_the_terminal_fit() -> None:
    fit = terminal_slope(series(TIME, CONC, BLQ))
    assert isinstance(fit, TerminalSlope)
    assert fit.points == 3
    assert (fit.r_squared, fit.adjusted_r_squared) == pytest.approx((0.99814, 0.99628), abs=5e-6)
    assert fit.span_ratio == pytest.approx(3.06, abs=5e-3)


def test_a_blq_between_quantified_samples_is_dropped() -> None:
    blq = [b or t == 21 for t, b in zip(TIME, BLQ, strict=True)]
    assert nca(TIME, CONC, blq)["AUC0-28"] == pytest.approx(1216.633, abs=5e-4)
    assert nca(TIME, CONC, blq, NcaRules(blq_middle="zero"))["AUC0-28"] == pytest.approx(
        1098.653, abs=5e-4
    )


def test_dropped_samples_without_cells_neither_begin_nor_end_a_curve() -> None:
    early = [0.0, 4, 7, 10, 14], [0.0, 0, 0, 140, 62], [True, True, True, False, False]
    assert nca(*early)["AUClast"] == pytest.approx(140 * 3 / 2 + 4 * (140 - 62) / np.log(140 / 62))
    assert nca(*early, NcaRules(blq_first="drop"))["AUClast"] == pytest.approx(
        140 * 10 / 2 + 4 * (140 - 62) / np.log(140 / 62)
    )
    kept, dropped = nca(TIME, CONC, BLQ), nca(TIME, CONC, BLQ, NcaRules(blq_last="drop"))
    assert (kept["Tbql"], kept["AUCall"]) == (84, pytest.approx(1285.069, abs=5e-4))
    assert (dropped["Tbql"], dropped["AUCall"]) == (None, dropped["AUClast"])
    assert dropped["AUC0-84"] is None


def test_every_rule_of_the_terminal_fit_can_be_set() -> None:
    assert nca(TIME, CONC, BLQ, NcaRules(terminal={"minimum_points": 4}))[
        "lambda_z"
    ] == pytest.approx(0.0833, rel=0.15)
    for strict in ({"minimum_r2": 0.9999}, {"minimum_span": 4.0}, {"maximum_extrapolated": 0.001}):
        assert nca(TIME, CONC, BLQ, NcaRules(terminal=strict))["lambda_z"] is None
    assert (
        nca(TIME, CONC, BLQ, NcaRules(terminal={"tie": 1.0}))["lambda_z"]
        != nca(TIME, CONC, BLQ)["lambda_z"]
    )


def test_windows_and_week_24_can_be_set() -> None:
    time, conc, blq = (
        [0.0, 10, 24, 60, 150],
        [0.0, 100, 20, 5, 3],
        [True, False, False, False, False],
    )
    assert nca(time, conc, blq)["AUC0-28"] is None
    assert nca(time, conc, blq, NcaRules(windows={28: 4, 84: 7, 168: 14}))["AUC0-28"] is not None
    assert (
        nca(time, conc, blq)["persistence_wk24"],
        nca(time, conc, blq, NcaRules(persistence=(140, 196)))["persistence_wk24"],
    ) == (
        None,
        1,
    )


def test_rules_name_what_is_not_usual() -> None:
    assert NcaRules().unusual() == ""
    rules = NcaRules(
        auc_method="linear",
        blq_middle="zero",
        terminal={"minimum_r2": 0.8},
        windows={28: 4, 84: 7, 168: 14},
    )
    assert (
        rules.unusual()
        == "auc_method=linear;blq_middle=zero;terminal.minimum_r2=0.8;windows=28:4,84:7,168:14"
    )
    for wrong in (
        {"windows": {28: 3}},
        {"persistence": (200, 100)},
        {"auc_methd": "linear"},
        {"terminal": {"minimum_points": 2}},
    ):
        with pytest.raises(ValueError, match="validation error"):
            NcaRules.model_validate(wrong)


def test_day_28_is_interpolated_from_a_sample_at_day_30() -> None:
    found = nca([*TIME[:6], 30.0], [*CONC[:6], 6.0], [*BLQ[:6], False])
    assert found["AUC0-28"] == pytest.approx(1189.155, abs=5e-4)


def test_the_second_published_series() -> None:
    found = nca(range(7), [0, 1.8, 3, 2, 1, 0.5, 0.25], [False] * 7)
    assert found["AUClast"] == pytest.approx(8.29102, abs=5e-6)


def test_no_sample_near_day_28_while_cells_persist_gives_no_area() -> None:
    kept = [i for i, t in enumerate(TIME) if t != 28]
    found = nca([TIME[i] for i in kept], [CONC[i] for i in kept], [BLQ[i] for i in kept])
    assert found["AUC0-28"] is None
    assert found["AUClast"] is not None


def test_cells_gone_before_day_28_have_the_area_to_their_last() -> None:
    samples = series([0, 7, 14, 21], [0, 50, 5, 0], [True, False, False, True])
    partial = partial_area(samples, 28)
    assert isinstance(partial, PartialArea)
    assert partial.end == "last_quantified"
    assert partial.value == area_to_last(samples)


def test_days_nobody_looked_at_are_not_counted_as_days_without_cells() -> None:
    unseen = series([0, 7, 14, 60], [0, 50, 5, 0], [True, False, False, True])
    assert partial_area(unseen, 28) is Why.LOSS_UNSEEN
    assert isinstance(partial_area(unseen, 84), PartialArea)
    in_window = partial_area(series([0, 7, 14, 30], [0, 50, 5, 0], [True, False, False, True]), 28)
    assert isinstance(in_window, PartialArea)
    assert in_window.end == "last_quantified"


def test_one_quantified_sample_makes_no_area() -> None:
    found = nca([0, 10, 14, 28], [0, 50, 0, 0], [True, False, True, True])
    assert (found["Cmax"], found["Tlast"]) == (50, 10)
    assert (found["AUC0-28"], found["AUC0-84"], found["AUClast"]) == (None, None, None)


def test_an_area_is_never_extrapolated() -> None:
    assert (
        partial_area(series([0, 7, 14, 21], [0, 50, 20, 10], [True, False, False, False]), 28)
        is Why.ENDED_BEFORE
    )
    within = partial_area(
        series([0, 7, 14, 27.9], [0, 50, 20, 10], [True, False, False, False]), 28
    )
    assert isinstance(within, PartialArea)
    assert within.end == "last_sample"


def test_an_area_that_holds_a_lower_bound_is_a_lower_bound() -> None:
    """Cells still quantified on day 27, gone on day 63: the exposure to day 28 is "at least", and
    that to day 84 holds it."""
    time, conc = [0, 7, 14, 27, 63, 81, 166], [0, 50, 20, 10, 0, 0, 0]
    areas = partial_areas(series(time, conc, [level == 0 for level in conc]))
    assert [area.end for area in areas.values() if isinstance(area, PartialArea)] == [
        "last_sample",
        "holds_lower_bound",
        "holds_lower_bound",
    ]
    assert all(isinstance(area, PartialArea) and area.is_lower_bound for area in areas.values())


def test_cells_seen_gone_by_day_28_bound_no_later_area() -> None:
    time, conc = [0, 7, 14, 21, 28, 84], [0, 50, 20, 10, 0, 0]
    areas = partial_areas(series(time, conc, [level == 0 for level in conc]))
    expected = PartialArea(
        pytest.approx(area_to_last(series(time[:4], conc[:4], [False] * 4))), "last_quantified"
    )
    assert areas == {28: expected, 84: expected, 168: expected}


def test_a_series_never_quantified_has_no_numbers() -> None:
    assert set(nca([0, 7, 14, 168], [0, 0, 0, 0], [True] * 4).values()) == {None, 0.0}
    assert nca([0, 7, 14], [0, 0, 0], [True] * 3) == dict.fromkeys(NAMES)
    assert nca([], [], []) == dict.fromkeys(NAMES)


@pytest.mark.parametrize(
    ("time", "conc", "parameter", "why"),
    [
        ([], [], "Cmax", Why.NO_SAMPLE),
        ([-7], [5], "AUC0-28", Why.NO_SAMPLE),
        ([0, 7, 14, 160], [0, 0, 0, 0], "AUC0-28", Why.NEVER_QUANTIFIED),
        ([0, 7, 14, 160], [0, 0, 0, 0], "doubling_time", Why.NEVER_QUANTIFIED),
        ([0, 7], [0, 5], "AUClast", Why.ONE_QUANTIFIED),
        ([0, 7], [0, 5], "Tbql", Why.STILL_QUANTIFIED),
        ([0, 7], [0, 5], "persistence_wk24", Why.NOT_SAMPLED_AT_WEEK_24),
        ([7, 14, 160, 252], [5, 9, 0, 0.2], "persistence_wk24", Why.QUANTIFIED_LATER),
        ([7, 14, 42], [50, 9, 2], "AUC0-28", Why.NOT_SAMPLED_THERE),
        ([7, 14, 42], [50, 9, 2], "AUC0-84", Why.ENDED_BEFORE),
        ([7, 14, 42], [50, 9, 2], "half_life", Why.FEW_AFTER_PEAK),
        ([7, 10, 14, 21], [50, 9, 9, 9], "half_life", Why.NOT_FALLING),
        ([7, 10, 14, 21, 28], [100, 5, 60, 4, 30], "half_life", Why.NOT_FALLING),
        ([7, 8, 9, 10, 11, 12], [100, 30, 40, 10, 15, 8], "half_life", Why.POOR_FIT),
        ([7, 8, 9, 10], [100, 90, 81, 72.9], "half_life", Why.SHORT_SPAN),
        ([0, 1, 6, 7], [1.2, 8, 1, 9], "doubling_time", None),
        ([0, 6, 7, 8], [9, 1, 1, 9.5], "doubling_time", Why.NOT_RISING),
    ],
)
def test_what_cannot_be_given_says_why(
    time: list[float], conc: list[float], parameter: str, why: Why | None
) -> None:
    found = analyse(series(time, conc, [level == 0 for level in conc]))[parameter]
    assert (found if isinstance(found, Why) else None) is why


def test_a_rule_that_drops_what_follows_the_last_quantified_sample_is_the_reason_for_no_end() -> (
    None
):
    samples = series([7, 14, 28], [50, 9, 0], [False, False, True], NcaRules(blq_last="drop"))
    assert analyse(samples)["Tbql"] is Why.BLQ_LEFT_OUT


def test_persistence_needs_a_sample_in_its_window() -> None:
    assert nca([7, 14, 160], [5, 9, 0.2], [False] * 3)["persistence_wk24"] == 1.0
    assert nca([7, 14, 160], [5, 9, 0], [False, False, True])["persistence_wk24"] == 0.0
    assert nca([7, 14, 190], [5, 9, 0.2], [False] * 3)["persistence_wk24"] is None


def test_cells_quantified_after_week_24_were_not_lost_there() -> None:
    assert (
        nca([7, 14, 160, 252], [5, 9, 0, 0.2], [False, False, True, False])["persistence_wk24"]
        is None
    )


def test_an_imprecise_decline_has_no_half_life() -> None:
    assert nca([0, 7, 10, 14, 21, 28], [0, 100, 5, 60, 4, 30], [False] * 6)["half_life"] is None


def test_a_slow_tail_that_carries_the_area_has_no_half_life() -> None:
    halving = [101.0, *(100 * 2.0**-day for day in (0, 1, 2.01))]
    assert terminal_slope(series([0.1, 0.2, 1.2, 2.21], halving, [False] * 4)) is Why.MUCH_BEYOND


def test_doubling_time_of_the_rise() -> None:
    found = doubling_time(series([0, 4, 7, 10, 14], [0, 1, 8, 64, 3], [True, *[False] * 4]))
    assert found == (pytest.approx(1.0), 3)
    assert (
        doubling_time(series([0, 10, 14], [0, 64, 3], [True, False, False])) is Why.FEW_UP_TO_PEAK
    )


def test_the_first_of_two_equal_peaks_is_the_peak() -> None:
    assert nca([0, 7, 10, 14], [0, 9, 9, 1], [True, False, False, False])["Tmax"] == 7


def test_pre_dose_samples_stay_out() -> None:
    assert nca([-7.0, *TIME], [500.0, *CONC], [False, *BLQ]) == nca(TIME, CONC, BLQ)


@given(order=st.permutations(range(len(TIME))), factor=st.floats(1e-3, 1e3))
def test_order_changes_nothing_and_scaling_scales(order: list[int], factor: float) -> None:
    scaled = nca(
        [TIME[i] for i in order], [CONC[i] * factor for i in order], [BLQ[i] for i in order]
    )
    for name, value in nca(TIME, CONC, BLQ).items():
        scales = name.startswith("AUC") or name in ("Cmax", "Clast")
        expected = value * factor if scales and value is not None else value
        assert scaled[name] == (None if expected is None else pytest.approx(expected, rel=1e-9))


def test_impossible_series_are_refused() -> None:
    with pytest.raises(ValueError, match="same time"):
        nca([1, 1], [1, 2], [False, False])
    with pytest.raises(ValueError, match="not negative"):
        nca([1, 2], [1, -2], [False, False])


def nca_file(path: Path) -> dict[str, GroupResult]:
    return nca_groups(read_series(path))


def write(folder: Path, text: str) -> Path:
    path = folder / "series.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_without_groups(tmp_path: Path) -> None:
    lines = [f"{t},{'' if b else c},{int(b)}" for t, c, b in zip(TIME, CONC, BLQ, strict=True)]
    found = nca_file(write(tmp_path, "time,conc,blq\n" + "\n".join(lines) + "\n"))
    assert found == {"": GroupResult(analyse(series(TIME, CONC, BLQ)), early=0, absent=0)}


def test_a_file_with_groups_in_order_of_appearance(tmp_path: Path) -> None:
    found = nca_file(
        write(
            tmp_path, "\ufefftime,conc,blq,group\r\n7,5,false,B\r\n7,6,no,A\r\n14,,true,B\r\n\r\n"
        )
    )
    assert list(found) == ["B", "A"]
    assert found["B"].values["Tbql"] == 14


def test_samples_that_are_left_out_of_a_file_are_counted(tmp_path: Path) -> None:
    found = nca_file(write(tmp_path, "time,conc,blq\n-7,3,0\n-1,,1\n7,5,0\n14,,0\n"))[""]
    assert (found.early, found.absent) == (2, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "header must be"),
        ("time;conc;blq\n1;2;0\n", "line 1: the header must be"),
        ("time,conc,blq\n", "no samples"),
        ("time,conc,blq\n1,2,maybe\n", "line 2: blq is 'maybe'"),
        ("time,conc,blq\nD7,2,0\n", "line 2: time is 'D7'"),
        ("time,conc,blq\n7,<0.1,1\n", "line 2: conc is '<0.1'"),
        ("time,conc,blq\n7,nan,0\n", "not a number"),
        ("time,conc,blq\n7,-1,0\n", "conc is negative"),
        ("time,conc,blq\n7,1\n", "line 2: 2 cells"),
        ("time,conc,blq\n7,1,0\n7,2,0\n", "line 3: same time as line 2"),
        ('time,conc,blq\n7,"1,0\n', "not a valid CSV"),
    ],
)
def test_a_wrong_file_is_named_with_line_and_mend(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SheetFault, match=r"series\.csv") as fault:
        nca_file(path)
    assert said in str(fault.value)


@pytest.mark.parametrize(
    "word",
    (
        "BQL;blq;BLOQ;<0.1;< 0.1;<LLOQ;≤0,1;ND;n.d.;N/D;not detected;below LLOQ;Below limit;NQ;neg."
    ).split(";"),
)
@pytest.mark.parametrize("blq", ["1", "0", ""])
def test_below_the_limit_written_as_a_concentration_is_told_where_to_go(
    tmp_path: Path, word: str, blq: str
) -> None:
    path = write(tmp_path, f'time,conc,blq\n0,,1\n7,"{word}",{blq}\n14,2,0\n')
    with pytest.raises(SheetFault) as fault:
        nca_file(path)
    assert "series.csv, line 3: conc is" in str(fault.value)
    assert "leave conc empty and write 1 in blq" in str(fault.value)
    assert "decimal" not in str(fault.value)


def test_the_field_files_are_read_as_they_are_meant(tmp_path: Path) -> None:
    at_28 = "time,conc,blq\n0,,1\n7,10,0\n14,20,0\n28,,1\n42,4,0\n84,1,0\n"
    assert nca_file(write(tmp_path, at_28))[""].values["AUC0-28"] == pytest.approx(332.34, abs=5e-3)
    with pytest.raises(
        SheetFault, match=r"line 2: conc is 'BQL'.* leave conc empty and write 1 in blq"
    ):
        nca_file(write(tmp_path, "time,conc,blq\n0,BQL,1\n1,2,0\n2,1,0\n"))


def curve_to(end: int, blq_at: list[float], after: list[float] | None = None) -> Series:
    """Cells at 10 and 20 well before ``end``, BLQ samples around it, and cells again (or not) on
    the days ``after``."""
    seen = [end / 4, end / 2]
    time = [0.0, *seen, *blq_at, *(after or [])]
    conc = [0.0, 10.0, 20.0, *[0.0] * len(blq_at), *[4.0, 1.0][: len(after or [])]]
    return series(time, conc, [level == 0 for level in conc])


@pytest.mark.parametrize("end", [28, 84, 168])
def test_a_dropped_sample_below_the_limit_is_a_sample_at_the_end_of_an_interval(end: int) -> None:
    w, again = NcaRules().windows[end], [end * 1.5, end * 3.0]
    read_across = end / 8 * 10 + end / 4 * 15 + log_area(end / 2, 20, end * 1.5, 4, end)
    for blq in (
        [end],
        [end - w],
        [end + w],
        [end + 0.5],
        [end - 1.0, end + 1.0],
        [end - 0.5, end, end + 0.5],
    ):
        found = partial_area(curve_to(end, blq, again), end)
        assert isinstance(found, PartialArea), blq
        assert found == PartialArea(pytest.approx(read_across), "interpolated"), blq
    zero = replace(curve_to(end, [end], again), rules=NcaRules(blq_middle="zero"))
    assert partial_area(zero, end) == PartialArea(
        pytest.approx(end / 8 * 10 + end / 4 * 15 + end / 2 * 10), "interpolated"
    )


def log_area(t1: float, c1: float, t2: float, c2: float, end: float) -> float:
    level = c1 * (c2 / c1) ** ((end - t1) / (t2 - t1))
    return (end - t1) * (c1 - level) / math.log(c1 / level)


@pytest.mark.parametrize("end", [28, 84, 168])
def test_each_reason_for_no_area_around_the_end_is_true(end: int) -> None:
    w, again = NcaRules().windows[end], [end * 1.5, end * 3.0]
    outside = [end - w - 0.5, end + w + 0.5]
    assert partial_area(curve_to(end, outside, again), end) is Why.NOT_SAMPLED_THERE
    assert partial_area(curve_to(end, [], again), end) is Why.NOT_SAMPLED_THERE
    assert partial_area(curve_to(end, [end + w + 0.5]), end) is Why.LOSS_UNSEEN
    assert partial_area(curve_to(end, []), end) is Why.ENDED_BEFORE
    for gone in ([end], [end + w], [end - w - 0.5, end], [end - 0.5, end + 0.5]):
        assert partial_area(curve_to(end, gone), end) == PartialArea(
            area_to_last(curve_to(end, gone)), "last_quantified"
        )


def test_rules_that_leave_out_the_sample_at_the_end_are_the_reason_for_no_area() -> None:
    dropped = NcaRules(blq_last="drop")
    assert partial_area(replace(curve_to(28, [28]), rules=dropped), 28) is Why.BLQ_LEFT_OUT
    assert partial_area(replace(curve_to(28, [20]), rules=dropped), 28) is Why.ENDED_BEFORE


@pytest.mark.parametrize("first", ["zero", "drop"])
def test_cells_first_seen_after_the_end_have_no_area_up_to_it(first: str) -> None:
    """A zero would be a result, and a line from the infusion to the first cells an area of
    nothing."""
    rules = NcaRules(blq_first=first)
    for time in ([0, 28, 84, 112], [0, 14, 27, 84], [0, 31, 84, 112]):
        conc = [0.0, 0, 3, 2] if time[2] == 84 else [0.0, 0, 0, 3]
        samples = series([*time, 200], [*conc, 1.0], [level == 0 for level in [*conc, 1.0]], rules)
        assert partial_area(samples, 28) is Why.NOTHING_BY_THE_END
    in_window = series([0, 14, 30, 60], [0, 0, 5, 3], [True, True, False, False])
    assert partial_area(in_window, 28) == PartialArea(
        pytest.approx(14 * (5 * 14 / 16) / 2), "interpolated"
    )
    at_the_end = series([0, 28, 30, 60], [0, 0, 5, 3], [True, True, False, False])
    assert partial_area(at_the_end, 28) is Why.NOTHING_BY_THE_END


def test_a_missing_or_binary_file_is_a_sheet_fault(tmp_path: Path) -> None:
    with pytest.raises(SheetFault, match="cannot be read"):
        nca_file(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SheetFault, match="cannot be read"):
        nca_file(tmp_path / "binary.csv")
