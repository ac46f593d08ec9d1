"""What the front page says: which tubes to look at and why, what changed, how the night was."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from panels.text.errors import ReconflowError
from tasks.kinetics.schema import KINETICS
from tasks.overview.attention import attention_document, tubes_to_look_at
from tasks.overview.change import Course
from tasks.overview.counted_tube import CountedTube, read_counted_tubes
from tasks.overview.grid import grid_of
from tasks.overview.night import Night, looked_back_from
from tasks.publish.tables import csv_bytes
from tests.tasks.published_rows import DETECTED, NOT_DETECTED, NOT_EVALUABLE, at, kinetics

LABELS = {"b_cells": "B cells", "car19_t": "CAR19 T cells", "monocytes": "Monocytes"}
ENDED = datetime(2026, 11, 3, 1, 14, tzinfo=UTC)


def tubes(*changes: dict[str, Any]) -> list[CountedTube]:
    return read_counted_tubes(csv_bytes(kinetics(*changes), KINETICS))


def in_visit(day: int, panel: str, population: str, **change: Any) -> dict[str, Any]:
    """Give a row whose tube is that of the day and panel."""
    digit = {"tbnk": "1", "cart": "2", "bcell": "3"}[panel]
    collected = f"2026-03-{day + 1:02d}T09:00:00"
    named = {"panel": panel, "population": population, "collected": collected, **change}
    return at(day, **named) | {"tube_sha256": digit * 58 + f"{day:06d}"}


def looked_at(*changes: dict[str, Any], recent: bool = True) -> list[tuple[str, str, list[str]]]:
    read = tubes(*changes)
    lately = {tube.sha256 for tube in read} if recent else set()
    return [
        (each.tube.visit, each.severity, [reason.word for reason in each.reasons])
        for each in tubes_to_look_at(read, lately, None)
    ]


# Which tubes


def test_the_worst_tube_comes_first_then_the_newest_and_what_is_normal_never() -> None:
    assert looked_at(
        in_visit(1, "cart", "car19_t", flags="signal_drift"),
        in_visit(2, "cart", "car19_t", flags="anchor_itself;beads_incomplete;signal_drift"),
        in_visit(3, "cart", "car19_t", flags="anchor_itself;few_t_cells"),
        in_visit(4, "cart", "car19_t", flags="signal_drift"),
    ) == [
        ("D2", "stop", ["beads_incomplete", "signal_drift"]),
        ("D4", "look", ["signal_drift"]),
        ("D1", "look", ["signal_drift"]),
    ]


def test_a_tube_to_look_at_goes_once_it_is_no_longer_new_and_one_that_stops_stays() -> None:
    changes = (
        in_visit(1, "cart", "car19_t", flags="signal_drift"),
        in_visit(2, "cart", "car19_t", flags="beads_incomplete"),
    )
    assert looked_at(*changes, recent=False) == [("D2", "stop", ["beads_incomplete"])]


def with_columns(changes: tuple[dict[str, Any], ...], **columns: list[str]) -> list[CountedTube]:
    """Read a table that says of every row what the columns hold, whether or not ours has them."""
    rows = list(csv.DictReader(io.StringIO(csv_bytes(kinetics(*changes), KINETICS).decode())))
    filled = [
        row | {name: values[index] for name, values in columns.items()}
        for index, row in enumerate(rows)
    ]
    written = io.StringIO(newline="")
    table = csv.DictWriter(written, list(filled[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(filled)
    return read_counted_tubes(written.getvalue().encode())


@pytest.mark.parametrize(
    ("review", "listed"),
    [("", ["D1"]), ("queried", ["D1"]), ("accepted", []), ("repeat", ["D1"]), ("excluded", [])],
)
def test_a_tube_stays_until_a_person_decided(review: str, listed: list[str]) -> None:
    changes = (
        in_visit(1, "cart", "car19_t", flags="beads_incomplete"),
        in_visit(2, "cart", "car19_t", flags=""),
    )
    read = with_columns(changes, used=["Y", "Y"], review=[review, "accepted"])
    assert [each.tube.visit for each in tubes_to_look_at(read, (), None)] == listed


def test_where_tubes_are_reviewed_one_that_nobody_reviewed_stays_to_be_looked_at() -> None:
    changes = (
        in_visit(1, "cart", "car19_t", flags="signal_drift"),
        in_visit(2, "cart", "car19_t", flags="signal_drift"),
    )
    read = with_columns(changes, used=["Y", "Y"], review=["", "accepted"])
    assert [each.tube.visit for each in tubes_to_look_at(read, (), None)] == ["D1"]


def test_what_a_person_asked_is_the_first_reason_of_a_tube_though_it_has_no_flag() -> None:
    changes = (
        in_visit(1, "cart", "car19_t", flags=""),
        in_visit(2, "cart", "car19_t", flags="beads_incomplete"),
        in_visit(3, "cart", "car19_t", flags="beads_incomplete"),
    )
    read = with_columns(changes, used=["Y"] * 3, review=["queried", "queried", "repeat"])
    listed = tubes_to_look_at(read, (), None, {read[0].sha256: "queried by A: Is it P01's?"})
    told = [(each.tube.visit, each.severity, each.reasons[0].sentence) for each in listed]
    assert told == [
        ("D2", "stop", "queried: a person asked; see its page"),
        ("D3", "look", "to be repeated: a person asked for it; see its page"),
        ("D1", "look", "queried by A: Is it P01's?"),
    ]
    assert [each.word for each in listed[0].reasons] == ["queried", "beads_incomplete"]


def test_of_equally_urgent_tubes_what_concerns_the_whole_tube_comes_first_then_more_reasons() -> (
    None
):
    def two(day: int, first: str, second: str) -> tuple[dict[str, Any], dict[str, Any]]:
        names = ("car19_t", "b_cells")
        return (
            in_visit(day, "cart", names[0], flags=first),
            in_visit(day, "cart", names[1], flags=second),
        )

    assert [visit for visit, *_ in looked_at(
        *two(1, "compensation_residual", "compensation_residual;threshold_moved"),
        *two(2, "threshold_moved;many_doublets", ""),
        *two(3, "threshold_moved", ""),
    )] == ["D1", "D2", "D3"]  # fmt: skip


@pytest.mark.parametrize("review", ["", "accepted", "excluded"])
def test_a_tube_with_a_flag_to_look_at_is_not_in_order_whatever_was_decided(review: str) -> None:
    (tube,) = with_columns((in_visit(1, "cart", "car19_t", flags="signal_drift"),), review=[review])
    assert not tube.is_in_order
    (plain,) = with_columns((in_visit(1, "cart", "car19_t", flags=""),), review=[review])
    assert plain.is_in_order is (review != "excluded")


def test_a_flag_of_a_result_that_is_not_used_asks_nothing_of_anybody() -> None:
    changes = (
        in_visit(1, "cart", "car19_t", flags=""),
        in_visit(1, "cart", "b_cells", flags="beads_incomplete"),
    )
    read = with_columns(changes, used=["Y", "N"])
    assert tubes_to_look_at(read, {read[0].sha256}, None) == []
    assert read[0].flags == ()


def test_tubes_that_are_only_uncalibrated_come_after_others_that_stop() -> None:
    assert [visit for visit, *_ in looked_at(
        in_visit(1, "cart", "car19_t", flags="beads_incomplete"),
        in_visit(2, "cart", "car19_t", flags="uncalibrated"),
        in_visit(3, "cart", "car19_t", flags="uncalibrated;beads_incomplete"),
    )] == ["D3", "D1", "D2"]  # fmt: skip


def test_newest_is_judged_by_the_time_of_the_draw_whatever_its_offset() -> None:
    read = tubes(
        in_visit(1, "cart", "car19_t", flags="signal_drift", collected="2026-03-02T23:30:00-08:00"),
        in_visit(2, "cart", "car19_t", flags="signal_drift", collected="2026-03-03T07:00:00+01:00"),
    )
    listed = tubes_to_look_at(read, {tube.sha256 for tube in read}, "Europe/Berlin")
    assert [each.tube.visit for each in listed] == ["D1", "D2"]


def entry(*changes: dict[str, Any]) -> dict[str, Any]:
    """Give the entry of the last tube of some."""
    read = tubes(*changes)
    (attention,) = tubes_to_look_at(read, {read[-1].sha256}, None)
    return attention_document(
        attention,
        file="a.fcs",
        course=Course(read),
        labels=LABELS,
        gates={"b_cells": "cd19_gate", "car19_t": "car19_gate"},
    )


def test_the_populations_of_a_reason_are_together_and_one_of_all_is_of_the_tube() -> None:
    found = entry(
        in_visit(1, "tbnk", "monocytes", flags="threshold_moved;signal_drift"),
        in_visit(1, "tbnk", "b_cells", flags="threshold_moved;signal_drift;beads_incomplete"),
        in_visit(1, "tbnk", "t_cells", flags="signal_drift"),
    )
    assert [(each["word"], each["populations"]) for each in found["reasons"]] == [
        ("beads_incomplete", ["B cells"]),
        ("threshold_moved", ["Monocytes", "B cells"]),
        ("signal_drift", []),
    ]
    assert found["reasons"][0]["sentence"].startswith("The counting beads are not proven")
    assert (found["severity"], found["gate"], found["file"]) == ("stop", "cd19_gate", "a.fcs")


def test_a_flag_of_another_release_is_said_rather_than_dropped() -> None:
    found = entry(in_visit(1, "tbnk", "b_cells", flags="seen_by_the_next_release"))
    (reason,) = found["reasons"]
    assert reason["sentence"] == "This release does not know the flag 'seen_by_the_next_release'."


# What changed


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        ({"per_ul": 0.4}, {"per_ul": 35.0}, "B cells 0.4 → 35.0 per µL since D1"),
        (NOT_DETECTED, {"per_ul": 35.0}, "B cells <0.5 → 35.0 per µL since D1"),
        ({"per_ul": 35.0}, NOT_DETECTED, "B cells 35.0 → <0.5 per µL since D1"),
        (NOT_DETECTED, NOT_DETECTED, "B cells not detected (<0.5 per µL), as at D1"),
        (DETECTED, {"per_ul": 3.0}, "B cells 0.75 (DNQ) → 3.0 per µL since D1"),
        ({"per_ul": 35.0}, NOT_EVALUABLE, "B cells 35.0 per µL at D1, not evaluable now"),
        (NOT_EVALUABLE, {"per_ul": 35.0}, "B cells 35.0 per µL, not evaluable at D1"),
    ],
)
def test_the_change_from_the_visit_before(
    then: dict[str, Any], now: dict[str, Any], words: str
) -> None:
    flagged = {"flags": "signal_drift"}
    changes = (
        in_visit(1, "tbnk", "b_cells", **then),
        in_visit(9, "tbnk", "b_cells", **now, **flagged),
    )
    assert entry(*changes)["change"] == words


def test_the_change_is_that_of_the_visit_just_before_of_the_same_patient_and_specimen() -> None:
    found = entry(
        in_visit(1, "tbnk", "b_cells", per_ul=1.0),
        in_visit(5, "tbnk", "b_cells", per_ul=20.0),
        in_visit(6, "tbnk", "b_cells", per_ul=90.0, patient="SLE-002"),
        in_visit(7, "bcell", "b_cells", per_ul=None, specimen="marrow"),
        in_visit(9, "tbnk", "b_cells", per_ul=40.0, flags="signal_drift"),
    )
    assert found["change"] == "B cells 20.0 → 40.0 per µL since D5"


def test_of_a_whole_tube_the_greatest_change_among_what_treatment_is_judged_by_is_told() -> None:
    found = entry(
        in_visit(1, "cart", "monocytes", per_ul=1.0),
        in_visit(1, "cart", "b_cells", per_ul=10.0),
        in_visit(1, "cart", "car19_t", per_ul=10.0),
        in_visit(9, "cart", "monocytes", per_ul=900.0, flags="signal_drift"),
        in_visit(9, "cart", "b_cells", per_ul=20.0, flags="signal_drift"),
        in_visit(9, "cart", "car19_t", per_ul=1.0, flags="signal_drift"),
    )
    assert found["change"] == "CAR19 T cells 10.0 → 1.0 per µL since D1"
    assert found["gate"] == "car19_gate"


def test_a_first_visit_has_no_change_but_a_gate() -> None:
    found = entry(in_visit(1, "tbnk", "b_cells", flags="signal_drift"))
    assert (found["change"], found["gate"]) == ("", "cd19_gate")


# The grid


def test_marks_have_their_visit_panel_worst_severity_and_review() -> None:
    changes = (
        in_visit(1, "cart", "car19_t", flags="anchor_itself"),
        in_visit(1, "tbnk", "b_cells", flags="anchor_itself;signal_drift"),
        in_visit(1, "tbnk", "monocytes", flags="beads_incomplete"),
        in_visit(5, "bcell", "b_cells", specimen="marrow"),
    )
    grid = grid_of(with_columns(changes, review=["accepted", "", "", ""]))
    assert (grid.panels, [visit for visit, _ in grid.visits]) == (["cart", "tbnk"], ["D1", "D5"])
    (line, without) = grid.patients(["SLE-001", "SLE/009"])
    assert [(*cell[:2], *cell[3:]) for cell in line["cells"]] == [
        (0, 0, "know", "accepted"),
        (0, 1, "stop", ""),
        (1, "marrow", "", ""),
    ]
    assert (without["cells"], without["report"]) == ([], "patients/SLE%2F009/report.html")


def test_visits_are_in_the_order_of_their_median_day() -> None:
    read = tubes(
        *(at(day, visit="late", patient=f"P{day}") for day in (2, 90, 95)),
        *(at(day, visit="early", patient=f"P{day}") for day in (1, 3, 200)),
    )
    assert [visit for visit, _ in grid_of(read).visits] == ["early", "late"]


# Tables


def test_texts_guarded_against_spreadsheets_are_read_as_they_were() -> None:
    (tube,) = tubes(in_visit(1, "tbnk", "b_cells", visit="=D1|x", patient="+P1"))
    assert (tube.visit, tube.patient) == ("=D1|x", "+P1")


def test_a_table_without_a_column_is_said() -> None:
    with pytest.raises(ReconflowError, match="lacks the column day"):
        read_counted_tubes(b"patient,visit\nP01,D1\n")


# The night


def night(**change: Any) -> Night:
    return Night(**{"outcome": "done", "at": ENDED, "time_zone": "Europe/Berlin", **change})


def test_a_quiet_night_in_the_studys_own_zone() -> None:
    told = night(counted=12)
    assert told.sentence == (
        "The last pass ended Tue 3 Nov 2026, 02:14 (Europe/Berlin): 12 tubes counted since the day "
        "before; nothing to look at; nothing needs your hand."
    )
    assert told.standing == "quiet"


def test_without_a_zone_times_are_in_utc_and_say_so() -> None:
    assert "Tue 3 Nov 2026, 01:14 (UTC)" in night(time_zone=None).sentence


def test_a_night_that_asks_for_much() -> None:
    told = night(counted=1, to_look_at=3, stops=1, files=2, notices=1, unwritten=1)
    assert told.sentence.endswith(
        ": 1 tube counted since the day before; 3 to look at, 1 of them not to be used before a "
        "person decided; 2 files, 1 notice and 1 unwritten result need your hand."
    )
    assert told.needs_you == 4
    assert night(sheets=2, files=1).sentence.endswith("1 file and 2 sheet faults need your hand.")
    assert night(files=1).sentence.endswith("1 file needs your hand.")


@pytest.mark.parametrize(
    ("change", "standing"),
    [
        ({"stops": 1, "to_look_at": 1}, "stop"),
        ({"uncalibrated": 1}, "stop"),
        ({"unwritten": 1}, "stop"),
        ({"outcome": "failed"}, "stop"),
        ({"outcome": "interrupted"}, "stop"),
        ({"to_look_at": 1}, "look"),
        ({"files": 1}, "look"),
        ({"sheets": 1}, "look"),
        ({"notices": 1}, "look"),
        ({"outcome": "none", "at": None}, "look"),
        ({"outcome": "running"}, "quiet"),
    ],
)
def test_a_morning_is_quiet_only_when_nothing_asks_for_anything(
    change: dict[str, Any], standing: str
) -> None:
    assert night(**change).standing == standing


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("failed", "The last pass, begun Tue 3 Nov 2026, 02:14 (Europe/Berlin), FAILED"),
        ("interrupted", "WAS INTERRUPTED (the next finishes it)"),
        ("running", "A pass is under way since Tue 3 Nov 2026, 02:14 (Europe/Berlin)"),
    ],
)
def test_a_night_that_did_not_end_well_says_so(outcome: str, words: str) -> None:
    assert words in night(outcome=outcome).sentence


def test_before_any_pass_the_files_are_counted_all_the_same() -> None:
    assert night(outcome="none", at=None, files=2).sentence == (
        "No pass over this study has ended yet: nothing to look at, 2 files need your hand."
    )


def test_the_line_of_status_names_tubes_calibration_and_instruments() -> None:
    assert night(to_look_at=2, uncalibrated=5, drifts=1).attention == (
        "tubes: 2 to look at; 5 uncalibrated; instruments: 1 notice (reconflow monitor)"
    )


def test_new_is_what_came_since_a_day_before_the_pass_began() -> None:
    assert looked_back_from("2026-11-03T02:00:00.123+00:00") == "2026-11-02T02:00:00.123+00:00"
    assert looked_back_from(None) == ""
