"""Instruments are judged by their own tubes: one drifts, one does not, one has hardly begun."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gating.calibration.catalogue import find_calibration, place_of, read_calibration
from gating.calibration.model import Cytometer, Target
from panels.files.lock import lock_content
from panels.instrument_name import instrument_name
from panels.text.errors import CalibrationFault
from tasks.monitor import pages
from tasks.monitor.document import monitoring_document, monitoring_text
from tasks.monitor.instruments import MOST_SAID, Monitoring, monitor, title_of
from tasks.monitor.overview import KEPT, kept_overview
from tasks.monitor.pages import judge_and_write
from tasks.monitor.readings import InstrumentKey
from tasks.results.front_page import write_front_page
from tasks.sheets.instruments import read_instrument_events
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.study.settings import SHIPPED_STRATEGIES
from tasks.study.snapshot import StudySnapshot
from tests.flows.command import Said, reconflow_here
from tests.tasks.instrument_study import (
    INFUSED,
    Run,
    count_without_pictures,
    daily_gain,
    instrument_study,
)
from tests.tasks.study_folder import AT_ONCE

pytestmark = pytest.mark.xdist_group("monitor")

PATIENTS = tuple(f"P{number:02d}" for number in range(1, 7))
TUBES, REFERENCE, SHIFT = 34, 22, 1.10
EVENTS = "instrument,date,event\n"


def runs() -> list[Run]:
    """Plan the tubes of three instruments; the CD3 detector of the first gains a tenth at last."""
    rng = np.random.default_rng(15)
    planned = []
    for number in range(TUBES):
        for serial in ("R001", "R002"):
            gain = daily_gain(rng)
            if serial == "R001" and number >= REFERENCE:
                gain["FITC-A"] *= SHIFT
            patient = PATIENTS[number % len(PATIENTS)]
            day = 2.0 * number + (0.1 if serial == "R001" else 0.6)
            planned.append(Run(serial, day, patient, lot="A" if number < 12 else "B", gain=gain))
    planned += [Run("R003", number + 0.3, PATIENTS[number], named="new one") for number in range(3)]
    return planned


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("monitor") / "s"
    return instrument_study(folder, runs(), infused=dict.fromkeys(PATIENTS, INFUSED))


@pytest.fixture(autouse=True)
def no_events(study: Study) -> None:
    """Begin each test without a sheet of services."""
    study.instruments_sheet.unlink(missing_ok=True)


def judged(study: Study) -> Monitoring:
    return monitor(read_snapshot(study))


def signals(study: Study) -> dict[tuple[str, str], dict[str, Any]]:
    document = monitoring_document(judged(study))
    return {
        (instrument["serial"], signal["signal"]): signal
        for instrument in document["instruments"]
        for signal in instrument["signals"]
    }


def written(study: Study) -> dict[str, tuple[bytes, int]]:
    """Give every file below the instruments' results: its bytes, and when it was written."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted((study.results / "instruments").iterdir())
    }


def test_a_detector_that_drifts_is_said_and_no_other_one(study: Study) -> None:
    (drift,) = judged(study).drifts
    assert "CD3 of T cells (FITC-A, panel tbnk) on BD FACSLyric R001 has read" in drift.sentence
    assert drift.shift.change == pytest.approx(SHIFT - 1, abs=0.025)
    assert drift.shift.tubes == pytest.approx(TUBES - REFERENCE, abs=2)


def test_an_instrument_without_drift_breaks_no_rule_of_lasting_shifts_now(study: Study) -> None:
    steady = {name: each for (serial, name), each in signals(study).items() if serial == "R002"}
    assert steady["t_cells/CD3/median"]["judged"] == TUBES - 20
    assert not any(each["drifted"] for each in steady.values())
    for name in ("t_cells/CD3/median", "t_cells/CD45/median"):
        assert not {"2-2s", "4-1s", "10x"} & set(steady[name]["broken_now"])


def test_three_tubes_are_charted_without_limits(study: Study) -> None:
    few = {name: each for (serial, name), each in signals(study).items() if serial == "R003"}
    assert {each["readings"] for each in few.values()} == {3}
    assert all(each["target"] is None and each["last"]["z"] is None for each in few.values())
    judge_and_write(read_snapshot(study))
    page = (study.results / "instruments" / "new-one.html").read_text(encoding="utf-8")
    assert "no limits yet: 3 tubes that can set them, 10 are needed (20 for final ones)" in page
    assert "<svg" in page


def test_the_document_tells_since_when_a_rule_is_broken(study: Study) -> None:
    drifting = signals(study)["R001", "t_cells/CD3/median"]
    assert drifting["drifted"]
    assert "10x" in drifting["broken_now"]
    assert drifting["last"]["z"] > 3
    assert drifting["target"]["from"] == "the first tubes"
    lasting = {each["rule"]: each for each in drifting["breaches"] if each["lasts"]}
    assert "2026-02-10" <= lasting["10x"]["since"] <= "2026-02-19"
    assert json.loads(json.dumps(monitoring_document(judged(study)), allow_nan=False))


def test_the_text_names_instrument_signal_rules_and_page(study: Study) -> None:
    text = monitoring_text(judged(study))
    assert "BD FACSLyric R001: 34 tbnk tubes, 2026-01-05 to 2026-03-12" in text
    assert "page: instruments/BD-FACSLyric-R001.html" in text
    assert "too few tubes" in text
    assert text.rstrip().endswith("or calibrate anew.")


def test_pages_are_whole_and_written_once(study: Study) -> None:
    judge_and_write(read_snapshot(study))
    before = written(study)
    assert set(before) == {
        "BD-FACSLyric-R001.html",
        "BD-FACSLyric-R002.html",
        "new-one.html",
        KEPT,
    }
    judge_and_write(read_snapshot(study))
    assert written(study) == before
    page = before["BD-FACSLyric-R001.html"][0].decode()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    assert page.index("What has drifted") < page.index("CD3 of T cells") < page.index("<details>")


def test_pages_made_of_the_same_are_left_until_one_is_not_as_it_was_written(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_of: list[str] = []
    judge = pages.judge_and_write
    folder = study.results / "instruments"

    def noted(snapshot: StudySnapshot) -> Monitoring:
        judged_of.append("judged")
        return judge(snapshot)

    def brought(study_sha256: str) -> int:
        judged_of.clear()
        pages.bring_up_to_date(read_snapshot(study), study_sha256)
        return len(judged_of)

    monkeypatch.setattr(pages, "judge_and_write", noted)
    assert [brought(each) for each in ("a", "a", "b", "b", "", "b")] == [1, 0, 1, 0, 1, 0]
    before = (folder / "new-one.html").read_bytes()
    for name in ("new-one.html", KEPT):
        (folder / name).write_bytes(b"edited")
        assert [brought("b"), brought("b")] == [1, 0]
        (folder / name).unlink()
        assert [brought("b"), brought("b")] == [1, 0]
    assert (folder / "new-one.html").read_bytes() == before
    (study.folder / "instruments.csv").write_text(
        "instrument,date,event\nnew one,2026-01-07,laser service\n", encoding="utf-8"
    )
    assert [brought("b"), brought("b")] == [1, 0]
    for spoilt in (b"", b"[]", b"\xff"):
        (folder / pages.MADE_OF).write_bytes(spoilt)
        assert [brought("b"), brought("b")] == [1, 0]
    (study.folder / "instruments.csv").unlink()
    (folder / pages.MADE_OF).unlink()


def test_a_page_of_an_earlier_name_goes_and_other_files_stay(study: Study) -> None:
    judge_and_write(read_snapshot(study))
    folder = study.results / "instruments"
    page = (folder / "new-one.html").read_bytes()
    (folder / "old-name.html").write_bytes(page)
    (folder / "notes.html").write_text("<title>my notes</title>", encoding="utf-8")
    judge_and_write(read_snapshot(study))
    assert not (folder / "old-name.html").exists()
    (folder / "notes.html").unlink()


def test_the_front_page_says_the_drift_and_leads_to_every_instrument(study: Study) -> None:
    judge_and_write(read_snapshot(study))
    page = write_front_page(read_snapshot(study)).read_text(encoding="utf-8")
    assert "CD3 of T cells (FITC-A, panel tbnk) on BD FACSLyric R001 has read" in page
    assert page.index("Needs your hand") < page.index("has read") < page.index("<h3>Instruments")
    assert 'href="instruments/BD-FACSLyric-R002.html"' in page
    assert "3 tubes, the last of 2026-01-07: too few to judge any" in page


def test_a_spoilt_overview_costs_the_front_page_nothing(study: Study) -> None:
    judge_and_write(read_snapshot(study))
    kept = study.results / "instruments" / KEPT
    for content in (b"{", b"[]", b'{"notices": 1, "standing": {}}', b'{"notices": []}', b"\xff"):
        kept.write_bytes(content)
        assert kept_overview(study).standing == {}
        assert write_front_page(read_snapshot(study)).is_file()
    judge_and_write(read_snapshot(study))
    assert len(kept_overview(study).standing) == 3


def test_not_more_than_a_handful_is_said(study: Study) -> None:
    monitoring = judged(study)
    (drifting,) = (each for each in monitoring.instruments if each.drifts)
    many = replace(
        monitoring,
        instruments=(replace(drifting, drifts=drifting.drifts * (MOST_SAID + 2)),),
    )
    notices = many.notices()
    assert len(notices) == MOST_SAID + 1
    assert notices[-1] == "2 more signals have drifted: see the instruments' pages."


@pytest.mark.parametrize(
    ("key", "names", "title"),
    [
        (InstrumentKey("BD FACSLyric", "R659", ""), ("BD FACSLyric",), "BD FACSLyric R659"),
        (InstrumentKey("BD FACSLyric", "R659", ""), ("R659",), "BD FACSLyric R659"),
        (InstrumentKey("BD FACSLyric", "R659", ""), ("Lyric 2",), "Lyric 2 (BD FACSLyric R659)"),
        (InstrumentKey("BD FACSLyric", "R659", ""), ("Lyric 2", "Lyric 3"), "BD FACSLyric R659"),
        (InstrumentKey("FACSCanto II", "", "Diva"), ("Diva",), "Diva (FACSCanto II)"),
        (InstrumentKey("BD FACSLyric", "", "bd-facslyric"), ("bd-facslyric",), "BD FACSLyric"),
        (InstrumentKey("", "", "lyric-2"), ("lyric-2",), "lyric-2"),
        (InstrumentKey("", "", ""), (), "an instrument without a name"),
    ],
)
def test_an_instrument_is_called_as_its_files_and_the_sheet_say(
    key: InstrumentKey, names: tuple[str, ...], title: str
) -> None:
    assert title_of(key, names) == title
    if len(names) == 1:
        told = instrument_name(names[0], key.cytometer or None, key.serial or None)
        assert told == title, "tables and the tube's page call it the same"


# Services


def test_services_are_marked_and_bad_lines_are_said(study: Study) -> None:
    study.instruments_sheet.write_text(
        EVENTS
        + "R001,2026-02-17,laser replaced\n"
        + "BD FACSLyric,2026-01-20,cleaned\n"
        + "R009,2026-02-17,moved\n"
        + "R001,soon,service\n"
        + "R001,2026-02-18\n"
        + ",2026-02-18,service\n",
        encoding="utf-8",
    )
    monitoring = judge_and_write(read_snapshot(study))
    events = {each.key.serial: [e.event for e in each.events] for each in monitoring.instruments}
    assert events == {
        "R001": ["cleaned", "laser replaced"],
        "R002": ["cleaned"],
        "R003": ["cleaned"],
    }
    assert [each.partition(":")[0] for each in monitoring.problems] == [
        "instruments.csv, line 5, column date",
        "instruments.csv, line 6",
        "instruments.csv, line 7, column instrument",
        "instruments.csv, line 4, column instrument",
    ]
    assert "Correct the name; known: BD FACSLyric R001" in monitoring.problems[-1]
    page = (study.results / "instruments" / "BD-FACSLyric-R001.html").read_text(encoding="utf-8")
    assert page.count("2026-02-17 laser replaced") >= 2
    assert "(laser replaced)" in monitoring.drifts[0].sentence


@pytest.mark.parametrize(
    ("sheet", "said"),
    [
        ("instrument;date;event\n", "separated by semicolons"),
        ("instrument,day,event\n", "The column 'date' is missing"),
        ("", "The sheet is empty"),
        (EVENTS + "R1,20260101,x\n", "'20260101' is no day"),
        (EVENTS + "R1,2026-02-30,x\n", "'2026-02-30' is no day"),
        (EVENTS + "R1,1026-02-20,x\n", "'1026-02-20' is no day"),
        (EVENTS + "R1,2026-02-20,\n", "The event is missing"),
        (EVENTS + f"R1,2026-02-20,{'x' * 900}\n", "at most"),
    ],
)
def test_a_wrong_sheet_is_said_with_its_line(tmp_path: Path, sheet: str, said: str) -> None:
    path = tmp_path / "instruments.csv"
    path.write_text(sheet, encoding="utf-8")
    events, (problem,) = read_instrument_events(path)
    assert list(events) == []
    assert said in str(problem)
    assert str(problem).startswith("instruments.csv, line ")


def test_without_a_sheet_there_are_no_events(tmp_path: Path) -> None:
    assert read_instrument_events(tmp_path / "instruments.csv") == ((), ())


# Calibrations


def release(study: Study, serial: str) -> None:
    """Release the shipped numbers as the calibration of an instrument, with a target of CD3."""
    shipped = find_calibration("tbnk/simulated@1.0.0").calibration
    own = shipped.model_copy(
        update={
            "instrument": "lyric-1",
            "cytometers": (Cytometer(name="BD FACSLyric", serial=serial),),
            "targets": {"t_cells/CD3/median": Target(mean=9000, sd=200, tubes=24)},
            "relative_to": shipped.pin,
        }
    )
    place = place_of(study.own_calibrations, own.pin)
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(own.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    lock_content(study.own_calibrations, own.pin, read_calibration(place).sha256, CalibrationFault)


def test_a_calibration_gives_the_target_from_the_first_tube_on(tmp_path: Path) -> None:
    """Its tubes are counted again with it; an instrument without one keeps its first tubes."""
    rng = np.random.default_rng(17)
    planned = [
        Run(serial, number + place / 4, PATIENTS[number % 2], gain=daily_gain(rng))
        for number in range(3)
        for place, serial in enumerate(("R003", "R004"))
    ]
    study = instrument_study(
        tmp_path / "s",
        planned,
        infused=dict.fromkeys(PATIENTS, INFUSED),
        settings=f"{AT_ONCE}strategies: {{tbnk: {SHIPPED_STRATEGIES['tbnk']}}}\n",
    )
    name = "t_cells/CD3/median"
    assert signals(study)["R003", name]["target"] is None
    release(study, "R003")
    assert ("R003", name) not in signals(study)
    count_without_pictures(study)
    known = signals(study)
    assert known["R003", name]["target"] == {
        "mean": 9000,
        "sd": 200,
        "tubes": 24,
        "provisional": False,
        "from": "tbnk/lyric-1@1.0.0",
    }
    assert known["R003", name]["judged"] == 3
    assert {"1-3s", "2-2s"} <= set(known["R003", name]["broken_now"])
    assert known["R004", name]["target"] is None
    calibrations = [each.calibrations for each in judged(study).instruments]
    assert calibrations == [("tbnk/lyric-1@1.0.0",), ()]


# Lots


def test_a_new_lot_is_bridged_by_draws_stained_with_both(tmp_path: Path) -> None:
    """CD3 of the new lot stains 1.5 times as bright; a third lot stained only three draws."""
    rng = np.random.default_rng(16)
    planned = []
    for number in range(6):
        day, patient = 2.0 * number, PATIENTS[number]
        planned.append(Run("R001", day, patient, lot="A", gain=daily_gain(rng)))
        brighter = {"CD3": 1.5}
        planned.append(Run("R001", day, patient, lot="B", gain=daily_gain(rng), abundance=brighter))
        if number < 3:
            planned.append(Run("R001", day, patient, lot="C", gain=daily_gain(rng)))
    study = instrument_study(tmp_path / "s", planned, infused=dict.fromkeys(PATIENTS, INFUSED))
    (instrument,) = monitoring_document(judged(study))["instruments"]
    bridged = {(each["old_lot"], each["new_lot"]): each for each in instrument["bridging"]}
    assert set(bridged) == {("A", "B"), ("A", "C"), ("B", "C")}
    verdicts = {each["signal"]: each for each in bridged["A", "B"]["signals"]}
    assert verdicts["t_cells/CD3/median"]["verdict"] == "refused"
    assert verdicts["t_cells/CD3/median"]["ratio"] == pytest.approx(1.5, rel=0.05)
    assert verdicts["t_cells/CD45/median"]["verdict"] == "accepted"
    assert verdicts["t_cells/percent"]["verdict"] == "accepted"
    assert {each["verdict"] for each in bridged["A", "C"]["signals"]} == {"too few tubes: 3 of 5"}
    judge_and_write(read_snapshot(study))
    page = (study.results / "instruments" / "BD-FACSLyric-R001.html").read_text(encoding="utf-8")
    assert "B against A: panel tbnk, 6 draws" in page
    assert "too few tubes: 3 of 5" in page


# The command


def test_the_command_prints_one_document(study: Study, capfd: pytest.CaptureFixture[str]) -> None:
    said: Said = reconflow_here(capfd, "monitor", "--study", study.folder, "--json")
    assert said.code == 0
    assert [each["serial"] for each in said.document["instruments"]] == ["R001", "R002", "R003"]
    assert len(said.document["drifts"]) == 1
    assert said.document["tubes_without_signals"] == 0
    for instrument in said.document["instruments"]:
        assert (study.results / instrument["page"]).is_file()


def test_the_command_ends_with_two_for_a_wrong_sheet_or_no_study(
    study: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study.instruments_sheet.write_text(EVENTS + "R001,soon,x\n", encoding="utf-8")
    said = reconflow_here(capfd, "monitor", "--study", study.folder)
    assert said.code == 2
    assert "instruments.csv, line 2, column date" in said.out
    assert "34 tbnk tubes" in said.out
    assert reconflow_here(capfd, "monitor", "--study", tmp_path).code == 2


def test_a_page_that_cannot_be_written_is_said(
    study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = study.results / "instruments"
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("in the way", encoding="utf-8")
    try:
        said = reconflow_here(capfd, "monitor", "--study", study.folder)
    finally:
        folder.unlink()
        aside.rename(folder)
    assert said.code == 1
    assert "instruments" in said.err
