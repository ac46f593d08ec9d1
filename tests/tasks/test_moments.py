"""Times with and without an offset from UTC may stand beside each other: whatever is compared is
first taken to one clock."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from panels.text.errors import SheetFault
from tasks.export.sdtm import sdtm_tables
from tasks.export.study_data import StudyData
from tasks.intake.take_in import take_in
from tasks.publish.patient_record import PatientRecord
from tasks.results.patient_inputs import tables_due
from tasks.results.patient_tables import counted_tubes, patient_kinetics
from tasks.sheets.columns import read_time
from tasks.sheets.patients import read_patients
from tasks.steps.pass_under_way import Pass
from tasks.store.ledger import all_files
from tasks.store.tubes import save_tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.study.settings import StudySettings
from tasks.tubes.reference_tubes import reference_index
from tasks.vocabulary.moments import ambiguous_time, elapsed_days, instant, local_day
from tests.tasks.published_rows import kinetics, parameters
from tests.tasks.study_folder import make_study, write_tube
from tests.tasks.test_patient_tables import give

ROOT = Path(__file__).resolve().parents[2]
BERLIN = "Europe/Berlin"
ZONED = f"study: test\ntime_zone: {BERLIN}\nintake: {{settle_seconds: 0}}\n"
HEADER = "file,patient,collected,panel,visit\n"
# The clocks of Berlin went forward on 2026-03-29 at two, and go back on 2026-10-25 at three.
INFUSED = "2026-03-20T11:00"


def at_(text: str) -> datetime:
    return datetime.fromisoformat(text)


def dropped(folder: Path, patients: str, *rows: str, settings: str = ZONED) -> Study:
    """A study whose tubes were dropped and taken in; the n-th row names file n.fcs."""
    study = make_study(
        folder, [f"{n}.fcs,{row}" for n, row in enumerate(rows)], settings=settings, header=HEADER
    )
    (folder / "patients.csv").write_text(f"patient,infused\n{patients}\n", encoding="utf-8")
    for n in range(len(rows)):
        write_tube(study.inbox / f"{n}.fcs", seed=n)
    take_in(study)
    return study


def told(study: Study) -> dict[str, str]:
    with study.store() as store:
        return {
            record.inbox_path: record.reason if record.state == "waiting" else record.state
            for record in all_files(store)
        }


# -- the rule


def test_a_time_without_offset_is_the_local_time_of_the_study() -> None:
    assert instant(at_("2026-02-07T08:30"), BERLIN) == at_("2026-02-07T07:30Z")
    assert instant(at_("2026-07-07T08:30"), BERLIN) == at_("2026-07-07T06:30Z")
    assert instant(at_("2026-07-07T08:30-05:00"), BERLIN) == at_("2026-07-07T13:30Z")
    assert instant(at_("2026-02-07T08:30"), None) == at_("2026-02-07T08:30Z")


@pytest.mark.parametrize(
    ("since", "until", "zone", "days"),
    [
        (INFUSED, "2026-04-17T12:00", BERLIN, 28.0),
        (INFUSED, "2026-04-17T12:00+02:00", BERLIN, 28.0),
        (f"{INFUSED}+01:00", "2026-04-17T12:00", BERLIN, 28.0),
        (f"{INFUSED}+01:00", "2026-04-17T12:00+02:00", None, 28.0),
        (INFUSED, "2026-04-17T11:00", None, 28.0),
        ("2026-04-17T12:00", INFUSED, BERLIN, -28.0),
    ],
)
def test_days_are_of_24_hours_over_a_change_of_the_clocks(
    since: str, until: str, zone: str | None, days: float
) -> None:
    assert elapsed_days(at_(since), at_(until), zone) == pytest.approx(days, abs=1e-12)


def test_without_a_time_zone_nothing_is_guessed_between_two_ways_of_writing() -> None:
    with pytest.raises(SheetFault, match="time_zone: Europe/Berlin"):
        elapsed_days(at_(INFUSED), at_("2026-04-17T12:00+02:00"))


@pytest.mark.parametrize(
    ("text", "zone", "doubt"),
    [
        ("2026-03-29T02:30", BERLIN, "never was"),
        ("2026-03-29T03:00", BERLIN, None),
        ("2026-03-29T01:59:59", BERLIN, None),
        ("2026-10-25T02:30", BERLIN, "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"),
        ("2026-10-25T03:00", BERLIN, None),
        ("2026-10-25T02:30+01:00", BERLIN, None),
        ("2026-10-25T02:30", None, None),
        ("2026-03-29T02:30", "UTC", None),
    ],
)
def test_a_time_that_was_on_no_clock_or_on_one_twice_is_asked_about(
    text: str, zone: str | None, doubt: str | None
) -> None:
    said = ambiguous_time(at_(text), zone)
    assert said is None if doubt is None else doubt in str(said)


def test_of_an_hour_that_was_twice_in_an_old_store_the_first_is_meant() -> None:
    assert instant(at_("2026-10-25T02:30"), BERLIN) == at_("2026-10-25T00:30Z")
    hour = elapsed_days(at_("2026-10-25T02:30"), at_("2026-10-25T02:30+01:00"), BERLIN)
    assert hour == 1 / 24


def test_the_day_is_that_of_the_studys_calendar() -> None:
    late = at_("2026-02-07T20:30-05:00")
    assert local_day(late, BERLIN) == date(2026, 2, 8)
    assert local_day(late, None) == date(2026, 2, 7)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "2026-02-07T08:30+23:00"]
)
def test_a_time_that_cannot_be_taken_to_another_clock_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="check"):
        read_time(text)


def test_the_zone_is_the_studys_or_that_of_its_nights() -> None:
    def settings(**values: object) -> StudySettings:
        return StudySettings.model_validate({"study": "s", **values})

    assert (settings().local_zone, settings().nightly_zone) == (None, "UTC")
    assert settings(nightly={"time_zone": BERLIN}).local_zone == BERLIN
    assert settings(time_zone=BERLIN).nightly_zone == BERLIN
    both = settings(time_zone="America/New_York", nightly={"time_zone": "UTC"})
    assert (both.local_zone, both.nightly_zone) == ("America/New_York", "UTC")


# -- where times enter


def test_one_patients_offsets_beside_another_without_stop_no_tube(tmp_path: Path) -> None:
    study = dropped(
        tmp_path / "s",
        "P01,2026-03-20T11:00\nP02,2026-03-20T11:00+01:00",
        "P01,2026-03-10T08:00,bcell,D-10",
        "P02,2026-03-10T08:00+01:00,bcell,D-10",
        "P01,2026-04-17T12:00,bcell,D28",
        "P02,2026-04-17T12:00+02:00,bcell,D28",
        settings="study: test\nintake: {settle_seconds: 0}\n",
    )
    assert set(told(study).values()) == {"accepted"}
    with study.store() as store:
        assert {
            tube.file for tube in reference_index(read_snapshot(study), store).references["bcell"]
        } == {
            "0.fcs",
            "1.fcs",
        }
    this = Pass(read_snapshot(study))
    assert len(this.tubes()) == 4
    assert this.patients() == []


def test_a_part_of_a_patients_rows_may_have_an_offset(tmp_path: Path) -> None:
    study = dropped(
        tmp_path / "s",
        "P01,2026-03-20T11:00+01:00",
        "P01,2026-03-20T10:30,bcell,before",
        "P01,2026-03-20T10:30Z,bcell,after",
        "P01,2026-04-17T12:00,bcell,",
    )
    assert set(told(study).values()) == {"accepted"}
    with study.store() as store:
        found = taken_in(store)
        (reference,) = reference_index(read_snapshot(study), store).references["bcell"]
    assert [tube.identity.file for tube in found] == ["0.fcs", "1.fcs", "2.fcs"]
    assert reference.file == "0.fcs"
    assert found[2].identity.visit == "D28"
    assert found[2].identity.collected == datetime(2026, 4, 17, 12)  # noqa: DTZ001
    assert found[2].identity.drawn_at == datetime(2026, 4, 17, 10, tzinfo=UTC)


def test_without_a_time_zone_a_patients_mixed_times_wait_and_say_how_to_go_on(
    tmp_path: Path,
) -> None:
    rows = ("P01,2026-03-20T11:00", "P01,2026-04-17T12:00+02:00,bcell,D28")
    study = dropped(tmp_path / "s", *rows, settings="study: test\nintake: {settle_seconds: 0}\n")
    assert "time_zone: Europe/Berlin" in told(study)["0.fcs"]
    (study.folder / "study.yaml").write_text(ZONED, encoding="utf-8")
    take_in(open_study(study.folder))
    assert told(study)["0.fcs"] == "accepted"


@pytest.mark.parametrize(
    ("collected", "said"),
    [("2026-10-25T02:30", "write which of the two is meant"), ("2027-03-28T02:30", "never was")],
)
def test_a_draw_in_the_hour_of_the_change_waits(tmp_path: Path, collected: str, said: str) -> None:
    study = dropped(tmp_path / "s", "P01,2026-10-01T11:00", f"P01,{collected},bcell,V1")
    assert "samples.csv, line 2: collected" in told(study)["0.fcs"]
    assert said in told(study)["0.fcs"]


def test_an_infusion_in_the_hour_of_the_change_is_named(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text(
        "patient,infused\nP01,2026-10-25T02:30\nP02,2026-10-25T02:30+01:00\n", encoding="utf-8"
    )
    sheet = read_patients(tmp_path / "patients.csv", BERLIN)
    assert list(sheet.patients) == ["P02"]
    assert "patients.csv, line 2, column infused: 2026-10-25T02:30:00 was twice" in str(
        sheet.faults[0]
    )


def test_products_may_be_written_with_and_without_offset_where_the_zone_is_known(
    tmp_path: Path,
) -> None:
    text = (
        "patient,infused,infused_car19,infused_carbcma\n"
        "P01,2026-03-20T11:00,2026-03-20T10:00Z,2026-03-20T13:00\n"
    )
    (tmp_path / "patients.csv").write_text(text, encoding="utf-8")
    patient = read_patients(tmp_path / "patients.csv", BERLIN).patients["P01"]
    record = PatientRecord("P01", patient.products, time_zone=BERLIN)
    assert record.infusion_days() == {"car19": 0.0, "carbcma": pytest.approx(2 / 24)}
    assert "write both alike" in str(read_patients(tmp_path / "patients.csv").faults[0])


# -- what is made of them


def test_the_tables_have_true_days_and_times_as_they_were_written(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", settings=ZONED)
    (study.folder / "patients.csv").write_text(
        f"patient,infused\nP01,{INFUSED}\n", encoding="utf-8"
    )
    shas = [give(study, "P01", day) for day in (10, 30)]
    as_text = {shas[0]: "2026-03-30T08:00:00+02:00", shas[1]: "2026-03-30T09:00:00"}
    with study.store() as store:
        for sha, text in as_text.items():
            (tube,) = taken_in(store, tube_sha256=sha)
            collected = datetime.fromisoformat(text)
            with store.writing() as connection:
                save_tube(connection, replace(tube.identity, collected=collected), {})
    snapshot = read_snapshot(study)
    patient = snapshot.patients.patients["P01"]
    frame = patient_kinetics(snapshot, patient, counted_tubes(snapshot, "P01"))
    rows = frame.drop_duplicates("tube_sha256")
    assert dict(zip(rows["tube_sha256"], rows["collected"], strict=True)) == as_text
    assert list(rows["day"]) == pytest.approx([10 - 4 / 24, 10 - 3 / 24], abs=1e-9)


def test_another_time_zone_makes_the_tables_anew(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    give(study, "P01", 10)
    (before,) = tables_due(read_snapshot(study)).patients
    (study.folder / "study.yaml").write_text(ZONED, encoding="utf-8")
    study = open_study(study.folder)
    (after,) = tables_due(read_snapshot(study)).patients
    assert before.fingerprint != after.fingerprint


def test_a_study_day_counts_dates_of_the_studys_calendar() -> None:
    def study_day(collected: str, day: float, zone: str | None) -> int:
        frame = kinetics({"day": day}).assign(collected=collected)
        return int(
            sdtm_tables(
                StudyData("trial", None, frame, parameters(), pd.DataFrame(), time_zone=zone)
            )["cp"]["CPDY"][0]
        )

    # Infused on 2026-03-29 at 00:30, half an hour into the day on which the clocks went forward.
    assert study_day("2026-03-30T00:30:00", 23 / 24, BERLIN) == 2
    assert study_day("2026-03-30T00:30:00+02:00", 23 / 24, BERLIN) == 2
    assert study_day("2026-03-30T00:30:00", 1.0, None) == 2
    assert study_day("2026-03-11T01:00:00", 1.041666667, None) == 2


def test_sheets_of_patients_are_read_in_the_studys_time_zone_everywhere() -> None:
    callers = [
        path.relative_to(ROOT).as_posix()
        for room in ("flows", "tasks")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\bread_patients\(", path.read_text(encoding="utf-8"))
    ]
    assert sorted(callers) == ["tasks/sheets/patients.py", "tasks/study/folder.py"]


def test_moments_are_never_compared_as_they_were_written() -> None:
    raw = re.compile(
        r"\.(collected|infused|acquired)\s*(<|>|<=|>=|==|!=|-)\s|(<|>|<=|>=|==|!=|-)\s*[\w.]+\.(collected|infused|acquired)\b"
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "tasks").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if raw.search(line) and "simulate" not in path.parts
    ]
    assert found == []
