"""A view shows the parent's events on readable axes, and the outline that was gated with."""

import numpy as np
import pytest

from gating.display.projection import FEW_EVENTS, SHOWN_EVENTS, project
from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.strategy.catalogue import known, load_strategy
from tests.gating.tubes import ArrayTube, random_tube


def views_of(pin, events):
    strategy = load_strategy(pin).strategy
    tube, match = random_tube(strategy, events=events, seed=5)
    compiled = compile_strategy(strategy, match, tube)
    kept = evaluate(compiled.gating, tube, tube)
    return strategy, kept, compiled, project(compiled, kept, tube, tube)


@pytest.mark.parametrize("pin", known())
def test_every_gate_has_a_view_with_its_counts(pin):
    strategy, kept, compiled, views = views_of(pin, 20_000)
    assert [view.name for view in views] == [name for gate in strategy.gates for name in gate.names]
    for view in views:
        assert view.events == kept.count(compiled.path_of[view.name])
        assert view.parent_events == kept.count(view.path[:-1])
        shown = -(-view.parent_events // max(1, -(-view.parent_events // SHOWN_EVENTS)))
        assert view.counts.sum() == shown
        assert (view.points is not None) == (view.parent_events <= FEW_EVENTS)
        assert view.x.ticks
        assert view.y.ticks


def test_points_inside_a_drawn_rectangle_are_the_points_that_were_counted():
    for view in views_of("bcell", 20_000)[3]:
        two_sided = view.kind == "rectangle" and view.name in (
            "naive_b",
            "unswitched_memory_b",
            "switched_memory_b",
            "double_negative_b",
        )
        if two_sided and view.points is not None:
            (x0, y0), (x1, y1) = view.outlines[0].min(axis=0), view.outlines[0].max(axis=0)
            x, y = view.points.T
            low_x, low_y = (x0 == view.x.limits[0], y0 == view.y.limits[0])
            high_x, high_y = (x1 == view.x.limits[1], y1 == view.y.limits[1])
            inside = (
                ((x >= x0) | low_x)
                & ((x < x1) | high_x)
                & ((y >= y0) | low_y)
                & ((y < y1) | high_y)
            )
            assert inside.sum() == view.events


def test_a_crowded_parent_is_shown_by_an_even_sample_and_counted_whole():
    views = views_of("tbnk", 100_000)[3]
    assert views[0].parent_events == 100_000
    assert 0 < views[0].counts.sum() <= SHOWN_EVENTS


def test_a_tube_without_events_can_still_be_drawn():
    strategy = load_strategy("bcell").strategy
    tube, match = random_tube(strategy, events=1, seed=1)
    empty = ArrayTube(tube.events[:0], tube.detectors, tube.labels, tube.spill)
    compiled = compile_strategy(strategy, match, empty)
    views = project(compiled, evaluate(compiled.gating, empty, empty), empty, empty)
    assert all(
        view.counts.sum() == 0 and view.events == 0 and np.isfinite(view.x.limits).all()
        for view in views
    )


def test_gates_are_drawn_beside_whatever_the_tube_has():
    from gating.strategy.model import Strategy
    from panels.panel import Panel, match_panel

    def views(scatter: dict[str, str], markers: list[str], **plot: str):
        panel = Panel.model_validate({
            "panel": "lab", "version": "1.0.0", "title": "t", "instrument": "i",
            "counting": ["dual"], "compensated": False, "scatter": scatter,
            "markers": [
                {"marker": m, "detector": f"{m}-A", "required": m == "CD3"} for m in markers],
        })  # fmt: skip
        strategy = Strategy.model_validate({
            "strategy": "s", "version": "1.0.0", "title": "t", "panel": "lab",
            "gates": [
                {"gate": "g", "parent": "root", "plot": plot,
                 "rectangle": {"CD3": {"above": 100}}}],
            "populations": [{"id": "p", "gate": "g", "label": "p", "reference": "p"}],
        })  # fmt: skip
        names = ("CD3-A", *scatter.values())
        tube = ArrayTube(
            np.random.default_rng(0).uniform(0, 1000, (50, len(names))),
            names,
            ("CD3",) + ("",) * len(scatter),
        )
        compiled = compile_strategy(strategy, match_panel(panel, tube.channels), tube)
        (view,) = project(compiled, evaluate(compiled.gating, tube, tube), tube, tube)
        assert view.outlines
        return view.x.detector, view.y.detector

    assert views({"SSC-A": "SSC-A", "FSC-A": "FSC-A"}, ["CD3"]) == ("CD3-A", "SSC-A")
    assert views({"FSC-A": "FSC-A"}, ["CD3"]) == ("CD3-A", "FSC-A")
    assert views({"SSC-A": "SSC-A"}, ["CD3", "CD4"], y="CD4") == ("CD3-A", "SSC-A")
    assert views({}, ["CD3"]) == ("CD3-A", "CD3-A")
    assert views({"SSC-A": "SSC-A", "FSC-A": "FSC-A"}, ["CD3"], x="FSC-A", y="CD3") == (
        "FSC-A",
        "CD3-A",
    )
