"""The data of a patient's pages are the rows of kinetics.csv and the tubes behind them."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.kinetics.schema import KINETICS
from tasks.publish.map_page import PAGE as MAP_PAGE
from tasks.publish.page_data import data_script
from tasks.publish.patient_record import PatientRecord
from tasks.publish.patient_series import nominal_day, patient_series
from tasks.publish.tables import cells
from tasks.results.patient_pages import CONTROLS, controls_mark, controls_shown, has_map
from tasks.vocabulary.flags import meanings
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.tasks.published_rows import NOT_DETECTED, NOT_EVALUABLE, at, kinetics

INFUSED = datetime(2026, 3, 1, 9, tzinfo=UTC)
EVIL = "</script><script>alert(1)</script>\u2028=cmd|\u202efcs"
SAME = {
    "parent": "parent",
    "parent_events": "parent_events",
    "percent_parent": "percent_parent",
    "percent_reference": "percent",
    "reference": "reference",
    "events": "events",
    "per_ul": "per_ul",
    "per_ul_low": "low",
    "per_ul_high": "high",
    "lod_per_ul": "lod",
    "lloq_per_ul": "lloq",
    "code": "code",
    "method": "method",
}


def identity(day, sha=None, **change):
    given = {"tube_sha256": sha or f"{day + 100:064x}", "file": f"D{day}.fcs", "visit": f"D{day}"}
    collected = datetime.fromtimestamp(INFUSED.timestamp() + 86_400 * day, UTC)
    return TubeIdentity(
        **given | {"patient": "SLE-001", "panel": "cart"} | change, collected=collected
    )


def counted(day, *flags, of_cells=(), **change):
    count = PopulationCount("car19_t", 212, "t_cells", 20_000, "t_cells", 20_000, of_cells)
    return TubeCounts(
        identity(day, **change), "cart@1.0.0", "ab" * 32, {"car19_t": count}, flags=flags
    )


def series(rows, *tubes, controls=(), **change):
    record = PatientRecord(
        "SLE-001",
        {"car19": INFUSED},
        {"car19_t": "Anti-CD19 CAR-T cells (CD3+ CAR19+)", "t_cells": "T cells"},
        meanings(),
        tubes=tubes,
        controls=controls,
        **change,
    )
    return patient_series(record, rows)


def test_pages_beside_a_map_know_how_the_tubes_are_counted_now(tmp_path):
    """A recount without another number makes no edition, and a map is told of it all the same."""
    before, after = (
        replace(counted(7), counted_as=each * 64, correction_sha256=each * 8) for each in "ab"
    )
    (tube,) = series(kinetics(at(7)), before)["tubes"]
    assert (tube["counted_as"], tube["correction"]) == ("a" * 64, "a" * 8)
    assert repr(before) == repr(after)
    mark = tmp_path / CONTROLS

    def shown(tube: TubeCounts) -> bool:
        wanted = controls_mark([], [tube], has_map=has_map(tmp_path))
        return controls_shown(tmp_path) == wanted

    mark.write_text(controls_mark([], [before], has_map=False))
    assert shown(after)
    (tmp_path / MAP_PAGE).touch()
    assert not shown(before)
    mark.write_text(controls_mark([], [before], has_map=True))
    assert shown(before)
    assert not shown(after)


def test_the_counts_are_the_rows_of_the_table():
    rows = kinetics(
        at(-7, **NOT_DETECTED, tube_sha256="1" * 64),
        at(7, flags="few_beads;no_volume", tube_sha256="2" * 64),
        at(21, **NOT_EVALUABLE, tube_sha256="3" * 64),
    )
    held = series(rows)["counts"]
    assert sum(map(len, held.values())) == len(rows)
    for values in cells(rows, KINETICS):
        row = dict(zip(KINETICS.names, values, strict=True))
        result = held[row["tube_sha256"][:12]][row["population"]]
        assert {name: result[name] for name in SAME.values()} == {
            name: row[column] for column, name in SAME.items()
        }
        assert ";".join(result["flags"]) == (row["flags"] or "")


def test_a_result_is_printed_as_the_tables_print_it_and_one_of_two_tubes_is_used():
    rows = kinetics(
        at(7),
        at(7, tube_sha256="f" * 64, parent_events=10_000, lod_per_ul=9.0),
        at(28, specimen="marrow", method="none", percent_reference=0.34567, tube_sha256="e" * 64),
    )
    held = series(rows)["counts"]
    assert [
        (held[sha]["car19_t"]["printed"], held[sha]["car19_t"]["used"])
        for sha in (f"{107:064x}"[:12], "f" * 12, "e" * 12)
    ] == [("5.3", True), ("5.3", False), ("0.35 %", True)]


def test_a_tube_has_the_flags_of_its_rows_too():
    rows = kinetics(at(7, flags="limit_raised_by_background", tube_sha256=f"{107:064x}"))
    (tube,) = series(rows, counted(7))["tubes"]
    assert (tube["flags"], tube["severity"]) == (["limit_raised_by_background"], "know")


def test_tubes_come_by_day_with_their_words_worst_first():
    late = counted(28, "signal_drift", of_cells=("anchor_itself", "beads_incomplete"))
    found = series(kinetics(at(28), at(7)), late, counted(7))
    assert [(tube["visit"], round(tube["day"]), tube["severity"]) for tube in found["tubes"]] == [
        ("D7", 7, ""),
        ("D28", 28, "stop"),
    ]
    assert found["tubes"][1]["flags"] == ["beads_incomplete", "signal_drift", "anchor_itself"]
    assert [(each["visit"], each["nominal_day"]) for each in found["visits"]] == [
        ("D7", 7),
        ("D28", 28),
    ]
    assert found["flags"]["beads_incomplete"]["severity"] == "stop"
    assert list(found["flags"]) == ["beads_incomplete", "signal_drift", "anchor_itself"]


def test_controls_are_told_apart_and_anothers_has_no_visit_here():
    controls = (
        identity(7, "1" * 64, control="fmo:CAR19"),
        identity(9, "2" * 64, control="batch", patient="SLE-002"),
    )
    found = series(kinetics(at(7)), counted(7), controls=controls)
    listed = {tube["control"]: tube for tube in found["tubes"]}
    assert set(listed) == {"", "fmo:CAR19", "batch"}
    assert (listed["batch"]["visit"], listed["batch"]["day"]) == ("", None)
    assert [listed[name]["counted"] for name in ("", "fmo:CAR19", "batch")] == [True, False, False]
    assert [each["visit"] for each in found["visits"]] == ["D7"]
    assert "SLE-002" not in json.dumps(found)


@pytest.mark.parametrize(
    ("named", "baseline"), [(None, "D-3"), ("D-7", "D-7"), ("D7", None), ("D-9", None)]
)
def test_the_baseline_is_the_named_visit_or_the_last_before_infusion(named, baseline):
    tubes = [counted(day) for day in (-7, -3, 7)]
    assert series(kinetics(at(-7), at(7)), *tubes, baseline_visit=named)["baseline"] == baseline


def test_a_patient_without_rows_has_empty_data():
    found = series(kinetics(at(7))[:0])
    assert (found["counts"], found["tubes"], found["visits"]) == ({}, [], [])


def test_units_name_the_reference_of_a_percentage():
    marrow = at(28, specimen="marrow", method="none", tube_sha256="e" * 64, reference="lymphocytes")
    found = series(kinetics(at(7), marrow))["populations"]["car19_t"]
    assert found["unit"] == {"blood": "cells/µL", "marrow": "% of lymphocytes"}
    assert found["label"] == "Anti-CD19 CAR-T cells"


def test_a_data_file_is_one_call_whatever_the_names():
    held = series(kinetics(at(7)), counted(7, file=EVIL))
    script = data_script("patient", "SLE-001", held).decode("ascii")
    assert script.startswith('reconflow.add("patient","SLE-001",{')
    assert script.endswith("});\n")
    assert script.count("\n") == 1
    arguments = script.removeprefix("reconflow.add(").removesuffix(");\n")
    told = json.loads(f"[{arguments}]")
    assert told == ["patient", "SLE-001", json.loads(json.dumps(held))]
    assert told[2]["tubes"][0]["file"] == EVIL


def test_a_number_that_is_none_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        data_script("patient", "SLE-001", {"day": float("nan")})


@pytest.mark.parametrize(("visit", "day"), [("D28", 28), ("D-7", -7), ("M6", None), ("D", None)])
def test_the_nominal_day_is_read_from_the_label(visit, day):
    assert nominal_day(visit) == day
