"""The rules of Westgard are broken where the textbook says so, and nowhere else."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.control_charts.westgard import Rule, Violation, violations

WITHIN = [0.3, -0.4, 0.9, -0.8]


def broken(z: list[float], patients: list[str] | None = None) -> list[tuple[str, int, int]]:
    return [(str(each.rule), each.first, each.at) for each in violations(z, patients)]


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        ([*WITHIN, 3.1, *WITHIN], [("1-3s", 4, 4)]),
        ([*WITHIN, -3.1, *WITHIN], [("1-3s", 4, 4)]),
        ([*WITHIN, 2.1, 2.2, *WITHIN], [("2-2s", 4, 5)]),
        ([*WITHIN, -2.1, -2.2, *WITHIN], [("2-2s", 4, 5)]),
        ([*WITHIN, 2.1, -2.1, *WITHIN], [("R-4s", 4, 5)]),
        ([*WITHIN, -2.1, 2.1, *WITHIN], [("R-4s", 4, 5)]),
        ([*WITHIN, 1.1, 1.2, 1.6, 1.9, -0.2], [("4-1s", 4, 7)]),
        ([*WITHIN, -1.1, -1.2, -1.6, -1.9, 0.2], [("4-1s", 4, 7)]),
        ([-0.1, *[0.5] * 10, -0.1], [("10x", 1, 10)]),
        ([0.1, *[-0.5] * 10, 0.1], [("10x", 1, 10)]),
        ([-0.1, *[0.5] * 12, -0.1], [("10x", 1, 10), ("10x", 1, 11), ("10x", 1, 12)]),
        ([-0.5, 2.5, 3.5], [("1-3s", 2, 2), ("2-2s", 1, 2)]),
    ],
)
def test_a_rule_is_broken_at_its_place_alone(
    z: list[float], expected: list[tuple[str, int, int]]
) -> None:
    assert broken(z) == expected


@pytest.mark.parametrize(
    "z",
    [
        [],
        [3.0, -0.1, -3.0],
        [*WITHIN, 2.1, *WITHIN, 2.1],
        [2.0, 2.0, 2.0, -0.5],
        [2.1, 0.5, 2.1],
        [2.1, -1.9, 2.1],
        [1.5, 1.5, 1.5, -0.1, 1.5],
        [1.0, 1.0, 1.0, 1.0, -0.1],
        [*[0.5] * 9, -0.1, *[0.5] * 9],
        [*[0.5] * 9, 0.0, *[0.5] * 9],
    ],
)
def test_a_value_on_a_limit_or_a_run_one_too_short_breaks_nothing(z: list[float]) -> None:
    assert broken(z) == []


def test_the_tubes_of_one_patient_are_one_witness() -> None:
    shifted = [-0.5, *[0.5] * 12]
    alone, five = ["P1"] * 13, [f"P{i % 5}" for i in range(13)]
    assert broken(shifted, alone) == []
    assert [first for _, first, _ in broken(shifted, five)] == [1, 1, 1]
    four = [f"P{i % 4}" for i in range(13)]
    assert broken(shifted, four) == []
    assert broken([2.5, 2.5], ["P1", "P1"]) == []
    assert broken([2.5, 2.5], ["P1", "P2"]) == [("2-2s", 0, 1)]
    assert broken([1.5, 1.5, 1.5, 1.5], ["P1", "P1", "P1", "P2"]) == [("4-1s", 0, 3)]
    assert broken([3.5], ["P1"]) == [("1-3s", 0, 0)]
    assert broken([2.5, -2.5], ["P1", "P1"]) == [("R-4s", 0, 1)]


@given(st.lists(st.floats(-5, 5), max_size=40))
def test_what_is_broken_above_is_broken_below_and_reaches_backwards(z: list[float]) -> None:
    found = violations(z)
    assert violations([-value for value in z]) == found
    assert all(0 <= each.first <= each.at < len(z) for each in found)
    assert found == sorted(found, key=lambda each: each.at)


@given(st.lists(st.floats(-5, 5), max_size=30), st.integers(0, 29))
def test_no_later_tube_changes_what_was_said_before(z: list[float], number: int) -> None:
    assert violations(z[:number]) == [each for each in violations(z) if each.at < number]


def test_false_alarms_come_as_often_as_chance_has_it() -> None:
    """Of 100,000 normal values: 2·(1 - Φ(3)) = 0.27 % for 1-3s; of the others by simulation."""
    values = np.random.default_rng(7).normal(size=100_000).tolist()
    found = violations(values)
    percent = {rule: 100 * n / len(values) for rule, n in Counter(v.rule for v in found).items()}
    assert percent[Rule.ONE_3S] == pytest.approx(0.27, abs=0.05)
    # Two values beyond 2 SD: 2·0.02275² = 0.1035 %, on one side or on two.
    assert percent[Rule.TWO_2S] == pytest.approx(0.1035, abs=0.04)
    assert percent[Rule.R_4S] == pytest.approx(0.1035, abs=0.04)
    # Four beyond 1 SD: 2·0.15866⁴ = 0.127 %. Ten on one side: 2·0.5¹⁰ = 0.195 %.
    assert percent[Rule.FOUR_1S] == pytest.approx(0.127, abs=0.04)
    assert percent[Rule.TEN_X] == pytest.approx(0.195, abs=0.06)
    assert 100 * len({each.at for each in found}) / len(values) == pytest.approx(0.75, abs=0.1)


def test_a_shift_of_two_sds_is_seen_within_ten_tubes() -> None:
    rng = np.random.default_rng(8)
    seen = [bool(violations((rng.normal(size=10) + 2).tolist())) for _ in range(500)]
    assert sum(seen) >= 490


def test_a_violation_names_its_rule_as_laboratories_do() -> None:
    assert [str(rule) for rule in Rule] == ["1-3s", "2-2s", "R-4s", "4-1s", "10x"]
    assert violations([4.0]) == [Violation(Rule.ONE_3S, 0, 0)]
