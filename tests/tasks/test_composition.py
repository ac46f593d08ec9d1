"""Of which subsets the B cells consist, and what is never said from too few of them."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.intervals import clopper_pearson
from tasks.counting.limits import LimitSettings
from tasks.counting.secreting import secreting_b_cells
from tasks.kinetics.composition import ALL_PARTS, PARTS, composition_frame
from tasks.kinetics.parameters import parameters_frame
from tasks.publish.composition_plots import cohort_bars, draw_composition, patient_bars
from tasks.results.series_flags import with_series_flags
from tasks.vocabulary.populations import NAIVE_PARTS, QUADRANTS
from tasks.vocabulary.reasons import Why, why_of
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.tasks.published_rows import NOT_DETECTED, NOT_EVALUABLE, at, kinetics
from tests.test_scenarios import RESTING, make

USUAL = {
    "naive_b": 70,
    "naive_igm_igd_b": 50,
    "transitional_b": 15,
    "unswitched_memory_b": 10,
    "switched_memory_b": 8,
    "double_negative_b": 7,
}


def tube(
    day: int,
    b_cells: int,
    *,
    patient: str = "P1",
    sha: str = "",
    level: float = 50.0,
    **events: int,
) -> list[dict[str, Any]]:
    """Lay out a B-cell tube; subsets not given have their usual part of 100 B cells."""
    shared = {
        "patient": patient,
        "panel": "bcell",
        "per_ul": level,
        "per_ul_low": 0.9 * level,
        "per_ul_high": 1.1 * level,
    }
    shared |= (
        {"tube_sha256": sha}
        if sha
        else {"tube_sha256": f"{sum(map(ord, patient)) * 1000 + day + 100:064x}"}
    )
    counts = {"b_cells": b_cells} | {
        name: events.get(name, part * b_cells // 100) for name, part in USUAL.items()
    }
    return [at(day, population=name, events=count, **shared) for name, count in counts.items()]


def parts(frame: pd.DataFrame, visit: str) -> dict[str, int]:
    own = frame[frame["visit"] == visit]
    return dict(zip(own["part"], own["events"], strict=True))


def test_every_b_cell_of_a_tube_is_in_one_part() -> None:
    frame = composition_frame(kinetics(*tube(84, 200)))
    assert list(frame["part"]) == list(PARTS)
    assert parts(frame, "D84") == {
        "naive_igm_igd_b": 100,
        "transitional_b": 30,
        "other_naive_b": 10,
        "unswitched_memory_b": 20,
        "switched_memory_b": 16,
        "double_negative_b": 14,
        "other_b": 10,
    }
    naive = frame.iloc[0]
    low, high = clopper_pearson(100, 200)
    assert (naive["share"], naive["low"], naive["high"], naive["basis"]) == (
        50,
        100 * low,
        100 * high,
        "enough",
    )


@given(st.lists(st.integers(0, 400), min_size=7, max_size=7))
def test_shares_sum_to_all_whatever_the_counts(counts: list[int]) -> None:
    mature, transitional, other, *quadrants, _ = counts
    events = dict(zip(QUADRANTS[1:], quadrants, strict=True)) | dict(
        zip(NAIVE_PARTS, (mature, transitional), strict=True)
    )
    frame = composition_frame(
        kinetics(*tube(84, sum(counts), naive_b=mature + transitional + other, **events))
    )
    assert list(frame["events"]) == counts
    if sum(counts) >= 50:
        assert frame["share"].sum() == pytest.approx(100)
    else:
        assert frame["share"].isna().all()


@pytest.mark.parametrize(
    ("b_cells", "basis"),
    [(49, "few_cells"), (50, "indicative"), (99, "indicative"), (100, "enough")],
)
def test_few_b_cells_give_an_indication_or_nothing(b_cells: int, basis: str) -> None:
    frame = composition_frame(kinetics(*tube(14, b_cells)))
    assert set(frame["basis"]) == {basis}
    assert frame["share"].isna().all() == (basis == "few_cells")


def test_a_study_that_asks_for_more_b_cells_gets_shares_from_more() -> None:
    strict = LimitSettings(b_subset_events=500, b_subset_indicative_events=200)
    rows = kinetics(*tube(14, 199), *tube(28, 300), *tube(84, 500))
    assert list(composition_frame(rows, strict).drop_duplicates("visit")["basis"]) == [
        "few_cells",
        "indicative",
        "enough",
    ]


def test_events_that_the_background_explains_are_no_composition_of_b_cells() -> None:
    none = [
        row | ({**NOT_DETECTED, "events": 120} if row["population"] == "b_cells" else {})
        for row in tube(14, 120)
    ]
    frame = composition_frame(kinetics(*none))
    assert set(frame["basis"]) == {"few_cells"}
    assert frame["share"].isna().all()


def test_a_visit_that_is_not_evaluable_or_lacks_a_subset_has_no_composition() -> None:
    lost = [
        row | (NOT_EVALUABLE if row["population"] == "b_cells" else {}) for row in tube(14, 200)
    ]
    partly = [row for row in tube(28, 200) if row["population"] != "transitional_b"]
    assert composition_frame(kinetics(*lost, *partly)).empty


def test_subsets_that_overlap_are_not_drawn_as_parts_of_a_whole() -> None:
    assert composition_frame(kinetics(*tube(84, 200, transitional_b=150))).empty


def test_all_parts_are_of_the_tube_that_counts_for_the_visit() -> None:
    small = [row | {"lod_per_ul": 9.0, "parent_events": 500} for row in tube(84, 100, sha="a" * 64)]
    both = composition_frame(kinetics(*small, *tube(84, 300, sha="b" * 64)))
    assert set(both["tube_sha256"]) == {"b" * 64}
    assert both["events"].sum() == 300


def test_shares_at_recovery_are_of_the_first_tube_with_a_hundred_b_cells() -> None:
    course = [
        *tube(-7, 900, level=80.0),
        *tube(28, 0, level=1.5),
        *tube(84, 60, level=30.0),
        *tube(112, 400, level=60.0),
    ]
    frame = (
        parameters_frame(kinetics(*course)).set_index(["population", "parameter"]).loc["b_cells"]
    )
    expected = {"naive": 0.7, "naive_igm_igd": 0.5, "transitional": 0.15, "memory": 0.18}
    found = {name: frame["value"][f"{name}_share_at_recovery"] for name in expected}
    assert found == pytest.approx(expected)
    assert frame["definition"]["memory_share_at_recovery"] == "memory-of-B-at-B_10:day-112.0:CP@1"
    early = (
        parameters_frame(kinetics(*course[:-7]))
        .set_index(["population", "parameter"])
        .loc["b_cells"]
    )
    assert why_of(str(early["definition"]["memory_share_at_recovery"])) is Why.FEW_B_CELLS


def test_a_patient_s_bars_come_in_time_and_a_visit_with_few_cells_has_none() -> None:
    frame = composition_frame(kinetics(*tube(84, 70), *tube(-7, 1000), *tube(14, 3)))
    bars = patient_bars(frame)
    assert [(bar.label, bar.note, bool(bar.shares), bar.indicative) for bar in bars] == [
        ("D-7", "1,000", True, False),
        ("D14", "3", False, False),
        ("D84", "70", True, True),
    ]
    axes = draw_composition({"": bars}, "B cells").axes[0]
    assert [text.get_text() for text in axes.findobj(Text) if text.get_gid() == "few"] == [
        "too few"
    ]
    assert sum(patch.get_height() for patch in axes.patches) == pytest.approx(200)  # type: ignore[attr-defined]


def test_the_mean_of_a_cohort_leaves_out_who_has_too_few_cells() -> None:
    rows = [
        *tube(84, 100),
        *tube(84, 200, patient="P2", naive_igm_igd_b=120, naive_b=150),
        *tube(84, 20, patient="P3"),
    ]
    (bar,) = cohort_bars(
        composition_frame(
            kinetics(*rows).sort_values(["patient", "day"], kind="stable", ignore_index=True)
        )
    )
    assert bar.note == "2"
    assert bar.shares["naive_igm_igd_b"] == pytest.approx((50 + 60) / 2)


def test_without_b_cells_the_figure_says_so() -> None:
    figure = draw_composition({}, "n =")
    assert [text.get_text() for text in figure.findobj(Text) if text.get_gid() == "empty"] == [
        "no visit with B cells of all subsets"
    ]


def with_secreting(
    rows: list[dict[str, Any]], plasmablasts: int, plasma_cells: int
) -> list[dict[str, Any]]:
    counts = {"plasmablasts": plasmablasts, "plasma_cells": plasma_cells}
    return [
        *rows,
        *(rows[0] | {"population": name, "events": count} for name, count in counts.items()),
    ]


def test_what_is_in_no_quadrant_is_named_by_what_the_strategy_counts() -> None:
    """A visit with 33 plasma cells: more than half of the "B cells" were called plasmablasts."""
    few = dict.fromkeys((*NAIVE_PARTS, *QUADRANTS[1:]), 5)
    frame = composition_frame(kinetics(*with_secreting(tube(56, 61, naive_b=13, **few), 2, 33)))
    found = parts(frame, "D56")
    assert list(found) == list(ALL_PARTS)
    assert (
        found["plasmablasts_b"],
        found["plasma_cells_b"],
        found["secreting_b"],
        found["other_b"],
    ) == (0, 31, 2, 0)
    assert sum(found.values()) == 61
    assert set(frame["note"]) == {"many_secreting_b_cells"}
    assert "plasmablasts" not in PARTS["other_b"]


@given(
    outside=st.integers(0, 300),
    blasts=st.integers(0, 300),
    cells=st.integers(0, 300),
    data=st.data(),
)
def test_no_more_is_said_of_the_rest_than_the_counts_prove(
    outside: int, blasts: int, cells: int, data: st.DataObject
) -> None:
    """However the two populations lie to the B cells, there are at least so many of each among
    them."""
    found = secreting_b_cells(
        {
            "b_cells": 1000 + outside,
            **dict.fromkeys(QUADRANTS, 250),
            "plasmablasts": blasts,
            "plasma_cells": cells,
        }
    )
    assert found is not None
    assert found.secreting + found.neither == outside
    inside = (
        data.draw(st.integers(max(0, outside - cells), min(blasts, outside)))
        if outside <= blasts + cells
        else blasts
    )
    assert found.plasmablasts <= inside
    assert found.plasma_cells <= outside - inside
    assert min(found.plasmablasts, found.plasma_cells, found.either, found.neither) >= 0


def test_many_secreting_cells_are_told_on_the_row_and_above_the_bar() -> None:
    usual = with_secreting(tube(-7, 1000), 90, 20)
    many = with_secreting(tube(56, 100, naive_b=10, naive_igm_igd_b=5, transitional_b=3), 15, 60)
    frame = composition_frame(kinetics(*usual, *many))
    assert [bar.note for bar in patient_bars(frame)] == ["1,000", "100*"]
    figure = draw_composition({"": patient_bars(frame)}, "B cells")
    marked = [text.get_text() for text in figure.findobj(Text) if text.get_gid() == "marked"]
    assert marked == ["* more than a tenth of the B cells are plasmablasts or plasma cells"]
    assert not [
        text
        for text in draw_composition({"": patient_bars(frame)[:1]}, "B cells").findobj(Text)
        if text.get_gid() == "marked"
    ]
    drawn = {patch.get_gid() for patch in figure.axes[0].patches}
    assert {"plasma_cells_b", "plasmablasts_b"} <= drawn


def test_the_b_cells_of_a_tube_say_that_many_of_them_secrete_antibodies() -> None:
    def counted(naive: int, cells: int) -> tuple[str, ...]:
        events = {
            "b_cells": naive + cells,
            "naive_b": naive,
            **dict.fromkeys(QUADRANTS[1:], 0),
            "plasmablasts": 0,
            "plasma_cells": cells,
        }
        counts = {
            name: PopulationCount(name, n, "p", 9_999, "leukocytes", 9_999)
            for name, n in events.items()
        }
        who = TubeIdentity(
            "a" * 64, "b.fcs", "P01", datetime(2026, 3, 1, 8, tzinfo=UTC), "bcell", "D56"
        )
        told = with_series_flags([TubeCounts(who, "bcell@2.0.0", "", counts)], {})[0]
        assert told.counts["plasma_cells"].flags == ()
        return told.counts["b_cells"].flags

    assert counted(28, 33) == ("many_secreting_b_cells",)
    assert counted(1000, 90) == counted(28, 19) == counted(0, 0) == ()


def test_the_mean_of_a_cohort_is_of_all_patients_whatever_their_strategies_tell_apart() -> None:
    rows = [*tube(84, 100), *with_secreting(tube(84, 200, patient="P2"), 0, 20)]
    (bar,) = cohort_bars(
        composition_frame(
            kinetics(*rows).sort_values(["patient", "day"], kind="stable", ignore_index=True)
        )
    )
    assert sum(bar.shares.values()) == pytest.approx(100)
    assert bar.shares["plasma_cells_b"] == pytest.approx(2.5)
    assert bar.shares["other_b"] == pytest.approx(2.5)


def test_the_parts_of_a_simulated_tube_are_true_but_for_cells_of_neither_population() -> None:
    cells = {
        "plasmablast": 60.0,
        "plasma_cell_cd19pos": 150.0,
        "plasma_cell_cd19neg": 20.0,
        "naive_mature_b": 120.0,
    }
    made = make("bcell", RESTING | cells)
    found = secreting_b_cells({name: count.events for name, count in made.counts.counts.items()})
    path_of, (codes, gates) = made.applied.compiled.path_of, made.applied.evaluation.codes()

    def inside(*names: str) -> int:
        wanted = {path_of[name] for name in ("b_cells", *names)}
        return sum(
            int((codes == code).sum()) for code, own in enumerate(gates) if wanted <= set(own)
        )

    assert found is not None
    blasts, plasma_cells, secreting = (
        inside("plasmablasts"),
        inside("plasma_cells"),
        inside("secreting"),
    )
    neither = secreting - blasts - plasma_cells
    assert neither <= 0.02 * secreting
    assert found.secreting == secreting
    assert 0.5 * blasts < found.plasmablasts <= blasts + neither
    assert 0.8 * plasma_cells < found.plasma_cells <= plasma_cells + neither
    assert found.neither == 0
    assert (
        "many_secreting_b_cells" in with_series_flags([made.counts], {})[0].counts["b_cells"].flags
    )
