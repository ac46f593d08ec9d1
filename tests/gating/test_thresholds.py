"""A boundary lies where the evidence puts it, and nowhere else when the population is absent."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.evaluation.resolved import Resolved
from gating.fcs.spillover import Spill
from gating.strategy.catalogue import load_strategy
from gating.strategy.model import Strategy
from gating.strategy.threshold import Anchor, Negative, Stretch, Threshold
from gating.thresholds.apply import apply_strategy
from gating.thresholds.measure import (
    AnchorMeasurement,
    NegativeMeasurement,
    StretchMeasurement,
    ThresholdMeasurement,
    measure,
    measurement_from,
)
from gating.thresholds.reference_measurements import Prior, ReferenceMeasurements, priors_of
from gating.thresholds.resolution import resolve
from gating.thresholds.sensitivity import border_share, thresholds_of
from gating.thresholds.valley import COFACTOR, find_crossing, find_valley, from_scale, histogram
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube, true_counts
from tests.gating.tubes import ArrayTube


def cd19_axis(true_b: int, seed: int, cells: int = 20_000) -> np.ndarray:
    """Draw the CD19 axis of the published demonstration (SCIENCE section 5): negatives, dull cells,
    and B cells at asinh 4.3."""
    rng = np.random.default_rng(seed)
    dull = int(0.07 * cells)
    places = np.concatenate(
        [
            rng.normal(0.30, 0.42, cells - dull),
            rng.normal(1.0, 0.45, dull),
            rng.normal(4.3, 0.32, true_b),
        ]
    )
    return np.sinh(places) * COFACTOR


DECLARED = from_scale(2.6)
CD19 = Threshold(
    marker="CD19",
    value=DECLARED,
    evidence="validation",
    limits=(DECLARED / 4, DECLARED * 4),
    sources=(
        "fixed",
        "gain",
        "control",
        "fmo",
        "baseline",
        "negative",
        "valley",
        "mixture",
        "pooled",
    ),
    seen_in="lymphocytes",
    negative=Negative(gate="t_cells", spread=60.0),
    anchor=Anchor(gate="beads", median=9000.0),
)


def document_of(threshold: Threshold, **change: object) -> dict[str, object]:
    return threshold.model_dump(mode="json") | change


def strategy_with(threshold: Threshold | dict[str, object]) -> Strategy:
    gates = [
        {"gate": name, "parent": "root", "rectangle": {"CD3": {"above": 0}}}
        for name in ("lymphocytes", "t_cells", "beads")
    ]
    gates.append(
        {"gate": "b_cells", "parent": "lymphocytes", "rectangle": {"CD19": {"above": "cd19"}}}
    )
    document = {
        "strategy": "s",
        "version": "1.0.0",
        "title": "t",
        "panel": "bcell",
        "thresholds": {
            "cd19": threshold if isinstance(threshold, dict) else document_of(threshold)
        },
        "gates": gates,
        "populations": [],
    }
    return Strategy.model_validate(document)


def negatives(spread: float, count: int = 5000, seed: int = 3) -> NegativeMeasurement:
    values = np.random.default_rng(seed).normal(0, spread, count)
    return NegativeMeasurement(0.0, spread, tuple(histogram(values).tolist()))


def measurement(
    true_b: int = 0, *, gain: float = 1.0, seed: int = 1, anchors: int = 500, spread: float = 60.0
) -> ThresholdMeasurement:
    counts = tuple(histogram(gain * cd19_axis(true_b, seed)).tolist())
    return ThresholdMeasurement(
        counts, negatives(gain * spread), AnchorMeasurement(anchors, gain * 9000.0)
    )


def settled(
    own: ThresholdMeasurement,
    others: ReferenceMeasurements | None = None,
    *,
    only: tuple[str, ...] = CD19.sources,
) -> Resolved:
    strategy = strategy_with(CD19.model_copy(update={"sources": only}))
    return resolve(strategy, {"cd19": own}, others or ReferenceMeasurements())["cd19"]


def plain_valley(values: np.ndarray) -> float | None:
    """Find the lowest place between the two largest peaks of a kernel density, and ask no question
    (what the field does)."""
    places = np.arcsinh(values / COFACTOR)
    grid = np.linspace(-2, 6, 400)
    density = gaussian_kde(places, "silverman")(grid)
    peaks = [i for i in range(1, 399) if density[i - 1] < density[i] >= density[i + 1]]
    if len(peaks) < 2:
        return None
    low, high = sorted(sorted(peaks, key=lambda i: density[i])[-2:])
    return from_scale(grid[low + int(np.argmin(density[low:high]))])


@pytest.mark.parametrize("true_b", [0, 3, 20])
def test_no_valley_passes_where_the_population_is_absent_or_tiny(true_b: int) -> None:
    for seed in range(50):
        counts = histogram(cd19_axis(true_b, seed))
        for result in (
            find_valley(counts, DECLARED),
            find_crossing(counts, DECLARED) if seed < 5 else None,
        ):
            assert result is None or result.fault()


def test_a_valley_finder_that_tests_nothing_invents_cells_where_there_are_none() -> None:
    tubes = [cd19_axis(0, seed) for seed in range(6)]
    invented = [
        int((values >= valley).sum())
        for values in tubes
        if (valley := plain_valley(values)) is not None
    ]
    assert len(invented) >= 3
    assert np.median(invented) >= 5


@pytest.mark.parametrize("true_b", [300, 1000, 5000])
def test_a_valley_between_two_real_modes_passes_and_parts_them(true_b: int) -> None:
    for seed in range(10):
        values = cd19_axis(true_b, seed)
        valley = find_valley(histogram(values), DECLARED)
        assert valley is not None
        assert not valley.fault()
        assert int((values >= valley.value).sum()) == pytest.approx(true_b, rel=0.02)


def test_a_mixture_of_two_real_modes_crosses_between_them_and_of_one_mode_fails() -> None:
    values = cd19_axis(5000, 1)
    crossing = find_crossing(histogram(values), DECLARED)
    assert crossing is not None
    assert not crossing.fault()
    assert int((values >= crossing.value).sum()) == pytest.approx(5000, rel=0.05)
    one_mode = np.sinh(np.random.default_rng(1).normal(0.3, 0.4, 5000)) * COFACTOR
    alone = find_crossing(histogram(one_mode), DECLARED)
    assert alone is None or alone.fault()


def test_empty_and_tiny_gates_give_no_boundary() -> None:
    assert find_valley(histogram(np.empty(0)), DECLARED) is None
    assert find_crossing(histogram(np.empty(0)), DECLARED) is None
    nothing = ThresholdMeasurement(
        tuple(histogram(np.empty(0)).tolist()), negatives(60.0, count=0), AnchorMeasurement(0, 0.0)
    )
    result = settled(nothing)
    assert (result.value, result.source, result.checked, result.proven) == (
        DECLARED,
        "fixed",
        False,
        True,
    )


def test_the_declared_value_holds_while_nothing_contradicts_it() -> None:
    for true_b in (0, 20, 1000):
        result = settled(measurement(true_b))
        assert (result.value, result.source, result.checked) == (DECLARED, "fixed", True)
        assert [attempt.source for attempt in result.tried] == ["fixed"]
        assert "beads is 1.00 ×" in result.rationale


def test_a_drifted_detector_is_followed_by_its_anchor() -> None:
    for gain in (0.7, 1.4):
        result = settled(measurement(0, gain=gain))
        assert result.source == "gain"
        assert result.value == pytest.approx(DECLARED * gain)
        assert "is 0.70 ×" in result.tried[0].fault or "is 1.40 ×" in result.tried[0].fault


def test_negatives_move_a_boundary_up_fully_and_down_half_as_far() -> None:
    up, down = (
        settled(measurement(0, gain=gain, anchors=0), only=("fixed", "negative"))
        for gain in (1.4, 0.65)
    )
    assert (up.source, down.source) == ("negative", "negative")
    assert up.value == pytest.approx(DECLARED * 1.4)
    assert down.value == pytest.approx(DECLARED * 0.65**0.5)


def test_a_control_of_the_batch_lends_its_valley_by_the_ratio_of_anchors() -> None:
    control = {"cd19": measurement(3000, gain=1.0, seed=7)}
    result = settled(
        measurement(0, gain=1.5),
        ReferenceMeasurements(controls=[control]),
        only=("fixed", "control"),
    )
    lent = find_valley(np.array(control["cd19"].counts), DECLARED)
    assert lent is not None
    assert result.source == "control"
    assert result.value == pytest.approx(lent.value * 1.5)
    empty = settled(
        measurement(0, gain=1.5),
        ReferenceMeasurements(controls=[{"cd19": measurement(10)}]),
        only=("fixed", "control"),
    )
    assert not empty.proven
    assert "10 events" in empty.tried[1].fault or "needed" in empty.tried[1].fault


def test_the_patients_baseline_lends_its_valley_and_a_missing_one_is_a_fault() -> None:
    baseline = {"cd19": measurement(3000, seed=9)}
    result = settled(
        measurement(0, gain=1.3, anchors=0),
        ReferenceMeasurements(baseline=baseline),
        only=("fixed", "baseline"),
    )
    assert result.source == "baseline"
    none = settled(measurement(0, gain=1.3), only=("fixed", "baseline"))
    assert (none.source, none.proven, none.value) == ("fixed", False, DECLARED)
    assert none.tried[1].fault == "no counted baseline tube of the patient"


def test_an_fmo_control_puts_the_boundary_above_its_cells() -> None:
    unstained = {"cd19": measurement(0, gain=2.0, seed=5)}
    result = settled(
        measurement(0, gain=1.4),
        ReferenceMeasurements(fmo={"CD19": unstained}),
        only=("fixed", "fmo"),
    )
    values = 2.0 * cd19_axis(0, 5)
    assert result.source == "fmo"
    assert float((values >= result.value).mean()) == pytest.approx(0.0005, abs=0.0003)


def test_a_source_never_leaves_the_limits_nor_what_is_known() -> None:
    narrow = CD19.model_copy(
        update={"limits": (DECLARED * 0.9, DECLARED * 1.1), "sources": ("fixed", "gain")}
    )
    result = resolve(
        strategy_with(narrow), {"cd19": measurement(0, gain=1.4)}, ReferenceMeasurements()
    )["cd19"]
    assert not result.proven
    assert "beyond the limits" in result.tried[1].fault
    far = settled(measurement(0, gain=3.0), only=("fixed", "gain"))
    assert not far.proven
    assert "0.3 decades" in far.tried[1].fault


def test_a_boundary_that_the_negatives_reach_is_refused() -> None:
    wide = replace(measurement(0, gain=1.0), negative=negatives(600.0))
    result = settled(wide, only=("fixed", "gain"))
    assert "reach it" in result.tried[0].fault
    assert not result.proven


def test_the_pool_of_a_batch_has_the_events_one_tube_lacks() -> None:
    own = measurement(60, gain=1.3, anchors=0)
    pool = [{"cd19": measurement(60, gain=1.3, seed=seed)} for seed in range(10, 16)]
    assert settled(own, only=("fixed", "valley")).proven is False
    result = settled(own, ReferenceMeasurements(pool=pool), only=("fixed", "valley", "pooled"))
    assert result.source == "pooled"
    assert int((1.3 * cd19_axis(60, 1) >= result.value).sum()) == pytest.approx(60, abs=3)


def test_earlier_references_shrink_an_uncertain_valley_towards_theirs() -> None:
    strategy = strategy_with(CD19)
    earlier = [{"cd19": measurement(2000, seed=seed)} for seed in range(20, 26)]
    prior = priors_of(strategy, earlier)["cd19"]
    assert prior.tubes == 6
    assert "cd19" not in priors_of(strategy, earlier[:4])
    own = measurement(2000, gain=1.5, anchors=0)
    alone = settled(own, only=("fixed", "valley")).value
    shrunk = settled(
        own, ReferenceMeasurements(priors={"cd19": prior}), only=("fixed", "valley")
    ).value
    assert from_scale(prior.mean) < shrunk < alone
    foreign = settled(
        own,
        ReferenceMeasurements(priors={"cd19": Prior(prior.mean - 1.2, 0.05, 9)}),
        only=("fixed", "valley"),
    )
    assert not foreign.proven


def test_the_order_of_gathering_does_not_matter_and_measurements_survive_json() -> None:
    own = measurement(2000, gain=1.5)
    assert settled(own) == settled(own)
    assert measurement_from(json.loads(json.dumps(own.document()))) == own
    bare = ThresholdMeasurement(None, None, AnchorMeasurement(5, 1.0))
    assert measurement_from(json.loads(json.dumps(bare.document()))) == bare


BCELL = load_strategy("bcell@2.0.0").strategy
CELLS = {
    "granulocyte": 40_000.0,
    "monocyte": 4_000.0,
    "t_cd4_cm": 8_000.0,
    "t_cd8_em": 6_000.0,
    "nk": 2_000.0,
}
B_CELLS = {"naive_mature_b": 500.0, "transitional_b": 400.0, "switched_memory_b": 200.0}


def gated(
    cells: dict[str, float], conditions: Conditions, seed: int
) -> tuple[dict[str, Resolved], dict[str, int], dict[str, int], dict[str, int]]:
    """Simulate a tube and gate it as declared and as resolved; gives resolved thresholds, both
    counts and the truth."""
    made = simulate_tube(load_panel("bcell"), cells, conditions, np.random.default_rng(seed))
    tube = ArrayTube(
        made.events.astype(np.float64),
        made.detectors,
        made.labels,
        Spill(made.spill_detectors, made.stored_spill),
    )
    match = match_panel(load_panel("bcell"), tube.channels)
    declared = compile_strategy(BCELL, match, tube)
    first = evaluate(declared.gating, tube, tube)
    resolved = resolve(BCELL, measure(declared, first, tube, tube), ReferenceMeasurements())
    compiled = compile_strategy(BCELL, match, tube, resolved)
    second = evaluate(compiled.gating, tube, tube)
    gates = [population.gate for population in BCELL.populations]
    counts = [
        {gate: each.count(compiled.path_of[gate]) for gate in gates} for each in (first, second)
    ]
    return (
        resolved,
        counts[0],
        counts[1],
        {name: count.intact for name, count in true_counts(made.truth).items()},
    )


def all_detectors(gain: float) -> Conditions:
    return Conditions(gain={stain.detector: gain for stain in load_panel("bcell").markers})


@pytest.mark.parametrize("gain", [0.7, 0.85, 1.0, 1.2, 1.4])
def test_b_cells_and_their_subsets_stay_right_when_all_detectors_drift(gain: float) -> None:
    resolved, _, counts, truth = gated({**CELLS, **B_CELLS}, all_detectors(gain), seed=11)
    assert all(each.proven for each in resolved.values())
    for population in ("b_cells", "b_cells_cd20", "naive_b", "transitional_b", "switched_memory_b"):
        assert counts[population] == pytest.approx(truth[population], rel=0.10), population
    if gain == 1.0:
        assert {each.source for each in resolved.values()} == {"fixed"}


def test_the_declared_boundaries_alone_would_misjudge_a_drifted_tube() -> None:
    _, declared, counts, truth = gated({**CELLS, **B_CELLS}, all_detectors(0.7), seed=11)
    assert abs(declared["transitional_b"] / truth["transitional_b"] - 1) > 0.15
    assert abs(counts["transitional_b"] / truth["transitional_b"] - 1) < 0.10


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.4])
def test_a_tube_without_b_cells_has_none_whatever_the_gain(gain: float) -> None:
    for seed in range(4):
        _, _, counts, truth = gated(CELLS, all_detectors(gain), seed)
        assert truth["b_cells"] == 0
        assert counts["b_cells"] < 20
        assert counts["b_cells_cd20"] < 20


def test_events_at_a_border_are_counted_and_lineages_name_their_thresholds() -> None:
    assert thresholds_of(BCELL, "naive_mature") == (
        "cd45",
        "dump",
        "cd3",
        "cd19",
        "cd20",
        "cd27",
        "cd27_hi",
        "igd",
        "cd38_hi",
        "cd38_tr",
        "cd24_tr",
    )
    assert thresholds_of(BCELL, "singlets") == ()
    made = simulate_tube(
        load_panel("bcell"), {**CELLS, **B_CELLS}, Conditions(), np.random.default_rng(1)
    )
    tube = ArrayTube(
        made.events.astype(np.float64),
        made.detectors,
        made.labels,
        Spill(made.spill_detectors, made.stored_spill),
    )
    match = match_panel(load_panel("bcell"), tube.channels)
    shares = []
    for value in (1100.0, 9000.0):
        compiled = compile_strategy(
            BCELL, match, tube, {"cd19": Resolved(value, "control", "a test")}
        )
        evaluation = evaluate(compiled.gating, tube, tube)
        shares.append(
            border_share(compiled, evaluation, tube, tube, ("b_cells", "leukocytes", "singlets"))
        )
    assert shares[0]["b_cells"] < 0.02
    assert shares[1]["b_cells"] > 0.30
    assert shares[0]["singlets"] < 0.02
    assert shares[0]["leukocytes"] < 0.02


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sources": ("fixed", "valley"), "seen_in": None}, "the source 'valley' needs 'seen_in'"),
        ({"sources": ("gain",), "anchor": None}, "the source 'gain' needs 'anchor'"),
        (
            {"sources": ("fixed", "negative"), "limits": None},
            "the source 'negative' needs 'limits'",
        ),
        ({"sources": ("fixed", "fixed")}, "a source is listed twice"),
        ({"sources": ()}, "at least 1 item"),
        ({"seen_in": "nowhere"}, "threshold 'cd19' is read on 'nowhere', which is not a gate"),
    ],
)
def test_a_chain_that_cannot_be_tried_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        strategy_with(document_of(CD19, **change))


# CAR borders: the tube's own negative cells, whatever leaks into the detector


def car_tube(
    conditions: Conditions, car: float, seed: int = 11
) -> tuple[ArrayTube, dict[str, int]]:
    cells = {
        "t_cd4_naive": 8000.0,
        "t_cd4_cm": 8000.0,
        "t_cd4_em": 5000.0,
        "t_cd8_naive": 3000.0,
        "t_cd8_em": 6000.0,
        "nk": 3000.0,
    }
    cells |= {
        f"t_{kind}_{product}": car / 2
        for kind in ("cd8_em", "cd4_cm")
        for product in ("car19", "carbcma")
    }
    made = simulate_tube(load_panel("cart"), cells, conditions, np.random.default_rng(seed))
    spill = Spill(made.spill_detectors, made.stored_spill)
    truth = {name: count.intact for name, count in true_counts(made.truth).items()}
    return ArrayTube(made.events.astype(np.float64), made.detectors, made.labels, spill), truth


def car_counts(tube: ArrayTube, pin: str) -> tuple[dict[str, int], dict[str, Resolved]]:
    match = match_panel(load_panel("cart"), tube.channels)
    applied = apply_strategy(load_strategy(pin).strategy, match, tube, tube)
    counts = {
        name: applied.evaluation.count(applied.compiled.path_of[name])
        for name in ("car19_t", "carbcma_t")
    }
    return counts, dict(applied.compiled.resolved)


LEAKS = {"BB515-A": {"PE-A": 0.012}, "APC-R700-A": {"APC-A": 0.008}}
"""What the compensation of a tube that erred by a few percent leaves in the detectors of the two
CAR reagents."""


def test_what_the_compensation_leaves_makes_no_car_cells() -> None:
    tube, truth = car_tube(Conditions(spill_added=LEAKS, compensation_error=0.0), 0)
    assert truth["car19_t"] == truth["carbcma_t"] == 0
    before, _ = car_counts(tube, "cart@2.0.0")
    after, resolved = car_counts(tube, "cart")
    assert max(before.values()) >= 50
    assert max(after.values()) < 20
    assert "with CD45RA from 10000 by" in resolved["car19"].rationale
    assert "with CD8 from 5000 by" in resolved["carbcma"].rationale


@pytest.mark.parametrize(
    "conditions",
    [Conditions(compensation_error=0.0), Conditions(spill_added=LEAKS, compensation_error=0.0)],
)
@pytest.mark.parametrize("car", [400, 8000])
def test_car_cells_stay_counted_when_the_border_moves_above_what_leaks(
    conditions: Conditions, car: int
) -> None:
    tube, truth = car_tube(conditions, car)
    counts, _ = car_counts(tube, "cart")
    for population in ("car19_t", "carbcma_t"):
        assert counts[population] == pytest.approx(truth[population], rel=0.10), population


@pytest.mark.parametrize("share", [0.6, 0.95, 0.99])
def test_few_cells_without_a_car_do_not_mislead_the_border(share: float) -> None:
    cells = {
        f"t_{kind}_{product}": 5000 * share
        for kind in ("cd8_em", "cd4_cm")
        for product in ("car19", "carbcma")
    }
    cells |= dict.fromkeys(("t_cd4_naive", "t_cd4_cm", "t_cd8_em"), 20000 * (1 - share) / 3)
    made = simulate_tube(load_panel("cart"), cells, Conditions(), np.random.default_rng(3))
    tube = ArrayTube(
        made.events.astype(np.float64),
        made.detectors,
        made.labels,
        Spill(made.spill_detectors, made.stored_spill),
    )
    counts, _ = car_counts(tube, "cart")
    for population, true in ((name, true_counts(made.truth)[name].intact) for name in counts):
        assert counts[population] == pytest.approx(true, rel=0.10), population


def test_a_good_tube_keeps_the_declared_car_borders() -> None:
    for car in (0, 400):
        _, resolved = car_counts(car_tube(Conditions(compensation_error=0.0), car)[0], "cart")
        assert [each.source for each in resolved.values()] == ["fixed"] * len(resolved)


def test_too_few_cells_of_a_stretch_are_not_used() -> None:
    negative = Negative(
        gate="t_cells",
        spread=60.0,
        beside="CD3",
        clearance=(Stretch(below=100.0, clears=4.0), Stretch(clears=4.0)),
    )
    threshold = CD19.model_copy(
        update={
            "negative": negative,
            "sources": ("fixed", "negative"),
            "limits": (DECLARED / 2, 2 * DECLARED),
        }
    )
    good, near = (
        StretchMeasurement(600, 0.0, DECLARED / 4, DECLARED),
        StretchMeasurement(499, DECLARED / 2, DECLARED / 4, DECLARED),
    )
    for events, source in ((499, "fixed"), (500, "negative")):
        own = ThresholdMeasurement(
            None, replace(negatives(60.0), stretches=(good, replace(near, events=events))), None
        )
        result = resolve(strategy_with(threshold), {"cd19": own}, ReferenceMeasurements())["cd19"]
        assert result.source == source
    assert result.value == pytest.approx(1.5 * DECLARED)
    assert measurement_from(json.loads(json.dumps(own.document()))) == own


@pytest.mark.parametrize(
    "clearance",
    [
        [{"clears": 3}, {"clears": 4}],
        [{"below": 5, "clears": 3}],
        [{"below": 5, "clears": 3}, {"below": 4, "clears": 3}, {"clears": 3}],
    ],
)
def test_stretches_that_do_not_follow_each_other_are_refused(
    clearance: list[dict[str, float]],
) -> None:
    with pytest.raises(ValueError, match="stretches of 'clearance' rise"):
        Negative.model_validate(
            {"gate": "t_cells", "spread": 60, "beside": "CD3", "clearance": clearance}
        )
    with pytest.raises(ValueError, match="'beside' must name"):
        Negative.model_validate(
            {
                "gate": "t_cells",
                "spread": 60,
                "clearance": [{"below": 5, "clears": 3}, {"clears": 3}],
            }
        )


def valleys_one_by_one(smooth: np.ndarray) -> list[int]:
    """List local minima between two maxima by walking along the bins; the middle of a flat one."""
    places: list[int] = []
    falling: int | None = None
    for place, step in enumerate(np.diff(smooth)):
        if step < 0:
            falling = place + 1
        elif step > 0 and falling is not None:
            places.append((falling + place) // 2)
            falling = None
    return places


def test_valleys_are_those_of_a_walk_along_the_bins() -> None:
    from gating.thresholds import valley

    rng = np.random.default_rng(11)
    for length in (0, 1, 2, 3, 7, 60):
        for highest in (1, 2, 4, 40):
            for _ in range(40):
                heights = rng.integers(0, highest + 1, length).astype(np.float64)
                assert valley._valleys(heights) == valleys_one_by_one(heights)
