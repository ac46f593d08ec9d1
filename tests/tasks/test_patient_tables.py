"""A patient's tables hold what the store holds, and are written anew exactly when something they
are made of changed."""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gating.evaluation.engine import ENGINE_VERSION
from panels.text.errors import ReconflowError, SettingsFault
from tasks.counting.counts import PopulationCount
from tasks.kinetics.parameter_settings import ParameterSettings
from tasks.kinetics.parameters import parameters_frame
from tasks.publish.map_page import PAGE as MAP_PAGE
from tasks.results import tables_expected
from tasks.results.cohort_pictures import FIGURES
from tasks.results.cohort_tables import COHORT_FILES, build_cohort, cohort_is_due
from tasks.results.patient_inputs import PatientInputs, tables_due
from tasks.results.patient_pages import CONTROLS
from tasks.results.patient_tables import build_patient
from tasks.results.stored_tables import built_patients, made_of, patient_folder
from tasks.simulate.tube import SERIAL
from tasks.steps.cohort_drawing import build_cohort_together
from tasks.steps.one_pass import one_pass
from tasks.steps.pass_under_way import Pass
from tasks.steps.worker_pool import apart
from tasks.store.gatings import TubeGating, save_gating
from tasks.store.ledger import FileStat, add_file, all_files, set_state
from tasks.store.runs import last_run
from tasks.store.schema import results
from tasks.store.tubes import save_tube, taken_in
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.study.folder import Study, open_study
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.tasks.published_rows import at, kinetics
from tests.tasks.study_folder import AT_ONCE, PATIENTS, make_study

pytestmark = pytest.mark.xdist_group("patient tables")

EVENTS = {
    "leukocytes": 50_000,
    "lymphocytes": 20_000,
    "b_cells": 500,
    "naive_b": 300,
    "plasmablasts": 30,
    "transitional_b": 3,
}
FILES = {
    "kinetics.csv",
    "kinetics_wide.csv",
    "parameters.csv",
    "kinetics.xlsx",
    "series.js",
    "report.html",
}


def give(study: Study, patient: str, day: int, **events: int) -> str:
    """Put a counted B-cell tube in the store: 50,000 leukocytes of 5,000/µL, which is 10 µL of
    blood."""
    sha = f"{patient}-{day}".encode().hex().ljust(64, "0")
    collected = datetime.fromisoformat(f"2026-03-{day:02d}T08:00")
    identity = TubeIdentity(
        sha,
        f"{patient}_{day}.fcs",
        patient,
        collected,
        "bcell",
        f"M{day}",
        leukocytes_per_ul=5000.0,
    )
    used = strategies_in_use(study)["bcell"]
    parent_of = used.release.strategy.parent_of()
    found = EVENTS | events
    counts = tuple(
        PopulationCount(
            p.id,
            found.get(p.id, 0),
            parent_of[p.gate],
            50_000,
            p.reference,
            found.get(p.reference, 0),
        )
        for p in used.populations.values()
    )
    with study.store() as store:
        with store.writing() as connection:
            add_file(
                connection,
                identity.file,
                identity.file,
                f"archive/{identity.file}",
                FileStat(1, 1, 0.0, sha),
            )
        file = next(record for record in all_files(store) if record.sha256 == sha)
        with store.writing() as connection:
            save_tube(connection, identity, {}, cytometer="BD FACSLyric", serial=SERIAL)
            set_state(connection, file, "accepted", "")
        tube = next(each for each in taken_in(store) if each.identity.tube_sha256 == sha)
        calibrated = used.for_tube(tube)
        save_gating(
            store,
            TubeGating(
                tube_sha256=sha,
                strategy=used.name,
                strategy_sha256=used.release.sha256,
                engine_version=ENGINE_VERSION,
                panel=used.defined.pin,
                panel_sha256=used.panel_sha256,
                total_events=60_000,
                counts=counts,
                calibration=calibrated.calibration,
                calibration_sha256=calibrated.sha256,
            ),
        )
    return sha


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients with a tube each, built once."""
    made = make_study(tmp_path_factory.mktemp("built") / "s")
    give(made, "P01", 1)
    give(made, "P02", 1)
    build(made)
    return made.folder


@pytest.fixture
def study(built: Path, tmp_path: Path) -> Study:
    """A copy of the built study; a study can be moved."""
    return open_study(shutil.copytree(built, tmp_path / "s"))


def build(study: Study) -> list[str]:
    """Write what is due, as a pass does; gives the patients written."""
    wanted = due(study)
    for inputs in wanted:
        build_patient(read_snapshot(study), inputs)
    if wanted or cohort_is_due(study):
        build_cohort(read_snapshot(study))
    return [inputs.patient for inputs in wanted]


def due(study: Study) -> list[PatientInputs]:
    return tables_due(read_snapshot(study)).patients


def table(study: Study, patient: str, name: str = "kinetics.csv") -> dict[str, dict[str, str]]:
    with (patient_folder(study, patient) / name).open(encoding="utf-8", newline="") as file:
        return {row["population"]: row for row in csv.DictReader(file)}


def rewrite(study: Study, **texts: str) -> Study:
    for name, text in texts.items():
        (study.folder / {"settings": "study.yaml", "patients": "patients.csv"}[name]).write_text(
            text, encoding="utf-8"
        )
    return open_study(study.folder)


def test_tables_and_pages_call_an_instrument_by_its_whole_name(study: Study) -> None:
    """Two cytometers of a model are told apart by their serial numbers."""
    whole = f"BD FACSLyric {SERIAL}"
    assert {row["instrument"] for row in table(study, "P01").values()} == {whole}
    folder = patient_folder(study, "P01")
    assert whole in (folder / "report.html").read_text(encoding="utf-8")
    assert f'"instrument":"{whole}"' in (folder / "series.js").read_text(encoding="utf-8")


def test_counts_become_concentrations_and_codes_by_hand(study: Study) -> None:
    found = table(study, "P01")
    assert (found["b_cells"]["code"], found["b_cells"]["method"]) == ("Q", "dual")
    assert float(found["b_cells"]["per_ul"]) == pytest.approx(50)
    assert float(found["b_cells"]["lod_per_ul"]) == pytest.approx(2)
    assert float(found["b_cells"]["lloq_per_ul"]) == pytest.approx(5)
    assert float(found["b_cells"]["per_ul_low"]) < 50 < float(found["b_cells"]["per_ul_high"])
    assert float(found["naive_b"]["percent_reference"]) == pytest.approx(60)
    assert float(found["b_cells"]["day"]) == pytest.approx(49 + 21 / 24)
    assert found["plasmablasts"]["code"] == "DNQ"
    assert float(found["plasmablasts"]["per_ul"]) == pytest.approx(3)
    assert (found["transitional_b"]["code"], found["transitional_b"]["per_ul"]) == ("ND", "")
    assert float(found["transitional_b"]["per_ul_high"]) > 0


def editions(study: Study) -> int:
    """Count the editions that the store keeps."""
    with study.store() as store, store.reading() as connection:
        return connection.execute(select(func.count()).select_from(results.editions)).scalar_one()


def test_everything_a_patient_gets_is_written_and_nothing_is_due_again(study: Study) -> None:
    for patient in ("P01", "P02"):
        assert {path.name for path in patient_folder(study, patient).iterdir()} >= FILES
    assert built_patients(study) == ["P01", "P02"]
    assert due(study) == []
    assert not cohort_is_due(study)


def kept(study: Study) -> Study:
    """Keep what is expected of every patient, as a pass does that finds nothing due."""
    assert Pass(read_snapshot(study)).patients() == []
    assert not tables_due(read_snapshot(study)).expected
    return study


def altered(study: Study, statement: str) -> Study:
    with closing(sqlite3.connect(study.folder / "reconflow.db")) as store, store:
        assert store.execute(statement).rowcount
    return study


STRICTER = "limits: {detect_events: 31, quantify_events: 60}\n"
CHANGES: dict[str, Callable[[Study], object]] = {
    "a tube": lambda study: give(study, "P02", 25),
    "an infusion": lambda study: rewrite(study, patients=PATIENTS.replace("11:00", "12:00")),
    "a limit": lambda study: rewrite(study, settings=AT_ONCE + STRICTER),
    "an edited table": lambda study: edit(study, "kinetics.csv", b"\n"),
    "a lost page": lambda study: (patient_folder(study, "P02") / "report.html").unlink(),
    "a lost gate": lambda study: next((patient_folder(study, "P02") / "gates").iterdir()).unlink(),
    "a lost mark": lambda study: (patient_folder(study, "P02") / CONTROLS).unlink(),
    "a map": lambda study: edit(study, MAP_PAGE, b"map"),
    "a lost edition": lambda study: altered(study, "DELETE FROM editions WHERE patient = 'P02'"),
}


def edit(study: Study, name: str, added: bytes) -> None:
    with (patient_folder(study, "P02") / name).open("ab") as file:
        file.write(added)


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_night_with_nothing_new_every_change_is_found(study: Study, change: str) -> None:
    CHANGES[change](kept(study))
    changed = open_study(study.folder)
    found = due(changed)
    assert "P02" in [inputs.patient for inputs in found]
    (changed.results / tables_expected.KEPT).unlink()
    assert due(changed) == found


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE counts SET events = events + 1 WHERE population = 'naive_b'",
        "UPDATE gatings SET total_events = total_events + 1",
        "DELETE FROM counts WHERE population = 'plasmablasts'",
    ],
)
def test_after_a_night_with_nothing_new_altered_counts_are_found_every_night(
    study: Study, statement: str
) -> None:
    altered(kept(study), statement)
    with study.store() as store:
        tubes = {tube.identity.tube_sha256 for tube in taken_in(store)}
    for _ in range(2):
        found = tables_due(read_snapshot(study))
        assert found.altered == tubes
        assert not found.made_of


@pytest.mark.parametrize("spoilt", [b"", b"[]", b"{}", b"\xff"])
def test_a_spoilt_note_of_what_is_expected_costs_nothing(study: Study, spoilt: bytes) -> None:
    (kept(study).results / tables_expected.KEPT).write_bytes(spoilt)
    found = tables_due(read_snapshot(study))
    assert not found.patients
    assert set(found.expected) == {"P01", "P02"}


def test_a_new_tube_is_the_business_of_its_patient_alone(study: Study) -> None:
    other = (patient_folder(study, "P02") / "kinetics.csv").stat().st_mtime_ns
    give(study, "P01", 20, b_cells=900)
    assert build(study) == ["P01"]
    assert (patient_folder(study, "P02") / "kinetics.csv").stat().st_mtime_ns == other
    with (study.results / "cohort" / "kinetics.csv").open(encoding="utf-8") as file:
        assert {(row["patient"], row["visit"]) for row in csv.DictReader(file)} == {
            ("P01", "M1"),
            ("P01", "M20"),
            ("P02", "M1"),
        }


def test_another_infusion_changes_the_days_of_that_patient_alone(study: Study) -> None:
    study = rewrite(study, patients=PATIENTS.replace("P01,2026-01-10", "P01,2026-01-11"))
    assert build(study) == ["P01"]
    assert float(table(study, "P01")["b_cells"]["day"]) == pytest.approx(48 + 21 / 24)


def test_a_line_added_above_in_patients_csv_changes_nothing(study: Study) -> None:
    study = rewrite(study, patients=PATIENTS.replace("P01,", "P00,2026-01-01T10:00\nP01,", 1))
    assert due(study) == []


def test_other_limits_change_every_patient(study: Study) -> None:
    study = rewrite(
        study, settings=f"{AT_ONCE}limits: {{detect_events: 31, quantify_events: 60}}\n"
    )
    assert build(study) == ["P01", "P02"]
    assert table(study, "P01")["plasmablasts"]["code"] == "ND"
    assert float(table(study, "P01")["b_cells"]["lloq_per_ul"]) == pytest.approx(6)


@pytest.mark.parametrize("name", [*sorted(FILES), "gates/naive_b.html"])
def test_a_lost_file_is_written_again_with_the_same_bytes(study: Study, name: str) -> None:
    path = patient_folder(study, "P01") / name
    before = path.read_bytes()
    path.unlink()
    assert build(study) == ["P01"]
    assert path.read_bytes() == before


def test_every_gate_of_the_patients_panel_has_its_page_and_no_other_gate(study: Study) -> None:
    folder = patient_folder(study, "P01") / "gates"
    (folder / "gone_gate.html").write_text("", encoding="utf-8")
    (folder / "naive_b.html").unlink()
    assert build(study) == ["P01"]
    gates = strategies_in_use(study)["bcell"].release.strategy.parent_of()
    assert {path.name for path in folder.iterdir()} == {f"{gate}.html" for gate in gates}
    page = (folder / "naive_b.html").read_text(encoding="utf-8")
    assert 'data-page="filmstrip"' in page
    assert 'data-gate="naive_b"' in page
    assert "Naive B cells" in page
    assert (folder / "../series.js").is_file()


def test_the_pages_data_are_the_rows_of_kinetics_csv(study: Study) -> None:
    folder = patient_folder(study, "P01")
    script = (folder / "series.js").read_text(encoding="ascii")
    series = json.loads(script.partition(',"P01",')[2].removesuffix(");\n"))
    with (folder / "kinetics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(map(len, series["counts"].values())) == len(rows)
    for row in rows:
        held = series["counts"][row["tube_sha256"][:12]][row["population"]]
        told = (row["code"], row["used"] == "Y", row["corrected"] == "Y", row["flags"])
        assert (held["code"], held["used"], held["corrected"], ";".join(held["flags"])) == told
        for column, name in (("per_ul", "per_ul"), ("events", "events"), ("lod_per_ul", "lod")):
            assert held[name] == (float(row[column]) if row[column] else None)
    tube = series["tubes"][0]
    assert (tube["file"], tube["review"]) == (rows[0]["file"], rows[0]["review"])


def test_another_control_makes_the_pages_anew_but_no_other_edition(study: Study) -> None:
    folder = patient_folder(study, "P01")
    before, kept = made_of(folder), editions(study)
    (folder / ".controls.sha256").write_text("others\n", encoding="utf-8")
    written = (folder / "series.js").stat().st_mtime_ns
    assert build(study) == ["P01"]
    assert (folder / "series.js").stat().st_mtime_ns > written
    assert (made_of(folder), editions(study)) == (before, kept)
    assert due(study) == []


def test_a_page_of_maps_makes_the_report_anew_which_leads_to_it(study: Study) -> None:
    folder, kept = patient_folder(study, "P01"), editions(study)
    page, report = folder / "map.html", folder / "report.html"
    assert 'href="map.html"' not in report.read_text(encoding="utf-8")
    page.write_text("a map", encoding="utf-8")
    assert build(study) == ["P01"]
    assert 'href="map.html"' in report.read_text(encoding="utf-8")
    assert due(study) == []
    page.unlink()
    assert build(study) == ["P01"]
    assert 'href="map.html"' not in report.read_text(encoding="utf-8")
    assert editions(study) == kept


def test_the_cohort_is_due_when_one_of_its_files_is_lost(study: Study) -> None:
    folder = study.results / "cohort"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {*COHORT_FILES, ".inputs.sha256", ".figures.json"}
    for name in (*COHORT_FILES, ".inputs.sha256"):
        (folder / name).unlink()
        assert cohort_is_due(study)
        (folder / name).write_bytes(before[name])
        assert not cohort_is_due(study)
    shutil.rmtree(folder)
    assert build_cohort(read_snapshot(study)) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_patients_are_compared_by_a_column_of_patients_csv(study: Study) -> None:
    rows = PATIENTS.splitlines()
    grouped = "\n".join([f"{rows[0]},arm", f"{rows[1]},A", f"{rows[2]},"])
    study = rewrite(study, settings=f"{AT_ONCE}cohort: {{stratify_by: arm}}\n", patients=grouped)
    assert cohort_is_due(study)
    build(study)
    assert not cohort_is_due(study)
    with (study.results / "cohort" / "recovery_medians.csv").open(encoding="utf-8") as file:
        assert sorted({row["stratum"] for row in csv.DictReader(file)}) == [
            "A",
            "all patients",
            "not given",
        ]
    with (study.results / "cohort" / "parameters_summary.csv").open(encoding="utf-8") as file:
        assert sorted({row["stratum"] for row in csv.DictReader(file)}) == [
            "A",
            "all patients",
            "not given",
        ]


@pytest.mark.parametrize(
    ("asked", "told"), [("amr", "did you mean 'arm'"), ("weight", "columns to group by are: arm")]
)
def test_a_column_that_patients_csv_does_not_have_is_refused_before_anything_is_written(
    study: Study, asked: str, told: str
) -> None:
    before = (study.results / "cohort" / "cohort.html").read_bytes()
    grouped = PATIENTS.replace("infused\n", "infused,arm\n").replace("T11:00\n", "T11:00,A\n")
    study = rewrite(
        study, settings=f"{AT_ONCE}cohort: {{stratify_by: {asked}}}\n", patients=grouped
    )
    with pytest.raises(SettingsFault, match=told):
        build_cohort(read_snapshot(study))
    assert (study.results / "cohort" / "cohort.html").read_bytes() == before


def test_a_wrong_column_ends_a_pass_before_it_begins(study: Study) -> None:
    study = rewrite(study, settings=f"{AT_ONCE}cohort: {{stratify_by: arm}}\n")
    with (
        pytest.raises(SettingsFault, match=r"'arm' is no column of patients\.csv"),
        one_pass(study.folder, "nightly"),
    ):
        pytest.fail("the pass began")
    with study.store() as store:
        assert last_run(store) is None


def test_rules_of_the_analysis_are_a_part_of_what_results_are_made_of(study: Study) -> None:
    study = rewrite(study, settings=f"{AT_ONCE}kinetics: {{nca: {{auc_method: linear}}}}\n")
    assert [inputs.patient for inputs in due(study)] == ["P01", "P02"]
    with pytest.raises(
        SettingsFault, match=r"no setting 'kinetics\.nca\.auc_methd'; did you mean 'auc_method'"
    ):
        rewrite(study, settings=f"{AT_ONCE}kinetics: {{nca: {{auc_methd: linear}}}}\n")


def test_the_two_phase_fit_is_given_only_when_asked_for(study: Study) -> None:
    fitted = {"alpha", "beta", "FB", "half_life_alpha", "half_life_beta"}
    frame = kinetics(at(7), at(14))
    assert not fitted & set(parameters_frame(frame)["parameter"])
    asked = parameters_frame(frame, ParameterSettings(biexponential=True)).set_index("parameter")
    assert asked.loc[sorted(fitted), "value"].isna().all()
    assert set(asked.loc[sorted(fitted), "definition"]) == {
        "biexponential-M3:fewer-than-6-points@1"
    }
    study = rewrite(study, settings=f"{AT_ONCE}kinetics: {{biexponential: true}}\n")
    assert [inputs.patient for inputs in due(study)] == ["P01", "P02"]


def test_a_patient_whose_tubes_went_to_another_leaves_no_table_behind(study: Study) -> None:
    from dataclasses import replace

    with study.store() as store:
        (tube,) = taken_in(store, patient="P02")
        with store.writing() as connection:
            save_tube(connection, replace(tube.identity, patient="P01"), {})
    assert cohort_is_due(study)
    assert build(study) == ["P01"]
    assert built_patients(study) == ["P01"]
    assert not patient_folder(study, "P02").exists()
    assert not cohort_is_due(study)


def test_a_patient_who_left_patients_csv_stops_with_a_sentence_and_keeps_the_earlier_tables(
    study: Study,
) -> None:
    before = (patient_folder(study, "P02") / "kinetics.csv").read_bytes()
    study = rewrite(study, patients="patient,infused\nP01,2026-01-10T11:00\n")
    (inputs,) = due(study)
    with pytest.raises(ReconflowError, match=r"'P02' is not in patients.csv"):
        build_patient(read_snapshot(study), inputs)
    assert (patient_folder(study, "P02") / "kinetics.csv").read_bytes() == before
    assert [inputs.patient for inputs in due(study)] == ["P02"]


def test_an_empty_tube_is_never_a_number(tmp_path: Path) -> None:
    """No leukocytes: nothing ties the tube to blood, so that nothing can be said of it, and no zero
    either."""
    study = make_study(tmp_path / "s")
    give(study, "P01", 1, **dict.fromkeys(EVENTS, 0))
    build(study)
    for row in table(study, "P01").values():
        assert row["code"] == "NE"
        assert (
            row["per_ul"],
            row["per_ul_low"],
            row["percent_parent"],
            row["percent_reference"],
        ) == ("", "", "", "")


def test_a_study_without_tubes_has_empty_cohort_tables(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    assert due(study) == []
    assert cohort_is_due(study)
    assert build_cohort(read_snapshot(study)) == 0
    assert not cohort_is_due(study)
    assert (study.results / "cohort" / "kinetics.csv").read_text(encoding="utf-8").count("\n") == 1


ONE_ORDER = """
from datetime import UTC, datetime
from tasks.counting.counts import TubeCounts
from tasks.results.patient_inputs import _written
from tasks.vocabulary.tube_identity import TubeIdentity
at = datetime(2026, 1, 1, tzinfo=UTC)
identity = TubeIdentity("0" * 64, "a.fcs", "P01", at, "bcell", "D28", "blood")
print(_written(TubeCounts(identity, "bcell@1.0.0", "0" * 64, {}, corrected=frozenset("abcdef"))))
"""


def test_corrected_populations_enter_the_fingerprint_in_one_order():
    """A set of texts has another order in each process: tables would be due for ever."""
    told = {
        subprocess.run(
            [sys.executable, "-c", ONE_ORDER],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            cwd=Path(__file__).resolve().parents[2],
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(told) == 1


def test_figures_of_many_patients_are_drawn_in_other_processes_as_they_are_here(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, asked = study.results / "cohort", []
    here = {path.name: path.read_bytes() for path in cohort.iterdir()}
    (cohort / ".figures.json").unlink()
    monkeypatch.setattr("tasks.results.cohort_pictures._KEPT._kept", OrderedDict())
    monkeypatch.setattr("tasks.steps.cohort_drawing.MANY_PATIENTS", 2)
    monkeypatch.setattr("tasks.steps.worker_pool.FEW", 0)
    monkeypatch.setattr("tasks.publish.cohort_figures.cohort_figures", None)  # of this process
    monkeypatch.setattr(
        "tasks.steps.cohort_drawing.apart", lambda *work: asked.append(work[-1]) or apart(*work)
    )
    with (study.folder / "study.yaml").open("a", encoding="utf-8") as settings:
        settings.write("workers: 2\n")
    build_cohort_together(read_snapshot(open_study(study.folder)))
    assert set(asked) == set(FIGURES)
    assert {path.name: path.read_bytes() for path in cohort.iterdir()} == here
