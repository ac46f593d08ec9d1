"""Controls, FMO controls and baseline tubes have a say in other tubes' thresholds, whatever the
order in which they come."""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from gating.evaluation.engine import ENGINE_VERSION
from panels.catalogue import load_panel
from panels.simulation.conditions import Conditions
from tasks.counting.counts import TubeCounts
from tasks.intake.take_in import take_in
from tasks.results.stored_tables import patient_folder
from tasks.simulate.tube import TubePlan, write_tube
from tasks.steps.pass_under_way import Pass
from tasks.store.counts import tube_counts
from tasks.store.gatings import gatings_of
from tasks.store.measurements import measured
from tasks.store.schema.results import thresholds
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.study.folder import Study
from tasks.tubes.count_tube import measure_reference
from tasks.tubes.reference_tubes import reference_index, reference_sets
from tasks.tubes.tube_pages import tube_folder
from tests.tasks.page_files import tube_data
from tests.tasks.plain_pass import count_all
from tests.tasks.study_folder import make_study

pytestmark = pytest.mark.xdist_group("references")

HEADER = "file,patient,collected,panel,visit,batch,control\n"
ROWS = (
    "base.fcs,P01,2026-01-03T08:00,bcell,D-7,,",
    "late.fcs,P01,2026-02-07T08:00,bcell,D28,B7,",
    "batch.fcs,P02,2026-02-07T07:00,bcell,D18,B7,batch",
    "fmo.fcs,P01,2026-02-07T08:00,bcell,D28,B7,fmo:CD19",
)
CELLS = {
    "granulocyte": 9000.0,
    "monocyte": 1500.0,
    "t_cd4_cm": 3000.0,
    "t_cd8_em": 2500.0,
    "nk": 1500.0,
}
B_CELLS = {"naive_mature_b": 600.0, "switched_memory_b": 300.0, "unswitched_memory_b": 250.0}
DRIFT = Conditions(gain={stain.detector: 1.35 for stain in load_panel("bcell").markers})


def drop(study: Study, *names: str) -> None:
    """Drop simulated tubes into the inbox: the late one without B cells and with all detectors at
    1.35 times their gain."""
    truth = study.folder / "truth"
    (truth / "events").mkdir(parents=True, exist_ok=True)
    for name in names:
        cells = CELLS if name == "late.fcs" else CELLS | B_CELLS
        conditions = DRIFT if name != "base.fcs" else Conditions()
        write_tube(
            TubePlan(
                name,
                "bcell",
                "BD FACSLyric",
                datetime(2026, 2, 7, tzinfo=UTC),
                cells,
                conditions,
                (3, name, "", ""),
            ),
            study.inbox,
            truth,
        )


def one_night(study: Study) -> list[str]:
    """Do what a night does until the counts stand; gives the names of the tubes that were
    counted."""
    take_in(study)
    this = Pass(read_snapshot(study))
    count_all(this)
    assert all(outcome.counted for outcome in this.counted)
    return sorted(name_of(study)[outcome.tube_sha256] for outcome in this.counted)


def name_of(study: Study) -> dict[str, str]:
    with study.store() as store:
        return {
            tube.tube_sha256: tube.file
            for tube in reference_index(read_snapshot(study), store).tubes
        }


def sources(study: Study, name: str) -> dict[str, tuple[str, float]]:
    """Give the source and the value of every threshold in a tube's own table."""
    sha = next(sha for sha, file in name_of(study).items() if file == name)
    with (tube_folder(study, sha) / "thresholds.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["threshold"]: (row["source"], float(row["value"])) for row in csv.DictReader(file)
        }


def counts(study: Study) -> dict[str, TubeCounts]:
    used = strategies_in_use(study)
    with study.store() as store:
        found = tube_counts(
            store,
            {panel: each.name for panel, each in used.items()},
            reference_sets=reference_sets(read_snapshot(study), store),
        )
    return {tube.identity.file: tube for tube in found}


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Count all four tubes in one night."""
    study = make_study(tmp_path_factory.mktemp("one") / "s", ROWS, header=HEADER)
    drop(study, "base.fcs", "late.fcs", "batch.fcs", "fmo.fcs")
    assert one_night(study) == ["base.fcs", "batch.fcs", "late.fcs"]
    return study


def test_a_drifted_tube_asks_the_control_of_its_batch(at_once: Study) -> None:
    late, base = sources(at_once, "late.fcs"), sources(at_once, "base.fcs")
    assert {source for source, _ in base.values()} == {"fixed"}
    assert late["cd19"][0] == "control"
    assert late["cd24_tr"][0] == "gain"
    assert late["cd19"][1] > base["cd19"][1]


def test_what_was_tried_is_in_the_store_and_on_the_page(at_once: Study) -> None:
    sha = next(sha for sha, file in name_of(at_once).items() if file == "late.fcs")
    with at_once.store() as store, store.reading() as connection:
        rows = connection.execute(
            select(thresholds).where(
                thresholds.c.tube_sha256 == sha, thresholds.c.threshold == "cd19"
            )
        ).all()
    (row,) = rows
    tried = json.loads(row.tried)
    assert [each["source"] for each in tried] == ["fixed", "control"]
    assert tried[0]["fault"]
    assert not tried[1]["fault"]
    assert row.evidence != ""
    page = tube_data(tube_folder(at_once, sha))
    cd19 = next(each for each in page["thresholds"] if each["name"] == "cd19")
    assert [each[0] for each in cd19["tried"]] == ["fixed", "control"]
    assert cd19["tried"][0][2] == tried[0]["fault"]
    assert cd19["value"][0] > cd19["declared"][0]
    b_cells = next(gate for gate in page["gates"] if gate["name"] == "b_cells")
    assert "threshold_moved" in b_cells["flags"]
    assert b_cells["declared"]
    assert b_cells["declared"] != b_cells["outlines"]


def test_counts_of_a_moved_boundary_are_flagged_and_others_are_not(at_once: Study) -> None:
    found = counts(at_once)
    assert "threshold_moved" in found["late.fcs"].counts["b_cells"].flags
    assert found["base.fcs"].counts["b_cells"].flags == ()
    assert found["late.fcs"].counts["b_cells"].negatives[1] > 4000
    assert found["late.fcs"].counts["b_cells"].events < 20


@pytest.mark.parametrize(
    "order",
    [
        ("late.fcs", "base.fcs", "batch.fcs", "fmo.fcs"),
        ("fmo.fcs", "late.fcs", "batch.fcs", "base.fcs"),
    ],
)
def test_the_same_ledger_gives_the_same_counts_whatever_came_first(
    at_once: Study, tmp_path: Path, order: Sequence[str]
) -> None:
    study = make_study(tmp_path / "s", ROWS, header=HEADER)
    for name in order:
        drop(study, name)
        one_night(study)
    assert counts(study) == counts(at_once)
    assert sources(study, "late.fcs") == sources(at_once, "late.fcs")
    assert one_night(study) == []


def test_a_late_control_supersedes_a_count_and_overwrites_none(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", ROWS, header=HEADER)
    drop(study, "late.fcs")
    one_night(study)
    assert sources(study, "late.fcs")["cd19"][0] == "negative"
    drop(study, "batch.fcs")
    assert one_night(study) == ["batch.fcs", "late.fcs"]
    sha = next(sha for sha, file in name_of(study).items() if file == "late.fcs")
    with study.store() as store:
        kept = gatings_of(store, sha)
        assert (sha, *used(study)) not in measured(store, ENGINE_VERSION)
    assert len({gating.reference_set_sha256 for gating in kept}) == 2
    assert counts(study)["late.fcs"].counts["b_cells"].events == kept[-1].counts[2].events


def used(study: Study) -> tuple[str, str]:
    """Give the strategy of B-cell tubes, and the hash of the calibration it is drawn on."""
    strategy = read_snapshot(study).strategies["bcell"]
    return strategy.name, strategy.numbers.default.sha256


def test_who_may_ask_whom(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        "earlier.fcs,P02,2026-01-02T08:00,bcell,D-18,,",
        "apart.fcs,P02,2026-02-17T08:00,bcell,D28,B8,",
        "other.fcs,P02,2026-02-18T08:00,cart,D29,B7,",
    ]
    study = make_study(tmp_path / "s", rows, header=HEADER)
    drop(study, *(row.split(",")[0] for row in rows if ",bcell," in row))
    take_in(study)
    with study.store() as store:
        before = reference_index(read_snapshot(study), store)
        of = {tube.file: tube for tube in before.tubes}
        assert before.references_for(of["late.fcs"], *used(study)).tubes == frozenset()
        for sha in Pass(read_snapshot(study)).references():
            measure_reference(read_snapshot(study), sha)
        after = reference_index(read_snapshot(study), store)
    sha = {file: tube.tube_sha256 for file, tube in of.items()}
    late = after.references_for(of["late.fcs"], *used(study))
    assert late.controls == (sha["batch.fcs"],)
    assert late.fmo == (("CD19", sha["fmo.fcs"]),)
    assert late.baseline == sha["base.fcs"]
    assert late.earlier == (sha["earlier.fcs"], sha["base.fcs"], sha["batch.fcs"])
    base = after.references_for(of["base.fcs"], *used(study))
    assert (base.baseline, base.controls, base.earlier) == (None, (), (sha["earlier.fcs"],))
    assert after.references_for(of["apart.fcs"], *used(study)).controls == ()
    assert not patient_folder(study, "P01").exists()


def test_a_reference_is_measured_on_the_events_that_would_be_counted(tmp_path: Path) -> None:
    import numpy as np

    from gating.fcs.events import open_events
    from gating.fcs.header import read_header
    from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
    from tasks.store.tubes import taken_in
    from tasks.tubes.gate_tube import gate_tube, measure_tube

    study = make_study(tmp_path / "study", ROWS, header=HEADER)
    drop(study, "base.fcs")
    path = study.inbox / "base.fcs"
    header = read_header(path)
    events = open_events(header).columns(range(len(header.channels)))
    events[:, -1] *= 100
    third = len(events) // 3
    events[third : 2 * third, :-1] *= 0.5
    channels = [FcsChannel(each.detector, each.label) for each in header.channels]
    spill = FcsSpill(header.spill.detectors, header.spill.matrix) if header.spill else None
    keywords = {"$TIMESTEP": "0.01", "$CYT": "BD FACSLyric"}
    write_fcs(
        path,
        events.astype(np.float32),
        channels,
        dialect="fcs3.1-le",
        spill=spill,
        keywords=keywords,
    )
    take_in(study)
    with study.store() as store:
        tube = next(iter(taken_in(store)))
        index = reference_index(read_snapshot(study), store)
    used = strategies_in_use(study)["bcell"]
    gated = gate_tube(study, tube, used, index)
    assert 0.25 < gated.gating.qc["time"]["removed"] < 0.45
    found = measure_tube(study, tube, used)
    negative = found["cd19"].negative
    assert negative is not None
    counted = next(count for count in gated.gating.counts if count.population == "b_cells")
    assert counted.negatives is not None
    assert negative.events == counted.negatives[1]
