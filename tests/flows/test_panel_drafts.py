"""``panel draft`` and ``panel check``: what they write and say, and that intake agrees."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from panels.catalogue import load_panel
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tests.flows.command import Said, reconflow_here
from tests.shared_data import SHARED, needs_shared
from tests.tasks.study_folder import DRAWN, make_study, write_rows, write_tube

Runs = Callable[..., Said]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]) -> Runs:
    """Run a command in this process."""

    def runs(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    return runs


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_study(tmp_path / "s").folder


def test_a_draft_is_written_into_the_study_and_its_files_fit(study: Path, said: Runs) -> None:
    tube = write_tube(study / "inbox" / "t.fcs")
    done = said("panel", "draft", tube, "--name", "mine", "--study", study, "--json")
    assert done.code == 0, done.err
    document = done.document
    assert document["path"] == str(study / "panels" / "mine.yaml")
    assert document["panel"] == "mine@1.0.0"
    assert document["markers"] == [stain.marker for stain in load_panel("bcell").markers]
    assert document["instruments"] == ["BD FACSLyric"]
    assert document["compensated"] is True
    shown = said("panel", "show", "mine", "--study", study)
    assert "CD14+viability" in shown.out
    checked = said("panel", "check", "mine", tube, "--study", study)
    assert checked.code == 0
    assert "mine@1.0.0: 1 of 1 files would be accepted." in checked.out
    released = said("panel", "release", "mine", "1.0.0", "--study", study)
    assert released.code == 0, released.err


def test_a_draft_is_never_written_over_a_panel(study: Path, said: Runs) -> None:
    tube = write_tube(study / "inbox" / "t.fcs")
    said("panel", "draft", tube, "--name", "mine", "--study", study)
    before = (study / "panels" / "mine.yaml").read_bytes()
    again = said("panel", "draft", tube, "--name", "mine", "--study", study)
    assert again.code == 2
    assert "never replaces" in again.err
    assert (study / "panels" / "mine.yaml").read_bytes() == before


def test_without_a_study_a_draft_lies_in_the_current_folder(
    tmp_path: Path, said: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    tube = write_tube(tmp_path / "t.fcs", "tbnk")
    monkeypatch.chdir(tmp_path)
    done = said("panel", "draft", tube, "--name", "mine")
    assert done.code == 0, done.err
    assert "panel check mine.yaml" in done.out
    assert said("panel", "check", "mine.yaml", tube).code == 0


def test_the_text_says_what_was_guessed_and_how_to_go_on(study: Path, said: Runs) -> None:
    tube = write_tube(study / "inbox" / "t.fcs", spill=False)
    done = said("panel", "draft", tube, "--name", "mine", "--study", study)
    assert done.code == 0
    assert "TO DECIDE" in done.out
    assert "If their values are compensated already, write `compensated: false`" in done.out
    assert f"reconflow panel check mine FILE… --study {study}" in done.out
    refused = said("panel", "check", "mine", tube, "--study", study)
    assert refused.code == 1
    assert "REFUSED" in refused.out
    assert "no compensation" in refused.out


@pytest.mark.parametrize("case", ["no file", "no FCS", "empty folder", "no study", "bad name"])
def test_bad_input_is_said_and_writes_nothing(
    case: str, study: Path, tmp_path: Path, said: Runs
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.fcs").write_text("no events here")
    tube = write_tube(tmp_path / "t.fcs")
    words: dict[str, tuple[tuple[object, ...], int, str]] = {
        "no file": ((tmp_path / "none.fcs", "--name", "x"), 2, "no such file"),
        "no FCS": ((tmp_path / "text.fcs", "--name", "x"), 1, "not an FCS file"),
        "empty folder": ((tmp_path / "empty", "--name", "x"), 2, "holds no FCS file"),
        "no study": ((tube, "--name", "x", "--study", tmp_path / "none"), 2, "no such study"),
        "bad name": ((tube, "--name", "../x"), 2, "cannot name a panel"),
    }
    call, code, sentence = words[case]
    where = () if "--study" in call else ("--study", study)
    done = said("panel", "draft", *call, *where)  # type: ignore[arg-type]
    assert (done.code, sentence in done.err) == (code, True), done.err
    assert not list(tmp_path.rglob("x.yaml"))


def test_a_check_tells_channel_by_channel(study: Path, said: Runs) -> None:
    good = write_tube(study / "inbox" / "good.fcs")
    bad = write_tube(study / "inbox" / "bad.fcs", without="CD3")
    checked = said("panel", "check", "bcell", good, bad, "--study", study, "--json")
    assert checked.code == 1
    document = checked.document
    assert (document["accepted"], document["refused"]) == (1, 1)
    first, second = document["files"]
    assert (first["verdict"], second["verdict"]) == ("accepted", "refused")
    by_name = {each["name"]: each for each in first["channels"]}
    assert by_name["CD27"] == {
        "name": "CD27",
        "expected": "BV421-A",
        "found_by": "label",
        "required": True,
        "detector": "BV421-A",
        "label": "CD27",
        "maximum": 262144.0,
        "covered": True,
        "problem": "",
    }
    missing = {each["name"]: each for each in second["channels"]}["CD3"]
    assert missing["found_by"] == "not found"
    assert "CD3 is missing" in missing["problem"]


def test_a_check_tells_of_synonyms_other_detectors_and_an_uncovered_detector(
    tmp_path: Path, said: Runs
) -> None:
    stains = load_panel("tbnk").markers
    channels = [FcsChannel(name) for name in ("FSC-A", "FSC-H", "SSC-A")]
    labels = {"CD16+CD56": "CD16/CD56"}
    moved = {"CD19": "APC-Fire810-A"}
    channels += [
        FcsChannel(moved.get(s.marker, s.detector), labels.get(s.marker, s.marker)) for s in stains
    ]
    events = np.random.default_rng(3).uniform(0, 1000, (30, len(channels))).astype(np.float32)
    covered = tuple(channel.detector for channel in channels[3:-1])
    matrix = np.eye(len(covered)) + 0.01 * (1 - np.eye(len(covered)))
    spill = FcsSpill(covered, matrix)
    write_fcs(tmp_path / "t.fcs", events, channels, dialect="fcs3.1-le", spill=spill, keywords={})
    checked = said("panel", "check", "tbnk", tmp_path / "t.fcs", "--json")
    assert checked.code == 0
    file = checked.document["files"][0]
    by_name = {each["name"]: each for each in file["channels"]}
    assert by_name["CD19"]["detector"] == "APC-Fire810-A"
    assert by_name["CD19"]["expected"] == "APC-A"
    assert by_name["CD8"]["covered"] is False
    assert any("does not cover APC-H7-A" in remark for remark in file["remarks"])
    assert any("CD19 (APC-Fire810-A instead of APC-A)" in remark for remark in file["remarks"])


def test_files_of_which_the_same_is_said_are_listed_together(tmp_path: Path, said: Runs) -> None:
    tubes = [write_tube(tmp_path / f"{n}.fcs", seed=n) for n in range(3)]
    checked = said("panel", "check", "bcell", *tubes)
    assert checked.code == 0
    assert checked.out.count("expected") == 1
    assert all(str(tube) in checked.out for tube in tubes)


@pytest.mark.parametrize(
    "case", ["fits", "no CD3", "no spill", "tbnk", "cut short", "zeros", "text"]
)
def test_a_check_and_a_run_say_the_same(case: str, study: Path, said: Runs) -> None:
    tube = study / "inbox" / "t.fcs"
    if case == "text":
        tube.write_text("no events here")
    else:
        write_tube(
            tube,
            "tbnk" if case == "tbnk" else "bcell",
            spill=case != "no spill",
            without="CD3" if case == "no CD3" else "",
        )
    if case == "cut short":
        tube.write_bytes(tube.read_bytes()[:-100])
    if case == "zeros":
        tube.write_bytes(tube.read_bytes()[:-600] + bytes(600))
    write_rows(study, [f"t.fcs,P01,{DRAWN},bcell"])
    settings = "study: test\nintake: {settle_seconds: 0, cut_short_seconds: 0}\n"
    (study / "study.yaml").write_text(settings, encoding="utf-8")
    file = said("panel", "check", "bcell", tube, "--study", study, "--json").document["files"][0]
    from tasks.intake.take_in import take_in
    from tasks.store.ledger import all_files
    from tasks.study.folder import open_study

    opened = open_study(study)
    take_in(opened)
    with opened.store() as store:
        record = next(record for record in all_files(store) if record.inbox_path == "t.fcs")
    assert (record.state == "quarantined") == (file["verdict"] == "refused")
    assert file["refused"] is None or file["refused"] == record.reason


# --- inspect --study ----------------------------------------------------------------------------


def test_inspect_asks_the_study_which_panel_a_file_has(study: Path, said: Runs) -> None:
    tube = write_tube(study / "inbox" / "t.fcs", "tbnk")
    said("panel", "draft", tube, "--name", "mine", "--study", study)
    assert said("inspect", tube, "--json").document["panel"] == "tbnk"
    assert said("inspect", tube, "--study", study, "--json").document["panel"] == "mine"
    write_rows(study, [f"t.fcs,P01,{DRAWN},tbnk"])
    assert said("inspect", tube, "--study", study, "--json").document["panel"] == "tbnk"
    write_rows(study, [f"t.fcs,P01,{DRAWN},cart"])
    refused = said("inspect", tube, "--study", study)
    assert refused.code == 1
    assert "It fits the panel mine or tbnk" in refused.out
    write_rows(study, [f"t.fcs,P01,{DRAWN},tbnkk"])
    unknown = said("inspect", tube, "--study", study)
    assert "There is no panel 'tbnkk'; did you mean 'tbnk'?" in unknown.out


def test_inspect_reads_the_panel_from_the_name_and_the_keywords_a_study_trusts(
    study: Path, said: Runs
) -> None:
    settings = "study: t\nintake: {filename_pattern: '{patient}_{panel}'}\n"
    (study / "study.yaml").write_text(settings, encoding="utf-8")
    tube = write_tube(study / "inbox" / "P01_tbnk.fcs", keywords={"TUBE NAME": "cart"})
    assert said("inspect", tube, "--study", study).code == 1
    settings = "study: t\nintake: {keywords: {panel: TUBE NAME}}\n"
    (study / "study.yaml").write_text(settings, encoding="utf-8")
    refused = said("inspect", tube, "--study", study)
    assert refused.code == 1
    assert "does not fit the panel cart" in refused.out
    write_tube(study / "inbox" / "P01_tbnk.fcs", keywords={"TUBE NAME": "Anna Müller"})
    unknown = said("inspect", tube, "--study", study)
    assert "There is no panel that a keyword of the file names." in unknown.out
    assert "Anna" not in unknown.out


def test_inspect_lets_a_control_lack_its_marker(study: Path, said: Runs) -> None:
    tube = write_tube(study / "inbox" / "t.fcs", without="CD27")
    assert said("inspect", tube, "--study", study).code == 1
    header = "file,patient,collected,panel,control\n"
    write_rows(study, [f"t.fcs,P01,{DRAWN},bcell,fmo:CD27"], header=header)
    assert said("inspect", tube, "--study", study).code == 0


@needs_shared
@pytest.mark.parametrize("folder", ["t-cells-activation", "flowjo/cell_counts"])
def test_real_files_are_drafted_and_accepted(folder: str, study: Path, said: Runs) -> None:
    files = [SHARED / folder]
    if folder.startswith("flowjo"):
        files.append(SHARED / folder / "CellCounts.wsp")
    done = said("panel", "draft", *files, "--name", "mine", "--study", study)
    assert done.code == 0, done.err
    checked = said("panel", "check", "mine", SHARED / folder, "--study", study, "--json")
    assert checked.code == 0
    assert checked.document["refused"] == 0
