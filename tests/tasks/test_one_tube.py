"""Two versions on one tube: every gate whose outline or events differ is drawn, and no other; the
numbers are those of the gates."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.strategy.catalogue import shipped
from gating.strategy.model import Strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from panels.text.errors import PanelMismatch, UsageFault
from tasks.concordance import one_tube
from tasks.concordance.one_tube import overlay
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tests.flows.command import reconflow_here
from tests.tasks.study_folder import write_tube

pytestmark = pytest.mark.xdist_group("one tube")

SHARES = {
    "granulocyte": 3000,
    "monocyte": 400,
    "t_cd4_naive": 800,
    "nk": 200,
    "naive_mature_b": 600,
    "switched_memory_b": 150,
}


@pytest.fixture(scope="module")
def tube(tmp_path_factory) -> Path:
    made = simulate_tube(load_panel("tbnk"), SHARES, Conditions(), np.random.default_rng(4))
    path = tmp_path_factory.mktemp("one_tube") / "tube.fcs"
    channels = [
        FcsChannel(detector, label)
        for detector, label in zip(made.detectors, made.labels, strict=True)
    ]
    write_fcs(
        path,
        made.events,
        channels,
        dialect="fcs3.1-le",
        spill=FcsSpill(made.spill_detectors, made.stored_spill),
        keywords={},
    )
    return path


def version(number="1.0.0", change=None) -> Strategy:
    text = (shipped() / "tbnk" / "1.0.0" / "strategy.yaml").read_text(encoding="utf-8")
    document = YAML(typ="safe", pure=True).load(text) | {"version": number}
    if change:
        change(document)
    return Strategy.model_validate(document)


def gate(document, name):
    return next(each for each in document["gates"] if each["gate"] == name)


@pytest.fixture
def drawn(monkeypatch):
    """Note what is drawn, and draw it."""
    seen = []
    real = one_tube.draw_gating_page

    def watch(title, subtitle, views, before):
        seen.extend(zip(views, before, strict=True))
        return real(title, subtitle, views, before)

    monkeypatch.setattr(one_tube, "draw_gating_page", watch)
    return seen


def test_versions_that_gate_alike_say_so_and_draw_nothing(tube, drawn):
    overlaid = overlay(version(), version("1.0.1"), tube)
    assert drawn == []
    assert "Every gate is defined alike and keeps the same events." in overlaid.page
    assert "<img" not in overlaid.page
    assert {pair.f1 for pair in overlaid.gates} <= {1.0, None}


def test_a_moved_boundary_is_drawn_over_the_older_one_with_both_counts_and_f1(tube, drawn):
    before, after = (
        version(),
        version("1.0.1", lambda d: d["thresholds"]["cd19"].update(value=20000)),
    )
    overlaid = overlay(before, after, tube)
    header = read_header(tube)
    match = match_panel(load_panel("tbnk"), header.channels)
    masks = []
    for strategy in (before, after):
        compiled = compile_strategy(strategy, match, header)
        masks.append(
            evaluate(compiled.gating, open_events(header), header).mask(compiled.path_of["b_cells"])
        )
    both = np.count_nonzero(masks[0] & masks[1])
    pair = next(each for each in overlaid.gates if each.gate == "b_cells")
    assert (pair.old_events, pair.new_events) == (masks[0].sum(), masks[1].sum())
    assert pair.old_events > pair.new_events > 0
    assert pair.f1 == pytest.approx(2 * both / (masks[0].sum() + masks[1].sum()))
    view, older = next((view, older) for view, older in drawn if view.name == "b_cells")
    assert older.counts.startswith(f"{pair.old_events:,} → {pair.new_events:,}")
    (new_line,), (old_line,) = view.outlines, older.outlines
    assert new_line.shape == old_line.shape
    assert not np.array_equal(new_line, old_line)
    assert {view.name for view, _ in drawn} == {
        each.gate for each in overlaid.gates if each.f1 not in (None, 1.0)
    }
    assert len(re.findall("<img", overlaid.page)) == 1


def test_added_removed_and_renamed_gates_are_told_apart(tube, drawn):
    def change(document):
        gate(document, "nk_cells")["gate"] = "natural_killers"
        next(p for p in document["populations"] if p["id"] == "nk_cells")["gate"] = (
            "natural_killers"
        )
        document["gates"].append(
            {"gate": "bright", "parent": "b_cells", "rectangle": {"CD19": {"above": 9000.0}}}
        )
        document["gates"].remove(gate(document, "cd8_t"))
        document["populations"] = [p for p in document["populations"] if p["gate"] != "cd8_t"]

    overlaid = overlay(version(), version("2.0.0", change), tube)
    pairs = {each.gate: each for each in overlaid.gates}
    assert (pairs["natural_killers"].was, pairs["natural_killers"].f1) == ("nk_cells", 1.0)
    assert pairs["bright"].description == f"new: {pairs['bright'].new_events:,}"
    assert pairs["cd8_t"].description == f"removed: {pairs['cd8_t'].old_events:,}"
    assert {view.name: (bool(view.outlines), bool(older.outlines)) for view, older in drawn} == {
        "bright": (True, False),
        "cd8_t": (False, True),
    }


def test_a_gate_that_moves_to_other_axes_is_drawn_on_both(tube, drawn):
    def change(document):
        gate(document, "b_cells")["rectangle"] = {
            "CD19": {"above": "cd19"},
            "CD8": {"below": 4000.0},
        }
        gate(document, "b_cells")["plot"] = {"x": "CD19", "y": "CD8"}

    overlay(version(), version("2.0.0", change), tube)
    counts = [
        ({view.x.label, view.y.label}, older.counts)
        for view, older in drawn
        if view.name == "b_cells"
    ]
    assert counts[0][0] == {"CD19", "CD8"}
    assert counts[1] == ({"CD3", "CD19"}, "before, on its own axes")


def test_versions_for_different_panels_share_no_tube(tube):
    other = Strategy.model_validate(version().model_dump() | {"panel": "bcell"})
    with pytest.raises(
        UsageFault, match=r"tbnk@1\.0\.0 gates the panel tbnk, tbnk@1\.0\.0 the panel bcell"
    ):
        overlay(version(), other, tube)


def test_a_tube_of_another_panel_is_refused(tmp_path):
    with pytest.raises(PanelMismatch, match="does not fit the panel tbnk"):
        overlay(version(), version("1.0.1"), write_tube(tmp_path / "b.fcs", "bcell"))


def test_the_command_writes_the_page_and_says_where(tube, tmp_path, capfd):
    page = tmp_path / "page.html"
    done = reconflow_here(
        capfd,
        "strategy",
        "diff",
        "bcell@1.0.0",
        "bcell@2.0.0",
        "--tube",
        write_tube(tmp_path / "b.fcs"),
        "--output",
        page,
    )
    assert (done.code, done.err) == (0, "")
    assert str(page) in done.out
    assert "bcell@1.0.0 → bcell@2.0.0" in page.read_text(encoding="utf-8")
    words = (
        "strategy",
        "diff",
        "tbnk@1.0.0",
        "tbnk@1.0.0",
        "--tube",
        tube,
        "--output",
        page,
        "--json",
    )
    document = json.loads(reconflow_here(capfd, *words).out)
    assert (document["step"], document["page"]) == ("none", str(page))
    assert {"gate": "beads", "from": 0, "to": 0, "f1": None} in document["tube"]
    assert (
        reconflow_here(capfd, "strategy", "diff", "tbnk@1.0.0", "tbnk@1.0.0", "--output", page).code
        == 2
    )
