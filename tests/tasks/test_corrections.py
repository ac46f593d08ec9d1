"""One tube is put right by a person: both counts stay, and nothing else moves."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from gating.evaluation.axis_units import to_display
from panels.text.errors import ReconflowError, SheetFault, UsageFault
from tasks.concordance.compare import agreement
from tasks.concordance.recount import comparison, measure_references
from tasks.corrections.correct import correct_tube, preview_correction, withdraw_corrections
from tasks.corrections.correct_from_sheet import correct_from_sheet
from tasks.corrections.exclusion import decide_on_tube
from tasks.corrections.live_tube import LiveTube, LiveTubes
from tasks.corrections.tube_history import tube_history
from tasks.results.corrections_table import TABLE, write_corrections_table
from tasks.results.patient_tables import counted_tubes
from tasks.results.sign_tables import sign_tables
from tasks.review.audit_trail import read_trail
from tasks.steps.one_pass import one_pass
from tasks.steps.pass_under_way import Pass
from tasks.store.audit import KeptEntry, entries, noted_head
from tasks.store.audit_chain import first_break
from tasks.store.corrections import read_corrections
from tasks.store.exclusions import excluded_tubes
from tasks.store.gatings import gatings_of
from tasks.store.schema.results import thresholds
from tasks.store.traced_rows import contradictions
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.study.integrity import check_integrity
from tasks.study.tube_named import tube_named
from tasks.tubes.reference_tubes import reference_sets
from tasks.tubes.tube_pages import tube_folder
from tests.tasks.calibrations import release_calibration
from tests.tasks.plain_pass import count_all, plain_night, recount_all, take_in_count_and_build
from tests.tasks.simulated_patient import (
    BASELINE,
    DEPLETED,
    FILE,
    corrected_patient,
    counted_patient,
    request,
    simulated,
)
from tests.tasks.test_concordance import own_version

__all__ = ["corrected_patient", "counted_patient"]

pytestmark = pytest.mark.xdist_group("corrections")

PROJECT = Path(__file__).resolve().parents[2]
MOVED = {"transitional_b", "naive_igm_igd_b"}


@pytest.fixture
def study(counted_patient: Path, tmp_path: Path) -> Study:
    """A study of one's own, whose tubes are counted already."""
    return open_study(shutil.copytree(counted_patient, tmp_path / "s"))


@pytest.fixture
def corrected(corrected_patient: Path, tmp_path: Path) -> Study:
    """A study of one's own, with ``request()`` made in FILE already."""
    return open_study(shutil.copytree(corrected_patient, tmp_path / "corrected"))


def sha_of(study: Study, name: str = FILE) -> str:
    with study.store() as store:
        return tube_named(store, name).identity.tube_sha256


def counts_of(study: Study, name: str = FILE):
    """Give what counts a tube in the tables."""
    (tube,) = (
        each
        for each in counted_tubes(read_snapshot(study))
        if each.identity.tube_sha256 == sha_of(study, name)
    )
    return tube


def events_of(study: Study, name: str = FILE) -> dict[str, int]:
    return {each.population: each.events for each in counts_of(study, name).counts.values()}


def first_events_of(study: Study) -> dict[str, int]:
    """Give what the first count of FILE found, before any correction."""
    with study.store() as store:
        first = gatings_of(store, sha_of(study))[0]
    return {each.population: each.events for each in first.counts}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def kinetics(study: Study, name: str = FILE) -> dict[str, dict[str, str]]:
    rows = table(study.results / "patients" / "P01" / "kinetics.csv")
    return {row["population"]: row for row in rows if row["tube_sha256"] == sha_of(study, name)}


def states(study: Study) -> list[str]:
    """Give the state of each correction, in the order they were made, as the table prints them."""
    write_corrections_table(read_snapshot(study))
    rows = table(study.results / TABLE)
    return list({(row["at"], row["name"]): row["state"] for row in rows}.values())


def decisions(study: Study) -> list[KeptEntry]:
    """Give the entries of the log that tell of a tube, in a chain that holds."""
    with study.store() as store:
        kept = entries(store)
        assert first_break(kept, noted_head(store)) is None
    return [each for each in kept if each.subject.startswith("tube ")]


def due(study: Study) -> list[str]:
    """List the tubes that a pass would count now."""
    return Pass(read_snapshot(study)).tubes()


def test_a_correction_moves_its_threshold_alone_and_both_counts_stay(corrected: Study) -> None:
    before, after = first_events_of(corrected), events_of(corrected)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == MOVED
    assert after["transitional_b"] < before["transitional_b"]
    with corrected.store() as store:
        first, second = gatings_of(store, sha_of(corrected))
        with store.reading() as connection:
            kept = connection.execute(
                thresholds.select().where(thresholds.c.tube_sha256 == sha_of(corrected))
            ).all()
    assert {each.population: each.events for each in first.counts} == before
    assert {each.population: each.events for each in second.counts} == after
    assert (first.correction_sha256, bool(second.correction_sha256)) == ("", True)
    values = {
        sha: {row.threshold: row.value for row in kept if row.correction_sha256 == sha}
        for sha in (first.correction_sha256, second.correction_sha256)
    }
    moved = {
        name
        for name, value in values[""].items()
        if value != values[second.correction_sha256][name]
    }
    assert moved == {"cd24_tr"}
    assert values[second.correction_sha256]["cd24_tr"] == 8500


def test_what_hangs_on_a_correction_is_flagged_and_all_else_is_not(corrected: Study) -> None:
    tube = counts_of(corrected)
    flagged = {name for name, count in tube.counts.items() if "corrected" in count.flags}
    assert tube.corrected == flagged
    assert flagged >= MOVED
    assert not flagged & {"b_cells", "lymphocytes", "leukocytes", "plasmablasts"}
    assert counts_of(corrected, BASELINE).corrected == frozenset()
    assert "corrected" in kinetics(corrected)["transitional_b"]["flags"].split(";")
    assert "corrected" not in kinetics(corrected)["b_cells"]["flags"].split(";")
    assert {
        row["population"] for row in kinetics(corrected).values() if row["corrected"] == "Y"
    } == (flagged)


def test_page_table_and_history_say_who_when_and_why(study: Study) -> None:
    correct_tube(study, FILE, request(second="B. Lee"))
    folder = tube_folder(study, sha_of(study))
    (row,) = (row for row in table(folder / "thresholds.csv") if row["threshold"] == "cd24_tr")
    assert (row["source"], float(row["value"]), row["tried"]) == ("corrected", 8500, "")
    assert "set by A. Okafor with B. Lee on " in row["evidence"]
    page = (folder / "gating.html").read_text(encoding="utf-8")
    assert "cd24_tr 8,500 (before: 5,600), set by A. Okafor with B. Lee" in page
    assert "the valley lies higher" in page
    report = (study.results / "patients" / "P01" / "report.html").read_text(encoding="utf-8")
    assert "of visit D84 (blood) was corrected: cd24_tr 8,500 (before: 5,600), set by" in report
    rows = table(study.results / TABLE)
    assert {row["population"] for row in rows} == MOVED
    told = {row["population"]: row for row in rows}["transitional_b"]
    assert (told["by"], told["second"], told["state"]) == ("A. Okafor", "B. Lee", "active")
    assert (told["old_value"], told["new_value"]) == ("5600", "8500")
    assert int(told["events_after"]) == events_of(study)["transitional_b"]
    assert told["file"] == FILE
    _, events = tube_history(study, FILE)
    whats = [each.what for each in events]
    assert whats.index("file") < whats.index("counted") < whats.index("corrected")
    (corrected,) = (each for each in events if each.what == "corrected")
    assert (corrected.by, corrected.why) == ("A. Okafor", "the valley lies higher")
    assert [each.at for each in events] == sorted(each.at for each in events)


def test_the_patients_numbers_follow_at_once_and_the_next_pass_finds_nothing(
    study: Study,
) -> None:
    before = kinetics(study)["naive_igm_igd_b"]["per_ul"]
    done = correct_tube(study, FILE, request())
    assert done.tables is not None
    after = kinetics(study)["naive_igm_igd_b"]["per_ul"]
    assert float(after) > float(before)
    told = {each.population: each for each in done.tables.changes if not each.what}
    assert told["naive_igm_igd_b"].before != told["naive_igm_igd_b"].after
    assert done.tables.faults == ()
    with one_pass(study.folder, "nightly") as this:
        take_in_count_and_build(this)
    assert list(this.counted) == []
    assert kinetics(study)["naive_igm_igd_b"]["per_ul"] == after


def test_a_preview_gives_the_same_counts_and_writes_nothing(study: Study, corrected: Study) -> None:
    def files() -> dict[str, bytes]:
        results = study.results.rglob("*")
        return {str(path): path.read_bytes() for path in results if path.is_file()}

    before = files()
    seen = preview_correction(study, FILE, request())
    assert (files(), seen.tables) == (before, None)
    with study.store() as store:
        assert read_corrections(store).made == ()
    assert decisions(study) == []
    after = events_of(corrected)
    assert {each.population: (each.before, each.after) for each in seen.changes} == {
        name: (events, after[name])
        for name, events in events_of(study).items()
        if events != after[name]
    }


def test_one_person_stays_within_the_limits_and_a_second_may_go_beyond(study: Study) -> None:
    beyond = {"cd24_tr": 30000.0}
    with pytest.raises(UsageFault, match=r"limits of cd24_tr on CD24 .* are 2800 to 11200"):
        correct_tube(study, FILE, request(thresholds=beyond))
    with pytest.raises(UsageFault, match="name another person"):
        correct_tube(study, FILE, request(thresholds=beyond, second=" a.  OKAFOR "))
    with study.store() as store:
        assert read_corrections(store).made == ()
    correct_tube(study, FILE, request(thresholds=beyond, second="B. Lee"))
    assert events_of(study)["transitional_b"] == 0


OUTLINE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
REFUSED: tuple[tuple[dict[str, object], str], ...] = (
    ({"reason": "  "}, "reason is empty"),
    ({"by": ""}, "by is empty"),
    ({"by": "A\u202eB"}, "cannot be seen"),
    ({"thresholds": {}}, "Nothing to set"),
    ({"thresholds": {"cd42_tr": 1.0}}, "It has:\n  cd24_tr"),
    ({"thresholds": {"cd24_tr": 1e9}}, "is beyond the range of CD24"),
    ({"gates": {"b_cells": OUTLINE}}, "is a rectangle"),
    ({"gates": {"nothing": OUTLINE}}, "no polygon of that name"),
)


def test_what_cannot_be_set_is_refused_with_a_sentence(study: Study) -> None:
    for change, sentence in REFUSED:
        with pytest.raises(UsageFault) as refused:
            correct_tube(study, FILE, request(**change))
        assert sentence in str(refused.value)
    with study.store() as store:
        assert read_corrections(store).made == ()


def test_a_polygon_is_redrawn_within_a_share_of_its_axes(study: Study) -> None:
    strategy = read_snapshot(study).strategies["bcell"].for_tube(_tube(study)).strategy
    gate = next(each for each in strategy.gates if each.polygon)
    assert gate.polygon is not None
    x, y = gate.polygon.vertices[0]
    vertices = ((x * 1.02, y * 1.02), *gate.polygon.vertices[1:])
    done = correct_tube(study, FILE, request(thresholds={}, gates={gate.gate: vertices}))
    (made,) = done.made
    assert (made.kind, made.name, made.value) == ("gate", gate.gate, vertices)
    with study.store() as store:
        before, after = gatings_of(store, sha_of(study))
    assert after.counts[0].parent_events <= before.counts[0].parent_events * 1.2
    with pytest.raises(UsageFault, match="3 vertices instead of"):
        correct_tube(study, FILE, request(thresholds={}, gates={gate.gate: vertices[:3]}))
    far = ((0.0, 0.0), *gate.polygon.vertices[1:-1], (262143.0, 262143.0))
    with pytest.raises(UsageFault, match=r"86 % of its axis from its place .* which is beyond"):
        correct_tube(study, FILE, request(thresholds={}, gates={gate.gate: far}))


def _shifted(study: Study, share: float) -> tuple[str, tuple[tuple[float, float], ...]]:
    """Give the cells' outline with one vertex moved along an axis, from where it is declared."""
    strategy = read_snapshot(study).strategies["bcell"].for_tube(_tube(study)).strategy
    (polygon,) = (each.polygon for each in strategy.gates if each.gate == "cells")
    assert polygon is not None
    assert {polygon.x, polygon.y} == {"FSC-A", "SSC-A"}
    x, y = polygon.vertices[-1]
    return "cells", (*polygon.vertices[:-1], (x, y + 262144 * share))


def test_many_small_steps_of_an_outline_are_one_large_one(study: Study) -> None:
    name, first = _shifted(study, -0.1)
    correct_tube(study, FILE, request(thresholds={}, gates={name: first}))
    _, further = _shifted(study, -0.2)
    with pytest.raises(UsageFault, match="20 % of its axis from its place without corr"):
        correct_tube(study, FILE, request(thresholds={}, gates={name: further}))
    page = LiveTube(read_snapshot(study), sha_of(study))
    x_axis, y_axis = "FSC-A", "SSC-A"
    to_page = page._gated.compiled
    outlined = [
        (
            float(to_display(to_page, x_axis, [x])[0]),
            float(to_display(to_page, y_axis, [y])[0]),
        )
        for x, y in further
    ]
    (said,) = page.preview({}, {name: outlined}).moved
    assert "a second person has to agree" in said["beyond"]
    _, back = _shifted(study, 0.0)
    done = correct_tube(study, FILE, request(thresholds={}, gates={name: back}))
    assert done.made[0].value_before == first
    assert states(study) == ["superseded", "active"]


def test_limits_of_a_threshold_do_not_move_with_its_corrections(corrected: Study) -> None:
    with pytest.raises(UsageFault, match=r"limits of cd24_tr on CD24 .* are 2800 to 11200"):
        correct_tube(corrected, FILE, request(thresholds={"cd24_tr": 15000.0}))


def _tube(study: Study, name: str = FILE):
    with study.store() as store:
        return tube_named(store, name)


def test_two_corrections_hold_together_and_a_later_one_supersedes(corrected: Study) -> None:
    before = first_events_of(corrected)
    correct_tube(corrected, FILE, request(thresholds={"cd38_tr": 3200.0}))
    with corrected.store() as store:
        (in_force,) = read_corrections(store).active().values()
    assert [each.name for each in in_force] == ["cd24_tr", "cd38_tr"]
    correct_tube(corrected, FILE, request(thresholds={"cd24_tr": 8000.0}))
    assert states(corrected) == ["superseded", "active", "active"]
    withdraw_corrections(corrected, FILE, ["cd24_tr"], "B. Lee", "a slip")
    assert states(corrected) == ["superseded", "active", "withdrawn"]
    withdraw_corrections(corrected, FILE, [], "B. Lee", "a slip")
    assert states(corrected) == ["superseded", "withdrawn", "withdrawn"]
    assert events_of(corrected) == before
    assert counts_of(corrected).corrected == frozenset()
    assert due(corrected) == []
    with pytest.raises(UsageFault, match="Nothing is corrected"):
        withdraw_corrections(corrected, FILE, [], "B. Lee", "again")
    assert "corrected</code>" not in (
        tube_folder(corrected, sha_of(corrected)) / "gating.html"
    ).read_text(encoding="utf-8")


def test_nothing_is_withdrawn_or_set_while_the_tubes_file_is_gone(corrected: Study) -> None:
    path = corrected.path_of(_tube(corrected).file.place or "")
    path.rename(path.with_suffix(".away"))
    with pytest.raises(FileNotFoundError):
        withdraw_corrections(corrected, FILE, [], "B. Lee", "a slip")
    with pytest.raises(FileNotFoundError):
        correct_tube(corrected, FILE, request(thresholds={"cd38_tr": 3200.0}))
    assert states(corrected) == ["active"]
    assert [each.action for each in decisions(corrected)] == ["corrected"]
    path.with_suffix(".away").rename(path)
    withdraw_corrections(corrected, FILE, [], "B. Lee", "a slip")
    assert states(corrected) == ["withdrawn"]


def test_a_withdrawal_whose_pages_cannot_be_written_is_kept_and_said_to_be(
    corrected: Study,
) -> None:
    before = first_events_of(corrected)
    folder = tube_folder(corrected, sha_of(corrected))
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with pytest.raises(ReconflowError, match=r"The withdrawal is kept; .* the next run"):
        withdraw_corrections(corrected, FILE, [], "B. Lee", "a slip")
    assert states(corrected) == ["withdrawn"]
    folder.unlink()
    with one_pass(corrected.folder, "nightly") as this:
        take_in_count_and_build(this)
    assert events_of(corrected) == before
    assert counts_of(corrected).corrected == frozenset()


def test_what_lies_there_already_is_not_set_again(corrected: Study) -> None:
    with pytest.raises(UsageFault, match=r"cd24_tr=8500: it lies there already, on CD24"):
        correct_tube(corrected, FILE, request(by="B. Lee"))
    name, same = _shifted(corrected, 0.0)
    with pytest.raises(UsageFault, match="its outline lies there already"):
        correct_tube(corrected, FILE, request(thresholds={}, gates={name: same}))
    assert states(corrected) == ["active"]


def test_what_a_later_correction_changed_is_told_from_the_earlier_one(corrected: Study) -> None:
    between = events_of(corrected)
    correct_tube(corrected, FILE, request(thresholds={"cd24_tr": 3000.0}))
    rows = [row for row in table(corrected.results / TABLE) if row["new_value"] == "3000"]
    assert {row["old_value"] for row in rows} == {"8500"}
    told = {row["population"]: (row["events_before"], row["events_after"]) for row in rows}
    name = "transitional_b"
    assert told[name] == (str(between[name]), str(events_of(corrected)[name]))


SHEET = "file,threshold,value,gate,vertices,reason\n"


def sheet(study: Study, *lines: str, header: str = SHEET) -> Path:
    path = study.folder / "corrections-to-make.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def from_sheet(study: Study, path: Path, *, dry_run: bool = False, **change: str):
    given = {"by": "A. Okafor", "second": "", "reason": ""} | change
    return correct_from_sheet(study, path, dry_run=dry_run, **given)


def test_a_sheet_corrects_several_tubes_and_given_again_nothing(study: Study) -> None:
    gate, vertices = _shifted(study, 0.05)
    outline = ";".join(f"{x:.10g},{y:.10g}" for x, y in vertices)
    path = sheet(
        study,
        f"{FILE},cd24_tr,8500,,,the valley lies higher",
        f'{sha_of(study)[:12]},,,{gate},"{outline}",cells cut off',
        f"{BASELINE},cd24_tr,8500,,,",
    )
    with pytest.raises(SheetFault, match=r"line 4: column reason \(or --reason\) is empty"):
        from_sheet(study, path)
    tried = from_sheet(study, path, reason="as in the other tube", dry_run=True)
    assert tried.tables is None
    assert states(study) == []
    done = from_sheet(study, path, reason="as in the other tube")
    assert [each.changes for each in done.done] == [each.changes for each in tried.done]
    assert done.tables is not None
    assert [each.patient for each in done.tables] == ["P01"], "the tables are written once"
    after = {each.population: each.after for each in done.done[0].changes}
    assert after
    assert {name: events_of(study)[name] for name in after} == after
    reasons = {row["name"]: row["reason"] for row in table(study.results / TABLE)}
    assert reasons == {"cd24_tr": "as in the other tube", gate: "cells cut off"}
    kept = decisions(study)
    assert len(kept) == 3, "one entry for each reason and tube"
    again = from_sheet(study, path, reason="as in the other tube")
    assert (again.done, again.already, again.tables) == ((), (2, 3, 4), ())
    assert decisions(study) == kept
    with study.store() as store:
        assert contradictions(store) == (), "the log tells of every row"
    assert due(study) == []


def test_every_wrong_line_of_a_sheet_is_named_and_nothing_is_set(study: Study) -> None:
    path = sheet(
        study,
        f"{FILE},cd24_tr,8500,,,good",
        f"{FILE},cd24_tr,8000,,,contradicts",
        f"{FILE},cd99,8500,,,unknown",
        f"{BASELINE},cd24_tr,60000,,,far",
        "nothing.fcs,cd24_tr,8500,,,no tube",
        f"{FILE},cd24_tr,8.500.1,,,no number",
        f"{FILE},cd98,8500,,,unknown too",
    )
    with pytest.raises(SheetFault) as refused:
        from_sheet(study, path)
    said = str(refused.value)
    assert said.startswith(f"{path}: nothing was set.\n")
    for line in (
        "line 3: it sets cd24_tr otherwise than line 2 does.",
        "line 4: threshold cd99: this tube has no threshold of that name.\n",
        "line 5: threshold cd24_tr=60000 is beyond what one person may set",
        "line 6: No tube of this study came in as 'nothing.fcs'",
        "line 7: ",
        "line 8: threshold cd98: this tube has no threshold of that name.\n",
        "What lines 4, 8 can name, as it lies in the tube of line 4:\n",
    ):
        assert f"  {line}" in said
    assert "line 2:" not in said
    assert said.count("CD14+viability (APC-H7-A)") == 1, "the list of thresholds is printed once"
    assert states(study) == []
    path = sheet(
        study,
        f"{FILE},cd24_tr,8500,cells,,both",
        f"{FILE},,,,,neither",
        f"{FILE},cd24_tr,,,,no value",
        f"{FILE},cd24_tr,8.500.1,,,no number",
        ",cd24_tr,8500,,,no file",
        f"{FILE},cd24_tr,8500,x",
    )
    with pytest.raises(SheetFault) as refused:
        from_sheet(study, path)
    assert [int(line[7]) for line in str(refused.value).splitlines()[1:]] == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("header", "lines", "said"),
    [
        ("tube,threshold\n", [], "line 1: the columns are file, threshold, value"),
        ("file;threshold;value\n", [], "separated by semicolons"),
        (SHEET, [], "no corrections. Add one line a correction"),
        ("", [], "The sheet is empty"),
    ],
)
def test_a_sheet_that_is_none_is_refused(study: Study, header: str, lines: list[str], said: str):
    with pytest.raises(SheetFault, match=re.escape(said)):
        from_sheet(study, sheet(study, *lines, header=header))
    with pytest.raises(SheetFault, match="there is no such file"):
        from_sheet(study, study.folder / "not-there.csv")
    with pytest.raises(UsageFault, match="by is empty"):
        from_sheet(study, study.folder / "not-there.csv", by="")


def test_what_a_workspace_draws_otherwise_is_a_correction_where_it_can_be_one(study: Study) -> None:
    gate, vertices = _shifted(study, 0.05)
    polygon = {"x": "FSC-A", "y": "SSC-A", "vertices": vertices}
    cd24 = {"rectangle": {"CD24": {"above": 8500}, "CD38": {"above": 2600}}}
    common = {"rectangle": {"CD24": {"above": 5600}, "CD38": {"above": 2600}}}
    rows = [
        (gate, "drawn otherwise", {"polygon": polygon}, {"polygon": {}}),
        ("transitional_phenotype", "drawn otherwise", cd24, common),
        ("lymphocytes", "drawn otherwise", cd24, common),
        ("other", "only in this sample", {}, {}),
    ]
    path = study.folder / "DEVIATIONS.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        written = csv.writer(file)
        written.writerow("sample file gate strategy_gate deviation own common".split())
        for name, kind, own, shared in rows:
            shapes = (json.dumps(own), json.dumps(shared))
            written.writerow((FILE, FILE, f"Cells/{name}", name, kind, *shapes))
    done = from_sheet(study, path, reason="as FlowJo has it")
    assert [each.number for each in done.left_out] == [4, 5]
    (tube,) = done.done
    assert {each.place for each in tube.made} == {("gate", gate), ("threshold", "cd24_tr")}
    assert next(each.value for each in tube.made if each.name == "cd24_tr") == 8500


def test_a_correction_expires_with_the_calibration_it_was_made_on(corrected: Study) -> None:
    tube = _tube(corrected)
    release_calibration(
        corrected,
        "bcell/simulated@1.0.1",
        {tube.cytometer or "": tube.serial or ""},
        gain=1.01,
        strategy="bcell@3.0.0",
        relative_to="bcell/simulated@1.0.0",
    )
    assert (
        read_snapshot(corrected).strategies["bcell"].for_tube(tube).calibration.endswith("@1.0.1")
    )
    assert states(corrected) == ["expired"]
    assert sha_of(corrected) in due(corrected)
    with pytest.raises(UsageFault, match="out of date"):
        sign_tables(corrected, "P01", "reviewed", by="A. Okafor", meaning="all seen")
    further = request(thresholds={"cd24_tr": 9000.0})
    waits = preview_correction(corrected, FILE, further).waits
    assert "waits to be counted with bcell@3.0.0 and bcell/simulated@1.0.1" in waits
    assert "its tables are of bcell@3.0.0 and bcell/simulated@1.0.0" in waits
    assert LiveTubes().open(corrected, sha_of(corrected)).preview({}, {}).waits == waits
    plain_night(corrected)
    assert preview_correction(corrected, FILE, further).waits == ""
    assert counts_of(corrected).corrected == frozenset()
    assert "corrected" not in kinetics(corrected)["transitional_b"]["flags"]
    (told,) = (each for each in tube_history(corrected, FILE)[1] if each.what == "corrected")
    assert told.details["state"] == "expired"


def test_a_correction_expires_with_the_strategy_and_versions_are_compared_without_it(
    study: Study,
) -> None:
    with (study.folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("strategies: {bcell: bcell@2.0.0}\n")
    study = open_study(study.folder)
    plain_night(study)
    own_version(study)
    uncorrected = events_of(study)
    correct_tube(study, FILE, request())
    compared = comparison(read_snapshot(study), "bcell@2.0.1")
    measure_references(read_snapshot(study), compared)
    recount_all(study, compared)
    agreed = agreement(read_snapshot(study), compared)
    assert any("1 tube of bcell@2.0.0 was corrected" in each for each in agreed.missing)
    pairs = agreed.pairs[agreed.pairs["tube_sha256"] == sha_of(study)].set_index("population")
    assert pairs.loc["transitional_b", "events_current"] == uncorrected["transitional_b"]
    settings = study.folder / "study.yaml"
    settings.write_text(settings.read_text().replace("bcell@2.0.0", "bcell@2.0.1"))
    assert states(open_study(study.folder)) == ["expired"]


def test_a_command_that_is_killed_before_the_recount_is_finished_by_the_next_pass(
    study: Study,
) -> None:
    killed = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tasks.corrections import correct\n"
        "from tasks.study.folder import open_study\n"
        "correct.keep_counts = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "request = correct.Request('A. Okafor', 'why', {'cd24_tr': 8500.0})\n"
        f"correct.correct_tube(open_study(Path(sys.argv[1])), {FILE!r}, request)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", killed, str(study.folder)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert due(study) == [sha_of(study)]
    with one_pass(study.folder, "nightly") as this:
        take_in_count_and_build(this)
    assert [each.tube_sha256 for each in this.counted] == [sha_of(study)]
    assert counts_of(study).corrected >= MOVED
    assert [each.action for each in decisions(study)] == ["corrected"]
    assert "corrected" in kinetics(study)["transitional_b"]["flags"]
    with study.store() as store:
        assert len(gatings_of(store, sha_of(study))) == 2


def test_a_population_that_is_absent_stays_not_detected(study: Study) -> None:
    before = kinetics(study, DEPLETED)["transitional_b"]
    assert (before["events"], before["code"]) == ("0", "ND")
    correct_tube(study, DEPLETED, request())
    after = kinetics(study, DEPLETED)["transitional_b"]
    assert (after["events"], after["code"], after["per_ul"]) == ("0", "ND", before["per_ul"])
    assert "corrected" in after["flags"]
    rows = table(study.results / TABLE)
    assert [(row["name"], row["population"]) for row in rows] == [("cd24_tr", "")]


def test_a_corrected_baseline_lends_what_it_shows_and_an_excluded_one_nothing(
    study: Study,
) -> None:
    def sets() -> dict[str, str]:
        with study.store() as store:
            return reference_sets(read_snapshot(study), store)

    before = sets()
    correct_tube(study, BASELINE, request())
    assert sets() == before
    assert due(study) == []
    decide_on_tube(study, BASELINE, "exclude", "A. Okafor", "another patient's blood")
    after = sets()
    assert set(after) == set(before)
    assert after[sha_of(study)] != before[sha_of(study)]
    decide_on_tube(study, BASELINE, "include", "A. Okafor", "it was the right one")
    assert sets() == before


def test_an_excluded_tube_keeps_its_counts_and_says_so_until_it_is_included(study: Study) -> None:
    assert counts_of(study).review == ""
    _, changed = decide_on_tube(study, FILE, "exclude", "A. Okafor", "stained twice")
    told = {each.population: (each.before, each.after) for each in changed.changes if each.visit}
    assert told["naive_igm_igd_b"][0].endswith("/µL")
    assert {after for _, after in told.values()} == {"excluded"}
    assert {row["used"] for row in kinetics(study).values()} == {"N"}
    assert {row["review"] for row in kinetics(study).values()} == {"excluded"}
    assert counts_of(study).review == "excluded"
    report = (study.results / "patients" / "P01" / "report.html").read_text(encoding="utf-8")
    assert "was excluded by A. Okafor on 20" in report
    assert counts_of(study, BASELINE).review == ""
    with study.store() as store:
        assert excluded_tubes(store) == {sha_of(study)}
    with pytest.raises(UsageFault, match=r"excluded already by A\. Okafor"):
        decide_on_tube(study, FILE, "exclude", "B. Lee", "again")
    decide_on_tube(study, FILE, "include", "B. Lee", "once is enough")
    assert counts_of(study).review == ""
    with pytest.raises(UsageFault, match="never excluded"):
        decide_on_tube(study, BASELINE, "include", "B. Lee", "for nothing")
    told = [(each.what, each.by) for each in tube_history(study, FILE)[1]][-2:]
    assert told == [("exclude", "A. Okafor"), ("include", "B. Lee")]
    assert due(study) == []


def test_texts_that_a_spreadsheet_or_a_browser_would_run_are_inert(study: Study) -> None:
    reason = "=cmd|' /C calc'!A0 <script>alert(1)</script>"
    correct_tube(study, FILE, request(by="@SUM(1)", reason=reason))
    row = table(study.results / TABLE)[0]
    assert (row["by"], row["reason"]) == ("'@SUM(1)", f"'{reason}")
    page = (tube_folder(study, sha_of(study)) / "gating.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_correction_that_was_altered_in_the_store_holds_no_more_and_is_named(
    corrected: Study,
) -> None:
    before = first_events_of(corrected)
    with corrected.store() as store:
        assert check_integrity(corrected, store) == []
        with store.writing() as connection:
            connection.execute(text("UPDATE corrections SET value = '8600.0'"))
        (sentence,) = check_integrity(corrected, store)
    assert f"The correction of cd24_tr in tube {sha_of(corrected)[:12]} was altered" in sentence
    assert events_of(corrected) == before
    assert states(corrected) == ["altered"]


def test_every_decision_is_in_the_log_with_its_tube_and_reason(corrected: Study) -> None:
    decide_on_tube(corrected, FILE, "exclude", "A. Okafor", "stained twice")
    withdraw_corrections(corrected, FILE, [], "B. Lee", "a slip")
    kept = decisions(corrected)
    assert [each.action for each in kept] == ["corrected", "excluded", "withdrew a correction"]
    assert {each.subject for each in kept} == {f"tube {sha_of(corrected)[:12]} P01 D84 bcell"}
    assert all('"patient":"P01"' in each.details for each in kept)
    with corrected.store() as store:
        assert read_trail(corrected, store).verified


def test_a_tube_is_named_by_its_file_or_hash_and_what_is_unclear_is_listed(study: Study) -> None:
    sha = sha_of(study)
    with study.store() as store:
        assert tube_named(store, sha[:6].upper()).identity.tube_sha256 == sha
        with pytest.raises(UsageFault, match=r"did you mean 'P01_D84_bcell\.fcs'"):
            tube_named(store, "P01_D84_bcel.fcs")
        with pytest.raises(UsageFault, match="at least 6 digits"):
            tube_named(store, sha[:5])
        twins = [tube.identity.tube_sha256 for tube in taken_in(store)][:2]
        with store.writing() as connection:
            for twin in twins:
                connection.execute(
                    text("UPDATE files SET inbox_path = :path WHERE sha256 = :sha"),
                    {"path": f"{twin[:2]}/same.fcs", "sha": twin},
                )
        with pytest.raises(UsageFault, match=r"'same\.fcs' is 2 tubes") as refused:
            tube_named(store, "same.fcs")
    assert all(twin[:12] in str(refused.value) for twin in twins)


def test_a_tube_that_is_counted_anew_keeps_its_correction_and_its_other_count(
    corrected: Study,
) -> None:
    after = events_of(corrected)
    shutil.rmtree(tube_folder(corrected, sha_of(corrected)))
    with one_pass(corrected.folder, "nightly") as this:
        count_all(this)
    assert [each.tube_sha256 for each in this.counted] == [sha_of(corrected)]
    assert events_of(corrected) == after
    assert "corrected</code>" in (
        tube_folder(corrected, sha_of(corrected)) / "gating.html"
    ).read_text(encoding="utf-8")


def test_corrections_on_postgresql_are_those_on_sqlite(
    corrected: Study, tmp_path: Path, empty_postgres: str
) -> None:
    other = simulated(tmp_path / "other", store=f"store: {empty_postgres}\n")
    correct_tube(other, FILE, request())
    told = []
    for each in (corrected, other):
        decide_on_tube(each, BASELINE, "exclude", "A. Okafor", "stained twice")
        withdraw_corrections(each, FILE, [], "B. Lee", "a slip")
        done = correct_tube(each, FILE, request(thresholds={"cd24_tr": 8000.0}))
        rows = table(each.results / TABLE)
        times = ("at", "withdrawn_at")
        told.append((done.changes, [{k: v for k, v in r.items() if k not in times} for r in rows]))
    assert told[0] == told[1]
    assert [row["state"] for row in told[0][1]] == ["withdrawn", "withdrawn", "active", "active"]
