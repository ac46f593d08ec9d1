"""The commands about calibrations: what they measure and write, what they say, what they refuse."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from gating.fcs.events import open_events
from gating.fcs.header import read_header
from tasks.intake.take_in import take_in
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.simulate.study import write_study
from tasks.study.folder import open_study
from tests.flows.command import Said, reconflow_here
from tests.other_instrument import other_instrument, rewrite_study

SETTINGS = (
    "study: test\nintake: {settle_seconds: 0}\n"
    "strategies: {bcell: bcell@3.0.0, cart: cart@4.0.0, tbnk: tbnk@4.0.0}\n"
)
DRAFT = ("calibrate", "draft", "--panel", "bcell", "--instrument", "five")
RELEASE = ("calibrate", "release", "bcell", "five", "1.0.0", "--by", "A. Keller")
REASON = ("--reason", "four baselines of March, pictures looked at")


@pytest.fixture(scope="module")
def rewritten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a study whose tubes another instrument acquired, and take them in once."""
    folder = tmp_path_factory.mktemp("made")
    write_study(
        folder / "plain", patients=4, visits=2, seed=4, workers=1, events=0.4, settings=SETTINGS
    )
    for path in (folder / "plain" / "inbox").glob("*_D10_*"):
        path.unlink()
    keep_rows(folder / "plain", lambda row: "_D10_" not in row["file"])
    rewrite_study(folder / "plain", folder / "study", other_instrument(5))
    study = open_study(folder / "study")
    take_in(study)
    return folder / "study"


def keep_rows(study: Path, wanted) -> None:
    """Keep some lines of the sample sheet."""
    with (study / "samples.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if wanted(row)]
    with (study / "samples.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def study(rewritten: Path, tmp_path: Path) -> Path:
    """Give each test a study of its own."""
    shutil.copytree(rewritten, tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]):
    """Run a command in this process."""

    def runs(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    return runs


def test_a_draft_is_measured_looked_at_and_released(study: Path, said) -> None:
    drafted = said(*DRAFT, "--study", study, "--json").document
    assert drafted["calibration"] == "bcell/five@1.0.0"
    assert len(drafted["tubes"]) == 4
    assert {each["source"] for each in drafted["thresholds"].values()} <= {
        "landmark",
        "negative",
        "valley",
        "",
    }
    folder = study / "calibrations" / "bcell" / "five" / "1.0.0"
    assert {path.name for path in folder.iterdir()} == {
        "calibration.yaml",
        "measurements.csv",
        "evidence.html",
    }
    with (folder / "measurements.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    taken = [row for row in rows if row["kind"] == "threshold" and row["taken"] == "Y"]
    assert {row["unit"] for row in rows} == {"linear"}
    assert all(float(row["value"]) > 0 for row in taken)
    page = (folder / "evidence.html").read_text(encoding="utf-8")
    assert page.count("<img") == 13
    assert "it rests on 4 tubes: at least 5 are needed" in page
    listed = said("calibrate", "list", "--study", study, "--json").document["calibrations"]
    assert {"bcell/five@1.0.0": "draft"}.items() <= {
        each["calibration"]: each["state"] for each in listed
    }.items()

    released = said(*RELEASE, *REASON, "--study", study)
    assert released.code == 0
    changes = (folder / "CHANGES.md").read_text(encoding="utf-8")
    assert "four baselines of March" in changes
    assert "A. Keller" in changes
    shown = said("calibrate", "show", "bcell/five@1.0.0", "--study", study)
    assert "cd19" in shown.out
    verified = said("calibrate", "verify", "--study", study, "--json")
    assert "bcell/five@1.0.0" in verified.document["verified"]
    again = said(*RELEASE, *REASON, "--study", study)
    assert again.code == 2
    assert "already released" in again.err


def test_the_same_tubes_give_the_same_draft(study: Path, said, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert said(*DRAFT, "--study", study, "--output", tmp_path / name).code == 0
    for file in ("calibration.yaml", "measurements.csv", "evidence.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_next_draft_has_the_next_version_and_says_what_changed(study: Path, said) -> None:
    said(*DRAFT, "--study", study)
    said(*RELEASE, *REASON, "--study", study)
    drafted = said(*DRAFT, "--tubes", "P01*", "P02*", "P03*", "--study", study, "--json").document
    assert drafted["calibration"] == "bcell/five@1.1.0"
    second = study / "calibrations" / "bcell" / "five" / "1.1.0" / "calibration.yaml"
    differs = said("calibrate", "diff", "bcell/five@1.0.0", second, "--study", study, "--json")
    changes = {each["name"]: each for each in differs.document["changes"]}
    assert changes
    assert all(each["ratio"] is None or 0.3 < each["ratio"] < 3 for each in changes.values())


def test_a_draft_that_a_person_changed_is_not_lost(study: Path, said) -> None:
    said(*DRAFT, "--study", study)
    assert said(*DRAFT, "--study", study).code == 0
    path = study / "calibrations" / "bcell" / "five" / "1.0.0" / "calibration.yaml"
    path.write_text(path.read_text().replace("title: bcell on five", "title: looked at"))
    refused = said(*DRAFT, "--study", study)
    assert refused.code == 2
    assert "was changed since it was drafted" in refused.err
    assert "looked at" in path.read_text()


def test_a_changed_release_is_found(study: Path, said) -> None:
    said(*DRAFT, "--study", study)
    said(*RELEASE, *REASON, "--study", study)
    path = study / "calibrations" / "bcell" / "five" / "1.0.0" / "calibration.yaml"
    path.write_text(path.read_text().replace("title: bcell on five", "title: other"))
    verified = said("calibrate", "verify", "--study", study)
    assert verified.code != 0
    assert "was changed after its release" in verified.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("calibrate", "draft", "--panel", "bcel", "--instrument", "five"), "panel 'bcel'"),
        (
            ("calibrate", "draft", "--panel", "bcell", "--instrument", "six"),
            "instruments are five",
        ),
        ((*DRAFT, "--tubes", "nothing*.fcs"), "neither a tube of the panel bcell in the study"),
        ((*DRAFT, "--strategy", "cart@4.0.0"), "gates the panel cart, not bcell"),
        ((*DRAFT, "--strategy", "bcell@9.0.0"), "There is no strategy"),
        ((*RELEASE, *REASON), "Draft it first"),
        ((*RELEASE, "--reason", " "), "--reason is empty"),
        (("calibrate", "show", "bcell/six@1.0.0"), "no released calibration 'bcell/six@1.0.0'"),
    ],
)
def test_what_cannot_be_done_is_said(
    study: Path, said, words: tuple[str, ...], reason: str
) -> None:
    refused = said(*words, "--study", study)
    assert refused.code == 2
    assert reason in refused.err


def other_file(source: Path, target: Path, **keywords: str) -> Path:
    """Write a tube anew with other keywords."""
    header = read_header(source)
    events = np.asarray(open_events(header).columns(list(range(len(header.channels))), slice(None)))
    channels = [
        FcsChannel(each.detector, each.label, int(each.maximum), 450) for each in header.channels
    ]
    stains = [each.detector for each in header.channels if each.label]
    kept = {key: header.keywords[key] for key in ("$CYT", "$CYTSN", "$TIMESTEP")}
    write_fcs(
        target,
        events.astype(np.float32),
        channels,
        dialect="fcs3.1-le",
        spill=FcsSpill(tuple(stains), np.eye(len(stains))),
        keywords=kept | keywords,
    )
    return target


def one_tube(study: Path) -> Path:
    files = sorted((study / "archive").rglob("*.fcs"))
    named = {read_header(path).keywords["$FIL"]: path for path in files}
    return named["P01_D-7_bcell.fcs"]


def test_tubes_of_two_instruments_are_refused(study: Path, said, tmp_path: Path) -> None:
    other = other_file(one_tube(study), tmp_path / "other.fcs", **{"$CYTSN": "SN-9"})
    refused = said(*DRAFT, "--tubes", "P0*", str(other), "--study", study)
    assert refused.code == 2
    assert "of 2 instruments" in refused.err
    assert "other.fcs" in refused.err
    assert "--tubes" in refused.err


def test_tubes_of_two_settings_are_refused(study: Path, said, tmp_path: Path) -> None:
    for name, volts in (("low", "450"), ("high", "600")):
        path = other_file(one_tube(study), tmp_path / f"{name}.fcs")
        path.write_bytes(re.sub(rb"(\$P9V\x0c)450", rb"\g<1>" + volts.encode(), path.read_bytes()))
    refused = said(*DRAFT, "--tubes", f"{tmp_path}/*.fcs", "--study", study)
    assert refused.code == 2
    assert "was set otherwise: voltage" in refused.err
    assert "low.fcs" in refused.err
    assert "high.fcs" in refused.err


def test_a_file_that_is_no_tube_is_named(study: Path, said, tmp_path: Path) -> None:
    (tmp_path / "notes.fcs").write_text("no FCS at all")
    refused = said(*DRAFT, "--tubes", str(tmp_path / "notes.fcs"), "--study", study)
    assert refused.code != 0
    assert "notes.fcs" in refused.err


def test_a_strategy_without_reference_cells_is_refused(study: Path, said) -> None:
    folder = study / "strategies" / "bcell" / "9.0.0"
    folder.mkdir(parents=True)
    (folder / "strategy.yaml").write_text(
        "strategy: bcell\nversion: 9.0.0\ntitle: no reference cells\npanel: bcell\n"
        "thresholds:\n  cd45: {marker: CD45, value: 1500, evidence: none}\n"
        "gates:\n  - {gate: leukocytes, parent: root, rectangle: {CD45: {above: cd45}}}\n"
        "populations: []\n",
        encoding="utf-8",
    )
    (folder / "CHANGES.md").write_text("# bcell 9.0.0\n\nA test's.\n", encoding="utf-8")
    assert said("strategy", "release", "bcell", "9.0.0", "--study", study).code == 0
    refused = said(*DRAFT, "--strategy", "bcell@9.0.0", "--study", study)
    assert refused.code == 2
    assert "names no reference cells" in refused.err


def test_uncompensated_tubes_are_refused(study: Path, said) -> None:
    path = study / "panels" / "bcell.yaml"
    path.write_text(path.read_text().replace("compensated: false", "compensated: true"))
    refused = said(*DRAFT, "--study", study)
    assert refused.code != 0
    assert ".fcs" in refused.err
