"""Drafts on the review pages in a browser: looked at in several tubes, moved, kept, released."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gating.strategy.catalogue import shipped
from panels.files.lock import read_locked
from panels.text.errors import CalibrationFault
from tasks.calibrate.draft import DraftRequest, draft_calibration
from tasks.publish.app_files import write_app
from tasks.results.front_page import rewrite_front_page
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tests.browser import Browser, browser, needs_chromium
from tests.review_server import Served, serving
from tests.tasks.test_corrections import simulated

__all__ = ["browser"]
pytestmark = [pytest.mark.xdist_group("draft_pages"), needs_chromium]

CALIBRATION = "bcell/BD-FACSLyric/1.0.0"
STRATEGY = "bcell/2.0.9"
EVIL = "<img src=x onerror=alert(1)> \u202e=cmd|x"
PLOTS = "document.querySelectorAll('.draft-plot .count-kept').length"
MOVED = ".draft-numbers .count-moved td"


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = simulated(tmp_path_factory.mktemp("drafts") / "s")
    write_drafts(study)
    write_app(study.results)
    rewrite_front_page(read_snapshot(study))
    return study.folder


def write_drafts(study: Study) -> None:
    """Write a calibration and a strategy, and one that cannot be read."""
    draft_calibration(study, DraftRequest("bcell", "BD FACSLyric"))
    source = (shipped() / "bcell" / "2.0.0" / "strategy.yaml").read_text(encoding="utf-8")
    title = next(line for line in source.splitlines() if line.startswith("title: "))
    own = source.replace(title, f"title: {json.dumps(EVIL)}")
    own = own.replace("version: 2.0.0\n", "version: 2.0.9\n")
    for place, content in ((STRATEGY, own), ("broken/1.0.0", "a: [")):
        path = study.own_strategies / place / "strategy.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(content, encoding="utf-8")


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


def drag_first_handle(browser: Browser, plot: str, by: tuple[float, float]) -> None:
    """Drag the first grip that is found along the middle line of a plot."""
    canvas = f"{plot} canvas"
    browser.evaluate(f"document.querySelector('{canvas}').scrollIntoView({{block: 'center'}})")
    wide, high = browser.evaluate(
        f"(({{clientWidth, clientHeight}}) => [clientWidth, clientHeight])"
        f"(document.querySelector('{canvas}'))"
    )
    middle = 8 + (high - 50) / 2
    for across in range(54, int(wide) - 12, 4):
        event = f"{{clientX: box.left + {across}, clientY: box.top + {middle}, bubbles: true}}"
        over = (
            f"((canvas, box) => {{ const box2 = canvas.getBoundingClientRect();"
            f"canvas.dispatchEvent(new PointerEvent('pointermove', {event}));"
            f"return canvas.classList.contains('grip'); }})"
            f"(document.querySelector('{canvas}'),"
            f"document.querySelector('{canvas}').getBoundingClientRect())"
        )
        if browser.evaluate(over):
            browser.drag(canvas, (across, middle), (across + by[0], middle + by[1]))
            return
    raise AssertionError(f"nothing can be taken hold of in {plot}")


def test_a_draft_is_moved_in_all_tubes_kept_compared_and_released(browser, served, study):
    log_in(browser, served, "Anna")
    browser.until("document.querySelector('.draft-waiting a')")
    assert "bcell/BD-FACSLyric@1.0.0" in text(browser, ".draft-waiting")
    browser.evaluate("document.querySelector('.draft-waiting a').click()")
    browser.until("document.querySelectorAll('.draft-entry').length === 3")
    assert not browser.evaluate("document.querySelectorAll('main img').length")
    open_draft(browser, served, f"calibration/{CALIBRATION}", "transitional_phenotype")
    choose_all(browser)
    kept = browser.evaluate(events("kept"))
    assert len(kept) == 3
    assert browser.evaluate("document.querySelector('.draft-keep').hidden")

    drag_first_handle(browser, ".draft-plot:nth-child(2)", (20, -20))
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
    yaml = (study.own_calibrations / CALIBRATION / "calibration.yaml").read_text(encoding="utf-8")
    line = next(each for each in yaml.splitlines() if each.strip().startswith(f"{name}:"))
    assert f"value: {value.replace(',', '')}," in line
    assert "by hand: Anna" in line
    assert "dim cells lay below" in line
    assert "dim cells lay below" in text(browser, ".draft-edits")

    log_in(browser, served, "Berta")
    open_draft(browser, served, f"calibration/{CALIBRATION}")
    assert browser.evaluate("document.querySelector('.draft-release fieldset').disabled")
    assert "Compare first" in text(browser, "#release-refused")
    browser.evaluate("document.querySelector('.draft-concordance button').click()")
    browser.until("document.querySelector('.draft-agreement table')")
    assert "as it is kept now" in text(browser, ".draft-concordance [role=status]")
    browser.until("!document.querySelector('.draft-release fieldset').disabled")
    fill(browser, "reason", "all tubes looked at", ".draft-release")
    browser.until("document.querySelector('.draft-released')")
    assert "bcell/BD-FACSLyric@1.0.0" in read_locked(study.own_calibrations, CalibrationFault)
    assert browser.console == []
    assert all(address.startswith((served.url, "data:", "about:")) for address in browser.requests)


def choose_all(browser: Browser) -> None:
    browser.press("t")
    browser.until("document.querySelector('.draft-dialog[open]')")
    browser.evaluate(
        "(document.querySelectorAll('.draft-choice input:not(:checked)').forEach((box) => box.click()),"
        "document.querySelector('.draft-dialog form').requestSubmit())"
    )
    browser.until(f"{PLOTS} === 3")


def test_a_corner_of_a_strategy_and_a_typed_number_are_moved_and_discarded(browser, served, study):
    log_in(browser, served, "Anna")
    open_draft(browser, served, f"strategy/{STRATEGY}", "cells")
    assert EVIL.split(" \u202e")[0] in text(browser, ".draft-title")
    assert "\u202e" not in text(browser, ".draft-title")
    assert browser.evaluate("document.querySelectorAll('main img').length") == 0
    assert browser.evaluate("document.activeElement === document.body")
    browser.press("]")
    assert browser.evaluate("document.querySelector('.draft-keep').hidden"), "only corners here"
    drag_first_handle(browser, ".draft-plot", (8, -8))
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
    assert browser.console == []


def test_what_cannot_be_shown_is_said_in_words(browser, served, study):
    log_in(browser, served, "Anna")
    open_draft(browser, served, f"calibration/{CALIBRATION}", width=390, height=844)
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    choose_all(browser)
    for path in study.archive.rglob("P01_D10_bcell.fcs"):
        path.unlink()
    open_draft(browser, served, f"calibration/{CALIBRATION}", dark=True)
    browser.press("t")
    browser.evaluate(
        "(document.querySelectorAll('.draft-choice input:not(:checked)').forEach((box) => box.click()),"
        "document.querySelector('.draft-dialog form').requestSubmit())"
    )
    browser.until("document.querySelector('.draft-grid .strip-wait')")
    assert "P01_D10_bcell.fcs" in text(browser, ".draft-grid .strip-wait")
    shutil.rmtree(study.own_calibrations)
    shutil.rmtree(study.own_strategies)
    browser.open(f"{served.url}/drafts")
    browser.until("document.querySelector('main dl')")
    assert "reconflow calibrate draft" in text(browser, "main dl")
    assert browser.console == []
