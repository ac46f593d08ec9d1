"""When B cells were gone and when they came back: intervals between visits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.kinetics.recovery import (
    Definition,
    RecoverySettings,
    VisitCount,
    definitions,
    interpolate,
    recovery,
)

B_10 = Definition("B_10", "per_ul", 10.0, 10.0)


def seen(day: float, per_ul: float | None, lloq: float = 0.125, **other: object) -> VisitCount:
    code = "ND" if per_ul is None else "Q" if per_ul >= lloq else "DNQ"
    return VisitCount(day, code, per_ul, 0.4 * lloq, lloq, **other)  # type: ignore[arg-type]


def course(*levels: tuple[float, float | None]) -> list[VisitCount]:
    return [seen(day, level) for day, level in levels]


def test_the_published_interval() -> None:
    found = recovery(
        course((-7, 80), (14, None), (56, 0.47), (84, 4.316), (112, 32.657), (140, 90)), B_10
    )
    assert found.depletion is not None
    assert (found.depletion.low, found.depletion.high, found.depletion.censoring) == (
        -7,
        14,
        "interval",
    )
    assert found.recovery is not None
    assert (found.recovery.low, found.recovery.high, found.recovery.censoring) == (
        84,
        112,
        "interval",
    )
    assert found.recovery.estimate == pytest.approx(95.63, abs=5e-3)
    assert found.duration is not None
    assert (found.duration.low, found.duration.high) == (70, 119)
    assert found.confirmed
    assert interpolate(84, 4.316, 112, 32.657, threshold=10) == found.recovery.estimate


def test_a_visit_that_cannot_tell_widens_the_interval() -> None:
    visits = [
        *course((-7, 80), (14, None), (56, 0.5)),
        seen(84, None, lloq=12.5),
        *course((112, 30), (140, 90)),
    ]
    found = recovery(visits, B_10)
    assert found.recovery is not None
    assert (found.recovery.low, found.recovery.high) == (56, 112)
    assert found.skipped == 1


def test_a_quantified_visit_tells_even_with_a_high_limit() -> None:
    found = recovery(
        [*course((-7, 80), (14, None)), seen(84, 200.0, lloq=12.5), seen(112, 90.0)], B_10
    )
    assert found.recovery is not None
    assert found.recovery.high == 84


def test_a_visit_that_is_not_evaluable_is_skipped() -> None:
    gap = VisitCount(84, "NE", None, 5.0, 12.0)
    found = recovery([*course((-7, 80), (14, None)), gap, *course((112, 30))], B_10)
    assert found.recovery is not None
    assert (found.recovery.low, found.recovery.high, found.skipped) == (14, 112, 1)


def test_a_recovery_at_the_last_visit_is_unconfirmed() -> None:
    found = recovery(course((-7, 80), (14, None), (84, 4), (112, 30)), B_10)
    assert found.recovery is not None
    assert found.recovery.high == 112
    assert not found.confirmed


def test_a_recovery_seen_once_and_lost_does_not_count() -> None:
    found = recovery(
        course((-7, 80), (14, None), (42, 12), (56, 3), (84, 4), (112, 30), (140, 60)), B_10
    )
    assert found.recovery is not None
    assert (found.recovery.low, found.recovery.high, found.lost) == (84, 112, 1)


def test_never_recovered_is_right_censored_at_the_last_evaluable_visit() -> None:
    found = recovery([*course((-7, 80), (14, None), (364, 2)), seen(546, None, lloq=30)], B_10)
    assert found.recovery is not None
    assert (found.recovery.low, found.recovery.high, found.recovery.censoring) == (
        364,
        None,
        "right",
    )
    assert found.duration is not None
    assert (found.duration.low, found.duration.high, found.duration.censoring) == (
        350,
        None,
        "right",
    )


def test_never_depleted_has_no_recovery() -> None:
    found = recovery(course((-7, 80), (14, 60), (28, 50)), B_10)
    assert (found.depletion, found.recovery, found.duration) == (None, None, None)


def test_depletion_before_the_first_sample_is_left_censored() -> None:
    found = recovery(course((-7, 4), (14, None), (84, 40), (112, 50)), B_10)
    assert found.depletion is not None
    assert (found.depletion.low, found.depletion.high, found.depletion.censoring) == (
        None,
        -7,
        "left",
    )
    assert found.duration is not None
    assert found.duration.censoring == "right"


def test_depletion_by_lymphodepletion_begins_before_infusion() -> None:
    found = recovery(course((-7, 80), (-1, 4), (14, None), (84, 40)), B_10)
    assert found.depletion is not None
    assert (found.depletion.low, found.depletion.high) == (-7, -1)


def test_no_line_is_drawn_from_before_the_infusion() -> None:
    found = recovery(course((-7, 80), (4, 0.5), (84, 40)), B_10)
    assert found.depletion is not None
    assert (found.depletion.low, found.depletion.high, found.depletion.estimate) == (-7, 4, None)


def test_the_onset_is_interpolated_after_infusion() -> None:
    found = recovery(course((0, 40), (4, 2.5), (84, 40)), B_10)
    assert found.depletion is not None
    assert found.depletion.estimate == pytest.approx(2.0)


def test_a_value_below_quantification_is_no_level_to_interpolate_with() -> None:
    found = recovery([seen(0, 40.0), seen(4, 5.0, lloq=8.0), seen(84, 40.0)], B_10)
    assert found.depletion is not None
    assert found.recovery is not None
    assert (found.depletion.estimate, found.recovery.estimate) == (None, None)


@pytest.mark.parametrize(
    ("visits", "depleted"),
    [
        ([seen(-7, 80.0), seen(14, 60.0)], False),
        ([seen(-7, 80.0), seen(14, 60.0), seen(28, None, lloq=30.0)], None),
        ([seen(-7, 80.0), VisitCount(14, "NE", None, None, None)], None),
        ([seen(-7, 80.0)], None),
        ([seen(-7, 80.0), seen(14, None, lloq=30.0), seen(28, None)], True),
    ],
)
def test_depletion_is_denied_only_when_every_visit_could_have_shown_it(
    visits: list[VisitCount], depleted: object
) -> None:
    assert recovery(visits, B_10).depleted is depleted


def test_percentages_need_enough_lymphocytes() -> None:
    one_percent = Definition("B_1pct", "percent", 1.0, 1.0, or_per_ul=100.0, strict=True)
    visits = [
        seen(-7, 80.0, percent=9.0),
        seen(10, None, percent_known=False),
        seen(14, None),
        seen(56, 2.0, percent=1.0),
        seen(84, 5.0, percent=1.2),
        seen(112, 130.0, percent=0.9),
    ]
    found = recovery(visits, one_percent)
    assert found.skipped == 1
    assert found.recovery is not None
    assert (found.recovery.low, found.recovery.high) == (56, 84)


def test_deep_depletion_needs_enough_blood() -> None:
    deep = Definition("B_ND", "detection")
    shallow = VisitCount(14, "ND", None, 1.1, 2.8)
    found = recovery(
        [seen(-7, 80.0), shallow, VisitCount(28, "ND", None, 0.05, 0.125), seen(56, 0.06)], deep
    )
    assert found.skipped == 1
    assert found.depletion is not None
    assert (found.depletion.low, found.depletion.high) == (-7, 28)


def test_definitions_are_versioned() -> None:
    assert [
        d.version for d in definitions(RecoverySettings(lln_per_ul=77), baseline_per_ul=80)
    ] == [
        "B_ND@1",
        "B_10@1",
        "B_20@1",
        "B_1pct@1",
        "B_3pct@1",
        "B_LLN(77)@1",
        "B_ratio@1",
        "B_ratio_100@1",
    ]
    assert len(definitions(RecoverySettings())) == 6


@given(
    returned=st.floats(30, 300),
    rate=st.floats(0.03, 0.2),
    few=st.sets(st.integers(4, 400), min_size=3, max_size=8),
    more=st.sets(st.integers(4, 400), max_size=8),
)
def test_intervals_nest_as_visits_are_added_and_hold_the_truth(
    returned: float, rate: float, few: set[int], more: set[int]
) -> None:
    def visits(days: set[int]) -> list[VisitCount]:
        return [
            seen(-7, 80.0),
            seen(0, None),
            *(
                seen(day, 10 * math.exp(rate * (day - returned)), lloq=1e-30)
                for day in sorted(days)
            ),
        ]

    coarse, fine = recovery(visits(few), B_10).recovery, recovery(visits(few | more), B_10).recovery
    assert coarse is not None
    assert fine is not None
    assert coarse.low is not None
    assert fine.low is not None
    assert coarse.low <= fine.low < returned + 1e-6
    fine_end, coarse_end = (math.inf if each.high is None else each.high for each in (fine, coarse))
    assert fine_end <= coarse_end
    assert returned <= fine_end + 1e-6


@given(order=st.permutations(range(6)))
def test_order_of_visits_changes_nothing(order: list[int]) -> None:
    visits = course((-7, 80), (14, None), (56, 0.5), (84, 4), (112, 30), (140, 90))
    assert recovery([visits[i] for i in order], B_10) == recovery(visits, B_10)
