"""One pass over prepared studies: what is good is counted, what is bad is said, nothing is lost,
nothing is done twice."""

import csv
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest

from tasks.intake.take_in import take_in
from tasks.results.stored_tables import patient_folder
from tasks.simulate.study import TRUTH, write_study
from tasks.steps.one_pass import one_pass
from tasks.store.ledger import FileRecord, all_files
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.tubes.count_tube import counting_inputs
from tasks.tubes.tube_pages import tube_folder
from tests.flows.command import Said, reconflow, reconflow_here, wait_until
from tests.shared_data import SHARED, needs_shared
from tests.tasks.calibrations import release_calibration
from tests.tasks.page_files import tube_data
from tests.tasks.study_folder import DRAWN, PATIENTS, make_study, write_rows, write_tube

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

LYOPLATE = Path(__file__).resolve().parents[1] / "data" / "lyoplate"
SETTINGS = "study: test\nstart: 2026-01-01\nworkers: 1\nintake: {settle_seconds: 0}\n"
HEADER = "file,patient,collected,panel,beads_per_tube\n"
TUBE_FILES = {"gating.html", "gating.js", "gates.xml", "thresholds.csv", "counts.csv", "qc.json"}


def records(study: Study) -> dict[str, FileRecord]:
    with study.store() as store:
        return {record.inbox_path: record for record in all_files(store)}


KEPT = (".tables.json", ".made_of.json", ".to_look_at.json")
"""What later nights compare with: when each file came, and each edition was written, is in it."""


def hashes(folder: Path) -> dict[str, str]:
    """Every file of a study by its place, but those that note when the program ran."""
    skipped = ("reconflow.db", "index.html", "study.js", "audit-head.txt", ".lock", *KEPT)
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(word in path.name for word in skipped)
    ]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]):
    """Run a study in this process; gives what the command ended with and said."""

    def runs(study: Study, *options: str) -> Said:
        return reconflow_here(capfd, "run", "--study", study.folder, "--json", *options)

    return runs


# A drop of everything bad


BAD = {
    "zero.fcs": ("quarantined", ["zero.fcs", "empty"]),
    "half.fcs": ("quarantined", ["half.fcs"]),
    "text.fcs": ("quarantined", ["FCS"]),
    "wrong-panel.fcs": (
        "quarantined",
        ["does not fit the panel cart", "fits the panel tbnk", "correct the sample sheet"],
    ),
    "no-cd3.fcs": ("quarantined", ["CD3 is missing"]),
    "no-spill.fcs": ("quarantined", ["no compensation", "Export it again"]),
    "notes.docx": ("quarantined", ["not an FCS file"]),
    "stranger.fcs": ("waiting", ["samples.csv, line 10", "P09", "patients.csv"]),
    "early.fcs": (
        "waiting",
        ["samples.csv, line 11", "before the study started (2026-01-01", "Correct the date"],
    ),
    "twice.fcs": (
        "waiting",
        ["samples.csv, line 12 and samples.csv, line 13", "Remove all but one"],
    ),
    "comma.fcs": ("waiting", ["samples.csv, line 14, column beads_per_tube", "decimal point"]),
    "sheet2.fcs": ("waiting", ["inbox/more.csv, line 1", "'colected'", "'collected'"]),
    "no-row.fcs": ("waiting", ["No line of samples.csv names no-row.fcs"]),
    "copy.fcs": ("duplicate", ["same bytes as good-b.fcs"]),
}
ROWS = [
    f"good-b.fcs,P01,{DRAWN},bcell,",
    f"good-t.fcs,P01,{DRAWN},tbnk,49713",
    f"zero.fcs,P01,{DRAWN},cart,",
    f"half.fcs,P01,{DRAWN},cart,",
    f"wrong-panel.fcs,P02,{DRAWN},cart,",
    f"no-cd3.fcs,P01,{DRAWN},bcell,",
    f"no-spill.fcs,P01,{DRAWN},bcell,",
    f"run7/good-c.fcs,P02,{DRAWN},cart,",
    f"stranger.fcs,P09,{DRAWN},bcell,",
    "early.fcs,P01,2019-12-01T08:00,bcell,",
    f"twice.fcs,P01,{DRAWN},bcell,",
    f"twice.fcs,P02,{DRAWN},bcell,",
    f'comma.fcs,P02,{DRAWN},tbnk,"49.713,0"',
]
MENDED = [
    *ROWS[:4],
    ROWS[4].replace("cart", "tbnk"),
    *ROWS[5:9],
    f"early.fcs,P01,{DRAWN},bcell,",
    ROWS[10],
    ROWS[12].replace('"49.713,0"', "49713"),
    f"no-row.fcs,P02,{DRAWN},bcell,",
]
GOOD = ("good-b.fcs", "good-t.fcs", "run7/good-c.fcs")


def drop_everything(folder: Path) -> Study:
    study = make_study(folder, ROWS, settings=SETTINGS, header=HEADER)
    panels = {
        "good-t.fcs": "tbnk",
        "run7/good-c.fcs": "cart",
        "wrong-panel.fcs": "tbnk",
        "comma.fcs": "tbnk",
        "half.fcs": "cart",
    }
    plain = [
        *GOOD,
        "half.fcs",
        "wrong-panel.fcs",
        "stranger.fcs",
        "early.fcs",
        "twice.fcs",
        "comma.fcs",
        "sheet2.fcs",
        "no-row.fcs",
    ]
    for seed, name in enumerate(plain):
        write_tube(study.inbox / name, panels.get(name, "bcell"), seed=seed)
    write_tube(study.inbox / "no-cd3.fcs", seed=50, without="CD3")
    write_tube(study.inbox / "no-spill.fcs", seed=51, spill=False)
    whole = (study.inbox / "half.fcs").read_bytes()
    (study.inbox / "half.fcs").write_bytes(whole[: len(whole) // 2])
    (study.inbox / "zero.fcs").write_bytes(b"")
    (study.inbox / "text.fcs").write_text("the patient feels well\n" * 50, encoding="utf-8")
    (study.inbox / "notes.docx").write_bytes(b"PK\x03\x04 a document")
    (study.inbox / "more.csv").write_text(
        f"file,patient,colected,panel\nsheet2.fcs,P01,{DRAWN},bcell\n", encoding="utf-8"
    )
    shutil.copyfile(study.inbox / "good-b.fcs", study.inbox / "copy.fcs")
    return study


def test_a_drop_of_everything_bad_is_sorted_out_mended_and_loses_nothing(
    tmp_path: Path, run
) -> None:
    study = drop_everything(tmp_path / "s")
    dropped = set(hashes(study.inbox).values())

    said = run(study)
    found = records(study)
    assert {name: record.state for name, record in found.items()} == {
        n: s for n, (s, _) in BAD.items()
    } | dict.fromkeys(GOOD, "counted")
    for name, (_, fragments) in BAD.items():
        assert [word for word in fragments if word not in found[name].reason] == [], found[
            name
        ].reason
    for name in [name for name, (state, _) in BAD.items() if state == "quarantined"]:
        assert found[name].reason in (study.quarantine / f"{name}.reason.txt").read_text(
            encoding="utf-8"
        )
    expected = {
        "accepted": 3,
        "counted": 3,
        "duplicates": 1,
        "waiting": 6,
        "quarantined": 7,
        "failed": 0,
        "uncalibrated": 0,
        "patients": 2,
    }
    assert said.document == expected | {"report": str(study.results / "index.html")}
    assert said.code == 2  # sheets have to be mended; everything else was done
    assert dropped <= set(hashes(study.folder).values())
    page = (study.results / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name, (state, _) in BAD.items() if state != "duplicate")

    kept, ledger = hashes(study.folder), records(study)
    again = run(study)
    assert again.document | {"accepted": 3, "counted": 3, "duplicates": 1} == said.document
    assert hashes(study.folder) == kept
    assert records(study) == ledger

    mend(study)
    said = run(study)
    assert (
        said.code,
        said.document["accepted"],
        said.document["counted"],
        said.document["waiting"],
    ) == (0, 6, 6, 0)
    assert run(study, "--strict").code == 3  # refused files are still there


def mend(study: Study) -> None:
    write_rows(study.folder, MENDED, header=HEADER)
    (study.folder / "patients.csv").write_text(
        f"{PATIENTS}P09,2026-01-12T11:00\n", encoding="utf-8"
    )
    (study.inbox / "more.csv").write_text(
        f"file,patient,collected,panel\nsheet2.fcs,P01,{DRAWN},bcell\n", encoding="utf-8"
    )


def test_retry_takes_a_refused_tube_up_again_once_the_sheet_names_its_panel(
    tmp_path: Path, run, capfd
) -> None:
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},cart"], settings=SETTINGS)
    write_tube(study.inbox / "a.fcs", "tbnk")
    said = run(study, "--strict")
    assert (said.code, said.document["quarantined"]) == (3, 1)
    write_rows(study.folder, [f"a.fcs,P01,{DRAWN},tbnk"])
    assert run(study).document["quarantined"] == 1
    taken = reconflow_here(capfd, "retry", "a.fcs", "--study", study.folder, "--json")
    assert taken.document == {"taken_up": ["a.fcs"]}
    assert list(study.quarantine.iterdir()) == []
    said = run(study, "--strict")
    assert (said.code, said.document["counted"], said.document["quarantined"]) == (0, 1, 0)
    unknown = reconflow_here(capfd, "retry", "b.fcs", "--study", study.folder)
    assert unknown.code == 2
    assert "b.fcs" in unknown.err


# Faults of the world


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, so that a test does not wait for a share to come back."""
    from tasks.steps.prefect_tasks import count

    monkeypatch.setattr(count, "retry_delay_seconds", [0, 0])


def some_tubes(folder: Path, workers: int = 1) -> Study:
    names = [f"{name}.fcs" for name in "abcd"[: 2 if workers == 1 else 4]]
    study = make_study(
        folder,
        [f"{n},P01,{DRAWN},bcell" for n in names],
        settings=SETTINGS.replace("workers: 1", f"workers: {workers}"),
    )
    for seed, name in enumerate(names):
        write_tube(study.inbox / name, seed=seed)
    return study


def test_a_tube_damaged_in_the_archive_fails_with_its_reason_and_the_others_are_counted(
    tmp_path: Path, run, capfd
) -> None:
    study = some_tubes(tmp_path / "s")
    take_in(study)
    archived = study.path_of(records(study)["b.fcs"].place or "")
    whole = archived.read_bytes()
    archived.write_bytes(whole[: len(whole) // 2])
    said = run(study)
    assert (said.code, said.document["counted"], said.document["failed"]) == (1, 1, 1)
    assert archived.name in records(study)["b.fcs"].reason
    assert run(study).document["failed"] == 1
    archived.write_bytes(whole)
    assert reconflow_here(capfd, "retry", "--study", study.folder).code == 0
    said = run(study)
    assert (said.code, said.document["counted"], said.document["failed"]) == (0, 1, 0)


def test_a_fault_of_the_disk_is_said_stops_no_other_tube_and_is_tried_again(
    tmp_path: Path, run, hasty, capfd
) -> None:
    study = some_tubes(tmp_path / "s")
    take_in(study)
    place = tube_folder(study, records(study)["b.fcs"].sha256 or "")
    place.parent.mkdir(parents=True)
    place.write_text("a file where a folder is needed")
    said = reconflow_here(capfd, "run", "--study", study.folder)
    assert said.code == 1
    assert "2 accepted" not in said.out
    assert "1 counted" in said.out
    assert place.name in said.out + said.err
    assert records(study)["b.fcs"].state == "accepted"
    place.unlink()
    said = run(study)
    assert (said.code, said.document["counted"], said.document["failed"]) == (0, 1, 0)


def test_a_fault_of_the_disk_that_passes_is_never_seen(tmp_path: Path, run, monkeypatch) -> None:
    from tasks.steps.prefect_tasks import count

    monkeypatch.setattr(count, "retry_delay_seconds", [2, 2])
    study = some_tubes(tmp_path / "s")
    take_in(study)
    archived = study.path_of(records(study)["b.fcs"].place or "")
    away = archived.rename(tmp_path / "away")
    back = threading.Thread(
        target=lambda: (
            wait_until(lambda: records(study)["a.fcs"].state == "counted", 60, ""),
            away.rename(archived),
        )
    )
    back.start()
    said = run(study)
    back.join()
    assert (said.code, said.document["counted"]) == (0, 2)


def test_a_worker_process_that_is_killed_neither_hangs_the_pass_nor_loses_a_tube(
    tmp_path: Path, run, hasty
) -> None:
    study = some_tubes(tmp_path / "s", workers=2)
    killed: list[int] = []

    def kill_one() -> None:
        wait_until(lambda: any(study.results.glob("tubes/*/*")), 60, "no tube was begun")
        child = multiprocessing.active_children()[0]
        killed.append(child.pid or 0)
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    said = run(study)
    killer.join()
    assert killed
    assert (said.code, said.document["counted"], said.document["failed"]) == (0, 4, 0)
    assert multiprocessing.active_children() == []


def test_an_unexpected_error_in_one_tube_is_recorded_against_it_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    from prefect import flow, task

    from flows.each import each
    from tasks.tubes.count_tube import CountOutcome, count_tube

    study = some_tubes(tmp_path / "s")
    take_in(study)
    bad = records(study)["b.fcs"].sha256 or ""

    @task(name="count or stumble")
    def stumble(tube_sha256: str) -> CountOutcome:
        if tube_sha256 == bad:
            raise ZeroDivisionError("a fault of ours")
        return count_tube(counting_inputs(read_snapshot(study)), tube_sha256)

    @flow(name="one bad tube")
    def night() -> list[CountOutcome]:
        with one_pass(study.folder, "nightly") as this:
            this.note_intake(take_in(study))
            return each(stumble, None, this.tubes(), study=study, unexpected=this.note_failure)

    outcomes = night()
    assert sorted(outcome.counted for outcome in outcomes) == [False, True]
    assert records(study)["b.fcs"].state == "failed"
    assert "Unexpected ZeroDivisionError" in records(study)["b.fcs"].reason
    assert "Retry" in records(study)["b.fcs"].reason


# The same inputs, the same bytes


def test_tables_are_the_same_bytes_on_one_worker_and_two_without_truth_and_built_anew(
    tmp_path: Path, run
) -> None:
    simulated = write_study(tmp_path / "one", patients=1, visits=2, events=0.03, workers=1).folder
    shutil.rmtree(simulated / TRUTH)
    for path in sorted((simulated / "inbox").iterdir())[4:]:
        path.unlink()
    shutil.copytree(simulated, tmp_path / "two")
    for name, number in (("one", 1), ("two", 2)):
        with (tmp_path / name / "study.yaml").open("a", encoding="utf-8") as file:
            file.write(f"workers: {number}\nintake: {{settle_seconds: 0}}\n")
            file.write("strategies: {bcell: bcell@2.0.0}\n")
    one, two = open_study(tmp_path / "one"), open_study(tmp_path / "two")
    for study in (one, two):
        cytometer = {"BD FACSLyric": "SIMULATED"}
        release_calibration(study, "bcell/own@1.0.0", cytometer, gain=1.1)
    first, second = run(one), run(two)
    assert first.code == second.code == 0
    assert first.document["counted"] == second.document["counted"] == 4
    assert multiprocessing.active_children() == []
    made = hashes(one.results)
    assert made == hashes(two.results)
    assert {path.rpartition(".")[2] for path in made} >= {
        "csv",
        "parquet",
        "xlsx",
        "html",
        "png",
        "xml",
        "json",
        "js",
        "css",
    }
    rows = table(one.results / "cohort" / "kinetics.csv")
    named = {row["panel"]: row["calibration"] for row in rows if row["specimen"] == "blood"}
    assert named["bcell"] == "bcell/own@1.0.0"

    shutil.rmtree(one.results)
    assert run(one).document["counted"] == 4
    assert hashes(one.results) == made

    next((one.results / "tubes").glob("*/gating.html")).unlink()
    (patient_folder(one, "P01") / "report.html").unlink()
    assert run(one).document["counted"] == 1
    assert hashes(one.results) == made
    assert run(one).document["counted"] == 0


def test_a_control_that_lacks_its_marker_is_kept_and_enters_no_table(tmp_path: Path, run) -> None:
    rows = [
        f"a.fcs,P01,{DRAWN},bcell,",
        f"fmo.fcs,P01,{DRAWN},bcell,fmo:CD27",
        f"batch.fcs,P01,{DRAWN},bcell,batch",
    ]
    study = make_study(
        tmp_path / "s", rows, settings=SETTINGS, header="file,patient,collected,panel,control\n"
    )
    for seed, name in enumerate(("a", "batch")):
        write_tube(study.inbox / f"{name}.fcs", seed=seed)
    write_tube(study.inbox / "fmo.fcs", seed=9, without="CD27")
    said = run(study, "--strict")
    assert (said.code, said.document["accepted"], said.document["counted"]) == (0, 3, 2)
    found = {name: record.state for name, record in records(study).items()}
    assert found == {"a.fcs": "counted", "batch.fcs": "counted", "fmo.fcs": "accepted"}
    assert (
        len({row["tube_sha256"] for row in table(patient_folder(study, "P01") / "kinetics.csv")})
        == 1
    )
    assert run(study).document["counted"] == 0


def test_a_mended_identity_reaches_the_tables_and_the_page_of_its_tube(tmp_path: Path, run) -> None:
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},bcell"], settings=SETTINGS)
    write_tube(study.inbox / "a.fcs")
    run(study)
    write_rows(study.folder, [f"a.fcs,P02,{DRAWN},bcell"])
    said = run(study)
    assert said.code == 0
    assert [path.name for path in (study.results / "patients").iterdir()] == ["P02"]
    assert {row["patient"] for row in table(study.results / "cohort" / "kinetics.csv")} == {"P02"}
    page = study.results / "tubes" / (records(study)["a.fcs"].sha256 or "")[:12] / "gating.html"
    text = page.read_text(encoding="utf-8")
    assert "P02 D18 bcell" in text
    assert "P01 D28 bcell" not in text
    head = tube_data(page.parent)["head"]
    assert (head["patient"], head["visit"]) == ("P02", "D18")


# As a user runs it


def test_exit_codes_and_words_of_a_run_as_a_user_sees_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},bcell"], settings=SETTINGS)
    for name in ("a.fcs", "b.fcs"):
        write_tube(study.inbox / name, seed=len(name) + ord(name[0]))
    said = reconflow("run", "--study", study.folder, "--strict")
    assert said.code == 3
    assert "1 accepted, 1 counted, 0 duplicates, 1 waiting" in said.out
    assert "No line of samples.csv names b.fcs" in said.out
    status = reconflow_here(capfd, "status", "--study", study.folder, "--json", "--strict")
    assert status.code == 3
    assert status.document["states"]["counted"] == 1
    assert [(each["file"], each["state"]) for each in status.document["open"]] == [
        ("b.fcs", "waiting")
    ]
    assert status.document["last_run"]["outcome"] == "done"
    assert reconflow_here(capfd, "status", "--study", tmp_path / "nowhere").code == 2
    (study.folder / "study.yaml").write_text("study: test\nworkrs: 2\n", encoding="utf-8")
    wrong = reconflow_here(capfd, "run", "--study", study.folder, "--json")
    assert wrong.code == 2
    assert "study.yaml, line 2" in wrong.document["error"]
    assert "workers" in wrong.document["error"]


# Real data


@needs_shared
def test_the_real_b_cell_tube_goes_the_whole_way_under_a_panel_and_strategy_of_its_own(
    tmp_path: Path, run
) -> None:
    row = f"12828_1_Bcell_C01.fcs,P01,{DRAWN},lyoplate,1800"
    settings = f"{SETTINGS}strategies: {{lyoplate: lyoplate_b@1.0.0}}\n"
    study = make_study(
        tmp_path / "s",
        [row],
        settings=settings,
        header="file,patient,collected,panel,lymphocytes_per_ul\n",
    )
    for folder in ("panels", "strategies"):
        shutil.copytree(LYOPLATE / folder, study.folder / folder)
    shutil.copyfile(
        SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.fcs", study.inbox / "12828_1_Bcell_C01.fcs"
    )
    said = run(study, "--strict")
    assert said.code == 0
    assert said.document["counted"] == 1

    rows = {row["population"]: row for row in table(patient_folder(study, "P01") / "kinetics.csv")}
    published = {
        "lymphocytes": 51652, "b_cells": 11028, "naive_b": 9219, "transitional_b": 1070,
        "unswitched_memory_b": 454, "switched_memory_b": 590, "double_negative_b": 765,
        "plasmablasts": 67,
    }  # fmt: skip
    assert {name: int(rows[name]["events"]) for name in published} == published
    for name, events in published.items():
        assert rows[name]["code"] == "Q"
        assert rows[name]["method"] == "dual"
        assert float(rows[name]["per_ul"]) == pytest.approx(events / 51652 * 1800, rel=1e-9)
        assert (
            float(rows[name]["per_ul_low"])
            < float(rows[name]["per_ul"])
            < float(rows[name]["per_ul_high"])
        )
    assert float(rows["naive_b"]["percent_reference"]) == pytest.approx(100 * 9219 / 11028)

    folder = tube_folder(study, rows["naive_b"]["tube_sha256"])
    assert {path.name for path in folder.iterdir()} >= TUBE_FILES
    page = {gate["name"]: gate for gate in tube_data(folder)["gates"]}
    gates = {
        "boundary",
        "non_debris",
        "lymphocytes",
        "live",
        "cd20",
        "cd19",
        "t_cells",
        "b_cells",
        "transitional_b",
        "plasmablasts",
    }
    gates |= {"naive_b", "unswitched_memory_b", "switched_memory_b", "double_negative_b"}
    assert gates <= set(page)
    assert page["naive_b"]["events"] == 9219


@needs_shared
def test_every_real_file_without_a_line_ends_in_a_state_with_a_sentence(
    tmp_path: Path, run
) -> None:
    study = make_study(tmp_path / "s", settings=SETTINGS)
    real = sorted(path for path in SHARED.rglob("*") if path.suffix.lower() in {".fcs", ".lmd"})
    for path in real:
        target = study.inbox / path.relative_to(SHARED)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    said = run(study)
    found = records(study)
    assert len(found) == len(real) > 50
    for path, record in found.items():
        assert record.state in {"waiting", "quarantined"}, path
        assert len(record.reason) > 20, path
        assert record.reason.rstrip().endswith((".", ")")), record.reason
        assert "Error" not in record.reason, record.reason
    refused = [path for path, record in found.items() if record.state == "quarantined"]
    assert {f"odd/{name}.fcs" for name in ("fcs31_truncated_data", "fcs31_tot_too_big")} <= set(
        refused
    )
    assert said.document["accepted"] == 0
    assert said.code == 0
    assert json.loads(json.dumps(said.document)) == said.document
