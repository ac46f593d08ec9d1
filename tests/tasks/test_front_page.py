"""The front page as a file: its shell without a script, its data, what it says after each pass."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol

import pytest

from flows.commands.status import status_document, status_text
from panels.text.errors import ReconflowError
from tasks.corrections.exclusion import decide_on_tube
from tasks.intake.take_in import take_in
from tasks.publish.front_page import FrontPage, LedgerLine, render_index
from tasks.publish.page_data import data_script
from tasks.results.front_page import read_morning, rewrite_front_page, write_front_page
from tasks.steps.one_pass import one_pass
from tasks.store.runs import begin_run, end_run
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tests.tasks.plain_pass import take_in_count_and_build
from tests.tasks.study_folder import DRAWN, PATIENTS, make_study, write_tube

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
EVIL = ("<script>alert(1)<∕script>.fcs", "=cmd|' !A1.fcs", "\u202escf.exe.fcs", "a" * 251 + ".fcs")
SETTINGS = "study: '<b>Lupus</b> & co'\ntime_zone: Europe/Berlin\nintake: {settle_seconds: 0}\n"
ROWS = (f"first.fcs,P01,{DRAWN},bcell", f"second.fcs,P02,{DRAWN},tbnk")


def document(study: Study) -> dict[str, Any]:
    """Read study.js as a browser would."""
    text = (study.results / "study.js").read_text(encoding="ascii")
    before, after = 'reconflow.add("study","",', ");\n"
    assert text.startswith(before)
    assert text.endswith(after)
    read: dict[str, Any] = json.loads(text[len(before) : -len(after)])
    return read


def shell(study: Study) -> str:
    return (study.results / "index.html").read_text(encoding="utf-8")


def troubled(folder: Path) -> Study:
    """Make a study with two good tubes, names that would like to be code, and files of no use."""
    study = make_study(folder, ROWS, settings=SETTINGS)
    write_tube(study.inbox / "first.fcs", "bcell", seed=1)
    write_tube(study.inbox / "second.fcs", "tbnk", seed=2)
    shutil.copy(study.inbox / "first.fcs", study.inbox / "once more.fcs")
    for seed, name in enumerate(EVIL, 3):
        write_tube(study.inbox / name, "bcell", seed=seed)
    (study.inbox / "broken.fcs").write_bytes(b"FCS3.1 and no more")
    return study


def pass_over(study: Study) -> None:
    with one_pass(study.folder, "run") as this:
        take_in_count_and_build(this)
        write_front_page(this.snapshot)


@pytest.fixture(scope="module")
def after_a_pass(tmp_path_factory: pytest.TempPathFactory) -> Study:
    study = troubled(tmp_path_factory.mktemp("front") / "study")
    pass_over(study)
    return study


# Data


def test_maps_are_led_to_where_there_are_any() -> None:
    leads = [
        'href="cohort/map.html"'
        in render_index(FrontPage("S", "All.", "quiet", {}, (), map_page=there))
        for there in (True, False)
    ]
    assert leads == [True, False]


def test_files_that_need_a_hand_are_named_with_the_reason_the_worst_state_first(
    after_a_pass: Study,
) -> None:
    read = document(after_a_pass)
    hand, aside = read["hand"], read["aside"]
    assert [each["state"] for each in hand] == ["quarantined", *["waiting"] * 4]
    assert {each["file"] for each in hand} == {*EVIL, "broken.fcs"}
    assert [(each["state"], each["file"]) for each in aside] == [("duplicate", "once more.fcs")]
    assert all(each["reason"] for each in (*hand, *aside))
    assert all(len(each["hash"]) == 12 for each in (*hand, *aside))
    assert "5 files need your hand" in read["sentence"]
    needed, nothing = shell(after_a_pass).split("Nothing to do: copies and files still arriving")
    assert "broken.fcs" in needed
    assert "once more.fcs" not in needed
    assert "once more.fcs" in nothing


def test_a_duplicate_is_named_while_it_is_new_and_asks_for_nothing(after_a_pass: Study) -> None:
    night = document(after_a_pass)["night"]
    assert night["needs_you"] - len(document(after_a_pass)["notices"]) == 5
    with after_a_pass.store() as store:
        run = begin_run(store, "run")
        end_run(store, run, "done", {})
        morning = read_morning(read_snapshot(after_a_pass))
    assert [each.state for each in morning.aside] == ["duplicate"]
    assert night["needs_you"] == len(document(after_a_pass)["hand"]) == len(morning.files)


def test_every_tube_can_be_searched_and_has_its_mark(after_a_pass: Study) -> None:
    read = document(after_a_pass)
    assert [each[1:5] for each in read["tubes"]] == [
        ["first.fcs", "P01", "D28", "bcell"],
        ["second.fcs", "P02", "D18", "tbnk"],
    ]
    assert read["panels"] == ["bcell", "tbnk"]
    assert [each["visit"] for each in read["visits"]] == ["D18", "D28"]
    marks = {each["patient"]: each["cells"] for each in read["patients"]}
    assert [(cell[0], cell[1]) for cell in marks["P01"]] == [(1, 0)]
    words = {word for each in read["tubes"] for word in each[5]}
    assert set(read["flags"]) == words
    assert {each["severity"] for each in read["flags"].values()} <= {"stop", "look", "know"}


def test_a_counted_tube_is_looked_at_or_quiet_and_never_both(after_a_pass: Study) -> None:
    read = document(after_a_pass)
    look = [each["sha12"] for each in read["look"]]
    quiet = [each["sha12"] for each in read["quiet"]]
    assert sorted(look + quiet) == sorted(each[0] for each in read["tubes"])
    assert read["night"]["to_look_at"] == len(look)
    assert read["night"]["counted"] == 2


def test_a_gate_of_an_entry_is_one_of_the_strategy(after_a_pass: Study) -> None:
    used = read_snapshot(after_a_pass).strategies
    for entry in document(after_a_pass)["look"]:
        gates = {each.gate for each in used[entry["panel"]].populations.values()}
        assert entry["gate"] in gates


def test_status_says_in_one_line_what_the_page_shows(after_a_pass: Study) -> None:
    night, status = document(after_a_pass)["night"], status_document(after_a_pass, None)
    assert (status["to_look_at"], status["stops"]) == (night["to_look_at"], night["stops"])
    assert night["to_look_at"] > 0
    (line,) = [each for each in status_text(status).splitlines() if each.startswith("tubes: ")]
    assert line.startswith(f"tubes: {night['to_look_at']} to look at")
    assert line.endswith("0 uncalibrated; instruments: 0 notices")


def test_a_tube_that_was_excluded_is_not_among_those_in_order(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", ROWS, settings=SETTINGS)
    write_tube(study.inbox / "first.fcs", "bcell", seed=1)
    write_tube(study.inbox / "second.fcs", "tbnk", seed=2)
    pass_over(study)
    decide_on_tube(study, "second.fcs", "exclude", "a person", "a clot in the tube")
    pass_over(study)
    read = document(study)
    (excluded,) = [each for each in read["tubes"] if each[2] == "P02"]
    assert excluded[6] == "excluded"
    assert excluded[0] not in {each["sha12"] for each in (*read["quiet"], *read["look"])}
    (line,) = [each for each in read["patients"] if each["patient"] == "P02"]
    assert [cell[4] for cell in line["cells"]] == ["excluded"]


# The shell


def test_without_a_script_the_page_has_the_night_the_files_and_the_reports(
    after_a_pass: Study,
) -> None:
    text = shell(after_a_pass)
    read = document(after_a_pass)
    assert "(Europe/Berlin)" in read["sentence"]
    assert read["sentence"] in text.replace("&#39;", "'")
    for patient in ("P01", "P02"):
        assert f'href="patients/{patient}/report.html"' in text
    assert "broken.fcs" in text
    assert "&lt;b&gt;Lupus&lt;/b&gt; &amp; co" in text
    assert "<b>Lupus" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\u202e" not in text


def test_the_shell_holds_no_code_of_its_own(after_a_pass: Study) -> None:
    text = shell(after_a_pass)
    scripts = text.split("<script")[1:]
    assert [each.split("</script>")[0] for each in scripts] == [
        ' src="app.js" defer>',
        ' src="study.js" defer>',
    ]
    assert " on" not in "".join(part.split(">")[0] for part in text.split("<"))
    assert "style=" not in text


def test_long_lists_are_named_in_part_and_the_rest_is_counted() -> None:
    lines = [LedgerLine(f"{number}.fcs", "waiting", "why") for number in range(1_234)]
    page = render_index(FrontPage("S", "All.", "look", {"waiting": 1_234}, lines))
    assert page.count('<li class="entry waiting">') == 20
    assert "And 1,214 more" in page


def test_a_study_without_anything_says_so(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    rewrite_front_page(read_snapshot(study))
    text = shell(study)
    assert "No pass over this study has ended yet" in text
    assert "Nothing waits, nothing was refused, nothing failed." in text
    assert "No tube has been counted yet." in text
    read = document(study)
    assert (read["hand"], read["look"], read["quiet"], read["patients"]) == ([], [], [], [])
    assert read["night"]["outcome"] == "none"


# Nights that did not end well


def test_a_pass_that_fails_is_said_on_the_page_it_leaves(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    pass_over(study)
    assert document(study)["night"]["outcome"] == "done"
    with pytest.raises(ReconflowError, match="the disk is full"), one_pass(study.folder, "run"):
        raise ReconflowError("the disk is full")
    assert "FAILED" in shell(study)
    assert 'class="night stop"' in shell(study)
    assert document(study)["night"]["outcome"] == "failed"


def test_a_pass_that_was_killed_is_interrupted_and_the_next_one_done(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    with study.store() as store:
        begin_run(store, "run")
    rewrite_front_page(read_snapshot(study))
    assert document(study)["night"]["outcome"] == "interrupted"
    assert "WAS INTERRUPTED" in shell(study)
    pass_over(study)
    assert document(study)["night"]["outcome"] == "done"


def test_what_a_pass_could_not_write_stands_first_until_the_next_pass(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    fault = "P01: The tables could not be written: no space."
    write_front_page(read_snapshot(study), [fault])
    assert document(study)["notices"][0] == fault
    assert document(study)["night"]["standing"] == "stop"
    with study.store() as store:
        end_run(store, begin_run(store, "run"), "done", {"table_faults": [fault]})
    rewrite_front_page(read_snapshot(study))
    assert document(study)["notices"][0] == fault
    assert "1 unwritten result needs your hand" in shell(study)


def test_between_passes_new_files_are_named(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    study.patients_sheet.write_text(PATIENTS, encoding="utf-8")
    pass_over(study)
    (study.inbox / "late.fcs").write_bytes(b"FCS3.1 and no more")
    take_in(study)
    rewrite_front_page(read_snapshot(study))
    assert "late.fcs" in shell(study)
    assert document(study)["night"]["needs_you"] == 1


def test_a_sheet_that_is_missing_or_faulty_needs_a_hand_and_is_counted(tmp_path: Path) -> None:
    lines = [f"{number}.fcs,P01,lately,bcell" for number in range(30)]
    study = make_study(tmp_path / "s", lines)
    study.patients_sheet.unlink()
    pass_over(study)
    read = document(study)
    assert "There is no patients.csv in the study folder" in read["notices"][0]
    assert "31 sheet faults need your hand" in read["sentence"]
    assert read["notices"][-1] == (
        "11 more faults are in the sheets: `reconflow run` says each of them."
    )
    assert read["night"]["standing"] == "look"
    assert "There is no patients.csv in the study folder" in shell(study)
    study.patients_sheet.write_text(PATIENTS, encoding="utf-8")
    make_study(tmp_path / "other", ROWS)
    shutil.copy(tmp_path / "other" / "samples.csv", study.samples_sheet)
    rewrite_front_page(read_snapshot(study))
    assert document(study)["sentence"].endswith("nothing needs your hand.")


# In a browser


class Shown(Protocol):
    """Open the page with a fragment, let a script act on it, and give what is then drawn."""

    def __call__(self, fragment: str, act: str, data: dict[str, Any] | None = None) -> str:
        """Draw the study, or these ``data`` in place of its own."""
        ...


@pytest.fixture
def shown(after_a_pass: Study, tmp_path: Path) -> Shown:
    """Give what opens the page of the study in a browser."""
    if CHROMIUM is None:
        pytest.skip("CHROMIUM IS MISSING: the page is not looked at; install chromium to test it")

    def show(fragment: str, act: str, data: dict[str, Any] | None = None) -> str:
        shutil.copytree(after_a_pass.results, tmp_path / "results", dirs_exist_ok=True)
        if data is not None:
            (tmp_path / "results" / "study.js").write_bytes(data_script("study", "", data))
        (tmp_path / "results" / "act.js").write_text(
            "onerror = (said) => { document.body.dataset.fault = said; };\n"
            "const press = (key, on = document.activeElement) => on.dispatchEvent("
            "new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));\n"
            "const said = () => document.activeElement.closest('.entry')?.textContent;\n"
            f"addEventListener('load', () => setTimeout(() => {{ {act} }}, 400));\n",
            encoding="utf-8",
        )
        page = tmp_path / "results" / "index.html"
        text = shell(after_a_pass).replace("</head>", '<script src="act.js"></script></head>')
        page.write_text(text, encoding="utf-8")
        flags = "headless no-sandbox disable-gpu no-first-run disable-sync dump-dom".split()
        options = [f"--{flag}" for flag in flags]
        options += ["--virtual-time-budget=3000", f"--user-data-dir={tmp_path / 'profile'}"]
        done = subprocess.run(
            [str(CHROMIUM), *options, page.as_uri() + fragment],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert "data-fault" not in done.stdout
        return done.stdout

    return show


def test_the_grid_tells_reviews_extra_visits_and_tubes_of_one_panel_apart(
    shown: Shown, after_a_pass: Study
) -> None:
    cells = {
        "A": [[0, 0, "aa", "", "excluded"], [1, 0, "ab", "", "queried"], [3, 0, "ac", "", ""]],
        "B": [[0, 0, "ba", "look", "repeat"], [2, 0, "bb", "", ""], [3, 0, "bc", "", ""]],
        "C": [
            [0, 0, "ca", "", ""],
            [1, 0, "cb", "", ""],
            [3, 0, "cc", "", ""],
            [3, 0, "cd", "", ""],
        ],
    }
    change = {
        "panels": ["cart"],
        "visits": [{"visit": name, "day": 1} for name in ("D1", "D2", "extra", "D9")],
        "patients": [
            {"patient": name, "report": "#", "cells": marks} for name, marks in cells.items()
        ],
        "tubes": [
            [cell[2], f"{cell[2]}.fcs", name, "D1", "cart", [], cell[4]]
            for name, marks in cells.items()
            for cell in marks
        ],
    }
    drawn = shown("#find=excluded", "", document(after_a_pass) | change)
    grid = drawn.split('<table class="grid">')[1].split("</table>")[0]
    rows = [row.split("<td")[1:] for row in grid.split("<tbody>")[1].split("<tr>")[1:]]
    marks = [
        [re.findall('class="mark (?:severity-mark severity-)?([a-z ]+)"', cell) for cell in row]
        for row in rows
    ]
    assert marks == [
        [["excluded"], ["none hollow"], [], ["none hollow"]],
        [["look hollow"], ["missed"], ["none hollow"], ["none hollow"]],
        [["none hollow"], ["none hollow"], [], ["none hollow", "none hollow"]],
    ]
    assert [
        title for title in re.findall('title="([^"]+)"', grid) if not title.endswith("order")
    ] == [
        "A D1 cart: excluded, in no result",
        "A D2 cart: queried",
        "B D1 cart: look at it, to be repeated",
        "B D2: missed",
    ]
    assert "C D9 cart cc.fcs: in order" in grid
    assert "C D9 cart cd.fcs: in order" in grid
    assert re.findall('class="asked"[^>]*>(.)<', grid) == ["?", "↻"]
    found = drawn.split('<section id="found"')[1].split("</section>")[0]
    assert "1 found" in found
    assert "aa.fcs" in found


def test_names_that_would_like_to_be_code_are_texts(shown: Shown) -> None:
    drawn = shown("", "")
    assert "&lt;script&gt;alert(1)&lt;∕script&gt;.fcs</bdi>" in drawn
    assert "\\u202escf.exe.fcs</bdi>" in drawn
    assert "=cmd|' !A1.fcs</bdi>" in drawn
    assert drawn.count("<script") == 3
    assert drawn.count('<a class="mark severity-mark severity-') >= 2
    assert "Arrived, nothing unusual" in drawn


def test_a_link_with_find_shows_what_it_names(shown: Shown, after_a_pass: Study) -> None:
    sha12 = next(each[0] for each in document(after_a_pass)["tubes"] if each[2] == "P01")
    wanted = {
        "P01 bcell": ("1 found", "first.fcs"),
        sha12[:4]: ("2 found", "once more.fcs"),
        f"{sha12}{'0' * 52}": ("2 found", "first.fcs"),
        "second": ("1 found", "second.fcs"),
        "quarantined": ("1 found", "broken.fcs"),
        "<img src=x>": ("Nothing found", ""),
    }
    drawn = shown(
        f"#find={next(iter(wanted))}",
        f"const queries = {json.dumps(list(wanted))}; const told = []; const next = () => {{"
        "told.push(document.getElementById('found').textContent); queries.shift();"
        "if (!queries.length) { document.body.dataset.told = JSON.stringify(told); return; }"
        "location.hash = `#find=${encodeURIComponent(queries[0])}`; setTimeout(next, 50); };"
        "next();",
    )
    body = html.unescape(drawn.split("<body")[1].split(">")[0])
    told = json.loads(body.split('data-told="')[1].rsplit('"', 1)[0])
    for (query, (number, found)), section in zip(wanted.items(), told, strict=True):
        assert number in section, query
        assert found in section, query


def test_keys_search_move_and_help(shown: Shown) -> None:
    drawn = shown(
        "",
        "press('j'); document.body.dataset.first = said(); press('j');"
        "document.body.dataset.second = said(); press('k');"
        "document.body.dataset.back = said(); press('?');"
        "document.body.dataset.help = document.querySelector('dialog').open;"
        "document.querySelector('dialog').close(); press('/', document.body);"
        "document.body.dataset.focus = document.activeElement.id;",
    )
    body = drawn.split("<body")[1].split(">")[0]
    assert 'data-help="true"' in body
    assert 'data-focus="find"' in body
    told = {
        name: body.split(f'data-{name}="')[1].split('"')[0] for name in ("first", "second", "back")
    }
    assert told["first"].startswith("quarantined")
    assert told["second"].startswith("waiting")
    assert told["back"] == told["first"]
