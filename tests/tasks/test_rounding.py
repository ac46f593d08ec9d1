"""Another unit or another last digit changes no decision: what is equal but for rounding is
equal."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.kinetics.cellular_kinetics import _peak_censoring
from tasks.kinetics.nca import NAMES, analyse, partial_area
from tasks.kinetics.nca_rules import NcaRules, TerminalRules
from tasks.kinetics.recovery import Definition, RecoverySettings, VisitCount, definitions, recovery
from tasks.kinetics.rounding import exceeds, log_ratio, nine_digits, reaches, within_days
from tasks.kinetics.sample_series import series
from tasks.kinetics.slopes import line, steadiest
from tasks.vocabulary.reasons import Why

B_10 = Definition("B_10", "per_ul", 10.0, 10.0)
HALVING = [100.0 * 2.0**-step for step in range(12)]
EVEN_LEVELS = st.sampled_from([0.0, *HALVING, 9.0, 0.3, 0.1 * 3, 1 / 3, 5.0])
LEVELS = st.one_of(EVEN_LEVELS, st.floats(1e-3, 1e5))
EVEN_CURVES = st.lists(LEVELS, min_size=2, max_size=12).flatmap(
    lambda levels: st.sampled_from([1.0, 7.0, 14.0, 0.1, 1 / 3]).map(
        lambda step: (np.arange(1, len(levels) + 1) * step, np.array(levels))
    )
)
DECLINES = st.tuples(
    st.sampled_from([1.0, 3.5, 7.0, 14.0]),
    st.integers(4, 9),
    st.sampled_from([0.5, 0.25, 0.7, 0.9]),
).map(lambda kind: (np.arange(1, kind[1] + 1) * kind[0], 100 * kind[2] ** np.arange(kind[1])))
CURVES = st.one_of(EVEN_CURVES, DECLINES)
RULES = st.builds(
    NcaRules,
    blq_middle=st.sampled_from(["zero", "drop"]),
    auc_method=st.sampled_from(["lin-up-log-down", "linear"]),
    terminal=st.sampled_from(
        [
            {},
            {"tie": 0.0},
            {"minimum_r2": 1.0},
            {"minimum_span": 3.0},
            {"maximum_extrapolated": 0.5},
        ]
    ),
)


def found(time, conc, rules=None):
    return analyse(series(time, conc, conc == 0, rules or NcaRules()))


def assert_same(before, after, factor=1.0):
    for name in NAMES:
        sized = factor if name in {"Cmax", "Clast"} or name.startswith("AUC") else 1.0
        assert isinstance(after[name], Why) == isinstance(before[name], Why), (
            name,
            before[name],
            after[name],
        )
        if isinstance(before[name], Why):
            assert after[name] is before[name], name
        else:
            assert after[name] == pytest.approx(before[name] * sized, rel=1e-6), name


@pytest.mark.parametrize("bound", [10.0, -10.0, 1e-6, 3e5])
def test_a_value_within_a_billionth_of_a_bound_lies_on_it_and_one_beyond_does_not(bound):
    near, far = 0.95e-9 * abs(bound), 1.05e-9 * abs(bound)
    assert reaches(bound, bound)
    assert reaches(bound - near, bound)
    assert not reaches(bound - far, bound)
    assert not exceeds(bound, bound)
    assert not exceeds(bound + near, bound)
    assert exceeds(bound + far, bound)


def test_a_time_within_a_tenth_of_a_second_of_a_day_is_that_day_and_one_beyond_is_not():
    near, far = 0.95e-6, 1.05e-6
    times = np.array([25 - far, 25 - near, 25, 28, 31, 31 + near, 31 + far])
    assert within_days(times, 25, 31).tolist() == [False, *[True] * 5, False]


def test_of_fits_equally_good_the_one_with_most_samples_is_taken_and_none_is_better_than_perfect():
    for points in range(3, 9):
        for ratio in (0.5, 0.7, 1 / 3, 0.123):
            time, conc = np.arange(1.0, points + 2), 100 * ratio ** np.arange(points + 1)
            slope = steadiest(time[1:], conc[1:], TerminalRules())
            assert slope is not None
            assert slope.points == points
            assert slope.r_squared <= 1.0
            assert slope.lambda_z == pytest.approx(-math.log(ratio))


@given(curve=CURVES, rules=RULES, factor=st.floats(-200, 200).map(lambda power: 10.0**power))
@example(
    curve=(np.arange(1, 5) * 1.0, np.array([100.0, 50.0, 25.0, 12.5])), rules=NcaRules(), factor=0.1
)
@example(
    curve=(np.arange(1, 5) * 7.0, np.array([9.0, 0.3, 0.1 * 3, 0.3])),
    rules=NcaRules(),
    factor=1 / 3,
)
@example(curve=(np.arange(1, 4) * 7.0, np.array([0.3, 0.1 * 3, 0.1])), rules=NcaRules(), factor=3.0)
def test_another_unit_flips_no_decision(curve, rules, factor):
    time, conc = curve
    assert_same(found(time, conc, rules), found(time, conc * factor, rules), factor)


@given(curve=CURVES, rules=RULES, up=st.booleans())
@example(
    curve=(np.arange(1, 5) * 1.0, np.array([100.0, 50.0, 25.0, 12.5])), rules=NcaRules(), up=True
)
def test_a_last_digit_on_every_concentration_flips_no_decision(curve, rules, up):
    time, conc = curve
    shifted = np.where(conc == 0, 0.0, np.nextafter(conc, math.inf if up else 0.0))
    assert_same(found(time, conc, rules), found(time, shifted, rules))


@given(curve=CURVES, rules=RULES, data=st.data())
def test_last_digits_here_and_there_flip_no_decision(curve, rules, data):
    time, conc = curve
    steps = np.array(
        data.draw(st.lists(st.integers(-2, 2), min_size=len(conc), max_size=len(conc)))
    )
    assert_same(
        found(time, conc, rules), found(time, conc + steps * np.spacing(conc) * (conc > 0), rules)
    )


@given(curve=CURVES, data=st.data())
def test_times_a_breath_apart_give_the_same_areas_and_the_same_week_24(curve, data):
    """Days come from differences of times: 28 days may be 27.999999999999996 of them."""
    time, conc = curve
    steps = np.array(
        data.draw(st.lists(st.integers(-2, 2), min_size=len(time), max_size=len(time)))
    )
    assert_same(found(time, conc), found(time + steps * np.spacing(time), conc))


def test_of_equal_peaks_the_first_is_the_peak_however_they_were_rounded():
    time = np.array([7.0, 10.0, 14.0, 21.0])
    for second in (0.3, 0.1 * 3, np.nextafter(0.3, 0)):
        assert found(time, np.array([0.3, second, 0.1, 0.05]))["Tmax"] == 7.0
    assert found(time, np.array([0.3, 0.3 * (1 + 1e-6), 0.1, 0.05]))["Tmax"] == 10.0


def test_levels_that_differ_by_rounding_neither_rise_nor_fall():
    time, level = np.array([7.0, 10, 14, 21]), np.array([50.0, 0.1 * 3, 0.3, 0.3])
    assert found(time, level)["half_life"] is Why.NOT_FALLING
    assert found(time, level[::-1])["doubling_time"] is not Why.NOT_RISING
    assert line(time[1:], level[1:]) is None
    assert (
        found(np.array([0.0, 1, 2]), np.array([0.3, 0.1, 0.1 * 3]))["doubling_time"]
        is Why.FEW_UP_TO_PEAK
    )


def test_a_decline_of_exactly_two_half_lives_is_long_enough():
    for first in (100.0, 0.1, 0.7, 1 / 3, 1e-5):
        time = np.array([6.0, 7.0, 14.0, 21.0])
        conc = np.array([1.5, 1.0, 0.5, 0.25]) * first
        assert found(time, conc, NcaRules(terminal={"maximum_extrapolated": 1.0}))[
            "half_life"
        ] == pytest.approx(7.0)


def test_a_perfect_line_satisfies_any_demand_for_r2_and_no_tie():
    time, conc = np.arange(1.0, 9), 100 * 0.3 ** np.arange(8)
    for strict in ({"minimum_r2": 1.0}, {"tie": 0.0}):
        assert found(time, conc, NcaRules(terminal=strict))["lambda_z"] == pytest.approx(
            -math.log(0.3)
        )


def test_the_edges_of_a_window_belong_to_it_however_they_were_rounded():
    for day in (25.0, np.nextafter(25.0, 0), 31.0, np.nextafter(31.0, 99)):
        area = partial_area(
            series([0, 7, 14, day, 60], [0, 50, 20, 10, 5], [True, *[False] * 4]), 28
        )
        assert not isinstance(area, Why), day
    for day in (28.0, np.nextafter(28.0, 0), np.nextafter(28.0, 99)):
        area = partial_area(series([0, 7, 14, day], [0, 50, 20, 10], [True, *[False] * 3]), 28)
        assert not isinstance(area, Why)
        assert area.end == "interpolated"


def test_a_gap_of_exactly_a_week_is_no_wide_gap():
    for first in (7.0, 7 / 3, 0.1, 14.7):
        time = np.array([first, first + 7.0, first + 7.0 + 7.0])
        assert _peak_censoring(time, 1)[0] == "none"


def test_a_level_on_a_threshold_has_reached_it():
    near = (10.0, np.nextafter(10.0, 0), 9.999999999999996, 1 / 3 * 30, np.nextafter(10, 99))
    for level in near:
        seen = [
            VisitCount(day, "Q", value, 0.5, 1.25)
            for day, value in ((-7, 80.0), (14, 2.0), (84, level), (112, 60.0))
        ]
        judged = recovery(seen, B_10)
        assert judged.recovery is not None
        assert judged.recovery.high == 84
        assert judged.recovery.estimate == pytest.approx(84)
        depleted = recovery(
            [VisitCount(-7, "Q", 80.0, 0.5, 1.25), VisitCount(14, "Q", level, 0.5, 1.25)], B_10
        )
        assert depleted.depletion is None


@given(level=st.floats(0.01, 1e3), power=st.sampled_from([0.1, 1 / 3, 3.0, 7.0, 1e-3]))
def test_half_of_the_baseline_is_half_of_it_in_any_unit(level, power):
    """Only thresholds that are a share of the baseline scale with the unit."""

    def judged(unit):
        known = definitions(RecoverySettings(), level * unit)[-2:]
        days = [(-7, level), (14, level * 0.1 * 0.9), (56, level * 0.5), (84, level * 0.1 * 10)]
        return [
            recovery([VisitCount(day, "Q", value * unit, 0.0, 0.0) for day, value in days], each)
            for each in known
        ]

    assert [(each.recovery.low, each.recovery.high) for each in judged(power)] == [
        (14, 56),
        (56, 84),
    ]


@given(value=st.floats(1e-200, 1e200), steps=st.integers(-4, 4))
def test_a_few_last_digits_are_no_difference(value, steps):
    near = value + steps * math.ulp(value)
    assert reaches(near, value)
    assert not exceeds(near, value)
    assert abs(log_ratio(near, value)) <= 1e-15
    assert reaches(value * (1 + 1e-8), value)
    assert exceeds(value * (1 + 1e-8), value)
    assert not reaches(value * (1 - 1e-8), value)


def test_ranks_are_of_nine_digits():
    assert nine_digits(0.1 * 3) == nine_digits(0.3)
    assert nine_digits(0.30000001) != nine_digits(0.3)
    assert nine_digits(math.inf) == math.inf
