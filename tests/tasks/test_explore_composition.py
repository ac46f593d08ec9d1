"""Clusters and populations of a compartment are compared over visits, and between two groups."""

from collections.abc import Mapping

import pytest

from tasks.explore.comparison import Amount
from tasks.explore.compartments import Compartment, compartment
from tasks.explore.composition import groups_compared, visits_compared
from tasks.explore.parts import (
    FEWEST_EVENTS,
    Parts,
    Results,
    dividing_populations,
    population_parts,
    published_results,
)
from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.publish.tables import csv_bytes
from tasks.review.restating import restating_entry
from tasks.store.editions import Edition, save_edition
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.study.snapshot import StudySnapshot
from tests.tasks.published_rows import at, kinetics, parameters
from tests.tasks.study_folder import make_study

ARMS = {f"P{number}": "high" if number > 4 else "low" for number in range(1, 9)}
MEMORY = "unswitched_memory_b switched_memory_b"
NAIVE_AT_168 = {"low": 300, "high": 600}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Publish tables of eight patients, the naive B cells of four of whom return twice as many."""
    study = make_study(tmp_path_factory.mktemp("composition") / "s")
    with study.store() as store:
        for patient in ARMS:
            tables = (
                csv_bytes(kinetics(*_rows(patient)), KINETICS),
                csv_bytes(parameters(), PARAMETERS),
            )
            edition = Edition(patient, patient, *tables, b"")
            save_edition(store, edition, restating_entry(store, edition))
    return study


def _rows(patient: str) -> list[dict[str, object]]:
    """Give the rows of two visits; at the first of them another tube is not used."""
    number = int(patient[1:])
    rows = []
    for day, naive in ((28, 100), (168, NAIVE_AT_168[ARMS[patient]])):
        tube = {"patient": patient, "panel": "bcell", "tube_sha256": f"{number * 1000 + day:064x}"}
        rows += [
            at(day, population="b_cells", events=1000, used="Y", **tube),
            at(day, population="naive_igm_igd_b", events=naive + number, used="Y", **tube),
            at(day, population="switched_memory_b", events=50 + number, used="Y", **tube),
        ]
    other = tube | {"tube_sha256": f"{number * 1000 + 9:064x}"}
    rows += [
        at(28, population="b_cells", events=800, used="N", **other),
        at(28, population="naive_igm_igd_b", events=700, used="N", **other),
    ]
    return rows  # type: ignore[return-value]


@pytest.fixture(scope="module")
def snapshot(study: Study) -> StudySnapshot:
    return read_snapshot(study)


@pytest.fixture(scope="module")
def b_cells(snapshot: StudySnapshot) -> Compartment:
    return compartment(snapshot, "b_cells")


@pytest.fixture(scope="module")
def results(study: Study) -> Results:
    return published_results(study)


def parts(results: Results, b_cells: Compartment, snapshot: StudySnapshot) -> Parts:
    return population_parts(results, b_cells, snapshot.labels())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("b_cells", f"naive_igm_igd_b transitional_b {MEMORY} double_negative_b"),
        ("car_t", "car19_t carbcma_t car_double_positive"),
        ("t_cells", "cd4_t cd8_t car19_t carbcma_t car_double_positive car_any_t"),
        ("naive_b", "naive_igm_igd_b transitional_b"),
        ("leukocytes", "monocytes cd4_t cd8_t b_cells nk_cells"),
    ],
)
def test_the_populations_that_divide_a_compartment(
    snapshot: StudySnapshot, name: str, expected: str
) -> None:
    found = dividing_populations(compartment(snapshot, name))
    assert sorted(found) == sorted(expected.split())


def test_populations_are_counted_in_the_used_rows_among_the_tubes_own_compartment(
    results: Results, b_cells: Compartment, snapshot: StudySnapshot
) -> None:
    found = parts(results, b_cells, snapshot)
    assert set(found) == set(ARMS)
    name = snapshot.labels()["naive_igm_igd_b"].split(" (")[0]
    assert found["P3"]["D28"][name] == Amount(103, 1000)
    assert found["P7"]["D168"][name] == Amount(607, 1000)


def test_a_tube_with_hardly_any_cell_of_the_compartment_has_no_composition(
    results: Results, b_cells: Compartment, snapshot: StudySnapshot
) -> None:
    few = {
        tube: rows | {"b_cells": dict(rows["b_cells"]) | {"events": FEWEST_EVENTS - 1}}
        for tube, rows in results.items()
    }
    assert parts(few, b_cells, snapshot) == {}
    nothing = {
        tube: {k: v for k, v in rows.items() if k != "b_cells"} for tube, rows in few.items()
    }
    assert parts(nothing, b_cells, snapshot) == {}


def clusters() -> Parts:
    """Give one cluster that is the same at both visits and in both groups."""
    return {
        patient: {visit: {"1": Amount(200 + int(patient[1:]), 1000)} for visit in ("D28", "D168")}
        for patient in ARMS
    }


def test_populations_follow_the_clusters_in_the_comparison_of_visits(
    results: Results, b_cells: Compartment, snapshot: StudySnapshot
) -> None:
    found = visits_compared((clusters(), parts(results, b_cells, snapshot)), ["D28", "D168"])
    assert found is not None
    names = [each["name"] for each in found["rows"]]
    assert names[0] == "1"
    assert len(names) == 3
    naive = found["rows"][1]
    assert (naive["from"], naive["to"], naive["patients"]) == ("D28", "D168", 8)
    assert 2.5 < naive["ratio"] < 6.5
    assert naive["adjusted"] < 0.05
    assert found["rows"][0]["adjusted"] == found["rows"][2]["adjusted"] == 1
    assert "3 comparisons of at most 8 patients" in found["sentence"]


def test_two_groups_are_compared_at_each_visit(
    results: Results, b_cells: Compartment, snapshot: StudySnapshot
) -> None:
    sources = (clusters(), parts(results, b_cells, snapshot))
    found = groups_compared(sources, ["D28", "D168"], "dose", ARMS)
    assert found["column"] == "dose"
    assert found["sentence"].startswith("By dose: high (4 patients) and low (4 patients).")
    assert len(found["rows"]) == 6
    [naive] = [row for row in found["rows"] if row["p"] < 0.05 and row["ratio"] < 0.6]
    assert (naive["visit"], naive["from"], naive["to"]) == ("D168", "high", "low")
    assert naive["ratio"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("strata", "said"),
    [
        (dict.fromkeys(ARMS, "low"), "all patients on this map are of one group (low)"),
        (ARMS | {"P8": "none", "P7": "other"}, "there are 4 groups (high, low, none, other)"),
        ({}, "No patient on this map has a group under dose"),
    ],
)
def test_other_than_two_groups_are_not_compared(strata: Mapping[str, str], said: str) -> None:
    found = groups_compared([clusters()], ["D28", "D168"], "dose", strata)
    assert found["rows"] == []
    assert said in found["sentence"]


def test_patients_without_a_group_are_in_neither() -> None:
    strata = ARMS | {"P8": "not given"}
    found = groups_compared([clusters()], ["D28"], "dose", strata)
    assert "high (3 patients) and low (4 patients)" in found["sentence"]
    assert "Nothing is claimed from two groups of 7 patients" in found["sentence"]
