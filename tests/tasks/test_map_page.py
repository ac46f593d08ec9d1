"""The page of maps of cells as a browser draws and works it."""

import json
import math
import re

import numpy as np
import pytest

from tasks.counting.intervals import wilson
from tasks.explore.cluster_amounts import CompartmentAmount, cluster_amounts
from tasks.explore.cluster_counts import ClusterCounts
from tasks.publish.app_files import write_app
from tasks.publish.map_page import MapPage, render_map_page
from tests.browser import browser, computed, needs_chromium
from tests.tasks.map_documents import KINDS, LONG, map_value, series_value
from tests.tasks.tube_documents import HOSTILE, tube_value, write_data, write_tube

pytestmark = needs_chromium
__all__ = ["browser"]

ODD = "lasso:700,100;900,100;900,300;700,300"
LOWER = f"{LONG.replace(' low', '')} lower than the rest"
CANVASES = "[...document.querySelectorAll('.map-plot canvas')]"


def text(selector):
    return f"document.querySelector('{selector}').innerText.split(/\\s+/).join(' ')"


def rows(selector):
    return (
        f"[...document.querySelectorAll('{selector} tbody tr')]"
        ".map((row) => row.innerText.trim().split(/\\s+/).join(' '))"
    )


def orange(place):
    """Count the pixels of a multiple that are lit."""
    return (
        f"((canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
        f".data)({CANVASES}[{place}])"
        ".reduce((sum, value, at, data) => sum + (at % 4 === 0 && value > 200 "
        "&& data[at + 1] > 70 && data[at + 1] < 110 && data[at + 2] < 20), 0)"
    )


def written(results, value, compartment="b_cells", of_all=(), series=None):
    """Write the data of a map and the page of its patient; gives the page's address."""
    patient = value["patient"] or ""
    folder = results / "patients" / patient if patient else results / "cohort"
    key = f"{patient}/{compartment}"
    write_data(folder / "maps" / f"{compartment}.js", "map", key, value)
    for each in {tube["patient"] for tube in value["tubes"]}:
        told = (series or {}).get(each) or series_value(value, each)
        write_data(results / "patients" / each / "series.js", "patient", each, told)
    write_data(results / "study.js", "study", "", {"patients": []})
    write_app(results)
    named = {compartment: "B cells", "car_t": "CAR-T cells"}
    page = MapPage(patient, named, of_all=of_all)
    (folder / "map.html").write_text(render_map_page(page), encoding="utf-8")
    return (folder / "map.html").as_uri()


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of a map; gives a function that takes the map and the address' hash."""

    def open_page(value=None, hash_="", **window):
        browser.open(written(tmp_path, value or map_value()) + hash_, **window)
        browser.until(f"{CANVASES}.some((canvas) => canvas.width > 300)")
        browser.until("document.querySelector('#how')")
        return browser

    return open_page


def test_a_visit_each_says_what_it_shows_and_nothing_is_fetched(opened):
    page = opened()
    captions = page.evaluate(
        "[...document.querySelectorAll('.map-plot figcaption')]"
        ".map((each) => each.innerText.split(/\\s+/).join(' '))"
    )
    assert captions[0] == "D-7 (day -7) 30.0 cells/µL (25.0 to 36.0) 300 of 300 cells shown"
    assert captions[1] == "D28 (day 27.9) <0.5 cells/µL no such cell in this tube"
    legend = page.evaluate(text(".map-groups"))
    assert f"1 B cells, others 12.5 % 60 shown 2 {HOSTILE} 62.5 %" in legend
    spoken = page.evaluate(f"{CANVASES}[2].getAttribute('aria-label')")
    assert spoken.startswith("B cells at D56: 180 of 180 cells shown: ")
    head = page.evaluate(text("main"))
    assert "Exploratory: no table, parameter or flag reads this page." in head
    assert "Cells B cells Map b_cells@1.0.0" in head
    assert (
        "Reference, of all patients 20,000 cells of 12 tubes, made 2026-03-31 (first map), seed 7"
        in head
    )
    assert "1 of 3 tubes hold no such cell." in head
    assert "CD45: these cells are cut out by it" in head
    assert not page.console
    assert all(address.startswith(("file:", "data:")) for address in page.requests)


def test_what_changed_since_is_named_on_top_and_at_its_visit(browser, tmp_path):
    """A correction writes the patient's series at once, and the map's data only when asked for."""
    value = map_value()
    series = series_value(value, "P01")
    before, during, after = series["tubes"]
    before |= {"counted_as": "ef" * 32, "correction": "aa" * 32}
    during["review"] = "accepted"
    after["review"] = "excluded"
    series["counts"][before["sha12"]]["b_cells"]["printed"] = "28.1"
    series["tubes"].append(after | {"sha256": "12" * 32, "sha12": "12" * 6, "visit": "D84"})
    series["tubes"].append(before | {"sha256": "34" * 32, "sha12": "34" * 6, "visit": "D112"})
    unread = before | {"sha256": "56" * 32, "sha12": "56" * 6, "visit": "D140"}
    series["tubes"].append(unread)
    value["unread"].append(unread["sha256"])
    browser.open(written(tmp_path, value, series={"P01": series}) + "#cells=cluster:0")
    browser.until("document.querySelector('#how')")
    told = browser.evaluate(text(".map-since"))
    assert "2 tubes have changed" not in told
    assert "Since this map was drawn, 3 tubes have changed." in told
    assert "P01 D-7: corrected by a person; now 28.1 cells/µL in the tables" in told
    assert "P01 D56: excluded" in told
    assert "P01 D112 (day -7), 2025-03-18: counted, and not on this map" in told
    assert "D84" not in told
    assert "D140" not in told
    assert "Draw it again: reconflow explore --compartment b_cells" in told
    assert "(their cells and numbers are the same): P01 D28: a reviewer decided: accepted" in told
    assert "older than the tables" in browser.evaluate(text(".facts"))
    captions = browser.evaluate(
        "[...document.querySelectorAll('.map-plot figcaption')].map((each) => each.innerText)"
    )
    assert "since this map, corrected by a person; now 28.1 cells/µL in the tables" in captions[0]
    assert "since this map, a reviewer decided: accepted" in captions[1]
    assert "since this map, excluded" in captions[2]
    marked = (
        f"[...document.querySelectorAll('{place}')]"
        ".map((each) => /changed since/.test(each.innerText))"
        for place in (".map-heat thead th.n", ".map-chosen section:first-child tbody tr")
    )
    assert [browser.evaluate(each) for each in marked] == [[True, False, True]] * 2
    tube = tube_value(visit="D-7", tube_sha256=before["sha256"])
    browser.open(f"{write_tube(tmp_path, before['sha12'], tube)}#cells=b_cells:cluster:0")
    browser.until(
        "/lit are the cells of then/.test(document.querySelector('.bar-told')?.innerText)"
    )
    assert not browser.console


def test_a_map_that_is_as_the_tables_are_says_so(opened, browser, tmp_path):
    page = opened()
    assert "until 2026-03-31 02:14 UTC, as in the tables" in page.evaluate(text(".facts"))
    assert page.evaluate("document.querySelector('.map-since, .map-changed')") is None
    value = map_value(None, patients=("P01", "P02"))
    series = {each: series_value(value, each) for each in ("P01", "P02")}
    del series["P01"]["tubes"][0]["counted_as"]
    series["P02"]["tubes"][2]["review"] = "excluded"
    browser.open(written(tmp_path, value, series=series))
    browser.until("document.querySelector('#how')")
    told = browser.evaluate(text(".map-since"))
    assert "a tube has changed. The map shows what was then: P02 D56: excluded" in told
    assert "is not known before the next run" in told
    assert "P02 since this map, excluded" in browser.evaluate(text(".map-plot:nth-child(3)"))


def test_a_recount_is_said_to_be_a_correction_where_the_correction_is_another(browser, tmp_path):
    """A tube that was corrected before may be counted again for another reason."""
    none, one, other = "", "aa" * 32, "bb" * 32
    pairs = {
        (one, one): "counted again",
        (none, none): "counted again",
        (none, one): "corrected by a person",
        (one, other): "corrected by a person",
        (one, none): "correction taken back",
    }
    value = map_value(None, patients=("P01", "P02"))
    series = {each: series_value(value, each) for each in ("P01", "P02")}
    now = [tube for each in series.values() for tube in each["tubes"]]
    for (then, later), tube, entry in zip(pairs, value["tubes"], now, strict=False):
        tube["correction"] = then
        entry |= {"correction": later, "counted_as": "ef" * 32, "corrected": ["naive_b"]}
    del now[-1]["correction"]
    now[-1] |= {"counted_as": "ef" * 32, "corrected": ["naive_b"]}
    browser.open(written(tmp_path, value, series=series))
    browser.until("document.querySelector('#how')")
    told = browser.evaluate(
        "[...document.querySelectorAll('.map-since li')].map((each) => each.innerText)"
    )
    assert [each.partition(": ")[2] for each in told] == [*pairs.values(), "counted again"]


def test_many_changes_are_folded_and_counted_at_their_visit(browser, tmp_path):
    """Another strategy counts all tubes again."""
    patients = tuple(f"P{number:02}" for number in range(1, 6))
    value = map_value(None, patients=patients)
    series = {each: series_value(value, each) for each in patients}
    for each in series.values():
        for tube in each["tubes"]:
            tube |= {"counted_as": "ef" * 32, "strategy": "bcell@4.0.0"}
    browser.open(written(tmp_path, value, series=series))
    browser.until("document.querySelector('#how')")
    told = browser.evaluate(text(".map-since"))
    assert "15 tubes have changed" in told
    assert told.count("counted again, under bcell@4.0.0") == 6
    assert "and 9 more" in told
    assert "5 tubes changed since this map" in browser.evaluate(text(".map-plot"))


def test_a_lasso_lights_its_cells_at_all_visits_and_says_what_they_are(opened):
    page = opened()
    width, height = page.evaluate(f"[{CANVASES}[2].clientWidth, {CANVASES}[2].clientHeight]")
    corners = [(0.68, 0.88), (0.92, 0.88), (0.92, 0.72), (0.68, 0.72)]
    places = [(x * width, y * height) for x, y in corners]
    page.evaluate(f"{CANVASES}[2].scrollIntoView({{ block: 'center' }})")
    circle(page, f"{CANVASES}[2]", places)
    page.until("document.querySelector('#lit')")
    assert page.evaluate("location.hash").startswith("#map=b_cells@1.0.0&cells=lasso:681,118;")
    told = page.evaluate(text(".map-told"))
    assert "60 of the 480 cells shown, standing for 12.5 %" in told
    assert page.evaluate(rows(".map-chosen section:first-child")) == [
        "D-7 (day -7) 0 0 (at most 1.0 %) <2.0",
        "D28 (day 27.9) 0 no cell of it <0.5",
        "D56 (day 55) 60 33.3 % (26.9 to 40.5) 6.0 4.3 to 8.2",
    ]
    assert page.evaluate(orange(2)) > page.evaluate(orange(0)) == 0
    assert page.evaluate(
        "document.querySelectorAll('.map-bar select')[1].selectedOptions[0].text"
    ) == ("the region of the lasso")
    page.press("Escape")
    page.until("!document.querySelector('#lit')")
    assert page.evaluate("location.hash") == "#map=b_cells@1.0.0"
    assert not page.console


def circle(page, canvas, places):
    left, top = page.evaluate(
        f"(({{ left, top }}) => [left, top])({canvas}.getBoundingClientRect())"
    )
    kinds = ["mousePressed", *["mouseMoved"] * len(places), "mouseReleased"]
    for kind, (x, y) in zip(kinds, [places[0], *places, places[-1]], strict=True):
        event = {"type": kind, "x": left + x, "y": top + y, "button": "left", "buttons": 1}
        page.send("Input.dispatchMouseEvent", **event, clickCount=1)


def test_what_a_lasso_does_can_be_chosen_from_a_list_and_leads_to_the_tubes(opened):
    page = opened()
    page.evaluate(
        "((list) => { list.value = 'cluster:2'; list.dispatchEvent(new Event('change')); })"
        "(document.querySelectorAll('.map-bar select')[1])"
    )
    page.until("document.querySelector('#lit')")
    link = page.evaluate("document.querySelector('.map-chosen a').getAttribute('href')")
    assert link.endswith("gating.html#cells=b_cells%401.0.0%3Acluster%3A2")
    assert "6.0" in page.evaluate(rows(".map-chosen section:first-child"))[2]
    clusters = page.evaluate(rows(".map-chosen section:last-child"))
    assert clusters == [f"3 {LOWER} 100 % 100 %"]


def test_clusters_are_listed_with_amounts_and_what_no_gate_names(opened):
    page = opened()
    lists = page.evaluate(text("main"))
    assert f"Cluster 3 is named by no gate {HOSTILE}. Light these cells" in lists
    assert "None: no gate holds several stable clusters that are apart." in lists
    heat = page.evaluate(rows(".map-heat"))
    assert (
        heat[0]
        == "1 · CD19 higher than the rest 20.0 16.0 to 25.0 66.7 % <0.5 10.0 8.0 to 12.5 55.6 %"
    )
    assert page.evaluate(rows("#batches ~ .scroll")) == [
        "cytometer 1 W1 t_cells CD3 3 (2) +0.080 +0.80"
    ]
    page.evaluate("document.querySelector('.map-list button').click()")
    page.until("document.querySelector('#lit')")
    assert page.evaluate("location.hash") == "#map=b_cells@1.0.0&cells=cluster:2"


def test_populations_are_shared_out_among_the_cells_of_the_map(opened):
    """A compartment, and what lies above it, holds all of them and tells nothing."""
    value = map_value()
    value["clusters"][0]["overlaps"] = [[0, 1.0, 0.3], [1, 1.0, 0.99]]
    page = opened(value, "#cells=cluster:0")
    page.until("document.querySelector('#lit')")
    section = ".map-chosen section:nth-child(2)"
    assert page.evaluate(rows(section)) == [f"{HOSTILE} 100 % 100 %"]
    assert "of those on this map" in page.evaluate(text(f"{section} thead"))
    told = page.evaluate(rows("#what + .scroll"))
    assert any(
        f"{HOSTILE}: 100 % of the cluster, 99.0 % of those on this map" in row for row in told
    )
    page.evaluate(
        "((list) => { list.value = 'cluster:2'; list.dispatchEvent(new Event('change')); })"
        "(document.querySelectorAll('.map-bar select')[1])"
    )
    page.until(f"{text(section)}.includes('In no population below B cells.')")


def test_intervals_are_said_to_be_of_counting_alone(opened):
    page = opened(hash_="#cells=cluster:0")
    page.until("document.querySelector('#lit')")
    for place in (".map-chosen section:first-child .plot-notes", ".map-heat-notes"):
        assert "the counting error alone" in page.evaluate(text(place))


def test_cells_in_no_cluster_have_a_row_of_their_own(opened):
    value = map_value()
    value["outside"] = [[0, 0.031, 36], [1, None, 0], [2, 0.004, 1]]
    page = opened(value)
    assert page.evaluate(rows(".map-heat"))[-1] == ("in no cluster 3.1 % 36 cells 0.4 % 1 cell")
    assert (
        page.evaluate("document.querySelectorAll('.map-heat tbody tr:last-child td').length") == 3
    )


def test_no_list_is_empty_for_want_of_stable_clusters(opened):
    value = map_value()
    value["unnamed"] = []
    page = opened(value)
    assert "None among the 3 stable clusters. Cells that shade" in page.evaluate(text("main"))
    for each in value["clusters"]:
        each["stable"] = False
    page = opened(value)
    assert page.evaluate(text("main")).count("No stable cluster to judge.") == 2
    page = opened(value | {"clusters": [], "amounts": []})
    said = page.evaluate(text("main"))
    assert said.count("No stable cluster to judge.") == 2
    assert "Clusters were not looked for" not in said


def test_each_cluster_that_a_gate_holds_is_lit_by_its_own_button(opened):
    held = {"cluster": 1, "clusters": [1, 2], "other": 0, "populations": [1]}
    page = opened(map_value() | {"unnamed": [], "spanning": [held | {"sentence": "Held."}]})
    assert "Held. Light cluster 2 Light cluster 3" in page.evaluate(text("main"))
    page.evaluate("[...document.querySelectorAll('.map-list button')][1].click()")
    page.until(f"{text('.map-told')}.includes('cluster 3')")


def test_a_population_is_not_taken_for_the_one_that_the_tables_report(opened):
    page = opened(hash_="#cells=gate:memory_b")
    page.until("document.querySelector('#lit')")
    told = page.evaluate(text(".map-told"))
    assert "Memory among the B cells: 120 of the 480 cells shown" in told
    assert "the tables count them too" in told
    page.evaluate("location.hash = '#cells=gate:b_cells'")
    page.until(f"{text('.map-told')}.includes('B cells: 480 of the 480')")
    assert "the tables count them too" not in page.evaluate(text(".map-told"))


def test_markers_of_a_cluster_are_a_comparison_with_its_medians_beside(opened):
    value = map_value()
    value["clusters"][1]["share"] = 0.95
    value["clusters"][2]["phenotype"] = "CD20 low, CD27 high, CD16+CD56 low"
    page = opened(value)
    told = "#what + .scroll"
    page.until(f"{text(told)}.includes('about')")
    assert "share, all patients" in page.evaluate(text(f"{told} thead"))
    table = page.evaluate(rows(told))
    assert re.match(
        r"1 CD19 higher than the rest CD19 about [\d,]+ · CD3 about [\d,]+ 30.0 %", table[0]
    )
    assert table[1].startswith("2 nearly all cells CD19 about")
    assert table[2].startswith("3 CD20, CD16+CD56 lower and CD27 higher than the rest CD19")
    high, low = (int(each.replace(",", "")) for each in re.findall(r"about ([\d,]+)", table[0]))
    assert high > low


def test_a_share_that_the_data_withhold_is_neither_written_nor_shaded(opened):
    value = map_value()
    value["amounts"][0][2:] = [None, None, None, 0.36, "ND", "<0.36"]
    page = opened(value, "#cells=cluster:0")
    page.until("document.querySelector('#lit')")
    cell = "document.querySelector('.map-heat tbody td')"
    assert page.evaluate(f"{cell}.innerText.trim()") == "<0.36"
    assert "0%" in page.evaluate(f"{cell}.style.background")
    assert "66" not in page.evaluate(f"{cell}.style.background")
    assert page.evaluate(rows(".map-chosen section:first-child"))[0] == (
        "D-7 (day -7) 200 too few cells <0.36"
    )
    value["tubes"][0] |= {"code": "ND", "printed": "<0.5", "per_ul": None}
    page = opened(value, "#cells=gate:naive_b")
    page.until("document.querySelector('#lit')")
    assert page.evaluate(rows(".map-chosen section:first-child"))[0] == (
        "D-7 (day -7) 200 too few cells <0.5"
    )


def test_a_marker_colours_by_its_scale_and_a_map_is_enlarged(opened):
    page = opened(hash_="#by=marker:CD19&large=D56")
    page.until("document.querySelector('.map-dialog').open")
    assert page.evaluate(text(".map-legend-place")) == "CD19, compensated -10³ 0 10³ 10⁴ 10⁵"
    assert page.evaluate(text("#map-large-title")) == "D56 (day 55)"
    page.press("ArrowLeft")
    page.until("document.querySelector('#map-large-title').innerText.startsWith('D28')")
    page.press("Escape")
    page.until("!document.querySelector('.map-dialog').open")
    page.until("location.hash === '#map=b_cells@1.0.0&by=marker:CD19'")


def test_a_cell_under_the_pointer_says_what_it_is(opened):
    page = opened()
    box = page.evaluate(
        f"(({{ left, top, width, height }}) => [left, top, width, height])"
        f"({CANVASES}[2].getBoundingClientRect())"
    )
    place = {"x": box[0] + 0.8 * box[2], "y": box[1] + 0.8 * box[3]}
    page.send("Input.dispatchMouseEvent", type="mouseMoved", **place)
    page.until("document.querySelector('.plot-tip:not([hidden])')")
    told = page.evaluate("[...document.querySelectorAll('.plot-tip span')].map((e) => e.innerText)")
    assert told[:3] == ["P01 D56", "B cells", f"cluster 3 {LOWER}"]
    assert re.fullmatch(r"CD19 about \d+ · CD3 about \d+", told[3])


def test_changes_over_time_are_those_of_the_cohort(opened):
    page = opened(map_value(None, patients=("P01", "P02")))
    assert "Nothing is claimed from 2 patients." in page.evaluate(text("main"))
    page.evaluate("document.querySelector('#composition ~ details').open = true")
    assert page.evaluate(rows("#composition + p + details")) == ["cluster 1 D-7 → D56 2 × 0.5 – –"]
    page.evaluate("document.querySelector('#groups ~ details').open = true")
    clear, every = (
        page.evaluate(rows(f"#groups + {selector}"))
        for selector in ("p + .scroll", "p + .scroll + details")
    )
    assert clear == [f"{HOSTILE} D56 2 × 2.5 1.4 to 3.6 0.010 0.020"]
    assert every[0] == "cluster 1 D-7 2 × 1.1 0.6 to 1.9 0.70 0.70"
    heads = page.evaluate("document.querySelector('#groups + p + .scroll thead').innerText")
    assert f"share in {HOSTILE}, over that in high" in heads
    assert "By dose: high (4 patients)" in page.evaluate(text("main"))
    assert not page.console


def test_a_study_without_groups_has_no_differences_between_them(opened):
    page = opened()
    assert page.evaluate("document.querySelector('#groups')") is None


def test_the_map_of_all_is_led_to_where_it_is(opened, browser, tmp_path):
    links = "[...document.querySelectorAll('main a')].filter((a) => /cohort/.test(a.href)).length"
    page = opened()
    assert page.evaluate(links) == 0
    assert "reconflow explore without --patient" in page.evaluate(text("main"))
    browser.open(written(tmp_path, map_value(), of_all=("b_cells",)))
    browser.until("document.querySelector('#how')")
    assert browser.evaluate(links) == 2


def test_a_cohort_is_coloured_by_patient_and_shown_one_by_one(opened):
    page = opened(map_value(None, patients=("P01", "P02")), "#by=patient")
    assert "1 P01 50.0 % 480 shown 2 P02 50.0 % 480 shown" in page.evaluate(text(".map-groups"))
    assert "P01: 30.0 cells/µL (25.0 to 36.0) P02: 30.0" in page.evaluate(text(".map-plot"))
    page.evaluate(
        "((list) => { list.value = 'P02'; list.dispatchEvent(new Event('change')); })"
        "(document.querySelectorAll('.map-bar select')[2])"
    )
    page.until("document.querySelector('.map-plot').innerText.includes('300 of 300')")
    page.until("document.querySelectorAll('.map-heat thead th').length === 4")


def test_empty_and_missing_maps_are_said(opened, browser, tmp_path):
    page = opened(map_value(clusters=False), "#cells=cluster:7")
    said = page.evaluate(text("main"))
    assert "This map has no cells called cluster:7." in said
    assert "Clusters were not looked for in this map." in said
    assert "Differences between visits are compared over all patients." in said
    browser.open(written(tmp_path, map_value()) + "#map=car_t")
    browser.until("document.querySelector('.alarm')")
    assert "car_t.js cannot be read" in browser.evaluate(text(".alarm"))
    assert "reconflow explore --compartment car_t" in browser.evaluate(text(".alarm"))


def test_the_page_fits_a_phone(opened):
    page = opened(hash_=f"#cells={ODD}", width=390)
    page.until("document.querySelector('#lit')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_cells_of_the_map_are_lit_on_the_tubes_gating_page(browser, tmp_path):
    value = map_value()
    tube = value["tubes"][2]
    written(tmp_path, value)
    page = tube_value(visit="D56", tube_sha256=tube["sha256"])
    address = write_tube(tmp_path, tube["sha12"], page)
    browser.open(f"{address}#cells=b_cells:{ODD}")
    browser.until("document.querySelector('.bar-told').innerText.includes('Lit in orange')")
    told = browser.evaluate(text(".bar-told"))
    assert "the region of the lasso, 60 of the 180 cells of this tube that the map b_cells" in told
    lit = (
        "((canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"
        "(document.querySelectorAll('.plot canvas')[PLACE]).reduce((sum, value, at, data) => sum + "
        "(at % 4 === 0 && value > 200 && data[at + 1] > 70 && data[at + 1] < 110 "
        "&& data[at + 2] < 20), 0)"
    )
    assert "made for the map" not in told
    browser.open(f"{address}#cells=b_cells@2.0.0:{ODD}")
    browser.until("document.querySelector('.bar-told').innerText.includes('the map b_cells@2.0.0')")
    for place in range(3):
        browser.until(f"{lit.replace('PLACE', str(place))} > 20")
    browser.press("Escape")
    browser.until("location.hash === ''")
    browser.open(f"{address}#cells=car_t:cluster:1")
    browser.until("document.querySelector('.bar-told').innerText.includes('no map of car_t')")


def test_an_address_of_another_map_is_said_to_be_one(opened):
    told = "document.querySelector('#map > p').innerText"
    page = opened(hash_="#map=b_cells@2.0.0&cells=cluster:2")
    page.until("document.querySelector('#lit')")
    assert "made for the map b_cells@2.0.0; shown is b_cells@1.0.0." in page.evaluate(told)
    for same in ("#map=b_cells@1.0.0", "#map=b_cells"):
        page.evaluate(f"location.hash = '{same}'")
        page.until("document.querySelector('#map > p').hidden")
    page.evaluate("location.hash = '#map=leukocytes'")
    page.until(f"{told} === 'There is no map of leukocytes here: this one is of B cells.'")


def test_cells_are_pale_where_the_map_does_not_know_the_gate(browser, tmp_path):
    lit, pale, notes = computed(
        browser,
        tmp_path,
        f"""const map = await mapData.open({json.dumps(map_value())});
        const gates = ["", "b_cells", "memory_b", "plasmablast"];
        const tube = {{
          axes: [{{ label: "CD19" }}, {{ label: "CD3" }}],
          gates: gates.map((population, at) => ({{ population, parent: Math.min(at, 2) - 1 }})),
          find: (population) => gates.indexOf(population),
        }};
        const values = await Promise.all([map.marker(0), map.marker(1)]);
        const cells = {{ map, values, events: [0, 200, 201] }};
        const notes = [];
        const dots = [1, 2, 3].map((parent) =>
          mapOnGates.dots({{ tube, plot: {{ x: 0, y: 1, parent }}, cells }}, notes));
        return [dots.map((each) => each.litDots.length), dots.map((each) => each.paleDots.length),
                notes];""",
    )
    assert (lit, pale) == ([3, 2, 0], [0, 1, 3])
    assert notes == [
        "All pale: the map does not know which of its cells lie in this plot's parent."
    ]


def test_a_share_has_wilsons_interval_and_joins_the_compartments(browser, tmp_path):
    sums = {"lit": 60, "squared": 60, "all": 180, "largest": 1}
    low, high = wilson(60, 180)
    share, amounts = computed(
        browser,
        tmp_path,
        f"""const map = await mapData.open({json.dumps(map_value())});
        const cells = mapCells.find(map, {ODD!r});
        return [mapCells.shareOf({json.dumps(sums)}), mapCells.amounts(map, cells.mask)];""",
    )
    np.testing.assert_allclose([share["low"], share["high"]], [low, high], rtol=1e-6)
    last = amounts[2]
    gap = math.hypot(math.log(1 / 3 / low), math.log(18 / 14))
    assert last["code"] == "Q"
    np.testing.assert_allclose(last["per_ul"], 6.0)
    np.testing.assert_allclose(last["least"], 6.0 * math.exp(-gap), rtol=1e-6)
    assert [each["code"] for each in amounts] == ["ND", "ND", "Q"]
    assert sum(each["shown"] for each in amounts) == KINDS["D56"][2]


def test_lit_cells_need_what_the_clusters_of_the_tube_need(browser, tmp_path):
    """The lasso holds the 60 cells of cluster 3; the compartment's background raised the limits."""
    limits = ((20, 50), (20, 60), (20, 61), (60, 100), (61, 100))
    value = map_value()
    tube = value["tubes"][2]
    lit = computed(
        browser,
        tmp_path,
        f"""const value = {json.dumps(value)};
        const lit = [];
        for (const [detect, quantify] of {json.dumps(limits)}) {{
          Object.assign(value.tubes[2], {{ detect, quantify }});
          const map = await mapData.open(value);
          lit.push(mapCells.amounts(map, mapCells.find(map, {ODD!r}).mask)[2]);
        }}
        return lit;""",
    )
    assert [each["code"] for each in lit] == ["Q", "Q", "DNQ", "DNQ", "ND"]
    assert [lit[2]["printed"], lit[4]["printed"][0]] == ["6.0 (DNQ)", "<"]
    counts = ClusterCounts(KINDS["D56"], tube["events"], tube["events"])
    for each, of_tube in zip(lit, limits, strict=True):
        in_events = [number * tube["per_ul"] / tube["events"] for number in of_tube]
        whole = CompartmentAmount(tube["per_ul"], tube["low"], tube["high"], "Q", *in_events)
        assert cluster_amounts(counts, whole)[2].code == each["code"]


def test_a_weighted_share_counts_the_effective_cells(browser, tmp_path):
    """Ten cells of weight 10 of 1,000 are as sure as ten cells, not as a hundred."""
    share = computed(
        browser,
        tmp_path,
        "return mapCells.shareOf({ lit: 100, squared: 1000, all: 1000, largest: 10 });",
    )
    low, high = wilson(10, 100)
    np.testing.assert_allclose([share["low"], share["high"]], [low, high], rtol=1e-6)
    assert share["effective"] == pytest.approx(10)
