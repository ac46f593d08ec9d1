"""The engine keeps exactly the events that FlowKit keeps, on documents with published truth and on
every shipped strategy."""

import csv
from pathlib import Path

import numpy as np
import pytest

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate, gate_paths
from gating.exchange.read_gatingml import read_gatingml
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.strategy.catalogue import known, load_strategy
from panels.text.errors import CompensationFault, PanelMismatch
from tests.gating.tubes import ArrayTube, random_tube
from tests.shared_data import SHARED, needs_shared

GATING_ML = SHARED / "gating-ml"
DOCUMENTS = (
    sorted(p for p in (GATING_ML / "gml").glob("*.xml") if "attr_testing" not in p.name)
    if SHARED.is_dir()
    else []
)
REAL_TUBES = [
    ("b-cells-lyoplate/12828_1_Bcell_C01.fcs", "b-cells-lyoplate/12828_1_Bcell_C01.gatingml.xml"),
    *((f"t-cells-activation/Activation_{i}.fcs",
       f"t-cells-activation/activation_0{i}.gatingml.xml") for i in range(1, 5)),
    *((f"cell-counts/{stem}.fcs", f"cell-counts/{stem}.gatingml.xml") for stem in (
        "CellCounts5L_AB_01-INF041-04_02", "CellCounts5L_AB_01-INF041-09_01",
        "CellCounts5L_AB_01-INF041-09_02",
        "CellCounts5L_AB_01-INF041-Cord", "CellCounts5L_AB_01-ND006-01")),
]  # fmt: skip


def gate_file(fcs: Path, document: Path):
    header = read_header(fcs)
    return evaluate(read_gatingml(document), open_events(header), header)


@needs_shared
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.stem)
def test_gatingml_reference_documents_give_the_membership_flowkit_gives(document):
    import flowkit

    kept = gate_file(GATING_ML / "data1.fcs", document)
    sample = flowkit.Sample(GATING_ML / "data1.fcs", ignore_offset_error=True)
    expected = flowkit.parse_gating_xml(str(document)).gate_sample(sample)
    for path in kept.rows:
        assert np.array_equal(kept.mask(path), expected.get_gate_membership(path[-1], path[:-1])), (
            path
        )


@needs_shared
def test_gatingml_reference_documents_give_the_published_truth():
    kept = gate_file(GATING_ML / "data1.fcs", GATING_ML / "gml" / "gml_all_gates.xml")
    checked = 0
    for path in kept.rows:
        truth = GATING_ML / "truth" / f"Results_{path[-1]}.txt"
        if truth.is_file():
            published = np.array(truth.read_text().split(), dtype=int).astype(bool)
            assert np.array_equal(kept.mask(path), published), path
            checked += 1
    assert checked >= 45


@needs_shared
@pytest.mark.parametrize(("fcs", "document"), REAL_TUBES, ids=lambda name: Path(name).stem)
def test_real_tubes_give_the_membership_flowkit_gives(fcs, document):
    import flowkit

    kept = gate_file(SHARED / fcs, SHARED / document)
    expected = flowkit.parse_gating_xml(str(SHARED / document)).gate_sample(
        flowkit.Sample(SHARED / fcs)
    )
    for path in kept.rows:
        assert np.array_equal(kept.mask(path), expected.get_gate_membership(path[-1], path[:-1])), (
            path
        )


@needs_shared
def test_the_real_b_cell_panel_gives_the_counts_of_openCyto():
    folder = SHARED / "b-cells-lyoplate"
    kept = gate_file(folder / "12828_1_Bcell_C01.fcs", folder / "12828_1_Bcell_C01.gatingml.xml")
    by_path = {"/".join(path[1:]): kept.count(path) for path in kept.rows}
    by_end = {path[-1]: kept.count(path) for path in kept.rows}
    with (folder / "12828_1_Bcell_C01.counts.csv").open() as file:
        recorded = [row for row in csv.DictReader(file) if row["path"] != "root"]
    # Gating-ML ids are XML names, so +, - and ! of openCyto's names are written out in the
    # document.
    translated = {"IgD+CD27-": 9219, "Plasmablasts": 67, "Transitional": 1070}
    assert sorted(by_path.values()) == sorted(int(row["recorded_count"]) for row in recorded)
    assert all(count in by_end.values() for count in translated.values())


@needs_shared
def test_aurora_tubes_give_the_recorded_counts_per_microlitre():
    folder = SHARED / "cell-counts"
    with (folder / "counts.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = {}
    for row in rows:
        stem = Path(row["file"]).stem
        if not (folder / f"{stem}.gatingml.xml").is_file():
            continue
        kept.setdefault(
            stem,
            (
                gate_file(folder / row["file"], folder / f"{stem}.gatingml.xml"),
                read_header(folder / row["file"]),
            ),
        )
        evaluation, header = kept[stem]
        counts = {path[-1]: evaluation.count(path) for path in evaluation.rows}
        count = counts[row["population"].rsplit("/", 1)[-1]]
        assert count == int(row["count_numpy"])
        assert header.acquired_volume_ul == pytest.approx(float(row["vol_uL"]), abs=0.005)
        assert count / header.acquired_volume_ul == pytest.approx(float(row["per_uL"]), rel=1e-3)
    assert len(kept) == 5


class _Sample:
    """The little of FlowKit's Sample that ``gate_sample`` asks for, on events already in memory."""

    def __init__(self, tube: ArrayTube) -> None:
        self.id = "array"
        self.event_count = tube.count
        self.pnn_labels, self.pns_labels = list(tube.detectors), list(tube.labels)
        self.null_channels = []
        self.fluoro_indices = [
            i for i, d in enumerate(tube.detectors) if d[:3] not in ("FSC", "SSC", "Tim")
        ]
        self._events = tube.events

    def get_events(self, source):
        assert source == "raw"
        return self._events

    def get_channel_index(self, name):
        return self.pnn_labels.index(name)


@pytest.mark.parametrize("pin", known())
@pytest.mark.parametrize("seed", [1, 2])
def test_every_shipped_strategy_gives_the_membership_flowkit_gives(pin, seed):
    strategy = load_strategy(pin).strategy
    tube, match = random_tube(strategy, events=20_000, seed=seed)
    compiled = compile_strategy(strategy, match, tube)
    kept = evaluate(compiled.gating, tube, tube)
    expected = compiled.gating.gate_sample(_Sample(tube))
    assert set(kept.rows) == set(gate_paths(compiled.gating))
    for path in kept.rows:
        assert np.array_equal(kept.mask(path), expected.get_gate_membership(path[-1], path[:-1])), (
            path
        )


@pytest.mark.parametrize("pin", known())
def test_shuffling_events_changes_no_count_and_a_child_never_exceeds_its_parent(pin):
    strategy = load_strategy(pin).strategy
    tube, match = random_tube(strategy, events=5_000, seed=3)
    compiled = compile_strategy(strategy, match, tube)
    kept = evaluate(compiled.gating, tube, tube)
    order = np.random.default_rng(0).permutation(tube.count)
    shuffled = ArrayTube(tube.events[order], tube.detectors, tube.labels, tube.spill)
    again = evaluate(compiled.gating, shuffled, shuffled)
    for path, rows in kept.rows.items():
        assert len(again.rows[path]) == len(rows)
        assert set(rows) <= set(kept.rows.get(path[:-1], np.arange(tube.count)))


@pytest.mark.parametrize("pin", known())
def test_a_tube_without_events_has_every_gate_at_zero(pin):
    strategy = load_strategy(pin).strategy
    tube, match = random_tube(strategy, events=1, seed=1)
    empty = ArrayTube(tube.events[:0], tube.detectors, tube.labels, tube.spill)
    kept = evaluate(compile_strategy(strategy, match, empty).gating, empty, empty)
    assert {kept.count(path) for path in kept.rows} == {0}


def test_a_tube_without_compensation_is_refused():
    strategy = load_strategy("bcell").strategy
    tube, match = random_tube(strategy, events=10, seed=1)
    bare = ArrayTube(tube.events, tube.detectors, tube.labels, None)
    with pytest.raises(CompensationFault, match="has no compensation"):
        compile_strategy(strategy, match, bare)


def test_a_tube_whose_stored_compensation_is_faulty_is_refused_with_its_reason():
    strategy = load_strategy("bcell").strategy
    tube, match = random_tube(strategy, events=10, seed=1)
    faulty = ArrayTube(
        tube.events,
        tube.detectors,
        tube.labels,
        None,
        spill_fault="The stored spill cannot be inverted.",
    )
    with pytest.raises(CompensationFault, match="cannot be inverted"):
        compile_strategy(strategy, match, faulty)


@needs_shared
def test_a_gate_on_a_channel_the_tube_lacks_names_it():
    with pytest.raises(PanelMismatch, match="a gate needs the channel"):
        gate_file(SHARED / "b-cells-igm" / "Bcells2.fcs", GATING_ML / "gml" / "gml_rect1_gate.xml")


def test_events_left_out_beforehand_are_in_no_gate() -> None:
    strategy = load_strategy("bcell@1.0.0").strategy
    tube, match = random_tube(strategy, events=4000, seed=5)
    gating = compile_strategy(strategy, match, tube).gating
    whole = evaluate(gating, tube, tube)
    kept = np.flatnonzero(np.arange(4000) % 7 > 2)
    part = evaluate(gating, tube, tube, kept)
    assert (part.total, part.count(("root",))) == (4000, len(kept))
    assert all(
        np.array_equal(part.rows[path], np.intersect1d(whole.rows[path], kept))
        for path in whole.rows
    )
    nothing = evaluate(gating, tube, tube, np.empty(0, dtype=np.int64))
    assert all(nothing.count(path) == 0 for path in (*whole.rows, ("root",)))


def test_a_polygon_that_crosses_itself_keeps_what_it_winds_around_an_odd_number_of_times():
    """The crossing polygon of Gating-ML 2.0 (figure 12): the square it surrounds twice is outside,
    as are the notches."""
    import flowkit
    from flowkit import gates

    corners = [(0, 0), (2, 0), (2, 3), (3, 3), (3, 2), (1, 2), (1, 1), (4, 1), (4, 4), (0, 4)]
    gating = flowkit.GatingStrategy()
    sides = [flowkit.Dimension("X"), flowkit.Dimension("Y")]
    gating.add_gate(
        gates.PolygonGate("crossing", sides, [(float(x), float(y)) for x, y in corners]), ("root",)
    )
    places = np.stack(np.meshgrid(np.arange(0.5, 4), np.arange(0.5, 4)), axis=-1).reshape(-1, 2)
    tube = ArrayTube(places, ("X", "Y"), ("", ""))
    inside = evaluate(gating, tube, tube).mask(("root", "crossing")).reshape(4, 4)
    assert inside.tolist() == [
        [True, True, False, False],
        [True, False, True, True],
        [True, True, False, True],
        [True, True, True, True],
    ]
