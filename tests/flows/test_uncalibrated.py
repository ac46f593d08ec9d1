"""What was counted without a calibration of its instrument is said first, and ends ``--strict``."""

import csv
from pathlib import Path

import pytest

from tasks.study.folder import Study
from tests.flows.command import Said, reconflow_here
from tests.tasks.calibrations import release_calibration, release_strategy
from tests.tasks.study_folder import DRAWN, make_study, write_tube

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

SETTINGS = "study: test\nstart: 2026-01-01\nworkers: 1\nintake: {settle_seconds: 0}\n"
SERIALS = {"a": "R1000001", "b": "R1000002", "c": "R1000002"}


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]):
    """Run a command in this process."""

    def says(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    return says


def make(folder: Path) -> Study:
    """Make a study with tubes of two instruments, neither of which its strategy was set on."""
    rows = [f"{name}.fcs,P01,{day},bcell" for name, day in zip("abc", DAYS, strict=True)]
    study = make_study(
        folder / "s", rows, settings=f"{SETTINGS}strategies: {{bcell: bcell@2.0.9}}\n"
    )
    release_strategy(study, ["Aurora"])
    for seed, (name, serial) in enumerate(SERIALS.items()):
        write_tube(study.inbox / f"{name}.fcs", seed=seed, keywords={"$CYTSN": serial})
    return study


DAYS = (DRAWN, "2026-02-20T08:30", "2026-03-07T08:30")


def calibrate(study: Study, name: str) -> None:
    cytometers = {"BD FACSLyric": SERIALS[name]}
    release_calibration(study, f"bcell/lyric-{name}@1.0.0", cytometers, strategy="bcell@2.0.9")


def test_tubes_without_a_calibration_are_said_first_until_there_is_one(tmp_path: Path, say) -> None:
    study = make(tmp_path)
    calibrate(study, "a")
    said = say("run", "--study", study.folder, "--json", "--strict")
    assert (said.code, said.document["uncalibrated"], said.document["counted"]) == (3, 2, 3)
    text = say("run", "--study", study.folder)
    assert text.code == 0
    assert text.out.splitlines()[0].endswith(", 0 failed, 2 uncalibrated")
    sentence = (
        "2 tubes were counted without a calibration of the instrument, so that the numbers may be "
        "wrong by any amount: 2 of the panel bcell on BD FACSLyric R1000002. Measure one "
        "from your own tubes: reconflow calibrate draft --panel bcell --instrument NAME --study "
        "FOLDER."
    )
    assert text.out.splitlines()[1].strip() == sentence
    page = (study.results / "index.html").read_text(encoding="utf-8")
    body = page[page.index("<h1>") :]
    assert sentence in body
    assert body.index(sentence) < body.index("Needs your hand") < body.index("Patients and")
    status = say("status", "--study", study.folder, "--json", "--strict")
    assert (status.code, status.document["uncalibrated"]) == (3, 2)
    (group,) = status.document["without_calibration"]
    assert (group["panel"], group["instrument"], group["tubes"]) == (
        "bcell",
        "BD FACSLyric R1000002",
        2,
    )
    assert say("status", "--study", study.folder).out.splitlines()[0] == sentence
    calibrate(study, "b")
    said = say("run", "--study", study.folder, "--json", "--strict")
    assert (said.code, said.document["uncalibrated"], said.document["counted"]) == (0, 0, 2)
    assert "without a calibration" not in (study.results / "index.html").read_text("utf-8")
    assert say("status", "--study", study.folder, "--strict").code == 0
    with (study.results / "cohort" / "kinetics.csv").open(encoding="utf-8", newline="") as file:
        named = {row["calibration"] for row in csv.DictReader(file)}
    assert named == {"bcell/lyric-a@1.0.0", "bcell/lyric-b@1.0.0"}
