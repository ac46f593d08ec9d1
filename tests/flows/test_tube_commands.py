"""``reconflow tube`` as a technician types it."""

import csv
import shutil
from pathlib import Path

import pytest

from flows.commands.tube_text import tables_lines
from tasks.corrections.boundaries import gates_given, thresholds_given
from tasks.corrections.tables_follow import NumberChange, TablesChanged
from tasks.study.folder import Study, open_study
from tests.flows.command import Said, entries_and_kept_head, reconflow_here
from tests.tasks.simulated_patient import FILE, counted_patient

__all__ = ["counted_patient"]

pytestmark = pytest.mark.xdist_group("tube commands")

BY = ("--by", "A. Okafor", "--reason", "the valley lies higher")


@pytest.fixture
def study(counted_patient: Path, tmp_path: Path) -> Study:
    return open_study(shutil.copytree(counted_patient, tmp_path / "s"))


def test_a_tube_is_corrected_excluded_included_and_its_history_told(
    study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    def call(*words: str) -> Said:
        said = reconflow_here(capfd, "tube", *words, "--study", study.folder)
        entries, noted = entries_and_kept_head(study.folder)
        assert entries == noted, words
        return said

    correct = ("correct", FILE, "--threshold", "cd24_tr=8500", *BY)
    seen = call(*correct, "--dry-run")
    assert seen.code == 0
    assert "cd24_tr on CD24 (BV605-A): 5,600 → 8,500 channel units" in seen.out
    assert "(limits of one person: 2800 to 11200)" in seen.out
    assert "Nothing was written (--dry-run)." in seen.out
    done = call(*correct, "--json")
    document = done.document
    assert (done.code, document["written"]) == (0, True)
    (made,) = document["corrections"]
    assert (made["name"], made["value_before"], made["value"]) == ("cd24_tr", 5600, 8500)
    for each in document["events"]:
        assert f"{each['before']} → {each['after']}" in seen.out
    assert document["tables"]["patient"] == "P01"
    sha256 = document["tube_sha256"]
    page = study.results / "tubes" / sha256[:12] / "gating.html"
    assert "set by A. Okafor" in page.read_text(encoding="utf-8")
    with (study.results / "corrections.csv").open(encoding="utf-8", newline="") as file:
        assert {row["state"] for row in csv.DictReader(file)} == {"active"}

    excluded = call("exclude", sha256[:8], *BY, "--json")
    assert (excluded.code, excluded.document["done"]) == (0, "excluded")
    again = call("exclude", sha256[:8], *BY)
    assert again.code == 2
    assert "excluded already by A. Okafor" in again.err
    assert call("include", FILE, *BY).code == 0
    twice = call("correct", FILE, "--threshold", "cd24_tr=8500", *BY)
    assert twice.code == 2
    assert "it lies there already" in twice.err
    further = ("correct", FILE, "--threshold", "cd24_tr=9000", *BY, "--dry-run")
    other = call(*further)
    assert "  It was 8,500, set by A. Okafor on 20" in other.out
    assert "the valley lies higher; the tube without corrections: 5,600" in other.out
    (superseded,) = call(*further, "--json").document["superseded"]
    told = (superseded["name"], superseded["by"], superseded["value"], superseded["uncorrected"])
    assert told == ("cd24_tr", "A. Okafor", 8500, 5600)
    withdrawn = call("withdraw", FILE, "cd24_tr", *BY, "--json")
    assert (withdrawn.code, withdrawn.document["withdrawn"]) == (0, ["cd24_tr"])
    told = call("history", FILE)
    assert told.code == 0
    for words in (
        "settling → accepted",
        "counted with bcell@3.0.0",
        "corrected (withdrawn): cd24_tr 8,500 (before: 5,600), limits 2800 to 11200",
        "by A. Okafor: the valley lies higher",
        "excluded",
        "included",
        "correction withdrawn: cd24_tr",
    ):
        assert words in told.out
    events = call("history", FILE, "--json").document["events"]
    assert [each["what"] for each in events if each["by"]] == [
        "corrected",
        "exclude",
        "include",
        "withdrawn",
    ]
    assert all("transitional_b" in e["details"]["counts"] for e in events if e["what"] == "counted")


def test_a_call_that_cannot_be_done_ends_with_code_2_and_says_what_to_write(
    study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = (
        (("correct", FILE, *BY), "Nothing to set: give --threshold NAME=VALUE"),
        (("correct", FILE, "--threshold", "cd24_tr", *BY), "write NAME=VALUE"),
        (("correct", FILE, "--threshold", "cd24_tr=8,500", *BY), "'8,500' is no number"),
        (("correct", FILE, "--threshold", "cd24=8500", *BY), "It has:\n  cd24_tr"),
        (("correct", FILE, "--threshold", "cd24_tr=8500", "--by", "A"), "--reason is empty"),
        (("correct", "P01_D48_bcell.fcs", "--threshold", "cd24_tr=8500", *BY), "did you mean"),
        (("correct", FILE, "--threshold", "cd24_tr=20000", *BY), "--second NAME"),
        (("withdraw", FILE, *BY), "Nothing is corrected in this tube now"),
        (("history", "0" * 12), "No tube of this study came in as"),
    )
    for words, sentence in wrong:
        said = reconflow_here(capfd, "tube", *words, "--study", study.folder)
        assert said.code == 2, words
        assert sentence in said.err
        assert "Traceback" not in said.err


def test_every_number_that_reads_otherwise_is_named_once() -> None:
    changes = (
        NumberChange("D84", "blood", "b_cells", "", "5/µL", "6/µL", "bcell", "a" * 64),
        NumberChange("D84", "blood", "b_cells", "", "5/µL", "6/µL", "cart", "b" * 64),
        NumberChange("D84", "blood", "b_cells", "", "5/µL", "6/µL", "tbnk", "c" * 64),
        NumberChange("D84", "blood", "b_cells", "", "5/µL", "7/µL", "tbnk", "d" * 64),
        NumberChange("", "blood", "b_cells", "Cmax", "5", "6"),
    )
    lines = [line.strip() for line in tables_lines(TablesChanged("P01", changes, 0, ()))][2:]
    assert [line.split("  ")[0] for line in lines] == [
        "D84 blood bcell b_cells",
        "D84 blood cart b_cells",
        f"D84 blood tbnk b_cells (tube {'c' * 12})",
        f"D84 blood tbnk b_cells (tube {'d' * 12})",
        "blood b_cells Cmax",
    ]


def test_outlines_and_values_are_read_exactly() -> None:
    assert thresholds_given(["cd19=1500", "cd27 = -12.5e2"]) == {"cd19": 1500, "cd27": -1250}
    outline = "cells=1,2;3,4.5;5,6;"
    assert gates_given([outline]) == {"cells": ((1, 2), (3, 4.5), (5, 6))}


@pytest.mark.parametrize(
    ("read", "texts", "sentence"),
    [
        (thresholds_given, ["=5"], "write NAME=VALUE"),
        (thresholds_given, ["cd19=nan"], "is no number"),
        (thresholds_given, ["cd19=1_000"], "is no number"),
        (thresholds_given, ["cd19=٣"], "is no number"),
        (thresholds_given, ["cd19=1", "cd19=2"], "is given twice"),
        (gates_given, ["cells=1,2;3,4"], "2 vertices; an outline has 3 to 200"),
        (gates_given, ["cells=1,2;3,4;5"], "'5' is no vertex"),
        (gates_given, ["cells"], "write NAME=x1,y1"),
    ],
)
def test_what_is_no_value_is_refused(read, texts: list[str], sentence: str) -> None:
    from panels.text.errors import UsageFault

    with pytest.raises(UsageFault) as refused:
        read(texts)
    assert sentence in str(refused.value)


def test_the_help_of_every_command_names_its_options(capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("correct", "withdraw", "exclude", "include", "history"):
        said = reconflow_here(capfd, "tube", command, "--help")
        assert (said.code, "TUBE" in said.out) == (0, True)


def test_a_study_that_is_none_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    said = reconflow_here(capfd, "tube", "history", FILE, "--study", tmp_path)
    assert (said.code, "study.yaml" in said.err) == (2, True)
