"""Drafts on the review pages in a browser: looked at in several tubes, moved, kept, released."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from panels.files.lock import read_locked
from panels.text.errors import CalibrationFault
from tasks.drafts.draft_file import draft_named, path_of
from tasks.publish.app_files import write_app
from tasks.results.front_page import rewrite_front_page
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.study.tube_named import tube_named
from tests.browser import Browser, browser, needs_chromium
from tests.review_server import Served, serving
from tests.tasks.draft_files import CALIBRATION, STRATEGY, counted_with_drafts

__all__ = ["browser"]
pytestmark = [pytest.mark.xdist_group("drafts"), needs_chromium]

EVIL = "<img src=x onerror=alert(1)> =cmd|x"
PLOTS = "document.querySelectorAll('.draft-plot .count-kept').length"
MOVED = ".draft-numbers .count-moved td"


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = counted_with_drafts(tmp_path_factory).folder
    study = open_study(shutil.copytree(made, tmp_path_factory.mktemp("pages") / "s"))
    write_app(study.results)
    rewrite_front_page(read_snapshot(study))
    return study.folder


@pytest.fixture
def study(drafted: Path, tmp_path: Path) -> Study:
    shutil.copytree(drafted, tmp_path / "s")
    return open_study(tmp_path / "s")


@pytest.fixture
def served(study: Study) -> Iterator[Served]:
    with serving(study) as running:
        yield running


def log_in(browser: Browser, served: Served, name: str) -> None:
    browser.open(f"{served.url}/login")
    browser.evaluate("document.querySelector('input[name=name]').focus()")
    browser.press(*name, "Enter")
    browser.until("location.pathname === '/'")


def open_draft(browser: Browser, served: Served, key: str, gate: str = "", **size: Any) -> None:
    browser.open(f"{served.url}/drafts/{key}{gate and f'#gate={gate}'}", **size)
    browser.until(f"{PLOTS} > 0")


def text(browser: Browser, selector: str) -> str:
    return browser.evaluate(f"document.querySelector('{selector}').textContent")


def events(line: str) -> str:
    """Write the expression of the shown gate's events in each tube: today, kept or moved."""
    cells = f"document.querySelectorAll('.draft-plot .count-{line} td:nth-child(2)')"
    return f"[...{cells}].map((cell) => cell.textContent)"


def fill(browser: Browser, field: str, words: str, form: str) -> None:
    browser.evaluate(f"document.querySelector('{form} [name={field}]').focus()")
    browser.press(*words)
    browser.evaluate(f"document.querySelector('{form}').requestSubmit()")


GRIP = """
((canvas) => {
  canvas.scrollIntoView({block: "center"});
  const box = canvas.getBoundingClientRect();
  for (let down = 12; down < box.height - 50; down += 5)
    for (let across = 60; across < box.width - 14; across += 5) {
      const at = {clientX: box.left + across, clientY: box.top + down, bubbles: true};
      canvas.dispatchEvent(new PointerEvent("pointermove", at));
      if (canvas.classList.contains("grip")) return [across, down];
    }
  return null;
})"""


def drag_first_grip(browser: Browser, plot: str, by: tuple[float, float]) -> None:
    """Drag what the pointer can take hold of first in a plot, from its upper end."""
    found = browser.evaluate(f"{GRIP}(document.querySelector('{plot} canvas'))")
    assert found, f"nothing can be taken hold of in {plot}"
    browser.drag(f"{plot} canvas", tuple(found), (found[0] + by[0], found[1] + by[1]))


def test_a_draft_is_moved_in_all_tubes_kept_compared_and_released(browser, served, study):
    log_in(browser, served, "Anna")
    browser.until("document.querySelector('.draft-waiting a')")
    assert "2 drafts are not released" in text(browser, ".draft-waiting")
    browser.evaluate("document.querySelector('.draft-waiting a').click()")
    browser.until("document.querySelectorAll('.draft-entry a').length === 2")
    open_draft(browser, served, CALIBRATION, "transitional_phenotype")
    browser.until(f"{PLOTS} === 3")
    kept = browser.evaluate(events("kept"))
    assert len(kept) == 3
    assert browser.evaluate("document.querySelector('.draft-keep').hidden")

    drag_first_grip(browser, ".draft-plot:nth-child(2)", (20, 4))
    browser.until(f"document.querySelectorAll('{MOVED}').length === 2 * 3")
    browser.until("!document.querySelector('.draft-keep button').disabled")
    moved = browser.evaluate(events("moved"))
    assert moved != kept
    assert all(now <= was for now, was in zip(map(int, moved), map(int, kept), strict=True))
    said = text(browser, ".draft-moved")
    name, value = re.search(r"(cd38_tr|cd24_tr)\b.*?: [\d,]+ → ([\d,]+)", said).groups()
    assert "Something is moved and not kept" in text(browser, "#release-refused")

    fill(browser, "reason", "dim cells lay below", ".draft-keep form")
    browser.until("document.querySelector('.draft-keep').hidden")
    browser.until(f"({events('kept')}).join() === '{','.join(moved)}'")
    yaml = path_of(study, draft_named(study, CALIBRATION)).read_text(encoding="utf-8")
    line = next(each for each in yaml.splitlines() if each.strip().startswith(f"{name}:"))
    assert f"value: {value.replace(',', '')}," in line
    assert "by hand: Anna" in line
    assert "dim cells lay below" in line
    assert "dim cells lay below" in text(browser, ".draft-edits")

    log_in(browser, served, "Berta")
    open_draft(browser, served, CALIBRATION)
    assert browser.evaluate("document.querySelector('.draft-release fieldset').disabled")
    assert "Compare first" in text(browser, "#release-refused")
    browser.evaluate("document.querySelector('.draft-concordance button').click()")
    browser.until("document.querySelector('.draft-agreement table')")
    assert "as it is kept now" in text(browser, ".draft-concordance [role=status]")
    browser.until("!document.querySelector('.draft-release fieldset').disabled")
    fill(browser, "reason", "all tubes looked at", ".draft-release")
    browser.until("document.querySelector('.draft-released')")
    assert "bcell/lyric-2@1.0.0" in read_locked(study.own_calibrations, CalibrationFault)
    assert browser.console == []
    assert all(address.startswith((served.url, "data:", "about:")) for address in browser.requests)


def test_a_corner_of_a_strategy_and_a_typed_number_are_moved_and_discarded(browser, served, study):
    path = path_of(study, draft_named(study, STRATEGY))
    source = path.read_text(encoding="utf-8")
    title = next(line for line in source.splitlines() if line.startswith("title: "))
    path.write_text(source.replace(title, f'title: "{EVIL}"'), encoding="utf-8")
    log_in(browser, served, "Anna")
    open_draft(browser, served, STRATEGY, "cells")
    assert text(browser, ".draft-title") == EVIL
    assert browser.evaluate("document.querySelectorAll('main img').length") == 0
    assert browser.evaluate("document.activeElement === document.body")
    browser.press("]")
    assert browser.evaluate("document.querySelector('.draft-keep').hidden"), "only corners here"
    drag_first_grip(browser, ".draft-plot", (8, 8))
    browser.until("document.querySelector('.draft-keep h3')?.textContent === 'Moved, not kept yet'")
    assert "cells" in text(browser, ".draft-moved")
    browser.evaluate("document.querySelector('.draft-keep button[type=button]').click()")
    browser.until(f"document.querySelectorAll('{MOVED}').length === 0")

    browser.evaluate("document.querySelector('.draft-gates a[href=\"#gate=b_cells\"]').click()")
    browser.until("document.querySelector('.draft-field input')")
    for typed, said in (("1210", "1,100 → 1,210"), ("99999", "This cannot be kept")):
        browser.evaluate(
            f"((field) => {{ field.value = '{typed}'; field.dispatchEvent(new Event('change')); }})"
            "(document.querySelector('.draft-field input'))"
        )
        browser.until(f"document.querySelector('.draft-moved').textContent.includes('{said}')")
    assert browser.evaluate("document.querySelector('.draft-keep button').disabled")
    assert text(browser, ".draft-effect p").startswith("Nothing was counted with it.")
    leave = "window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert browser.evaluate(leave) is False, "asks before it is lost"
    browser.evaluate("document.querySelector('.draft-keep button[type=button]').click()")
    assert browser.evaluate(leave) is True

    with study.store() as store:
        sha12 = tube_named(store, "P01_D10_bcell.fcs").identity.tube_sha256[:12]
    assert sha12 in browser.evaluate("location.hash")
    browser.open(f"{served.url}/drafts")
    open_draft(browser, served, STRATEGY, f"cells&tubes={sha12}")
    assert browser.evaluate(PLOTS) == 1
    assert browser.evaluate("location.hash") == f"#gate=cells&tubes={sha12}"
    assert browser.console == []


def test_what_cannot_be_shown_is_said_in_words(browser, served, study):
    with study.store() as store:
        gone = tube_named(store, "P01_D10_bcell.fcs")
    study.path_of(gone.file.place or "").unlink()
    path_of(study, draft_named(study, STRATEGY)).write_text("a: [", encoding="utf-8")
    browser.open(f"{served.url}/drafts/{CALIBRATION}")
    browser.until("document.querySelector('.draft-thresholds td')")
    assert "Log in as a reviewer" in text(browser, ".bar-told")
    log_in(browser, served, "Anna")
    open_draft(browser, served, CALIBRATION, width=390, height=844, dark=True)
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    browser.until("document.querySelector('.draft-grid .strip-wait')")
    assert "P01_D10_bcell.fcs" in text(browser, ".draft-grid .strip-wait")
    browser.open(f"{served.url}/drafts/{STRATEGY}")
    browser.until("document.querySelector('h1').textContent === 'Draft bcell@2.1.0'")
    browser.open(f"{served.url}/drafts")
    browser.until("document.querySelector('.draft-entry .alarm')")
    assert "strategy.yaml, line 1" in text(browser, ".draft-entry .alarm")
    shutil.rmtree(study.own_calibrations)
    shutil.rmtree(study.own_strategies)
    browser.open(f"{served.url}/drafts")
    browser.until("document.querySelector('main dl')")
    assert "reconflow calibrate draft" in text(browser, "main dl")
    assert browser.console == []
