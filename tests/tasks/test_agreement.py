"""Known answers of the statistics that compare two methods."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.concordance.agreement import bland_altman, concordance_correlation, f1, passing_bablok

WRIGHT = np.array(
    [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427],
    dtype=float,
)
MINI = np.array(
    [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451],
    dtype=float,
)
"""Peak expiratory flow by two meters (Bland & Altman 1986, table 1, first readings)."""


def brute_force_slopes(x: np.ndarray, y: np.ndarray) -> list[float]:
    pairs = [(x[j] - x[i], y[j] - y[i]) for i in range(len(x)) for j in range(i + 1, len(x))]
    slopes = [np.sign(dy) * np.inf if dx == 0 else dy / dx for dx, dy in pairs if dx or dy]
    return sorted(slope for slope in slopes if slope != -1)


def test_the_published_differences_of_two_flow_meters() -> None:
    differences = bland_altman(WRIGHT - MINI)
    assert differences is not None
    assert differences.bias.value == pytest.approx(-2.1, abs=0.05)
    assert (differences.upper_limit - differences.lower_limit) / (2 * 1.959964) == pytest.approx(
        38.8, abs=0.05
    )
    assert (differences.bias.low, differences.bias.high) == pytest.approx((-22.0, 17.8), abs=0.1)


def test_the_published_concordance_of_two_flow_meters() -> None:
    concordance = concordance_correlation(WRIGHT, MINI)
    assert concordance is not None
    assert concordance.value == pytest.approx(0.943, abs=5e-4)
    assert concordance.low < concordance.value < concordance.high < 1


def test_the_interval_of_the_concordance_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        truth = rng.normal(0, 1, 40)
        x, y = truth + rng.normal(0, 0.3, 40), 0.1 + 1.1 * truth + rng.normal(0, 0.3, 40)
        concordance = concordance_correlation(x, y)
        assert concordance is not None
        true = 2 * 1.1 / (1 + 0.09 + 1.21 + 0.09 + 0.01)
        covered.append(concordance.low <= true <= concordance.high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_passing_bablok_is_the_shifted_median_of_all_slopes() -> None:
    fitted = passing_bablok(WRIGHT, MINI)
    slopes = brute_force_slopes(WRIGHT, MINI)
    shift = sum(slope < -1 for slope in slopes)
    count = len(slopes)
    middle = [slopes[(count - 1) // 2 + shift], slopes[count // 2 + shift]]
    assert fitted is not None
    assert fitted.slope == pytest.approx(np.mean(middle))
    assert fitted.slope_low < fitted.slope < fitted.slope_high
    assert fitted.intercept == pytest.approx(np.median(MINI - fitted.slope * WRIGHT))
    assert fitted.intercept_low < fitted.intercept < fitted.intercept_high


def test_the_line_is_found_although_both_methods_err_and_its_interval_covers_it() -> None:
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(200):
        truth = rng.uniform(10, 100, 40)
        x, y = truth + rng.normal(0, 3, 40), 5 + 1.2 * truth + rng.normal(0, 3.6, 40)
        fitted = passing_bablok(x, y)
        assert fitted is not None
        covered.append(fitted.slope_low <= 1.2 <= fitted.slope_high)
    assert 0.92 <= np.mean(covered) <= 0.99


@given(st.integers(0, 10_000), st.floats(-50, 50))
def test_exchanging_or_moving_the_methods_gives_the_same_line(seed: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(1, 100, 21)
    y = 1.3 * x + rng.normal(0, 4, 21)
    one, other, moved = passing_bablok(x, y), passing_bablok(y, x), passing_bablok(x, y + offset)
    assert one is not None
    assert other is not None
    assert moved is not None
    assert one.slope == pytest.approx(1 / other.slope, rel=0.03)
    assert moved.slope == pytest.approx(one.slope)
    assert moved.intercept == pytest.approx(one.intercept + offset)


def test_equal_results_agree_fully() -> None:
    line, differences, lin = (
        passing_bablok(MINI, MINI),
        bland_altman(MINI - MINI),
        concordance_correlation(MINI, MINI),
    )
    assert line is not None
    assert (line.slope, line.slope_low, line.slope_high, line.intercept) == (1, 1, 1, 0)
    assert differences is not None
    assert differences.bias.value == differences.lower_limit == 0
    assert lin is not None
    assert lin.value == pytest.approx(1)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2, 3, 4], [7.0] * 9, [0.0] * 9])
def test_what_cannot_be_estimated_is_not(values: list[float]) -> None:
    x = np.array(values)
    assert concordance_correlation(x, x + 1) is None
    assert passing_bablok(x, x + 1) is None
    if len(x) < 5:
        assert bland_altman(x) is None


def test_f1_counts_shared_events() -> None:
    assert f1(np.arange(10), np.arange(5, 15)) == 0.5
    assert f1(np.arange(3), np.arange(3)) == 1
    assert f1(np.arange(3), np.empty(0, dtype=int)) == 0
    assert f1(np.empty(0), np.empty(0)) is None
