"""A tube's doubts become words where they belong, and nowhere else."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from gating.quality.acquisition import TimeQuality
from gating.quality.residual_spillover import Residual, residuals, worst_of
from panels.catalogue import load_panel
from panels.simulation.conditions import Conditions
from tasks.counting.counts import Detector, PopulationCount, TubeCounts
from tasks.results.patient_inputs import tables_due
from tasks.results.series_flags import with_series_flags
from tasks.sheets.drugs import read_drugs
from tasks.strategies.in_use import read_snapshot
from tasks.tubes.tube_quality import judge_time
from tasks.vocabulary.flags import Flag
from tests.tasks.study_folder import make_study
from tests.test_scenarios import B_CELLS, CAR, INFUSED, RESTING, make, quantified

SHEET = """patient,drug,start,stop
P01,Rituximab (MabThera),2025-05-01,2025-06-01
P01,IVIG,2026-02-01,2026-02-01
P02,daratumumab,2026-01-01,
P03,prednisone,2026-01-01,
"""


def drugs(folder: Path, text: str = SHEET) -> Path:
    (folder / "drugs.csv").write_text(text, encoding="utf-8")
    return folder / "drugs.csv"


def test_a_clean_tube_has_no_word() -> None:
    for panel, cells in (("bcell", RESTING | B_CELLS), ("cart", RESTING | CAR)):
        made = make(panel, cells, Conditions(dead_fraction=0.03))
        assert made.judged.flags == []
        assert made.judged.of_population == {}


def test_dead_cells_and_doublets_are_said_with_their_numbers() -> None:
    dying = make("cart", RESTING, Conditions(dead_fraction=0.2)).judged
    storm = make("cart", RESTING, Conditions(dead_fraction=0.45)).judged
    assert dying.flags == [Flag.LOW_VIABILITY]
    assert storm.flags == [Flag.VERY_LOW_VIABILITY]
    assert storm.numbers["viable_share"] < 0.7 < dying.numbers["viable_share"] < 0.9
    clumped = make("cart", RESTING, Conditions(doublet_fraction=0.25)).judged
    assert Flag.MANY_DOUBLETS in clumped.flags


def test_b_cells_without_cd19_are_said_beside_both_counts() -> None:
    masked = make("bcell", RESTING | B_CELLS, Conditions(cd19_masked_fraction=0.5)).judged
    assert masked.of_population == {
        "b_cells": [Flag.CD19_LOW_B_CELLS],
        "b_cells_cd20": [Flag.CD19_LOW_B_CELLS],
    }
    few = {kind: n / 60 for kind, n in B_CELLS.items()}
    assert (
        make("bcell", RESTING | few, Conditions(cd19_masked_fraction=0.5)).judged.of_population
        == {}
    )


@pytest.mark.parametrize(
    ("removed", "flags"),
    [(0.1, []), (0.3, [Flag.UNSTEADY_ACQUISITION]), (0.5, [Flag.ACQUISITION_UNUSABLE])],
)
def test_what_was_left_out_of_the_acquisition_is_judged(removed: float, flags: list[Flag]) -> None:
    made = judge_time(TimeQuality(np.arange(5), removed, 100, {"FSC-A": 3, "CD3": 0}, 0.01))
    assert made.flags == flags
    assert made.numbers["time"]["bins_that_stood_out"] == {"FSC-A": 3}
    assert judge_time(TimeQuality(None, 0.0, 100, {}, 0.3)).flags == [Flag.SIGNAL_DRIFT]


def test_an_unusable_tube_is_not_evaluable_and_counts_for_no_other() -> None:
    whole = make("bcell", RESTING | B_CELLS, acquired_volume_ul=20.0, dilution=1.0)
    beads = make(
        "tbnk",
        RESTING | B_CELLS,
        Conditions(beads=3_000.0),
        beads_per_tube=50_000.0,
        blood_volume_ul=50.0,
    )
    broken = replace(beads.counts, flags=(str(Flag.ACQUISITION_UNUSABLE),))
    alone = quantified([whole.counts, broken])
    assert {quantity.code for (_, panel, _), quantity in alone.items() if panel == "tbnk"} == {"NE"}
    assert alone["D28", "tbnk", "b_cells"].percent_reference is None
    assert alone["D28", "bcell", "b_cells"].method == "volumetric"
    assert quantified([whole.counts, beads.counts])["D28", "bcell", "b_cells"].method == "chain"


def test_a_volume_shrinks_with_what_was_left_out() -> None:
    whole = make("bcell", RESTING | B_CELLS, acquired_volume_ul=20.0, dilution=1.0).counts
    part = replace(whole, kept=0.8)
    full, less = (quantified([tube])["D28", "bcell", "b_cells"].per_ul for tube in (whole, part))
    assert full is not None
    assert less is not None
    assert less == pytest.approx(full / 0.8)


def tube(patient: str, day: int, **identity: object) -> TubeCounts:
    made = make("bcell", {"nk": 50.0}, day=day).counts
    counts = {
        name: PopulationCount(name, 1, "p", 2, "r", 3)
        for name in ("b_cells", "b_cells_cd20", "plasma_cells", "naive_b", "leukocytes")
    }
    return replace(
        made, identity=replace(made.identity, patient=patient, **identity), counts=counts, flags=()
    )


def test_drugs_are_said_on_the_populations_and_days_they_concern(tmp_path: Path) -> None:
    exposures, faults = read_drugs(drugs(tmp_path))
    assert faults == ()
    said = {
        (each.identity.patient, each.identity.visit): {
            name: count.flags for name, count in each.counts.items() if count.flags
        }
        for each in with_series_flags(
            [tube("P01", 28), tube("P01", 300), tube("P02", 28), tube("P03", 28), tube("P04", 28)],
            exposures,
        )
    }
    assert (INFUSED + timedelta(days=28)).date() == date(2026, 2, 7)
    assert said["P01", "D28"] == {
        "b_cells_cd20": ("cd20_masked_by_drug",),
        "naive_b": ("immunoglobulin_given",),
    }
    assert said["P01", "D300"] == {}
    assert said["P02", "D28"] == {"plasma_cells": ("cd38_masked_by_drug",)}
    assert said["P03", "D28"] == said["P04", "D28"] == {}


@pytest.mark.parametrize(("bias", "off"), [(0.0, False), (0.15, True), (-0.15, True)])
def test_a_compensation_that_is_off_is_said_with_the_pair_and_the_shift(
    bias: float,
    off: bool,  # noqa: FBT001 - a case, by name
) -> None:
    cells = (
        RESTING
        | {kind: 6 * count for kind, count in CAR.items()}
        | {"t_cd4_naive": 4000.0, "t_cd8_naive": 2000.0}
    )
    judged = make("cart", cells, Conditions(compensation_bias=bias), seed=5).judged
    assert (Flag.COMPENSATION_RESIDUAL in judged.flags) == off
    worst = judged.numbers["compensation_residual"]["CAR19"]
    assert worst["beside"] == "CD45RA"
    assert not off or (worst["shift"] > 0) == (bias < 0)


def test_a_tube_without_negative_cells_tells_nothing_of_its_compensation() -> None:
    assert make("bcell", {"granulocyte": 3000.0}).judged.numbers["compensation_residual"] == {}


def test_a_late_acquisition_is_said() -> None:
    drawn = INFUSED + timedelta(days=28)
    late, soon = (tube("P01", 28, acquired=drawn + timedelta(hours=hours)) for hours in (25, 23))
    assert [each.flags for each in with_series_flags([late, soon], {})] == [
        ("late_acquisition",),
        (),
    ]


def run_at(
    day: int,
    volts: float | None,
    *,
    detector: str = "PE-Cy7-A",
    panel: str = "bcell@1.0.0",
    **identity: object,
) -> TubeCounts:
    return replace(
        tube("P01", day, **identity),
        detectors={"CD19": Detector(detector, volts), "CD3": Detector("BV786-A", 400.0)},
        panel=panel,
    )


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        (run_at(28, 500.0), ()),
        (run_at(28, 503.0), ()),
        (run_at(28, 504.0), ("voltage_changed",)),
        (run_at(28, 480.0), ("voltage_changed",)),
        (run_at(28, 530.0), ("voltage_beyond_limits",)),
        (run_at(28, 470.0), ("voltage_beyond_limits",)),
        (run_at(28, None), ()),
        (run_at(28, 500.0, detector="BV605-A"), ("panel_changed",)),
        (run_at(28, 500.0, panel="bcell@1.1.0"), ("panel_changed",)),
        (run_at(28, 700.0, instrument="another"), ()),
    ],
)
def test_detectors_are_held_against_the_first_tube_of_the_series(
    changed: TubeCounts, flags: tuple[str, ...]
) -> None:
    first = run_at(-7, 500.0)
    for order in ([first, changed], [changed, first]):
        told = {each.identity.visit: each.flags for each in with_series_flags(order, {})}
        assert told == {first.identity.visit: (), changed.identity.visit: flags}


def test_times_with_and_without_a_zone_in_one_study_stop_nothing() -> None:
    aware = run_at(28, 500.0)
    naive = replace(
        aware,
        identity=replace(
            aware.identity, patient="P02", collected=aware.identity.collected.replace(tzinfo=None)
        ),
    )
    assert [each.flags for each in with_series_flags([aware, naive], {})] == [(), ()]


def test_cells_at_the_end_of_a_detectors_range_are_said() -> None:
    bright = make("bcell", RESTING | B_CELLS, Conditions(gain={"V500-C-A": 12.0})).judged
    assert Flag.MANY_AT_THE_MARGIN in bright.flags
    assert bright.numbers["margins"]["CD45"] > 0.10
    usual = make("bcell", RESTING | B_CELLS).judged
    assert Flag.MANY_AT_THE_MARGIN not in usual.flags
    assert max(usual.numbers["margins"].values(), default=0) < 0.05


@pytest.mark.parametrize("gain", [0.7, 1.4])
def test_a_bead_tube_whose_detectors_drifted_is_counted_right(gain: float) -> None:
    drifted = Conditions(
        beads=5000.0,
        dead_fraction=0.0,
        gain={stain.detector: gain for stain in load_panel("tbnk").markers},
    )
    made = make("tbnk", RESTING | B_CELLS, drifted)
    for population in ("leukocytes", "lymphocytes", "t_cells", "b_cells", "nk_cells", "monocytes"):
        assert made.near(population, within=0.05), population
    assert "threshold_moved" in made.counts.counts["monocytes"].flags


def test_dead_cells_are_not_called_b_cells_in_a_bead_tube() -> None:
    blood = {"beads_per_tube": 50_000.0, "blood_volume_ul": 50.0}
    storm = make("tbnk", RESTING, Conditions(beads=5000.0, dead_fraction=0.4), seed=3, **blood)
    counted = quantified([storm.counts])["D28", "tbnk", "b_cells"]
    assert counted.count.events >= 20
    assert counted.code == "NE"
    assert {"limit_raised_by_background", "lloq_above_threshold"} <= set(counted.flags)


def test_beads_are_no_cells_at_a_margin() -> None:
    counted = make(
        "tbnk", {"t_cd4_cm": 600.0}, Conditions(beads=6000.0, debris_fraction=0.0)
    ).judged
    assert Flag.MANY_AT_THE_MARGIN not in counted.flags


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("P01,,2026-01-01,", "drugs.csv, line 2, column drug: The name of the drug is missing."),
        ("P01,rituximab,,", "The day of the first dose is missing"),
        ("P01,rituximab,01.03.2026,", "'01.03.2026' is no day"),
        ("P01,rituximab,2026-02-30,", "'2026-02-30' is no day"),
        ("P01,rituximab,2026-03-01,2026-02-01", "stopped on 2026-02-01 but started on 2026-03-01"),
        ("../x,rituximab,2026-03-01,", "patient"),
        ("P01,rituximab", "drugs.csv, line 2"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_hold(
    tmp_path: Path, line: str, sentence: str
) -> None:
    exposures, faults = read_drugs(
        drugs(tmp_path, f"patient,drug,start,stop\n{line}\nP02,IVIG,2026-01-01,\n")
    )
    assert list(exposures) == ["P02"]
    (fault,) = faults
    assert sentence in str(fault)


def test_a_study_without_the_sheet_has_no_exposure_and_a_wrong_header_is_named(
    tmp_path: Path,
) -> None:
    assert read_drugs(tmp_path / "drugs.csv") == ({}, ())
    exposures, faults = read_drugs(drugs(tmp_path, "patient,medicine,start\nP01,x,2026-01-01\n"))
    assert exposures == {}
    assert "'drug' is missing" in str(faults[0])
    study = make_study(tmp_path / "s")
    assert tables_due(read_snapshot(study)).patients == []


def test_carry_over_is_judged_on_the_events_that_are_counted(tmp_path: Path) -> None:
    from gating.evaluation.compile import compile_strategy
    from gating.evaluation.engine import evaluate
    from gating.fcs.events import open_events
    from gating.fcs.header import read_header
    from panels.panel import match_panel
    from tasks.tubes.tube_quality import judge_tube
    from tests.gating.test_time_channel import panel_with, strategy, tube_at

    header = read_header(tube_at(tmp_path, "Time"))
    events = open_events(header)
    compiled = compile_strategy(
        strategy(), match_panel(panel_with("Time"), header.channels), header
    )
    time = events.column(2)
    for kept, told in (
        (np.flatnonzero(time < 200), True),
        (np.flatnonzero(time < 20), False),
        (np.flatnonzero(time > 6), False),
    ):
        made = judge_tube(compiled, evaluate(compiled.gating, events, header, kept), events, header)
        assert ("in_first_seconds" in made.numbers) == told


def test_negative_cells_may_be_all_events() -> None:
    from gating.evaluation.compile import compile_strategy
    from gating.evaluation.engine import evaluate
    from gating.strategy.catalogue import load_strategy
    from tests.gating.tubes import random_tube

    shipped = load_strategy("bcell").strategy
    cd19 = shipped.thresholds["cd19"]
    assert cd19.negative is not None
    everything = cd19.model_copy(
        update={"negative": cd19.negative.model_copy(update={"gate": "root"})}
    )
    asked = shipped.model_copy(update={"thresholds": {**shipped.thresholds, "cd19": everything}})
    tube, match = random_tube(asked, events=5000, seed=3)
    compiled = compile_strategy(asked, match, tube)
    for rows in (None, np.arange(0, 5000, 2)):
        assert "CD19" in [
            each.marker
            for each in residuals(compiled, evaluate(compiled.gating, tube, tube, rows), tube, tube)
        ]


def test_of_shifts_that_differ_by_rounding_always_the_same_is_named() -> None:
    one, other = Residual("CD38", "CD27", 12.0, 0.1), Residual("CD38", "CD24", 12.0, 0.1 - 1e-12)
    assert worst_of([one, other]).beside == worst_of([other, one]).beside == "CD24"
    larger = Residual("CD38", "IgD", 13.0, 0.11)
    assert worst_of([one, larger, other]) is larger
