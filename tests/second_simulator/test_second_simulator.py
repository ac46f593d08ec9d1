"""The second simulator keeps to its own truth: counts, moments, beads, spill, files."""

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import flowio
import numpy as np
import pytest
from scipy import stats

from gating.fcs.events import open_events
from gating.fcs.header import read_header
from panels.catalogue import load_panel
from panels.panel import match_panel
from tasks.study.folder import open_study
from tests.flows.command import reconflow_here
from tests.second_simulator.blood import CELLS, POPULATIONS, Phase, amounts, draw_blood
from tests.second_simulator.cohort import simulate_cohort
from tests.second_simulator.fcs import Version
from tests.second_simulator.instrument import RANGE_END, build_instrument, detect, draw_gains
from tests.second_simulator.scenario import (
    Kind,
    Scenario,
    with_shifted_gains,
)
from tests.second_simulator.small import SMALL, colours, draw_of, tube_of
from tests.second_simulator.tubes import PANELS, channels_of, simulate_tube

KINDS: tuple[Kind, ...] = ("tbnk", "bcell", "cart")


@pytest.mark.parametrize("version", ["FCS3.0", "FCS3.1"])
@pytest.mark.parametrize("big_endian", [False, True])
def test_two_readers_give_the_same_events(
    tmp_path: Path, version: Version, *, big_endian: bool
) -> None:
    truth = draw_of(1, tmp_path, replace(SMALL, fcs_version=version, big_endian=big_endian))
    for tube in truth.tubes:
        path = tmp_path / tube.file
        header = read_header(path)
        ours = open_events(header).columns(range(len(header.channels)))
        theirs = flowio.FlowData(path).as_array(preprocess=True)
        assert header.problems == ()
        assert header.event_count == tube.events == sum(tube.by_label.values())
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        assert header.spill is not None
        assert ours[:, :-1].max() <= RANGE_END


@pytest.mark.parametrize("kind", KINDS)
def test_markers_and_detectors_are_those_of_the_shipped_panel(tmp_path: Path, kind: Kind) -> None:
    panel = load_panel(kind)
    assert PANELS[kind] == {stain.marker: stain.detector for stain in panel.markers}
    draw_of(2, tmp_path, replace(SMALL, tubes=(kind,)))
    (path,) = tmp_path.iterdir()
    match = match_panel(panel, read_header(path).channels)
    assert match.problems == ()


def test_inspect_accepts_the_tubes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for tube in draw_of(3, tmp_path).tubes:
        said = reconflow_here(capfd, "inspect", tmp_path / tube.file, "--json")
        assert said.code == 0
        assert said.document["panel"] == tube.kind
        assert said.document["events"] == tube.events
        assert said.document["problems"] == []


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw_of(4, tmp_path / name)
    first, second = sorted((tmp_path / "a").iterdir()), sorted((tmp_path / "b").iterdir())
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_every_kind_of_cell_belongs_to_the_leukocytes_and_no_kind_is_sure_and_disputed() -> None:
    members = POPULATIONS["leukocytes"]
    assert set(members.sure) | set(members.disputed) == set(CELLS)
    for each in POPULATIONS.values():
        assert not set(each.sure) & set(each.disputed)
        assert len(set(each.sure)) == len(each.sure)


def test_subsets_never_exceed_their_whole() -> None:
    phases: tuple[Phase, ...] = ("baseline", "aplasia", "recovering", "recovered", "leukopenic")
    for phase in phases:
        found = amounts(draw_blood(np.random.default_rng(5), phase))
        assert found["cd4_t"].value + found["cd8_t"].value <= found["t_cells"].value
        assert (
            found["transitional_b"].value + found["naive_igm_igd_b"].value <= found["naive_b"].high
        )
        assert found["lymphocytes"].high <= found["leukocytes"].low
        assert (found["b_cells"].value == 0) == (phase in ("aplasia", "leukopenic"))


@pytest.mark.parametrize("kind", KINDS)
def test_events_are_as_many_as_the_blood_acquired_holds(kind: Kind) -> None:
    seen = expected = 0.0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        cells = draw_blood(rng, "recovered")
        tube = simulate_tube(
            rng, kind, cells, replace(SMALL, dead=0.0, cell_doublets=0.0, wash_selectivity=0.0)
        )
        seen += tube.counts["t8_memory"] + tube.counts["b_naive"]
        # Cells in a coincidence with a bead are no single cells; they are few.
        expected += (cells["t8_memory"] + cells["b_naive"]) * tube.effective_volume_ul
    assert abs(seen - expected) < 4 * np.sqrt(expected) + 0.005 * expected


@pytest.mark.parametrize("kind", KINDS)
def test_compensated_negatives_centre_near_zero(kind: Kind) -> None:
    tube = tube_of(13, replace(with_shifted_gains(SMALL), spill_error=0.0), kind)
    markers = list(PANELS[kind])
    negatives = {
        "CD3": "b_naive",
        "CD19": "t4_memory",
        "CD20": "t4_memory",
        "CD138": "t4_memory",
        "CD8": "t4_memory",
    }
    negatives |= {"CAR19": "b_naive", "CARBCMA": "b_naive", "CD4": "b_naive", "CD24": "t4_memory"}
    for marker, label in negatives.items():
        if marker in markers:
            found = np.median(
                (colours(tube, label) @ np.linalg.inv(tube.spill))[:, markers.index(marker)]
            )
            assert -60 < found < 350, marker


def test_the_stored_spill_is_off_by_the_error_asked_for() -> None:
    def off(error: float) -> float:
        tube = tube_of(14, replace(SMALL, spill_error=error))
        true = tube.instrument.leak * tube.gains.colour[None, :] / tube.gains.colour[:, None]
        large = (true > 0.02) & (true < 1)
        return float(np.std(tube.spill[large] / true[large]))

    assert off(0.0) < 1e-12
    assert 0.05 < off(0.15) < 0.35


def test_dyes_leak_to_neighbours_by_40_percent_at_most_and_can_be_told_apart() -> None:
    for seed in range(20):
        leak = build_instrument(np.random.default_rng(seed), tuple(PANELS["bcell"].values())).leak
        assert (np.diag(leak) == 1).all()
        assert (leak - np.eye(12)).min() >= 0
        assert 0.1 < (leak - np.eye(12)).max() <= 0.40
        assert np.linalg.cond(leak) < 10


def test_the_detectors_are_unbiased_and_noisier_the_brighter_the_light() -> None:
    instrument = build_instrument(np.random.default_rng(15), ("FITC-A", "PE-A"))
    rng = np.random.default_rng(16)
    spreads = []
    for level in (0.0, 500.0, 5_000.0, 50_000.0):
        seen = detect(rng, np.full((20_000, 2), level), instrument, np.ones(2))
        np.testing.assert_allclose(seen.mean(axis=0), level + instrument.offset, atol=3, rtol=0.005)
        spreads.append(seen.std(axis=0))
        photons = np.sqrt(level / instrument.photons_per_unit)
        assert (seen.std(axis=0) > photons).all()
    assert all((low < high).all() for low, high in pairwise(spreads))


def test_gains_stay_within_their_limits_and_differ_between_detectors() -> None:
    drawn = [
        draw_gains(np.random.default_rng(seed), 6, (0.75, 1.4), (0.8, 1.25)) for seed in range(200)
    ]
    gains = np.array([each.colour for each in drawn])
    scatter = np.array([(each.forward, each.side) for each in drawn])
    assert gains.min() >= 0.75
    assert gains.max() <= 1.4
    assert scatter.min() >= 0.8
    assert scatter.max() <= 1.25
    assert np.ptp(gains.mean(axis=1)) > 0.25
    assert np.median(np.ptp(gains, axis=1)) > 0.15
    assert abs(np.corrcoef(scatter.T)[0, 1]) < 0.2


def test_markers_are_skewed_towards_dim_cells_and_b_cells_mature_without_a_gap() -> None:
    tube = tube_of(17, Scenario(events=60_000, spill_error=0.0), "bcell")
    markers, inverse = list(PANELS["bcell"]), np.linalg.inv(tube.spill)
    stages = ("b_t1", "b_t2", "b_t3", "b_naive")
    maturing = np.vstack([colours(tube, label) for label in stages]) @ inverse
    assert stats.skew(np.log(maturing[:, markers.index("CD19")].clip(1))) < -0.2
    cd24 = np.log10(maturing[:, markers.index("CD24")].clip(1))
    counts, _ = np.histogram(cd24, bins=np.linspace(3.3, 4.3, 11))
    assert counts.min() > 0.02 * counts.max()
    medians = [
        np.median((colours(tube, label) @ inverse)[:, markers.index("CD38")]) for label in stages
    ]
    assert medians == sorted(medians, reverse=True)


def test_a_volumetric_tube_tells_its_volume_and_has_no_beads(tmp_path: Path) -> None:
    truth = draw_of(18, tmp_path, replace(SMALL, volumetric=True, tubes=("tbnk",)))
    (tube,), (row,) = truth.tubes, truth.rows
    header = read_header(tmp_path / tube.file)
    assert header.acquired_volume_ul is not None
    assert header.acquired_volume_ul / float(row["dilution"]) == pytest.approx(
        tube.effective_volume_ul, rel=0.12
    )
    assert tube.bead_events == 0
    assert row["beads_per_tube"] == ""


def test_an_analyser_can_be_made_wrong(tmp_path: Path) -> None:
    truth = draw_of(19, tmp_path, replace(SMALL, leukocyte_count_factor=2.5, tubes=("tbnk",)))
    assert truth.leukocytes_per_ul == pytest.approx(
        2.5 * truth.concentrations["leukocytes"].value, rel=0.15
    )


def test_a_cohort_is_a_study_with_its_truth_beside_it(tmp_path: Path) -> None:
    course: tuple[tuple[int, Phase], ...] = ((-7, "baseline"), (14, "aplasia"))
    truths = simulate_cohort(
        np.random.default_rng(20),
        2,
        tmp_path,
        scenarios=(replace(SMALL, events=3_000),),
        course=course,
    )
    open_study(tmp_path)
    with (tmp_path / "samples.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {path.name for path in (tmp_path / "inbox").iterdir()}
    assert len(truths) == 4
    with (tmp_path / "truth" / "events.csv").open(encoding="utf-8") as file:
        events = {
            (row["file"], row["population"]): float(row["events"]) for row in csv.DictReader(file)
        }
    assert events["S01_D14_bcell.fcs", "b_cells"] == 0
    assert events["S02_D-7_tbnk.fcs", "t_cells"] > 0


def test_channels_are_scatter_then_stains_then_time() -> None:
    names = [detector for detector, _ in channels_of("tbnk")]
    assert names[:4] == ["FSC-A", "FSC-H", "FSC-W", "SSC-A"]
    assert names[-1] == "Time"
