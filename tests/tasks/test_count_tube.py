"""One tube of the archive becomes counts in the store and pages beside it, the same every time."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from gating.strategy.instrument_numbers import InstrumentNumbers
from panels.catalogue import load_panel
from panels.files import yaml_document
from tasks.intake.take_in import take_in
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.simulate.study import TRUTH, write_study
from tasks.store.counts import tube_counts
from tasks.store.gatings import gatings_of
from tasks.store.ledger import all_files
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.study.folder import Study, open_study
from tasks.tubes.count_tube import count_tube, counting_inputs
from tasks.tubes.single_file import gate_file
from tasks.tubes.tube_pages import page_is_current, tube_folder
from tests.tasks.page_files import tube_data
from tests.tasks.study_folder import DRAWN, make_study, write_tube

pytestmark = pytest.mark.xdist_group("count tube")

SECRET = "DOE^JANE"


def only(study: Study) -> str:
    """Take in the one tube of a study; gives its hash."""
    take_in(study)
    with study.store() as store:
        (tube,) = taken_in(store)
    return tube.identity.tube_sha256


def state(study: Study) -> tuple[str, str]:
    with study.store() as store:
        (record,) = all_files(store)
    return record.state, record.reason


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, str]:
    """Count one simulated baseline tube, with its truth beside it."""
    folder = write_study(
        tmp_path_factory.mktemp("study") / "s", patients=1, visits=2, events=0.2, workers=1
    ).folder
    for path in (folder / "inbox").iterdir():
        if path.name != "P01_D-7_bcell.fcs":
            path.unlink()
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("intake: {settle_seconds: 0}\n")
    study = open_study(folder)
    sha = only(study)
    assert count_tube(counting_inputs(read_snapshot(study)), sha).counted
    return study, sha


def test_counts_in_the_store_agree_with_what_was_simulated(simulated: tuple[Study, str]) -> None:
    study, sha = simulated
    truth = {
        row["population"]: row
        for row in rows(study.folder / TRUTH / "populations.csv")
        if row["file"] == "P01_D-7_bcell.fcs"
    }
    with study.store() as store:
        (gating,) = gatings_of(store, sha)
    counted = {count.population: count for count in gating.counts}
    for name in ("leukocytes", "lymphocytes"):
        assert counted[name].events == pytest.approx(int(truth[name]["intact_events"]), rel=0.1)
    assert counted["b_cells"].events == pytest.approx(
        int(truth["b_cells"]["intact_events"]), rel=0.15
    )
    for count in gating.counts:
        assert 0 <= count.events <= count.parent_events <= gating.total_events
        assert count.events <= count.reference_events
    assert state(study) == ("counted", "")


def test_the_realised_gates_give_the_very_counts_again_as_gatingml(
    simulated: tuple[Study, str],
) -> None:
    """What lies beside the counts is enough to check them with another program."""
    study, sha = simulated
    folder = tube_folder(study, sha)
    with study.store() as store:
        (tube,) = taken_in(store)
    again = {
        path[-1]: count
        for path, count in gate_file(
            study.path_of(tube.file.place or ""), gatingml=folder / "gates.xml"
        ).gates
    }
    gate_of = {
        population.id: population.gate
        for population in strategies_in_use(study)["bcell"].release.strategy.populations
    }
    found = {row["population"]: int(row["events"]) for row in rows(folder / "counts.csv")}
    assert found == {population: again[gate_of[population]] for population in found}


def test_the_files_beside_a_tube_agree_with_the_store_and_name_every_gate(
    simulated: tuple[Study, str],
) -> None:
    study, sha = simulated
    folder, used = tube_folder(study, sha), strategies_in_use(study)["bcell"]
    with study.store() as store:
        (gating,) = gatings_of(store, sha)
    written = [(row["population"], int(row["events"])) for row in rows(folder / "counts.csv")]
    assert written == [(count.population, count.events) for count in gating.counts]
    page = tube_data(folder)
    names = [name for gate in used.release.strategy.gates for name in gate.names]
    assert [gate["name"] for gate in page["gates"]] == names
    assert page["head"]["strategy_sha256"] == used.release.sha256
    shown = {gate["population"]: gate for gate in page["gates"] if gate["population"]}
    assert {name: gate["events"] for name, gate in shown.items()} == dict(written)
    assert all(shown[each.population]["flags"] == [*each.flags] for each in gating.counts)
    thresholds = rows(folder / "thresholds.csv")
    assert {row["threshold"] for row in thresholds} == set(used.release.strategy.thresholds)
    assert all(
        row["source"] and row["evidence"] and row["marker"] and row["detector"]
        for row in thresholds
    )
    qc = json.loads((folder / "qc.json").read_text(encoding="utf-8"))
    assert qc["events"] == gating.total_events
    assert set(qc["percent_of_parent"]) == set(names)
    with study.store() as store:
        (counted,) = tube_counts(store, {"bcell": used.name})
    assert qc["detectors"]["CD19"]["detector"] == counted.detectors["CD19"].name
    assert 300 <= qc["detectors"]["CD19"]["voltage"] == counted.detectors["CD19"].voltage < 600
    assert "CD19" not in qc["margins"]
    assert {path.name for path in folder.iterdir()} == {
        *(".shown.json", "gates.xml", "thresholds.csv", "counts.csv"),
        *("qc.json", "gating.html", "gating.js"),
    }


def test_counting_again_writes_the_same_bytes_and_keeps_one_count(
    simulated: tuple[Study, str],
) -> None:
    study, sha = simulated
    before = files(tube_folder(study, sha))
    for path in tube_folder(study, sha).iterdir():
        path.unlink()
    assert count_tube(counting_inputs(read_snapshot(study)), sha).counted
    assert files(tube_folder(study, sha)) == before
    with study.store() as store:
        assert len(gatings_of(store, sha)) == 1


def test_no_strategy_panel_or_setting_is_read_again_for_a_tube(
    simulated: tuple[Study, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, sha = simulated
    inputs = counting_inputs(read_snapshot(study))
    asked: list[object] = []
    parse = yaml_document.parse_yaml
    monkeypatch.setattr(
        yaml_document,
        "parse_yaml",
        lambda *given, **more: asked.append(given) or parse(*given, **more),
    )
    assert count_tube(inputs, sha).counted
    assert asked == []
    read_snapshot(study)
    assert asked


def test_a_page_is_current_for_the_identity_it_shows_and_no_other(
    simulated: tuple[Study, str],
) -> None:
    from dataclasses import replace

    study, _ = simulated
    with study.store() as store:
        (tube,) = taken_in(store)
    used = strategies_in_use(study)["bcell"]
    identity, numbers = tube.identity, used.for_tube(tube)
    assert page_is_current(study, tube, used)
    for other in (
        replace(identity, patient="P02"),
        replace(identity, tube_sha256="0" * 64),
        replace(identity, operator="another"),
        replace(identity, file="renamed.fcs"),
    ):
        assert not page_is_current(study, replace(tube, identity=other), used)
    assert not page_is_current(study, replace(tube, cytometer="another"), used)
    renamed = used.release.strategy.model_copy(update={"version": "9.9.9"})
    others = [replace(numbers, sha256="0" * 64), replace(numbers, fault="there is none")]
    for change in (
        {"release": replace(used.release, strategy=renamed)},
        {"defined": replace(used.defined, sha256="0" * 64)},
        *({"numbers": InstrumentNumbers(default=other)} for other in others),
    ):
        counts_it = replace(used, **change)
        assert not page_is_current(study, tube, counts_it)


def test_nothing_a_cytometer_wrote_of_a_person_reaches_any_result(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},bcell"])
    named_tube(study.inbox / "a.fcs")
    sha = only(study)
    assert count_tube(counting_inputs(read_snapshot(study)), sha).counted
    kept = [path for path in study.results.rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert [path.name for path in kept if SECRET.encode() in path.read_bytes()] == []
    assert SECRET.encode() not in (study.folder / "reconflow.db").read_bytes()


def named_tube(path: Path) -> None:
    """Write a tube into whose keywords the cytometer put a name."""
    stains = load_panel("bcell").markers
    channels = [FcsChannel(name) for name in ("FSC-A", "FSC-H", "SSC-A")] + [
        FcsChannel(s.detector, s.marker) for s in stains
    ]
    events = np.random.default_rng(3).uniform(0, 1000, (60, len(channels))).astype(np.float32)
    matrix = np.eye(len(stains)) + 0.01 * (1 - np.eye(len(stains)))
    keywords = {
        "$CYT": "BD FACSLyric",
        "$SRC": SECRET,
        "PATIENT ID": SECRET,
        "$FIL": f"{SECRET}.fcs",
        "$COM": SECRET,
        "SAMPLE ID": SECRET,
    }
    write_fcs(
        path,
        events,
        channels,
        dialect="fcs3.1-le",
        spill=FcsSpill(tuple(s.detector for s in stains), matrix),
        keywords=keywords,
    )


def test_a_tube_damaged_since_it_was_taken_in_fails_with_its_reason(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},bcell"])
    write_tube(study.inbox / "a.fcs")
    sha = only(study)
    with study.store() as store:
        (tube,) = taken_in(store)
    archived = study.path_of(tube.file.place or "")
    archived.write_bytes(archived.read_bytes()[:3000])
    outcome = count_tube(counting_inputs(read_snapshot(study)), sha)
    assert not outcome.counted
    assert state(study) == ("failed", outcome.reason)
    assert f"{sha[:12]}.fcs holds other bytes than were taken in as a.fcs" in outcome.reason
    with study.store() as store:
        assert gatings_of(store, sha) == []
    assert not tube_folder(study, sha).exists()


def test_an_archive_out_of_reach_is_raised_so_that_it_is_tried_again(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},bcell"])
    write_tube(study.inbox / "a.fcs")
    sha = only(study)
    study.archive.rename(tmp_path / "unplugged")
    with pytest.raises(OSError, match=f"{sha[:12]}.fcs"):
        count_tube(counting_inputs(read_snapshot(study)), sha)
    assert state(study)[0] == "accepted"
    (tmp_path / "unplugged").rename(study.archive)
    assert count_tube(counting_inputs(read_snapshot(study)), sha).counted


def test_a_tube_without_a_single_event_is_counted_as_not_evaluable_or_refused_never_as_a_result(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},bcell"])
    stains = load_panel("bcell").markers
    channels = [FcsChannel(name) for name in ("FSC-A", "FSC-H", "SSC-A")] + [
        FcsChannel(s.detector, s.marker) for s in stains
    ]
    matrix = np.eye(len(stains)) + 0.01 * (1 - np.eye(len(stains)))
    spill = FcsSpill(tuple(s.detector for s in stains), matrix)
    write_fcs(
        study.inbox / "a.fcs",
        np.zeros((0, len(channels)), np.float32),
        channels,
        dialect="fcs3.1-le",
        spill=spill,
        keywords={},
    )
    take_in(study)
    found, reason = state(study)
    if found == "quarantined":
        assert "events" in reason
        return
    with study.store() as store:
        (tube,) = taken_in(store)
    assert count_tube(counting_inputs(read_snapshot(study)), tube.identity.tube_sha256).counted
    assert all(
        row["events"] == "0"
        for row in rows(tube_folder(study, tube.identity.tube_sha256) / "counts.csv")
    )


FORMULA = "=cmd|' /C calc'!A0"


def test_a_channel_called_as_a_formula_is_written_as_text(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", [f"a.fcs,P01,{DRAWN},tbnk"])
    panel = load_panel("tbnk")
    stains = [(FORMULA if s.marker == "CD45" else s.detector, s.marker) for s in panel.markers]
    channels = [FcsChannel(name) for name in ("FSC-A", "FSC-H", "SSC-A")] + [
        FcsChannel(*stain) for stain in stains
    ]
    events = np.random.default_rng(1).uniform(0, 1000, (60, len(channels))).astype(np.float32)
    spill = FcsSpill(
        tuple(detector for detector, _ in stains),
        np.eye(len(stains)) + 0.01 * (1 - np.eye(len(stains))),
    )
    write_fcs(
        study.inbox / "a.fcs",
        events,
        channels,
        dialect="fcs3.1-le",
        spill=spill,
        keywords={"$CYT": "x"},
    )
    sha = only(study)
    assert count_tube(counting_inputs(read_snapshot(study)), sha).counted
    read = rows(tube_folder(study, sha) / "thresholds.csv")
    assert {row["detector"] for row in read if row["marker"] == "CD45"} == {f"'{FORMULA}"}
    assert all(float(row["value"]) for row in read)
    cells = [cell for row in read for cell in row.values()]
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in cells)
