"""Known answers (SCIENCE 3.3) of the detection limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from tasks.counting.limits import (
    Background,
    CountErrors,
    EventLimits,
    LimitSettings,
    event_limits,
    events_for_net_cv,
    limit_of_blank,
    predicted_blank,
)


@pytest.mark.parametrize(
    ("background", "blank"), [(0, 0), (0.5, 2), (1, 3), (2, 5), (5, 9), (10, 15)]
)
def test_the_limit_of_blank_is_the_published_one(background: float, blank: int) -> None:
    assert limit_of_blank(background) == blank


def conditional_test(sample: int, background: int, exposure_ratio: float) -> float:
    """Give the one-sided probability of so many sample events, were they background only."""
    share = exposure_ratio / (1 + exposure_ratio)
    return float(stats.binom.sf(sample - 1, sample + background, share))


@given(background=st.floats(0, 1e5))
def test_the_limit_of_blank_is_the_smallest(background: float) -> None:
    blank = limit_of_blank(background)
    assert stats.poisson.cdf(blank, background) >= 0.95
    assert blank == 0 or stats.poisson.cdf(blank - 1, background) < 0.95


def test_without_background_the_study_limits_hold() -> None:
    assert event_limits(LimitSettings(), 10_000) == EventLimits(20, 50)
    assert event_limits(
        LimitSettings(), 10_000, detect_events=13, quantify_events=22
    ) == EventLimits(13, 22)


def test_no_setting_detects_an_empty_population() -> None:
    assert event_limits(LimitSettings(), 0, detect_events=0, quantify_events=0) == EventLimits(1, 1)


def test_a_background_raises_both_limits() -> None:
    limits = event_limits(
        LimitSettings(), 100_000, background=Background("t", events=50, reference_events=50_000)
    )
    assert limits.raised
    assert limits.detect == predicted_blank(50, 2.0) + 1 > limit_of_blank(100.0) + 1
    assert limits.quantify == events_for_net_cv(102.0, 204.0, 0.30)
    assert (limits.quantify + 204) ** 0.5 / (limits.quantify - 102) <= 0.30


def test_an_empty_small_background_raises_the_limits_of_a_large_tube() -> None:
    limits = event_limits(
        LimitSettings(), 100_000, background=Background("t", events=0, reference_events=1_000)
    )
    assert (limits.detect, limits.raised) == (math.ceil(math.log(0.05) / math.log(100 / 101)), True)
    assert limits.quantify > limits.detect > 100


@pytest.mark.parametrize(("events", "exposure"), [(0, 1.0), (3, 0.2), (3, 10.0), (50, 2.0)])
def test_the_predicted_blank_is_the_border_of_the_exact_conditional_test(
    events: int, exposure: float
) -> None:
    blank = predicted_blank(events, exposure)
    assert (
        conditional_test(blank + 1, events, exposure)
        <= 0.05
        < conditional_test(blank, events, exposure)
    )


@given(background=st.floats(0.5, 200))
def test_a_long_background_count_gives_the_poisson_limit_of_blank(background: float) -> None:
    counted = 10**8
    assert abs(predicted_blank(counted, background / counted) - limit_of_blank(background)) <= 1


@pytest.mark.parametrize("ratio", [0.5, 3.0, 20.0])
@pytest.mark.parametrize("expected", [0.05, 0.5, 2.0, 8.0])
def test_tubes_without_cells_are_called_detected_in_at_most_one_of_twenty(
    ratio: float, expected: float
) -> None:
    false = sum(
        stats.poisson.pmf(seen, expected)
        * stats.poisson.sf(predicted_blank(seen, ratio), expected * ratio)
        for seen in range(int(expected + 12 * expected**0.5) + 12)
    )
    assert false <= 0.05


def test_a_clean_background_changes_nothing() -> None:
    assert event_limits(
        LimitSettings(), 100_000, background=Background("t", 0, 50_000)
    ) == EventLimits(20, 50)


def test_analyser_cv_steps() -> None:
    errors = CountErrors()
    assert errors.analyser_cv("leukocytes", 5000) == 0.03
    assert errors.analyser_cv("leukocytes", 1000) == 0.07
    assert errors.analyser_cv("leukocytes", 200) == 0.15
    assert errors.analyser_cv("lymphocytes", 900) == 0.07


def test_limits_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="must not be below"):
        LimitSettings(detect_events=60, quantify_events=50)
