"""Gates and drawings follow the range of the file ($PnR): the same events relative to it lie
inside, and inside what is drawn."""

import math

import numpy as np
import pytest

from gating.display.projection import FEW_EVENTS, project
from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.strategy.model import Strategy
from panels.panel import Panel, match_panel
from tests.gating.test_sensitivity import DETECTORS, LABELS
from tests.gating.tubes import ArrayTube

USUAL = 262_144.0
RANGES = (1024.0, 4_194_304.0, 16_777_216.0)
EVENTS = FEW_EVENTS - 1
AXES = ("FSC-A", "FSC-H", "SSC-A", "Time", "CD3", "CD19")

PANEL = Panel.model_validate(
    {
        "panel": "lab",
        "version": "1.0.0",
        "title": "t",
        "instrument": "i",
        "counting": ["dual"],
        "compensated": False,
        "scatter": {name: name for name in ("FSC-A", "FSC-H", "SSC-A", "Time")},
        "markers": [
            {"marker": "CD3", "detector": "FITC-A"},
            {"marker": "CD19", "detector": "PE-A"},
        ],
    }
)


def ellipse(
    x: str, y: str, centre: list[float], covariance: list[list[float]]
) -> dict[str, object]:
    return {
        "ellipse": {
            "x": x,
            "y": y,
            "centre": centre,
            "covariance": covariance,
            "distance_square": 1.3,
        }
    }


def polygon(x: str, y: str, *vertices: list[float]) -> dict[str, object]:
    return {"polygon": {"x": x, "y": y, "vertices": vertices}}


QUADRANTS = {"++": "g", "+-": "b", "-+": "c", "--": "d"}
SHAPES: dict[str, dict[str, object]] = {
    "rectangle": {"rectangle": {"CD3": {"above": 900, "below": 60_000}, "CD19": {"above": 200}}},
    "rectangle on scatter": {
        "rectangle": {
            "FSC-A": {"above": 60_000, "below": 180_000},
            "SSC-A": {"above": 30_000, "below": 150_000},
        }
    },
    "polygon": polygon("CD3", "CD19", [-500, -500], [80_000, 300], [30_000, 90_000], [400, 20_000]),
    "polygon on scatter": polygon(
        "FSC-A", "SSC-A", [20_000, 10_000], [220_000, 60_000], [150_000, 240_000]
    ),
    "polygon on both": polygon("CD3", "SSC-A", [100, 10_000], [90_000, 60_000], [5_000, 240_000]),
    "ellipse": ellipse("CD3", "CD19", [0.5, 0.6], [[0.04, 0.01], [0.01, 0.05]]),
    "ellipse on scatter": ellipse("FSC-A", "SSC-A", [110_000, 120_000], [[4e9, 1e9], [1e9, 3e9]]),
    "ellipse on both": ellipse("CD3", "SSC-A", [0.5, 120_000], [[0.04, 2000], [2000, 3e9]]),
    "quadrant": {
        "quadrant": {
            "x": "CD3",
            "y": "CD19",
            "x_divider": 2000,
            "y_divider": 500,
            "quadrants": QUADRANTS,
        }
    },
    "ratio": {"ratio": {"numerator": "FSC-A", "denominator": "FSC-H", "above": 0.8, "below": 1.3}},
    "ratio of markers": {
        "ratio": {"numerator": "CD3", "denominator": "CD19", "above": 0.8, "below": 6.0}
    },
}


def strategy_of(shape: str, **gate: object) -> Strategy:
    name = "q" if shape == "quadrant" else "g"
    return Strategy.model_validate(
        {
            "strategy": "s",
            "version": "1.0.0",
            "title": "t",
            "panel": "lab",
            "gates": [{"gate": name, "parent": "root", **SHAPES[shape], **gate}],
            "populations": [{"id": "p", "gate": "g", "label": "p", "reference": "p"}],
        }
    )


def relative_events() -> np.ndarray:
    """Make events as parts of each axis, exact in binary."""
    rng = np.random.default_rng(8)
    fsc = rng.uniform(0.02, 0.98, EVENTS)
    stains = 10 ** rng.uniform(-4, -0.1, (EVENTS, 2)) * rng.choice(
        [-0.2, 1.0], (EVENTS, 2), p=[0.15, 0.85]
    )
    columns = [
        fsc,
        fsc / rng.uniform(0.6, 1.6, EVENTS),
        rng.uniform(0, 0.99, EVENTS),
        np.arange(EVENTS),
        *stains.T,
    ]
    return np.column_stack(columns).astype(np.float32).astype(np.float64)


def tube_of(*ranges: float) -> ArrayTube:
    """Put the same relative events on axes of other ranges (one for all, or one for each)."""
    each = np.array(ranges * len(AXES) if len(ranges) == 1 else ranges)
    scale = np.where(np.array(AXES) == "Time", 1.0, each)
    tube = ArrayTube(relative_events() * scale, DETECTORS, LABELS)
    for channel, maximum in zip(tube.channels, each, strict=True):
        object.__setattr__(channel, "maximum", float(maximum))
    return tube


def counted_and_drawn(strategy: Strategy, tube: ArrayTube):
    compiled = compile_strategy(strategy, match_panel(PANEL, tube.channels), tube)
    kept = evaluate(compiled.gating, tube, tube)
    view = next(view for view in project(compiled, kept, tube, tube) if view.name == "g")
    return kept.mask(compiled.path_of["g"]), view


def inside_polygon(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    inside = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            crossed = ((y0 > points[:, 1]) != (y1 > points[:, 1])) & (
                points[:, 0] < (x1 - x0) * (points[:, 1] - y0) / (y1 - y0) + x0
            )
        inside ^= crossed
    return inside


def inside_drawn(view, shape: str) -> np.ndarray:
    if not shape.startswith("ratio"):
        (outline,) = view.outlines
        return inside_polygon(view.points, outline[:-1])
    low, high = view.outlines
    return inside_polygon(view.points, np.vstack([low, high[::-1]]))


@pytest.mark.parametrize("maximum", RANGES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_relative_events_lie_inside_whatever_the_range(shape: str, maximum: float) -> None:
    strategy = strategy_of(shape)
    expected, usual = counted_and_drawn(strategy, tube_of(USUAL))
    mask, view = counted_and_drawn(strategy, tube_of(maximum))
    assert 0.05 < expected.mean() < 0.95
    assert np.array_equal(mask, expected)
    for line, other in zip(view.outlines, usual.outlines, strict=True):
        scale = np.array(
            [1.0 if axis.scale == "logicle" else maximum / USUAL for axis in (view.x, view.y)]
        )
        assert np.allclose(line, other * scale)


@pytest.mark.parametrize("shape", SHAPES)
def test_ranges_may_differ_from_axis_to_axis(shape: str) -> None:
    strategy = strategy_of(shape)
    expected, _ = counted_and_drawn(strategy, tube_of(USUAL))
    mask, view = counted_and_drawn(
        strategy, tube_of(1024.0, 65_536.0, 4_194_304.0, USUAL, 16_777_216.0, 1024.0)
    )
    assert np.array_equal(mask, expected)
    assert (inside_drawn(view, shape) != mask).mean() < 0.01


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("maximum", [USUAL, *RANGES])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_drawn_is_what_was_counted(shape: str, maximum: float, swapped: bool) -> None:  # noqa: FBT001
    axes = strategy_of(shape).gates[0].axes
    plot = {"x": axes[1], "y": axes[0]} if swapped else {}
    mask, view = counted_and_drawn(strategy_of(shape, plot=plot), tube_of(maximum))
    # A drawn ellipse has 72 sides, and a side without a bound is drawn to the edge of the picture.
    low, high = np.array([view.x.limits, view.y.limits]).T
    within = ((view.points > low) & (view.points < high)).all(axis=1)
    assert (inside_drawn(view, shape) != mask)[within].mean() < 0.005
    assert math.isclose(mask.sum(), view.events)
    assert len([text for _, text in view.x.ticks if text]) > 1
    assert len([text for _, text in view.y.ticks if text]) > 1


def test_a_shape_is_not_drawn_on_axes_that_are_not_its_own() -> None:
    for shape in ("polygon", "ellipse", "ratio"):
        _, view = counted_and_drawn(strategy_of(shape, plot={"x": "SSC-A"}), tube_of(USUAL))
        assert view.outlines == ()


def test_a_ratio_of_compensated_axes_has_no_border_to_draw() -> None:
    from gating.fcs.spillover import Spill

    tube = tube_of(USUAL)
    tube = ArrayTube(
        tube.events,
        tube.detectors,
        tube.labels,
        Spill(("FITC-A", "PE-A"), np.array([[1, 0.2], [0.1, 1]])),
    )
    panel = PANEL.model_copy(update={"compensated": True})
    compiled = compile_strategy(
        strategy_of("ratio of markers"), match_panel(panel, tube.channels), tube
    )
    (view,) = project(compiled, evaluate(compiled.gating, tube, tube), tube, tube)
    assert view.outlines == ()
    assert view.events > 0
