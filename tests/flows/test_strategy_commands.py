"""The commands about strategies: what they write, what they say, and what they refuse."""

import shutil
from pathlib import Path

import pytest

from gating.compile import read_gatingml
from gating.engine import gate_paths
from tests.flows.command import Said, reconflow_here

LYOPLATE = Path(__file__).resolve().parents[1] / "data" / "lyoplate"


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]):
    """Run a command in this process."""

    def runs(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    return runs


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Make a study with strategies and panels of its own."""
    shutil.copytree(LYOPLATE, tmp_path / "study", dirs_exist_ok=True)
    return tmp_path / "study"


# export


def test_export_writes_a_document_that_can_be_read(tmp_path: Path, said) -> None:
    file = tmp_path / "bcell.xml"
    done = said("strategy", "export", "bcell@1.0.0", "--output", file)
    assert (done.code, done.err) == (0, "")
    names = {path[-1] for path in gate_paths(read_gatingml(file))}
    assert {"b_cells", "naive_b", "plasmablasts"} <= names


def test_export_prints_the_document_when_no_file_is_named(study: Path, said) -> None:
    done = said("strategy", "export", "lyoplate_b@1.0.0", "--study", study)
    assert done.code == 0
    assert done.out.startswith("<?xml")
    assert 'compensation-ref="FCS"' not in done.out
    document = said("strategy", "export", "lyoplate_b", "--study", study, "--json").document
    assert document["strategy"] == "lyoplate_b@1.0.0"
    assert document["gatingml"].strip() == done.out.strip()


def test_export_of_what_is_not_there_is_a_wrong_call(tmp_path: Path, said) -> None:
    assert said("strategy", "export", "bcell@99").code == 2
    assert said("strategy", "export", "bcell", "--panel", "tbnk").code == 2
    assert said("strategy", "export", "bcell", "--output", tmp_path / "no" / "folder.xml").code == 1
