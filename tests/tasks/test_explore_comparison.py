"""Composition over time: exact permutation tests, and what may not be claimed."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, mannwhitneyu, wilcoxon

from tasks.explore.comparison import (
    LEAST_PATIENTS,
    Amount,
    Contrast,
    between_groups,
    between_visits,
    false_discovery_rate,
)
from tasks.explore.rank_tests import ALPHA, paired, unpaired

NAIVE = Contrast("naive", "D-7", "D168")


@pytest.mark.parametrize("number", [3, 6, 9, 14])
def test_the_paired_test_is_wilcoxons_exact_one(number: int) -> None:
    differences = np.random.default_rng(number).normal(0.6, 1, number)
    assert paired(differences).p == pytest.approx(wilcoxon(differences, method="exact").pvalue)


@pytest.mark.parametrize("sizes", [(3, 4), (4, 4), (6, 9)])
def test_the_unpaired_test_is_mann_and_whitneys_exact_one(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(sizes))
    one, other = rng.normal(0, 1, sizes[0]), rng.normal(0.8, 1, sizes[1])
    assert unpaired(one, other).p == pytest.approx(mannwhitneyu(one, other, method="exact").pvalue)


def test_ties_are_permuted_and_not_approximated() -> None:
    differences = [0.5, 0.5, -0.5, 1.0, 1.0, 2.0, 0.0]
    sizes = np.array([2, 2, 2, 4.5, 4.5, 6])
    seen = 2 + 2 + 4.5 + 4.5 + 6
    sums = [
        sizes[list(chosen)].sum()
        for k in range(7)
        for chosen in itertools.combinations(range(6), k)
    ]
    above = np.mean(np.array(sums) >= seen)
    assert paired(differences).p == pytest.approx(2 * above)


@pytest.mark.parametrize("number", [6, 7, 8])
def test_of_all_signs_that_chance_can_give_at_most_one_in_twenty_is_called_a_difference(
    number: int,
) -> None:
    sizes = np.random.default_rng(number).exponential(size=number)
    signs = itertools.product((-1, 1), repeat=number)
    called = np.mean([paired(sizes * np.array(each)).p < ALPHA for each in signs])
    assert 0 < called <= ALPHA


@given(
    st.lists(st.floats(-5, 5).map(lambda each: round(each, 2)), min_size=6, max_size=12),
    st.floats(-3, 3),
)
def test_interval_and_test_agree(differences: list[float], moved: float) -> None:
    test = paired(differences)
    assert test.interval is not None
    low, high = test.interval
    assert low <= test.estimate <= high
    if not low <= moved <= high and len(set(np.abs(np.subtract(differences, moved)))) == len(
        differences
    ):
        assert paired(np.subtract(differences, moved)).p <= ALPHA + 1e-12


def test_the_rate_of_false_discoveries_is_benjamini_and_hochbergs() -> None:
    assert false_discovery_rate([0.01, 0.04, 0.03, 0.5]) == pytest.approx(
        (0.04, 0.16 / 3, 0.16 / 3, 0.5)
    )
    assert false_discovery_rate([]) == ()
    p = np.random.default_rng(5).uniform(size=30) ** 3
    assert false_discovery_rate(p) == pytest.approx(false_discovery_control(p))


def _pairs(ratios: list[float]) -> list[tuple[Amount, Amount]]:
    return [(Amount(1000, 10_000), Amount(round(1000 * each), 10_000)) for each in ratios]


def test_nothing_is_claimed_from_three_patients() -> None:
    compared = between_visits({NAIVE: _pairs([4.0, 4.5, 5.0])})
    [change] = compared.changes
    assert (change.p, change.q, change.interval) == (None, None, None)
    assert change.ratio == pytest.approx(4.5, rel=0.01)
    assert compared.sentence.startswith("Nothing is claimed from 3 patients with both visits")


def test_six_patients_are_the_fewest_that_can_differ() -> None:
    five, six = (between_visits({NAIVE: _pairs([2.0 + i / 10 for i in range(n)])}) for n in (5, 6))
    assert LEAST_PATIENTS == 6
    assert five.changes[0].p is None
    [change] = six.changes
    assert change.p == change.q == pytest.approx(2 / 2**6)
    assert change.interval is not None
    assert (change.interval.low, change.interval.high) == pytest.approx((2.0, 2.5), rel=0.01)


def test_one_difference_among_many_is_not_claimed_from_few_patients() -> None:
    rng = np.random.default_rng(1)
    pairs = {
        Contrast(f"cluster {number}", "D-7", "D168"): _pairs(list(np.exp(rng.normal(0, 0.2, 6))))
        for number in range(9)
    }
    compared = between_visits({NAIVE: _pairs([2, 2.1, 2.2, 2.3, 2.4, 2.5])} | pairs)
    naive = compared.changes[0]
    assert naive.p is not None
    assert naive.p < ALPHA
    assert naive.q is not None
    assert naive.q > ALPHA
    assert "at least 7 must differ together" in compared.sentence


def test_a_visit_without_such_cells_still_has_a_ratio() -> None:
    [change] = between_visits({NAIVE: [(Amount(0, 1000), Amount(30, 1000))]}).changes
    assert math.isfinite(change.ratio)
    assert change.ratio == pytest.approx(61)
    assert between_visits({NAIVE: [(Amount(0, 1000), Amount(0, 1000))]}).changes == ()


def test_groups_need_four_and_four() -> None:
    one, other = (
        [Amount(100 + i, 10_000) for i in range(4)],
        [Amount(300 + i, 10_000) for i in range(4)],
    )
    [change] = between_groups({NAIVE: (one, other)}).changes
    assert change.q == pytest.approx(2 / math.comb(8, 4))
    fewer = between_groups({NAIVE: (one[:3], other)})
    assert fewer.changes[0].p is None
    assert fewer.sentence.startswith("Nothing is claimed from two groups of 7 patients")


def test_a_group_with_larger_tubes_has_not_less_of_what_nobody_has() -> None:
    small, large = ([Amount(0, whole + i) for i in range(5)] for whole in (500, 50_000))
    assert between_groups({NAIVE: (small, large)}).changes == ()
    [change] = between_groups({NAIVE: ([Amount(1, 400), *small], large)}).changes
    assert change.ratio == pytest.approx(1)
    assert change.p == pytest.approx(1, abs=0.1)


def test_what_one_group_alone_has_is_a_difference() -> None:
    none, some = ([Amount(events, 1000) for _ in range(5)] for events in (0, 40))
    [change] = between_groups({NAIVE: (none, some)}).changes
    assert change.ratio == pytest.approx(81)
    assert change.q is not None
    assert change.q < ALPHA


def test_groups_that_never_have_a_tube_both_are_not_compared() -> None:
    compared = between_groups({NAIVE: ([Amount(3, 100)], [])})
    assert compared.changes == ()
    assert "no visit at which both groups" in compared.sentence
