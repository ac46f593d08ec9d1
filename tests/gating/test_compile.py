"""A compiled strategy can be written as Gating-ML and counts the same when it is read back; bounds
follow the file's scale."""

import re

import numpy as np
import pytest

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.exchange.read_gatingml import read_gatingml
from gating.exchange.write_gatingml import write_gatingml
from gating.strategy.catalogue import known, load_strategy
from panels.panel import match_panel
from panels.text.errors import PanelMismatch, StrategyFault
from tests.gating.tubes import ArrayTube, random_tube


@pytest.mark.parametrize("pin", known())
def test_the_realised_gates_read_back_to_the_same_events(pin, tmp_path):
    strategy = load_strategy(pin).strategy
    tube, match = random_tube(strategy, events=20_000, seed=9)
    compiled = compile_strategy(strategy, match, tube)
    document = tmp_path / "gates.xml"
    with document.open("wb") as file:
        write_gatingml(compiled.gating, file)
    kept, again = (
        evaluate(compiled.gating, tube, tube),
        evaluate(read_gatingml(document), tube, tube),
    )
    assert set(kept.rows) == set(again.rows)
    for path, rows in kept.rows.items():
        assert np.array_equal(rows, again.rows[path]), path


def test_bounds_follow_the_range_of_the_file():
    strategy = load_strategy("tbnk").strategy
    tube, match = random_tube(strategy, events=5_000, seed=2)
    kept = evaluate(compile_strategy(strategy, match, tube).gating, tube, tube)
    wide = ArrayTube(tube.events * 16, tube.detectors, tube.labels, tube.spill)
    for channel in wide.channels:
        object.__setattr__(channel, "maximum", 262144.0 * 16)
    compiled = compile_strategy(strategy, match_panel(match.panel, wide.channels), wide)
    assert compiled.value("CD19", "cd19") == 16 * strategy.thresholds["cd19"].value
    again = evaluate(compiled.gating, wide, wide)
    assert {path: len(rows) for path, rows in again.rows.items()} == {
        path: len(rows) for path, rows in kept.rows.items()
    }


def test_a_spill_that_leaves_a_marker_out_is_refused():
    strategy = load_strategy("tbnk").strategy
    tube, match = random_tube(strategy, events=10, seed=1)
    from gating.fcs.spillover import Spill
    from panels.text.errors import CompensationFault

    partial = Spill(tube.spill.detectors[:-1], tube.spill.matrix[:-1, :-1])
    with pytest.raises(CompensationFault, match="does not cover APC-H7-A"):
        compile_strategy(
            strategy, match, ArrayTube(tube.events, tube.detectors, tube.labels, partial)
        )


def test_a_strategy_for_other_markers_names_what_is_missing():
    tube, match = random_tube(load_strategy("tbnk").strategy, events=10, seed=1)
    bcell = load_strategy("bcell").strategy
    with pytest.raises(PanelMismatch, match=rf"{re.escape(bcell.name)} needs .*CD27"):
        compile_strategy(bcell, match, tube)


@pytest.mark.parametrize(
    "content", ["", "no xml", "<a/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"]
)
def test_what_is_no_gatingml_is_refused_with_its_name(tmp_path, content):
    document = tmp_path / "gates.xml"
    document.write_text(content)
    with pytest.raises(StrategyFault, match=r"gates\.xml(, line 1)?: (not|has a DOCTYPE)"):
        read_gatingml(document)
