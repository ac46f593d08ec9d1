"""The commands about panels: what they write, what they say, and what they refuse."""

import shutil
from pathlib import Path

import pytest

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
    """Make a study with a panel of its own."""
    shutil.copytree(LYOPLATE, tmp_path / "study", dirs_exist_ok=True)
    (tmp_path / "study" / "study.yaml").write_text("study: test\n", encoding="utf-8")
    return tmp_path / "study"


def edit(study: Path, was: str, now: str) -> None:
    path = study / "panels" / "lyoplate.yaml"
    text = path.read_text(encoding="utf-8")
    assert was in text
    path.write_text(text.replace(was, now), encoding="utf-8")


def test_panels_are_listed_and_shown(study: Path, said) -> None:
    listed = said("panel", "list", "--json").document["panels"]
    assert [(each["panel"], each["state"]) for each in listed] == [
        ("bcell@1.0.0", "released"),
        ("cart@1.0.0", "released"),
        ("tbnk@1.0.0", "released"),
    ]
    assert "lyoplate@1.0.0" in said("panel", "list", "--study", study).out
    shown = said("panel", "show", "lyoplate", "--study", study)
    assert shown.code == 0
    assert "not released" in shown.out
    document = said("panel", "show", "bcell@1", "--json").document
    assert document["version"] == "1.0.0"
    assert len(document["sha256"]) == 64
    assert said("panel", "show", "bcel").code == 2
    assert "'bcell'?" in said("panel", "show", "bcel").err
    assert said("panel", "show", "bcell@9").code == 2


def test_a_panel_is_released_and_then_fixed(study: Path, said) -> None:
    done = said("panel", "release", "lyoplate", "1.0.0", "--study", study, "--json")
    assert done.code == 0
    assert done.document["panel"] == "lyoplate@1.0.0"
    assert said("panel", "verify", "--study", study, "--json").document["faults"] == []
    assert said("panel", "release", "lyoplate", "1.0.0", "--study", study).code == 2
    edit(study, "detector: CD3,", "detector: CD33,")
    verified = said("panel", "verify", "--study", study)
    assert verified.code == 1
    assert "lyoplate@1.0.0 was changed after its release" in verified.err
    assert said("panel", "show", "lyoplate", "--study", study).code == 2
    assert said("strategy", "export", "lyoplate_b", "--study", study).code == 2
    edit(study, "version: 1.0.0", "version: 2.0.0")
    words = said(
        "panel", "diff", "lyoplate@1.0.0", study / "panels" / "lyoplate.yaml", "--study", study
    )
    assert words.code == 0
    assert "detector of CD3: CD3 becomes CD33" in words.out
    assert (
        said("panel", "release", "lyoplate", "2.0.0", "--study", study, "--json").document[
            "difference"
        ][0]["now"]
        == "CD33"
    )
    document = said(
        "panel", "diff", "lyoplate@1.0.0", "lyoplate@2.0.0", "--study", study, "--json"
    ).document
    assert [(each["was"], each["now"]) for each in document["changes"]] == [("CD3", "CD33")]
    assert said("panel", "verify", "--study", study).code == 0


def test_a_panel_that_was_not_released_is_no_fault_and_said(study: Path, said) -> None:
    verified = said("panel", "verify", "--study", study)
    assert verified.code == 0
    assert "lyoplate@1.0.0: not released" in verified.out


def test_a_wrong_call_is_said(study: Path, tmp_path: Path, said) -> None:
    assert said("panel", "diff", "bcell", tmp_path / "none.yaml").code == 2
    assert said("panel", "release", "nothing", "1.0.0", "--study", tmp_path).code == 2
    (study / "panels" / "lyoplate.yaml").write_text("panel: [", encoding="utf-8")
    for words in (
        ("panel", "list"),
        ("panel", "show", "lyoplate"),
        ("panel", "release", "lyoplate", "1.0.0"),
    ):
        done = said(*words, "--study", study)
        assert done.code == 2
        assert "lyoplate.yaml" in done.err
