"""A CD19 stain that is dimmer or brighter than calibrated is said of what its boundary cuts."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from gating.evaluation.corrections import SOURCE
from gating.evaluation.resolved import Resolved
from gating.fcs.spillover import Spill
from gating.strategy.calibrated import CalibratedStrategy
from gating.strategy.catalogue import load_strategy
from gating.thresholds.apply import Applied, apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from tasks.intake.take_in import take_in
from tasks.results.patient_tables import flagged_tubes
from tasks.simulate.tube import TubePlan, write_tube
from tasks.store.counts import counts_of
from tasks.store.tubes import Tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import open_study
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.count_tube import counting_inputs
from tasks.tubes.gate_tube import GatedTube, gate_tube
from tasks.tubes.gating_page import tube_findings, tube_head
from tasks.tubes.stain_brightness import (
    CELLS,
    StainBrightness,
    populations_in_doubt,
    stain_brightness,
)
from tests.gating.tubes import ArrayTube
from tests.tasks.study_folder import AT_ONCE, make_study

FLAG = "cd19_brightness_off"
OTHER_CELLS = {"granulocyte": 3000.0, "t_cd4_cm": 1500.0, "t_cd8_em": 800.0, "nk": 500.0}
B_CELLS = {"naive_mature_b": 300.0, "switched_memory_b": 100.0, "plasmablast": 60.0}
ABOVE_CD19 = (
    "b_cells",
    "naive_b",
    "naive_igm_igd_b",
    "transitional_b",
    "unswitched_memory_b",
    "switched_memory_b",
    "double_negative_b",
    "plasmablasts",
)
PATIENT = {"usual": "P01", "dim": "P02"}
Gated = tuple[CalibratedStrategy, Applied, ArrayTube]
Counted = dict[str, tuple[Tube, GatedTube]]


def gated(panel: str, cells: Mapping[str, float], cd19: float = 1.0, **more: float) -> Gated:
    """Simulate a tube whose cells carry ``cd19`` times the usual CD19, and gate it."""
    conditions = Conditions(abundance={"CD19": cd19}, **more)
    made = simulate_tube(
        load_panel(panel), OTHER_CELLS | cells, conditions, np.random.default_rng(5)
    )
    spill = Spill(made.spill_detectors, made.stored_spill)
    tube = ArrayTube(made.events.astype(np.float64), made.detectors, made.labels, spill)
    strategy = load_strategy(panel).strategy
    applied = apply_strategy(strategy, match_panel(load_panel(panel), tube.channels), tube, tube)
    return CalibratedStrategy(strategy), applied, tube


def measured(of: Gated, calibrated: CalibratedStrategy | None = None) -> dict[str, StainBrightness]:
    own, applied, tube = of
    return stain_brightness(calibrated or own, applied, tube, tube)


def in_doubt(of: Gated) -> tuple[str, ...]:
    return populations_in_doubt(of[0], {name: it.ratio for name, it in measured(of).items()})


@pytest.fixture(scope="module")
def usual() -> Gated:
    """Gate a B-cell tube that is stained as calibrated."""
    return gated("bcell", B_CELLS)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudySnapshot, Counted]:
    """Gate a usual tube and a dim one of a study, each of a patient of its own."""
    folder = tmp_path_factory.mktemp("dim")
    (folder / "events").mkdir()
    rows = [f"{name}.fcs,{PATIENT[name]},2026-02-07T08:00,bcell,D28" for name in PATIENT]
    header = "file,patient,collected,panel,visit\n"
    study = make_study(folder / "s", rows, settings=AT_ONCE, header=header)
    for name, cd19 in {"usual": 1.0, "dim": 0.4}.items():
        plan = TubePlan(
            f"{name}.fcs",
            "bcell",
            "BD FACSLyric",
            datetime(2026, 2, 7, 10, tzinfo=UTC),
            OTHER_CELLS | B_CELLS,
            Conditions(abundance={"CD19": cd19}),
            (7, name, "", ""),
        )
        write_tube(plan, study.inbox, folder)
    take_in(study)
    snapshot = read_snapshot(open_study(study.folder))
    inputs = counting_inputs(snapshot)
    with study.store() as store:
        tubes = taken_in(store)
    used = snapshot.strategies["bcell"]
    return snapshot, {
        tube.identity.file.removesuffix(".fcs"): (
            tube,
            gate_tube(study, tube, used, inputs.references),
        )
        for tube in tubes
    }


def test_a_tube_stained_as_calibrated_is_compared_and_raises_nothing(usual: Gated) -> None:
    (found,) = measured(usual).values()
    assert (found.marker, found.gate) == ("CD19", "b_cells")
    assert 300 < found.events < 480, "the plasmablasts are left out"
    assert 0.9 < found.ratio < 1.1
    assert in_doubt(usual) == ()


@pytest.mark.parametrize("cd19", [0.15, 0.25, 0.5, 2.0])
def test_a_dim_or_bright_stain_is_said_of_all_that_lies_above_the_boundary(cd19: float) -> None:
    of = gated("bcell", B_CELLS, cd19)
    assert measured(of)["cd19"].ratio == pytest.approx(cd19, rel=0.2)
    assert in_doubt(of) == ABOVE_CD19


def test_it_is_said_of_a_panel_of_lymphocytes_too() -> None:
    assert in_doubt(gated("tbnk", B_CELLS)) == ()
    assert in_doubt(gated("tbnk", B_CELLS, 0.4)) == ("b_cells",)


@pytest.mark.parametrize("panel", ["bcell", "tbnk"])
def test_a_tube_without_b_cells_says_nothing(panel: str) -> None:
    assert measured(gated(panel, {}, dead_fraction=0.15)) == {}


def test_plasmablasts_do_not_make_the_stain_look_dim() -> None:
    early = gated("bcell", {"naive_mature_b": 160.0, "plasmablast": 500.0})
    assert 0.9 < measured(early)["cd19"].ratio < 1.1
    assert measured(gated("bcell", {"plasmablast": 500.0})) == {}, f"fewer than {CELLS} others"


def test_no_more_cells_than_the_stain_gives_without_the_marker_say_nothing(usual: Gated) -> None:
    calibrated, applied, tube = usual
    found = applied.measurements["cd19"]
    negative = found.negative
    assert negative is not None
    sticky = replace(negative, counts=(0,) * (len(negative.counts) - 1) + (negative.events,))
    measurements = {"cd19": replace(found, negative=sticky)}
    assert measured((calibrated, replace(applied, measurements=measurements), tube)) == {}


def test_without_cells_that_lack_the_marker_nothing_can_be_said(usual: Gated) -> None:
    calibrated, applied, tube = usual
    found = applied.measurements["cd19"]
    assert found.negative is not None
    none = replace(found.negative, counts=(0,) * len(found.negative.counts))
    assert none.events == 0
    for measurements in ({}, *({"cd19": replace(found, negative=it)} for it in (None, none))):
        judged = replace(applied, measurements=measurements)
        assert measured((calibrated, judged, tube)) == {}


def test_nothing_is_compared_with_the_place_of_another_instrument(usual: Gated) -> None:
    calibrated = usual[0]
    assert measured(usual, replace(calibrated, fault="there is no calibration of it")) == {}
    assert measured(usual, replace(calibrated, unseen=frozenset({("b_cells", "CD19")}))) == {}
    assert populations_in_doubt(replace(calibrated, fault="none"), {"cd19": 0.3}) == ()


def test_a_boundary_that_a_person_corrected_is_left_alone(usual: Gated) -> None:
    calibrated, applied, tube = usual
    by_hand = {**applied.compiled.resolved, "cd19": Resolved(500.0, SOURCE, "A. Keller")}
    corrected = replace(applied, compiled=replace(applied.compiled, resolved=by_hand))
    assert measured((calibrated, corrected, tube)) == {}


def test_tables_flag_the_dim_tube_alone(counted: tuple[StudySnapshot, Counted]) -> None:
    snapshot, tubes = counted
    counts = [counts_of(t.identity, g.gating, is_excluded=False) for t, g in tubes.values()]
    known = [tube for tube, _ in tubes.values()]
    flagged = {
        tube.identity.file: tuple(n for n, each in tube.counts.items() if FLAG in each.flags)
        for tube in flagged_tubes(snapshot, counts, known)
    }
    assert flagged == {"usual.fcs": (), "dim.fcs": ABOVE_CD19}


def test_marrow_is_not_compared_with_what_was_found_in_blood(
    counted: tuple[StudySnapshot, Counted],
) -> None:
    snapshot, tubes = counted
    dim, in_blood = tubes["dim"]
    marrow = replace(dim, identity=replace(dim.identity, specimen="marrow"))
    used, references = snapshot.strategies["bcell"], counting_inputs(snapshot).references
    gating = gate_tube(snapshot.study, marrow, used, references).gating
    assert gating.qc["stains"] == {}
    assert gating.counts == in_blood.gating.counts


def test_evidence_and_page_say_how_far_off_it_is(counted: tuple[StudySnapshot, Counted]) -> None:
    snapshot, tubes = counted
    evidence = {
        name: next(each.rationale for each in gated.compiled.thresholds if each.threshold == "cd19")
        for name, (_, gated) in tubes.items()
    }
    dim = tubes["dim"][1].gating.qc["stains"]["cd19"]
    said = f"CD19 of {dim['events']} b_cells is {dim['ratio']:.2f} × the calibrated 9060"
    assert dim["ratio"] == pytest.approx(0.4, rel=0.1)
    assert f"{said} (0.67 to 1.5 is usual): dim cells may lie below" in evidence["dim"]
    assert "usual)" not in evidence["usual"]
    assert " × the calibrated 9060" in evidence["usual"]
    assert tube_head(*tubes["dim"]).stain.startswith(said)
    assert tube_head(*tubes["usual"]).stain == ""
    of_population = tube_findings(tubes["dim"][1]).of_population
    assert [name for name, words in of_population.items() if FLAG in words] == [*ABOVE_CD19]
    assert not any(
        FLAG in words for words in tube_findings(tubes["usual"][1]).of_population.values()
    )
    assert snapshot.strategies["bcell"].for_tube(tubes["dim"][0]).fault == ""
