"""What a person set in a tube holds, moves nothing else, and is previewed exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.evaluation.compile import compile_strategy
from gating.evaluation.correction_limits import farthest_move, threshold_limits, vertices_of
from gating.evaluation.corrections import NO_CORRECTIONS, Corrections
from gating.evaluation.engine import Evaluation, evaluate
from gating.evaluation.preview import Preview, moved_gates
from gating.fcs.spillover import Spill
from gating.strategy.catalogue import load_strategy
from gating.thresholds.apply import Applied, apply_strategy
from gating.thresholds.reference_measurements import ReferenceMeasurements
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from tests.gating.tubes import ArrayTube, random_tube

BCELL = load_strategy("bcell@3.0.0").strategy
CELLS = {
    "granulocyte": 3000.0,
    "monocyte": 500.0,
    "t_cd4_cm": 1000.0,
    "t_cd8_em": 800.0,
    "nk": 500.0,
    "naive_mature_b": 400.0,
    "transitional_b": 100.0,
    "switched_memory_b": 200.0,
}


def simulated(gain: float = 1.0) -> ArrayTube:
    conditions = Conditions(gain={stain.detector: gain for stain in load_panel("bcell").markers})
    made = simulate_tube(load_panel("bcell"), CELLS, conditions, np.random.default_rng(5))
    spill = Spill(made.spill_detectors, made.stored_spill)
    return ArrayTube(made.events.astype(np.float64), made.detectors, made.labels, spill)


def applied(tube: ArrayTube, corrections: Corrections = NO_CORRECTIONS, **options) -> Applied:
    match = match_panel(load_panel("bcell"), tube.channels)
    return apply_strategy(BCELL, match, tube, tube, corrections=corrections, **options)


def values(each: Applied) -> dict[str, tuple[float, str]]:
    return {one.threshold: (one.value, one.source) for one in each.compiled.thresholds}


def same_events(one: Evaluation, other: Evaluation) -> bool:
    return one.rows.keys() == other.rows.keys() and all(
        np.array_equal(rows, other.rows[path]) for path, rows in one.rows.items()
    )


def test_a_corrected_threshold_is_not_measured_and_the_others_are_found_as_before() -> None:
    tube = simulated(gain=1.3)
    free = applied(tube)
    assert {source for _, source in values(free).values()} > {"fixed"}
    set_by_hand = applied(tube, Corrections({"cd24_tr": 9000.0}, {}, {"cd24_tr": "by me"}))
    assert values(set_by_hand) == values(free) | {"cd24_tr": (9000.0, "corrected")}
    (line,) = (each for each in set_by_hand.compiled.thresholds if each.threshold == "cd24_tr")
    assert (line.rationale, line.tried) == ("by me", ())


def test_no_reference_tube_is_asked_for_what_a_person_set() -> None:
    tube = simulated(gain=1.3)
    asked: list[bool] = []

    def fetch() -> ReferenceMeasurements:
        asked.append(True)
        return ReferenceMeasurements()

    free = applied(tube, fetch_references=fetch)
    assert asked
    asked.clear()
    by_hand = {name: value for name, (value, _) in values(free).items()}
    again = applied(tube, Corrections(by_hand), fetch_references=fetch)
    assert asked == []
    assert same_events(again.evaluation, free.evaluation)


def test_a_redrawn_polygon_follows_no_threshold_any_more() -> None:
    tube = simulated(gain=1.3)
    gate = next(each for each in BCELL.gates if each.polygon)
    assert gate.polygon is not None
    free = applied(tube)
    outline = vertices_of(free.compiled, gate.polygon)
    again = applied(tube, Corrections({}, {gate.gate: outline}))
    assert same_events(again.evaluation, free.evaluation)
    smaller = tuple((0.9 * x, 0.9 * y) for x, y in outline)
    drawn = applied(tube, Corrections({}, {gate.gate: smaller}))
    redrawn = next(each for each in drawn.compiled.strategy.gates if each.gate == gate.gate)
    assert redrawn.polygon is not None
    assert redrawn.polygon.follows is None
    assert vertices_of(drawn.compiled, redrawn.polygon) == pytest.approx(np.array(smaller))


def test_limits_are_the_declared_ones_in_the_tubes_own_units() -> None:
    tube = simulated()
    compiled = applied(tube).compiled
    for name, threshold in BCELL.thresholds.items():
        low, high = threshold.limits or (threshold.value / 2, threshold.value * 2)
        assert threshold_limits(compiled, name) == pytest.approx((low, high))
    gate = next(each for each in BCELL.gates if each.polygon)
    assert gate.polygon is not None
    outline = vertices_of(compiled, gate.polygon)
    assert farthest_move(compiled, gate.polygon, outline) == 0
    moved = ((outline[0][0] + 26214.4, outline[0][1]), *outline[1:])
    if {gate.polygon.x, gate.polygon.y} <= {"FSC-A", "FSC-H", "SSC-A"}:
        assert farthest_move(compiled, gate.polygon, moved) == pytest.approx(0.1)
    assert farthest_move(compiled, gate.polygon, outline[:-1]) is None


@pytest.mark.parametrize("pin", ["bcell@3.0.0", "cart@3.0.0", "tbnk@3.0.0"])
@given(
    seed=st.integers(0, 2**31),
    share=st.floats(0.1, 1),
    reach=st.sampled_from([0.02, 0.2, 2.0]),
    many=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_a_preview_gives_the_events_of_a_whole_evaluation(
    pin: str, seed: int, share: float, reach: float, many: float
) -> None:
    """Whether it evaluates the events that a boundary passed over (``many`` 1) or gates (0)."""
    strategy = load_strategy(pin).strategy
    tube, match = random_tube(strategy, events=400, seed=seed)
    rng = np.random.default_rng(seed)
    compiled = compile_strategy(strategy, match, tube)
    preview = Preview(compiled, evaluate(compiled.gating, tube, tube), match, tube, tube)
    for _ in range(2):
        moved = Corrections(
            {
                name: each.value * float(np.exp(rng.normal(0, reach)))
                for name, each in strategy.thresholds.items()
                if rng.uniform() < share / 3
            },
            {
                gate.gate: tuple(
                    (x, y)
                    if rng.uniform() < 0.5
                    else (x * float(rng.uniform(0.5, 2)), y * float(rng.uniform(0.5, 2)))
                    for x, y in vertices_of(compiled, gate.polygon)
                )
                for gate in strategy.gates
                if gate.polygon and rng.uniform() < share / 3
            },
        )
        redrawn = moved.redrawn(compiled)
        whole = compile_strategy(redrawn, match, tube, moved.resolved(compiled), compiled.beads)
        expected = evaluate(whole.gating, tube, tube)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("gating.evaluation.preview.MANY", many)
            assert same_events(preview.moved(moved), expected)
            assert preview.counts(moved) == {
                each.id: expected.count(whole.path_of[each.gate]) for each in strategy.populations
            }


def test_only_what_hangs_on_a_moved_boundary_is_evaluated_again() -> None:
    moved = moved_gates(BCELL, Corrections({"cd24_tr": 9000.0}))
    assert {"transitional_b"} <= moved
    assert not moved & {"b_cells", "lymphocytes", "leukocytes"}
    assert moved_gates(BCELL, NO_CORRECTIONS) == set()
    names = {name for gate in BCELL.gates for name in gate.names}
    cd45 = moved_gates(BCELL, Corrections({"cd45": 1.0}))
    assert "transitional_b" in cd45
    assert cd45 <= names
