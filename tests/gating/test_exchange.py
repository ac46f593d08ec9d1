"""A strategy leaves as Gating-ML that others count the same with, and comes back from Gating-ML and
FlowJo with nothing lost in silence."""

import copy
import socket
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate, gate_paths
from gating.evaluation.reference_gates import expected_beads
from gating.exchange.export_gates import export_strategy
from gating.exchange.import_files import strategy_yaml
from gating.exchange.import_gates import import_gates
from gating.exchange.read_document import Foreign, read_foreign, sample_names
from gating.exchange.read_gatingml import read_gatingml
from gating.exchange.safe_xml import read_xml
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.strategy.catalogue import known, load_strategy
from gating.strategy.gates import SCATTER
from gating.strategy.model import Strategy
from panels.catalogue import load_panel, read_panel
from panels.panel import Panel, PanelMatch, match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from panels.text.errors import PanelFault, StrategyFault
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tests.gating.tubes import ArrayTube
from tests.shared_data import SHARED, needs_shared

LYOPLATE = Path(__file__).resolve().parents[1] / "data" / "lyoplate"
DOCUMENTS = (
    sorted(p for p in (SHARED / "gating-ml" / "gml").glob("*.xml") if "attr_testing" not in p.name)
    if SHARED.is_dir()
    else []
)
REAL_B_TUBE = SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.fcs"


@pytest.fixture(scope="module", autouse=True)
def _imported_before_anything_is_timed() -> None:
    """Import what the first reading of a document would import, which takes seconds on a busy
    machine."""
    import_module("flowkit")


def simulated_file(path: Path, panel: Panel, seed: int = 5) -> Path:
    """Write a tube of a panel with every kind of cell in it."""
    from panels.simulation.expression import cell_table

    composition = {kind: 6000 / len(cell_table().kinds) for kind in cell_table().kinds}
    tube = simulate_tube(
        panel,
        composition,
        Conditions(beads=300 if "bead" in panel.counting else 0),
        np.random.default_rng(seed),
    )
    channels = [
        FcsChannel(detector, label)
        for detector, label in zip(tube.detectors, tube.labels, strict=True)
    ]
    write_fcs(
        path,
        tube.events,
        channels,
        dialect="fcs3.1-le",
        spill=FcsSpill(tube.spill_detectors, tube.stored_spill),
        keywords={},
    )
    return path


def own_counts(strategy: Strategy, panel: Panel, tube: Path) -> dict[str, int]:
    """Count a file's gates under a strategy, by the gate's own name."""
    header = read_header(tube)
    match = match_panel(panel, header.channels)
    compiled = compile_strategy(strategy, match, header, beads=expected_beads(strategy))
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
def test_a_laboratorys_strategy_is_exported_as_it_counts(tmp_path):
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
        {"gate": "four_x", "parent": "mm", "ratio": {
            "numerator": "FSC-A", "denominator": "FSC-H", "above": 0.9, "below": 1.3}},
        {"gate": "ratio_four_x", "parent": "root", "none_of": ["pp", "mm"]},
        {"gate": "alone", "parent": "pp", "none_of": ["ratio_four_x"]},
    ],
    "populations": [],
}  # fmt: skip


def test_dividers_at_or_below_zero_and_names_that_meet_are_written_right(tmp_path):
    strategy, panel = Strategy.model_validate(ODD), load_panel("tbnk")
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
    assert all(
        f'"{panel.detectors()[instrument][marker]}"' in elsewhere
        for marker in ("CD19", "CD20", "IgD")
    )
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
    strategy, panel = Strategy.model_validate(ODD | {"gates": gates}), load_panel("tbnk")
    document, tube = tmp_path / "strategy.xml", simulated_file(tmp_path / "tube.fcs", panel)
    document.write_bytes(export_strategy(strategy, panel))
    assert flowkit_counts(document, tube) == own_counts(strategy, panel, tube)
    gates[2] = {"gate": "c", "parent": "a", "any_of": ["a", "b"]}
    with pytest.raises(StrategyFault, match="'c' combines its own parent 'a'"):
        export_strategy(Strategy.model_validate(ODD | {"gates": gates}), panel)


# Documents that would harm

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
ROOT = (
    "<gating:Gating-ML "
    'xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating">{}</gating:Gating-ML>'
)
HARMFUL = {
    "billion laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>' + ROOT.format("&l11;"),
    "laughs in an attribute": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><r a="&l11;"/>',
    "a file": '<!DOCTYPE r [<!ENTITY f SYSTEM "file://{secret}">]>' + ROOT.format("&f;"),
    "an address": '<!DOCTYPE r [<!ENTITY f SYSTEM "http://127.0.0.1:{port}/f">]>'
    + ROOT.format("&f;"),
    "a DTD elsewhere": '<!DOCTYPE r SYSTEM "http://127.0.0.1:{port}/r.dtd">' + ROOT.format(""),
    "a parameter entity": '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:{port}/p"> %p;]>'
    + ROOT.format(""),
    "a schema elsewhere": ROOT.replace(
        ">{}",
        (
            ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x '
            'http://127.0.0.1:{port}/x.xsd">{{}}'
        ),
    ).format("<x xmlns='urn:x'/>", port="{port}"),
    "an inclusion": ROOT.format(
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" '
        'href="http://127.0.0.1:{port}/i" parse="text"/>'
    ),
    "a style sheet": '<?xml-stylesheet type="text/xsl" href="http://127.0.0.1:{port}/s"?>'
    + ROOT.format("<x/>"),
    "a very deep tree": ROOT.format("<a>" * 100_000 + "</a>" * 100_000),
    "no end of comments": "<!--" + "x" * 3_000_000 + "-->" + ROOT.format(""),
    "UTF-16 laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><r>&l11;</r>',
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_xml_is_refused_at_once_and_fetches_nothing(kind, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        text = (
            HARMFUL[kind]
            .replace("{port}", str(listening.getsockname()[1]))
            .replace("{secret}", str(tmp_path / "secret"))
        )
        (tmp_path / "secret").write_text("s3cret")
        document = tmp_path / "gates.xml"
        document.write_bytes(text.encode("utf-16" if kind.startswith("UTF-16") else "utf-8"))
        begun = time.monotonic()
        with pytest.raises(StrategyFault, match=r"gates\.xml(, line \d+)?: ") as refusal:
            read_gatingml(document)
        assert time.monotonic() - begun < 1
        assert "s3cret" not in str(refusal.value)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_a_document_of_a_gigabyte_is_refused_at_once(tmp_path):
    document = tmp_path / "huge.wsp"
    with document.open("wb") as file:
        file.truncate(2**30)
    begun = time.process_time()
    with pytest.raises(StrategyFault, match=r"huge\.wsp: the file is larger than 100 MB"):
        read_xml(document)
    assert time.process_time() - begun < 0.5


def test_a_document_with_too_many_gates_is_refused_at_once(tmp_path):
    gate = (
        '<gating:RectangleGate gating:id="g{}"><gating:dimension '
        'gating:compensation-ref="uncompensated" gating:min="1">'
        '<d:fcs-dimension xmlns:d="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes" '
        'd:name="X"/></gating:dimension>'
        "</gating:RectangleGate>"
    )
    document = tmp_path / "gates.xml"
    document.write_text(ROOT.format("".join(gate.format(i) for i in range(20_000))))
    begun = time.process_time()
    with pytest.raises(StrategyFault, match="20,000 gates are more than"):
        read_gatingml(document)
    assert time.process_time() - begun < 1


GATE = (
    '<gating:RectangleGate gating:id="{}"{}><gating:dimension '
    'gating:compensation-ref="uncompensated" gating:min="1">'
    '<d:fcs-dimension xmlns:d="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes" '
    'd:name="FSC-A"/></gating:dimension>'
    "</gating:RectangleGate>"
)
BOTH = (
    '<gating:BooleanGate gating:id="{}"><gating:and><gating:gateReference '
    'gating:ref="{}"/><gating:gateReference gating:ref="{}"/>'
    "</gating:and></gating:BooleanGate>"
)
PARENT = ' gating:parent_id="{}"'
TANGLED = {
    "a circle of parents": (
        GATE.format("a", PARENT.format("b")) + GATE.format("b", PARENT.format("a")),
        "in a circle.*a, b",
    ),
    "its own parent": (GATE.format("a", PARENT.format("a")), "in a circle"),
    "a circle of combinations": (
        BOTH.format("a", "b", "b") + BOTH.format("b", "a", "a"),
        "in a circle",
    ),
    "no such parent": (
        GATE.format("a", PARENT.format("z")),
        "'a' refers to 'z', which is not in the document",
    ),
    "no such member": (BOTH.format("a", "z", "z"), "'a' refers to 'z'"),
    "one name twice": (GATE.format("a", "") * 2, "two gates are called 'a'"),
    "no name": (
        GATE.format("a", "").replace(' gating:id="a"', ""),
        "line 1: a gate has no gating:id",
    ),
    "called root": (GATE.format("root", ""), "called 'root'"),
    "a deep chain": (
        "".join(GATE.format(f"g{n}", PARENT.format(f"g{n - 1}") if n else "") for n in range(600)),
        "30 levels deep",
    ),
    "a deep chain from below": (
        "".join(
            GATE.format(f"g{n}", PARENT.format(f"g{n - 1}") if n else "")
            for n in reversed(range(600))
        ),
        "30 levels deep",
    ),
    "combinations of combinations": (
        GATE.format("g0", "")
        + "".join(BOTH.format(f"g{n}", f"g{n - 1}", f"g{n - 1}") for n in range(1, 500)),
        "30 levels deep",
    ),
    "a number that is none": (
        GATE.format("a", "").replace('"1"', '"one"'),
        "the standard's schema refuses it",
    ),
}


@pytest.mark.parametrize("kind", TANGLED)
def test_gates_that_cannot_be_put_in_order_are_refused_at_once_with_a_sentence(kind, tmp_path):
    document = tmp_path / "gates.xml"
    document.write_text(ROOT.format(TANGLED[kind][0]))
    begun = time.monotonic()
    with pytest.raises(StrategyFault, match=rf"gates\.xml.*{TANGLED[kind][1]}"):
        read_gatingml(document)
    assert time.monotonic() - begun < 5


ENCODINGS = [
    "nonsense",
    "UTF0",
    "rot13",
    "hex",
    "base64",
    "idna",
    "punycode",
    "undefined",
    "utf-7",
    "big5",
    "cp037",
    "UTF" + "9" * 400,
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_unknown_encoding_is_refused_with_a_sentence(encoding, tmp_path):
    document = tmp_path / "gates.xml"
    document.write_text(
        f'<?xml version="1.0" encoding="{encoding}"?>' + ROOT.format(GATE.format("a", ""))
    )
    with pytest.raises(StrategyFault, match=r"gates\.xml.*: .*encoding"):
        read_gatingml(document)


def test_gates_named_by_no_xml_name_are_read_and_noted(tmp_path):
    document = tmp_path / "gates.xml"
    names = ["IgD+CD27+", "IgD+CD27-", "IgD-CD27+", "a/b", "7"]
    gates = "".join(
        GATE.format(name, PARENT.format(names[n - 1]) if n else "") for n, name in enumerate(names)
    )
    document.write_text(ROOT.format(gates + BOTH.format("both of", "a/b", "7")))
    foreign = read_foreign(document)
    assert len(list(gate_paths(foreign.gating))) == 6
    noted = {note.text for note in foreign.notes}
    assert "The document calls it 'IgD+CD27+', which is no XML name." in noted
    imported = import_gates(
        foreign, small_panel({"CD3": "FITC-A"}, ("FSC-A",), compensated=False), "imported"
    )
    assert len(imported.name_of) == 6
    assert not imported.lost


@needs_shared
@pytest.mark.parametrize(
    "document",
    sorted((SHARED / "field" / "parsers").glob("g*.xml")) if SHARED.is_dir() else [],
    ids=lambda p: p.stem,
)
def test_the_field_documents_that_broke_a_reader_are_refused(document):
    with pytest.raises(StrategyFault, match="encoding"):
        read_foreign(document)


# Import


def small_panel(markers: dict[str, str], scatter: tuple[str, ...], *, compensated: bool) -> Panel:
    return Panel.model_validate(
        {
            "panel": "lab",
            "version": "1.0.0",
            "title": "t",
            "instrument": "i",
            "counting": ["dual"],
            "compensated": compensated,
            "scatter": {name: name for name in scatter},
            "markers": [
                {"marker": marker, "detector": detector} for marker, detector in markers.items()
            ],
        }
    )


def carried(document: Path, tube: Path, panel: Panel, sample: str | None = None):
    """Import a document, count a tube under both, and give what each gate counts (document,
    strategy), and the import."""
    foreign = read_foreign(document, sample)
    header = read_header(tube)
    imported = import_gates(
        foreign, panel, "imported", channels=header.channels, stores_spill=header.spill is not None
    )
    text = strategy_yaml(imported)
    if not imported.document["gates"]:
        return {}, imported, foreign
    strategy = Strategy.model_validate(YAML(typ="safe", pure=True).load(text))
    reads = panel if imported.panel is None else Panel.model_validate(imported.panel)
    if imported.panel is None and header.spill is None:
        reads = reads.model_copy(update={"compensated": False})
    place = {channel.detector: channel.index for channel in header.channels}
    found = {stain.marker: place[stain.detector] for stain in reads.markers} | {
        name: place[name] for name in reads.scatter
    }
    compiled = compile_strategy(strategy, PanelMatch(reads, reads.instrument, found, {}), header)
    events = open_events(header)
    theirs, ours = (
        evaluate(foreign.gating, events, header),
        evaluate(compiled.gating, events, header),
    )
    counts = {
        path: (theirs.count(path), ours.count(compiled.path_of[imported.name_of[path]]))
        for path in theirs.rows
        if path in imported.name_of
    }
    noted = {note.gate for note in imported.lost}
    assert {"/".join(path[1:]) for path in theirs.rows if path not in imported.name_of} <= noted | {
        "/".join((*path[1:-1],)) + f"/{path[-1]}"
        for path in theirs.rows
        if "/".join(path[1:-1]) in noted
    }
    return counts, imported, foreign


REFERENCE_MARKERS = {
    "FL1": "FL1-H",
    "FL2": "FL2-H",
    "FL3": "FL3-H",
    "FL2A": "FL2-A",
    "FL4": "FL4-H",
}


@needs_shared
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.stem)
def test_gatingml_reference_documents_count_the_same_after_import(document):
    for compensated in (False, True):
        panel = small_panel(REFERENCE_MARKERS, ("FSC-H", "SSC-H", "Time"), compensated=compensated)
        counts, imported, _ = carried(document, SHARED / "gating-ml" / "data1.fcs", panel)
        assert all(theirs == ours for theirs, ours in counts.values()), counts
        assert imported.lost or counts


@needs_shared
def test_what_the_reference_documents_hold_is_carried_over_or_noted_as_lost():
    document = SHARED / "gating-ml" / "gml" / "gml_all_gates.xml"
    reasons: dict[str, set[str]] = {}
    kept = {}
    for compensated in (False, True):
        panel = small_panel(REFERENCE_MARKERS, ("FSC-H", "SSC-H", "Time"), compensated=compensated)
        counts, imported, _ = carried(document, SHARED / "gating-ml" / "data1.fcs", panel)
        kept |= counts
        for note in imported.lost:
            reasons.setdefault(note.gate, set()).add(note.text)
    assert len(kept) == 46
    assert (
        any("dimensions" in text for text in reasons["Ellipsoid3D"])
        if "Ellipsoid3D" in reasons
        else True
    )
    assert any("has parameters" in text for text in reasons["RatRange2"])


@needs_shared
def test_the_real_b_cell_gates_count_the_same_after_import():
    panel = read_panel(LYOPLATE / "panels" / "lyoplate.yaml")
    counts, imported, _ = carried(
        SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.gatingml.xml", REAL_B_TUBE, panel
    )
    assert len(counts) == 22
    assert not imported.lost
    assert all(theirs == ours for theirs, ours in counts.values()), counts


FLOWJO = [
    (
        "simple_diamond_example/simple_diamond_example_quad_gate.wsp",
        "simple_diamond_example/test_data_diamond_01.fcs",
    ),
    (
        "simple_diamond_example/test_data_diamond_asinh_rect.wsp",
        "simple_diamond_example/test_data_diamond_01.fcs",
    ),
    (
        "simple_diamond_example/test_data_diamond_asinh_rect2.wsp",
        "simple_diamond_example/test_data_diamond_01.fcs",
    ),
    (
        "simple_diamond_example/test_data_diamond_biex_rect.wsp",
        "simple_diamond_example/test_data_diamond_01.fcs",
    ),
    (
        "simple_line_example/simple_poly_and_rect.wsp",
        "simple_line_example/data_set_simple_line_100.fcs",
    ),
    (
        "simple_line_example/simple_poly_and_rect_v2_poly50.wsp",
        "simple_line_example/data_set_simple_line_100.fcs",
    ),
    (
        "simple_line_example/single_ellipse_51_events.wsp",
        "simple_line_example/data_set_simple_line_100.fcs",
    ),
    ("cell_counts/CellCounts.wsp", "cell_counts/CellCounts4L-NY071-1.fcs"),
    ("cell_counts/CellCounts.wsp", "cell_counts/CellCounts4L-NY072-1.fcs"),
]


@needs_shared
@pytest.mark.parametrize(("workspace", "tube"), FLOWJO)
def test_flowjo_workspaces_count_the_same_after_import(workspace, tube):
    """FlowJo's own counts differ by up to 4 events on 2,193: it decides polygons on a grid. One
    workspace records 0 for a gate of 50."""
    tube = SHARED / "flowjo" / tube
    detectors = [channel.detector for channel in read_header(tube).channels]
    scatter = tuple(d for d in detectors if d in SCATTER)
    markers = {
        f"M{i}": d
        for i, d in enumerate(detectors)
        if d not in SCATTER and d.endswith(("-A", "A", "B"))
    }
    panel = small_panel(markers, scatter, compensated="CellCounts" in workspace)
    counts, imported, foreign = carried(SHARED / "flowjo" / workspace, tube, panel, tube.name)
    assert counts
    assert not imported.lost
    assert all(theirs == ours for theirs, ours in counts.values()), counts
    for path, recorded in foreign.recorded.items():
        assert abs(counts[path][1] - recorded) <= 4 or (recorded, counts[path][1]) == (0, 50)


ALONE = sorted((SHARED / "flowjo" / "workspaces_only").glob("*.wsp")) if SHARED.is_dir() else []


@needs_shared
@pytest.mark.parametrize("workspace", ALONE, ids=lambda p: p.stem)
def test_workspaces_without_their_files_count_the_same_on_made_up_events(workspace):
    for sample in sample_names(workspace):
        foreign = read_foreign(workspace, sample)
        if not list(gate_paths(foreign.gating)):
            continue
        stained = [c for c in foreign.channels if c.detector not in SCATTER]
        scatter = tuple(c.detector for c in foreign.channels if c.detector in SCATTER)
        panel = small_panel({f"M{c.index}": c.detector for c in stained}, scatter, compensated=True)
        rng = np.random.default_rng(3)
        tubes = []
        for kind in ("bright", "even"):
            shape = (30_000, len(foreign.channels))
            bright = rng.choice([-0.05, 1.0], shape, p=[0.1, 0.9]) * 10 ** rng.uniform(
                1, 5.4, shape
            )
            events = (
                bright
                if kind == "bright"
                else rng.uniform(-500, [c.maximum for c in foreign.channels], shape)
            )
            tube = ArrayTube(
                events,
                tuple(c.detector for c in foreign.channels),
                tuple(c.label for c in foreign.channels),
            )
            for channel, said in zip(tube.channels, foreign.channels, strict=True):
                object.__setattr__(channel, "maximum", said.maximum)
            tubes.append(tube)
        reached = 0
        for gates in (foreign, side_by_side(foreign)):
            imported = import_gates(gates, panel, "imported")
            assert not imported.lost
            strategy = Strategy.model_validate(
                YAML(typ="safe", pure=True).load(strategy_yaml(imported))
            )
            for tube in tubes:
                compiled = compile_strategy(
                    strategy, match_panel(Panel.model_validate(imported.panel), tube.channels), tube
                )
                theirs, ours = (
                    evaluate(gates.gating, tube, tube),
                    evaluate(compiled.gating, tube, tube),
                )
                for path, name in imported.name_of.items():
                    assert np.array_equal(theirs.rows[path], ours.rows[compiled.path_of[name]]), (
                        path
                    )
                reached += sum(0 < len(rows) < tube.count for rows in theirs.rows.values())
        assert reached >= len(imported.name_of)


def side_by_side(foreign: Foreign) -> Foreign:
    """Put every shape directly under all events, so that made-up events reach it."""
    import flowkit
    from flowkit import gates

    flat = flowkit.GatingStrategy()
    for reference, matrix in foreign.gating.comp_matrices.items():
        flat.add_comp_matrix(reference, matrix)
    for reference, transform in foreign.gating.transformations.items():
        flat.add_transform(reference, transform)
    for number, path in enumerate(gate_paths(foreign.gating)):
        gate = copy.deepcopy(foreign.gating.get_gate(path[-1], path[:-1]))
        if not isinstance(gate, gates.BooleanGate):
            gate.gate_name = f"gate_{number}"
            flat.add_gate(gate, ("root",))
    return Foreign(foreign.source, flat, foreign.channels)


def test_shapes_on_other_scales_are_redrawn_and_noted():
    """Slanted edges and an ellipse on biexponential and arcsinh axes: at most 1 in 1,000 events
    changes sides."""
    import flowkit
    from flowkit import gates
    from flowkit._models.transforms import WSPBiexTransform

    gating = flowkit.GatingStrategy()
    gating.add_transform("biex", WSPBiexTransform(width=-100))
    gating.add_transform("asinh", flowkit.transforms.AsinhTransform(262144, 4.0, 1.0))
    sides = [flowkit.Dimension("FITC-A", None, "biex"), flowkit.Dimension("APC-A", None, "asinh")]
    slanted = [(700.0, 0.15), (3300.0, 0.4), (3900.0, 0.95), (1500.0, 0.8)]
    gating.add_gate(gates.PolygonGate("slanted", sides, slanted), ("root",))
    gating.add_gate(gates.PolygonGate("outside", sides, slanted, use_complement=True), ("root",))
    asinh = [flowkit.Dimension("FITC-A", None, "asinh"), flowkit.Dimension("APC-A", None, "asinh")]
    gating.add_gate(
        gates.EllipsoidGate("round", asinh, [0.6, 0.6], [[0.02, 0.01], [0.01, 0.03]], 2.0),
        ("root",),
    )
    panel = small_panel({"CD3": "FITC-A", "CD19": "APC-A"}, (), compensated=False)
    imported = import_gates(Foreign("made up", gating), panel, "imported")
    rng = np.random.default_rng(8)
    events = rng.choice([-0.01, 1.0], (100_000, 2), p=[0.1, 0.9]) * 10 ** rng.uniform(
        1, 5.4, (100_000, 2)
    )
    tube = ArrayTube(events, ("FITC-A", "APC-A"), ("CD3", "CD19"))
    strategy = Strategy.model_validate(YAML(typ="safe", pure=True).load(strategy_yaml(imported)))
    compiled = compile_strategy(strategy, match_panel(panel, tube.channels), tube)
    theirs, ours = evaluate(gating, tube, tube), evaluate(compiled.gating, tube, tube)
    for path, name in imported.name_of.items():
        assert 5_000 < theirs.count(path) < 95_000
        assert np.setxor1d(theirs.rows[path], ours.rows[compiled.path_of[name]]).size <= 100, path
    noted = {note.gate for note in imported.notes if note.outcome == "approximated"}
    assert noted == {"slanted", "outside", "round"}
    assert any("none_of" in note.text for note in imported.notes if note.gate == "outside")


def test_gates_that_depend_on_a_lost_gate_are_lost_too():
    import flowkit
    from flowkit import gates

    gating = flowkit.GatingStrategy()
    gating.add_gate(
        gates.RectangleGate("CD99+", [flowkit.Dimension("Strange-A", None, None, 1.0)]), ("root",)
    )
    gating.add_gate(
        gates.RectangleGate("below", [flowkit.Dimension("FITC-A", None, None, 1.0)]),
        ("root", "CD99+"),
    )
    gating.add_gate(
        gates.RectangleGate("CD3+", [flowkit.Dimension("FITC-A", None, None, 1.0)]), ("root",)
    )
    references = [
        {"ref": "CD3+", "path": ("root",), "complement": False},
        {"ref": "CD99+", "path": ("root",), "complement": True},
    ]
    gating.add_gate(gates.BooleanGate("both", "and", references), ("root",))
    imported = import_gates(
        Foreign("made up", gating),
        small_panel({"CD3": "FITC-A"}, (), compensated=False),
        "imported",
    )
    assert imported.name_of == {("root", "CD3+"): "CD3pos"}
    assert {note.gate: note.text for note in imported.lost} == {
        "CD99+": "It needs the channel Strange-A, which the panel lab does not read.",
        "CD99+/below": "Its parent CD99+ could not be carried over.",
        "both": "It combines CD99+, which could not be carried over.",
    }


# FlowJo: gates that differ from sample to sample


@needs_shared
@pytest.mark.parametrize(
    ("workspace", "own"),
    [
        ("simple_line_example/simple_poly_and_rect.wsp", set()),
        ("simple_line_example/simple_poly_and_rect_v2_poly50.wsp", {"poly1", "rect1"}),
        ("simple_diamond_example/test_data_diamond_asinh_rect.wsp", {"upper_right"}),
        ("workspaces_only/8_color_ICS.wsp", set()),
        ("workspaces_only/8_color_ICS_sample_without_gates.wsp", set()),
    ],
)
def test_a_gate_drawn_for_one_sample_alone_is_noted(workspace, own):
    path = SHARED / "flowjo" / workspace
    notes = read_foreign(path, sample_names(path)[0]).notes
    noted = {note.gate: note.text for note in notes if note.outcome == "to do"}
    assert noted.keys() == own
    assert all(text.startswith("This sample's own: the group ") for text in noted.values())


@needs_shared
def test_a_sample_that_differs_from_its_group_is_noted_whatever_owner_it_names(tmp_path):
    from lxml import etree

    source = SHARED / "flowjo" / "workspaces_only" / "8_color_ICS_simple.wsp"
    document = etree.parse(source)
    sample = next(document.getroot().iter("SampleNode"))
    time_gate = next(each for each in sample.iter("Population") if each.get("name") == "Time")
    dimension = next(
        each for each in time_gate.find("Gate").iter() if etree.QName(each).localname == "dimension"
    )
    place = next(key for key in dimension.attrib if key.endswith(("}min", "}max")))
    dimension.set(place, str(float(dimension.get(place)) + 1))
    last = next(each for each in sample.iter("Population") if each.get("name") == "CD3+")
    last.set("name", "CD3 bright")
    changed = tmp_path / "changed.wsp"
    document.write(str(changed))
    notes = [
        note for note in read_foreign(changed, sample.get("name")).notes if note.outcome == "to do"
    ]
    assert [note.gate.rpartition("/")[2] for note in notes] == ["Time", "CD3 bright", ""]
    assert "DEN has it drawn otherwise" in notes[0].text
    assert "This sample alone has it" in notes[1].text
    assert "has gates that this sample has not: Time/Singlets/aAmine-/CD3+" in notes[2].text
