"""A strategy as a FlowJo workspace: read back by us and by FlowKit, it counts the same."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.exchange.adopt_workspace import adopt_workspace
from gating.exchange.export_workspace import export_workspace, tubes_to_show
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.strategy.catalogue import load_strategy
from gating.strategy.model import Strategy
from panels.catalogue import load_panel
from panels.panel import Panel, match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from panels.text.errors import UsageFault
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tests.gating.workspaces import lab_panel, raw_events, write_tube

CELLS = {
    "granulocyte": 6_000.0,
    "monocyte": 800.0,
    "t_cd4_cm": 2_000.0,
    "t_cd8_em": 1_500.0,
    "nk": 800.0,
    "naive_mature_b": 300.0,
    "switched_memory_b": 100.0,
    "t_cd8_em_car19": 300.0,
}
EVERY_SHAPE = {
    "strategy": "shapes",
    "version": "1.0.0",
    "title": "every shape",
    "panel": "lab",
    "scales": {"CD3": {"w": 1.0}, "CD4": {"w": 0.5, "m": 4.0, "a": 0.3}},
    "thresholds": {"cd19": {"marker": "CD19", "value": 900.0, "evidence": "none"}},
    "gates": [
        {
            "gate": "cells",
            "parent": "root",
            "ellipse": {
                "x": "FSC-A",
                "y": "SSC-A",
                "centre": [130_000, 130_000],
                "covariance": [[4e9, 1e9], [1e9, 3e9]],
                "distance_square": 3.0,
            },
        },
        {
            "gate": "ratio",
            "parent": "cells",
            "ratio": {"numerator": "FSC-A", "denominator": "SSC-A", "above": 0.4, "below": 1.7},
        },
        {"gate": "early", "parent": "ratio", "rectangle": {"Time": {"below": 40.0}}},
        {
            "gate": "three",
            "parent": "cells",
            "rectangle": {
                "CD3": {"above": 100.0},
                "CD4": {"above": -50.0, "below": 60_000.0},
                "CD19": {"below": "cd19"},
            },
        },
        {
            "gate": "quarters",
            "parent": "cells",
            "quadrant": {
                "x": "CD3",
                "y": "CD19",
                "x_divider": 700.0,
                "y_divider": "cd19",
                "quadrants": {"++": "pp", "+-": "pn", "-+": "np", "--": "nn"},
            },
        },
        {
            "gate": "bent",
            "parent": "pp",
            "polygon": {"x": "CD3", "y": "CD4", "vertices": [[-90, -90], [9e4, 10], [3e4, 2e5]]},
        },
        {
            "gate": "egg",
            "parent": "cells",
            "ellipse": {
                "x": "CD3",
                "y": "CD4",
                "centre": [0.7, 0.6],
                "covariance": [[0.02, 0.005], [0.005, 0.01]],
                "distance_square": 1.5,
            },
        },
        {"gate": "both", "parent": "cells", "all_of": ["three", "egg"]},
        {"gate": "either", "parent": "cells", "any_of": ["pp", "nn"]},
        {"gate": "not_egg", "parent": "cells", "none_of": ["egg"]},
        {"gate": "neither", "parent": "cells", "none_of": ["egg", "three", "np"]},
    ],
    "populations": [],
}


def recorded(content: bytes) -> dict[tuple[str, str], int]:
    """Read the counts a workspace keeps: (sample, name of the gate) → events, without helpers."""
    return {
        (sample.get("name"), node.get("name")): int(node.get("count"))
        for sample in etree.fromstring(content).iter("SampleNode")
        for node in sample.iter("Population", "AndNode", "OrNode", "NotNode")
        if int(node.get("count")) >= 0
    }


def by_flowkit(workspace: Path, tubes: Path, group: str) -> dict[tuple[str, str], int]:
    import flowkit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = flowkit.Workspace(str(workspace), fcs_samples=str(tubes))
        read.analyze_samples(group_name=group, use_mp=False)
        reports = [read.get_gating_results(sample).report for sample in read.get_sample_ids()]
    return {
        (row["sample_id"], row["gate_name"]): int(row["count"])
        for report in reports
        for _, row in report.iterrows()
    }


@pytest.fixture
def shapes() -> Strategy:
    return Strategy.model_validate(EVERY_SHAPE)


@pytest.fixture
def tubes(tmp_path: Path) -> Path:
    folder = tmp_path / "tubes"
    folder.mkdir()
    gains = {"$P3G": "2.0", "$P5G": "0.5", "$TIMESTEP": "0.01"}
    write_tube(folder / "plain.fcs", raw_events(seed=1), spill=True)
    write_tube(folder / "gained.fcs", raw_events(seed=2), spill=True, keywords=gains)
    return folder


def test_every_shape_is_read_back_to_the_same_counts(shapes, tubes, tmp_path):
    panel = lab_panel(compensated=True)
    made = export_workspace(shapes, panel, tubes_to_show(tubes))
    (tmp_path / "out.wsp").write_bytes(made.content)
    kept = recorded(made.content)
    for tube in ("plain.fcs", "gained.fcs"):
        header = read_header(tubes / tube)
        compiled = compile_strategy(shapes, match_panel(panel, header.channels), header)
        counted = evaluate(compiled.gating, open_events(header), header)
        for name in ("cells", "ratio", "early", "three", "pp", "nn", "bent", "egg", "neither"):
            assert kept[tube, name] == counted.count(compiled.path_of[name]) > 0, name
    done = adopt_workspace(tmp_path / "out.wsp", panel, "back", tubes=tubes, group="shapes@1.0.0")
    assert done.fault is None
    assert not done.imported.lost
    compared = [each for each in done.compared if each.recorded is not None]
    assert len(compared) == 2 * 14
    # The ratio has no counterpart in FlowJo: its wedge is a polygon, counted by its exact place.
    assert {each.verdict for each in compared} == {"same"}


def test_what_flowjo_holds_otherwise_is_said(shapes, tubes):
    notes = {note.gate: note.text for note in export_workspace(
        shapes, lab_panel(compensated=True), [tubes / "plain.fcs"]).notes}  # fmt: skip
    assert set(notes) == {"ratio", "three", "neither"}
    assert "written as the wedge" in notes["ratio"]
    assert "It is drawn on 3 axes, FlowJo draws on two: written as 2 gates" in notes["three"]
    assert "written as not 'neither (any of)'" in notes["neither"]


@pytest.mark.parametrize("name", ["bcell", "cart"])
def test_a_shipped_strategy_goes_to_flowjo_and_back(name, tmp_path):
    panel = load_panel(name)
    (tmp_path / "tubes").mkdir()
    for seed in (1, 2):
        made = simulate_tube(panel, CELLS, Conditions(), np.random.default_rng(seed))
        write_fcs(
            tmp_path / "tubes" / f"t{seed}.fcs",
            made.events,
            [FcsChannel(*each) for each in zip(made.detectors, made.labels, strict=True)],
            dialect="fcs3.1-le",
            spill=FcsSpill(tuple(made.spill_detectors), made.stored_spill),
            keywords={"$TIMESTEP": str(made.time_step)},
        )
    strategy = load_strategy(name).strategy
    written = export_workspace(strategy, panel, tubes_to_show(tmp_path / "tubes"))
    (tmp_path / "out.wsp").write_bytes(written.content)
    done = adopt_workspace(tmp_path / "out.wsp", panel, "back", tubes=tmp_path / "tubes")
    assert done.fault is None
    verdicts = {each.verdict for each in done.compared if each.recorded is not None}
    # A boundary that a tube moved is that sample's own gate.
    assert verdicts <= {"same", "own gate in this sample"}
    for deviation in done.deviations:
        assert deviation.counted_own == deviation.recorded
    kept = recorded(written.content)
    read = by_flowkit(tmp_path / "out.wsp", tmp_path / "tubes", strategy.name)
    assert {key: read[key] for key in kept} == kept


def test_without_a_tube_the_group_has_the_gates_and_no_sample(shapes):
    made = export_workspace(shapes, lab_panel(compensated=True))
    root = etree.fromstring(made.content)
    (group,) = [each for each in root.iter("GroupNode") if each.get("name") == "shapes@1.0.0"]
    assert {each.get("name") for each in group.iter("Population")} >= {"cells", "pp", "bent"}
    assert not list(root.iter("SampleNode"))
    names = {value for each in group.iter("{*}fcs-dimension") for value in each.attrib.values()}
    assert {"Comp-FITC-A", "FSC-A", "Time"} <= names
    assert "No file was named with --fcs" in made.notes[-1].text


def test_files_that_do_not_fit_are_left_out_with_the_reason(shapes, tubes, tmp_path):
    panel = lab_panel(compensated=True)
    write_tube(tubes / "without.fcs", raw_events(), spill=False)
    made = export_workspace(shapes, panel, tubes_to_show(tubes))
    assert made.samples == ("gained.fcs", "plain.fcs")
    (reason,) = made.left_out
    assert reason.startswith("without.fcs")
    with pytest.raises(UsageFault, match=r"the workspace would have no sample\. without\.fcs"):
        export_workspace(shapes, panel, [tubes / "without.fcs"])
    with pytest.raises(UsageFault, match="holds no FCS file"):
        tubes_to_show(_empty(tmp_path))
    with pytest.raises(UsageFault, match="no such file or folder"):
        tubes_to_show(tmp_path / "nowhere")


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_no_keyword_that_may_name_a_person_is_written(shapes, tubes):
    write_tube(tubes / "named.fcs", raw_events(), spill=True, keywords={"$SRC": "Jane Doe"})
    made = export_workspace(shapes, lab_panel(compensated=True), [tubes / "named.fcs"])
    assert b"Jane" not in made.content


def test_a_panel_that_compensates_nothing_writes_no_matrix(shapes, tubes):
    made = export_workspace(shapes, Panel.model_validate(lab_panel().model_dump()), [
        tubes / "plain.fcs"])  # fmt: skip
    assert b"spilloverMatrix" not in made.content
    assert b"Comp-" not in made.content
