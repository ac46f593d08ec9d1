"""A compartment is mapped by the markers that tell its cells apart, on the panel that has most."""

from datetime import UTC, datetime

import numpy as np
import pytest

from gating.strategy.catalogue import load_strategy
from panels.panel import Stain
from panels.text.errors import UsageFault
from tasks.explore import compartments
from tasks.explore.batch_shift import (
    Shift,
    batch_shifts,
    judging,
    large_shifts,
    shifts_of,
    unmeasured,
)
from tasks.explore.compartments import alike_cells, axis_gates, compartment, defining_markers
from tasks.explore.tube_events import Anchor, TubeEvents
from tasks.strategies.in_use import read_snapshot
from tasks.study.snapshot import StudySnapshot
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.tasks.study_folder import make_study


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> StudySnapshot:
    return read_snapshot(make_study(tmp_path_factory.mktemp("explore") / "s"))


@pytest.mark.parametrize(
    ("name", "panel", "gate", "markers"),
    [
        ("b_cells", "bcell", "b_cells", "IgD CD138 CD20 IgM CD38 CD27 CD24 CD21"),
        ("t_cells", "cart", "t_cells", "CD45RA CAR19 CARBCMA CD8 CCR7 CD4 PD1 HLA-DR"),
        ("car_t", "cart", "car_any_t", "CD45RA CD8 CCR7 CD4 PD1 HLA-DR"),
        ("leukocytes", "tbnk", "leukocytes", "CD3 CD16+CD56 CD4 CD19 CD8"),
        ("naive_b", "bcell", "naive_b", "CD138 IgM CD24 CD21"),
    ],
)
def test_the_shipped_compartments(
    snapshot: StudySnapshot, name: str, panel: str, gate: str, markers: str
) -> None:
    found = compartment(snapshot, name)
    assert (found.panel, found.gate) == (panel, gate)
    assert found.markers == tuple(markers.split())
    assert set(found.markers) | set(found.left_out) == set(found.shown)


def test_a_border_that_only_follows_another_marker_does_not_take_it_off_the_map() -> None:
    strategy = load_strategy("cart@4.0.0").strategy
    assert "CAR19" in defining_markers(strategy, "car19_t")
    assert "CD45RA" not in defining_markers(strategy, "car19_t")


def test_a_gate_that_is_not_drawn_on_a_marker_is_told_by_none() -> None:
    strategy = load_strategy("tbnk@4.0.0").strategy
    assert defining_markers(strategy, "singlets") == frozenset()


def test_an_unknown_compartment_is_refused_with_the_nearest(snapshot: StudySnapshot) -> None:
    with pytest.raises(UsageFault, match="did you mean 'b_cells'"):
        compartment(snapshot, "b_cell")
    with pytest.raises(UsageFault, match=r"known are b_cells, .*every population"):
        compartment(snapshot, "zzz")


def test_cells_that_are_told_apart_by_a_marker_are_not_alike_on_it(snapshot: StudySnapshot) -> None:
    b_cells, leukocytes, t_cells = (
        compartment(snapshot, name) for name in ("b_cells", "leukocytes", "t_cells")
    )
    alike = alike_cells(b_cells.used.release.strategy, b_cells)
    assert set(alike["t_cells"]) == set(b_cells.shown)
    assert "CD24" in alike["granulocyte_like"]
    of_t_cells = alike_cells(leukocytes.used.release.strategy, leukocytes)["t_cells"]
    assert set(of_t_cells) == {"CD3", "CD45", "CD19", "CD16+CD56"}
    # The compartment's own cells change with the patient: only what the strategy says of them.
    assert alike_cells(t_cells.used.release.strategy, t_cells)["t_cells"] == ["CD3", "CD45"]


@pytest.mark.parametrize(
    ("marker", "synonyms", "unwanted"),
    [
        ("CD14+viability", (), True),
        ("FVS780", (), True),
        ("7-AAD", (), True),
        ("L/D", ("Live/Dead",), True),
        ("CD14", (), False),
        ("HLA-DR", ("HLADR",), False),
    ],
)
def test_dead_cells_are_no_matter_of_a_map(
    marker: str, synonyms: tuple[str, ...], *, unwanted: bool
) -> None:
    stain = Stain(marker=marker, detector="PE-A", synonyms=synonyms)
    assert compartments._is_unwanted(stain) is unwanted


def _shift(gate: str, marker: str, sd: float) -> Shift:
    return Shift("cytometer 1", "W2", gate, marker, 3, 1, sd / 10, sd)


def test_a_marker_is_judged_by_the_cells_that_carry_it() -> None:
    shifts = [
        _shift("t_cells", "CD24", 0.74),
        _shift("granulocytes", "CD24", 0.1),
        _shift("t_cells", "CD21", 0.8),
    ]
    judged = judging(shifts, {"CD24": {"granulocytes"}, "CD21": {"mature_b"}})
    assert [each.judges for each in judged] == [False, True, True]
    (said,) = large_shifts(judged, ["CD24", "CD21"])
    assert "CD21 by +0.8 SD, measured on t_cells" in said
    assert "CD24" not in said


def _tube(sha: str, patient: str, batch: str, median: float) -> tuple[TubeIdentity, TubeEvents]:
    drawn = datetime(2026, 3, 1, tzinfo=UTC)
    identity = TubeIdentity(sha, "a.fcs", patient, drawn, "bcell", "D28", batch=batch)
    none = np.empty(0)
    events = TubeEvents(
        sha, (), 0, none, none, none, (), none, (Anchor("t_cells", "CD4", 500, median, 0.1),)
    )
    return identity, events


def test_a_page_has_the_batches_of_its_tubes_against_the_reference_of_all() -> None:
    tubes = [
        _tube("a", "P01", "W1", 0.5),
        _tube("b", "P01", "W1", 0.6),
        _tube("c", "P02", "W2", 0.7),
        _tube("d", "P02", "W3", 0.8),
    ]
    shifts = batch_shifts(tubes, {"a", "c"})
    own = shifts_of(shifts, [identity for identity, _ in tubes[:2]])
    assert [(each.batch, each.tubes, each.of_reference) for each in own] == [("W1", 2, 1)]
    assert own[0].shift == pytest.approx(0.55 - 0.6)
    assert own[0].sd == pytest.approx(-0.5)
    assert [each.batch for each in shifts_of(shifts, [tubes[2][0], tubes[3][0]])] == ["W2", "W3"]


def test_the_strategy_names_the_cells_that_carry_a_marker(snapshot: StudySnapshot) -> None:
    gates = axis_gates(compartment(snapshot, "b_cells"))
    assert gates["CD24"] == {"granulocyte_like"}
    assert "CD21" not in gates


def test_markers_without_a_measurement_are_named() -> None:
    (said,) = unmeasured([_shift("t_cells", "CD4", 0.1)], ["CD4", "PD1", "CCR7"])
    assert said.startswith("Not measured between batches: PD1, CCR7. ")
    assert unmeasured([_shift("t_cells", "CD4", 0.1)], ["CD4"]) == []
