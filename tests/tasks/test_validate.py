"""The qualification holds on a sound installation, and finds a fault planted in each part."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from gating.fcs.events import Events
from tasks.publish.tables import write_atomically
from tasks.study.folder import open_study
from tasks.validate import qualification, simulated, vectors
from tasks.validate.qualification import Qualification, qualify, write_qualification
from tasks.validate.simulated import check_simulated
from tasks.validate.vectors import check_vectors
from tasks.validate.verdict import Verdict


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """The study that a qualification makes, counted once."""
    folder = tmp_path_factory.mktemp("validate")
    verdicts = list(check_simulated(folder))
    return folder, verdicts


def test_every_check_of_a_simulated_study_holds(counted):
    _, verdicts = counted
    assert [each for each in verdicts if not each.holds] == []
    parts = [each.part for each in verdicts]
    assert set(parts) == {"readers", "accuracy", "reproducibility", "pages"}
    asked = " ".join(each.asked for each in verdicts)
    assert "there is none" in asked, "an absent population is among what is judged"
    assert parts.count("accuracy") > 10


def test_published_numbers_and_locks_hold():
    checks = [*check_vectors(), *qualification._locks(), *qualification._installed()]
    wrong = [each for each in checks if not each.holds]
    assert [each for each in wrong if each.part != "installation"] == []


def failing(verdicts):
    return {each.part for each in verdicts if not each.holds}


def test_a_reader_that_reads_otherwise_is_found(counted, monkeypatch):
    folder, _ = counted
    tubes = sorted((folder / "one" / "archive").rglob("*.fcs"))[:1]
    right = Events.columns

    def off_by_little(self, indices, rows=None):
        return right(self, indices, rows) + np.float64(1e-3)

    monkeypatch.setattr(Events, "columns", off_by_little)
    assert failing(simulated._readers(tubes)) == {"readers"}


@pytest.mark.parametrize("column", ["per_ul", "events"])
def test_counts_that_are_wrong_are_found(column, counted, monkeypatch):
    study = open_study(counted[0] / "one")
    right = simulated._rows

    def wrong(path):
        rows = right(path)
        if path.name == "kinetics.csv":
            for row in rows:
                number = float(row[column] or 0) * 1.3 + 40
                row[column] = str(int(number)) if column == "events" else str(number)
        return rows

    monkeypatch.setattr(simulated, "_rows", wrong)
    assert failing(simulated._accuracy(study)) == {"accuracy"}


def test_tables_that_differ_are_found(counted):
    one, two = (open_study(counted[0] / name) for name in ("one", "two"))
    table = next(two.results.glob("patients/*/kinetics.csv"))
    kept = table.read_bytes()
    try:
        write_atomically(table, kept.replace(b",Q,", b",ND,", 1))
        found = simulated._same_bytes(one, two)
        assert not found.holds
        assert "1 differ" in found.evidence
    finally:
        write_atomically(table, kept)


@pytest.mark.parametrize("planted", ["gating.js", "app.js"])
def test_a_page_without_its_data_is_found(planted, counted):
    study = open_study(counted[0] / "one")
    path = next(study.results.rglob(planted))
    kept = path.read_bytes()
    try:
        path.write_bytes(kept[: len(kept) // 2] if planted == "gating.js" else b"")
        assert failing(simulated._pages(study)) == {"pages"}
    finally:
        path.write_bytes(kept)


def test_a_published_number_that_is_not_reproduced_is_found(monkeypatch):
    monkeypatch.setattr(vectors, "garwood", lambda events: (0.0, events + 1.0))
    assert failing(check_vectors()) == {"published numbers"}


def test_a_released_panel_that_was_changed_is_found(monkeypatch):
    broken = qualification.verify_panels()
    faulty = type(broken)(broken.verified, (), ("bcell was changed",))
    monkeypatch.setattr(qualification, "verify_panels", lambda: faulty)
    assert failing(qualification._locks()) == {"locks"}


def test_what_stops_a_check_is_a_verdict_and_the_others_are_made(monkeypatch, tmp_path):
    def stops(_: Path):
        raise OSError("disk full")
        yield

    monkeypatch.setattr(qualification, "check_simulated", stops)
    done = qualify()
    assert failing(done.verdicts) >= {"unforeseen"}
    assert "published numbers" in done.parts
    assert not done.holds


def test_the_report_says_whether_all_holds_and_names_what_fails(tmp_path):
    verdicts = (
        Verdict("readers", "same <b>events</b>", holds=True, evidence="12 events"),
        Verdict("locks", "as released", holds=False, evidence="bcell was changed"),
    )
    done = Qualification(
        "0.9.0", "4", {"numpy": "2"}, "here", "2026-11-30T12:00:00+00:00", "x", verdicts
    )
    page, data = write_qualification(done, tmp_path / "reports")
    assert page.name == "qualification-20261130T120000.html"
    html = page.read_text(encoding="utf-8")
    assert "NOT EVERY CHECK HOLDS." in html
    assert re.search(r"✗ FAILS</td><td>as released</td><td>bcell was changed", html)
    assert "<b>events" not in html
    assert json.loads(data.read_text(encoding="utf-8"))["holds"] is False
