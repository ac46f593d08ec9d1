"""The commands about calibrations: what they measure and write, what they say, what they refuse."""

import csv
import os
import re
import shutil
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.cli import run
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from tasks.drafts.draft_document import draft_document
from tasks.drafts.draft_file import draft_named
from tasks.intake.take_in import take_in
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.simulate.study import write_study
from tasks.store.ledger import record_failure
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.study.folder import open_study
from tests.flows.command import Said, reconflow_here
from tests.other_instrument import other_instrument, rewrite_study
from tests.tasks.calibrations import release_calibration

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
    write_rows(study, rows)


def write_rows(study: Path, rows: list[dict[str, str]]) -> None:
    """Write the sample sheet."""
    with (study / "samples.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def study(rewritten: Path, tmp_path: Path) -> Path:
    """Give each test a study of its own."""
    shutil.copytree(rewritten, tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture(scope="module")
def drafted_once(rewritten: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draft the calibration of five once."""
    folder = shutil.copytree(rewritten, tmp_path_factory.mktemp("drafted") / "study")
    assert run([*DRAFT, "--study", str(folder)]) == 0
    return folder


@pytest.fixture
def drafted_study(drafted_once: Path, tmp_path: Path) -> Path:
    """Give each test a study of its own that has the draft already."""
    return shutil.copytree(drafted_once, tmp_path / "study")


def shown_draft(folder: Path) -> dict[str, Any]:
    """Give the draft of five as its page has it."""
    study = open_study(folder)
    return draft_document(read_snapshot(study), draft_named(study, "calibration/bcell/five/1.0.0"))


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]):
    """Run a command in this process."""

    def runs(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    return runs


def test_a_draft_is_measured_looked_at_and_released(study: Path, said) -> None:
    drafted = said(*DRAFT, "--study", study, "--json").document
    assert drafted["compared_with"] == "bcell/simulated@1.0.0"
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
        "notes.txt",
    }
    with (folder / "measurements.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    taken = [row for row in rows if row["kind"] == "threshold" and row["taken"] == "Y"]
    assert {row["unit"] for row in rows} == {"linear"}
    assert all(float(row["value"]) > 0 for row in taken)
    page = (folder / "evidence.html").read_text(encoding="utf-8")
    assert page.count("<img") == 13
    assert "it rests on 4 tubes: at least 5 are needed" in page
    shown = shown_draft(study)
    assert [f"When it was measured: {note}." for note in drafted["notes"]] == shown["notes"]
    assert "it rests on 4 tubes: at least 5 are needed" in shown["notes"][0]
    assert shown["evidence"] == "calibrations/bcell/five/1.0.0/evidence.html"
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
    """The order they are named in changes nothing, nor that one is named twice or copied."""
    copied = shutil.copy(one_tube(study), tmp_path / "copied.fcs")
    first = said(*DRAFT, "--study", study, "--output", tmp_path / "one")
    assert first.code == 0
    assert "13 thresholds measured on 4 tubes" in first.out
    place = study / "calibrations" / "bcell" / "five" / "1.0.0"
    assert f"put the three files into {place}" in first.out
    assert f"--reason TEXT --study {study}" in first.out
    named = ("--tubes", copied, "P04*7_bcell.fcs", "P0*7_bcell.fcs", "P01*7_bcell.fcs")
    again = said(*DRAFT, *named, "--study", study, "--output", tmp_path / "two", "--json")
    assert again.document["tubes"] == [f"P0{number}_D-7_bcell.fcs" for number in (1, 2, 3, 4)]
    for file in ("calibration.yaml", "measurements.csv", "evidence.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_next_draft_has_the_next_version_and_says_what_changed(
    drafted_study: Path, said
) -> None:
    study = drafted_study
    said(*RELEASE, *REASON, "--study", study)
    drafted = said(*DRAFT, "--tubes", "P01*", "P02*", "P03*", "--study", study, "--json").document
    assert drafted["calibration"] == "bcell/five@1.1.0"
    assert drafted["compared_with"] == "bcell/five@1.0.0"
    second = study / "calibrations" / "bcell" / "five" / "1.1.0" / "calibration.yaml"
    differs = said("calibrate", "diff", "bcell/five@1.0.0", second, "--study", study, "--json")
    changes = {each["name"]: each for each in differs.document["changes"]}
    assert changes
    assert all(each["ratio"] is None or 0.3 < each["ratio"] < 3 for each in changes.values())


def test_a_draft_that_a_person_changed_is_not_lost(drafted_study: Path, said) -> None:
    study = drafted_study
    assert said(*DRAFT, "--study", study).code == 0
    path = study / "calibrations" / "bcell" / "five" / "1.0.0" / "calibration.yaml"
    path.write_text(path.read_text().replace("title: bcell on five", "title: looked at"))
    refused = said(*DRAFT, "--study", study)
    assert refused.code == 2
    assert "was changed since it was drafted" in refused.err
    assert "looked at" in path.read_text()


def test_a_changed_release_is_found(drafted_study: Path, said) -> None:
    study = drafted_study
    said(*RELEASE, *REASON, "--study", study)
    path = study / "calibrations" / "bcell" / "five" / "1.0.0" / "calibration.yaml"
    onto = said(*DRAFT, "--study", study, "--output", path.parent)
    assert onto.code == 2
    assert "holds bcell/five@1.0.0, which is released" in onto.err
    path.write_text(path.read_text().replace("title: bcell on five", "title: other"))
    verified = said("calibrate", "verify", "--study", study)
    assert verified.code == 1
    assert (verified.out + verified.err).count("was changed after its release") == 1
    listed = said("calibrate", "list", "--study", study)
    assert listed.code == 1
    assert "was changed after its release" in listed.err
    assert "tbnk/simulated@1.0.0" in listed.out


SIX = ("calibrate", "draft", "--panel", "bcell", "--instrument", "six")


def test_an_instrument_may_have_another_name_in_the_sheet(study: Path, said) -> None:
    drafted = said(*SIX, "--study", study, "--json").document
    assert drafted["calibration"] == "bcell/six@1.0.0"
    (note,) = [each for each in drafted["notes"] if "calls this instrument" in each]
    assert note.startswith("the sample sheet calls this instrument five")
    words = ("calibrate", "release", "bcell", "six", "1.0.0", "--by", "A. Keller", *REASON)
    assert said(*words, "--study", study).code == 0
    used = strategies_in_use(open_study(study))["bcell"]
    with open_study(study).store() as store:
        tubes = [tube for tube in taken_in(store) if tube.identity.panel == "bcell"]
    assert {used.for_tube(tube).calibration for tube in tubes} == {"bcell/six@1.0.0"}


def test_a_release_says_where_another_strategy_counts(drafted_study: Path, said) -> None:
    study = drafted_study
    settings = study / "study.yaml"
    settings.write_text(settings.read_text().replace("bcell@3.0.0", "bcell@2.0.0"))
    released = said(*RELEASE, *REASON, "--study", study)
    assert released.code == 0
    assert "No tube is counted with it yet: the panel is counted with bcell@2.0.0" in released.out
    assert "reconflow regate --strategy bcell@3.0.0" in released.out


def test_tubes_of_several_instruments_of_the_sheet_are_kept_apart(study: Path, said) -> None:
    sheet = study / "samples.csv"
    lines = sheet.read_text(encoding="utf-8").splitlines(keepends=True)
    sheet.write_text(
        "".join(
            line.replace(",five,", ",six,") if line.startswith("P02") else line for line in lines
        ),
        encoding="utf-8",
    )
    take_in(open_study(study))
    drafted = said(*SIX, "--study", study, "--json").document
    assert drafted["tubes"] == ["P02_D-7_bcell.fcs"]
    none = said(*SIX[:-1], "seven", "--study", study)
    assert (none.code, "instruments are five, six" in none.err) == (2, True)
    mixed = said(*SIX, "--tubes", "*_D-7_bcell.fcs", "--study", study)
    assert mixed.code == 2
    assert "P01_D-7_bcell.fcs is a tube of the instrument five in the sample sheet" in mixed.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("calibrate", "draft", "--panel", "bcel", "--instrument", "five"), "panel 'bcel'"),
        ((*DRAFT, "--tubes", "nothing*.fcs"), "neither a tube of the panel bcell in the study"),
        (
            ("calibrate", "draft", "--panel", "bcell", "--instrument", "x" * 300),
            "it has 300 letters",
        ),
        (("calibrate", "draft", "--panel", "bcell", "--instrument", ".."), "no name of an inst"),
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


def other_file(
    source: Path,
    target: Path,
    *,
    events: int | None = None,
    without: Collection[str] = (),
    without_marker: str = "",
    without_beads: bool = False,
    **keywords: str,
) -> Path:
    """Write a tube anew: other keywords, some of its events, without some keyword or channel."""
    header = read_header(source)
    recorded = [each for each in header.channels if each.label != without_marker or not each.label]
    places = [header.channels.index(each) for each in recorded]
    values = np.asarray(open_events(header).columns(places, slice(None)))[:events]
    channels = [FcsChannel(each.detector, each.label, int(each.maximum), 450) for each in recorded]
    stains = [each.detector for each in recorded if each.label]
    if without_beads:  # They alone are bright in every detector.
        stained = values[:, [place for place, each in enumerate(recorded) if each.label]]
        values = values[stained.min(axis=1) < 0.1 * recorded[0].maximum]
    kept = {
        key: header.keywords[key]
        for key in ("$CYT", "$CYTSN", "$TIMESTEP")
        if key in header.keywords and key not in without
    }
    write_fcs(
        target,
        values.astype(np.float32),
        channels,
        dialect="fcs3.1-le",
        spill=FcsSpill(tuple(stains), np.eye(len(stains))),
        keywords=kept | keywords,
    )
    return target


def one_tube(study: Path, panel: str = "bcell") -> Path:
    files = sorted((study / "archive").rglob("*.fcs"))
    named = {read_header(path).keywords["$FIL"]: path for path in files}
    return named[f"P01_D-7_{panel}.fcs"]


def test_tubes_of_two_instruments_are_refused(study: Path, said, tmp_path: Path) -> None:
    other = other_file(one_tube(study), tmp_path / "other.fcs", **{"$CYTSN": "SN-9"})
    refused = said(*DRAFT, "--tubes", "P0*", str(other), "--study", study)
    assert refused.code == 2
    assert "of 2 instruments" in refused.err
    assert "other.fcs" in refused.err
    assert "--tubes" in refused.err


def test_tubes_of_two_settings_are_refused(study: Path, said, tmp_path: Path) -> None:
    for name, volts in (("middle", "450"), ("low", "420"), ("high", "480")):
        path = other_file(one_tube(study), tmp_path / f"{name}.fcs")
        path.write_bytes(re.sub(rb"(\$P9V\x0c)450", rb"\g<1>" + volts.encode(), path.read_bytes()))
    refused = said(*DRAFT, "--tubes", f"{tmp_path}/*.fcs", "--study", study)
    assert refused.code == 2
    assert "was set otherwise: voltage" in refused.err
    assert "420 in low.fcs, 480 in high.fcs" in refused.err


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
    for words, cure in (
        ((), "Name the other tubes with --tubes."),
        (("--tubes", "P0*7_bcell.fcs"), "Leave it out of --tubes."),
    ):
        refused = said(*DRAFT, *words, "--study", study)
        assert refused.code == 2
        assert "P01_D-7_bcell.fcs cannot be used: " in refused.err
        assert "has no compensation" in refused.err
        assert refused.err.rstrip().endswith(cure)


def without_events(source: Path, target: Path) -> Path:
    """Write a tube in which nothing was acquired, and that does not name its cytometer."""
    return other_file(source, target, events=0, without=("$CYT", "$CYTSN"))


def test_an_empty_tube_is_said_to_tell_nothing(study: Path, said, tmp_path: Path) -> None:
    full = other_file(one_tube(study), tmp_path / "full.fcs", without=("$CYT", "$CYTSN"))
    empty = without_events(full, tmp_path / "empty.fcs")
    drafted = said(*DRAFT, "--tubes", str(empty), str(full), "--study", study)
    assert drafted.code == 0
    assert "measured on 1 tube," in drafted.out
    assert "it rests on 1 tube: at least 5" in drafted.out
    assert "empty.fcs tells nothing" in drafted.out
    assert "write its name under 'cytometers'" in drafted.out
    assert re.search(r"the landmark plasma_cells was not found on .* cells? of ", drafted.out)
    assert "1 tubes" not in drafted.out
    folder = study / "calibrations" / "bcell" / "five" / "1.0.0"
    page = (folder / "evidence.html").read_text(encoding="utf-8")
    assert "measured on 1 tube." in page
    assert "tells nothing: too few cells" in page
    assert "Every number was measured" not in page
    assert "1 tubes" not in page + (folder / "calibration.yaml").read_text(encoding="utf-8")


def test_a_draft_of_nothing_is_not_written(study: Path, said, tmp_path: Path) -> None:
    empty = without_events(one_tube(study), tmp_path / "empty.fcs")
    refused = said(*DRAFT, "--tubes", str(empty), "--study", study)
    assert refused.code == 2
    assert "Nothing could be measured on 1 tube: " in refused.err
    assert "empty.fcs hold" in refused.err
    assert not (study / "calibrations").exists()


def test_a_place_that_is_no_folder_is_refused(study: Path, said, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for output in (tmp_path / "taken", tmp_path / "taken" / "below"):
        refused = said(*DRAFT, "--study", study, "--output", output)
        assert refused.code == 2
        assert "taken is a file: name a folder" in refused.err
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "calibration.yaml")
    refused = said(*DRAFT, "--study", study, "--output", tmp_path / "pipe")
    assert refused.code == 2
    assert "calibration.yaml: this is a pipe, not a file" in refused.err


def test_a_folder_that_is_no_study_is_refused(said, tmp_path: Path) -> None:
    for words in (("calibrate", "verify"), ("calibrate", "list"), ("strategy", "verify")):
        refused = said(*words, "--study", tmp_path)
        assert (refused.code, refused.out) == (2, "")
        assert "is not a study: it has no study.yaml" in refused.err
    assert said("panel", "verify", "--study", tmp_path).code == 2


def test_tubes_that_cannot_be_used_are_left_out_and_said(study: Path, said) -> None:
    """A tube that failed and a control whose own detector was not recorded stop no draft."""
    opened = open_study(study)
    source = one_tube(study)
    other_file(source, study / "inbox" / "P01_D-7_fmo19.fcs", without_marker="CD19")
    with (study / "samples.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    control = next(row for row in rows if row["file"] == "P01_D-7_bcell.fcs")
    rows = [{**row, "control": ""} for row in rows]
    rows.append(control | {"file": "P01_D-7_fmo19.fcs", "control": "fmo:CD19"})
    write_rows(study, rows)
    take_in(opened)
    with opened.store() as store:
        failing = next(
            tube for tube in taken_in(store) if tube.file.inbox_path == "P02_D-7_bcell.fcs"
        )
        record_failure(store, failing.identity.tube_sha256, "its spill cannot be inverted.")
    drafted = said(*DRAFT, "--study", study, "--json").document
    assert drafted["tubes"] == [f"P0{number}_D-7_bcell.fcs" for number in (1, 3, 4)]
    notes = drafted["notes"]
    assert "P02_D-7_bcell.fcs was left out: its spill cannot be inverted" in notes
    assert any(each.startswith("P01_D-7_fmo19.fcs was left out: it does not fit") for each in notes)


def test_a_named_tube_that_does_not_fit_is_refused_with_the_way_out(
    study: Path, said, tmp_path: Path
) -> None:
    other_file(one_tube(study), tmp_path / "short.fcs", without_marker="CD19")
    refused = said(*DRAFT, "--tubes", "P0*", str(tmp_path / "short.fcs"), "--study", study)
    assert refused.code == 2
    assert "short.fcs cannot be used: it does not fit the panel bcell" in refused.err
    assert "Leave it out of --tubes." in refused.err


def test_a_tube_whose_file_is_gone_is_named(study: Path, said) -> None:
    one_tube(study).unlink()
    refused = said(*DRAFT, "--study", study)
    assert refused.code == 2
    assert "P01_D-7_bcell.fcs cannot be used: No such file or directory." in refused.err
    assert "Name the other tubes with --tubes." in refused.err


def test_what_a_strategy_cannot_tell_is_said(study: Path, said, tmp_path: Path) -> None:
    """Without landmarks gates stay where they are; without baselines CAR borders are not held."""
    full = other_file(one_tube(study), tmp_path / "full.fcs")
    words = (*DRAFT, "--strategy", "bcell@2.0.0", "--tubes", str(full), "--study", study)
    drafted = said(*words)
    assert drafted.code == 0
    assert "bcell@2.0.0 has no landmarks, so scatter gates stay where they are" in drafted.out
    assert "use a strategy that has (bcell@3.0.0)" in drafted.out
    car = other_file(one_tube(study, "cart"), tmp_path / "car.fcs")
    words = ("calibrate", "draft", "--panel", "cart", "--instrument", "five", "--study", study)
    drafted = said(*words, "--tubes", str(car))
    assert drafted.code == 0
    assert "1 of 1 tube is not known to be from before the infusion: car19, carbcma were" in (
        drafted.out
    )


def test_beads_that_no_tube_shows_are_said(study: Path, said, tmp_path: Path) -> None:
    words = ("calibrate", "draft", "--panel", "tbnk", "--instrument", "five", "--study", study)
    notes = {}
    for beads in (True, False):
        tube = other_file(one_tube(study, "tbnk"), tmp_path / "t.fcs", without_beads=not beads)
        drafted = said(*words, "--tubes", str(tube), "--output", tmp_path / "x", "--json")
        assert drafted.code == 0, drafted.err
        notes[beads] = " ".join(drafted.document["notes"])
    assert "no tube shows the cluster of the gate beads: beads were not measured" in notes[False]
    assert "cluster of the gate" not in notes[True]


def test_a_calibration_is_shown_whole(study: Path, said) -> None:
    release_calibration(
        open_study(study),
        "bcell/six@1.0.0",
        {"Spectral Six": "SN-6"},
        since=date(2026, 3, 1),
        batches=["LOT-7"],
        beads={"CD19": 200000},
        targets={"anchor CD3": {"mean": 11000, "sd": 300, "tubes": 12}},
    )
    shown = said("calibrate", "show", "bcell/six@1.0.0", "--study", study).out
    assert "Cytometer: Spectral Six SN-6" in shown
    assert "Holds for tubes collected from 2026-03-01 on and of batch LOT-7" in shown
    assert re.search(r"Beads\n  CD19 +200000", shown)
    assert re.search(r"anchor CD3 +11000 ± 300 \(SD\), 12 tubes", shown)
