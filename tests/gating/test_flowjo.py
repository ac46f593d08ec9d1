"""A FlowJo workspace is read as FlowJo reads it; what cannot be carried over is named and takes
nothing with it."""

import json
import re
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from gating.evaluation.engine import evaluate
from gating.exchange.adopt_workspace import adopt_workspace
from gating.exchange.checked_import import CheckedImport, import_checked
from gating.exchange.describe_files import describe_files
from gating.exchange.import_files import strategy_of
from gating.exchange.read_document import read_foreign
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from panels.drafting.draft import draft_panel
from panels.drafting.place_draft import known_panels, write_draft
from panels.panel import Panel
from panels.text.errors import StrategyFault, UsageFault
from tests.gating.workspaces import (
    DETECTORS,
    SPILL,
    TOP,
    Written,
    combination,
    ellipse,
    in_ellipse,
    lab_panel,
    polygon,
    population,
    raw_events,
    rectangle,
    rectangle_on,
    write_tube,
)
from tests.shared_data import SHARED, needs_shared

FIELD = SHARED / "field"
MOST_PLACES = 256


def imported(
    folder: Path,
    written: Written,
    raw: np.ndarray,
    *,
    keywords: dict[str, str] | None = None,
    panel: Panel | None = None,
    stores_spill: bool = True,
) -> tuple[dict[str, int | None], CheckedImport]:
    """Import a workspace with its tube; gives what each gate counts under the imported strategy.

    The tube stores the workspace's matrix, unless not ``stores_spill``.
    """
    workspace = written.write(folder / "lab.wsp")
    tube = write_tube(
        folder / "tube.fcs",
        raw,
        keywords=keywords,
        spill=stores_spill and written.matrix is not None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = import_checked(
            workspace,
            panel or lab_panel(compensated=written.matrix is not None),
            "lab",
            tube=tube,
            accept=True,
        )
    return {each.gate: each.counted for each in done.compared}, done


def lost(done: CheckedImport) -> dict[str, str]:
    return {note.gate: note.text for note in done.imported.lost}


def recorded(gate: str, shape: str) -> str:
    """Write a population with some recorded count, so that it is compared."""
    return population(gate, shape, 1)


# Gains: FlowJo 10 leaves $PnG alone, we divide by it


@needs_shared
@pytest.mark.parametrize("tube", [None, FIELD / "gain2.fcs"])
def test_gates_on_a_channel_with_a_gain_give_the_recorded_counts(tube):
    foreign = read_foreign(FIELD / "gain2.wsp", None, None if tube is None else read_header(tube))
    header = read_header(FIELD / "gain2.fcs")
    kept = evaluate(foreign.gating, open_events(header), header)
    assert {path[-1]: kept.count(path) for path in kept.rows} == {"R": 2451, "P": 602}
    assert any("declares a gain on FSC-A (2)" in note.text for note in foreign.notes)


GAINS = {"$P1G": "2", "$P2G": "0.5", "$P3G": "4", "$P4G": "0.25", "$P5G": "8"}
BIEX = (
    'biex transforms:length="256" transforms:maxRange="262144" transforms:neg="0" '
    'transforms:width="-100" transforms:pos="4.418539922"'
)
LOGICLE = (
    'logicle transforms:length="256" transforms:T="262144" transforms:A="0" transforms:W="0.5" '
    'transforms:M="4.5"'
)
ASINH = (
    'fasinh transforms:length="256" transforms:maxRange="262144" transforms:T="262144" '
    'transforms:A="0.5" transforms:M="4" transforms:W="1"'
)
LOG = 'log transforms:offset="10" transforms:decades="4.418539922"'
MARKED = {f"Comp-{detector}": LOGICLE for detector in DETECTORS[2:5]}


@pytest.mark.parametrize("keywords_in", ["file", "workspace", "both"])
def test_every_shape_on_gained_and_compensated_channels_counts_as_without_the_gain(
    keywords_in, tmp_path
):
    raw = raw_events()
    gates = "".join(
        [
            recorded("scatter", rectangle(FSC_A=(50_000.0, 180_000.0), SSC_A=(20_000.0, None))),
            recorded(
                "dyes", rectangle_on({"Comp-FITC-A": (900.0, None), "Comp-PE-A": (None, 5000.0)})
            ),
            recorded(
                "corners",
                polygon("Comp-FITC-A", "Comp-APC-A", [(100, 80), (50_000, 300), (9000, 90_000)]),
            ),
            recorded("round", ellipse("FSC-A", "SSC-A", (120, 90), (60, 25), 0.6)),
        ]
    )
    written = Written(
        gates, scales=MARKED, keywords={} if keywords_in == "file" else GAINS, matrix=("Comp-", "")
    )
    plain, _ = imported(tmp_path, Written(gates, scales=MARKED, matrix=("Comp-", "")), raw)
    gained = raw.copy()
    counts, done = imported(tmp_path, written, gained, keywords=GAINS)
    true = raw[:, 2:5] @ np.linalg.inv(SPILL)
    assert counts["scatter"] == np.sum(
        (raw[:, 0] >= 50_000) & (raw[:, 0] < 180_000) & (raw[:, 1] >= 20_000)
    )
    assert counts["dyes"] == np.sum((true[:, 0] >= 900) & (true[:, 1] < 5000))
    assert counts["round"] == np.sum(in_ellipse(raw[:, :2] / TOP * 256, (120, 90), (60, 25), 0.6))
    assert abs(counts["corners"] - plain["corners"]) <= 2  # redrawn: a logicle of another T
    assert plain["corners"] > 400
    assert not lost(done)


def test_without_a_file_the_gains_the_workspace_keeps_are_used(tmp_path):
    workspace = Written(
        population("R", rectangle(FSC_A=(100_000.0, None)), 1), keywords={"$P1G": "4"}
    ).write(tmp_path / "lab.wsp")
    done = import_checked(workspace, lab_panel(), "lab")
    assert done.imported.document["gates"][0]["rectangle"] == {"FSC-A": {"above": 25_000.0}}
    assert any("were not compared: no tube is at hand" in note.text for note in done.imported.notes)


def test_a_file_whose_gain_is_not_the_workspaces_is_noted(tmp_path):
    raw = raw_events()
    written = Written(recorded("R", rectangle(FSC_A=(100_000.0, None))), keywords={"$P1G": "4"})
    counts, done = imported(tmp_path, written, raw, keywords={"$P1G": "2"})
    assert counts["R"] == np.sum(raw[:, 0] >= 100_000)
    assert any(
        "declares the gain 2 on FSC-A, the workspace 4" in note.text for note in done.imported.notes
    )


def test_a_gain_chosen_by_flowjo_is_not_guessed(tmp_path):
    scale = f'linear transforms:minRange="0" transforms:maxRange="{TOP:g}" gain="3"'
    gates = recorded("odd", rectangle(FSC_A=(1.0, None))) + recorded(
        "well", rectangle(SSC_A=(100_000.0, None))
    )
    counts, done = imported(tmp_path, Written(gates, scales={"FSC-A": scale}), raw_events())
    assert "gain of its own (3)" in lost(done)["odd"]
    assert counts["odd"] is None
    assert counts["well"]


# Time


def time_scale(gain: float, top: float) -> dict[str, str]:
    return {"Time": f'linear transforms:minRange="0" transforms:maxRange="{top}" gain="{gain}"'}


@pytest.mark.parametrize(
    ("gain", "top", "step"),
    [
        (0.01, 60, "0.0001"),
        (0.01, 60, "0.02"),
        (0.01, 60, "0.01"),
        (0.01, 60, None),
        (1, TOP * 0.01, "0.01"),
        (1, TOP, "0.01"),
        (1, 60, None),
    ],
)
def test_a_time_gate_keeps_the_ticks_it_kept_in_flowjo(gain, top, step, tmp_path):
    raw = raw_events()
    seconds_a_tick = 0.01 if top == TOP * 0.01 else gain
    gate = recorded("T", rectangle(Time=(500 * seconds_a_tick, 1500 * seconds_a_tick)))
    counts, done = imported(
        tmp_path,
        Written(gate, scales=time_scale(gain, top)),
        raw,
        keywords={"$TIMESTEP": step} if step else None,
    )
    assert not lost(done)
    assert counts["T"] == 1000


@pytest.mark.parametrize(
    ("gain", "top", "keywords"),
    [(1, 60, {"$TIMESTEP": "0.01"}), (0.01, 60, {}), (0, 60, {}), (-1, 60, {})],
)
def test_a_time_gate_whose_unit_is_not_clear_is_named_as_left_out(gain, top, keywords, tmp_path):
    gates = population("T", rectangle(Time=(1.0, 2.0))) + population(
        "R", rectangle(FSC_A=(1.0, None))
    )
    workspace = Written(gates, scales=time_scale(gain, top), keywords=keywords).write(
        tmp_path / "lab.wsp"
    )
    done = import_checked(workspace, lab_panel(), "lab")
    assert lost(done).keys() == {"T"}
    assert "Time" in lost(done)["T"]


# Ellipses, in FlowJo's 256 × 256 display


def shown(kind: str, values: np.ndarray) -> np.ndarray:
    """Bring values to places of the display (0 to 256), by formulas written here."""
    import flowkit

    if kind.startswith("linear"):
        low, high = (float(part.partition('"')[2].rstrip('"')) for part in kind.split()[1:3])
        return (values - low) / (high - low) * 256
    if kind == LOG:
        return np.log10(np.maximum(values, 10) / 10) / 4.418539922 * 256
    if kind == ASINH:
        return (
            (np.arcsinh(values * np.sinh(4 * np.log(10)) / TOP) + 0.5 * np.log(10))
            / (4.5 * np.log(10))
            * 256
        )
    if kind == LOGICLE:
        return (
            np.asarray(
                flowkit.transforms.LogicleTransform(TOP, 0.5, 4.5, 0).apply(values.reshape(-1, 1))
            )[:, 0]
            * 256
        )
    from flowkit._models.transforms import WSPBiexTransform

    return np.asarray(WSPBiexTransform(0, -100, 4.418539922, TOP).apply(values)) / 16


SCALES = {
    "negative minimum": 'linear transforms:minRange="-20000" transforms:maxRange="262144" gain="1"',
    "positive minimum": 'linear transforms:minRange="50000" transforms:maxRange="150000" gain="1"',
    "biexponential": BIEX,
    "logicle": LOGICLE,
    "arcsinh": ASINH,
    "log": LOG,
}


@pytest.mark.parametrize("turn", [0.0, 0.5, -1.2])
@pytest.mark.parametrize("inside", [1, 0])
@pytest.mark.parametrize("scale", SCALES)
def test_an_ellipse_lies_where_the_display_shows_it(scale, inside, turn, tmp_path):
    raw = raw_events(20_000)
    kind, other = (
        SCALES[scale],
        'linear transforms:minRange="-5000" transforms:maxRange="200000" gain="1"',
    )
    x, y = ("FITC-A", "PE-A") if not kind.startswith("linear") else ("FSC-A", "SSC-A")
    gate = recorded("E", ellipse(x, y, (150, 130), (80, 45), turn, inside=inside))
    counts, done = imported(
        tmp_path,
        Written(gate, scales={x: kind, y: kind if x == "FITC-A" else other}, events=20_000),
        raw,
    )
    columns = [DETECTORS.index(x), DETECTORS.index(y)]
    places = np.column_stack(
        [
            shown(kind, raw[:, columns[0]]),
            shown(kind if x == "FITC-A" else other, raw[:, columns[1]]),
        ]
    )
    truth = in_ellipse(places, (150, 130), (80, 45), turn)
    truth = truth if inside else ~truth
    assert not lost(done)
    assert 1000 < truth.sum() < 19_000
    assert abs(counts["E"] - truth.sum()) <= 0.001 * 20_000


@needs_shared
def test_an_ellipse_on_a_linear_axis_with_a_negative_minimum_counts_right():
    done = import_checked(
        FIELD / "ellipse_negative_min.wsp",
        lab_panel(),
        "lab",
        tube=FIELD / "ellipse_negative_min.fcs",
    )
    assert [each.counted for each in done.compared] == [401]


def test_a_circle_is_imported_and_so_are_the_gates_beside_it(tmp_path):
    raw = raw_events()
    below = population("below", rectangle(FSC_A=(100_000.0, None)), 1)
    circle = population("C", ellipse("FSC-A", "SSC-A", (100, 140), (40, 40)), 1, below)
    counts, done = imported(
        tmp_path, Written(circle + recorded("R", rectangle(FSC_A=(100_000.0, None)))), raw
    )
    truth = in_ellipse(raw[:, :2] / TOP * 256, (100, 140), (40, 40))
    assert counts == {
        "C": truth.sum(),
        "C/below": (truth & (raw[:, 0] >= 100_000)).sum(),
        "R": (raw[:, 0] >= 100_000).sum(),
    }
    assert not lost(done)


# One bad gate loses no other

VERTEX = (
    '<gating:vertex><gating:coordinate data-type:value="{}"/><gating:coordinate '
    'data-type:value="5"/></gating:vertex>'
)
LONG_ELLIPSE = ellipse("FSC-A", "SSC-A", (100, 100), (50, 1))
NAMELESS = '<gating:RectangleGate><gating:dimension gating:min="1"/></gating:RectangleGate>'
OPEN = rectangle(FSC_A=(1.0, None))
TRIANGLE = polygon("FSC-A", "SSC-A", [(1, 1), (2, 2), (3, 1)])
ROUND = ellipse("FSC-A", "SSC-A", (9, 9), (5, 4))
BAD = {
    "no Gate": '<Population name="bad" count="1" owningGroup=""/>',
    "empty Gate": population("bad", "", 1),
    "two shapes": population("bad", rectangle(FSC_A=(1.0, None)) + rectangle(SSC_A=(1.0, None)), 1),
    "unknown kind": population("bad", "<gating:SpiderGate/>", 1),
    "Curly quadrant": population("bad", "<gating:CurlyQuad/>", 1),
    "no channel": population("bad", NAMELESS, 1),
    "word for a bound": population("bad", OPEN.replace('"1.0"', '"one"'), 1),
    "NaN for a bound": population("bad", OPEN.replace('"1.0"', '"nan"'), 1),
    "no axis": population("bad", "<gating:RectangleGate/>", 1),
    "two corners": population("bad", polygon("FSC-A", "SSC-A", [(1, 1), (2, 2)]), 1),
    "one axis": population("bad", TRIANGLE.replace('name="SSC-A"', 'name=""'), 1),
    "endless corner": population("bad", TRIANGLE.replace('"3.0"', '"inf"'), 1),
    "no foci": population("bad", ROUND.replace("gating:foci", "gating:other"), 1),
    "foci beyond the edge": population(
        "bad", LONG_ELLIPSE.replace('"150.0"', '"101.0"').replace('"50.0"', '"99.0"'), 1),
    "eventsInside": population(
        "bad", OPEN.replace('eventsInside="1"', 'eventsInside="maybe"'), 1),
    "unpublished scale": population("bad", polygon("FITC-A", "SSC-A", [(1, 1), (2, 9), (9, 1)]), 1),
    "broken scale": population("bad", rectangle_on({"PE-A": (1.0, None)}), 1),
    "derived parameter": population("bad", rectangle_on({"Ratio": (1.0, None)}), 1),
    "itself combined": combination("AndNode", "bad", ["bad", "R"], 1),
    "nothing combined": combination("OrNode", "bad", [], 1),
    "combined with what is not there": combination("OrNode", "bad", ["R", "nowhere"], 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_gate_is_named_with_those_that_depend_on_it_and_the_others_are_imported(
    kind, tmp_path
):
    raw = raw_events()
    below = population(
        "below",
        rectangle(FSC_A=(2.0, None)),
        1,
        population("deeper", rectangle(FSC_A=(3.0, None)), 1),
    )
    bad = BAD[kind].replace(
        "</Population>", f"<Subpopulations>{below}</Subpopulations></Population>"
    )
    both = combination("AndNode", "both", ["bad", "R"], 1)
    scales = {
        "FITC-A": 'miltenyi transforms:maxRange="1"',
        "PE-A": LOGICLE.replace('W="0.5"', 'W="9"'),
    }
    written = Written(bad + recorded("R", rectangle(FSC_A=(100_000.0, None))) + both, scales=scales)
    workspace = written.text().replace(
        "<Keywords>",
        '<DerivedParameters><DerivedParameter name="Ratio"/></DerivedParameters><Keywords>',
        1,
    )
    (tmp_path / "text.wsp").write_text(workspace, encoding="utf-8")
    tube = write_tube(tmp_path / "tube.fcs", raw)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = import_checked(tmp_path / "text.wsp", lab_panel(), "lab", tube=tube, accept=True)
    assert {each.gate: each.counted for each in done.compared}["R"] == (raw[:, 0] >= 100_000).sum()
    noted = lost(done)
    assert noted["bad"]
    assert "bad" in noted["both"] or "circle" in noted["both"]
    if "below" in bad and "<Subpopulations>" in bad:
        assert noted["bad/below"] == "Its parent bad could not be carried over."
        assert noted["bad/below/deeper"] == "Its parent below could not be carried over."
    strategy_of(done.imported)


def test_gates_too_deep_are_left_out_and_the_others_imported(tmp_path):
    chain = "".join(
        combination("OrNode", f"b{n}", [f"b{n - 1}", f"b{n - 1}"], 1) for n in range(500, 0, -1)
    )
    begun = time.monotonic()
    counts, done = imported(
        tmp_path, Written(chain + recorded("b0", rectangle(FSC_A=(100_000.0, None)))), raw_events()
    )
    assert time.monotonic() - begun < 5
    assert counts["b0"] == counts["b20"]
    assert counts["b500"] is None
    assert "one on the other" in lost(done)["b30"] or "one on the other" in lost(done)["b31"]


# Names


MARKS = [
    ("", "*"),
    ("*", ""),
    ("(", ")"),
    ("C+", ".*"),
    ("[a-", "]"),
    ("Comp-", "::"),
    ("\\", "|"),
    ("Comp-", "-A"),
]


@pytest.mark.parametrize(("prefix", "suffix"), MARKS)
def test_marks_of_compensation_are_names_and_no_patterns(prefix, suffix, tmp_path):
    raw = raw_events()
    names = {detector: f"{prefix}{detector}{suffix}" for detector in DETECTORS[2:5]}
    gates = recorded("C", rectangle_on({names["FITC-A"]: (1000.0, None)})) + recorded(
        "S", rectangle(SSC_A=(1000.0, None))
    )
    counts, done = imported(tmp_path, Written(gates, matrix=(prefix, suffix)), raw)
    true = raw[:, 2:5] @ np.linalg.inv(SPILL)
    assert counts == {"C": (true[:, 0] >= 1000).sum(), "S": (raw[:, 1] >= 1000).sum()}
    assert not lost(done)


def test_a_compensated_gate_is_read_on_the_scale_of_its_compensated_channel(tmp_path):
    raw = raw_events(20_000)
    gate = recorded("E", ellipse("Comp-FITC-A", "SSC-A", (150, 130), (60, 45)))
    written = Written(gate, scales={"Comp-FITC-A": LOGICLE}, matrix=("Comp-", ""), events=20_000)
    counts, _ = imported(tmp_path, written, raw)
    true = raw[:, 2:5] @ np.linalg.inv(SPILL)
    truth = in_ellipse(
        np.column_stack([shown(LOGICLE, true[:, 0]), raw[:, 1] / TOP * 256]), (150, 130), (60, 45)
    )
    assert abs(counts["E"] - truth.sum()) <= 0.001 * 20_000


ODD_NAMES = [
    "CD4+/CD8-",
    "a/b/c",
    "/",
    "7 days",
    "naïve ½ (x)",
    "+",
    "-",
    ".",
    "..",
    "root",
    "a&b<c>",
    '"',
    "x:y",
    "日本",
]
ODD_NAMES += [" ", "a\tb", "[*]", "%s{0}"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_gate_may_have_any_name_and_so_may_its_parent(name, tmp_path):
    raw = raw_events()
    inner = population(name, rectangle(SSC_A=(100_000.0, None)), 1)
    gates = population(name, rectangle(FSC_A=(100_000.0, None)), 1, inner) + combination(
        "NotNode", "not it", [name], 1
    )
    gates += combination("AndNode", "both", [name, f"{name}/{name}"], 1)
    counts, done = imported(tmp_path, Written(gates), raw)
    outer = raw[:, 0] >= 100_000
    both = outer & (raw[:, 1] >= 100_000)
    assert not lost(done)
    assert list(counts.values()) == [outer.sum(), (~outer).sum(), both.sum(), both.sum()]


def test_two_populations_of_one_name_are_both_imported(tmp_path):
    raw = raw_events()
    gates = recorded("R", rectangle(FSC_A=(100_000.0, None))) + recorded(
        "R", rectangle(FSC_A=(200_000.0, None))
    )
    counts, done = imported(
        tmp_path, Written(gates + combination("NotNode", "other", ["R"], 1)), raw
    )
    assert list(counts.values())[:2] == [(raw[:, 0] >= 100_000).sum(), (raw[:, 0] >= 200_000).sum()]
    assert lost(done) == {"other": "It combines R, which is the name of several gates."}


@needs_shared
def test_the_field_case_with_a_star_is_imported():
    foreign = read_foreign(FIELD / "suffix_star.wsp")
    header = read_header(FIELD / "gain2.fcs")
    events = open_events(header)
    kept = evaluate(foreign.gating, events, header)
    true = events.columns([3, 4]) @ np.linalg.inv(np.array([[1, 0.2], [0.1, 1]]))
    assert kept.count(("root", "C")) == (true[:, 0] >= 1000).sum()


# The top of the scale


def test_without_a_file_the_scale_ends_where_the_document_ends_it(tmp_path):
    scale = LOGICLE.replace("262144", "4194304")
    keywords = {"$P3R": "", "$P4R": "4194304.0", "$P5R": "  4194304 "}
    corners = polygon("FITC-A", "PE-A", [(100, 100), (1e6, 100), (1e6, 1e6), (100, 1e6)])
    gates = population("P", corners) + population("R", rectangle_on({"APC-A": (2e6, None)}))
    scales = dict.fromkeys(DETECTORS[2:5], scale)
    done = import_checked(
        Written(gates, scales=scales, keywords=keywords).write(tmp_path / "lab.wsp"),
        lab_panel(),
        "lab",
    )
    written = {gate["gate"]: gate for gate in done.imported.document["gates"]}
    assert np.allclose(
        written["P"]["polygon"]["vertices"],
        np.array([(100, 100), (1e6, 100), (1e6, 1e6), (100, 1e6)]) / 16,
    )
    assert written["R"]["rectangle"] == {"CD19": {"above": 125_000.0}}
    assert done.imported.document["scales"]["CD3"] == {"w": 0.5, "m": 4.5, "a": 0.0}
    assert not [note for note in done.imported.notes if note.outcome == "approximated"]


def test_gatingml_is_read_to_the_end_of_its_own_scale_without_a_file(tmp_path):
    document = tmp_path / "gates.xml"
    document.write_text(
        '<gating:Gating-ML xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating" '
        'xmlns:data-type="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes" '
        'xmlns:transforms="http://www.isac-net.org/std/Gating-ML/v2.0/transformations">'
        '<transforms:transformation transforms:id="L"><transforms:logicle '
        'transforms:T="4194304" transforms:W="0.5" transforms:M="4.5" '
        'transforms:A="0"/></transforms:transformation><gating:RectangleGate gating:id="R">'
        '<gating:dimension gating:compensation-ref="uncompensated" '
        'gating:transformation-ref="L" gating:min="0.5">'
        '<data-type:fcs-dimension data-type:name="FITC-A"/></gating:dimension>'
        '<gating:dimension gating:compensation-ref="uncompensated" gating:min="100">'
        "<data-type:fcs-dimension "
        'data-type:name="FSC-A"/></gating:dimension></gating:RectangleGate></gating:Gating-ML>'
    )
    done = import_checked(document, lab_panel(), "lab")
    import flowkit

    place = flowkit.transforms.LogicleTransform(4194304, 0.5, 4.5, 0).inverse(np.array([[0.5]]))[
        0, 0
    ]
    sides = done.imported.document["gates"][0]["rectangle"]
    assert sides["CD3"]["above"] == pytest.approx(place / 16)
    assert sides["FSC-A"]["above"] == 100
    noted = " ".join(note.text for note in done.imported.notes)
    assert "the end of the document's own scale was taken: CD3 4194304." in noted
    assert "does not say how far values reach on FSC-A: 262144 was taken" in noted


# Counts the workspace recorded


def counted_workspace(folder: Path, **counts: int) -> tuple[Path, Path]:
    """Write a workspace with a rectangle and a polygon whose recorded counts are right, but for
    those given; and its tube."""
    raw = raw_events()
    inside = ((raw[:, :2] >= 50_000) & (raw[:, :2] < 150_000)).all(axis=1)
    true = {"R": int((raw[:, 0] >= 100_000).sum()), "P": int(inside.sum())} | counts
    gates = population("R", rectangle(FSC_A=(100_000.0, None)), true["R"])
    corners = [(50_000, 50_000), (150_000, 50_000), (150_000, 150_000), (50_000, 150_000)]
    gates += population("P", polygon("FSC-A", "SSC-A", corners), true["P"])
    return Written(gates).write(folder / "lab.wsp"), write_tube(folder / "T.FCS", raw)


def test_a_tube_beside_the_workspace_under_its_name_is_compared(tmp_path):
    workspace, _ = counted_workspace(tmp_path)
    done = import_checked(workspace, lab_panel(), "lab")
    assert [(each.gate, each.verdict) for each in done.compared] == [("R", "same"), ("P", "same")]


def test_a_difference_within_the_binning_is_imported_and_one_beyond_is_refused(tmp_path):
    true = {
        each.gate: each.recorded
        for each in import_checked(counted_workspace(tmp_path)[0], lab_panel(), "lab").compared
    }
    workspace, _ = counted_workspace(tmp_path, P=true["P"] + 5)
    done = import_checked(workspace, lab_panel(), "lab")
    assert [(each.gate, each.difference, each.verdict) for each in done.compared] == [
        ("R", 0, "same"),
        ("P", -5, "within the binning"),
    ]
    workspace, _ = counted_workspace(tmp_path, P=int(true["P"] * 1.015))
    near = import_checked(workspace, lab_panel(), "lab")
    assert any(
        note.gate == "P" and "many events lie on the edge" in note.text
        for note in near.imported.notes
    )
    workspace, _ = counted_workspace(tmp_path, P=int(true["P"] * 1.1))
    with pytest.raises(
        StrategyFault,
        match=rf"P: recorded {int(true['P'] * 1.1):,}, counted {true['P']:,}.*--accept",
    ):
        import_checked(workspace, lab_panel(), "lab")
    # FlowJo decides a rectangle exactly: five events are too many.
    workspace, tube = counted_workspace(tmp_path, R=true["R"] + 5)
    with pytest.raises(StrategyFault, match=r"R: recorded .*--accept"):
        import_checked(workspace, lab_panel(), "lab", tube=tube)
    accepted = import_checked(workspace, lab_panel(), "lab", tube=tube, accept=True)
    assert any(note.gate == "R" and "--accept" in note.text for note in accepted.imported.notes)


def test_a_marker_that_no_other_spills_into_need_not_be_in_the_tube(tmp_path):
    raw = raw_events()
    more = {"marker": "CD8", "detector": "BV421-A"}
    panel = lab_panel(compensated=True)
    panel = Panel.model_validate(
        panel.model_dump() | {"markers": [*panel.model_dump()["markers"], more]}
    )
    written = Written(
        recorded("C", rectangle_on({"Comp-FITC-A": (1000.0, None)})), matrix=("Comp-", "")
    )
    counts, done = imported(tmp_path, written, raw, panel=panel, stores_spill=False)
    assert counts["C"] == ((raw[:, 2:5] @ np.linalg.inv(SPILL))[:, 0] >= 1000).sum()
    assert not any("needs CD8" in note.text for note in done.imported.notes)


@pytest.mark.parametrize("stores_spill", [True, False])
def test_a_matrix_that_the_file_stores_is_taken_from_each_file(tmp_path, stores_spill):
    raw = raw_events()
    written = Written(
        recorded("C", rectangle_on({"Comp-FITC-A": (1000.0, None)})), matrix=("Comp-", "")
    )
    counts, done = imported(tmp_path, written, raw, stores_spill=stores_spill)
    assert counts["C"] == ((raw[:, 2:5] @ np.linalg.inv(SPILL))[:, 0] >= 1000).sum()
    assert (done.imported.panel is None) == stores_spill


def test_another_tube_than_the_one_gated_is_recognised_by_its_events(tmp_path):
    workspace, _ = counted_workspace(tmp_path)
    other = write_tube(tmp_path / "other.fcs", raw_events(5000, seed=9))
    with pytest.raises(StrategyFault, match=r"t\.fcs has 6,000 events, the tube 5,000"):
        import_checked(workspace, lab_panel(), "lab", tube=other)


def test_the_tube_is_found_in_a_folder_by_the_samples_name(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "tubes" / "day 1").mkdir(parents=True)
    workspace, tube = counted_workspace(tmp_path / "in")
    with pytest.raises(UsageFault, match=r"holds no file called t\.fcs"):
        import_checked(workspace, lab_panel(), "lab", tube=tmp_path / "tubes")
    tube.rename(tmp_path / "tubes" / "day 1" / "t.fcs")
    assert not import_checked(workspace, lab_panel(), "lab").compared
    assert len(import_checked(workspace, lab_panel(), "lab", tube=tmp_path / "tubes").compared) == 2
    (tmp_path / "tubes" / "t.fcs").write_bytes(
        (tmp_path / "tubes" / "day 1" / "t.fcs").read_bytes()
    )
    with pytest.raises(UsageFault, match=r"several files of t\.fcs"):
        import_checked(workspace, lab_panel(), "lab", tube=tmp_path / "tubes")


def test_a_broken_tube_beside_the_workspace_does_not_stop_the_import(tmp_path):
    workspace, tube = counted_workspace(tmp_path)
    tube.write_bytes(b"no FCS file")
    done = import_checked(workspace, lab_panel(), "lab")
    assert not done.compared
    assert any("beside the workspace cannot be read" in note.text for note in done.imported.notes)


def test_a_sample_flowjo_has_not_counted_is_noted_and_not_refused(tmp_path):
    workspace, _ = counted_workspace(tmp_path, R=0, P=0)
    done = import_checked(workspace, lab_panel(), "lab")
    assert {each.verdict for each in done.compared} == {"not counted by FlowJo"}
    assert any("FlowJo had not counted it" in note.text for note in done.imported.notes)


def test_a_gate_of_the_sample_wins_over_its_groups(tmp_path):
    raw = raw_events()
    own = int((raw[:, 0] >= 100_000).sum())
    group = population("R", rectangle(FSC_A=(140_000.0, None)), 1).replace(
        'owningGroup=""', 'owningGroup="G"'
    )
    groups = (
        '<Groups><GroupNode name="G" owningGroup="G"><Group name="G"><SampleRefs><SampleRef '
        'sampleID="1"/></SampleRefs></Group>'
        f"<Subpopulations>{group}</Subpopulations></GroupNode></Groups><SampleList>"
    )
    text = (
        Written(population("R", rectangle(FSC_A=(100_000.0, None)), own))
        .text()
        .replace("<SampleList>", groups)
    )
    (tmp_path / "lab.wsp").write_text(text, encoding="utf-8")
    write_tube(tmp_path / "t.fcs", raw)
    done = import_checked(tmp_path / "lab.wsp", lab_panel(), "lab")
    assert [(each.counted, each.verdict) for each in done.compared] == [(own, "same")]
    assert any(
        note.gate == "R" and "the group G has it drawn otherwise" in note.text
        for note in done.imported.notes
    )


def sample_of(text: str, number: int) -> str:
    """Take the sample out of a workspace, as the one of that number."""
    inner = text[text.index("<Sample>") : text.index("</SampleList>")]
    return inner.replace('sampleID="1"', f'sampleID="{number}"')


def test_a_whole_workspace_is_compared_under_the_gates_of_each_sample(tmp_path):
    samples, tubes = [], tmp_path / "tubes"
    tubes.mkdir()
    true = {}
    for number, bound in ((1, 120_000.0), (2, 100_000.0), (3, 100_000.0), (4, 100_000.0)):
        raw = raw_events(seed=number)
        true[f"s{number}"] = int((raw[:, 0] >= bound).sum())
        written = Written(
            population("R", rectangle(FSC_A=(bound, None)), true[f"s{number}"]), sample=f"s{number}"
        )
        samples.append(sample_of(written.text(), number))
        if number != 4:
            write_tube(tubes / f"s{number}.fcs", raw)
    first = Written(
        population("R", rectangle(FSC_A=(1.0, None))), more_samples="".join(samples)
    ).text()
    (tmp_path / "lab.wsp").write_text(
        first[: first.index("<Sample>")] + "".join(samples) + "</SampleList></Workspace>",
        encoding="utf-8",
    )
    done = adopt_workspace(tmp_path / "lab.wsp", lab_panel(), "lab", tubes=tubes)
    events = raw_events(seed=1)[:, 0]
    assert [(each.sample, each.counted, each.verdict) for each in done.compared] == [
        ("s1", int((events >= 100_000).sum()), "own gate in this sample"),
        ("s2", true["s2"], "same"),
        ("s3", true["s3"], "same"),
        ("s4", None, "no FCS file"),
    ]
    assert done.imported.document["gates"][0]["rectangle"] == {"FSC-A": {"above": 100_000.0}}
    (own,) = done.deviations
    assert (own.sample, own.gate, own.kind) == ("s1", "R", "drawn otherwise")
    assert json.loads(own.own) == {"rectangle": {"FSC-A": {"above": 120_000.0}}}
    assert json.loads(own.common) == {"rectangle": {"FSC-A": {"above": 100_000.0}}}
    assert (own.counted_own, own.recorded) == (true["s1"], true["s1"])
    assert own.counted_strategy == int((events >= 100_000).sum())
    noted = " ".join(note.text for note in done.imported.notes)
    assert "s1 has not the common gates throughout (drawn otherwise: R). The strategy" in noted
    assert "s4: its FCS file (s4.fcs) is not there" in noted
    assert done.fault is None
    (tubes / "s3.fcs").write_bytes((tubes / "s2.fcs").read_bytes())
    done = adopt_workspace(tmp_path / "lab.wsp", lab_panel(), "lab", tubes=tubes)
    assert re.search(r"s3, R: recorded .*--accept", done.fault or "")


REAL = sorted((SHARED / "flowjo").glob("*/*.wsp")) if SHARED.is_dir() else []


@needs_shared
@pytest.mark.parametrize(
    "workspace",
    [path for path in REAL if path.parent.name != "workspaces_only"],
    ids=lambda p: p.stem,
)
def test_real_workspaces_count_as_flowjo_within_its_binning(workspace):
    from gating.exchange.binning import recorded_ranges

    for tube in workspace.parent.glob("*.fcs"):
        header = read_header(tube)
        foreign = read_foreign(workspace, tube.name, header)
        ranges = recorded_ranges(foreign, open_events(header), header)
        counted = evaluate(foreign.gating, open_events(header), header)
        if not any(foreign.recorded.values()):
            continue
        for path, recorded_count in foreign.recorded.items():
            assert ranges[path].least <= recorded_count <= ranges[path].most, path
            assert ranges[path].most - ranges[path].least <= 0.02 * header.event_count + 4
            assert ranges[path].least <= counted.count(path) <= ranges[path].most


def two_colours() -> Panel:
    """Give the panel without CD19, whose detector APC-A the workspace's matrix lists."""
    document = lab_panel(compensated=True).model_dump()
    return Panel.model_validate(document | {"markers": document["markers"][:2]})


@pytest.mark.parametrize("apart", [0.0, 9e-4])
def test_a_detector_that_nothing_spills_into_need_not_be_in_the_panel(tmp_path, monkeypatch, apart):
    matrix = np.array([[1.0, 0.2, apart], [0.1, 1.0, 0.0], [0.0, -apart, 1.0]])
    monkeypatch.setattr("tests.gating.workspaces.SPILL", matrix)
    raw = raw_events()
    written = Written(
        recorded("C", rectangle_on({"Comp-FITC-A": (1000.0, None)})), matrix=("Comp-", "")
    )
    counts, done = imported(tmp_path, written, raw, panel=two_colours(), stores_spill=False)
    assert done.imported.panel is not None
    assert np.shape(done.imported.panel["matrix"]) == (2, 2)
    assert any("also lists APC-A" in note.text for note in done.imported.notes)
    without = raw[:, 2:4] @ np.linalg.inv(matrix[:2, :2])
    assert counts["C"] == (without[:, 0] >= 1000).sum()


def test_a_detector_with_spill_must_be_in_the_panel(tmp_path, monkeypatch):
    matrix = np.array([[1.0, 0.2, 0.002], [0.1, 1.0, 0.0], [0.0, 0.0, 1.0]])
    monkeypatch.setattr("tests.gating.workspaces.SPILL", matrix)
    written = Written(
        recorded("C", rectangle_on({"Comp-FITC-A": (1000.0, None)})), matrix=("Comp-", "")
    )
    _, done = imported(tmp_path, written, raw_events(), panel=two_colours(), stores_spill=False)
    assert any("has APC-A: not of this panel" in note.text for note in done.imported.lost)


def test_a_matrix_with_a_millionth_in_one_cell_is_none(tmp_path, monkeypatch):
    matrix = np.eye(3)
    matrix[0, 1] = 1e-6  # as the Aurora writes its placeholder
    monkeypatch.setattr("tests.gating.workspaces.SPILL", matrix)
    raw = raw_events()
    written = Written(
        recorded("C", rectangle_on({"Comp-FITC-A": (1000.0, None)})), matrix=("Comp-", "")
    )
    counts, done = imported(tmp_path, written, raw, panel=lab_panel())
    assert done.imported.lost == ()
    assert counts["C"] == (raw[:, 2] >= 1000).sum()


@needs_shared
def test_every_gate_of_a_real_workspace_is_counted_under_the_panel_drafted_from_it(tmp_path):
    folder = SHARED / "flowjo" / "cell_counts"
    shipped = known_panels(None)
    draft = draft_panel("mine", describe_files([folder / "CellCounts.wsp"]), shipped, shipped)
    _, panel = write_draft(draft, tmp_path, None)
    done = adopt_workspace(folder / "CellCounts.wsp", panel, "mine", tubes=folder)
    assert done.imported.lost == ()
    assert [(each.recorded, each.counted) for each in done.compared] == [
        (8023, 8023),
        (2983, 2985),
        (5173, 5173),
        (2193, 2253),
    ]
    assert [(each.recorded, each.counted_own) for each in done.deviations] == [(2193, 2189)]
