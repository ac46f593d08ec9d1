"""The tables have one row a visit: a label that stands for two draws stops them, and what is
missing is said."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from panels.text.errors import ReconflowError
from tasks.counting.counts import TubeCounts
from tasks.intake.take_in import take_in
from tasks.publish.patient_record import PatientRecord
from tasks.publish.report import render_patient_report
from tasks.results.patient_inputs import tables_due
from tasks.results.patient_tables import parameter_settings, patient_kinetics
from tasks.sheets.patients import read_patients
from tasks.store.ledger import record_failure
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.tasks.plain_pass import notes, warnings
from tests.tasks.published_rows import at, kinetics, parameters
from tests.tasks.study_folder import make_study, write_rows, write_tube
from tests.tasks.test_patient_tables import give

DRAWN = datetime(2026, 2, 7, 8, 30)  # noqa: DTZ001
TUBE = TubeIdentity("a" * 64, "a.fcs", "P01", DRAWN, "bcell", "M1")


def counts(identity: TubeIdentity) -> TubeCounts:
    return TubeCounts(identity, "bcell@1.0.0", "f" * 64, {}, None, 1000, ())


def test_two_draws_under_one_label_that_came_in_earlier_stop_the_patients_tables(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path / "s")
    snapshot = read_snapshot(study)
    patient = snapshot.patients.patients["P01"]
    later = replace(TUBE, tube_sha256="b" * 64, file="b.fcs", collected=DRAWN + timedelta(days=28))
    with pytest.raises(ReconflowError, match=r"b\.fcs .*a\.fcs .*28\.0 days apart"):
        patient_kinetics(snapshot, patient, [counts(TUBE), counts(later)])


def test_an_excluded_draw_under_the_same_label_stops_nothing(tmp_path: Path) -> None:
    snapshot = read_snapshot(make_study(tmp_path / "s"))
    later = replace(TUBE, tube_sha256="b" * 64, file="b.fcs", collected=DRAWN + timedelta(days=28))
    strategy = snapshot.versions()["bcell"]
    first, other = (replace(counts(each), strategy=strategy) for each in (TUBE, later))
    patient = snapshot.patients.patients["P01"]
    with pytest.raises(ReconflowError, match="days apart"):
        patient_kinetics(snapshot, patient, [first, other])
    assert patient_kinetics(snapshot, patient, [first, replace(other, review="excluded")]).empty


# -- what a report begins with

PATIENTS = "patient,infused,baseline_visit\nP01,2026-01-10T11:00,{}\n"
HEADER = "file,patient,collected,panel,visit\n"


def two_visits(folder: Path, baseline: str, *rows: str) -> Study:
    """A study with a tube before and one after infusion, and further rows."""
    own = ["a.fcs,P01,2026-01-03T08:30,bcell,D-7", "b.fcs,P01,2026-02-07T08:30,bcell,D28"]
    study = make_study(folder, [*own, *rows], header=HEADER)
    (study.folder / "patients.csv").write_text(PATIENTS.format(baseline), encoding="utf-8")
    for seed, name in enumerate("ab"):
        write_tube(study.inbox / f"{name}.fcs", seed=seed)
    return study


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        ("D-07", "no visit 'D-07' so far; did you mean 'D-7'"),
        ("D28", "'D28' is not before the infusion"),
    ],
)
def test_a_baseline_that_is_no_visit_before_infusion_is_said_with_the_visits_there_are(
    tmp_path: Path, baseline: str, told: str
) -> None:
    study = two_visits(tmp_path / "s", baseline)
    take_in(study)
    doubt = warnings(study)["P01"]
    assert "patients.csv, line 2, column baseline_visit" in doubt
    assert told in doubt
    assert "D-7 (day -7.1), D28 (day 27.9)" in doubt
    assert notes(study) == {"P01": (doubt,)}


def test_a_right_baseline_needs_no_word(tmp_path: Path) -> None:
    study = two_visits(tmp_path / "s", "D-7")
    assert warnings(study) == {}
    take_in(study)
    assert warnings(study) == {}
    assert notes(study) == {}


def test_a_visit_after_infusion_is_never_taken_for_the_baseline(tmp_path: Path) -> None:
    study = two_visits(tmp_path / "s", "D28")
    patients = read_patients(study.patients_sheet).patients
    frame = kinetics(*(at(day, patient="P01", population="b_cells") for day in (-7, 28)))
    assert parameter_settings(study.settings, patients, frame).baseline_visits == {"P01": ""}
    (study.folder / "patients.csv").write_text(PATIENTS.format("D-7"), encoding="utf-8")
    assert parameter_settings(
        study.settings, read_patients(study.patients_sheet).patients, frame
    ).baseline_visits == {"P01": "D-7"}


def test_tubes_that_wait_failed_or_were_refused_are_said_in_the_patients_report_without_their_names(
    tmp_path: Path,
) -> None:
    rows = [
        "Anna1.fcs,P01,2027-02-07T08:30,cart,D56",
        "Anna2.fcs,P01,2026-02-07T08:30,cart,D28",
        "Anna3.fcs,P01,7.2.26,bcell,D28",
    ]
    study = two_visits(tmp_path / "s", "D-7", *rows)
    write_tube(study.inbox / "Anna1.fcs", "cart", seed=7)
    write_tube(study.inbox / "Anna2.fcs", "tbnk", seed=8)
    write_tube(study.inbox / "Anna3.fcs", seed=9)
    take_in(study)
    with study.store() as store:
        failed = next(
            tube.identity.tube_sha256 for tube in taken_in(store) if tube.identity.visit == "D28"
        )
        record_failure(store, failed, "the file was damaged")
    assert notes(study) == {
        "P01": (
            (
                f"The bcell tube {failed[:12]} of visit D28 (blood) failed and is in no table; "
                f"the overview says why."
            ),
            (
                "The cart tube of visit D28, samples.csv, line 5 was refused and is in no table; "
                "the overview says why."
            ),
            (
                "The cart tube of visit D56, samples.csv, line 4 waits and is in no table; the "
                "overview says why."
            ),
            "The file of samples.csv, line 6 waits and is in no table; the overview says why.",
        )
    }
    page = render_patient_report(
        PatientRecord("P01", {}, notes=notes(study)["P01"]),
        kinetics(at(-7, patient="P01")),
        parameters(),
        {},
    )
    assert "of visit D28 (blood) failed and is in no table" in page
    assert "Anna" not in page


def test_a_report_is_due_again_when_a_tube_of_its_patient_begins_to_wait_and_when_it_no_longer_does(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path / "s")
    give(study, "P01", 1)
    study.archive.mkdir()
    (study.archive / "P01_1.fcs").touch()
    (before,) = tables_due(read_snapshot(study)).patients
    write_rows(study.folder, ["x.fcs,P01,2027-02-07T08:30,cart"])
    path = write_tube(study.inbox / "x.fcs", "cart")
    take_in(study)
    (waits,) = tables_due(read_snapshot(study)).patients
    assert waits.fingerprint != before.fingerprint
    assert waits.notes == (
        "The cart tube of samples.csv, line 2 waits and is in no table; the overview says why.",
    )
    path.unlink()
    take_in(study)
    assert tables_due(read_snapshot(study)).patients == [before]
