"""The kinetic tables: columns, order, promises and printing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panels.text.errors import ReconflowError, SheetFault
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.quantity import Quantity
from tasks.kinetics.schema import KINETICS
from tasks.kinetics.table import check_kinetics, kinetics_frame
from tasks.kinetics.wide_table import print_result, wide_frame
from tasks.kinetics.winning_rows import percent_limits, winning_rows
from tasks.vocabulary.moments import elapsed_days
from tasks.vocabulary.tube_identity import TubeIdentity

INFUSED = {"P01": datetime(2026, 3, 1, 12, tzinfo=UTC), "P02": datetime(2026, 4, 1, 12, tzinfo=UTC)}
ORDER = {"tbnk@1.0.0": ("leukocytes", "b_cells"), "bcell@1.0.0": ("b_cells", "naive_b")}
COLUMNS = (
    "patient, visit, day, collected, specimen, panel, population, events, parent, "
    "parent_events, percent_parent, reference, "
    "percent_reference, per_ul, per_ul_low, per_ul_high, lod_per_ul, lloq_per_ul, code, "
    "method, flags, strategy, strategy_sha256, "
    "tube_sha256, panel_sha256, calibration, calibration_sha256, file, instrument, batch, used, "
    "corrected, review, nominal_day, percent_low, percent_high, panel_version"
).split(", ")


def row(
    panel: str,
    population: str,
    events: int,
    day: float = 28,
    patient: str = "P01",
    **changes: object,
) -> tuple[TubeCounts, Quantity]:
    specimen = str(changes.pop("specimen", "blood"))
    collected = INFUSED[patient] + timedelta(days=day)
    identity = TubeIdentity(
        f"{patient}-{panel}-{specimen}-{day}",
        "a.fcs",
        patient,
        collected,
        panel,
        f"D{round(day)}",
        specimen,
    )
    tube = TubeCounts(identity, f"{panel}@1.0.0", "s" * 64, {})
    volume, method = (18.0, "bead") if panel == "tbnk" else (400.0, "chain")
    code = "Q" if events >= 50 else "DNQ" if events >= 20 else "ND"
    value = events / volume if code != "ND" else None
    quantity = Quantity(
        count=PopulationCount(population, events, "lymphocytes", 20_000, "lymphocytes", 20_000),
        percent_parent=events / 200 if code != "ND" else None,
        percent_reference=events / 200 if code != "ND" else None,
        per_ul=value,
        per_ul_low=value and value * 0.8,
        per_ul_high=(events + 4) / volume * 1.2,
        lod_per_ul=20 / volume,
        lloq_per_ul=50 / volume,
        code=code,
        method=method,  # type: ignore[arg-type]
        flags=("anchor_leukocytes", "few_lymphocytes") if panel == "bcell" else (),
    )
    if specimen == "marrow":
        quantity = replace(
            quantity,
            per_ul=None,
            per_ul_low=None,
            per_ul_high=None,
            lod_per_ul=None,
            lloq_per_ul=None,
            method="none",
        )
    return tube, replace(quantity, **changes)  # type: ignore[arg-type]


ROWS = [
    row("tbnk", "leukocytes", 18_000),
    row("tbnk", "b_cells", 0),
    row("bcell", "b_cells", 60),
    row("bcell", "naive_b", 40),
    row("bcell", "b_cells", 60, specimen="marrow"),
    row("tbnk", "b_cells", 221, day=-7.25),
    row("tbnk", "b_cells", 5, patient="P02"),
]


def frame_of(rows: list[tuple[TubeCounts, Quantity]]) -> pd.DataFrame:
    return kinetics_frame(rows, infused=INFUSED, order=ORDER)


def test_columns_are_those_of_the_contract() -> None:
    assert KINETICS.names == COLUMNS
    assert list(frame_of(ROWS).columns) == COLUMNS
    assert list(frame_of([]).columns) == COLUMNS


def test_day_is_the_time_elapsed_since_infusion() -> None:
    frame = frame_of(ROWS)
    assert frame["day"].tolist() == [-7.25, 28, 28, 28, 28, 28, 28]
    assert frame["collected"].iloc[0] == "2026-02-22T06:00:00+00:00"


@given(order=st.permutations(range(len(ROWS))))
def test_order_of_rows_changes_nothing(order: list[int]) -> None:
    frame = frame_of([ROWS[i] for i in order])
    assert frame[["patient", "specimen", "panel", "population"]].agg("/".join, axis=1).tolist() == [
        "P01/blood/tbnk/b_cells",
        "P01/blood/bcell/b_cells",
        "P01/blood/bcell/naive_b",
        "P01/blood/tbnk/leukocytes",
        "P01/blood/tbnk/b_cells",
        "P01/marrow/bcell/b_cells",
        "P02/blood/tbnk/b_cells",
    ]
    assert frame.equals(frame_of(ROWS))


def test_a_patient_without_infusion_is_named() -> None:
    with pytest.raises(SheetFault, match="P01"):
        kinetics_frame(ROWS, infused={}, order=ORDER)


def test_times_with_and_without_zone_are_not_mixed() -> None:
    with pytest.raises(SheetFault, match="time zone"):
        elapsed_days(INFUSED["P01"].replace(tzinfo=None), INFUSED["P01"])
    assert elapsed_days(INFUSED["P01"], INFUSED["P01"] + timedelta(hours=30)) == 1.25


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("per_ul", 0.0, "not detected|zero"),
        ("events", 30_000, "more events than the parent"),
        ("code", "OK", "unknown code"),
        ("code", "ND", "not detected"),
        ("per_ul_high", 0.001, "outside its limits"),
        ("per_ul", None, "without concentration"),
        ("events", 0, "empty population"),
        ("percent_parent", 0.0, "zero"),
        ("method", "none", "without method"),
        ("day", 900.0, "order in time"),
    ],
)
def test_a_broken_promise_is_caught(column: str, value: object, said: str) -> None:
    frame = frame_of(ROWS)
    frame.loc[1, column] = value
    with pytest.raises(ReconflowError, match=said):
        check_kinetics(frame)


def test_repeated_rows_and_other_columns_are_caught() -> None:
    with pytest.raises(ReconflowError, match="one row a tube × population"):
        frame_of([ROWS[0], ROWS[0]])
    with pytest.raises(ReconflowError, match="columns"):
        check_kinetics(frame_of(ROWS).drop(columns="flags"))


def test_the_directly_counted_tube_wins_if_it_quantified_else_the_tube_that_could_see_least() -> (
    None
):
    wide = wide_frame(frame_of(ROWS))
    assert wide["b_cells"].tolist() == ["12.3", "0.15", "", "<1.1"]
    assert wide["b_cells_marrow_percent"].tolist() == ["", "", "0.3", ""]
    empty = dict.fromkeys(
        ("per_ul", "per_ul_low", "per_ul_high", "percent_parent", "percent_reference")
    )
    without = [row("tbnk", "b_cells", 0, code="NE", **empty), row("bcell", "b_cells", 60)]
    winners = winning_rows(frame_of(without))
    assert winners["panel"].tolist() == ["bcell"]


def test_of_two_tubes_of_a_panel_one_gives_all_populations() -> None:
    def tube(sha: str, volume: float, counts: tuple[int, int]) -> list[tuple[TubeCounts, Quantity]]:
        limits = {"lod_per_ul": 20 / volume, "lloq_per_ul": 50 / volume}
        pairs = [
            row("bcell", p, n, per_ul=n / volume, **limits)
            for p, n in zip(("b_cells", "naive_b"), counts, strict=True)
        ]
        return [
            (
                replace(t, identity=replace(t.identity, tube_sha256=sha)),
                replace(q, per_ul_low=0.0, per_ul_high=10 * n),
            )
            for (t, q), n in zip(pairs, counts, strict=True)
        ]

    small, large = tube("small", 200.0, (60, 55)), tube("large", 400.0, (70, 40))
    assert set(winning_rows(frame_of([*small, *large]))["tube_sha256"]) == {"large"}
    assert winning_rows(frame_of([*small, large[0]])).set_index("population")[
        "tube_sha256"
    ].to_dict() == {
        "b_cells": "large",
        "naive_b": "small",
    }


def test_marrow_without_cells_is_printed_below_its_limit_of_detection() -> None:
    reference = row("bcell", "lymphocytes", 80_000, specimen="marrow")
    reference = (
        reference[0],
        replace(
            reference[1],
            count=PopulationCount("lymphocytes", 80_000, "cells", 90_000, "leukocytes", 90_000),
        ),
    )
    absent = row("bcell", "b_cells", 0, specimen="marrow")
    frame = frame_of([reference, absent])
    assert "b_cells" not in wide_frame(frame)
    assert wide_frame(frame)["b_cells_marrow_percent"].tolist() == ["<0.025"]
    assert wide_frame(frame, detect_events=40)["b_cells_marrow_percent"].tolist() == ["<0.05"]
    blood = frame_of([row("tbnk", "b_cells", 0)])
    assert percent_limits(blood).isna().all()


def test_the_wide_table_has_one_row_a_visit_and_specimen() -> None:
    wide = wide_frame(frame_of(ROWS))
    assert list(wide.columns) == [
        "patient",
        "visit",
        "day",
        "collected",
        "specimen",
        "leukocytes",
        "b_cells",
        "naive_b",
        "b_cells_marrow_percent",
    ]
    assert wide[["patient", "visit", "specimen"]].agg("/".join, axis=1).tolist() == [
        "P01/D-7/blood",
        "P01/D28/blood",
        "P01/D28/marrow",
        "P02/D28/blood",
    ]
    assert wide["naive_b"].tolist() == ["", "0.1 (DNQ)", "", ""]
    assert wide["leukocytes"].iloc[1] == "1000"


@pytest.mark.parametrize(
    ("changes", "printed"),
    [
        ({"code": "Q", "per_ul": 12.345}, "12.3"),
        ({"code": "Q", "per_ul": 418.64}, "419"),
        ({"code": "DNQ", "per_ul": 2.14}, "2.1 (DNQ)"),
        ({"code": "DNQ", "per_ul": 0.0764}, "0.076 (DNQ)"),
        ({"code": "ND"}, "<1.1"),
        ({"code": "ND", "per_ul_high": 0.9}, "<1.1"),
        ({"code": "ND", "per_ul_high": 1.6}, "<1.6"),
        ({"code": "NE"}, "NE"),
        ({"specimen": "marrow", "code": "Q", "percent_reference": 0.123}, "0.12 %"),
        ({"specimen": "marrow", "code": "ND", "lod_per_ul": None}, "ND"),
        ({"specimen": "marrow", "code": "ND", "lod_percent": 0.01}, "<0.01 %"),
        ({"specimen": "marrow", "code": "Q", "percent_parent": 80.0}, "NE"),
    ],
)
def test_results_are_printed_as_a_laboratory_would(
    changes: dict[str, object], printed: str
) -> None:
    empty = {
        "specimen": "blood",
        "per_ul": None,
        "percent_reference": None,
        "percent_parent": None,
        "lod_per_ul": 1.111,
        "per_ul_high": None,
    }
    assert print_result(empty | changes) == printed
