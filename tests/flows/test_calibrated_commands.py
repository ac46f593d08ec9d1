"""Commands that show or use the numbers of a calibration say which one, or that there is none."""

import re
from pathlib import Path

import pytest

from tasks.study.folder import Study
from tests.flows.command import Said, reconflow_here
from tests.tasks.calibrations import (
    release_calibration,
    release_drawn_strategy,
    release_strategy,
)
from tests.tasks.study_folder import make_study, write_tube

PIN, PINNED = "bcell/drawn@1.0.0", "bcell/lyric@1.0.0"


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]):
    """Run a command in this process."""

    def runs(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    return runs


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path / "s")


def test_a_strategy_shows_the_numbers_of_the_calibration_it_names(study: Study, said) -> None:
    release_calibration(study, PIN, {"BD FACSLyric": "SIMULATED"}, gain=1.5)
    assert release_drawn_strategy(study, PIN) == "bcell@2.9.0"
    here = ("--study", study.folder)
    shown = said("strategy", "show", "bcell@2.9.0", *here)
    assert f"Its numbers are those of the calibration {PIN}." in shown.out
    assert re.search(r"cd19 +CD19 +1650 ", shown.out)
    document = said("strategy", "show", "bcell@2.9.0", *here, "--json").document
    assert document["calibration"] == PIN
    assert document["thresholds"]["cd19"]["value"] == 1650
    difference = said("strategy", "diff", "bcell@2.0.0", "bcell@2.9.0", *here)
    assert f"calibration is now {PIN}" in difference.out
    assert re.search(r"lower bound on CD19 moves from 1,?100 to 1,?650", difference.out)
    verified = said("strategy", "verify", *here)
    assert (verified.code, "bcell@2.9.0: as released" in verified.out) == (0, True)
    path = study.own_calibrations / "bcell" / "drawn" / "1.0.0" / "calibration.yaml"
    path.write_text(path.read_text("utf-8").replace("gain 1.5", "gain 2"), encoding="utf-8")
    verified = said("strategy", "verify", *here)
    assert verified.code == 1
    assert f"{PIN} was changed after its release" in verified.err
    assert "bcell@2.0.0: as released" in verified.out


@pytest.mark.parametrize(
    ("since", "counted"), [(None, PINNED), ("2026-03-14", PINNED), ("2026-03-15", None)]
)
def test_a_file_is_counted_with_the_calibration_of_its_instrument_in_the_study(
    study: Study, said, since: str | None, counted: str | None
) -> None:
    strategy = release_strategy(study, ["Aurora"])
    more = {"since": since} if since else {}
    release_calibration(study, PINNED, {"BD FACSLyric": "R100001"}, strategy=strategy, **more)
    keywords = {"$CYTSN": "R100001", "$DATE": "14-MAR-2026"}
    tube = write_tube(study.folder / "t.fcs", keywords=keywords)
    here = ("--study", study.folder)
    gated = said("gate", tube, "--strategy", strategy, *here, "--json")
    assert gated.code == 0
    assert gated.document.get("calibration") == counted
    inspected = said("inspect", tube, *here)
    none = "no calibration of BD FACSLyric R100001 holds on 2026-03-14"
    assert f"calibration: {counted or none}\n" in inspected.out
    assert gated.err == (
        ""
        if counted
        else f"t.fcs: N{none[1:]}: the file was counted with the numbers of {strategy}.\n"
    )


def test_a_file_of_an_instrument_without_calibration_says_whose_numbers_count(
    study: Study, said
) -> None:
    strategy = release_strategy(study, ["Aurora"])
    for name, keywords in {"known": {"$CYT": "Aurora"}, "other": {"$CYTSN": "R100002"}}.items():
        write_tube(study.folder / f"{name}.fcs", keywords=keywords)
    here = ("--strategy", strategy, "--study", study.folder)
    assert said("gate", study.folder / "known.fcs", *here).err == ""
    other = said("gate", study.folder / "other.fcs", *here)
    assert other.code == 0
    assert other.err == (
        "other.fcs: There is no calibration of BD FACSLyric R100002: the file was counted "
        f"with the numbers of {strategy}.\n"
    )


def test_a_serial_number_that_could_be_a_name_is_not_repeated(study: Study, said) -> None:
    strategy = release_strategy(study, ["Aurora"])
    tube = write_tube(study.folder / "t.fcs", keywords={"$CYTSN": "Anna Muster", "CYTNUM": "V42"})
    found = said("gate", tube, "--strategy", strategy, "--study", study.folder)
    assert "BD FACSLyric V42" in found.err
    assert "Muster" not in found.err + said("inspect", tube, "--study", study.folder).out
