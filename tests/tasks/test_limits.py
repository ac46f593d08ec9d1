"""Known answers (SCIENCE 3.3) of the detection limits."""

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
    counting_cv,
    event_limits,
    events_for_net_cv,
    expected_events_needed,
    limit_of_blank,
    limit_of_detection,
)


@pytest.mark.parametrize(
    ("background", "blank", "detection"), [(0, 0, 3.00), (0.5, 2, 5.80), (1, 3, 6.75), (2, 5, 8.51), (5, 9, 10.71), (10, 15, 13.10)]
)
def test_poisson_limits(background: float, blank: int, detection: float) -> None:
    assert limit_of_blank(background) == blank
    assert round(limit_of_detection(background), 2) == detection


@pytest.mark.parametrize(("events", "expected"), [(20, 27.9), (50, 62.2), (13, 19.4), (22, 30.2), (1, 3.0)])
def test_expected_count_for_95_percent_power(events: int, expected: float) -> None:
    assert round(expected_events_needed(events), 1) == expected


@pytest.mark.parametrize(("events", "percent"), [(20, 22.4), (50, 14.1), (100, 10.0), (400, 5.0)])
def test_counting_cv(events: int, percent: float) -> None:
    assert round(100 * counting_cv(events), 1) == percent


@given(background=st.floats(0, 1e5))
def test_the_limit_of_blank_is_the_smallest(background: float) -> None:
    blank = limit_of_blank(background)
    assert stats.poisson.cdf(blank, background) >= 0.95
    assert blank == 0 or stats.poisson.cdf(blank - 1, background) < 0.95


def test_without_background_the_study_limits_hold() -> None:
    assert event_limits(LimitSettings(), 10_000) == EventLimits(20, 50)
    assert event_limits(LimitSettings(), 10_000, detect_events=13, quantify_events=22) == EventLimits(13, 22)


def test_no_setting_detects_an_empty_population() -> None:
    assert event_limits(LimitSettings(), 0, detect_events=0, quantify_events=0) == EventLimits(1, 1)


def test_a_background_raises_both_limits() -> None:
    limits = event_limits(LimitSettings(), 100_000, background=Background("t", events=50, reference_events=50_000))
    assert limits.raised
    assert limits.detect == limit_of_blank(100.0) + 1 == 118
    assert limits.quantify == events_for_net_cv(100.0, 200.0, 0.30)
    assert (limits.quantify + 200) ** 0.5 / (limits.quantify - 100) <= 0.30


def test_a_clean_background_changes_nothing() -> None:
    assert event_limits(LimitSettings(), 100_000, background=Background("t", 0, 50_000)) == EventLimits(20, 50)


def test_analyser_cv_steps() -> None:
    errors = CountErrors()
    assert errors.analyser_cv("leukocytes", 5000) == 0.03
    assert errors.analyser_cv("leukocytes", 1000) == 0.07
    assert errors.analyser_cv("leukocytes", 200) == 0.15
    assert errors.analyser_cv("lymphocytes", 900) == 0.07


def test_limits_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="must not be below"):
        LimitSettings(detect_events=60, quantify_events=50)
