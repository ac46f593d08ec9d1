"""The night writes control charts and maps after the tables, and never at their cost."""

from pathlib import Path

import pytest

from tasks.study.folder import Study
from tests.flows.command import reconflow_here
from tests.tasks.instrument_study import INFUSED, Run, write_instrument_study

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

RUNS = [Run("R001", 2.0 * number, f"P{number % 2 + 1:02d}") for number in range(4)]


def study(folder: Path, workers: int, tubes: int = len(RUNS)) -> Study:
    settings = f"study: test\nworkers: {workers}\nintake: {{settle_seconds: 0}}\n"
    patients = dict.fromkeys(("P01", "P02"), INFUSED)
    return write_instrument_study(folder, RUNS[:tubes], infused=patients, settings=settings)


def files(made: Study) -> dict[str, bytes]:
    """Give the pages and what the front page says of them, without what they are made of."""
    pages = (made.results / "instruments").iterdir()
    return {path.name: path.read_bytes() for path in pages if path.name != ".made_of.json"}


def test_one_worker_and_two_write_the_same_pages_and_a_quiet_night_writes_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one, two = study(tmp_path / "one", 1), study(tmp_path / "two", 2)
    for made in (one, two):
        said = reconflow_here(capfd, "run", "--study", made.folder, "--json")
        assert (said.code, said.document["counted"]) == (0, 4), said.err
    assert set(files(one)) == {"BD-FACSLyric-R001.html", ".overview.json"}
    assert files(one) == files(two)
    times = {path: path.stat().st_mtime_ns for path in (one.results / "instruments").iterdir()}
    assert reconflow_here(capfd, "run", "--study", one.folder).code == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
    index = (one.results / "index.html").read_text(encoding="utf-8")
    assert 'href="instruments/BD-FACSLyric-R001.html"' in index


def test_charts_that_cannot_be_written_are_said_and_the_tables_are_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = study(tmp_path / "s", 1, tubes=2)
    made.results.mkdir()
    (made.results / "instruments").write_text("in the way", encoding="utf-8")
    (made.folder / "instruments.csv").write_text("instrument,date\n", encoding="utf-8")
    said = reconflow_here(capfd, "run", "--study", made.folder, "--json")
    assert said.code == 1
    assert "The instruments' control charts were not written:" in said.err
    assert "instruments.csv, line 1, column event: The column 'event' is missing." in said.err
    assert said.document["counted"] == 2
    assert (made.results / "patients" / "P01" / "kinetics.csv").is_file()
    assert (made.results / "cohort" / "kinetics.csv").is_file()
    assert (made.results / "index.html").is_file()


def test_a_map_that_cannot_be_made_is_a_sentence_of_a_night_that_is_done(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = study(tmp_path / "s", 1, tubes=2)
    with (made.folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("explore: {compartments: [no_cells]}\n")
    said = reconflow_here(capfd, "run", "--study", made.folder)
    assert said.code == 0, said.err
    assert "2 counted" in said.out
    assert "The map of no_cells was not brought up to date: There is no compartment" in said.out
    assert (made.results / "index.html").is_file()
    assert not (made.folder / "maps").exists()
