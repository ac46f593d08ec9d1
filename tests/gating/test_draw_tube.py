"""What a tube is drawn with agrees, event by event, with what was gated."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gating.display import draw_tube as drawing_module
from gating.display import event_sample
from gating.display.draw_tube import BINS, draw_tube
from gating.display.event_sample import RARE, EventOrder
from gating.display.tube_drawing import ALL_EVENTS, TubeDrawing
from gating.evaluation.compensated_values import Channels
from gating.evaluation.compile import compile_strategy
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import Evaluation, evaluate
from gating.evaluation.resolved import Resolved
from gating.strategy.catalogue import load_strategy
from gating.strategy.display_scale import transform_of
from gating.strategy.gates import SCATTER
from tests.gating.tubes import ArrayTube, random_tube

SEED = 0x5EED
EVENTS = 20_000
PINS = ("bcell", "cart", "tbnk", "tbnk@1.0.0")


def gated(
    pin: str, events: int = EVENTS, *, resolved: dict[str, Resolved] | None = None
) -> tuple[ArrayTube, Compiled, Evaluation]:
    """Gate a random tube of a strategy's panel."""
    strategy = load_strategy(pin).strategy
    made, match = random_tube(strategy, events=max(events, 1), seed=5)
    tube = ArrayTube(made.events[:events], made.detectors, made.labels, made.spill)
    compiled = compile_strategy(strategy, match, tube, resolved)
    return tube, compiled, evaluate(compiled.gating, tube, tube)


def drawn(pin: str, events: int = EVENTS) -> tuple[TubeDrawing, ArrayTube, Compiled, Evaluation]:
    tube, compiled, kept = gated(pin, events)
    return draw_tube(compiled, kept, tube, tube, SEED), tube, compiled, kept


def paths(compiled: Compiled) -> list[tuple[str, ...]]:
    return [compiled.path_of[name] for gate in compiled.strategy.gates for name in gate.names]


def displayed(
    compiled: Compiled, tube: ArrayTube, name: str, rows: np.ndarray | None, *, raw: bool
) -> np.ndarray:
    """Bring events to the display scale one by one, as the gates themselves do."""
    compensation = None if raw or name in SCATTER else compiled.applied_compensation
    channels = Channels(compiled.gating, tube, tube)
    index = channels.index(compiled.detector_of[name], compensation)
    (values,) = channels.linear([(index, compensation)], rows)
    transform = transform_of(compiled.strategy.scale_of(name), compiled.maximum_of[name])
    return values if transform is None else transform.apply(values.reshape(-1, 1))[:, 0]


@pytest.mark.parametrize("pin", PINS)
def test_every_gate_is_drawn_with_its_counts_under_its_parent(pin: str) -> None:
    drawing, _, compiled, kept = drawn(pin)
    names = [name for gate in compiled.strategy.gates for name in gate.names]
    assert [gate.name for gate in drawing.gates] == names
    parent_of = compiled.strategy.parent_of()
    for gate in drawing.gates:
        parent = "root" if gate.parent == ALL_EVENTS else names[gate.parent]
        assert parent == parent_of[gate.name]
        assert gate.events == kept.count(compiled.path_of[gate.name])
        assert gate.parent_events == kept.count(compiled.path_of[parent])
        density = drawing.densities[gate.density]
        assert (density.x, density.y, density.parent) == (gate.x, gate.y, gate.parent)
        assert density.events == gate.parent_events


@pytest.mark.parametrize("pin", PINS)
def test_a_density_counts_every_event_of_its_parent_where_it_lies(pin: str) -> None:
    drawing, tube, compiled, kept = drawn(pin)
    listed = paths(compiled)
    for density in drawing.densities:
        path = ("root",) if density.parent == ALL_EVENTS else listed[density.parent]
        assert density.counts.sum() == density.events == kept.count(path)
        sides = []
        for place in (density.x, density.y):
            axis = drawing.axes[place]
            values = displayed(compiled, tube, axis.name, kept.of(path), raw=axis.raw)
            low, high = axis.axis.limits
            sides.append(np.clip(((values - low) / (high - low) * BINS).astype(int), 0, BINS - 1))
        expected = np.zeros((BINS, BINS), dtype=int)
        np.add.at(expected, tuple(sides), 1)
        # An event within rounding of a bin's border may be on its other side.
        assert np.abs(expected - density.counts.astype(int)).sum() <= 2


def test_gates_of_the_same_parent_on_the_same_axes_share_a_density() -> None:
    drawing, *_ = drawn("bcell")
    subsets = ("naive_b", "unswitched_memory_b", "switched_memory_b", "double_negative_b")
    used = {gate.name: gate.density for gate in drawing.gates}
    assert len({used[name] for name in subsets}) == 1
    assert len({(d.parent, d.x, d.y) for d in drawing.densities}) == len(drawing.densities)
    assert len(drawing.densities) < len(drawing.gates)


@pytest.mark.parametrize("pin", PINS)
def test_a_sampled_event_is_in_exactly_the_gates_that_hold_it(pin: str) -> None:
    drawing, _, compiled, kept = drawn(pin)
    sample = drawing.sample
    assert len(set(sample.sets)) == len(sample.sets)
    for place, path in enumerate(paths(compiled)):
        holding = np.array([place in each for each in sample.sets])
        assert np.array_equal(holding[sample.codes], kept.mask(path)[sample.rows])


@pytest.mark.parametrize("pin", PINS)
def test_rare_populations_are_sampled_whole_and_shares_are_true(pin: str) -> None:
    drawing, _, compiled, kept = drawn(pin)
    rare = 0
    for path, share in zip(paths(compiled), drawing.sample.shares, strict=True):
        held = np.isin(kept.rows[path], drawing.sample.rows).sum()
        total = kept.count(path)
        assert share == (held / total if total else 1.0)
        assert held >= min(total, RARE)
        rare += 0 < total <= RARE
    assert rare


@pytest.mark.parametrize("pin", PINS)
def test_a_sampled_event_lies_in_its_part_of_each_axis(pin: str) -> None:
    drawing, tube, compiled, _ = drawn(pin)
    for axis, parts in zip(drawing.axes, drawing.sample.columns, strict=True):
        values = displayed(compiled, tube, axis.name, drawing.sample.rows, raw=axis.raw)
        low, high = axis.axis.limits
        width = (high - low) / 256
        middles = low + (parts + 0.5) * width
        ended = np.clip(values, low + width / 2, high - width / 2)
        assert np.abs(ended - middles).max() <= width / 2 * (1 + 1e-6)


def test_the_same_tube_is_sampled_alike_wherever_it_is_counted() -> None:
    one, *_ = drawn("cart")
    again, *_ = drawn("cart")
    tube, compiled, kept = gated("cart")
    other = draw_tube(compiled, kept, tube, tube, SEED + 1)
    assert np.array_equal(one.sample.rows, again.sample.rows)
    assert np.array_equal(one.sample.columns, again.sample.columns)
    assert not np.array_equal(one.sample.rows, other.sample.rows)


def test_which_events_are_chosen_rests_on_a_published_sequence() -> None:
    """No release of a library chooses others of a tube whose page is there already."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert event_sample.chance_numbers(np.arange(5), 1234567).tolist() == published
    order = EventOrder(Evaluation(5, {}), seed=1234567)
    assert sorted(order.first(("root",), 2).tolist()) == [1, 3]


@pytest.mark.parametrize("most", [1, 8, 199, 600, 999, 1_000, 1_001])
def test_the_first_events_are_those_with_the_lowest_numbers(most: int) -> None:
    order = EventOrder(Evaluation(1_000, {}), seed=3)
    lowest = np.argsort(event_sample.chance_numbers(np.arange(1_000), 3))[:most]
    assert sorted(order.first(("root",), most).tolist()) == sorted(lowest.tolist())


def test_a_large_gate_is_sampled_evenly() -> None:
    order = EventOrder(Evaluation(100_000, {}), seed=7)
    rows = order.first(("root",), 5_000)
    assert len(np.unique(rows)) == 5_000
    expected = 500
    tenths = np.bincount(rows // 10_000, minlength=10)
    # Ten shares of 5,000: chi square with 9 degrees of freedom is below 27.9 in 999 of 1,000.
    assert ((tenths - expected) ** 2 / expected).sum() < 27.9


def test_a_strategy_of_very_many_gates_is_sampled_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_sample, "MOST_CHOSEN", 400)
    drawing, _, compiled, kept = drawn("bcell")
    assert 0 < len(drawing.sample.rows) <= 400
    for path, share in zip(paths(compiled), drawing.sample.shares, strict=True):
        held = np.isin(kept.rows[path], drawing.sample.rows).sum()
        assert share == (held / kept.count(path) if kept.count(path) else 1.0)


def test_a_parent_of_very_many_events_is_drawn_by_an_even_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing_module, "MOST_IN_DENSITY", 3_000)
    drawing, *_ = drawn("tbnk")
    first = drawing.densities[0]
    assert first.events == first.counts.sum() == 3_000
    assert drawing.gates[0].parent_events == EVENTS


def test_events_left_out_beforehand_are_not_drawn() -> None:
    strategy = load_strategy("cart").strategy
    tube, match = random_tube(strategy, events=6_000, seed=3)
    compiled = compile_strategy(strategy, match, tube)
    rows = np.arange(1_000, 4_000)
    kept = evaluate(compiled.gating, tube, tube, rows)
    drawing = draw_tube(compiled, kept, tube, tube, SEED)
    assert np.isin(drawing.sample.rows, rows).all()
    assert drawing.densities[0].counts.sum() == len(rows)


@pytest.mark.parametrize("events", [0, 1, 2])
@pytest.mark.parametrize("pin", ["bcell", "cart", "tbnk"])
def test_a_tube_of_hardly_any_events_is_drawn(pin: str, events: int) -> None:
    drawing, _, compiled, _ = drawn(pin, events)
    assert len(drawing.gates) == len(paths(compiled))
    assert drawing.sample.columns.shape == (len(drawing.axes), events)
    assert [density.counts.sum() for density in drawing.densities] == [
        density.events for density in drawing.densities
    ]
    for axis in drawing.axes:
        assert np.isfinite(axis.axis.limits).all()
        assert axis.axis.limits[0] < axis.axis.limits[1]
        assert len(axis.axis.ticks) > 1


def test_an_axis_has_the_same_limits_wherever_it_is_drawn() -> None:
    drawing, *_ = drawn("bcell")
    names = [(axis.name, axis.raw) for axis in drawing.axes]
    assert len(set(names)) == len(names)


def moved(name: str, factor: float, source: str) -> tuple[TubeDrawing, TubeDrawing]:
    """Draw a tube with its declared thresholds, and with one of them moved."""
    strategy = load_strategy("bcell").strategy
    value = strategy.thresholds[name].value * factor
    drawings = []
    for resolved in ({}, {name: Resolved(value, source, "")}):
        tube, compiled, kept = gated("bcell", 5_000, resolved=resolved)
        drawings.append(draw_tube(compiled, kept, tube, tube, SEED))
    return drawings[0], drawings[1]


def test_a_moved_threshold_shows_both_outlines_and_others_one() -> None:
    declared, applied = moved("cd19", 1.5, "negative")
    assert all(gate.declared == () for gate in declared.gates)
    changed = {gate.name for gate in applied.gates if gate.declared}
    assert changed == {"plasmablasts", "long_lived_plasma_cells", "b_cells"}
    for before, gate in zip(declared.gates, applied.gates, strict=True):
        if gate.declared:
            x, y = (drawing_axis.axis.limits for drawing_axis in axes_of(applied, gate))
            for line, other in zip(gate.declared, before.outlines, strict=True):
                inner = inside_limits(line, x, y) & inside_limits(other, x, y)
                assert np.allclose(line[inner], other[inner])
            assert not np.array_equal(gate.outlines[0], gate.declared[0])


def axes_of(drawing: TubeDrawing, gate) -> tuple:
    return drawing.axes[gate.x], drawing.axes[gate.y]


def inside_limits(line: np.ndarray, *limits: tuple[float, float]) -> np.ndarray:
    """Tell which corners lie off the frame, whose place may differ between two drawings."""
    return np.logical_and.reduce(
        [
            (column > low) & (column < high)
            for column, (low, high) in zip(line.T, limits, strict=True)
        ]
    )


def hidden_of(drawing: TubeDrawing, name: str) -> Sequence[str]:
    return next(gate.hidden for gate in drawing.gates if gate.name == name)


def test_what_is_cut_on_axes_that_are_not_drawn_is_said() -> None:
    declared, applied = moved("cd20", 1.5, "valley")
    value = load_strategy("bcell").strategy.thresholds["cd20"].value
    assert hidden_of(declared, "secreting") == (f"CD20 below {value:,.0f} (declared)",)
    assert hidden_of(applied, "secreting") == (
        f"CD20 below {value * 1.5:,.0f} (from this tube's valley)",
    )
    assert hidden_of(declared, "b_cells") == ()
    assert hidden_of(declared, "b_subsets") == ("events in none of: secreting",)
    assert hidden_of(declared, "leukocytes") == (
        "events in any of: live_cd14_negative, monocyte_like",
    )


def test_combinations_ratios_and_missing_beads_are_said() -> None:
    cart, *_ = drawn("cart", 500)
    assert hidden_of(cart, "car_double_positive") == ("events in all of: car19_t, carbcma_t",)
    tbnk, *_ = drawn("tbnk", 500)
    assert hidden_of(tbnk, "beads") == ("no beads were found in this tube",)


def test_a_shape_on_other_axes_is_named() -> None:
    tube, compiled, kept = gated("cart", 500)
    gates = [
        gate.model_copy(update={"plot": gate.plot.model_copy(update={"x": "CD45"})})
        if gate.gate in ("singlets", "small")
        else gate
        for gate in compiled.strategy.gates
    ]
    strategy = compiled.strategy.model_copy(update={"gates": tuple(gates)})
    drawing = draw_tube(replace(compiled, strategy=strategy), kept, tube, tube, SEED)
    assert hidden_of(drawing, "singlets") == ("FSC-A over FSC-H from 0.75 to 1.38",)
    assert hidden_of(drawing, "small") == ("polygon on FSC-A and SSC-A, which are not drawn here",)
