"""Visits are decided on and tables signed on the command line, and the log of it is printed."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tasks.study.folder import Study, open_study
from tests.flows.command import Said, entries_and_kept_head, reconflow, reconflow_here
from tests.tasks.study_folder import make_study
from tests.tasks.test_patient_tables import build, give

pytestmark = pytest.mark.xdist_group("review commands")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_study(tmp_path_factory.mktemp("commands") / "s")
    give(made, "P01", 1)
    give(made, "P02", 1)
    build(made)
    return made.folder


@pytest.fixture
def study(built: Path, tmp_path: Path) -> Study:
    return open_study(shutil.copytree(built, tmp_path / "s"))


@pytest.fixture
def say(study: Study, capfd: pytest.CaptureFixture[str]) -> Any:
    """Give a function that runs a command on the study."""

    def said(*words: str) -> Said:
        return reconflow_here(capfd, *words, "--study", study.folder)

    return said


def by_hand(study: Study, statement: str) -> None:
    with study.store() as store, store.writing() as connection:
        connection.execute(text(statement))


def test_a_visit_is_decided_on_and_listed(say: Any) -> None:
    accepted = say("review", "accept", "P01", "M1", "--by", "A. Meyer", "--json")
    assert accepted.code == 0
    document = accepted.document
    assert (document["decision"], document["reviewer"]) == ("accepted", "A. Meyer")
    assert (document["tables_written"], document["replaces"]) == (True, None)
    queried = say("review", "query", "P01", "M1", "--by", "B", "--comment", "gate too low?")
    assert queried.out.splitlines()[0] == "P01 M1 is queried by B."
    assert queried.out.splitlines()[1].startswith("It replaces: accepted by A. Meyer at ")
    listed = say("review", "status", "--json").document
    (first, second) = listed["visits"]
    assert (first["state"], first["by"], first["comment"]) == ("queried", "B", "gate too low?")
    assert (second["patient"], second["state"]) == ("P02", "")
    assert [(each["patient"], each["state"]) for each in listed["patients"]] == [
        ("P01", "draft"),
        ("P02", "draft"),
    ]
    shown = say("review", "status", "--patient", "P01").out
    assert "1 visit: 1 queried" in shown
    assert "(gate too low?)" in shown
    assert "P02" not in shown


@pytest.mark.parametrize(
    "decide",
    [
        ("review", "add", "B. Weber", "--role", "reader"),
        ("review", "remove", "A. Meyer"),
        ("review", "sign", "P01", "reviewed", "--meaning", "all gates seen"),
        ("review", "accept", "P01", "M1"),
    ],
)
def test_each_decision_notes_how_far_the_log_goes(
    say: Any, study: Study, decide: tuple[str, ...]
) -> None:
    assert say("review", "add", "A. Meyer", "--role", "approver", "--by", "A").code == 0
    before = entries_and_kept_head(study.folder)[0]
    assert say(*decide, "--by", "C. Ito").code == 0
    assert entries_and_kept_head(study.folder) == (before + 1, before + 1)


def test_tables_are_signed_in_order_and_the_status_says_so(say: Any, study: Study) -> None:
    sign = ("review", "sign", "P01")
    early = say(*sign, "approved", "--by", "B", "--meaning", "x")
    assert (early.code, early.out) == (2, "")
    assert "sign them as reviewed first" in early.err
    assert say(*sign, "reviewed", "--by", "A", "--meaning", "all seen").code == 0
    same = say(*sign, "approved", "--by", "A", "--meaning", "x", "--json")
    assert same.code == 2
    assert "another person" in same.document["error"]
    approved = say(*sign, "approved", "--by", "B", "--meaning", "I agree", "--json")
    assert (approved.code, approved.document["state"]) == (0, "approved")
    status = say("status", "--json").document
    assert [(each["patient"], each["state"]) for each in status["signed"]] == [("P01", "approved")]
    assert "signed: 1 approved" in say("status").out
    give(study, "P01", 2)
    build(study)
    assert "P01: draft, no longer signed: " in say("status").out
    (patient, _) = say("review", "status", "--json").document["patients"]
    assert patient["state"] == "draft"
    assert patient["reopened_because"]


def test_a_decision_on_numbers_that_are_about_to_change_says_that_it_does_not_hold(
    say: Any, study: Study
) -> None:
    settings = (study.folder / "study.yaml").read_text("utf-8")
    changed = f"{settings}limits: {{quantify_events: 600}}\n"
    (study.folder / "study.yaml").write_text(changed, encoding="utf-8")
    said = say("review", "accept", "P01", "M1", "--by", "A")
    assert said.code == 1
    assert "It is open again: the tables were out of date and are written anew: bcell" in said.out
    again = say("review", "accept", "P01", "M1", "--by", "A", "--json")
    assert (again.code, again.document["reopened_because"]) == (0, "")


def test_a_published_table_changed_by_hand_is_not_signed(say: Any, study: Study) -> None:
    table = study.results / "patients" / "P01" / "kinetics.csv"
    table.write_text(table.read_text("utf-8").replace(",Q,", ",ND,"), "utf-8")
    said = say("review", "sign", "P01", "reviewed", "--by", "A", "--meaning", "x")
    assert said.code == 2
    assert "patients/P01/kinetics.csv was changed after it was written" in said.err


def test_the_status_names_the_tubes_of_a_visit_that_are_excluded(say: Any, study: Study) -> None:
    (first, _) = say("review", "status", "--json").document["visits"]
    (sha256,) = first["tubes"]
    assert first["excluded"] == []
    excluded = say("tube", "exclude", sha256, "--by", "A. Okafor", "--reason", "stained twice")
    assert excluded.code == 0
    status = say("review", "status").out
    assert f"    bcell {sha256[:12]} excluded by A. Okafor on 20" in status
    assert "(stained twice)" in status
    shown = {each["patient"]: each for each in say("review", "status", "--json").document["visits"]}
    assert len(shown[first["patient"]]["excluded"]) == 1


def test_tables_that_are_out_of_date_are_not_signed(say: Any, study: Study) -> None:
    sign = ("review", "sign", "P01", "reviewed", "--by", "A", "--meaning", "x")
    with (study.folder / "study.yaml").open("a", encoding="utf-8") as settings:
        settings.write("limits: {quantify_events: 600}\n")
    said = say(*sign)
    assert (said.code, said.out) == (2, "")
    assert "P01's tables are out of date" in said.err
    assert "Let the next run (`reconflow run`) write them, look at them" in said.err
    build(open_study(study.folder))
    assert say(*sign).code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("review", "query", "P01", "M1", "--by", "A"),
        ("review", "accept", "P01", "M1"),
        ("review", "accept", "P01", "M9", "--by", "A"),
        ("review", "accept", "P01", "M1", "--by", "\x1b[2J"),
        ("review", "accept", "P01", "M1", "--by", "A", "--tube", "none.fcs"),
        ("review", "sign", "P01", "sealed", "--by", "A", "--meaning", "x"),
        ("review", "sign", "P01", "reviewed", "--by", "A", "--meaning", " "),
        ("audit", "--since", "yesterday"),
        ("audit", "export", "log.txt"),
    ],
)
def test_a_wrong_call_ends_with_2_and_keeps_nothing(say: Any, words: tuple[str, ...]) -> None:
    said = say(*words)
    assert said.code == 2
    assert said.err.startswith("reconflow: ") or "Missing" in said.err
    assert "\x1b" not in said.err
    assert say("audit", "--json").document["entries"] == []


def test_the_log_is_printed_filtered_and_verified(say: Any) -> None:
    say("review", "accept", "P01", "M1", "--by", "A. Meyer")
    say("review", "accept", "P02", "M1", "--by", "A. Meyer", "--comment", "fine")
    said = say("audit")
    assert said.code == 0
    assert "A. Meyer: accepted P01 M1" in said.out
    assert "comment: fine" in said.out
    assert "2 entries, each as it was written." in said.out
    one = say("audit", "--patient", "P02", "--since", "2026-01-01", "--json").document
    assert [each["subject"] for each in one["entries"]] == ["P02 M1"]
    assert one["verified"] is True
    assert one["head"]["number"] == 2
    assert say("audit", "--since", "2999-01-01", "--json").document["entries"] == []


def test_a_broken_log_ends_with_1_and_names_the_entry(say: Any, study: Study) -> None:
    for visit_of in ("P01", "P02"):
        say("review", "accept", visit_of, "M1", "--by", "A")
    by_hand(study, "UPDATE audit SET actor = 'B' WHERE id = 1")
    said = say("audit", "--json")
    assert said.code == 1
    assert said.document["verified"] is False
    assert said.document["broken"] == {
        "entry": 1,
        "how": "Entry 1 was altered: what it says now does not give its hash.",
    }
    assert "The log is NOT as it was written" in say("audit").out
    assert say("audit", "--since", "2999-01-01").code == 1
    assert "Entry 1 was altered" in say("review", "accept", "P01", "M1", "--by", "A").err
    by_hand(study, "UPDATE audit SET details = 'x', at = 'y'")
    assert say("audit").code == 1


def test_an_exported_log_can_be_verified_without_reconflow(
    say: Any, study: Study, tmp_path: Path
) -> None:
    say("review", "accept", "P01", "M1", "--by", "=cmd|' /C calc'!A0", "--comment", 'Ünsicher "x"')
    lines, sheet = tmp_path / "log.jsonl", tmp_path / "log.csv"
    assert say("audit", "export", str(lines)).code == 0
    assert say("audit", "export", str(sheet), "--json").document["entries"] == 1
    done = reconflow("audit", "export", lines, "--study", study.folder)
    assert done.code == 0
    with sheet.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["actor"] == "'=cmd|' /C calc'!A0"
    (entry,) = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    assert entry["actor"] == "=cmd|' /C calc'!A0"
    assert _recomputed(entry) == entry["sha256"]


def _recomputed(entry: dict[str, Any]) -> str:
    """Compute the hash of an exported entry as docs/review.md says."""
    import hashlib

    names = ("number", "at", "actor", "action", "subject", "details", "previous")
    written = json.dumps([entry[name] for name in names], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()
