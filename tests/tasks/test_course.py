"""The sentences a report begins with say what the tables say, and no more."""

from datetime import UTC, datetime

import pytest

from tasks.publish.course import course_sentences
from tasks.publish.patient_record import PatientRecord
from tests.tasks.published_rows import (
    DETECTED,
    NOT_DETECTED,
    NOT_EVALUABLE,
    at,
    kinetics,
    parameters,
)

RECORD = PatientRecord(
    "SLE-001",
    {"car19": datetime(2026, 3, 1, 9, tzinfo=UTC)},
    {"car19_t": "Anti-CD19 CAR-T cells (CD3+ CAR19+)", "b_cells": "B cells (CD19+)"},
)
LATE = {"population": "b_cells", "panel": "bcell", "tube_sha256": "b" * 64}


def of(population, name, value=None, low=None, high=None, *, censoring="none", definition="rule@1"):
    units = {"Cmax": "1/uL", "naive_share_at_recovery": "1"}
    unit = units.get(name, "d")
    cells = (name, value, unit, low, high, censoring, 5, definition)
    return ("SLE-001", "blood", population, *cells)


def said(rows, *of_patient, record=RECORD):
    return course_sentences(record, rows, parameters(*of_patient))


def test_a_peak_has_its_interval_and_its_day():
    rows = kinetics(at(7), at(14, tube_sha256="1" * 64), at(28, **NOT_EVALUABLE))
    peak = said(rows, of("car19_t", "Cmax", 120.2, 110.8, 130.2), of("car19_t", "Tmax", 9.94))[0]
    assert peak == (
        "Anti-CD19 CAR-T cells peaked at 120 per µL (95 % interval 111 to 130) on day 9.9; "
        "1 visit after infusion could not be evaluated."
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [at(7, **NOT_EVALUABLE), at(14, **NOT_EVALUABLE)],
            "Anti-CD19 CAR-T cells could not be evaluated at any visit after infusion (2 visits).",
        ),
        (
            [at(7, **NOT_DETECTED), at(14, **NOT_EVALUABLE)],
            (
                "Anti-CD19 CAR-T cells were not detected at the only visit after infusion that "
                "could be evaluated."
            ),
        ),
        (
            [at(7, **DETECTED), at(14, **NOT_DETECTED)],
            (
                "Anti-CD19 CAR-T cells were detected at 1 of 2 visits after infusion that could be "
                "evaluated, but never quantified: no peak can be given."
            ),
        ),
        (
            [at(-7), at(7, **LATE)],
            "Anti-CD19 CAR-T cells were not measured in blood after infusion.",
        ),
    ],
)
def test_without_a_peak_it_is_said_why(rows, sentence):
    missing = of("car19_t", "Cmax", definition="PKNCA-like:never-quantified@1")
    assert said(kinetics(*rows), missing)[0] == sentence


def test_a_peak_of_one_visit_says_so():
    peak = said(kinetics(at(7)), of("car19_t", "Cmax", 5.3, 4.6, 6.1), of("car19_t", "Tmax", 7.0))[
        0
    ]
    assert peak.endswith("on day 7, at the only evaluable visit after infusion.")


def b_cells(*of_patient):
    return said(kinetics(at(7, **LATE), at(28)), *of_patient)[1]


ONSET = of("b_cells", "depletion_onset", None, 3.9, 6.92, censoring="interval")


def test_depletion_and_recovery_are_intervals_with_the_naive_share():
    back = of("b_cells", "recovery_B_10", None, 26.9, 62.9, censoring="interval")
    share = of(
        "b_cells", "naive_share_at_recovery", 0.95354, 0.9284, 0.9718, definition="n:day-62.9@1"
    )
    assert b_cells(ONSET, back, share) == (
        "B cells fell below 10 per µL between day 3.9 and day 6.9, and came back to 10 per µL "
        "between day 26.9 and day 62.9; 95.4 % of them were naive (95 % interval 92.8 to 97.2 %) "
        "on day 62.9."
    )


def test_a_recovery_that_was_not_seen_is_none():
    waiting = of("b_cells", "recovery_B_10", None, 364.0, None, censoring="right")
    assert b_cells(ONSET, waiting).endswith("and had not come back to 10 per µL by day 364.")


def test_an_unconfirmed_recovery_and_an_unknown_share_are_named_so():
    back = of(
        "b_cells",
        "recovery_B_10",
        None,
        26.9,
        62.9,
        censoring="interval",
        definition="B_10:unconfirmed@1",
    )
    share = of("b_cells", "naive_share_at_recovery", definition="naive:few-B-cells:CP@1")
    assert b_cells(ONSET, back, share).endswith(
        "(not confirmed by a later visit yet); their naive share cannot be given: no tube since "
        "recovery has 100 B cells."
    )


def test_b_cells_that_were_never_lost_cannot_recover():
    onset = of("b_cells", "depletion_onset", definition="B_10:never-depleted@1")
    back = of("b_cells", "recovery_B_10", definition="B_10:never-depleted@1")
    sentence = "B cells were not seen below 10 per µL at any visit after infusion."
    assert b_cells(onset, back) == sentence


def test_the_last_visit_tells_present_absent_unknown_and_unmeasured_apart():
    record = PatientRecord(
        "SLE-001", {"car19": RECORD.infusions["car19"], "carbcma": RECORD.infusions["car19"]}
    )
    rows = kinetics(
        at(7, population="carbcma_t", tube_sha256="1" * 64),
        at(84, **NOT_DETECTED, tube_sha256="2" * 64),
        at(84, **LATE, per_ul=116.2),
        at(84, **NOT_EVALUABLE, population="plasma_cells", tube_sha256="3" * 64),
    )
    assert said(rows, record=record)[2] == (
        "At the last visit, D84 (day 84), still present: b cells (116 per µL); not detected: "
        "car19 t (<0.5 per µL); not evaluable: plasma cells; not measured: carbcma t (at D7: 5.3 "
        "per µL)."
    )


def test_before_the_infusion_nothing_is_said_of_afterwards():
    sentences = said(kinetics(at(-7), at(-7, **LATE)))
    assert sentences[2] == "There is no counted visit after infusion yet."
    assert len(sentences) == 3


def test_marrow_alone_says_nothing_of_the_blood():
    rows = kinetics(at(28, specimen="marrow", method="none", population="plasma_cells"))
    assert said(rows) == [
        "No tube of blood has been counted: nothing can be said of the course yet."
    ]


def test_results_that_may_not_be_used_yet_are_warned_of():
    rows = kinetics(at(7, flags="uncalibrated;anchor_itself"), at(14, tube_sha256="1" * 64))
    warning = (
        "To be decided first: 1 of 2 results of these cells may not be used until a person "
        "decided (uncalibrated)."
    )
    assert said(rows)[3:] == [warning]
