"""A count that hangs on where exactly a border was drawn says so, whatever the shape of the
border."""

from dataclasses import replace

import numpy as np
import pytest

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.strategy.catalogue import load_strategy
from gating.strategy.model import Strategy
from gating.thresholds.sensitivity import border_share, lower_bounds_of
from panels.panel import Panel, match_panel
from tasks.tubes.population_counts import population_counts
from tasks.vocabulary.flags import Flag
from tests.gating.tubes import ArrayTube

PANEL = Panel.model_validate({
    "panel": "lab", "version": "1.0.0", "title": "t", "instrument": "i",
    "counting": ["dual"], "compensated": False,
    "scatter": {name: name for name in ("FSC-A", "FSC-H", "SSC-A", "Time")},
    "markers": [{"marker": "CD3", "detector": "FITC-A"}, {"marker": "CD19", "detector": "PE-A"}],
})  # fmt: skip
DETECTORS = ("FSC-A", "FSC-H", "SSC-A", "Time", "FITC-A", "PE-A")
LABELS = ("", "", "", "", "CD3", "CD19")
CENTRE = {
    "FSC-A": 100_000.0,
    "FSC-H": 100_000.0,
    "SSC-A": 50_000.0,
    "Time": 50.0,
    "CD3": 10_000.0,
    "CD19": 10_000.0,
}
AXES = ("FSC-A", "FSC-H", "SSC-A", "Time", "CD3", "CD19")
LOGICLE_10K = 0.6905  # where 10,000 lies on the default logicle scale


def crowd(maximum: float = 262_144.0, **spread: float) -> ArrayTube:
    """Make 4,000 events whose values lie around their centres, each axis by its CV (2 % by
    default)."""
    rng = np.random.default_rng(4)
    columns = [
        CENTRE[axis] * np.exp(rng.normal(0, spread.get(axis.replace("-", "_"), 0.02), 4000))
        for axis in AXES
    ]
    scale = np.array([1.0 if axis == "Time" else maximum / 262_144 for axis in AXES])
    tube = ArrayTube(np.column_stack(columns) * scale, DETECTORS, LABELS)
    for channel in tube.channels:
        object.__setattr__(channel, "maximum", maximum)
    return tube


def strategy_of(*gates: dict[str, object], counted: str = "") -> Strategy:
    name = counted or str(gates[-1]["gate"])
    population = {"id": "p", "gate": name, "label": "p", "reference": "p"}
    return Strategy.model_validate({
        "strategy": "s", "version": "1.0.0", "title": "t", "panel": "lab",
        "gates": list(gates), "populations": [population],
    })  # fmt: skip


def share(strategy: Strategy, tube: ArrayTube) -> float:
    compiled = compile_strategy(strategy, match_panel(PANEL, tube.channels), tube)
    gate = strategy.populations[0].gate
    return border_share(compiled, evaluate(compiled.gating, tube, tube), tube, tube, (gate,))[gate]


def edge_at(border: float) -> dict[str, dict[str, object]]:
    """Draw each shape so that one border lies at ``border`` times the crowd's centre, the others
    far away."""
    cd3, ratio, shown = 10_000 * border, border, LOGICLE_10K + np.log10(border) * 0.21
    far, edge = 200_000, 100_000 * border
    whole_scatter = [[edge, 0], [262_143, 0], [262_143, 262_143], [edge, 262_143]]
    round_cells = {"covariance": [[0.09, 0], [0, 0.09]], "distance_square": 1}
    names = {"++": "g", "+-": "b", "-+": "c", "--": "d"}
    corners = [[cd3, 100], [far, 100], [far, far], [cd3, far]]
    return {
        "rectangle": {"rectangle": {"CD3": {"above": cd3}}},
        "rectangle on scatter": {"rectangle": {"FSC-A": {"above": 100_000 * border}}},
        "polygon": {"polygon": {"x": "CD3", "y": "CD19", "vertices": corners}},
        "polygon on y": {
            "polygon": {"x": "CD19", "y": "CD3", "vertices": [[y, x] for x, y in corners]}
        },
        "polygon on scatter": {"polygon": {"x": "FSC-A", "y": "SSC-A", "vertices": whole_scatter}},
        "ellipse": {
            "ellipse": {
                "x": "CD3",
                "y": "CD19",
                "centre": [shown + 0.3, LOGICLE_10K],
                **round_cells,
            }
        },
        "quadrant": {
            "quadrant": {
                "x": "CD3",
                "y": "CD19",
                "x_divider": cd3,
                "y_divider": 300,
                "quadrants": names,
            }
        },
        "ratio": {
            "ratio": {"numerator": "CD3", "denominator": "CD19", "above": ratio, "below": 100}
        },
        "ratio of a pulse": {
            "ratio": {"numerator": "FSC-A", "denominator": "FSC-H", "above": ratio, "below": 100}
        },
    }


@pytest.mark.parametrize("shape", edge_at(1.0))
@pytest.mark.parametrize("maximum", [1024.0, 262_144.0, 16_777_216.0])
def test_events_that_crowd_a_border_of_any_shape_are_counted_as_near_it(
    shape: str, maximum: float
) -> None:
    tube = crowd(maximum)
    beside, away = (
        strategy_of(
            {
                "gate": "q" if shape == "quadrant" else "g",
                "parent": "root",
                **edge_at(border)[shape],
            },
            counted="g",
        )
        for border in (0.97, 0.5)
    )
    assert share(beside, tube) > (0.5 if "scatter" in shape or "pulse" in shape else 0.9)
    assert share(away, tube) == 0


def test_a_polygon_has_the_share_of_the_rectangle_with_the_same_border() -> None:
    tube = crowd(CD3=0.5, CD19=0.5)
    limits = {"CD3": {"above": 7000, "below": 40_000}, "CD19": {"above": 5000, "below": 30_000}}
    corners = [[7000, 5000], [40_000, 5000], [40_000, 30_000], [7000, 30_000]]
    rectangle = strategy_of({"gate": "g", "parent": "root", "rectangle": limits})
    polygon = strategy_of(
        {"gate": "g", "parent": "root", "polygon": {"x": "CD3", "y": "CD19", "vertices": corners}}
    )
    assert share(polygon, tube) == share(rectangle, tube) > 0.1


@pytest.mark.parametrize("child", [
    {"rectangle": {"CD19": {"above": 100}}},
    {"any_of": ["a", "b"]},
    {"all_of": ["a", "b"]},
    {"none_of": ["empty"]},
])  # fmt: skip
def test_descendants_and_combinations_inherit_a_crowded_border(child: dict[str, object]) -> None:
    tube = crowd()
    corners = [[9700, 100], [200_000, 100], [200_000, 200_000], [9700, 200_000]]
    a = {"gate": "a", "parent": "root", "polygon": {"x": "CD3", "y": "CD19", "vertices": corners}}
    b = {"gate": "b", "parent": "root", "rectangle": {"CD3": {"above": 9700}}}
    empty = {"gate": "empty", "parent": "a", "rectangle": {"CD3": {"above": 150_000}}}
    parent = "root" if "any_of" in child else "a"
    assert share(strategy_of(a, b, empty, {"gate": "g", "parent": parent, **child}), tube) > 0.9


def test_a_combination_has_the_borders_of_the_gates_it_leaves_out() -> None:
    tube = crowd()
    for border, expected in ((10_500, 0.9), (40_000, None)):
        out = {"gate": "out", "parent": "root", "rectangle": {"CD3": {"above": border}}}
        near = share(strategy_of(out, {"gate": "g", "parent": "root", "none_of": ["out"]}), tube)
        assert near > expected if expected else near == 0


def test_an_event_that_one_of_two_gates_keeps_anyway_is_near_no_border() -> None:
    tube = crowd()
    a = {"gate": "a", "parent": "root", "rectangle": {"CD3": {"above": 9700}}}
    b = {"gate": "b", "parent": "root", "rectangle": {"CD3": {"above": 100}}}
    assert (
        share(strategy_of(a, b, {"gate": "g", "parent": "root", "any_of": ["a", "b"]}), tube) == 0
    )


@pytest.mark.parametrize("maximum", [1024.0, 262_144.0])
@pytest.mark.parametrize("end", [262_000.0, 262_143.0, 262_144.0, 400_000.0])
def test_an_edge_at_the_end_of_an_axis_is_no_border(end: float, maximum: float) -> None:
    tube = crowd(maximum)
    piled = tube.events.copy()
    piled[:, [2, 4]] = np.random.default_rng(1).uniform(0.88, 0.999, (4000, 2)) * maximum
    piled[:2000, [2, 4]] = 0.9995 * maximum
    piled[:, 1] = 1e-3 * maximum
    tube = replace(tube, events=piled)
    for channel in tube.channels:
        object.__setattr__(channel, "maximum", maximum)
    corners = [[300, 0], [end, 0], [end, end], [300, end]]
    for gate in (
        {"polygon": {"x": "CD3", "y": "SSC-A", "vertices": corners}},
        {"rectangle": {"CD3": {"above": 300, "below": end}, "FSC-H": {"above": 0}}},
    ):
        strategy = strategy_of({"gate": "g", "parent": "root", **gate})
        assert share(strategy, tube) == 0


def test_time_has_no_border_that_a_stain_could_cross() -> None:
    tube = crowd(Time=0.5)
    assert (
        share(
            strategy_of(
                {"gate": "g", "parent": "root", "rectangle": {"Time": {"above": 45, "below": 55}}}
            ),
            tube,
        )
        == 0
    )


@pytest.mark.parametrize("shape", ["polygon", "ellipse", "quadrant", "ratio"])
def test_a_strategy_that_measures_no_thresholds_flags_its_crowded_borders_too(shape: str) -> None:
    tube = crowd()
    for border, expected in ((0.97, (str(Flag.THRESHOLD_SENSITIVE),)), (0.5, ())):
        strategy = strategy_of(
            {
                "gate": "q" if shape == "quadrant" else "g",
                "parent": "root",
                **edge_at(border)[shape],
            },
            counted="g",
        )
        compiled = compile_strategy(strategy, match_panel(PANEL, tube.channels), tube)
        counts = population_counts(compiled, evaluate(compiled.gating, tube, tube), tube, tube, {})
        assert counts[0].events > 20
        assert counts[0].flags == expected


def test_the_boundaries_that_cells_lie_above_are_those_of_what_a_gate_is_made_of() -> None:
    strategy = load_strategy("bcell@3.0.0").strategy
    assert lower_bounds_of(strategy, "b_cells") == {"cd45", "cd19"}
    assert lower_bounds_of(strategy, "switched_memory_b") == {"cd45", "cd19", "cd27"}
    assert lower_bounds_of(strategy, "plasma_cells") == {"cd45", "cd38_hi", "cd27_hi", "cd138"}
    assert "cd19" not in lower_bounds_of(strategy, "long_lived_plasma_cells")
    assert lower_bounds_of(load_strategy("cart@4.0.0").strategy, "car_any_t") >= {"cd45", "cd3"}
