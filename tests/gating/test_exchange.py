"""A strategy leaves as Gating-ML that others count the same with, and comes back from Gating-ML and FlowJo with nothing lost in silence."""

import socket
import time
from pathlib import Path

import numpy as np
import pytest

from gating.catalogue import known, load_strategy
from gating.compile import compile_strategy, read_gatingml
from gating.engine import evaluate
from gating.events import open_events, read_header
from gating.exporting import export_strategy
from gating.safe_xml import read_xml
from gating.strategy import Strategy, parse_strategy
from panels.catalogue import load_panel, read_panel
from panels.conditions import Conditions
from panels.errors import PanelFault, StrategyFault
from panels.panel import Panel, match_panel
from panels.simulate import simulate_tube
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tests.shared_data import SHARED, needs_shared

LYOPLATE = Path(__file__).resolve().parents[1] / "data" / "lyoplate"
REAL_B_TUBE = SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.fcs"


def simulated_file(path: Path, panel: Panel, seed: int = 5) -> Path:
    """Write a tube of a panel with every kind of cell in it."""
    from panels.simulated_expression import cell_table

    composition = {kind: 6000 / len(cell_table().kinds) for kind in cell_table().kinds}
    tube = simulate_tube(panel, composition, Conditions(beads=300 if "bead" in panel.counting else 0), np.random.default_rng(seed))
    channels = [FcsChannel(detector, label) for detector, label in zip(tube.detectors, tube.labels, strict=True)]
    write_fcs(path, tube.events, channels, dialect="fcs3.1-le", spill=FcsSpill(tube.spill_detectors, tube.stored_spill), keywords={})
    return path


def own_counts(strategy: Strategy, panel: Panel, tube: Path) -> dict[str, int]:
    """Count a file's gates under a strategy, by the gate's own name."""
    header = read_header(tube)
    compiled = compile_strategy(strategy, match_panel(panel, header.channels), header)
    kept = evaluate(compiled.gating, open_events(header), header)
    return {path[-1]: kept.count(path) for path in kept.rows}


def flowkit_counts(document: Path, tube: Path) -> dict[str, int]:
    """Count a file's gates under a document with FlowKit's reader and FlowKit's gating."""
    import flowkit

    report = flowkit.parse_gating_xml(str(document)).gate_sample(flowkit.Sample(tube)).report
    return dict(zip(report["gate_name"], (int(n) for n in report["count"]), strict=True))


# Export


@pytest.mark.parametrize("pin", known())
def test_flowkit_counts_the_same_with_every_exported_version(pin, tmp_path):
    strategy = load_strategy(pin).strategy
    panel = load_panel(strategy.panel)
    tube = simulated_file(tmp_path / "tube.fcs", panel)
    document = tmp_path / "strategy.xml"
    document.write_bytes(export_strategy(strategy, panel))
    ours = own_counts(strategy, panel, tube)
    assert flowkit_counts(document, tube) == ours
    assert sum(count > 0 for count in ours.values()) >= len(ours) * 0.8
    assert b'compensation-ref="FCS"' in document.read_bytes()


@needs_shared
def test_a_laboratorys_own_strategy_leaves_as_it_counts(tmp_path):
    strategy = load_strategy("lyoplate_b", LYOPLATE / "strategies").strategy
    panel = read_panel(LYOPLATE / "panels" / "lyoplate.yaml")
    document = tmp_path / "strategy.xml"
    document.write_bytes(export_strategy(strategy, panel))
    ours = own_counts(strategy, panel, REAL_B_TUBE)
    assert flowkit_counts(document, REAL_B_TUBE) == ours
    assert ours["naive_b"] == 9219


ODD = {
    "strategy": "odd",
    "version": "1.0.0",
    "title": "Names and dividers other writers get wrong",
    "panel": "tbnk",
    "scales": {"CD8": {"kind": "linear"}},
    "gates": [
        {"gate": "scale_CD3", "parent": "root", "rectangle": {"CD3": {"above": -50.0}}},
        {"gate": "four", "parent": "scale_CD3", "quadrant": {
            "x": "CD4", "y": "CD8", "x_divider": -20.0, "y_divider": 0.0,
            "quadrants": {"++": "pp", "+-": "pm", "-+": "mp", "--": "mm"}}},
        {"gate": "four_x", "parent": "mm", "ratio": {"numerator": "FSC-A", "denominator": "FSC-H", "above": 0.9, "below": 1.3}},
        {"gate": "ratio_four_x", "parent": "root", "none_of": ["pp", "mm"]},
        {"gate": "alone", "parent": "pp", "none_of": ["ratio_four_x"]},
    ],
    "populations": [],
}  # fmt: skip


def test_dividers_at_or_below_zero_and_names_that_meet_are_written_right(tmp_path):
    strategy, panel = parse_strategy(ODD), load_panel("tbnk")
    tube = simulated_file(tmp_path / "tube.fcs", panel)
    document = tmp_path / "strategy.xml"
    document.write_bytes(export_strategy(strategy, panel))
    ours = own_counts(strategy, panel, tube)
    assert flowkit_counts(document, tube) == ours
    header = read_header(tube)
    again = evaluate(read_gatingml(document), open_events(header), header)
    assert {path[-1]: again.count(path) for path in again.rows} == ours
    assert min(ours[name] for name in ("pp", "pm", "mp", "mm", "four_x")) > 0


def test_the_detectors_are_those_of_the_instrument_asked_for():
    strategy, panel = load_strategy("bcell").strategy, load_panel("bcell")
    instrument = next(name for name in panel.detectors() if name != panel.instrument)
    elsewhere = export_strategy(strategy, panel, instrument).decode()
    assert all(f'"{panel.detectors()[instrument][marker]}"' in elsewhere for marker in ("CD19", "CD20", "IgD"))
    with pytest.raises(PanelFault, match="does not know the instrument 'none'"):
        export_strategy(strategy, panel, "none")


def test_a_panel_without_the_markers_cannot_give_the_names():
    with pytest.raises(PanelFault, match=r"bcell@.* needs .*CD27"):
        export_strategy(load_strategy("bcell").strategy, load_panel("tbnk"))


def test_a_gate_that_combines_its_own_parent_is_not_written_as_a_circle(tmp_path):
    gates = [
        {"gate": "a", "parent": "root", "rectangle": {"CD3": {"above": 500}}},
        {"gate": "b", "parent": "root", "rectangle": {"CD4": {"above": 500}}},
        {"gate": "c", "parent": "a", "all_of": ["a", "b"]},
    ]
    strategy, panel = parse_strategy(ODD | {"gates": gates}), load_panel("tbnk")
    document, tube = tmp_path / "strategy.xml", simulated_file(tmp_path / "tube.fcs", panel)
    document.write_bytes(export_strategy(strategy, panel))
    assert flowkit_counts(document, tube) == own_counts(strategy, panel, tube)
    gates[2] = {"gate": "c", "parent": "a", "any_of": ["a", "b"]}
    with pytest.raises(StrategyFault, match="'c' combines its own parent 'a'"):
        export_strategy(parse_strategy(ODD | {"gates": gates}), panel)


# Documents that would harm

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
ROOT = '<gating:Gating-ML xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating">{}</gating:Gating-ML>'
HARMFUL = {
    "billion laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>' + ROOT.format("&l11;"),
    "laughs in an attribute": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><r a="&l11;"/>',
    "a file": '<!DOCTYPE r [<!ENTITY f SYSTEM "file://{secret}">]>' + ROOT.format("&f;"),
    "an address": '<!DOCTYPE r [<!ENTITY f SYSTEM "http://127.0.0.1:{port}/f">]>' + ROOT.format("&f;"),
    "a DTD elsewhere": '<!DOCTYPE r SYSTEM "http://127.0.0.1:{port}/r.dtd">' + ROOT.format(""),
    "a parameter entity": '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:{port}/p"> %p;]>' + ROOT.format(""),
    "a schema elsewhere": ROOT.replace(
        ">{}", ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x http://127.0.0.1:{port}/x.xsd">{{}}'
    ).format("<x xmlns='urn:x'/>", port="{port}"),
    "an inclusion": ROOT.format('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="http://127.0.0.1:{port}/i" parse="text"/>'),
    "a style sheet": '<?xml-stylesheet type="text/xsl" href="http://127.0.0.1:{port}/s"?>' + ROOT.format("<x/>"),
    "a very deep tree": ROOT.format("<a>" * 100_000 + "</a>" * 100_000),
    "no end of comments": "<!--" + "x" * 3_000_000 + "-->" + ROOT.format(""),
    "UTF-16 laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><r>&l11;</r>',
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_xml_is_refused_at_once_and_fetches_nothing(kind, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        text = HARMFUL[kind].replace("{port}", str(listening.getsockname()[1])).replace("{secret}", str(tmp_path / "secret"))
        (tmp_path / "secret").write_text("s3cret")
        document = tmp_path / "gates.xml"
        document.write_bytes(text.encode("utf-16" if kind.startswith("UTF-16") else "utf-8"))
        begun = time.monotonic()
        with pytest.raises(StrategyFault, match=r"gates\.xml: ") as refusal:
            read_gatingml(document)
        assert time.monotonic() - begun < 1
        assert "s3cret" not in str(refusal.value)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_a_document_of_a_gigabyte_is_refused_at_once(tmp_path):
    document = tmp_path / "huge.wsp"
    with document.open("wb") as file:
        file.truncate(2**30)
    begun = time.monotonic()
    with pytest.raises(StrategyFault, match=r"huge\.wsp: 1,024 MB is more than"):
        read_xml(document)
    assert time.monotonic() - begun < 0.5


def test_a_document_with_too_many_gates_is_refused_at_once(tmp_path):
    gate = (
        '<gating:RectangleGate gating:id="g{}"><gating:dimension gating:compensation-ref="uncompensated" gating:min="1">'
        '<d:fcs-dimension xmlns:d="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes" d:name="X"/></gating:dimension>'
        "</gating:RectangleGate>"
    )
    document = tmp_path / "gates.xml"
    document.write_text(ROOT.format("".join(gate.format(i) for i in range(20_000))))
    begun = time.monotonic()
    with pytest.raises(StrategyFault, match="20,000 gates are more than"):
        read_gatingml(document)
    assert time.monotonic() - begun < 1
