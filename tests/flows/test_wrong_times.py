"""A time at the ends of the calendar is its line's fault, and the other tubes are counted."""

from pathlib import Path

import pytest

from tests.flows.command import reconflow_here
from tests.tasks.study_folder import DRAWN, make_study, write_tube

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

SETTINGS = "study: test\ntime_zone: Pacific/Kiritimati\nworkers: 1\nintake: {settle_seconds: 0}\n"
HEADER = "file,patient,collected,panel,acquired\n"
PATIENTS = (
    "patient,infused,infused_car19\nP01,2026-01-10T11:00,2026-01-10T11:00\n"
    "P02,0001-01-01T00:00,\nP03,2026-01-10T11:00,9999-12-31T23:59\n"
)
DRUGS = (
    "patient,drug,start,stop\nP01,rituximab,2026-01-01,9999-12-31\n"
    "P01,rituximab,0001-01-01,2026-01-01\n"
    "P01,IVIG,2026-02-30,\nP01,daratumumab,2026-01-20,2026-02-01\n"
)
ROWS = [
    f"good.fcs,P01,{DRAWN},bcell,",
    "first.fcs,P01,0001-01-01T00:00,bcell,",
    "last.fcs,P01,9999-12-31T23:59-12:00,bcell,",
    f"acquired.fcs,P01,{DRAWN},cart,9999-12-31T23:59:59.999999",
    f"infused.fcs,P02,{DRAWN},bcell,",
    f"product.fcs,P03,{DRAWN},bcell,",
    "none.fcs,P01,2026-02-30T08:30,tbnk,",
]
TOLD = (
    "patients.csv, line 3, column infused: '0001-01-01T00:00' is no time of a study",
    "patients.csv, line 4, column infused_car19: '9999-12-31T23:59' is no time of a study",
    "samples.csv, line 3, column collected: '0001-01-01T00:00' is no time of a study",
    "samples.csv, line 4, column collected: '9999-12-31T23:59-12:00' is no time of a study",
    "samples.csv, line 5, column acquired: '9999-12-31T23:59:59.999999' is no time of a study",
    "samples.csv, line 8, column collected: '2026-02-30T08:30' is no day or time that exists",
    "drugs.csv, line 2, column stop: 9999-12-31 is no day of a treatment",
    "drugs.csv, line 3, column start: 0001-01-01 is no day of a treatment",
    "drugs.csv, line 4, column start: '2026-02-30' is no day",
)


def test_lines_at_the_ends_of_the_calendar_wait_and_the_others_are_counted(
    tmp_path: Path, capfd
) -> None:
    study = make_study(tmp_path / "s", ROWS, settings=SETTINGS, header=HEADER)
    study.patients_sheet.write_text(PATIENTS, encoding="utf-8")
    study.drugs_sheet.write_text(DRUGS, encoding="utf-8")
    for seed, row in enumerate(ROWS):
        name, _, _, panel, _ = row.split(",")
        write_tube(study.inbox / name, panel, seed=seed)
    ran = reconflow_here(capfd, "run", "--study", study.folder, "--json")
    assert (ran.document["counted"], ran.document["waiting"], ran.document["failed"]) == (1, 6, 0)
    assert ran.code == 2
    status = reconflow_here(capfd, "status", "--study", study.folder)
    for sentence in TOLD:
        assert sentence in ran.err
        assert sentence in status.out
    table = (study.results / "patients" / "P01" / "kinetics.csv").read_text(encoding="utf-8")
    assert "plasma_cells" in table
    assert "cd38_masked" in table
    for kind in ("csv", "sdtm"):
        assert reconflow_here(capfd, "export", "--format", kind, "--study", study.folder).code == 0


@pytest.mark.parametrize(
    "written",
    [
        "2026-02-30",
        "2026-13-01",
        "0001-01-01",
        "9999-12-31",
        "20260301",
        "86400",
        "true",
        "1e3",
        '"x"',
        "[]",
    ],
)
def test_a_start_that_is_no_day_ends_with_code_2_and_the_line(
    tmp_path: Path, capfd, written: str
) -> None:
    study = make_study(tmp_path / "s")
    (study.folder / "study.yaml").write_text(f"study: test\nstart: {written}\n", encoding="utf-8")
    ran = reconflow_here(capfd, "run", "--study", study.folder)
    assert ran.code == 2
    assert "study.yaml, line 2: start: " in ran.err
    assert ran.err.count("\n") == 1
