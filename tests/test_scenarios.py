"""The acceptance scenarios of SCIENCE section 8, each by its letter."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.strategy.catalogue import load_strategy
from gating.thresholds.apply import apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from panels.text.errors import StrategyFault
from tasks.counting.counts import TubeCounts
from tasks.counting.quantity import Quantity
from tasks.intake.panel_fit import refusal
from tasks.intake.take_in import take_in
from tasks.kinetics.recovery import Definition, VisitCount, recovery
from tasks.results.series_flags import with_series_flags
from tasks.sheets.drugs import read_drugs
from tasks.simulate.fcs import FcsChannel, FcsSpill
from tasks.simulate.fcs import write_fcs as write_simulated
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.tubes.count_tube import count_tube, counting_inputs
from tests.gating.test_events import describe, write_fcs
from tests.scenario_tubes import (
    B_CELLS,
    CAR,
    INFUSED,
    RESTING,
    VOLUME_UL,
    acquired,
    course,
    drift,
    make,
    quantified,
)
from tests.shared_data import SHARED, needs_shared
from tests.tasks.nca_values import nca
from tests.tasks.study_folder import DRAWN, make_study, write_tube

PERSON = "DOE^JANE"
B_10 = Definition("B_10", "per_ul", 10.0, 10.0)
PUBLISHED = {0: 0.0, 4: 2.1, 7: 85, 10: 140, 14: 62, 21: 18, 28: 7.5, 42: 2.4, 56: 0.9, 84: 0.0}
"""Cells/µL by day: the series of SCIENCE section 4.1."""


def test_scenario_a_twelve_weeks_without_b_cells_are_never_called_recovery() -> None:
    visits = []
    for number in range(50):
        rng = np.random.default_rng(number)
        gain = float(np.exp(rng.normal(0, 0.12)))
        cells = {kind: n / 3 for kind, n in (RESTING | (CAR if number % 2 else {})).items()}
        conditions = replace(
            drift("bcell", gain),
            dead_fraction=float(rng.uniform(0.02, 0.15)),
            trogocytosis_fraction=0.05,
        )
        day = 10.0 + 1.5 * number
        made = acquired("bcell", cells, conditions, seed=number, day=day)
        assert made.truth["b_cells"].intact == 0
        b_cells = quantified([made.counts])[made.counts.identity.visit, "bcell", "b_cells"]
        assert b_cells.code == "ND", (number, b_cells)
        visits.append(
            VisitCount(day, b_cells.code, b_cells.per_ul, b_cells.lod_per_ul, b_cells.lloq_per_ul)
        )
    before = VisitCount(-7.0, "Q", 80.0, 0.4, 1.0)
    judged = recovery([before, *visits], B_10)
    assert judged.depletion is not None
    assert (judged.depletion.low, judged.depletion.high) == (-7.0, 10.0)
    assert judged.recovery is not None
    assert (judged.recovery.low, judged.recovery.censoring) == (83.5, "right")


def test_scenario_b_b_cells_whose_cd19_is_masked_are_counted_by_cd20() -> None:
    made = make("bcell", RESTING | B_CELLS, Conditions(cd19_masked_fraction=0.6))
    true = made.truth["b_cells_cd20"].intact
    assert made.counts.counts["b_cells"].events < 0.6 * true
    assert made.near("b_cells_cd20")
    assert "cd19_low_b_cells" in made.flags("b_cells") & made.flags("b_cells_cd20")
    unmasked = make("bcell", RESTING | B_CELLS)
    assert unmasked.near("b_cells")
    assert "cd19_low_b_cells" not in unmasked.flags("b_cells") | unmasked.flags("b_cells_cd20")


@pytest.mark.parametrize("brightness", [1.0, 2.0])
def test_scenario_c_cd19_taken_over_by_car_t_cells_makes_no_b_cells(brightness: float) -> None:
    """Of a bright lot most of the stolen CD19 lies above the boundary: only CD3 keeps it out."""
    stolen = Conditions(trogocytosis_fraction=0.10, abundance={"CD19": brightness})
    made = make("bcell", RESTING | {kind: 3 * n for kind, n in CAR.items()}, stolen, day=7)
    assert made.truth["b_cells"].intact == 0
    assert made.counts.counts["b_cells"].events < 20
    reached, asked = made.counts.counts["b_cells"].negatives or (0, 0)
    assert asked > 5_000
    assert reached > 50 if brightness > 1 else reached < 20


def test_scenario_d_a_storm_of_dead_cells_neither_hides_nor_makes_cells() -> None:
    storm = Conditions(dead_fraction=0.4)
    full, empty = make("bcell", RESTING | B_CELLS, storm), make("bcell", RESTING, storm)
    assert "very_low_viability" in full.counts.flags
    assert full.near("b_cells")
    assert empty.counts.counts["b_cells"].events < 20
    car = make("cart", RESTING | CAR, storm)
    assert car.near("car19_t")
    assert make("cart", RESTING, storm).counts.counts["car19_t"].events < 20


def test_scenario_e_too_little_blood_is_not_evaluable_rather_than_not_detected() -> None:
    few = {kind: n / 150 for kind, n in RESTING.items()}
    made = make("bcell", few, leukocytes_per_ul=200.0, day=7)
    small = quantified([made.counts])["D7", "bcell", "b_cells"]
    assert (small.code, small.per_ul) == ("NE", None)
    assert "lloq_above_threshold" in small.flags
    enough = make("bcell", RESTING, leukocytes_per_ul=200.0, day=7)
    assert quantified([enough.counts])["D7", "bcell", "b_cells"].code == "ND"


def test_scenario_f_beads_at_the_margin_of_every_channel_are_counted_all_the_same() -> None:
    made = make(
        "tbnk", RESTING | B_CELLS, Conditions(beads=3_000.0, trigger=("PerCP-Cy5.5-A", 300.0))
    )
    assert set(made.applied.beads.at_end) == {"CD3", "CD16+CD56", "CD45", "CD4", "CD19", "CD8"}
    true = made.truth["kind:bead"].intact
    assert made.counts.beads == pytest.approx(true, rel=0.03)


SERIES = RESTING | {kind: 4 * n for kind, n in B_CELLS.items()}
FOLLOWED = ("b_cells", "naive_b", "transitional_b", "switched_memory_b")
ON_CD38 = {"naive_b", "transitional_b", "switched_memory_b"}


def test_scenario_g_a_lot_change_in_mid_series_is_followed_and_said_where_a_boundary_moved() -> (
    None
):
    new_lot = Conditions(
        abundance={
            "CD19": 0.75,
            "CD24": 0.7,
            "CD38": 1.35,
            "IgD": 0.75,
            "CD27": 1.2,
            "CD14+viability": 0.75,
        },
        spill_added={"APC-H7-A": {"APC-A": 0.04}},
    )
    before = acquired("bcell", SERIES, seed=1, day=28)
    after = acquired("bcell", SERIES, new_lot, seed=2, day=56)
    assert (before.moved(), after.moved()) == (set(), {"cd38_hi", "cd38_tr", "cd24_tr"})
    assert before.unproven() | after.unproven() == set()
    assert after.shift("cd24_tr") == pytest.approx(0.7, abs=0.03)
    assert 1.1 < after.shift("cd38_tr") < 1.35
    assert after.shift("cd38_hi") == pytest.approx(after.shift("cd38_tr"))
    found = quantified([before.counts, after.counts])
    for population in FOLLOWED:
        for made, visit in ((before, "D28"), (after, "D56")):
            true = made.truth[population].intact / VOLUME_UL
            assert found[visit, "bcell", population].per_ul == pytest.approx(true, rel=0.06)
        assert before.flags(population) == set()
        said = {"threshold_moved"} if population in ON_CD38 else set()
        assert after.flags(population) == said, population


def test_scenario_g_a_lot_change_that_cannot_be_followed_is_said_on_the_counts_it_spoils() -> None:
    made = make("bcell", SERIES, Conditions(abundance={"CD24": 0.35}))
    assert made.unproven() == {"cd24_tr"}
    assert not made.near("transitional_b", 0.5)
    assert "threshold_unproven" in made.flags("transitional_b")
    for population in ("b_cells", "naive_b", "switched_memory_b"):
        assert made.near(population, 0.06)
        assert made.flags(population) == set()


def two_data_sets(path: Path, first: Mapping[str, str], second: bytes) -> Path:
    """Write a Beckman file: a data set of FCS 2.0 with some keywords, then another file's."""
    keywords = describe(["FS"], 5) | {"$NEXTDATA": str(2048 + 20)} | first
    older = write_fcs(path, bytes(20), keywords, version="2.0").read_bytes()
    path.write_bytes(older + second)
    return path


def test_scenario_h_of_two_data_sets_the_last_is_read_and_a_numeric_spill_is_understood(
    tmp_path: Path,
) -> None:
    keywords = describe(
        ["FS INT LIN", "FL1 INT LOG", "FL2 INT LOG"], 5, SPILLOVER="2,2,3,1,0.18,0.02,1"
    )
    numeric = write_fcs(tmp_path / "numeric.lmd", bytes(60), keywords)
    both = two_data_sets(tmp_path / "both.lmd", {}, numeric.read_bytes())
    for path, sets in ((numeric, 1), (both, 2)):
        header = read_header(path)
        assert (header.data_sets, header.version, len(header.channels)) == (sets, "3.1", 3)
        assert header.spill is not None
        assert header.spill.detectors == ("FL1 INT LOG", "FL2 INT LOG")
        assert header.spill.matrix.tolist() == [[1, 0.18], [0.02, 1]]


@needs_shared
def test_scenario_h_of_a_beckman_file_the_last_data_set_is_read() -> None:
    header = read_header(SHARED / "instruments" / "flowio" / "coulter.lmd")
    assert (header.data_sets, header.version) == (2, "3.0")


@needs_shared
def test_scenario_i_an_identity_spill_is_no_compensation_and_volume_is_microlitres() -> None:
    header = read_header(SHARED / "cell-counts" / "CellCounts5L_AB_01-ND006-01.fcs")
    assert header.spill is None
    assert header.problems == ("$SPILLOVER is an identity matrix: this tube is not compensated.",)
    assert header.acquired_volume_ul == pytest.approx(30.33)


def test_scenario_j_a_coefficient_above_one_and_a_dash_for_a_dot_are_read_as_meant(
    tmp_path: Path,
) -> None:
    made = simulate_tube(
        load_panel("bcell"), RESTING | B_CELLS, Conditions(), np.random.default_rng(1)
    )
    rows = list(made.spill_detectors)
    strong = made.true_spill.copy()
    strong[rows.index("APC-R700-A"), rows.index("APC-H7-A")] = 1.15
    light = made.events.astype(np.float64)
    columns = [made.detectors.index(name) for name in rows]
    dyes = light[:, columns] @ np.linalg.inv(made.stored_spill)
    light[:, columns] = dyes @ strong
    counts = []
    for name, events, spill in (("dot", made.events, made.stored_spill), ("dash", light, strong)):
        detectors = [
            each.replace("Cy5.5", "Cy5-5") if name == "dash" else each for each in made.detectors
        ]
        stained = [
            each.replace("Cy5.5", "Cy5-5") if name == "dash" else each
            for each in made.spill_detectors
        ]
        channels = list(map(FcsChannel, detectors, made.labels))
        path = tmp_path / f"{name}.fcs"
        write_simulated(
            path,
            events.astype(np.float32),
            channels,
            dialect="diva-fcs3.0-be",
            spill=FcsSpill(tuple(stained), spill),
            keywords={"$TIMESTEP": str(made.time_step)},
        )
        header = read_header(path)
        assert refusal(header, load_panel("bcell"), None) is None
        assert header.spill is not None
        assert (header.spill.matrix.max() > 1.1) == (name == "dash")
        match = match_panel(load_panel("bcell"), header.channels)
        strategy = load_strategy("bcell").strategy
        applied = apply_strategy(strategy, match, header, open_events(header))
        counts.append(applied.evaluation.count(applied.compiled.path_of["b_cells"]))
    assert counts[0] > 400
    assert abs(counts[0] - counts[1]) <= 2


def car19(levels: Mapping[float, float]) -> dict[float, dict[str, float]]:
    return {day: {"car19_t": level} for day, level in levels.items()}


def test_scenario_k_a_middle_blq_is_dropped_and_day_28_is_read_off_day_30(tmp_path: Path) -> None:
    dropped = course(tmp_path / "blq", car19(PUBLISHED | {21: 0.0})).parameters
    assert dropped["car19_t", "AUC0-28"]["value"] == pytest.approx(1216.633, abs=5e-4)
    late = {day: level for day, level in PUBLISHED.items() if day <= 21} | {30: 6.0}
    moved = course(tmp_path / "late", car19(late)).parameters
    assert moved["car19_t", "AUC0-28"]["value"] == pytest.approx(1189.155, abs=5e-4)


def test_scenario_k_a_peak_at_the_last_sample_is_said_to_be_no_peak_yet(tmp_path: Path) -> None:
    rising = course(tmp_path / "up", car19({0: 0.0, 4: 2.1, 7: 85.0})).parameters
    tmax, slope = rising["car19_t", "Tmax"], rising["car19_t", "lambda_z"]
    assert (tmax["value"], tmax["low"], tmax["censoring"]) == (7, 4, "right")
    assert np.isnan(tmax["high"])
    assert np.isnan(slope["value"])
    passed = course(tmp_path / "down", car19(PUBLISHED)).parameters["car19_t", "Tmax"]
    assert (passed["value"], passed["censoring"]) == (10, "none")


def b_cells(levels: Mapping[float, float]) -> dict[float, dict[str, float]]:
    return {day: {"b_cells": level} for day, level in levels.items()}


def test_scenario_l_a_recovery_seen_once_and_lost_is_none(tmp_path: Path) -> None:
    seen = {-7: 80.0, 14: 0.0, 56: 14.0, 84: 3.0, 112: 2.0}
    lost = course(tmp_path / "lost", b_cells(seen), panel="bcell")
    judged = lost.recovery["B_10"]
    assert (judged["low"], judged["censoring"], judged["lost"]) == (112, "right", 1)
    assert lost.parameters["b_cells", "recovery_B_10"]["censoring"] == "right"
    kept = course(tmp_path / "kept", b_cells(seen | {84: 13.0}), panel="bcell").recovery["B_10"]
    assert (kept["low"], kept["high"], kept["confirmed"], kept["lost"]) == (14, 56, True, 0)


def test_scenario_m_a_switched_car_reagent_lends_no_background_and_is_said() -> None:
    before = acquired("cart", RESTING, day=-7, car_reagent="idiotype lot 1")
    after = acquired("cart", RESTING | CAR, seed=2, day=10, car_reagent="linker")
    flags = set(quantified([before.counts, after.counts])["D10", "cart", "car19_t"].flags)
    assert {"reagent_changed", "no_background"} <= flags
    same = replace(
        after.counts, identity=replace(after.counts.identity, car_reagent="idiotype lot 1")
    )
    flags = set(quantified([before.counts, same])["D10", "cart", "car19_t"].flags)
    assert not flags & {"reagent_changed", "no_background"}


def test_scenario_m_a_reagent_switched_and_known_from_before_infusion_is_said_too() -> None:
    drawn = acquired("cart", RESTING).counts

    def tube(day: int, reagent: str) -> TubeCounts:
        collected, sha = INFUSED + timedelta(days=day), f"{day}".rjust(64, "0")
        identity = replace(
            drawn.identity, collected=collected, tube_sha256=sha, car_reagent=reagent
        )
        return replace(drawn, identity=identity)

    told = with_series_flags(
        [tube(-7, "idiotype"), tube(-6, "linker"), tube(10, "linker"), tube(14, "idiotype")], {}
    )
    assert ["reagent_changed" in each.counts["car19_t"].flags for each in told] == [
        False,
        True,
        True,
        False,
    ]
    assert not any("reagent_changed" in each.counts["t_cells"].flags for each in told)


@pytest.mark.parametrize(
    ("drug", "population", "flag"),
    [
        ("rituximab", "b_cells_cd20", "cd20_masked_by_drug"),
        ("daratumumab", "plasma_cells", "cd38_masked_by_drug"),
    ],
)
def test_scenario_n_an_antibody_that_hides_its_marker_is_said_on_the_counts_it_concerns(
    tmp_path: Path, drug: str, population: str, flag: str
) -> None:
    said = with_drug(tmp_path, drug, "2025-12-01")
    assert flag in said[population].flags
    masked = {"cd20_masked_by_drug", "cd38_masked_by_drug"}
    assert not masked & set(said["leukocytes"].flags)
    assert {flag} == masked & {each for quantity in said.values() for each in quantity.flags}


def test_scenario_o_immunoglobulin_is_said_on_the_stains_it_disturbs(tmp_path: Path) -> None:
    said = with_drug(tmp_path, "IVIG", "2026-01-25")
    assert "immunoglobulin_given" in said["naive_igm_igd_b"].flags
    assert "immunoglobulin_given" not in said["b_cells"].flags
    earlier = with_drug(tmp_path, "IVIG", "2025-11-25")
    assert "immunoglobulin_given" not in earlier["naive_igm_igd_b"].flags


def with_drug(folder: Path, drug: str, start: str) -> Mapping[str, Quantity]:
    """Quantify one tube of D28 of a patient who had a drug, by population."""
    (folder / "drugs.csv").write_text(
        f"patient,drug,start,stop\nP01,{drug},{start},{start}\n", encoding="utf-8"
    )
    made = acquired("bcell", RESTING | B_CELLS)
    found = quantified(with_series_flags([made.counts], read_drugs(folder / "drugs.csv")[0]))
    return {population: quantity for (_, _, population), quantity in found.items()}


def test_scenario_p_cells_carried_over_from_the_tube_before_are_said() -> None:
    clean = make("cart", RESTING, Conditions(events_per_second=500.0), day=84)
    carried = make(
        "cart",
        RESTING,
        Conditions(events_per_second=500.0, carry_over={"t_cd8_em_car19": 60.0}),
        day=84,
    )
    assert "carry_over_suspected" in carried.counts.counts["car19_t"].flags
    assert "carry_over_suspected" not in clean.counts.counts["car19_t"].flags
    assert "carry_over_suspected" not in carried.counts.counts["t_cells"].flags


def test_scenario_s_more_double_positive_cells_than_doublets_explain_are_said() -> None:
    plain = make(
        "cart",
        RESTING | {kind: 3 * n for kind, n in CAR.items()},
        Conditions(doublet_fraction=0.02),
    )
    both = make("cart", RESTING | CAR | {"t_cd8_em_both": 150.0}, Conditions(doublet_fraction=0.02))
    assert "car_double_positive_excess" not in plain.counts.counts["car_double_positive"].flags
    assert "car_double_positive_excess" in both.counts.counts["car_double_positive"].flags


def test_scenario_q_a_baseline_below_normal_does_not_make_recovery_early(tmp_path: Path) -> None:
    """Half and all of a baseline of 8 cells/µL are reached long before what is normal is."""
    low = {-7: 8.0, 14: 0.0, 56: 4.5, 84: 6.0, 112: 40.0, 140: 60.0}
    found = course(tmp_path / "s", b_cells(low), panel="bcell")
    intervals = {name: (row["low"], row["high"]) for name, row in found.recovery.items()}
    assert intervals["B_ratio"] == (14, 56)
    assert intervals["B_10"] == (84, 112)
    normal = found.parameters["b_cells", "recovery_B_LLN"]
    assert (normal["low"], normal["censoring"]) == (140, "right")
    assert found.parameters["b_cells", "baseline_ratio_last"]["value"] == pytest.approx(7.5)


@pytest.mark.parametrize(("first", "second"), [("car19", "carbcma"), ("carbcma", "car19")])
def test_scenario_r_each_product_has_the_clock_of_its_own_infusion(
    tmp_path: Path, first: str, second: str
) -> None:
    later = INFUSED + timedelta(hours=24)
    patients = (
        f"patient,infused,infused_{first},infused_{second}\n"
        f"P01,{INFUSED.isoformat()},{INFUSED.isoformat()},{later.isoformat()}\n"
    )
    levels = {day: {"car19_t": level, "carbcma_t": level} for day, level in PUBLISHED.items()}
    found = course(tmp_path / "s", levels, patients=patients)
    assert sorted(set(found.kinetics["day"])) == sorted(PUBLISHED)

    def value(product: str, name: str) -> float:
        return float(found.parameters[f"{product}_t", name]["value"])

    assert (value(first, "Tmax"), value(second, "Tmax")) == (10, 9)
    assert (value(first, "Tlast"), value(second, "Tlast")) == (56, 55)
    assert value(first, "AUC0-28") == pytest.approx(1188.396, abs=5e-4)
    below = [level == 0 for level in PUBLISHED.values()]
    own_clock = nca([day - 1 for day in PUBLISHED][1:], list(PUBLISHED.values())[1:], below[1:])
    assert value(second, "AUC0-28") == pytest.approx(own_clock["AUC0-28"])
    assert value(second, "AUC0-28") != pytest.approx(value(first, "AUC0-28"), rel=1e-3)


def test_scenario_t_a_tampered_strategy_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "strategies" / "bcell" / "2.0.0"
    own.mkdir(parents=True)
    shipped = Path(__file__).parents[1] / "gating" / "strategies"
    text = (shipped / "bcell" / "2.0.0" / "strategy.yaml").read_text(encoding="utf-8")
    (own / "strategy.yaml").write_text(text.replace("value: 1100", "value: 1101"), encoding="utf-8")
    (tmp_path / "strategies" / "LOCK").write_text(
        (shipped / "LOCK").read_text(encoding="ascii"), encoding="ascii"
    )
    with pytest.raises(StrategyFault, match="was changed after its release"):
        load_strategy("bcell@2.0.0", tmp_path / "strategies")


@pytest.mark.parametrize("named", ["first", "second"])
def test_scenario_u_a_name_in_either_data_set_reaches_no_result(tmp_path: Path, named: str) -> None:
    study = make_study(tmp_path / "s", [f"a.lmd,P01,{DRAWN},bcell"])
    personal = {"$OP": PERSON, "$SRC": PERSON, "PATIENT ID": PERSON, "SAMPLE ID": PERSON}
    words = personal if named == "second" else {}
    tube = write_tube(tmp_path / "second.fcs", keywords=words).read_bytes()
    assert (PERSON.encode() in tube) == (named == "second")
    two_data_sets(study.inbox / "a.lmd", personal if named == "first" else {}, tube)
    take_in(study)
    with study.store() as store:
        (taken,) = taken_in(store)
    assert count_tube(counting_inputs(read_snapshot(study)), taken.identity.tube_sha256).counted
    written = [path for path in study.results.rglob("*") if path.is_file()]
    assert len(written) >= 6
    assert [
        path
        for path in (*written, study.folder / "reconflow.db")
        if PERSON.encode() in path.read_bytes()
    ] == []


def test_every_scenario_has_its_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert sorted(set(re.findall(r"def test_scenario_([a-u])_", text))) == list(
        "abcdefghijklmnopqrstu"
    )
