"""An instrument's numbers are measured on its own tubes, and none is invented."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gating.strategy.axis_map import AxisMap
from gating.strategy.catalogue import load_strategy
from gating.strategy.model import Strategy
from gating.thresholds.apply import apply_strategy
from gating.thresholds.measure import ThresholdMeasurement
from gating.thresholds.valley import histogram
from panels.catalogue import load_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube, true_counts
from tasks.calibrate.effect import Effects
from tasks.calibrate.evidence import evidence_page
from tasks.calibrate.half_sample_mode import half_sample_mode, mode_on_log
from tasks.calibrate.instrument_calibration import Heading, Measured, measure_calibration
from tasks.calibrate.landmark_estimates import LandmarkEstimate, estimate
from tasks.calibrate.threshold_sources import (
    SeenTube,
    fmo_source,
    landmark_source,
    negative_source,
    valley_source,
)
from tasks.calibrate.tube import CalibrationTube, Role, open_tube
from tasks.publish.calibration_page import times
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tests.other_instrument import OtherInstrument, other_instrument, rewrite_tube, write_panel

BLOOD = {
    "granulocyte": 14_000.0,
    "monocyte": 2_400.0,
    "t_cd4_naive": 1_800.0,
    "t_cd4_cm": 1_800.0,
    "t_cd8_em": 1_500.0,
    "t_cd8_naive": 1_300.0,
    "nk": 1_200.0,
}
B_CELLS = {
    "naive_mature_b": 900.0,
    "transitional_b": 250.0,
    "unswitched_memory_b": 150.0,
    "switched_memory_b": 250.0,
    "dn1_b": 100.0,
    "plasmablast": 90.0,
    "plasma_cell_cd19pos": 80.0,
}
CAR = {"t_cd8_em_car19": 500.0, "t_cd4_cm_carbcma": 300.0}
GOOD = Conditions()
HEADING = Heading("five", "1.0.0", "another instrument", ())
POPULATIONS = {
    "bcell": ("b_cells", "naive_b", "naive_igm_igd_b", "transitional_b", "plasma_cells"),
    "cart": ("t_cells", "cd8_t", "car19_t", "carbcma_t"),
}


def write_simulated(
    path: Path, panel: str, blood: Mapping[str, float], seed: int, conditions: Conditions
) -> dict[str, int]:
    """Write a simulated tube as a cytometer would; gives its true counts."""
    rng = np.random.default_rng(seed)
    made = simulate_tube(load_panel(panel), blood, conditions, rng)
    channels = [
        FcsChannel(name, label) for name, label in zip(made.detectors, made.labels, strict=True)
    ]
    write_fcs(
        path,
        made.events,
        channels,
        dialect="fcs3.1-le",
        spill=FcsSpill(tuple(made.spill_detectors), made.stored_spill),
        keywords={"$CYT": "BD FACSLyric", "$TIMESTEP": f"{made.time_step:g}"},
    )
    return {name: count.intact for name, count in true_counts(made.truth).items()}


def tubes_of(
    folder: Path,
    panel: str,
    bloods: Sequence[Mapping[str, float]],
    instrument: OtherInstrument,
    *,
    role: Role = "baseline",
    first: int = 0,
    conditions: Conditions = GOOD,
) -> list[tuple[CalibrationTube, dict[str, int]]]:
    """Simulate tubes and rewrite them as another instrument's; gives them with their counts."""
    write_panel(folder / "panels", panel, instrument)
    definition = load_panel(panel, folder / "panels")
    made = []
    for number, blood in enumerate(bloods, first):
        truth = write_simulated(folder / "plain.fcs", panel, blood, 100 + number, conditions)
        path = folder / f"{panel}_{number}.fcs"
        rewrite_tube(folder / "plain.fcs", path, panel, instrument)
        made.append((open_tube(path, definition, name=path.name, role=role), truth))
    return made


def varied(blood: Mapping[str, float], number: int) -> dict[str, float]:
    """Let patients differ: each kind of cell by a factor of its own."""
    rng = np.random.default_rng(number)
    return {kind: cells * float(rng.lognormal(0, 0.25)) for kind, cells in blood.items()}


@pytest.fixture(scope="module", params=["bcell", "cart"])
def calibrated_panel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, OtherInstrument, Measured, Path]:
    panel = request.param
    folder = tmp_path_factory.mktemp(panel)
    instrument = other_instrument(3)
    bloods = [varied(BLOOD | B_CELLS, number) for number in range(5)]
    tubes = [tube for tube, _ in tubes_of(folder, panel, bloods, instrument)]
    return panel, instrument, measure_calibration(strategy_of(panel), HEADING, tubes), folder


def strategy_of(panel: str) -> Strategy:
    return load_strategy({"bcell": "bcell@3.0.0", "cart": "cart@4.0.0"}[panel]).strategy


Calibrated = tuple[str, OtherInstrument, Measured, Path]


def test_the_gain_of_every_detector_is_found(calibrated_panel: Calibrated) -> None:
    panel, instrument, measured, _ = calibrated_panel
    assert measured.alignment.settled
    assert measured.calibration.unmeasured == {}
    for proposal in measured.proposals:
        gain = instrument.gains[panel, proposal.marker]
        assert proposal.value is not None
        # The place of the CAR borders hangs on the tails of negative cells: less is known of it.
        within = 0.30 if proposal.threshold.startswith("car") else 0.16
        assert proposal.value == pytest.approx(proposal.declared * gain, rel=within), proposal
    for (name, axis), found in measured.alignment.landmarks.items():
        if axis in instrument.scatter and found.value is not None:
            drawn = measured.drawn.landmarks[name].at[axis]
            # Side scatter of granulocytes is cut off at the end of the range.
            assert found.value == pytest.approx(drawn * instrument.scatter[axis], rel=0.12)


def test_other_tubes_of_the_instrument_are_counted_right(calibrated_panel: Calibrated) -> None:
    panel, instrument, measured, folder = calibrated_panel
    blood = BLOOD | B_CELLS | (CAR if panel == "cart" else {})
    others = tubes_of(
        folder, panel, [varied(blood, 50), varied(blood, 51)], instrument, role="other", first=50
    )
    ratios: dict[str, list[float]] = {name: [] for name in POPULATIONS[panel]}
    for tube, truth in others:
        counts = counted(measured.strategy, tube)
        for name in POPULATIONS[panel]:
            ratios[name].append(counts[name] / truth[name])
    for name, found in ratios.items():
        within = 0.15 if name.startswith("car") else 0.10
        assert np.median(found) == pytest.approx(1, abs=within), (name, found)


def test_a_tube_without_the_cells_stays_empty(calibrated_panel: Calibrated) -> None:
    panel, instrument, measured, folder = calibrated_panel
    ((tube, truth),) = tubes_of(folder, panel, [BLOOD], instrument, role="other", first=70)
    counts = counted(measured.strategy, tube)
    absent = [name for name in POPULATIONS[panel] if truth.get(name, 0) == 0]
    assert absent
    for name in absent:
        assert counts[name] <= 8, name


def counted(strategy: Strategy, tube: CalibrationTube) -> dict[str, int]:
    applied = apply_strategy(strategy, tube.match, tube.header, tube.events, rows=tube.rows)
    return {
        each.id: applied.evaluation.count(applied.compiled.path_of[each.gate])
        for each in strategy.populations
    }


def test_numbers_of_absent_cells_are_not_invented(tmp_path: Path) -> None:
    instrument = other_instrument(3)
    bloods = [varied(BLOOD, number) for number in range(4)]
    tubes = [tube for tube, _ in tubes_of(tmp_path, "bcell", bloods, instrument)]
    measured = measure_calibration(strategy_of("bcell"), HEADING, tubes)
    # Without B cells nothing tells where memory begins, nor where plasmablasts' CD27 does.
    assert {"cd27", "cd27_hi"} <= set(measured.calibration.unmeasured)
    assert not {"cd27", "cd27_hi"} & set(measured.calibration.thresholds)
    for landmark in ("b_cells", "naive_b_cells", "memory_b_cells", "plasma_cells"):
        assert landmark not in measured.calibration.landmarks
    for proposal in measured.proposals:
        assert proposal.source != "landmark" or proposal.marker not in {
            "CD19",
            "CD20",
            "IgD",
            "IgM",
        }


def test_the_mode_is_where_values_are_densest() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(5, 0.3, 3000), rng.uniform(0, 40, 2000)])
    assert half_sample_mode(values) == pytest.approx(5, abs=0.15)
    assert half_sample_mode(np.array([7.0])) == 7.0
    with pytest.raises(ValueError, match="no value"):
        half_sample_mode(np.empty(0))


def test_the_mode_goes_with_the_gain() -> None:
    values = np.random.default_rng(1).lognormal(8, 0.4, 2000)
    assert mode_on_log(values * 2.5) == pytest.approx(2.5 * mode_on_log(values))
    assert mode_on_log(np.append(values, [-5.0, 0.0])) == pytest.approx(mode_on_log(values))


@pytest.mark.parametrize(
    ("tubes", "said"),
    [
        (
            [np.full(40, 900.0), np.full(50, 900.0)],
            "90 cells of t_cells in 2 tubes; 100 are needed",
        ),
        ([np.full(200, at) for at in (100.0, 1000.0, 10_000.0, 300.0)], "4 tubes differ by"),
        (
            [np.full(200, 262_143.0)] * 3,
            "100 % of the cells of t_cells lie at the end of the detector's range",
        ),
        ([np.full(200, -5.0)] * 3, "0 cells of t_cells in 0 tubes"),
    ],
)
def test_a_landmark_that_cannot_be_seen_has_no_place(tubes: list[np.ndarray], said: str) -> None:
    found = estimate(tubes, "t_cells")
    assert found.value is None
    assert said in found.fault


def test_a_landmark_has_an_interval_that_shrinks_with_more_tubes() -> None:
    rng = np.random.default_rng(2)

    def width(number: int) -> float:
        tubes = [rng.lognormal(9 + rng.normal(0, 0.1), 0.2, 500) for _ in range(number)]
        found = estimate(tubes, "t_cells")
        assert found.value is not None
        assert found.low <= found.value <= found.high
        return float(np.log(found.high / found.low))

    assert np.mean([width(40) for _ in range(5)]) < 0.6 * np.mean([width(5) for _ in range(5)])


def seen(measurement: ThresholdMeasurement, *, left_out: str = "") -> SeenTube:
    """Make a tube that shows this of the threshold cd19."""

    class Shown:
        measurements: Mapping[str, Any] = {"cd19": measurement}

    class Tube:
        pass

    tube = Tube()
    tube.left_out = left_out  # type: ignore[attr-defined]
    return SeenTube(tube, Shown())  # type: ignore[arg-type]


def cells(low: float, high: float, *, positive: int = 2000) -> ThresholdMeasurement:
    rng = np.random.default_rng(5)
    values = np.concatenate(
        [rng.normal(low, 100, 4000), rng.lognormal(np.log(high), 0.3, positive)]
    )
    return ThresholdMeasurement(tuple(histogram(values).tolist()), None, None)


def cd19() -> Any:
    return strategy_of("bcell").thresholds["cd19"]


def test_valleys_of_the_tubes_are_summed_up() -> None:
    found = valley_source("cd19", cd19(), [seen(cells(0, 9000))] * 4)
    assert found.value is not None
    assert 400 < found.value < 5000
    assert found.tubes == 4


def test_there_is_no_valley_without_both_modes() -> None:
    found = valley_source("cd19", cd19(), [seen(cells(0, 9000, positive=0))] * 4)
    assert found.value is None
    assert found.fault


def test_an_fmo_control_tells_where_cells_without_the_stain_end() -> None:
    control = seen(cells(0, 9000, positive=0), left_out="CD19")
    found = fmo_source("cd19", cd19(), [control, seen(cells(0, 9000))])
    assert found.value == pytest.approx(330, rel=0.1)
    none = fmo_source("cd19", cd19(), [seen(cells(0, 9000))])
    assert none.value is None
    assert "no FMO control of CD19" in none.fault


@pytest.mark.parametrize("value", [0.0, -120.0])
def test_a_landmark_moves_no_value_of_0_or_below(value: float) -> None:
    found = LandmarkEstimate(9000.0, 8900.0, 9100.0, 4000, 5, 0.05)
    moved = AxisMap((4500.0,), (9000.0,))
    declared = cd19().model_copy(update={"value": value})
    none = landmark_source(declared, moved, [found])
    assert none.value is None
    assert "0 or below" in none.fault
    assert landmark_source(cd19(), moved, [found]).value == pytest.approx(2 * cd19().value)
    assert times(700.0, value) == ""
    assert times(700.0, 350.0) == "2.00"


def test_what_would_tell_names_only_what_the_strategy_has(calibrated_panel: Calibrated) -> None:
    panel, _, measured, _ = calibrated_panel
    name = {"bcell": "cd27", "cart": "carbcma"}[panel]
    unmeasured = tuple(
        replace(each, value=None, source="") if each.threshold == name else each
        for each in measured.proposals
    )
    page = evidence_page(
        replace(measured, proposals=unmeasured), Effects("what counts now", ()), ["a note"]
    )
    told = re.search(r"What would tell: ([^<]*)<", page)
    assert told is not None
    if panel == "bcell":
        assert "that hold switched_memory_b" in told[1]
    else:
        assert "healthy donors" not in told[1]
        assert "500 cells of" in told[1]


def test_negative_cells_that_were_not_seen_give_nothing() -> None:
    assert negative_source("cd19", cd19(), [seen(cells(0, 9000))]).value is None


def test_more_negative_cells_beyond_a_border_raise_it(tmp_path: Path) -> None:
    """Before the infusion no T cell carries a CAR: a sticky reagent raises the border."""
    instrument = other_instrument(4, low=1.0, high=1.0, scatter={}, panels=("cart",))
    bloods = [varied(BLOOD, number) for number in range(4)]
    plain = [tube for tube, _ in tubes_of(tmp_path, "cart", bloods, instrument)]
    sticky = [with_sticky_cells(tube, "CARBCMA", share=0.01, at=700.0) for tube in plain]
    values = {}
    for name, tubes in (("plain", plain), ("sticky", sticky)):
        measured = measure_calibration(strategy_of("cart"), HEADING, tubes)
        proposal = next(each for each in measured.proposals if each.threshold == "carbcma")
        values[name] = proposal.value
        if name == "sticky":
            assert proposal.source == "tail"
    assert values["plain"] is not None
    assert values["sticky"] is not None
    assert values["sticky"] > 1.15 * values["plain"]
    after_infusion = [replace(tube, role="other") for tube in sticky]
    measured = measure_calibration(strategy_of("cart"), HEADING, after_infusion)
    proposal = next(each for each in measured.proposals if each.threshold == "carbcma")
    assert proposal.source == "negative"


def with_sticky_cells(
    tube: CalibrationTube, marker: str, *, share: float, at: float
) -> CalibrationTube:
    """Give a share of all events a dim signal of one marker."""
    index = tube.match.channel[marker]
    maximum = tube.header.channels[index].maximum
    lit = np.random.default_rng(8).random(tube.events.count) < share

    class Sticky:
        count = tube.events.count

        def column(self, channel: int, rows: Any = None) -> np.ndarray:
            values = np.array(tube.events.column(channel, rows), dtype=np.float64)
            chosen = lit if rows is None else lit[rows]
            if channel == index:
                values[chosen] += at * maximum / 262144
            return values

        def columns(self, indices: Sequence[int], rows: Any = None) -> np.ndarray:
            return np.column_stack([self.column(each, rows) for each in indices])

    return replace(tube, events=Sticky())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def with_controls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[CalibrationTube]]:
    """Make three baselines and a control that lacks the stain of CD19."""
    folder = tmp_path_factory.mktemp("controls")
    instrument = other_instrument(3)
    bloods = [varied(BLOOD | B_CELLS, number) for number in range(3)]
    tubes = [tube for tube, _ in tubes_of(folder, "bcell", bloods, instrument)]
    unstained = Conditions(abundance={"CD19": 0.0})
    made = tubes_of(
        folder, "bcell", bloods[:1], instrument, role="FMO control", first=40, conditions=unstained
    )
    return folder, [*tubes, replace(made[0][0], left_out="CD19")]


def test_a_control_below_the_reference_cells_moves_nothing(
    with_controls: tuple[Path, list[CalibrationTube]],
) -> None:
    measured = measure_calibration(strategy_of("bcell"), HEADING, with_controls[1])
    cd19 = next(each for each in measured.proposals if each.threshold == "cd19")
    sources = {each.source: each.value for each in cd19.sources}
    assert cd19.source == "landmark"
    assert sources["fmo"] is not None
    assert cd19.value is not None
    assert sources["fmo"] < cd19.value
    assert len(measured.tubes) == 3


def test_no_boundary_lies_among_cells_that_lack_the_stain(
    with_controls: tuple[Path, list[CalibrationTube]],
) -> None:
    *tubes, control = with_controls[1]
    sticky = with_sticky_cells(control, "CD19", share=0.02, at=2500.0)
    measured = measure_calibration(strategy_of("bcell"), HEADING, [*tubes, sticky])
    cd19 = next(each for each in measured.proposals if each.threshold == "cd19")
    landmark = next(each.value for each in cd19.sources if each.source == "landmark")
    assert cd19.source == "fmo"
    assert cd19.value is not None
    assert landmark is not None
    assert cd19.value > landmark


def test_a_border_that_nobody_measured_is_not_raised_either(tmp_path: Path) -> None:
    """Few T cells in each tube tell no CAR border, however many lie beyond the strategy's own."""
    instrument = other_instrument(4, low=2.5, high=2.5, scatter={}, panels=("cart",))
    few = {kind: cells * 0.05 for kind, cells in BLOOD.items()}
    tubes = [tube for tube, _ in tubes_of(tmp_path, "cart", [few] * 4, instrument)]
    measured = measure_calibration(strategy_of("cart"), HEADING, tubes)
    assert {"car19", "carbcma"} <= set(measured.calibration.unmeasured)
    counts = [each.counts for each in measured.final]
    assert sum(each["carbcma_t"] for each in counts) > 0.01 * sum(
        each["t_cells"] for each in counts
    )
