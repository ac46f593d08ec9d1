"""What the sheets leave open is said by the run, by ``status`` and on the front page, and stops
nothing."""

from pathlib import Path

import pytest

from tests.flows.command import reconflow_here
from tests.tasks.study_folder import DRAWN, make_study, write_rows, write_tube

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

SETTINGS = "study: test\ntime_zone: Europe/Berlin\nworkers: 1\nintake: {settle_seconds: 0}\n"
TOLD = (
    "samples.csv: no line names b.fcs any more",
    "drugs.csv, line 2, column stop: rituximab of P01 was begun on 2010-03-01 and has no stop",
    "drugs.csv, line 3, column drug: 'foobarumab' is not known here",
)


def test_a_deleted_line_and_open_courses_are_said_everywhere_and_the_night_goes_on(
    tmp_path: Path, capfd
) -> None:
    rows = [f"a.fcs,P01,{DRAWN}+01:00,bcell", f"b.fcs,P01,{DRAWN},cart", f"c.fcs,P02,{DRAWN},bcell"]
    study = make_study(tmp_path / "s", rows, settings=SETTINGS)
    for seed, row in enumerate(rows):
        name, *_, panel = row.split(",")
        write_tube(study.inbox / name, panel, seed=seed)
    first = reconflow_here(capfd, "run", "--study", study.folder, "--json")
    assert (first.code, first.document["counted"], first.document["failed"]) == (0, 3, 0)
    write_rows(study.folder, [rows[0], rows[2]])
    (study.folder / "drugs.csv").write_text(
        "patient,drug,start,stop\nP01,rituximab,2010-03-01,\nP02,foobarumab,2026-01-01,2026-01-02\n",
        encoding="utf-8",
    )
    again = reconflow_here(capfd, "run", "--study", study.folder, "--json")
    assert (again.code, again.document["counted"], again.document["patients"]) == (0, 0, 2)
    status = reconflow_here(capfd, "status", "--study", study.folder)
    page = (study.results / "index.html").read_text(encoding="utf-8").replace("&#39;", "'")
    for sentence in TOLD:
        assert sentence in again.err
        assert sentence in status.out
        assert sentence in page
    table = (study.results / "patients" / "P01" / "kinetics.csv").read_text(encoding="utf-8")
    assert {f"{DRAWN}:00+01:00", f"{DRAWN}:00"} == {
        line.split(",")[3] for line in table.splitlines()[1:]
    }
