"""The two phases of the decline of CAR-T cells, fitted to what was and was not quantified."""

import math

import numpy as np
import pytest

from tasks.kinetics.biexponential import Decline, Estimate, _after_peak, fit_decline
from tasks.vocabulary.reasons import Why

VISITS = np.array([4, 7, 10, 14, 21, 28, 42, 56, 84, 112, 140, 168, 252, 364.0])
PEAK, ALPHA, BETA, FB = 60.0, 0.22, 0.012, 0.004


def decline(days: np.ndarray) -> np.ndarray:
    """Follow the typical CAR19 patient: a rise to 60/µL on day 10, then the two phases (Stein et
    al. 2019)."""
    after = np.maximum(days - 10, 0)
    falling = PEAK * ((1 - FB) * np.exp(-ALPHA * after) + FB * np.exp(-BETA * after))
    return np.where(days < 10, PEAK * np.exp(days - 10), falling)


def fit(noise: float, lloq: float, seed: int = 0, *, keep_blq: bool = True) -> Decline:
    level = decline(VISITS) * np.exp(
        noise * np.random.default_rng(seed).standard_normal(VISITS.size)
    )
    blq = level < lloq
    kept = np.full(VISITS.size, fill_value=True) if keep_blq else ~blq
    return fit_decline(
        VISITS[kept].tolist(), level[kept].tolist(), blq[kept].tolist(), [lloq] * int(kept.sum())
    )


def values(found: Decline) -> tuple[float, float, float]:
    assert found.alpha is not None
    assert found.beta is not None
    assert found.fb is not None
    return found.alpha.value, found.beta.value, found.fb.value


def holds(estimate: Estimate | None, truth: float) -> bool:
    if estimate is None:
        return False
    low, high = (
        (0.0 if estimate.low is None else estimate.low),
        (math.inf if estimate.high is None else estimate.high),
    )
    return low <= truth <= high


def test_a_curve_without_noise_gives_its_own_parameters() -> None:
    assert values(fit(0.0, 1e-6)) == pytest.approx((ALPHA, BETA, FB), rel=0.02)


def test_noisy_patients_give_the_truth_on_average_and_their_intervals_hold_it() -> None:
    """Of 200 simulated patients 93 % (α), 94 % (β) and 94 % (FB) of the intervals held the truth;
    20 of them are repeated here."""
    found = [fit(0.25, 0.02, seed) for seed in range(20)]
    assert [each.reason for each in found] == [None] * 20
    middle = np.median(
        np.log(np.array([values(each) for each in found]) / (ALPHA, BETA, FB)), axis=0
    )
    assert np.abs(middle) == pytest.approx(0, abs=0.25)
    for name, truth in (("alpha", ALPHA), ("beta", BETA), ("fb", FB)):
        assert sum(holds(getattr(each, name), truth) for each in found) >= 16


def test_leaving_out_what_is_below_the_limit_makes_the_slow_phase_too_slow() -> None:
    """The samples that fell below the limit are those that tell how fast the cells went on
    falling."""
    pairs = [(fit(0.25, 0.09, seed), fit(0.25, 0.09, seed, keep_blq=False)) for seed in range(12)]
    both = [
        (values(whole)[1], values(part)[1])
        for whole, part in pairs
        if not whole.reason and not part.reason
    ]
    assert len(both) >= 6
    whole, part = (
        float(np.mean(np.log(np.array(each) / BETA))) for each in zip(*both, strict=True)
    )
    assert part < whole - 0.3
    assert abs(whole) < 0.4


def test_the_likelihood_is_that_of_the_textbook() -> None:
    """Quantified samples by their density, the others by the probability of lying below their limit
    (method M3)."""
    from scipy.stats import norm

    samples = _after_peak(
        [0, 7, 14, 28],
        [50.0, 9.0, 2.0, math.nan],
        [False, False, False, True],
        [1.0, 1.0, 1.0, 0.5],
    )
    theta = np.array(
        [math.log(48), math.log(0.3), math.log(0.02), math.log(0.01 / 0.99), math.log(0.4)]
    )

    def curve(day: float) -> float:
        return math.log(48 * (0.99 * math.exp(-0.3 * day) + 0.01 * math.exp(-0.02 * day)))

    seen = sum(
        norm.logpdf(math.log(level), curve(day), 0.4)
        for day, level in ((0, 50.0), (7, 9.0), (14, 2.0))
    )
    below = norm.logcdf(math.log(0.5), curve(28), 0.4)
    constant = 3 * 0.5 * math.log(2 * math.pi)
    assert samples.minus_log_likelihood(theta) == pytest.approx(-(seen + below) - constant)


@pytest.mark.parametrize("below", [0, 3])
def test_the_slope_of_the_likelihood_is_that_of_small_steps(below: int) -> None:
    days = [0, 4, 11, 18, 32, 46, *range(60, 60 + 30 * below, 30)]
    blq = [False] * 6 + [True] * below
    level = [60.0, 30.0, 7.0, 2.0, 0.4, 0.2] + [0.0] * below
    samples = _after_peak(days, level, blq, [0.1] * len(days))
    random = np.random.default_rng(3)
    for _ in range(20):
        theta = np.array([4.0, -1.5, -4.0, -5.0, -0.9]) + random.standard_normal(5)
        value, slope = samples.with_slope(theta)
        assert value == samples.minus_log_likelihood(theta)
        step = 1e-6
        steps = [
            samples.minus_log_likelihood(theta + side) - samples.minus_log_likelihood(theta - side)
            for side in step * np.eye(5)
        ]
        assert slope == pytest.approx(np.array(steps) / (2 * step), rel=1e-5, abs=1e-5)


def test_few_points_give_no_estimate_but_the_reason() -> None:
    found = fit(0.25, 0.5)
    assert found.reason is Why.FEW_POINTS
    assert (found.alpha, found.beta, found.fb) == (None, None, None)


def test_points_of_less_than_four_weeks_give_no_estimate() -> None:
    days = np.array([10, 12, 14, 17, 20, 24, 28.0])
    assert (
        fit_decline(days.tolist(), decline(days).tolist(), [False] * 7, [0.1] * 7).reason
        is Why.SHORT_DECLINE
    )


def test_a_decline_of_one_phase_has_no_second_half_life() -> None:
    days = np.arange(10, 80, 7.0)
    level = (
        60
        * np.exp(-0.05 * (days - 10))
        * np.exp(0.25 * np.random.default_rng(3).standard_normal(days.size))
    )
    assert (
        fit_decline(days.tolist(), level.tolist(), [False] * days.size, [0.01] * days.size).reason
        is Why.ONE_PHASE
    )


@pytest.mark.parametrize("size", [0, 9])
def test_nothing_quantified_is_nothing_to_fit(size: int) -> None:
    days = [float(day) for day in range(0, 10 * size, 10)]
    assert fit_decline(days, [math.nan] * size, [True] * size, [0.1] * size) == Decline(
        0, "fewer-than-6-points"
    )


def test_order_of_samples_changes_nothing() -> None:
    level = decline(VISITS) * np.exp(0.2 * np.random.default_rng(5).standard_normal(VISITS.size))
    blq = level < 0.02
    forward, backward = (
        fit_decline(
            VISITS[::step].tolist(),
            level[::step].tolist(),
            blq[::step].tolist(),
            [0.02] * VISITS.size,
        )
        for step in (1, -1)
    )
    assert values(forward) == pytest.approx(values(backward), rel=1e-3)
    assert fit(0.2, 0.02, 5) == fit(0.2, 0.02, 5)


def test_a_rate_turns_into_a_half_life_with_its_limits_swapped() -> None:
    assert Estimate(math.log(2) / 10, math.log(2) / 20, None).half_life() == Estimate(
        pytest.approx(10), None, pytest.approx(20)
    )
