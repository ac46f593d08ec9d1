"""Known answers (SCIENCE 3.2) and properties of the intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from tasks.counting.intervals import (
    Interval,
    bead_ratio,
    clopper_pearson,
    difference,
    garwood,
    log_normal,
    ratio,
    scaled_count,
    volumetric,
    widened,
    wilson,
)

BEADS_PER_UL = 49713 / 50


def printed(interval: Interval, digits: int) -> tuple[float, float]:
    return round(interval.low, digits), round(interval.high, digits)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (0, (0, 3.689)),
        (1, (0.025, 5.572)),
        (5, (1.623, 11.668)),
        (20, (12.217, 30.888)),
        (50, (37.111, 65.919)),
        (100, (81.364, 121.627)),
    ],
)
def test_garwood_limits(events: int, expected: tuple[float, float]) -> None:
    assert printed(garwood(events), 3) == expected


def test_fractions() -> None:
    rare, common = clopper_pearson(7, 100_000), clopper_pearson(3, 500)
    assert [f"{limit:.3e}" for limit in rare] == ["2.814e-05", "1.442e-04"]
    assert [f"{limit:.4g}" for limit in common] == ["0.001239", "0.01743"]


def test_score_limits_of_fractions() -> None:
    rare, common = wilson(7, 100_000), wilson(3, 500)
    assert [f"{limit:.3e}" for limit in rare] == ["3.391e-05", "1.445e-04"]
    assert [f"{limit:.4g}" for limit in common] == ["0.002043", "0.01749"]
    assert (wilson(0, 500).low, wilson(500, 500).high) == (0.0, 1.0)


@given(total=st.integers(1, 10**7), data=st.data())
def test_score_limits_enclose_the_fraction(total: int, data: st.DataObject) -> None:
    events = data.draw(st.integers(0, total))
    low, high = wilson(events, total)
    assert 0 <= low <= events / total <= high <= 1
    assert low < high


def test_no_event_in_n_leaves_the_exact_upper_limit() -> None:
    assert clopper_pearson(0, 500) == (0.0, pytest.approx(1 - 0.025 ** (1 / 500)))
    assert clopper_pearson(500, 500).high == 1.0


@pytest.mark.parametrize(
    ("events", "value", "low", "high", "digits"),
    [
        (25, 2.6165, 1.6924, 3.8649, 4),
        (0, 0.0, 0.0, 0.3861, 4),
        (7, 0.7326, 0.2945, 1.5101, 4),
        (212, 22.188, 19.27, 25.42, 2),
        (4000, 418.64, 403.35, 434.44, 2),
    ],
)
def test_bead_ratio(events: int, value: float, low: float, high: float, digits: int) -> None:
    assert BEADS_PER_UL * events / 9500 == pytest.approx(value, abs=5e-4 if digits == 4 else 5e-3)
    assert printed(bead_ratio(events, 9500, BEADS_PER_UL), digits) == (low, high)


def test_one_bead_or_one_event_is_enough_for_an_exact_limit() -> None:
    share = clopper_pearson(0, 1)
    assert share == (0.0, pytest.approx(0.975))
    assert clopper_pearson(1, 1) == (pytest.approx(0.025), 1.0)
    assert bead_ratio(0, 1, 2.0) == (0.0, pytest.approx(2.0 * 0.975 / 0.025))


def test_few_beads_widen_the_interval() -> None:
    many, few = bead_ratio(100, 10_000, 1000.0), bead_ratio(10, 1000, 1000.0)
    assert few.low < many.low < 10 < many.high < few.high


def test_dual_platform() -> None:
    variance = 1 / 20_000 + 0.05**2
    assert 25 / (20_000 / 900) == 1.125
    assert printed(scaled_count(25, 20_000 / 900, variance), 3) == (0.751, 1.686)


@pytest.mark.parametrize("events", [1, 3, 9])
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.2])
def test_few_events_follow_the_gamma_log_normal_mixture(events: int, spread: float) -> None:
    limits = scaled_count(events, 1.0, spread**2)

    def below(x: float) -> float:
        if spread == 0:
            return float(stats.gamma.cdf(x, events + 0.5))
        return float(
            integrate.quad(
                lambda z: (
                    stats.gamma.cdf(x * math.exp(-spread * z), events + 0.5) * stats.norm.pdf(z)
                ),
                -9,
                9,
            )[0]
        )

    assert below(limits.low) == pytest.approx(0.025, abs=1e-8)
    assert below(limits.high) == pytest.approx(0.975, abs=1e-8)


def test_twice_the_blood_halves_the_limits_of_few_events_and_of_many() -> None:
    for events in (0, 3, 9, 10, 400):
        whole, half = scaled_count(events, 2.0, 0.01), scaled_count(events, 1.0, 0.01).times(0.5)
        assert whole == (pytest.approx(half.low), pytest.approx(half.high)), events


def test_from_ten_events_on_a_scaled_count_is_log_normal() -> None:
    assert scaled_count(10, 1.0, 0.04) == log_normal(10.0, 1 / 10 + 0.04)
    assert scaled_count(9, 1.0, 0.04) != log_normal(9.0, 1 / 9 + 0.04)


def test_no_event_with_a_certain_volume_gives_the_exact_poisson_limit() -> None:
    assert scaled_count(0, 2.0, 0.0) == (0.0, pytest.approx(garwood(0).high / 2))
    assert scaled_count(0, 2.0, 0.04).high > garwood(0).high / 2


def test_background_subtraction() -> None:
    assert printed(difference(12, 3), 3) == (0.821, 18.273)


def test_a_background_counted_among_more_cells_is_scaled_before_it_is_subtracted() -> None:
    """Ten of a hundred thousand cells are one of ten thousand, but known better."""
    net = 12 - 0.1 * 30
    low = net - math.hypot(12 - garwood(12).low, 0.1 * garwood(30).high - 3)
    high = net + math.hypot(garwood(12).high - 12, 3 - 0.1 * garwood(30).low)
    found = difference(12, 30, 0.1)
    assert found == (pytest.approx(low), pytest.approx(high))
    rough = difference(12, 3)
    assert rough.low < found.low < net < found.high < rough.high


def test_a_ratio_with_a_certain_base_keeps_the_interval() -> None:
    assert ratio(6.0, Interval(3.0, 9.0), 2.0, Interval(2.0, 2.0)) == (
        pytest.approx(1.5),
        pytest.approx(4.5),
    )
    assert ratio(6.0, Interval(0.0, 9.0), 2.0, Interval(1.0, 3.0)).low == 0.0


@given(events=st.integers(0, 5000), variance=st.floats(0, 0.2), volume=st.floats(0.01, 1e4))
def test_intervals_contain_the_estimate(events: int, variance: float, volume: float) -> None:
    for interval in (
        volumetric(events, volume),
        scaled_count(events, volume, variance),
        bead_ratio(events, 2000, 2000 / volume),
    ):
        assert interval.low <= events / volume <= interval.high
        assert interval.high > 0


@given(events=st.integers(1, 2000), factor=st.integers(2, 20))
def test_relative_width_narrows_with_events(events: int, factor: int) -> None:
    for interval in (
        garwood,
        lambda n: scaled_count(n, 1.0, 0.01),
        lambda n: clopper_pearson(n, 10 * n),
    ):
        wide, narrow = interval(events), interval(events * factor)
        assert math.log(narrow.high / narrow.low) < math.log(wide.high / wide.low)


def test_limits_do_not_jump_back_where_the_approximation_changes() -> None:
    highs = [scaled_count(n, 1.0, 0.01).high for n in range(30)]
    lows = [scaled_count(n, 1.0, 0.01).low for n in range(30)]
    assert highs == sorted(highs)
    assert lows == sorted(lows)


def test_an_error_beside_counting_widens_the_exact_interval() -> None:
    exact = bead_ratio(4000, 9500, BEADS_PER_UL)
    value = BEADS_PER_UL * 4000 / 9500
    assert widened(exact, value, 0.0) == exact
    low, high = widened(exact, value, 0.036**2)
    assert math.log(high / value) == pytest.approx(
        math.hypot(math.log(exact.high / value), 1.959964 * 0.036), rel=1e-6
    )
    assert low < exact.low < value < exact.high < high


def test_the_widened_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    for truth in (3.0, 40.0, 4000.0):
        counts = rng.poisson(truth * rng.lognormal(0, 0.036, 2000))
        held = [
            low <= truth <= high
            for low, high in (widened(garwood(int(n)), float(n), 0.036**2) for n in counts)
        ]
        assert np.mean(held) == pytest.approx(0.96, abs=0.03)


@pytest.mark.parametrize("variance", [0.04, 1.0])
@pytest.mark.parametrize("events", [1, 2, 50])
def test_any_error_beside_counting_widens_both_sides(events: int, variance: float) -> None:
    exact = garwood(events)
    low, high = widened(exact, float(events), variance)
    assert 0 < low < exact.low < events < exact.high < high


def test_a_limit_below_one_is_a_limit() -> None:
    certain = Interval(1.0, 1.0)
    assert ratio(1.0, Interval(0.5, 2.0), 1.0, certain) == (
        pytest.approx(0.5),
        pytest.approx(2.0),
    )


def test_no_event_is_bounded_by_the_mixture_when_the_volume_is_uncertain() -> None:
    assert widened(garwood(0), 0.0, 0.04) == (0.0, pytest.approx(scaled_count(0, 1.0, 0.04).high))


def test_log_normal_is_symmetric_on_the_log_scale() -> None:
    low, high = log_normal(5.0, 0.04)
    assert np.sqrt(low * high) == pytest.approx(5.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: garwood(-1),
        lambda: clopper_pearson(3, 2),
        lambda: clopper_pearson(0, 0),
        lambda: bead_ratio(1, 0, 1.0),
    ],
)
def test_impossible_counts_are_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
