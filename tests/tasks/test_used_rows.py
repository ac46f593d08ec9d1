"""Which of several rows of a visit is used, and what a reviewer's decision takes out."""

import io
from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

from panels.text.errors import ReconflowError
from tasks.counting.background import baseline_backgrounds
from tasks.counting.bead_rates import expected_bead_rates
from tasks.counting.counts import TubeCounts
from tasks.counting.intervals import wilson
from tasks.counting.quantity import quantify_visit
from tasks.counting.visit import compare_visit
from tasks.kinetics.parameters import parameters_frame
from tasks.kinetics.schema import KINETICS
from tasks.kinetics.table import check_kinetics, kinetics_frame
from tasks.kinetics.wide_table import wide_frame
from tasks.kinetics.winning_rows import kinetic_rows, winning_rows
from tasks.publish.completeness_plot import NOTHING_EVALUABLE, visit_states
from tasks.publish.tables import csv_bytes, parquet_bytes, read_table
from tasks.results.series_flags import with_series_flags
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.visit_labels import nominal_day
from tests.tasks.test_quantity import COLLECTED, COUNTING, RULES, bcell, tbnk, tube

INFUSED = {"P01": COLLECTED - timedelta(days=28)}
ORDER = {name: tuple(rules) for name, rules in RULES.items()}
ADDED_NOW = KINETICS.names[KINETICS.names.index("calibration_sha256") + 1 :]


def table(*tubes: TubeCounts) -> pd.DataFrame:
    """Lay out a visit's tubes as its kinetics table."""
    rows = quantify_visit(tubes, RULES, counting=COUNTING)
    return kinetics_frame(rows, infused=INFUSED, order=ORDER)


def excluded(counted: TubeCounts) -> TubeCounts:
    return replace(counted, review="excluded")


def taken(frame: pd.DataFrame) -> dict[str, str]:
    """Give for each population the tube whose row is used."""
    used = frame[frame["used"] == "Y"]
    return dict(zip(used["population"], used["tube_sha256"], strict=True))


def test_one_row_of_each_result_is_used_and_the_wide_table_shows_it() -> None:
    frame = table(tbnk(b_cells=400), bcell(naive=6000, b_cells=8000))
    assert set(frame["used"]) == {"Y", "N"}
    assert taken(frame) == {
        "leukocytes": "tbnk-sha",
        "lymphocytes": "tbnk-sha",
        "b_cells": "tbnk-sha",
        "naive_b": "bcell-sha",
    }
    used = frame[frame["used"] == "Y"].reset_index(drop=True)
    pd.testing.assert_frame_equal(winning_rows(frame).reset_index(drop=True), used)
    assert wide_frame(frame)["b_cells"].tolist() == wide_frame(used)["b_cells"].tolist()


def test_a_row_tells_its_file_instrument_batch_panel_and_nominal_day() -> None:
    known = tbnk(file="inbox/Tag 28/P01 D28.fcs", instrument="lyric-2", batch="B7")
    told = table(replace(known, panel="tbnk@1.2.0", corrected=frozenset({"b_cells"})))
    first = told.iloc[0].to_dict()
    assert [first[name] for name in ("file", "instrument", "batch", "panel_version")] == [
        "P01 D28.fcs",
        "lyric-2",
        "B7",
        "tbnk@1.2.0",
    ]
    assert set(told["nominal_day"]) == {28.0}
    assert dict(zip(told["population"], told["corrected"], strict=True)) == {
        "leukocytes": "N",
        "lymphocytes": "N",
        "b_cells": "Y",
    }
    silent = table(tbnk()).iloc[0]
    assert [silent[name] for name in ("instrument", "batch", "review")] == ["", "", ""]


@pytest.mark.parametrize(
    ("label", "day"),
    [
        ("D28", 28),
        ("D-7", -7),
        ("Day 14", 14),
        ("d+3", 3),
        ("M1", None),
        ("", None),
        ("D28b", None),
    ],
)
def test_a_label_names_a_day_or_none(label: str, day: int | None) -> None:
    assert nominal_day(label) == day


def test_percentages_have_score_limits_where_they_are_given() -> None:
    frame = table(tbnk(b_cells=0), bcell(naive=300, b_cells=400)).set_index(["panel", "population"])
    naive = frame.loc["bcell", "naive_b"]
    assert naive["percent_reference"] == pytest.approx(75)
    assert (naive["percent_low"], naive["percent_high"]) == pytest.approx(
        tuple(wilson(300, 400).times(100))
    )
    absent = frame.loc["tbnk", "b_cells"]
    assert absent[["percent_reference", "percent_low", "percent_high"]].isna().all()


def test_an_excluded_tube_keeps_its_rows_and_wins_nothing() -> None:
    before = table(tbnk(b_cells=400), bcell())
    frame = table(excluded(tbnk(b_cells=400)), bcell(leukocytes_per_ul=5000.0))
    of_tube = frame[frame["panel"] == "tbnk"]
    assert set(of_tube["review"]) == {"excluded"}
    assert set(of_tube["used"]) == {"N"}
    assert taken(frame) == dict.fromkeys(("leukocytes", "b_cells", "naive_b"), "bcell-sha")
    own = ["population", "events", "per_ul", "per_ul_low", "code", "method"]
    pd.testing.assert_frame_equal(of_tube[own], before[before["panel"] == "tbnk"][own])


def test_no_volume_or_anchor_comes_from_an_excluded_tube() -> None:
    chained = table(tbnk(b_cells=400), bcell()).set_index(["panel", "population"])
    assert set(chained.loc["bcell", "method"]) == {"chain"}
    without = table(excluded(tbnk(b_cells=400)), bcell()).set_index(["panel", "population"])
    assert set(without.loc["bcell", "method"]) == {"none"}
    assert set(without.loc["bcell", "code"]) == {"NE"}
    by_line = excluded(tbnk(b_cells=400, leukocytes_per_ul=5000.0))
    assert set(table(by_line, bcell()).set_index("panel").loc["bcell", "code"]) == {"NE"}


def test_tables_made_from_rows_leave_excluded_tubes_out() -> None:
    alone = table(excluded(tbnk(b_cells=400)))
    assert len(alone) == 3
    assert wide_frame(alone).empty
    assert list(kinetic_rows(alone).tubes) == []
    assert winning_rows(alone).empty
    assert parameters_frame(alone).empty
    _, states = visit_states(alone)
    assert states == {"P01": [NOTHING_EVALUABLE]}


def test_draws_are_not_checked_against_an_excluded_tube() -> None:
    wrong = replace(tbnk(b_cells=400, leukocytes_per_ul=100.0), review="excluded")
    right = tbnk(b_cells=400, tube_sha256="other", file="other.fcs")
    compared = compare_visit([wrong, right], RULES, counting=COUNTING)
    assert compared == {"tbnk-sha": (), "other": ()}
    told = compare_visit([replace(wrong, review=""), right], RULES, counting=COUNTING)
    assert any(each.contradicted for each in told["other"])


def test_an_excluded_tube_is_no_background_no_batch_and_no_first_tube() -> None:
    early = tube(
        "cart",
        {"leukocytes": 60_000, "t_cells": 40_000, "car19_t": 2},
        collected=INFUSED["P01"] - timedelta(days=7),
    )
    for counted, known in ((early, 1), (excluded(early), 0)):
        assert len(baseline_backgrounds([counted], RULES, infused=INFUSED["P01"])) == known
    batch = [
        replace(tbnk(tube_sha256=sha, batch="B1"), bead_rate=100.0)
        for sha in ("a", "b", "c", "d", "e")
    ]
    assert len(expected_bead_rates(batch)) == 5
    assert expected_bead_rates([*batch[:4], excluded(batch[4])]) == {}
    first = replace(bcell(collected=COLLECTED - timedelta(days=35)), panel="bcell@0.9.0")
    later = replace(bcell(), panel="bcell@1.0.0")
    changed = str(Flag.PANEL_CHANGED)
    assert changed in with_series_flags([first, later], {})[1].flags
    assert changed not in with_series_flags([excluded(first), later], {})[1].flags


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"review": "excluded"}, "excluded tube that is used"),
        ({"used": "Y"}, "two rows used for one visit"),
        ({"used": "N"}, "no row used for a visit"),
        ({"percent_low": 99.0}, "outside its limits"),
        ({"percent_reference": float("nan")}, "limits of a percentage"),
    ],
)
def test_a_broken_promise_on_use_or_percentages_is_caught(
    changes: dict[str, object], said: str
) -> None:
    frame = table(tbnk(b_cells=400), bcell()).assign(**changes)
    with pytest.raises(ReconflowError, match=said):
        check_kinetics(frame)


def test_a_table_of_an_earlier_edition_is_read_and_judged_as_it_was() -> None:
    frame = table(tbnk(b_cells=400), bcell())
    older = csv_bytes(frame.drop(columns=ADDED_NOW))
    read = read_table(io.BytesIO(older), KINETICS)
    check_kinetics(read)
    assert set(read["used"]) == {""}
    assert read["percent_low"].isna().all()
    assert winning_rows(read)["tube_sha256"].tolist() == list(
        frame[frame["used"] == "Y"]["tube_sha256"]
    )
    joined = pd.concat([read.assign(patient="P02"), frame], ignore_index=True)
    assert len(winning_rows(joined)) == 2 * len(winning_rows(frame))


@pytest.mark.parametrize(
    "name", ["=cmd|'C calc'!A0.fcs", "\u202escf.exe.fcs", 'a"b.fcs', "line\nfeed.fcs", "+1.fcs"]
)
def test_a_hostile_file_name_is_read_back_as_it_was_and_runs_nothing(name: str) -> None:
    frame = table(tbnk(file=name))
    written = csv_bytes(frame, KINETICS)
    assert set(read_table(io.BytesIO(written), KINETICS)["file"]) == {name}
    assert b",=cmd" not in written
    assert b'"=cmd' not in written
    assert set(pd.read_parquet(io.BytesIO(parquet_bytes(frame, KINETICS)))["file"]) == {name}
