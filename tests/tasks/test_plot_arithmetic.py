"""What the pages compute in the browser, held against the same in Python."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from gating.display.drawn_axes import _decades, _power
from gating.strategy.display_scale import apply_transform, transform_of
from gating.strategy.gates import Scale
from tasks.publish.gating_picture import share_text
from tasks.vocabulary.amounts import concentration_text
from tests.browser import browser, computed, needs_chromium
from tests.tasks.tube_documents import BINS, packed, tube_value

pytestmark = needs_chromium
__all__ = ["browser"]


def test_numbers_are_written_as_tables_and_pictures_write_them(browser, tmp_path):
    shares = [(1, 3), (0, 7), (7, 7), (9_999, 10_000), (1, 100_000), (123, 1_000), (5, 400), (1, 0)]
    amounts = [4670.7, 100.0, 99.96, 12.34, 1.0, 0.994, 0.25, 0.0123, 0.00042]
    told = computed(
        browser,
        tmp_path,
        f"return [{json.dumps(shares)}.map(([part, whole]) => numberWords.percent(part, whole)),"
        f" {json.dumps(amounts)}.map(numberWords.amount),"
        " numberWords.interval(1.234, 45.67), numberWords.interval(null, 3)];",
    )
    views = [
        SimpleNamespace(
            events=part, parent_events=whole, percent_parent=100 * part / whole if whole else None
        )
        for part, whole in shares
    ]
    assert told[0] == [share_text(view) for view in views]
    assert told[1] == [concentration_text(amount) for amount in amounts]
    assert told[2:] == ["1.2 to 45.7", ""]


@pytest.mark.parametrize("linear_decades", [0.5, 1.0, 1.38])
def test_a_value_read_off_a_logicle_axis_is_near_the_true_one(browser, tmp_path, linear_decades):
    maximum = 262144.0
    transform = transform_of(Scale(kind="logicle", w=linear_decades), maximum)
    assert transform is not None
    places = apply_transform(transform, np.array(_decades(maximum)))
    ticks = [[place, _power(value)] for place, value in zip(places, _decades(maximum), strict=True)]
    axis = {"scale": "logicle", "ticks": ticks, "low": -0.3, "high": 1.02}
    values = [-900.0, -200.0, 0.0, 150.0, 700.0, 1_000.0, 2_300.0, 9_000.0, 45_000.0, 200_000.0]
    positions = apply_transform(transform, np.array(values)).tolist()
    told = computed(
        browser,
        tmp_path,
        f"const axis = {json.dumps(axis)};"
        f"return [{json.dumps(positions)}.map((place) => axisReading.valueAt(axis, place)),"
        f" {json.dumps(values)}.map((value) => axisReading.positionOf(axis, value)),"
        " axisReading.told(axis, axis.ticks[2][0]),"
        " axisReading.ticksIn(axis, [0.8, 0.9]).length];",
    )
    assert told[0] == pytest.approx(values, rel=0.01, abs=1)
    assert told[1] == pytest.approx(positions, abs=0.001)
    assert told[2] == "about 1,000"
    assert told[3] >= 2, "where no given tick is in view, others are added"


def test_a_linear_axis_and_one_without_decades_are_told_honestly(browser, tmp_path):
    told = computed(
        browser,
        tmp_path,
        'const linear = { scale: "linear", ticks: [[0, "0"], [50000, "50K"]] };'
        'const odd = { scale: "logicle", ticks: [[0.2, "0"], [0.7, "10⁴"]] };'
        "return [axisReading.told(linear, 51234), axisReading.told(odd, 0.6),"
        " axisReading.named('-10³'), axisReading.named('1.5M'), axisReading.alike(linear, odd)];",
    )
    assert told == ["about 51,200", "near 10⁴", -1000, 1_500_000, False]


def test_ticks_that_would_touch_are_left_out_zero_and_the_high_end_kept(browser, tmp_path):
    ticks = [[10, "-10³"], [22, "0"], [36, "10³"], [60, "10⁴"], [64, ""], [90, "10⁵"]]
    kept = computed(
        browser,
        tmp_path,
        f"return axisReading.uncrowded({json.dumps(ticks)}, 4, (text) => 6 * text.length);",
    )
    assert [text for _, text in kept] == ["0", "10⁵", "10⁴"]


def test_a_density_is_clear_where_empty_and_stands_upright(browser, tmp_path):
    counts = np.zeros((BINS, BINS), dtype="<u4")
    counts[3, 0], counts[20, 31], counts[21, 31] = 1, 10, 1000
    told = computed(
        browser,
        tmp_path,
        f"const bytes = await inflate({json.dumps(packed(counts))});"
        "const counts = new Uint32Array(bytes.buffer);"
        f"const painted = colourScale.pixels({{ bins: {BINS}, counts, most: 1000 }},"
        ' ["000000", "ffffff"]);'
        f"const at = (x, y) => [...painted.slice(4 * (({BINS} - 1 - y) * {BINS} + x)).slice(0, 4)];"
        "return [at(3, 0), at(20, 31), at(21, 31), painted.filter((_, i) => i % 4 === 3)"
        ".reduce((sum, alpha) => sum + (alpha > 0), 0)];",
    )
    one, ten, thousand, opaque = told
    assert opaque == 3
    assert one[3] == ten[3] == 255
    assert one[0] < ten[0] < thousand[0] == 255
    assert one[0] == pytest.approx(255 * np.log1p(1) / np.log1p(1000), abs=1)


def test_contours_hold_the_shares_that_they_say(browser, tmp_path):
    cells = np.random.default_rng(3).normal(0.5, 0.1, (20_000, 2))
    counts = np.histogram2d(*cells.T, 64, ((0, 1), (0, 1)))[0].astype("<u4")
    told = computed(
        browser,
        tmp_path,
        f"const bytes = await inflate({json.dumps(packed(counts))});"
        "const axis = { low: 0, high: 1 };"
        "const density = { bins: 64, counts: new Uint32Array(bytes.buffer), x: axis, y: axis };"
        "return contours.of(density);",
    )
    assert [contour["share"] for contour in told] == [0.95, 0.8, 0.5]
    for contour in told:
        radius = 0.1 * np.sqrt(-2 * np.log(1 - contour["share"]))
        distances = np.hypot(*(np.array(contour["stretches"])[:, :2].T - 0.5))
        assert np.median(distances) == pytest.approx(radius, rel=0.15)


def test_the_sample_and_the_densities_are_unpacked_as_they_were_packed(browser, tmp_path):
    value = tube_value(b_cells=17, others=80)
    told = computed(
        browser,
        tmp_path,
        f"const tube = tubeData.open({json.dumps(value)});"
        "const density = await tube.density(0);"
        "const held = await Promise.all(tube.gates.map((_, gate) => tube.held(gate)));"
        "return [density.counts.reduce((sum, count) => sum + count, 0),"
        " held.map((events) => events.length), tube.find('b_cells'), tube.find('none'),"
        " tubeData.plots(tube).map(({ gates }) => gates), tube.share(-1, 97)];",
    )
    events, held, b_cells, none, plots, share = told
    assert (events, held) == (97, [97, 17, 80, 0, 0])
    assert (b_cells, none, share) == (1, -1, 1)
    assert plots == [[0], [1], [2], [3], [4]]


def test_an_address_is_read_as_it_was_written(browser, tmp_path):
    state = {"gate": "a&b=#c %", "light": "naive_b", "with": "previous", "large": True}
    state["cells"] = "b_cells:lasso:1,2;3,4;5,6"
    told = computed(
        browser,
        tmp_path,
        f"const state = {json.dumps(state)};"
        "return [pageAddress.read(pageAddress.write(state)), pageAddress.read('#with=nonsense'),"
        " pageAddress.write(pageAddress.read(''))];",
    )
    nothing = {"gate": "", "light": "", "cells": "", "with": "", "large": False}
    assert told == [state, nothing, ""]


def test_a_thumbnail_is_drawn_as_wide_as_its_canvas_and_refused_without_its_gate(browser, tmp_path):
    told = computed(
        browser,
        tmp_path,
        "const canvas = element('canvas', {}); canvas.style.width = '200px';"
        "document.body.append(canvas);"
        f"const value = {json.dumps(tube_value())}; const before = canvas.toDataURL();"
        "const none = await drawThumbnail(canvas, value, 'none');"
        "const untouched = canvas.toDataURL() === before;"
        "const drawn = await drawThumbnail(canvas, value, 'b_cells');"
        "return [none, untouched, drawn, canvas.width, canvas.toDataURL() === before];",
    )
    assert told == [False, True, True, 400, False]


def test_names_of_gates_stand_within_the_plot_and_not_over_one_another(browser, tmp_path):
    """Four quadrants, and two gates that share a corner, in a plot 180 pixels wide."""
    told = computed(
        browser,
        tmp_path,
        "const frame = { left: 50, top: 10, size: 180 };"
        "const box = (l, t, r, b) => [[[l, t], [r, t], [r, b], [l, b], [l, t]]];"
        "const type = { height: 13, width: (text) => 6 * text.length,"
        " cut: (text, room) => text.slice(0, Math.floor(room / 6)) };"
        "const quadrants = [['Switched memory B cells', '2.1 %', box(50, 10, 118, 115)],"
        " ['Unswitched memory B cells', '1.7 %', box(118, 10, 230, 115)],"
        " ['Double-negative B cells', '2.9 %', box(50, 115, 118, 190)],"
        " ['Naive B cells', '93.3 %', box(118, 115, 230, 190)]];"
        "const corner = [['B cells', '47.9 %', box(128, 10, 230, 190)],"
        " ['B cells, CD19-independent', '47.5 %', box(50, 10, 230, 90)]];"
        "const tiny = [['monocyte_like', '7.4 %', box(215, 100, 229, 130)],"
        " ['live_cd14_negative', '88.7 %', box(50, 10, 130, 190)]];"
        "return [quadrants, corner, tiny].map((gates) => plotLabels.place("
        " gates.map(([name, share, lines]) => ({ name, share, lines })), frame, type));",
    )
    for plot in told:
        spots = [
            (
                label["middle"] - 3 * max(map(len, label["words"])),
                label["top"],
                label["middle"] + 3 * max(map(len, label["words"])),
                label["top"] + 13 * len(label["words"]),
            )
            for label in plot
        ]
        for left, top, right, bottom in spots:
            assert (left >= 50, top >= 10, right <= 230, bottom <= 190) == (True,) * 4, spots
        for one, other in itertools.combinations(spots, 2):
            apart = one[2] <= other[0] or other[2] <= one[0]
            assert apart or one[3] <= other[1] or other[3] <= one[1], spots
    assert told[0][1]["words"] == ["Unswitched memory", "B cells 1.7 %"]
    assert told[2][0]["words"] == ["monocyte_", "like 7.4 %"]


def test_a_sentence_links_the_files_of_a_tube_that_it_names(browser, tmp_path):
    told = computed(
        browser,
        tmp_path,
        "return ['', 'tubes/ab12/'].map((folder) => element('p', {},"
        " linkedSentence('Too few <cells> (qc.json: beads); thresholds.csv says why.', folder))"
        ".innerHTML);",
    )
    assert told[0] == (
        'Too few &lt;cells&gt; (<a href="qc.json">qc.json</a>: beads); '
        '<a href="thresholds.csv">thresholds.csv</a> says why.'
    )
    assert 'href="tubes/ab12/qc.json"' in told[1]
