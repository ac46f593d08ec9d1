"""What the patients of a group show together when some are known only by an interval or a bound."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.kinetics.summary import summary_frame
from tests.tasks.published_rows import parameters

Known = tuple[float | None, float | None, float | None, str]


def summed(
    *known: Known, parameter: str = "Cmax", strata: dict[str, str] | None = None
) -> list[dict[str, object]]:
    """Sum one parameter up of patients P0, P1 … of whom (value, low, high, censoring) is known;
    empty cells as None."""
    rows = [
        (f"P{i}", "blood", "car19_t", parameter, v, "1/uL", low, high, kind, 3, "x@1")
        for i, (v, low, high, kind) in enumerate(known)
    ]
    frame = summary_frame(parameters(*rows), strata)
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def exact(value: float) -> Known:
    return value, 0.5 * value, 2 * value, "none"


NOT_ESTIMABLE: Known = (None, None, None, "none")


def test_values_have_their_median_quartiles_and_range_whatever_their_own_intervals() -> None:
    (row,) = summed(*map(exact, (1.0, 2.0, 3.0, 4.0, 10.0)), NOT_ESTIMABLE)
    assert (row["patients"], row["estimated"], row["bounded"]) == (6, 5, 0)
    assert (
        row["minimum"],
        row["lower_quartile"],
        row["median"],
        row["upper_quartile"],
        row["maximum"],
    ) == (1, 2, 3, 4, 10)
    assert (row["median_low"], row["median_high"]) == (3, 3)


def test_quartiles_need_four_patients_and_a_median_two() -> None:
    (three,) = summed(*map(exact, (1.0, 2.0, 3.0)))
    assert (three["median"], three["lower_quartile"]) == (2, None)
    (one,) = summed(exact(5.0), NOT_ESTIMABLE)
    assert (one["estimated"], one["median"], one["median_low"]) == (1, None, None)


def test_a_lower_bound_is_no_value_and_leaves_an_interval_for_the_median() -> None:
    (row,) = summed(exact(10.0), exact(30.0), (20.0, 20.0, None, "right"))
    assert row["median"] is None
    assert (row["median_low"], row["median_high"], row["bounded"]) == (20, 30, 1)


def test_a_median_that_may_be_any_later_has_no_upper_end() -> None:
    (row,) = summed(exact(10.0), (None, 40.0, None, "right"), (None, 60.0, None, "right"))
    assert (row["median_low"], row["median_high"]) == (40, None)


def test_what_lies_below_a_limit_lies_between_it_and_zero() -> None:
    (row,) = summed((None, None, 2.0, "left"), (None, None, 3.0, "left"), exact(8.0))
    assert (row["median"], row["median_low"], row["median_high"]) == (None, 0, 3)


def test_b_cells_gone_at_the_first_visit_may_have_gone_before_infusion() -> None:
    (row,) = summed(
        (None, None, 4.0, "left"),
        (None, None, 7.0, "left"),
        (None, -7.0, 4.0, "interval"),
        parameter="depletion_onset",
    )
    assert (row["median_low"], row["median_high"]) == (-7, 4)
    (never_seen,) = summed(
        (None, None, 4.0, "left"), (None, None, 7.0, "left"), parameter="depletion_onset"
    )
    assert (never_seen["median_low"], never_seen["median_high"]) == (None, 4)


@pytest.mark.parametrize("parameter", ["Cmax", "Tbql"])
def test_the_median_of_times_between_visits_is_an_interval(parameter: str) -> None:
    (row,) = summed(
        (None, 56.0, 84.0, "interval"),
        (None, 84.0, 112.0, "interval"),
        (None, 28.0, 56.0, "interval"),
        parameter=parameter,
    )
    assert (row["median_low"], row["median_high"]) == (56, 84)


def test_the_end_of_an_interval_is_no_value_of_a_time_between_visits() -> None:
    """The first day no longer quantified is the end of the interval in which the cells were lost:
    its median would be late by half a visit gap."""
    (row,) = summed(
        (28.0, 21.0, 28.0, "interval"),
        (84.0, 56.0, 84.0, "interval"),
        (84.0, 56.0, 84.0, "interval"),
        parameter="Tbql",
    )
    assert (row["median"], row["minimum"], row["maximum"]) == (None, None, None)
    assert (row["median_low"], row["median_high"]) == (56, 84)


def test_who_still_has_the_cells_moves_the_median_later_and_may_leave_it_open() -> None:
    lost, kept = (28.0, 21.0, 28.0, "interval"), (None, 56.0, None, "right")
    (half,) = summed(lost, lost, kept, kept, parameter="Tbql")
    assert (half["median_low"], half["median_high"]) == (21, 28)
    (most,) = summed(lost, kept, kept, parameter="Tbql")
    assert (most["median"], most["median_low"], most["median_high"]) == (None, 56, None)


def test_exact_times_keep_their_median_and_range() -> None:
    (row,) = summed(*map(exact, (10.0, 20.0, 40.0)), parameter="Tbql")
    assert (row["median"], row["minimum"], row["maximum"]) == (20, 10, 40)


def test_yes_and_no_give_a_share_and_never_a_median() -> None:
    (row,) = summed(
        (1.0, None, None, "none"),
        (0.0, None, None, "left"),
        NOT_ESTIMABLE,
        parameter="persistence_wk24",
    )
    assert (row["share_yes"], row["estimated"], row["patients"], row["median"]) == (0.5, 2, 3, None)


def test_groups_follow_all_patients_and_who_is_in_none_counts_among_all() -> None:
    rows = summed(
        *map(exact, (1.0, 2.0, 3.0, 9.0)), strata={"P0": "low", "P1": "low", "P2": "high"}
    )
    assert [(row["stratum"], row["patients"]) for row in rows] == [
        ("all patients", 4),
        ("high", 1),
        ("low", 2),
    ]


def test_a_study_without_patients_has_an_empty_summary() -> None:
    assert summed() == []


@given(
    st.lists(
        st.tuples(
            st.floats(0.1, 1e3),
            st.floats(0, 1e3),
            st.sampled_from(["none", "interval", "right", "left"]),
        ),
        min_size=2,
    )
)
def test_the_true_median_lies_in_its_interval(patients: list[tuple[float, float, str]]) -> None:
    """Whatever is hidden of each patient, the interval holds the median of the true values."""
    known = []
    for true, slack, kind in patients:
        told: dict[str, Known] = {
            "none": (true, None, None, "none"),
            "interval": (None, max(0.0, true - slack), true + slack, "interval"),
            "right": (None, max(0.0, true - slack), None, "right"),
            "left": (None, None, true + slack, "left"),
        }
        known.append(told[kind])
    (row,) = summed(*known)
    middle = pd.Series([true for true, _, _ in patients]).median()
    high = row["median_high"]
    assert float(str(row["median_low"])) <= middle * (1 + 1e-12)
    assert middle <= (math.inf if high is None else float(str(high))) * (1 + 1e-12)
    if row["median"] is not None:
        assert row["median"] == pytest.approx(middle)
