"""The tube's page and the filmstrip as a browser draws and works them."""

import re

import pytest

from tests.browser import browser, needs_chromium
from tests.tasks.tube_documents import (
    HOSTILE,
    series_value,
    tube_value,
    write_data,
    write_page,
    write_tube,
)

pytestmark = needs_chromium
__all__ = ["browser"]

DAYS = {"D-7": -7.0, "D14": 13.9, "D28": 26.9, "D56": 62.9}
TUBES = {"base0": "D-7", "here0": "D28", "next0": "D56", "fmo00": "D28"}
PLOTS = "[...document.querySelectorAll('.plot canvas')]"
DRAWN = f"{PLOTS}.length > 0 && {PLOTS}.every((canvas) => canvas.width > 300)"
"""A canvas is 300 pixels wide until it is drawn for a screen of at least twice as many."""
PICTURES = f"{PLOTS}.map((canvas) => canvas.toDataURL())"


def text(selector):
    return f"document.querySelector('{selector}').innerText.split(/\\s+/).join(' ')"


@pytest.fixture
def results(tmp_path):
    """A patient with a baseline, a tube, a later one and an FMO control, and their series."""
    for sha12, visit in TUBES.items():
        control = "fmo:CD19" if sha12 == "fmo00" else ""
        cells = {"base0": 400, "fmo00": 3}.get(sha12, 40)
        write_tube(tmp_path, sha12, tube_value(cells, visit=visit, control=control))
    series = series_value(DAYS, TUBES, here0=("12.3", "Q"), next0=("NE", "NE"))
    write_data(tmp_path / "patients" / "P01" / "series.js", "patient", "P01", series)
    return tmp_path


def opened(browser, results, hash_="", value=None, width=1400):
    """Open the page of the tube at D28, and wait until its plots in view are drawn."""
    address = write_tube(results, "here0", value or tube_value())
    browser.open(address + hash_, width=width)
    browser.until("document.querySelector('.plot')")
    browser.until(f"{PLOTS}.some((canvas) => canvas.width > 300)")


def control_named(browser):
    """Give what stands on the button that lays a control over."""
    return browser.evaluate(
        "[...document.querySelectorAll('.bar-tools button')]"
        ".find((button) => button.title.includes('control')).innerText.trim()"
    )


def test_each_plot_says_which_control_lies_over_it(browser, results):
    opened(browser, results, "#with=control")
    assert control_named(browser) == "Control (FMO) c"
    notes = "[...document.querySelectorAll('.plot-notes')].map((note) => note.innerText)"
    named = "Blue: FMO without CD19, D28 (day 26.9), 2025-03-18."
    browser.until(f"{notes}.some((note) => note.startsWith({named!r}))")
    told = browser.evaluate(text(".bar-told"))
    assert "FMO without CD19, D28 (day 26.9), 2025-03-18, P01_D28.fcs" in told


def open_folds(browser):
    browser.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    browser.until(DRAWN)


def test_the_page_says_counts_shares_results_flags_and_thresholds(browser, results):
    opened(browser, results)
    rows = browser.evaluate(
        "[...document.querySelectorAll('.population-tree tr:not([hidden])')]"
        ".map((row) => row.innerText.split(/\\s+/).join(' '))"
    )
    assert "All events 340" in rows[1]
    result = r"B cells \(CD19\+\).*40 11\.8 % 12\.3 Q · 10\.0 to 15\.3"
    assert any(re.match(result, row) for row in rows)
    assert "1 below, without events" in " ".join(rows)
    assert not any("switched_b" in row for row in rows), "a branch without events is folded"
    flags = browser.evaluate(text(".tube-flags"))
    assert flags.index("Stop beads_incomplete") < flags.index("Look few_events")
    assert "threshold_sensitive B cells (CD19+): It hangs on a border." in flags
    assert "2,500 2,000 1,000 to 5,000 valley fmo: no such control valley: 2,500" in (
        browser.evaluate(text(".thresholds"))
    )
    assert "90.0 % of the acquisition counted" in browser.evaluate(text(".tube-facts"))
    spoken = browser.evaluate(f"{PLOTS}.map((canvas) => canvas.getAttribute('aria-label'))")
    assert "B cells (CD19+): 40 of 340 cells, 11.8 %." in spoken
    assert not browser.console
    assert all(address.startswith(("file:", "data:")) for address in browser.requests)


def test_plots_are_lit_and_laid_over_by_keys(browser, results):
    opened(browser, results, "#gate=b_cells")
    open_folds(browser)
    seen, told = [browser.evaluate(PICTURES)], []
    for key in "lbcd":
        browser.press(key)
        browser.until(f"{PICTURES}[1] !== '{seen[-1][1]}'")
        seen.append(browser.evaluate(PICTURES))
        told.append(browser.evaluate(text(".bar-told")))
    assert told[0].startswith("Lit in orange: B cells (CD19+), 40 events; shown: all of them.")
    assert "the events of D-7 (day -7), 2025-03-18, P01_D-7.fcs" in told[1]
    assert "FMO without CD19, D28" in told[2]
    named = "FMO without CD19, D28 (day 26.9), 2025-03-18"
    assert control_named(browser) == f"{named} c"
    assert "Blue dashes: the declared gates." in told[3]
    address = browser.evaluate("location.hash")
    assert address == "#gate=b_cells&light=b_cells&with=declared"
    browser.press("Escape")
    browser.until(f"{PICTURES}[1] === '{seen[0][1]}'")
    assert browser.evaluate("location.hash") == "#gate=b_cells"
    assert not browser.console


def test_a_plot_is_enlarged_zoomed_and_closed_by_keys(browser, results):
    opened(browser, results, "#gate=b_cells")
    canvas = "document.querySelector('.plot-dialog canvas')"
    browser.press("Enter")
    browser.until(f"{canvas}.width > 800")
    assert browser.evaluate("location.hash") == "#gate=b_cells&large=1"
    words = browser.evaluate(text(".plot-dialog-words"))
    assert "CD19 2,500 (valley); declared 2,000; believed within 1,000 to 5,000" in words
    whole = browser.evaluate(f"{canvas}.toDataURL()")
    browser.press("+")
    browser.until(f"{canvas}.toDataURL() !== '{whole}'")
    browser.press("0")
    browser.until(f"{canvas}.toDataURL() === '{whole}'")
    browser.press("Escape")
    browser.until("!document.querySelector('.plot-dialog').open")
    browser.until("location.hash === '#gate=b_cells'")
    browser.press("?")
    assert browser.evaluate("document.querySelector('.help-dialog').open")
    assert not browser.console


def test_the_pointer_reads_values_and_the_count_of_a_bin(browser, results):
    opened(browser, results)
    told = browser.evaluate(
        f"(() => {{ const canvas = {PLOTS}[0]; const box = canvas.getBoundingClientRect();"
        "const size = box.width - 62; canvas.dispatchEvent(new PointerEvent('pointermove',"
        " { clientX: box.left + 52 + 0.65 * size, clientY: box.top + 8 + 0.6 * size }));"
        f"return {text('.plot-tip')}; }})()"
    )
    assert re.match(r"CD19 \(PE-A\): about (9,9\d\d|10,[01]00) CD3 \(APC-A\): about 1,000", told)


def test_a_deep_link_unfolds_its_branch_and_a_key_leads_to_the_next_visit(browser, results):
    place = "#gate=switched_b&light=b_cells"
    opened(browser, results, place)
    browser.press("ArrowRight")
    browser.until("location.pathname.includes('next0')")
    browser.until("document.querySelector('.population-tree [aria-current]')")
    assert browser.evaluate("location.hash") == place
    chosen = browser.evaluate(text(".population-tree [aria-current]"))
    assert chosen.startswith("switched_b")
    assert browser.evaluate("document.querySelector('.empty-plots').open")
    lit = browser.evaluate("document.querySelector('.lamp[aria-pressed=true]').title")
    assert lit == "Light the events of B cells (CD19+) in every plot"
    browser.evaluate("location.hash = '#gate=not_b'")
    browser.until(f"{text('.population-tree [aria-current]')}.startsWith('not_b')")
    browser.evaluate("location.hash = '#gate=gone'")
    browser.until(f"{text('.bar-told')} === 'The strategy of this tube has no gate gone.'")


def test_hostile_names_are_shown_as_texts(browser, results):
    value = tube_value(file=HOSTILE, operator=HOSTILE, batch="x" * 255)
    for gate in value["gates"]:
        gate["label"] = f"{HOSTILE} {gate['name']} {'y' * 255}"
    opened(browser, results, "#with=baseline", value, width=390)
    assert browser.evaluate("document.querySelectorAll('main script').length") == 0
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "<script>alert(1)</script>" in browser.evaluate(text(".population-tree"))
    assert not browser.console


@pytest.mark.parametrize("cells", [(0, 0), (1, 0)], ids=["empty", "one event"])
def test_a_tube_without_events_and_one_of_a_single_event_are_drawn(browser, results, cells):
    browser.open(write_tube(results, "here0", tube_value(*cells)))
    browser.until("document.querySelector('.plot')")
    open_folds(browser)
    notes = browser.evaluate(text(".tube-plots"))
    assert "cannot be drawn" not in notes
    assert not browser.console


def test_a_tube_of_which_no_gate_was_drawn_says_so(browser, results):
    value = tube_value()
    value.update(gates=[], densities=[], thresholds=[])
    browser.open(write_tube(results, "here0", value))
    browser.until("document.querySelector('.tube-plots')")
    assert "No gate was drawn for this tube." in browser.evaluate(text("main"))
    assert "No gate of this tube uses a threshold." in browser.evaluate(text("main"))
    browser.press("l")
    browser.press("j")
    assert browser.evaluate("location.hash") == ""
    assert not browser.console


def test_without_the_patients_series_the_page_works_and_says_so(browser, tmp_path):
    opened(browser, tmp_path)
    tree = browser.evaluate(text(".tube-tree"))
    assert "this patient's tables have not been written yet" in tree
    assert re.search(r"B cells \(CD19\+\).*40 11\.8 %", tree)


def test_a_filmstrip_begins_with_the_baseline_and_says_what_is_missing(browser, results):
    path = results / "patients" / "P01" / "gates" / "b_cells.html"
    shell = {"page": "filmstrip", "root": "../../../", "key": "P01"}
    browser.open(write_page(results, path, gate="b_cells", **shell))
    browser.until(f"{PLOTS}.length === 3 && {DRAWN}")
    told = browser.evaluate(text("main"))
    assert "bcell · blood No tube at: D14." in told
    assert told.index("D-7 (day -7) · baseline") < told.index("D28 (day 26.9)") < told.index("D56")
    assert "12.3 /µL 10.0 to 15.3, Q" in told
    assert "NE 10.0 to 15.3, not evaluable: nothing may be concluded" in told
    links = browser.evaluate("[...document.querySelectorAll('.plot-face')].map(({ href }) => href)")
    assert [link.split("/tubes/")[1] for link in links] == [
        f"{sha12}/gating.html#gate=b_cells" for sha12 in ("base0", "here0", "next0")
    ]
    assert not browser.console
