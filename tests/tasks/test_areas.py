"""Areas between samples, against arithmetic of fifty digits: nearly equal, far apart, tiny and huge
values."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.kinetics.areas import area, level_at, log_mean
from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.rounding import log_ratio

STATED = Decimal("1e-15")
LEVELS = st.floats(1e-300, 1e300)
NEAR = st.floats(1e-16, 1.0).map(lambda part: 1 + part)
FAR = st.floats(0.0, 300.0).map(lambda power: 10.0**power)


def exact_mean(high: float, low: float) -> Decimal:
    with localcontext() as context:
        context.prec = 50
        a, b = Decimal(high), Decimal(low)
        return (a - b) / (a / b).ln()


def assert_as_exact(high: float, low: float) -> None:
    found, truth = Decimal(log_mean(high, low)), exact_mean(high, low)
    assert abs(found - truth) <= STATED * truth, (high, low, found, truth)


@given(low=LEVELS, ratio=st.one_of(NEAR, FAR))
@example(low=300000.0, ratio=1 + 2e-16)
@example(low=1.0, ratio=1 + 2**-52)
@example(low=1e-300, ratio=1e300)
@example(low=1e-300, ratio=2.0)
@example(low=5e-10, ratio=2.0000000000000004)
def test_the_mean_of_a_falling_pair_has_all_its_digits(low, ratio):
    high = low * ratio
    if low < high < math.inf:
        assert_as_exact(high, low)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 1000, 10**6])
@pytest.mark.parametrize("low", [1e-300, 1e-3, 1.0, 1.5, 300000.0, 1e300])
def test_neighbouring_doubles_are_told_apart(low, steps):
    assert_as_exact(low + steps * math.ulp(low), low)


@pytest.mark.parametrize("exponent", [*range(-16, 0), *range(0, 301, 20)])
def test_ratios_from_one_to_the_end_of_the_range(exponent):
    for low in (1e-300, 1e-5, 1.0, 300000.0):
        high = low * (1 + 10.0**exponent)
        if low < high < math.inf:
            assert_as_exact(high, low)


def test_the_whole_range_of_doubles_neither_overflows_nor_underflows():
    assert_as_exact(1.7e308, 1e-307)
    assert_as_exact(1.7e308, 1.6e308)
    assert log_mean(5e-324 * 2, 5e-324) in (5e-324, 1e-323)
    assert log_ratio(1.7e308, 5e-324) == pytest.approx(math.log(1.7e308) - math.log(5e-324))
    flat = area(np.array([0.0, 2.0]), np.array([1e307, 1.7e307]))
    assert flat == pytest.approx(2.7e307, rel=1e-15)
    assert area(np.array([0.0, 1.0]), np.array([1.6e308, 1.7e308])) == pytest.approx(
        1.65e308, rel=1e-15
    )
    assert area(np.array([0.0, 1.0]), np.array([0.0, 1e-308])) == pytest.approx(5e-309, rel=1e-12)


def test_an_hour_and_a_half_at_nearly_the_same_level_is_no_other_area():
    """The quotient of the two values has one digit left: its logarithm made 412,144 of it."""
    pair = np.array([300000.00000000006, 300000.0])
    assert area(np.array([0.0, 1.5]), pair) == pytest.approx(450000.0, rel=1e-15)
    assert area(np.array([0.0, 1.5]), pair[::-1]) == pytest.approx(450000.0, rel=1e-15)


@given(low=st.floats(1e-6, 1e6), steps=st.integers(-3, 3), days=st.floats(0.01, 30))
def test_one_last_digit_changes_an_area_by_one_last_digit(low, steps, days):
    time, level = np.array([0.0, days]), np.array([low, low])
    shifted = np.array([low + steps * math.ulp(low), low])
    assert area(time, shifted) == pytest.approx(area(time, level), rel=1e-14)


@given(high=LEVELS, ratio=st.floats(0.0, 1.0), part=st.floats(0.0, 1.0))
@example(high=1e300, ratio=1e-300, part=0.5)
@example(high=1.0, ratio=1 - 2**-53, part=0.5)
@example(high=1e300, ratio=0.0, part=0.5)
def test_a_level_between_two_samples_lies_between_them_and_on_the_exponential(high, ratio, part):
    low = max(high * ratio, 1e-300)
    time, conc = np.array([0.0, 1.0]), np.array([high, low])
    found = level_at(time, conc, part)
    assert low <= found <= high
    with localcontext() as context:
        context.prec = 50
        truth = Decimal(high) * (Decimal(low) / Decimal(high)) ** Decimal(part)
    assert abs(Decimal(found) - truth) <= Decimal("1e-12") * truth


@given(
    time=st.lists(st.floats(0.01, 30.0), min_size=2, max_size=10).map(np.cumsum),
    part=st.floats(0.01, 0.99),
    data=st.data(),
)
def test_a_sample_read_off_the_curve_leaves_its_area_as_it_is(time, part, data):
    conc = np.array(
        data.draw(st.lists(st.floats(1e-3, 1e5), min_size=len(time), max_size=len(time)))
    )
    place = data.draw(st.integers(0, len(time) - 2))
    at = float(time[place] + part * (time[place + 1] - time[place]))
    for rules in (NcaRules(), NcaRules(auc_method="linear")):
        level = level_at(time, conc, at, rules)
        more = np.insert(time, place + 1, at), np.insert(conc, place + 1, level)
        assert area(*more, rules) == pytest.approx(area(time, conc, rules), rel=1e-9)
