import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from gating.display.gate_view import Axis, GateView
from tasks.publish.figure_bytes import png_bytes
from tasks.publish.gating_frames import _uncrowded
from tasks.publish.gating_page import gating_figure, render_gating_page
from tasks.publish.gating_picture import draw_gating_page, share_text
from tasks.publish.tube_data import TubeHead

TICKS = ((0.12, "−10³"), (0.20, "0"), (0.28, "10³"), (0.52, "10⁴"), (0.77, "10⁵"))
CD19 = Axis("CD19", "PE-Cy7-A", "logicle", TICKS, (0.0, 1.0))
CD3 = Axis("CD3", "BV786-A", "logicle", TICKS, (0.0, 1.0))
SQUARE = np.array([[0.5, 0.3], [0.9, 0.3], [0.9, 0.6], [0.5, 0.6], [0.5, 0.3]])
TUBE = TubeHead(
    patient="SLE-001",
    visit="D28",
    specimen="blood",
    panel="bcell",
    control="",
    file="a.fcs",
    collected="2026-02-07T08:30:00",
    acquired="",
    instrument="",
    operator="",
    batch="",
    cytometer="",
    serial="",
    strategy="bcell@1.0.0",
    strategy_sha256="ab" * 32,
    panel_version="bcell@1.0.0",
    panel_sha256="",
    calibration="",
    calibration_sha256="",
    tube_sha256="cd" * 32,
    events=200_000,
    kept=1.0,
)


def view(
    name="b_cells",
    parent="lymphocytes",
    events=4567,
    parent_events=37_123,
    points=None,
    outlines=(SQUARE,),
):
    edges = np.linspace(0, 1, 97)
    cells = np.random.default_rng(7).normal(0.4, 0.15, (parent_events, 2)).clip(0, 1)
    counts = np.histogram2d(cells[:, 0], cells[:, 1], (edges, edges))[0].astype(np.int64)
    shown = cells if points else None
    return GateView(
        ("root", parent, name),
        "rectangle",
        CD19,
        CD3,
        counts,
        edges,
        edges,
        outlines,
        shown,
        events,
        parent_events,
        "fixed",
    )


def texts(figure: Figure, kind: str) -> list[str]:
    return [t.get_text() for t in figure.findobj(Text) if t.get_gid() == kind]


def test_every_gate_is_drawn_once_in_the_order_given_with_its_parent():
    figure = draw_gating_page(
        "SLE-001", "D28", [view("b_cells"), view("naive_b", "b_cells"), view("singlets", "root")]
    )
    assert texts(figure, "panel") == [
        "lymphocytes → b_cells",
        "b_cells → naive_b",
        "all events → singlets",
    ]


def test_a_panel_says_its_share_and_count_its_axes_and_where_the_threshold_comes_from():
    figure = draw_gating_page("SLE-001", "D28", [view()])
    assert texts(figure, "count") == ["12.3 %    4,567"]
    assert texts(figure, "x") == ["CD19 (PE-Cy7-A)"]
    assert texts(figure, "y") == ["CD3 (BV786-A)"]
    assert texts(figure, "source") == ["fixed"]


def test_an_empty_parent_says_so_instead_of_showing_a_bare_frame():
    figure = draw_gating_page("SLE-001", "D28", [view(events=0, parent_events=0)])
    assert "no events in parent" in [t.get_text() for t in figure.findobj(Text)]
    assert texts(figure, "count") == ["0"]


def test_a_gate_without_events_keeps_its_outline_and_says_zero():
    figure = draw_gating_page("SLE-001", "D28", [view(events=0)])
    assert texts(figure, "count") == ["0 %    0"]
    assert [c.get_gid() for c in figure.axes[0].collections].count("outlines") == 1


def test_a_combination_of_gates_has_no_outline_and_is_drawn_all_the_same():
    figure = draw_gating_page("SLE-001", "D28", [view(outlines=())])
    assert "outlines" not in [c.get_gid() for c in figure.axes[0].collections]
    assert texts(figure, "panel") == ["lymphocytes → b_cells"]


def test_few_events_are_drawn_as_single_dots_and_many_as_density():
    few = draw_gating_page("", "", [view(parent_events=12, events=4, points=True)]).axes[0]
    many = draw_gating_page("", "", [view()]).axes[0]
    assert (len(few.images), len(few.lines[0].get_xdata())) == (0, 12)
    assert (len(many.images), len(many.lines)) == (1, 0)


def test_the_density_stands_the_right_way_up():
    edges = np.linspace(0, 1, 11)
    counts = np.zeros((10, 10), dtype=np.int64)
    counts[9, 0] = 5  # high on x, low on y: the lower right corner
    lone = GateView(("root", "g"), "rectangle", CD19, CD3, counts, edges, edges, (), None, 5, 5, "")
    (picture,) = draw_gating_page("", "", [lone]).axes[0].images
    left, right, bottom, top = picture.get_extent()
    colours = np.asarray(picture.get_array())
    if picture.origin == "upper":
        colours = colours[::-1]
    rows, columns = np.nonzero(colours[..., 3])
    assert (rows.tolist(), columns.tolist()) == ([0], [9])  # rows from the bottom edge upwards
    assert left < right
    # The page counts downwards: what is lower on it has the larger number.
    assert bottom > top
    assert picture.axes.yaxis_inverted()


def test_an_open_gate_ends_at_the_frame():
    endless = np.array([[0.5, -np.inf], [0.5, np.inf]])
    outline = (
        draw_gating_page("", "", [view(outlines=(endless,))])
        .axes[0]
        .collections[0]
        .get_segments()[0]
    )
    assert outline[:, 1].max() - outline[:, 1].min() == pytest.approx(216, abs=5)


@pytest.mark.parametrize(
    ("events", "parent", "text"),
    [
        (5, 5, "100 %"),
        (9999, 10_000, "> 99.9 %"),
        (123, 1000, "12.3 %"),
        (5, 100, "5.0 %"),
        (7, 100_000, "0.007 %"),
        (0, 9, "0 %"),
        (0, 0, "–"),
    ],
)
def test_a_percentage_is_never_rounded_to_all_or_none(events, parent, text):
    edges = np.linspace(0, 1, 3)
    counts = np.zeros((2, 2), dtype=np.int64)
    assert (
        share_text(
            GateView(
                ("root", "g"),
                "rectangle",
                CD19,
                CD3,
                counts,
                edges,
                edges,
                (),
                None,
                events,
                parent,
                "",
            )
        )
        == text
    )


def test_tick_labels_that_would_touch_give_way_to_zero():
    kept = _uncrowded(
        [(20.0, "−10³"), (30.0, "0"), (100.0, "10³")], 4, lambda text: 7.0 * len(text)
    )
    assert [text for _, text in kept] == ["0", "10³"]


def test_titles_and_counts_do_not_overlap_their_neighbours():
    names = [
        "unswitched_memory_b",
        "switched_memory_b",
        "long_lived_plasma_cells",
        "double_negative_b",
        "a_name_no_one_would_give_a_gate_in_earnest",
    ]
    figure = draw_gating_page(
        "SLE-001", "x " * 200, [view(n, "unswitched_memory_b", parent_events=50) for n in names]
    )
    png_bytes(figure)
    words = [t for t in figure.findobj(Text) if t.get_text()]
    boxes = [t.get_window_extent() for t in words]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        for other in range(i):
            assert not box.overlaps(boxes[other]), (words[i].get_text(), words[other].get_text())


def test_a_page_without_gates_says_so():
    figure = draw_gating_page("SLE-001", "", [])
    assert "No gate was drawn for this tube." in [t.get_text() for t in figure.findobj(Text)]


def test_the_same_tube_gives_the_same_picture():
    one, two = (gating_figure(TUBE, ["few_beads"], [view()]) for _ in range(2))
    assert png_bytes(one) == png_bytes(two)


def test_the_picture_says_whose_it_is_and_what_is_wrong_with_it():
    (facts,) = texts(gating_figure(TUBE, ["few_beads"], [view()]), "subtitle")
    for wanted in ("200,000 events", "bcell@1.0.0 (abababababab)", "flags: few_beads"):
        assert wanted in facts.replace("\n", " ")


def test_the_page_can_be_read_without_its_script_and_holds_none():
    page = render_gating_page(TUBE)
    assert "<h1>SLE-001 · D28 · bcell</h1>" in page
    assert 'href="../../index.html"' in page
    assert 'href="../../patients/SLE-001/report.html"' in page
    assert "report.html" not in render_gating_page(replace(TUBE, control="batch"))
    assert re.findall(r'<script src="([^"]*)" defer></script>', page) == [
        "../../app.js",
        "gating.js",
    ]
    assert page.count("<script") == 2
    assert not re.search(r"(https?:)?//|<style|<img|\son\w+=|url\(", page)
    assert 'data-page="gating" data-root="../../" data-key="cdcdcdcdcdcd"' in page
    assert "<noscript>" in page


def test_a_hostile_patient_is_shown_and_does_nothing():
    page = render_gating_page(replace(TUBE, patient='"><script>x()</script>', visit="\u202e<b>"))
    assert page.count("<script") == 2
    assert "&lt;script&gt;" in page
    assert "patients/%22%3E%3Cscript%3Ex%28%29%3C/script%3E/report.html" in page


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("events", [0, 1, 2])
@pytest.mark.parametrize("panel", ["bcell", "cart", "tbnk"])
def test_a_tube_of_hardly_any_events_is_drawn_without_a_warning(panel, events):
    from gating.display.projection import project
    from gating.evaluation.compile import compile_strategy
    from gating.evaluation.engine import evaluate
    from gating.strategy.catalogue import load_strategy
    from tests.gating.tubes import ArrayTube, random_tube

    strategy = load_strategy(panel).strategy
    made, match = random_tube(strategy, events=3, seed=1)
    tube = ArrayTube(made.events[:events], made.detectors, made.labels, made.spill)
    compiled = compile_strategy(strategy, match, tube)
    views = project(compiled, evaluate(compiled.gating, tube, tube), tube, tube)
    figure = gating_figure(TUBE, [], views)
    assert png_bytes(figure)
    shown = [t.get_text() for t in figure.findobj(Text)]
    assert shown.count("no events in parent") == sum(not view.parent_events for view in views)
    assert not [text for text in shown if "nan" in text.lower()]
    assert all(len(v.x.ticks) > 1 and len(v.y.ticks) > 1 for v in views)
