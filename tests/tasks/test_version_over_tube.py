"""Another version of the strategy laid over a tube's page, as a browser draws it."""

import pytest

from tests.browser import browser, needs_chromium
from tests.tasks.tube_documents import (
    HOSTILE,
    series_value,
    tube_value,
    version_value,
    write_data,
    write_tube,
    write_version,
)

pytestmark = needs_chromium
__all__ = ["browser"]

TEXT = "document.querySelector('{}').innerText.split(/\\s+/).join(' ')"
SHOWN = "!document.querySelector('.version-section').hidden"
PLOT = (
    "[...document.querySelectorAll('.tube-plots .plot')]"
    ".find((plot) => plot.innerText.includes('of cells'))"
)
PICTURE = f"{PLOT}.querySelector('canvas').toDataURL()"


def text(browser, selector):
    return browser.evaluate(TEXT.format(selector))


@pytest.fixture
def results(tmp_path):
    """A patient of whom one tube is known."""
    series = series_value({"D28": 26.9}, {"here0": "D28"})
    write_data(tmp_path / "patients" / "P01" / "series.js", "patient", "P01", series)
    return tmp_path


def opened(browser, results, hash_="", *, tube=None, value=None, width=1400):
    """Open the page of a tube that was compared with bcell@4.0.0."""
    tube = tube or tube_value()
    address = write_tube(results, "here0", tube)
    value = value or version_value(tube, added="bright_b", moved="b_cells", elsewhere="memory_b")
    write_version(results, "here0", value)
    browser.open(address + hash_, width=width)
    browser.until("document.querySelector('.plot canvas')?.width > 300")


def test_a_key_lays_the_other_version_over_and_takes_it_away(browser, results):
    opened(browser, results)
    before = browser.evaluate(PICTURE)
    browser.press("v")
    browser.until(f"{SHOWN} && {PICTURE} !== {before!r}")
    assert browser.evaluate("location.hash") == "#with=bcell@4.0.0".replace("@", "%40")
    told = text(browser, ".bar-told")
    assert told.startswith("Blue dashes: the gates of bcell@4.0.0. 1 gate holds other events.")
    notes = browser.evaluate(f"{PLOT}.querySelector('.plot-notes').innerText")
    assert notes == "B cells (CD19+): 40 → 20. Only in bcell@4.0.0: bright_b, 7 events."
    browser.press("v")
    browser.until(f"!{SHOWN} && {PICTURE} === {before!r}")
    assert browser.evaluate("location.hash") == ""
    assert not browser.console


def test_a_saved_picture_says_nothing_of_what_stands_below_the_plots(browser, results):
    opened(browser, results, "#gate=b_cells&with=bcell@4.0.0&large=1")
    browser.until("document.querySelector('.plot-dialog canvas')?.width > 600")
    browser.evaluate("""(() => {
      const { fillText } = CanvasRenderingContext2D.prototype;
      window.written = [];
      CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        window.written.push(text);
        return fillText.call(this, text, ...place);
      };
      HTMLAnchorElement.prototype.click = () => {};
    })()""")
    browser.press("s")
    browser.until(f"{TEXT.format('.plot-dialog-side > .plot-notes')}.startsWith('Saved as ')")
    written = " ".join(browser.evaluate("window.written"))
    assert "the gates of bcell@4.0.0. 1 gate holds other events." in written
    assert "below the plots" not in written


def test_counts_stand_side_by_side_and_a_gate_on_other_axes_has_its_own_plot(browser, results):
    opened(browser, results, "#with=version")
    browser.until(SHOWN)
    rows = browser.evaluate(
        "[...document.querySelectorAll('.version-counts tr')]"
        ".map((row) => [row.className, row.innerText.split(/\\s+/).join(' ')])"
    )
    assert rows[0][1] == "Gate bcell@3.0.0 % of parent bcell@4.0.0 % of parent Agreement"
    assert ["", "cells 340 100 % 340 100 % 1"] in rows
    assert ["differs", "B cells (CD19+) 40 11.8 % 20 5.9 % 0.6667"] in rows
    assert ["differs", "bright_b – – 7 2.1 % new"] in rows
    alone = "document.querySelector('.version-section .plot canvas')"
    browser.until(f"{alone}.width > 300")
    assert "memory_b" in text(browser, ".version-section .plot")
    browser.evaluate("document.querySelector('.version-section .plot-face').click()")
    browser.until("document.querySelector('.plot-dialog').open")
    assert text(browser, ".plot-dialog h2") == "bcell@4.0.0: memory_b"
    assert not browser.console


@pytest.mark.parametrize("width", [390, 1400])
def test_names_of_another_version_are_shown_as_texts(browser, results, width):
    tube = tube_value()
    value = version_value(tube, added="bright_b", moved="b_cells", elsewhere="memory_b")
    for gate in value["tube"]["gates"]:
        gate["label"] = HOSTILE + "z" * 255
    opened(browser, results, "#with=bcell@4.0.0", tube=tube, value=value, width=width)
    browser.until(SHOWN)
    assert browser.evaluate("document.querySelectorAll('main script').length") == 0
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not browser.console


def test_a_tube_counted_anew_since_is_not_laid_over(browser, results):
    value = version_value(tube_value(), added="new", moved="b_cells", elsewhere="memory_b")
    opened(browser, results, "#with=version", tube=tube_value(41), value=value)
    browser.until(f"{TEXT.format('.bar-told')}.includes('counted anew')")
    assert not browser.evaluate(SHOWN)
    told = text(browser, ".bar-told")
    assert told.endswith("reconflow regate --strategy bcell@4.0.0 compares it again.")
    corrected = tube_value(41, correction_sha256="aa")
    opened(browser, results, "#with=version", tube=corrected, value=value)
    browser.until(SHOWN)
    assert "without what a person corrected" in text(browser, ".bar-told")


def test_without_another_version_there_is_no_button_and_the_key_says_why(browser, results):
    browser.open(write_tube(results, "here0", tube_value()) + "#with=bcell@9.0.0")
    browser.until("document.querySelector('.plot canvas')?.width > 300")
    assert text(browser, ".bar-told") == "This tube was not compared with bcell@9.0.0."
    assert "Version" not in text(browser, ".bar-tools")
    browser.evaluate("location.hash = '#with=version'")
    browser.until(f"{TEXT.format('.bar-told')}.startsWith('This tube was compared with no other')")
    browser.press("Escape", "v")
    browser.until(f"{TEXT.format('.bar-told')}.startsWith('This tube was compared with no other')")
    assert not browser.console
