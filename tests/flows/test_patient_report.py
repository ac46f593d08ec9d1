"""``reconflow report``: where a patient's page is, and its PDF with the gates of its tubes."""

import json
from pathlib import Path

import pytest

from flows.cli import run
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import DRAWN, make_study, write_tube

pytestmark = pytest.mark.xdist_group("patient report")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = make_study(tmp_path_factory.mktemp("report") / "s", [f"a.fcs,P01,{DRAWN},bcell"])
    write_tube(study.inbox / "a.fcs")
    plain_night(study)
    return study.folder


def called(capsys: pytest.CaptureFixture[str], *tokens: str | Path) -> tuple[int, str, str]:
    code = run(["report", *map(str, tokens)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_it_says_where_the_page_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "P01", "--study", folder)
    page = Path(out.strip())
    assert (code, page.name) == (0, "report.html")
    assert page.is_file()
    code, out, _ = called(capsys, "P01", "--study", folder, "--json")
    assert json.loads(out) == {"patient": "P01", "report": str(page)}


def test_the_pdf_holds_the_gates_of_every_tube_and_is_the_same_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = tmp_path / "one.pdf", tmp_path / "two.pdf"
    code, out, _ = called(capsys, "P01", "--pdf", "--output", one, "--study", folder, "--json")
    document = json.loads(out)
    assert (code, document["not_drawn"], document["outdated"]) == (0, [], False)
    assert document["pages"] >= 4
    assert called(capsys, "P01", "--pdf", "--output", two, "--study", folder)[0] == 0
    assert one.read_bytes() == two.read_bytes()
    code, out, _ = called(capsys, "P01", "--pdf", "--study", folder)
    beside = folder / "results" / "patients" / "P01" / "report.pdf"
    assert (code, beside.read_bytes()) == (0, one.read_bytes())
    assert str(beside) in out


def test_a_tube_that_is_gone_is_named_and_the_rest_is_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archived = next((folder / "archive").rglob("*.fcs"))
    aside = archived.rename(tmp_path / "aside.fcs")
    try:
        path = tmp_path / "some.pdf"
        code, out, _ = called(capsys, "P01", "--pdf", "--output", path, "--study", folder)
    finally:
        aside.rename(archived)
    assert code == 1
    assert "cannot be drawn" in out
    assert archived.name in out
    assert path.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("tokens", "code", "said"),
    [
        (["P1"], 2, "Did you mean 'P01'?"),
        (["nobody"], 2, "is not in patients.csv"),
        (["P02"], 1, "There are no tables of P02 yet"),
        (["P02", "--pdf"], 1, "There are no tables of P02 yet"),
        (["P01", "--output", "x.pdf"], 2, "give --pdf with it"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], tokens: list[str], code: int, said: str
) -> None:
    ended, out, err = called(capsys, *tokens, "--study", folder)
    assert (ended, out) == (code, "")
    assert said in err


def test_a_folder_is_no_file_to_write(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = called(capsys, "P01", "--pdf", "--output", tmp_path, "--study", folder)
    assert code == 2
    assert "is a folder" in err
