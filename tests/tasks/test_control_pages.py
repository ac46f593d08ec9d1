"""A control that leaves a stain out enters no table, and can be seen all the same."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.steps.one_pass import one_pass
from tasks.steps.pass_under_way import Pass
from tasks.store.tubes import Tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.tubes.gate_tube import gate_control
from tasks.tubes.tube_pages import tube_folder
from tests.tasks.page_files import tube_data
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import DRAWN, make_study, write_rows, write_tube

pytestmark = pytest.mark.xdist_group("control pages")

HEADER = "file,patient,collected,panel,control\n"
ROWS = [
    f"a.fcs,P01,{DRAWN},bcell,",
    f"stained.fcs,P01,{DRAWN},bcell,fmo:CD27",
    f"unrecorded.fcs,P01,{DRAWN},bcell,fmo:CD38",
]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Count a tube beside two controls, one of which did not record the detector."""
    study = make_study(tmp_path_factory.mktemp("controls") / "s", ROWS, header=HEADER)
    write_tube(study.inbox / "a.fcs", seed=1)
    write_tube(study.inbox / "stained.fcs", seed=2)
    write_tube(study.inbox / "unrecorded.fcs", seed=3, without="CD38")
    plain_night(study)
    return study.folder


@pytest.fixture
def study(counted: Path, tmp_path: Path) -> Study:
    """Give each test a study of its own."""
    return open_study(shutil.copytree(counted, tmp_path / "s"))


def tubes(study: Study) -> dict[str, Tube]:
    with study.store() as store:
        return {tube.identity.file: tube for tube in taken_in(store)}


def folder(study: Study, name: str) -> Path:
    return tube_folder(study, tubes(study)[name].identity.tube_sha256)


def due(study: Study) -> list[str]:
    """Name what a pass would measure or count now."""
    name_of = {tube.identity.tube_sha256: name for name, tube in tubes(study).items()}
    this = Pass(read_snapshot(study))
    return sorted(name_of[sha] for sha in (*this.references(), *this.tubes()))


def test_a_control_is_shown_as_the_declared_numbers_gate_it(study: Study) -> None:
    data = tube_data(folder(study, "stained.fcs"))
    assert data["head"]["control"] == "fmo:CD27"
    assert data["flags"] == []
    used = read_snapshot(study).strategies["bcell"]
    gated, _ = gate_control(study, tubes(study)["stained.fcs"], used)
    counts = {
        gate["name"]: gated.evaluation.count(gated.compiled.path_of[gate["name"]])
        for gate in data["gates"]
    }
    assert {gate["name"]: gate["events"] for gate in data["gates"]} == counts
    assert {each["source"] for each in data["thresholds"]} == {"fixed"}
    assert "control fmo:CD27" in (folder(study, "stained.fcs") / "gating.html").read_text("utf-8")
    assert not (folder(study, "stained.fcs") / "counts.csv").exists()


def test_a_control_that_cannot_be_gated_has_no_page_and_is_not_tried_again(study: Study) -> None:
    assert [path.name for path in folder(study, "unrecorded.fcs").iterdir()] == [".shown.json"]
    assert tubes(study)["unrecorded.fcs"].file.state == "accepted"
    assert due(study) == []


def test_a_control_measured_by_an_earlier_release_gets_its_page(study: Study) -> None:
    for path in folder(study, "stained.fcs").iterdir():
        path.unlink()
    assert due(study) == ["stained.fcs"]
    plain_night(study)
    assert due(study) == []
    assert (folder(study, "stained.fcs") / "gating.js").is_file()


def test_a_corrected_sheet_reaches_the_page_of_a_control(study: Study) -> None:
    write_rows(study.folder, [row.replace("fmo:CD27", "fmo:IgD") for row in ROWS], header=HEADER)
    plain_night(study)
    assert tube_data(folder(study, "stained.fcs"))["head"]["control"] == "fmo:IgD"


@pytest.mark.parametrize("name", ["a.fcs", "stained.fcs"])
def test_pages_of_an_earlier_release_are_written_anew_once(study: Study, name: str) -> None:
    shown = folder(study, name) / ".shown.json"
    says = json.loads(shown.read_bytes())
    shown.write_text(json.dumps(says | {"format": [0, 0]}), encoding="utf-8")
    (folder(study, name) / "gating.png").write_bytes(b"\x89PNG")
    assert due(study) == [name]
    plain_night(study)
    assert due(study) == []
    assert not (folder(study, name) / "gating.png").exists()


@pytest.mark.parametrize("name", ["gating.js", "gating.html"])
def test_a_page_that_lost_a_part_is_written_anew(study: Study, name: str) -> None:
    before = (folder(study, "a.fcs") / name).read_bytes()
    (folder(study, "a.fcs") / name).unlink()
    assert due(study) == ["a.fcs"]
    plain_night(study)
    assert (folder(study, "a.fcs") / name).read_bytes() == before


def test_every_pass_puts_the_script_and_the_style_beside_the_pages(study: Study) -> None:
    (study.results / "app.js").write_text("of another release", encoding="utf-8")
    with one_pass(study.folder, "test"):
        pass
    assert b"reconflow" in (study.results / "app.js").read_bytes()
    assert (study.results / "app.css").is_file()
