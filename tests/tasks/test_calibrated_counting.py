"""A study with two instruments: each tube is counted with the numbers of its own."""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

import pytest
from sqlalchemy import text

from gating.evaluation.engine import ENGINE_VERSION
from gating.strategy.catalogue import load_strategy
from panels.simulation.conditions import Conditions
from panels.text.errors import CalibrationFault
from tasks.intake.cytometers import ask_for_cytometers
from tasks.intake.take_in import take_in
from tasks.overview.uncalibrated import (
    UncalibratedTubes,
    find_uncalibrated,
    uncalibrated_sentence,
)
from tasks.results.cohort_tables import build_cohort
from tasks.results.patient_tables import counted_tubes
from tasks.simulate.tube import SERIAL, TubePlan, write_tube
from tasks.steps.pass_under_way import Pass
from tasks.store.gatings import gatings_of
from tasks.store.measurements import measured
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.study.folder import Study
from tasks.tubes.reference_tubes import reference_index
from tasks.tubes.tube_pages import tube_folder
from tests.tasks.calibrations import as_of_instrument, release_calibration, release_strategy
from tests.tasks.page_files import tube_data
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import AT_ONCE, make_study, write_rows

pytestmark = pytest.mark.xdist_group("calibrated")

HEADER = "file,patient,collected,panel,visit,batch,control,instrument\n"
ROWS = (
    "one_before.fcs,P01,2026-01-03T08:00,bcell,D-7,B7,,",
    "one.fcs,P01,2026-02-07T08:00,bcell,D28,B7,,",
    "two_before.fcs,P02,2026-01-13T08:00,bcell,D-7,B7,,",
    "two.fcs,P02,2026-02-17T08:00,bcell,D28,B7,,",
)
SERIALS = {"one": "R1000001", "two": "R1000002"}
GAINS = {"one": 1.0, "two": 2.5}
CELLS = {
    "granulocyte": 3000.0,
    "monocyte": 500.0,
    "t_cd4_cm": 1000.0,
    "t_cd8_em": 800.0,
    "nk": 500.0,
    "naive_mature_b": 400.0,
    "switched_memory_b": 250.0,
}
FLAG = "uncalibrated"
STRATEGY = "bcell@2.0.9"


@pytest.fixture(scope="module")
def tubes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate the tubes, each pair of them as two instruments would write the same blood."""
    folder = tmp_path_factory.mktemp("tubes")
    (folder / "events").mkdir()
    for visit in ("", "_before"):
        plan = TubePlan(
            f"blood{visit}.fcs",
            "bcell",
            "BD FACSLyric",
            datetime(2026, 2, 7, tzinfo=UTC),
            CELLS,
            Conditions(),
            (3, visit, "", ""),
        )
        write_tube(plan, folder, folder)
        for name, serial in SERIALS.items():
            target = folder / f"{name}{visit}.fcs"
            as_of_instrument(folder / plan.file, target, "BD FACSLyric", serial, GAINS[name])
    return folder


def make(folder: Path, tubes: Path, rows: Sequence[str] = ROWS) -> Study:
    """Make a study whose strategy holds the numbers of an instrument that acquired no tube."""
    settings = f"{AT_ONCE}strategies: {{bcell: {STRATEGY}}}\n"
    study = make_study(folder / "s", rows, settings=settings, header=HEADER)
    assert release_strategy(study, ["Aurora"]) == STRATEGY
    for row in rows:
        name = row.split(",")[0]
        (study.inbox / name).write_bytes((tubes / name).read_bytes())
    return study


def release(study: Study, name: str, version: str = "1.0.0", **more) -> str:
    cytometers = {"BD FACSLyric": SERIALS[name]}
    gain = more.pop("gain", GAINS[name])
    pin = f"bcell/{name}@{version}"
    return release_calibration(study, pin, cytometers, gain=gain, strategy=STRATEGY, **more)


def files_of(study: Study, shas: Sequence[str]) -> list[str]:
    with study.store() as store:
        name = {tube.identity.tube_sha256: tube.identity.file for tube in taken_in(store)}
    return sorted(name[sha] for sha in shas)


def counted_in(this: Pass) -> list[str]:
    return files_of(this.study, [outcome.tube_sha256 for outcome in this.counted])


def numbers(study: Study) -> dict[str, dict[str, int]]:
    """Give the events of every population by file."""
    return {
        tube.identity.file: {name: count.events for name, count in tube.counts.items()}
        for tube in counted_tubes(read_snapshot(study))
    }


def flagged(study: Study) -> dict[str, set[str]]:
    """Name by file the populations that are flagged as uncalibrated."""
    return {
        tube.identity.file: {name for name, each in tube.counts.items() if FLAG in each.flags}
        for tube in counted_tubes(read_snapshot(study))
    }


def without_calibration(study: Study) -> Sequence[UncalibratedTubes]:
    return find_uncalibrated(read_snapshot(study)).tubes


def folder_of(study: Study, name: str) -> Path:
    with study.store() as store:
        (tube,) = (each for each in taken_in(store) if each.identity.file == name)
    return tube_folder(study, tube.identity.tube_sha256)


@pytest.fixture(scope="module")
def both(tubes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, dict[str, str]]:
    """Count the tubes of both instruments, each with a released calibration."""
    study = make(tmp_path_factory.mktemp("both"), tubes)
    hashes = {name: release(study, name) for name in SERIALS}
    build_cohort(plain_night(study).snapshot)
    return study, hashes


def test_the_same_blood_on_two_instruments_gives_the_same_cells(both) -> None:
    study, hashes = both
    found = numbers(study)
    for population in ("b_cells", "naive_b", "switched_memory_b", "lymphocytes"):
        one, two = (found[f"{name}.fcs"][population] for name in SERIALS)
        assert one > 100
        assert two == pytest.approx(one, rel=0.02)
    assert not any(flagged(study).values())
    for name, sha256 in hashes.items():
        qc = json.loads((folder_of(study, f"{name}.fcs") / "qc.json").read_text("utf-8"))
        assert (qc["calibration"], qc["calibration_sha256"]) == (f"bcell/{name}@1.0.0", sha256)
        assert (qc["calibration_fault"], qc["unmeasured_thresholds"]) == ("", [])
        assert qc["stains"]["cd19"]["ratio"] == pytest.approx(1, abs=0.1), "by its own place"
        page = tube_data(folder_of(study, f"{name}.fcs"))
        assert page["head"]["calibration"] == f"bcell/{name}@1.0.0"
        assert page["head"]["calibration_sha256"] == sha256
        assert page["head"]["uncalibrated"] == ""
        assert not any(FLAG in gate["flags"] for gate in page["gates"])


def test_the_tables_name_the_calibration_and_its_content(both) -> None:
    study, hashes = both
    for name, patient in {"one": "P01", "two": "P02"}.items():
        folder = study.results / "patients" / patient
        with (folder / "kinetics.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        made_with = {(row["calibration"], row["calibration_sha256"]) for row in rows}
        assert made_with == {(f"bcell/{name}@1.0.0", hashes[name])}
        report = (folder / "report.html").read_text(encoding="utf-8")
        assert f"bcell/{name}@1.0.0" in report
        assert hashes[name][:12] in report


def test_references_of_another_instrument_are_not_asked(both) -> None:
    study, hashes = both
    with study.store() as store:
        index = reference_index(read_snapshot(study), store)
    of = {tube.file: tube for tube in index.tubes}
    for name, sha256 in hashes.items():
        asked = index.references_for(of[f"{name}.fcs"], STRATEGY, sha256)
        assert asked.tubes == {of[f"{name}_before.fcs"].tube_sha256}
    nobody = index.references_for(of["two.fcs"], STRATEGY, "")
    assert nobody.tubes == frozenset()


def test_a_new_calibration_counts_exactly_the_tubes_of_its_instrument_anew(
    tubes: Path, tmp_path: Path
) -> None:
    study = make(tmp_path, tubes)
    first = release(study, "one")
    assert counted_in(plain_night(study)) == sorted(row.split(",")[0] for row in ROWS)
    before = numbers(study)
    assert before["two.fcs"] != before["one.fcs"]
    populations = set(strategies_in_use(study)["bcell"].populations)
    of_two = {"two.fcs": populations, "two_before.fcs": populations}
    assert flagged(study) == {"one.fcs": set(), "one_before.fcs": set()} | of_two
    second = release(study, "two")
    assert files_of(study, Pass(read_snapshot(study)).references()) == ["two_before.fcs"]
    assert counted_in(plain_night(study)) == ["two.fcs", "two_before.fcs"]
    after = numbers(study)
    assert {name: after[name] for name in ("one.fcs", "one_before.fcs")} == {
        name: before[name] for name in ("one.fcs", "one_before.fcs")
    }
    assert after["two.fcs"]["b_cells"] == pytest.approx(after["one.fcs"]["b_cells"], rel=0.02)
    assert not any(flagged(study).values())
    with study.store() as store:
        of = {tube.identity.file: tube.identity.tube_sha256 for tube in taken_in(store)}
        made = [gating.calibration_sha256 for gating in gatings_of(store, of["two.fcs"])]
        readings = {
            each[2] for each in measured(store, ENGINE_VERSION) if each[0] == of["two_before.fcs"]
        }
    assert made == ["", second]
    assert readings == {"", second}
    assert first not in made
    assert counted_in(plain_night(study)) == []


def test_a_later_version_of_a_calibration_counts_its_tubes_from_its_day_on(
    tubes: Path, tmp_path: Path
) -> None:
    study = make(tmp_path, tubes, ROWS[:2])
    release(study, "one")
    plain_night(study)
    release(study, "one", "1.1.0", gain=1.2, since="2026-02-01")
    assert counted_in(plain_night(study)) == ["one.fcs"]
    pins = {tube.identity.file: tube.calibration for tube in counted_tubes(read_snapshot(study))}
    assert pins == {"one.fcs": "bcell/one@1.1.0", "one_before.fcs": "bcell/one@1.0.0"}


def test_a_corrected_sheet_gives_a_tube_the_calibration_it_names(
    tubes: Path, tmp_path: Path
) -> None:
    study = make(tmp_path, tubes, ROWS[3:])
    release_calibration(study, "bcell/two@1.0.0", {}, gain=2.5, strategy=STRATEGY)
    plain_night(study)
    assert set(flagged(study)) == {"two.fcs"}
    assert all(flagged(study).values())
    write_rows(study.folder, [f"{row}two" for row in ROWS[3:]], header=HEADER)
    assert counted_in(plain_night(study)) == ["two.fcs"]
    assert not any(flagged(study).values())
    write_rows(study.folder, [f"{row}canto" for row in ROWS[3:]], header=HEADER)
    plain_night(study)
    assert all(flagged(study).values())


def test_a_sheet_that_contradicts_the_file_is_said_with_both_witnesses(
    tubes: Path, tmp_path: Path
) -> None:
    study = make(tmp_path, tubes, [f"{ROWS[3]}one"])
    release(study, "one")
    release(study, "two")
    plain_night(study)
    (group,) = without_calibration(study)
    assert (group.panel, group.instrument, group.tubes) == (
        "bcell",
        "one (BD FACSLyric R1000002)",
        1,
    )
    assert "the sheet says one" in group.reason
    assert "the file is of BD FACSLyric R1000002" in uncalibrated_sentence([group])
    qc = json.loads((folder_of(study, "two.fcs") / "qc.json").read_text("utf-8"))
    assert qc["calibration_fault"] == group.reason
    page = tube_data(folder_of(study, "two.fcs"))
    assert "The sheet says one" in page["head"]["uncalibrated"]


def test_an_unmeasured_threshold_flags_the_populations_that_hang_on_it_and_no_other(
    tubes: Path, tmp_path: Path
) -> None:
    study = make(tmp_path, tubes, ROWS[:2])
    release(study, "one", without=["cd27"])
    plain_night(study)
    strategy = load_strategy("bcell@2.0.0").strategy  # STRATEGY is its copy
    parent_of, gates = strategy.parent_of(), {n: g for g in strategy.gates for n in g.names}

    def hangs(gate: str) -> bool:
        """Follow a gate up to the root, and into the gates that it combines."""
        if gate not in gates:
            return False
        of = gates[gate]
        return "cd27" in of.thresholds or any(map(hangs, (parent_of[gate], *of.combined)))

    expected = {each.id for each in strategy.populations if hangs(each.gate)}
    assert "unswitched_memory_b" in expected
    assert "b_cells" not in expected
    assert flagged(study) == {"one.fcs": expected, "one_before.fcs": expected}
    assert without_calibration(study) == []
    (notice,) = find_uncalibrated(read_snapshot(study)).unmeasured
    assert notice.startswith(
        "2 tubes: bcell/one@1.0.0 could not measure cd27: the counts of naive_b"
    )
    page = tube_data(folder_of(study, "one.fcs"))
    assert "could not measure cd27" in page["head"]["uncalibrated"]
    marked = {gate["population"] for gate in page["gates"] if FLAG in gate["flags"]}
    assert marked == expected


def test_a_tube_of_an_earlier_program_is_asked_for_its_cytometer(
    tubes: Path, tmp_path: Path
) -> None:
    study = make(tmp_path, tubes, ROWS[2:])
    take_in(study)
    with study.store() as store:
        known = {tube.identity.file: tube for tube in taken_in(store)}
        forget(study)
        assert {tube.cytometer for tube in taken_in(store)} == {None}
        away = study.path_of(known["two.fcs"].file.place or "")
        away.rename(away.with_suffix(".away"))
        ask_for_cytometers(study, store)
        named = {tube.identity.file: (tube.cytometer, tube.serial) for tube in taken_in(store)}
        assert named == {"two_before.fcs": ("BD FACSLyric", "R1000002"), "two.fcs": (None, None)}
        away.with_suffix(".away").rename(away)
        ask_for_cytometers(study, store)
        assert {tube.identity.file: tube for tube in taken_in(store)} == known


def forget(study: Study) -> None:
    """Leave the tubes as the migration of a version-5 store does."""
    from tasks.store.digests import row_digest
    from tasks.store.schema.files import tubes as table

    columns = [each.name for each in table.c if each.name != "digest"]
    with study.store() as store, store.writing() as connection:
        connection.execute(text("UPDATE tubes SET cytometer = NULL, serial = NULL"))
        for row in connection.execute(table.select()).mappings().all():
            digest = row_digest(row[name] for name in columns)
            this = table.c.tube_sha256 == row["tube_sha256"]
            connection.execute(table.update().where(this).values(digest=digest))


def test_a_calibration_that_was_changed_after_its_release_counts_nothing(
    tubes: Path, tmp_path: Path
) -> None:
    study = make(tmp_path, tubes, ROWS[:1])
    release(study, "one")
    path = study.own_calibrations / "bcell" / "one" / "1.0.0" / "calibration.yaml"
    path.write_text(path.read_text("utf-8").replace("gain 1", "gain 2"), encoding="utf-8")
    with pytest.raises(CalibrationFault, match="was changed after its release"):
        read_snapshot(study)


def test_a_study_without_calibrations_counts_as_before(tubes: Path, tmp_path: Path) -> None:
    rows = [row.replace("one", "blood", 1) for row in ROWS[:2]]
    settings = f"{AT_ONCE}strategies: {{bcell: bcell@2.0.0}}\n"
    study = make_study(tmp_path / "s", rows, settings=settings, header=HEADER)
    for name in ("blood_before.fcs", "blood.fcs"):
        (study.inbox / name).write_bytes((tubes / name).read_bytes())
    plain_night(study)
    found = {tube.identity.file: tube for tube in counted_tubes(read_snapshot(study))}
    assert {each.calibration_sha256 for each in found.values()} == {""}
    assert not any(flagged(study).values())
    with study.store() as store:
        assert {tube.serial for tube in taken_in(store)} == {SERIAL}
    shown = json.loads((folder_of(study, "blood.fcs") / ".shown.json").read_text("utf-8"))
    assert (shown["calibration_sha256"], shown["calibration_fault"]) == ("", "")
    rmtree(study.results)
    assert len(counted_in(plain_night(study))) == 2
