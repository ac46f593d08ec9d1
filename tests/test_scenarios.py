"""The acceptance scenarios of SCIENCE section 8, each by its letter."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gating.fcs.header import read_header
from gating.fcs.spillover import Spill
from gating.strategy.catalogue import load_strategy
from gating.thresholds.apply import Applied, apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import TrueCount, simulate_tube, true_counts
from panels.text.errors import StrategyFault
from tasks.counting.background import baseline_backgrounds
from tasks.counting.counts import TubeCounts
from tasks.counting.quantity import Quantity, quantify_visit
from tasks.counting.visit import group_by_visit
from tasks.counting.volume import CountMethod
from tasks.intake.take_in import take_in
from tasks.kinetics.recovery import Definition, VisitCount, recovery
from tasks.results.series_flags import with_series_flags
from tasks.sheets.drugs import read_drugs
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.tubes.count_tube import count_tube, counting_inputs
from tasks.tubes.population_counts import population_counts
from tasks.tubes.tube_quality import TubeJudgement, judge_tube
from tasks.vocabulary.moments import elapsed_days
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.gating.test_events import describe, write_fcs
from tests.gating.tubes import ArrayTube
from tests.shared_data import SHARED, needs_shared
from tests.tasks.nca_values import nca
from tests.tasks.study_folder import DRAWN, make_study, write_tube

COUNTING: dict[str, tuple[CountMethod, ...]] = {
    "tbnk": ("bead",),
    "bcell": ("chain", "volumetric", "dual"),
    "cart": ("volumetric", "dual"),
}
INFUSED = datetime(2026, 1, 10, 11, tzinfo=UTC)
RESTING = {
    "granulocyte": 18_000.0,
    "monocyte": 2_000.0,
    "t_cd4_cm": 4_000.0,
    "t_cd4_em": 2_000.0,
    "t_cd8_em": 4_000.0,
    "nk": 2_500.0,
}
B_CELLS = {"naive_mature_b": 450.0, "transitional_b": 90.0, "switched_memory_b": 60.0}
CAR = {
    "t_cd8_em_car19": 500.0,
    "t_cd4_cm_car19": 300.0,
    "t_cd8_em_carbcma": 300.0,
    "t_cd4_cm_carbcma": 200.0,
}
PERSON = "DOE^JANE"
B_10 = Definition("B_10", "per_ul", 10.0, 10.0)


@dataclass(frozen=True)
class Made:
    """One simulated tube, gated by the shipped strategy: its counts as the tables get them, and the
    truth."""

    counts: TubeCounts
    truth: Mapping[str, TrueCount]
    applied: Applied
    judged: TubeJudgement

    def near(self, population: str, within: float = 0.10) -> bool:
        """Tell whether a count agrees with the truth."""
        true = self.truth[population].intact
        return abs(self.counts.counts[population].events - true) <= within * true


def make(
    panel: str,
    cells: Mapping[str, float],
    conditions: Conditions | None = None,
    *,
    seed: int = 1,
    day: float = 28.0,
    **identity: object,
) -> Made:
    """Simulate and gate one tube."""
    made = simulate_tube(
        load_panel(panel), cells, conditions or Conditions(), np.random.default_rng(seed)
    )
    spill = Spill(made.spill_detectors, made.stored_spill)
    tube = ArrayTube(made.events.astype(np.float64), made.detectors, made.labels, spill)
    timed = ArrayTube(
        tube.events * np.where(np.array(made.detectors) == "Time", made.time_step, 1.0),
        made.detectors,
        made.labels,
        spill,
    )
    strategy = load_strategy(panel).strategy
    applied = apply_strategy(strategy, match_panel(load_panel(panel), tube.channels), tube, tube)
    negatives = {
        name: reading.negative for name, reading in applied.measurements.items() if reading.negative
    }
    judged = judge_tube(applied.compiled, applied.evaluation, timed, timed)
    counts = {
        each.population: replace(
            each, flags=(*each.flags, *map(str, judged.of_population.get(each.population, ())))
        )
        for each in population_counts(applied.compiled, applied.evaluation, tube, tube, negatives)
    }
    beads = (
        applied.evaluation.count(applied.compiled.path_of[strategy.beads])
        if strategy.beads
        else None
    )
    who = TubeIdentity(
        f"{panel}{seed}{day}".ljust(64, "0"),
        "t.fcs",
        "P01",
        INFUSED + timedelta(days=day),
        panel,
        f"D{day:.0f}",
    )
    flags = tuple(map(str, judged.flags))
    gated = TubeCounts(
        replace(who, **identity), strategy.name, "", counts, beads, tube.count, flags
    )
    return Made(gated, true_counts(made.truth), applied, judged)


def quantified(tubes: Sequence[TubeCounts]) -> dict[tuple[str, str, str], Quantity]:
    """Quantify tubes of one patient; gives (visit, panel, population) → quantity."""
    rules = {
        load_strategy(p).strategy.name: {r.id: r for r in load_strategy(p).strategy.populations}
        for p in ("bcell", "cart", "tbnk")
    }
    known = baseline_backgrounds(tubes, rules, infused=INFUSED)
    found = {}
    for visit in group_by_visit(tubes).values():
        for tube, quantity in quantify_visit(visit, rules, counting=COUNTING, backgrounds=known):
            found[tube.identity.visit, tube.identity.panel, quantity.count.population] = quantity
    return found


def drift(panel: str, gain: float) -> Conditions:
    return Conditions(gain={stain.detector: gain for stain in load_panel(panel).markers})


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
        made = make(
            "bcell", cells, conditions, seed=number, day=day, acquired_volume_ul=20.0, dilution=1.0
        )
        assert made.truth["b_cells"].intact == 0
        b_cells = quantified([made.counts])[made.counts.identity.visit, "bcell", "b_cells"]
        assert b_cells.code == "ND", (number, b_cells)
        visits.append(
            VisitCount(day, b_cells.code, b_cells.per_ul, b_cells.lod_per_ul, b_cells.lloq_per_ul)
        )
    before = VisitCount(-7.0, "Q", 80.0, 0.4, 1.0)
    course = recovery([before, *visits], B_10)
    assert course.depletion is not None
    assert course.recovery is None or course.recovery.censoring == "right"


def test_scenario_b_b_cells_whose_cd19_is_masked_are_counted_by_cd20() -> None:
    made = make("bcell", RESTING | B_CELLS, Conditions(cd19_masked_fraction=0.6))
    true = made.truth["b_cells_cd20"].intact
    assert made.counts.counts["b_cells"].events < 0.6 * true
    assert made.near("b_cells_cd20")
    assert "cd19_low_b_cells" in made.counts.counts["b_cells"].flags


def test_scenario_c_cd19_taken_over_by_car_t_cells_makes_no_b_cells() -> None:
    made = make("bcell", RESTING | CAR, Conditions(trogocytosis_fraction=0.10), day=7)
    assert made.truth["b_cells"].intact == 0
    assert made.counts.counts["b_cells"].events < 20
    reached, asked = made.counts.counts["b_cells"].negatives or (0, 0)
    assert asked > 5_000
    assert reached < 20


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
    assert quantified([made.counts])["D7", "bcell", "b_cells"].code == "NE"


def test_scenario_f_beads_at_the_margin_of_every_channel_are_counted_all_the_same() -> None:
    made = make(
        "tbnk", RESTING | B_CELLS, Conditions(beads=3_000.0, trigger=("PerCP-Cy5.5-A", 300.0))
    )
    true = made.truth["kind:bead"].intact
    assert made.counts.beads == pytest.approx(true, rel=0.03)


def test_scenario_g_a_lot_change_in_mid_series_is_followed_or_said() -> None:
    lot = Conditions(
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
    made = make("bcell", RESTING | {kind: 4 * n for kind, n in B_CELLS.items()}, lot)
    for population in ("b_cells", "naive_b", "transitional_b", "switched_memory_b"):
        assert made.near(population) or made.counts.counts[population].flags, population


@needs_shared
def test_scenario_h_of_a_beckman_file_the_last_data_set_is_read_and_a_numeric_spill_is_understood(
    tmp_path: Path,
) -> None:
    header = read_header(SHARED / "instruments" / "flowio" / "coulter.lmd")
    assert (header.data_sets, header.version) == (2, "3.0")
    keywords = describe(
        ["FS INT LIN", "FL1 INT LOG", "FL2 INT LOG"], 5, SPILLOVER="2,2,3,1,0.18,0.02,1"
    )
    spill = read_header(write_fcs(tmp_path / "numeric.lmd", bytes(60), keywords)).spill
    assert spill is not None
    assert spill.detectors == ("FL1 INT LOG", "FL2 INT LOG")
    assert spill.matrix.tolist() == [[1, 0.18], [0.02, 1]]


@needs_shared
def test_scenario_i_an_identity_spill_is_no_compensation_and_volume_is_microlitres() -> None:
    header = read_header(SHARED / "cell-counts" / "CellCounts5L_AB_01-ND006-01.fcs")
    assert header.spill is None
    assert header.problems == ("$SPILLOVER is an identity matrix: this tube is not compensated.",)
    assert header.acquired_volume_ul == pytest.approx(30.33)


def test_scenario_j_a_coefficient_above_one_and_a_dash_for_a_dot_are_read_as_meant() -> None:
    made = simulate_tube(
        load_panel("bcell"), RESTING | B_CELLS, Conditions(), np.random.default_rng(1)
    )
    rows = list(made.spill_detectors)
    spill = made.true_spill.copy()
    light = made.events.astype(np.float64)
    columns = [made.detectors.index(name) for name in rows]
    dyes = light[:, columns] @ np.linalg.inv(made.stored_spill)
    spill[rows.index("APC-R700-A"), rows.index("APC-H7-A")] = 1.15
    light[:, columns] = dyes @ spill
    names = tuple(name.replace("PerCP-Cy5.5-A", "PerCP-Cy5-5-A") for name in made.detectors)
    dashed = tuple(name.replace("PerCP-Cy5.5-A", "PerCP-Cy5-5-A") for name in rows)
    before = ArrayTube(
        made.events.astype(np.float64),
        made.detectors,
        made.labels,
        Spill(tuple(rows), made.stored_spill),
    )
    after = ArrayTube(light, names, made.labels, Spill(dashed, spill))
    counts = []
    for tube in (before, after):
        match = match_panel(load_panel("bcell"), tube.channels)
        assert match.fits
        applied = apply_strategy(load_strategy("bcell").strategy, match, tube, tube)
        counts.append(applied.evaluation.count(applied.compiled.path_of["b_cells"]))
    assert counts[0] == counts[1] > 400


def test_scenario_k_a_middle_blq_is_dropped_tmax_at_the_end_is_said_and_day_28_is_interpolated() -> (
    None
):
    days, levels = (
        [0.0, 4, 7, 10, 14, 21, 28, 42, 56, 84],
        [0.0, 2.1, 85, 140, 62, 18, 7.5, 2.4, 0.9, 0.0],
    )
    below = [True, *[False] * 8, True]
    assert nca(days, levels, [b or day == 21 for day, b in zip(days, below, strict=True)])[
        "AUC0-28"
    ] == pytest.approx(1216.633, abs=5e-4)
    moved = nca([0.0, 4, 7, 10, 14, 21, 30], [0.0, 2.1, 85, 140, 62, 18, 6], [True, *[False] * 6])
    assert moved["AUC0-28"] == pytest.approx(1189.155, abs=5e-4)
    rising = nca([0.0, 4, 7], [0.0, 2.1, 85], [True, False, False])
    assert (rising["Tmax"], rising["Cmax"]) == (7, 85)
    assert rising["lambda_z"] is None


def test_scenario_l_a_recovery_seen_once_and_lost_is_none() -> None:
    levels = [(-7, 80.0), (14, None), (56, 14.0), (84, 3.0), (112, 2.0)]
    visits = [
        VisitCount(day, "ND" if level is None else "Q", level, 0.05, 0.125) for day, level in levels
    ]
    found = recovery(visits, B_10)
    assert found.recovery is None or found.recovery.censoring == "right"


def test_scenario_m_a_switched_car_reagent_lends_no_background_and_is_said() -> None:
    before = make(
        "cart", RESTING, day=-7, car_reagent="idiotype lot 1", acquired_volume_ul=20.0, dilution=1.0
    )
    after = make(
        "cart",
        RESTING | CAR,
        seed=2,
        day=10,
        car_reagent="linker",
        acquired_volume_ul=20.0,
        dilution=1.0,
    )
    car = quantified([before.counts, after.counts])["D10", "cart", "car19_t"]
    assert {"reagent_changed", "no_background"} <= set(car.flags)


def test_scenario_m_a_reagent_switched_and_known_from_before_infusion_is_said_too() -> None:
    def tube(day: int, reagent: str) -> TubeCounts:
        return make(
            "cart",
            RESTING,
            seed=day + 10,
            day=day,
            car_reagent=reagent,
            acquired_volume_ul=20.0,
            dilution=1.0,
        ).counts

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
    assert flag not in said["leukocytes"].flags


def test_scenario_o_immunoglobulin_is_said_on_the_stains_it_disturbs(tmp_path: Path) -> None:
    said = with_drug(tmp_path, "IVIG", "2026-01-25")
    assert "immunoglobulin_given" in said["naive_igm_igd_b"].flags
    assert "immunoglobulin_given" not in said["b_cells"].flags


def with_drug(folder: Path, drug: str, start: str) -> Mapping[str, Quantity]:
    """Quantify one tube of D28 of a patient who had a drug, by population."""
    (folder / "drugs.csv").write_text(
        f"patient,drug,start,stop\nP01,{drug},{start},{start}\n", encoding="utf-8"
    )
    made = make("bcell", RESTING | B_CELLS, acquired_volume_ul=20.0, dilution=1.0)
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


def test_scenario_q_a_baseline_below_normal_does_not_make_recovery_early() -> None:
    low = [(-7, 8.0), (14, None), (56, 4.5), (84, 6.0), (112, 40.0), (140, 60.0)]
    visits = [
        VisitCount(day, "ND" if level is None else "Q", level, 0.05, 0.125) for day, level in low
    ]
    found = recovery(visits, B_10)
    assert found.recovery is not None
    assert (found.recovery.low, found.recovery.high) == (84, 112)


def test_scenario_r_each_product_has_the_clock_of_its_own_infusion() -> None:
    later = INFUSED + timedelta(hours=24)
    drawn = INFUSED + timedelta(days=11)
    assert elapsed_days(INFUSED, drawn) - elapsed_days(later, drawn) == pytest.approx(1.0)


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


def test_scenario_u_a_name_in_the_first_data_set_reaches_no_result(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [f"a.lmd,P01,{DRAWN},bcell"])
    second = write_tube(tmp_path / "second.fcs").read_bytes()
    keywords = describe(["FS"], 5, OP=PERSON, SRC=PERSON) | {
        "$NEXTDATA": str(2048 + 20),
        "PATIENT ID": PERSON,
    }
    first = write_fcs(tmp_path / "first.fcs", bytes(20), keywords, version="2.0").read_bytes()
    (study.inbox / "a.lmd").write_bytes(first + second)
    take_in(study)
    with study.store() as store:
        (tube,) = taken_in(store)
    assert count_tube(counting_inputs(read_snapshot(study)), tube.identity.tube_sha256).counted
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
