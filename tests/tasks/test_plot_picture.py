"""An enlarged plot saved as a PNG file that stands by itself, as a browser writes it."""

import json
import time

import matplotlib.image
import numpy as np
import pytest

from tests.browser import PATIENCE, browser, computed, needs_chromium
from tests.tasks.tube_documents import HOSTILE, series_value, tube_value, write_data, write_tube

pytestmark = needs_chromium
__all__ = ["browser"]


def saved(browser, results, tube, *, dark=False):
    """Enlarge the gate of the B cells, save it with its key, and give the one file there is."""
    folder = results / "saved"
    series = series_value({"D28": 26.9}, {"here0": "D28"}, here0=("12.3", "Q"))
    write_data(results / "patients" / "P01" / "series.js", "patient", "P01", series)
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.open(write_tube(results, "here0", tube) + "#gate=b_cells&large=1", dark=dark)
    browser.until("document.querySelector('.plot-dialog canvas')?.width > 800")
    browser.press("s")
    said = "document.querySelector('.plot-dialog-side > .plot-notes').innerText"
    browser.until(f"{said}.startsWith('Saved as ')")
    deadline = time.monotonic() + PATIENCE
    while not (found := list(folder.glob("*.png"))):
        assert time.monotonic() < deadline, "no file was saved"
        time.sleep(0.05)
    (path,) = found
    assert browser.evaluate(said) == f"Saved as {path.name}."
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_saved_plot_is_on_white_paper_with_its_gate_named(browser, tmp_path, dark):
    path = saved(browser, tmp_path, tube_value(), dark=dark)
    assert path.name == "P01_D28_bcell_b_cells.png"
    picture = matplotlib.image.imread(path)
    assert picture.shape[1] == 1600
    assert np.all(picture[[0, 0, -1, -1], [0, -1, 0, -1]] == 1.0), "white at its corners"
    title, thresholds = picture[40:100, :800, 0], picture[-140:, :800, 0]
    assert (title < 0.4).any(), "the title is written in ink"
    assert (thresholds < 0.4).any()
    red = (picture[..., 0] > 0.6) & (picture[..., 1] < 0.2) & (picture[..., 2] < 0.4)
    assert red.sum() > 2000, "the outline is drawn in the colour of paper"
    assert not browser.console


def test_the_picture_says_what_it_shows(browser, tmp_path):
    script = """
      const written = [];
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        written.push(text);
        return fillText.call(this, text, ...place);
      };
      HTMLAnchorElement.prototype.click = function () { written.push(this.download); };
      const tube = tubeData.open(VALUE);
      const plot = tubeData.plots(tube)[1];
      const asked = { tube, plot, chosen: 1 };
      const scene = await plotScene.of(asked);
      const results = { b_cells: { printed: "12.3", unit: "cells/µL", low: 10, high: 15.26 } };
      results.b_cells.code = "Q";
      const title = tube.gates[1].label;
      await plotPicture.save({ asked, scene, title, notes: ["Lit: none."], results });
      return written;
    """
    plain = computed(browser, tmp_path, script.replace("VALUE", json.dumps(tube_value())))
    sentence = "B cells (CD19+): 40 of 340 cells, 11.8 %. 12.3 /µL, 10.0 to 15.3, Q."
    for words in (
        "B cells (CD19+)",
        "P01 · D28 · bcell · blood",
        "P01_D28.fcs · collected 2025-03-18 08:04:00",
        sentence,
        "CD19 (PE-A)",
        "CD3 (APC-A)",
        "10⁴",
        "Lit: none.",
        "CD19 2,500 (valley)",
        "Dotted: limits within which a threshold is believed.",
        "P01_D28_bcell_b_cells.png",
    ):
        assert words in plain
    assert "strategy bcell@3.0.0 (abababababab) · calibration none" in " ".join(plain)
    value = tube_value(patient=f"../{HOSTILE}", visit="=cmd|x", file=HOSTILE + "x" * 255)
    value["gates"][1]["label"] = HOSTILE
    hostile = computed(browser, tmp_path, script.replace("VALUE", json.dumps(value)))
    assert not any("\u202e" in text for text in hostile[-12:]), "no mark turns what follows"
    assert hostile[-1] == "script_alert_1_script_evil_cmd_x_bcell_b_cells.png"
