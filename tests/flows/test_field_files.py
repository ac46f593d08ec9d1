"""Files that broke a reader in the field end their command with code 2 and one sentence."""

import re
import shutil
import time
from pathlib import Path

import pytest

from tests.flows.command import Said, reconflow_here
from tests.shared_data import SHARED, needs_shared
from tests.tasks.study_folder import make_study, write_tube

PARSERS = SHARED / "field" / "parsers"
FILES = sorted(path.name for path in PARSERS.glob("*.*"))
pytestmark = needs_shared


def place_of(study: Path, name: str) -> Path:
    """Give where in a study a file of this kind lies."""
    kind = name.split(".")[-2]
    places = {
        "settings": "study.yaml",
        "panel": "panels/mine.yaml",
        "strategy": "strategies/mine/1.0.0/strategy.yaml",
        "drugs": "drugs.csv",
    }
    return study / places.get(kind, name)


def commands(study: Path, place: Path) -> list[list[str | Path]]:
    """List the commands that read it."""
    if place.suffix == ".xml":
        tube = write_tube(study / "tube.fcs")
        imported = [
            "strategy",
            "import",
            place,
            "--panel",
            "bcell",
            "--name",
            "mine",
            "--output",
            study / "out",
        ]
        return [["gate", tube, "--gatingml", place], imported]
    if place.name == "mine.yaml":
        return [
            ["panel", "show", "mine"],
            ["panel", "verify"],
            ["panel", "list"],
            ["panel", "diff", place, "bcell"],
        ]
    if place.name == "strategy.yaml":
        return [
            ["strategy", "show", "mine@1.0.0"],
            ["strategy", "diff", place, "bcell@2.0.0"],
            ["status"],
        ]
    return [["status"], ["retry"], ["export", "--format", "csv"]]


def check(said: Said, name: str) -> None:
    assert said.code == 2, said
    assert said.err.startswith("reconflow: ")
    assert said.err.count("\n") == 1
    assert said.err.strip().isprintable()
    assert len(said.err) < 1200
    assert name in said.err
    assert name.endswith(".xml") or re.search(r", line \d+: ", said.err)
    assert "fault in reconflow" not in said.err


@pytest.mark.parametrize("name", FILES)
def test_every_command_that_reads_it_says_so(tmp_path: Path, capfd, name: str) -> None:
    study = make_study(
        tmp_path / "s", settings="study: x\nstrategies: {bcell: mine@1.0.0}\n"
    ).folder
    place = place_of(study, name)
    if place.name != "strategy.yaml":
        (study / "study.yaml").write_text("study: x\n", encoding="utf-8")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PARSERS / name, place)
    for command in commands(study, place):
        begun = time.process_time()
        said = reconflow_here(
            capfd, *command, *([] if place.suffix == ".xml" else ["--study", study])
        )
        assert time.process_time() - begun < 5
        check(said, place.name)
