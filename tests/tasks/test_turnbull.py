"""When half of a cohort has recovered, known from intervals alone."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.kinetics.schema import RECOVERY
from tasks.kinetics.turnbull import (
    DEFINITIONS,
    EVERYONE,
    RecoveryCurve,
    Step,
    curves_frame,
    medians_frame,
    recovery_curves,
    turnbull,
)

NEVER = math.inf

# Months to cosmetic deterioration under radiotherapy alone: Finkelstein & Wolfe 1985, Biometrics
# 41:933.
COSMESIS = [
    (45, NEVER), (6, 10), (0, 7), (46, NEVER), (46, NEVER), (7, 16), (17, NEVER), (7, 14),
    (37, 44), (0, 8), (4, 11), (15, NEVER), (11, 15), (22, NEVER), (46, NEVER), (46, NEVER),
    (25, 37), (46, NEVER), (26, 40), (46, NEVER), (27, 34), (36, 44), (46, NEVER), (36, 48),
    (37, NEVER), (40, NEVER), (17, 25), (46, NEVER), (11, 18), (38, NEVER), (5, 12), (37, NEVER),
    (0, 5), (18, NEVER), (24, NEVER), (36, NEVER), (5, 11), (19, 35), (17, 25), (24, NEVER),
    (32, NEVER), (33, NEVER), (19, 26), (37, NEVER), (34, NEVER), (36, NEVER),
]  # fmt: skip


def steps(*intervals: tuple[float, float]) -> list[tuple[float, float | None, float]]:
    found = turnbull([low for low, _ in intervals], [high for _, high in intervals])
    return [(step.low, step.high, pytest.approx(step.mass, abs=1e-6)) for step in found]


def recovered(
    *rows: tuple[str, float | None, float | None, bool | None], definition: str = "B_10@1"
) -> pd.DataFrame:
    """Lay out patients with the interval of their recovery and whether they were seen depleted."""
    empty = dict.fromkeys(RECOVERY.names)
    records = [
        empty
        | {
            "patient": patient,
            "definition": definition,
            "low": low,
            "high": high,
            "depleted": depleted,
        }
        for patient, low, high, depleted in rows
    ]
    return pd.DataFrame(records, columns=RECOVERY.names).astype(
        {"low": "float64", "high": "float64"}
    )


def curve(frame: pd.DataFrame, stratum: str = EVERYONE, **strata: str) -> RecoveryCurve:
    return next(
        each
        for each in recovery_curves(frame, strata)
        if each.stratum == stratum and each.definition == "B_10@1"
    )


def test_the_published_estimate() -> None:
    """As printed for these patients by the R package interval (icfit); the interval from month 46
    on is partly censored."""
    published = [
        (4, 5, 0.0463),
        (6, 7, 0.0334),
        (7, 8, 0.0887),
        (11, 12, 0.0708),
        (24, 25, 0.0926),
        (33, 34, 0.0818),
        (38, 40, 0.1209),
    ]
    found = turnbull([low for low, _ in COSMESIS], [high for _, high in COSMESIS])
    assert len(COSMESIS) == 46
    assert [(s.low, s.high, round(s.mass, 4)) for s in found[:-1]] == published
    assert (found[-1].low, found[-1].high, round(found[-1].mass, 4)) == (46, 48, 0.4656)


def test_exact_and_right_censored_times_give_the_published_kaplan_meier_curve() -> None:
    """Remission under 6-mercaptopurine, Freireich et al. 1963, Blood 21:699: the curve stands in
    every textbook."""
    exact = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    found = turnbull([*exact, *censored], [*exact, *[NEVER] * len(censored)])
    known = [
        (step.high, round(step.remaining, 3))
        for step in found
        if step.high is not None and step.remaining is not None
    ]
    assert known == [
        (6, 0.857),
        (7, 0.807),
        (10, 0.753),
        (13, 0.690),
        (16, 0.627),
        (22, 0.538),
        (23, 0.448),
    ]
    assert (found[-1].low, found[-1].high, found[-1].remaining) == (35, None, None)


def test_estimates_by_hand() -> None:
    assert steps((0, 2), (0, 2), (1, 3), (2, 4)) == [(1, 2, 2 / 3), (2, 3, 1 / 3)]
    assert steps((0, 10), (4, 8), (5, 20)) == [(5, 8, 1)]
    assert steps((14, 28), (28, NEVER), (28, NEVER), (28, NEVER)) == [
        (14, 28, 1 / 4),
        (28, None, 3 / 4),
    ]


def test_patients_who_share_only_a_visit_day_do_not_recover_on_it() -> None:
    """Both ends closed, all of the mass would stand on day 84, on which the second patient was seen
    not recovered."""
    assert steps((56, 84), (84, 112)) == [(56, 84, 0.5), (84, 112, 0.5)]


def test_one_patient_all_censored_and_nobody() -> None:
    assert turnbull([56], [84]) == (Step(56, 84, 1.0, 0.0),)
    assert turnbull([84, 112], [NEVER, NEVER]) == (Step(112, None, 1.0, None),)
    assert turnbull([], []) == ()


@pytest.mark.parametrize(
    ("low", "high"), [([5.0], [4.0]), ([math.nan], [4.0]), ([NEVER], [NEVER]), ([1.0], [math.nan])]
)
def test_an_impossible_interval_is_refused(low: list[float], high: list[float]) -> None:
    with pytest.raises(ValueError, match="begin"):
        turnbull(low, high)


VISITS = (0, 4, 7, 10, 14, 21, 28, 42, 56, 84, 112, 140, 168, 252)
INTERVALS = st.lists(
    st.tuples(st.sampled_from(VISITS), st.sampled_from((*VISITS[1:], NEVER))).filter(
        lambda pair: pair[0] < pair[1]
    ),
    min_size=1,
    max_size=40,
)


@given(intervals=INTERVALS)
def test_no_other_curve_is_more_likely(intervals: list[tuple[float, float]]) -> None:
    """Each patient's interval holds some mass, and moving mass to any visit gap cannot raise the
    likelihood (Gentleman & Geyer 1994)."""
    found = turnbull([low for low, _ in intervals], [high for _, high in intervals])
    assert sum(step.mass for step in found) == pytest.approx(1, abs=1e-5)
    share = np.array(
        [
            sum(s.mass for s in found if low <= s.low and (s.high or NEVER) <= high)
            for low, high in intervals
        ]
    )
    assert (share > 0).all()
    gaps = list(zip(VISITS, (*VISITS[1:], NEVER), strict=True))
    for start, end in gaps:
        holding = np.array([low <= start and end <= high for low, high in intervals])
        assert (holding / share).mean() <= 1 + 1e-2


@given(intervals=INTERVALS, order=st.randoms(use_true_random=False))
def test_order_of_patients_changes_nothing(
    intervals: list[tuple[float, float]], order: object
) -> None:
    shuffled = list(intervals)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = (
        turnbull([low for low, _ in each], [high for _, high in each])
        for each in (intervals, shuffled)
    )
    assert [(s.low, s.high) for s in first] == [(s.low, s.high) for s in second]
    assert [s.mass for s in first] == pytest.approx([s.mass for s in second], abs=1e-3)


def test_the_median_is_an_interval() -> None:
    found = curve(recovered(("P1", 56, 84, True), ("P2", 84, 112, True), ("P3", 168, None, True)))
    assert (found.median_low, found.median_high, found.patients, found.recovered) == (84, 112, 3, 2)


def test_a_median_that_is_not_reached_has_no_upper_end() -> None:
    found = curve(recovered(("P1", 56, 84, True), ("P2", 168, None, True), ("P3", 364, None, True)))
    assert (found.median_low, found.median_high) == (364, None)
    assert medians_frame([found])["reached"].tolist() == [False]


def test_patients_never_seen_depleted_are_not_in_the_estimate() -> None:
    found = curve(
        recovered(("P1", 56, 84, True), ("P2", None, None, False), ("P3", None, None, None))
    )
    assert (found.patients, found.steps) == (1, (Step(56, 84, 1.0, 0.0),))


def test_each_stratum_has_its_own_curve_beside_everybodys() -> None:
    frame = recovered(("P1", 56, 84, True), ("P2", 84, 112, True))
    assert curve(frame, "low", P1="low", P2="high").steps == (Step(56, 84, 1.0, 0.0),)
    assert curve(frame, P1="low", P2="high").patients == 2


def test_an_empty_cohort_has_every_definition_and_no_step() -> None:
    curves = recovery_curves(recovered())
    assert [(c.definition, c.patients, c.median_low) for c in curves] == [
        (name, 0, None) for name in DEFINITIONS
    ]
    assert curves_frame(curves).empty
    assert medians_frame(curves)["reached"].isna().all()


def test_the_definition_with_the_laboratory_s_limit_is_found_by_its_id() -> None:
    frame = recovered(("P1", 56, 84, True), definition="B_LLN(94)@1")
    assert [c.patients for c in recovery_curves(frame) if c.definition == "B_LLN(94)@1"] == [1]
