"""A study's tubes lie on one map: the same bytes each time, and nothing altered is believed."""

import base64
import io
import json
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest

from flows.commands.data_set import export
from panels.text.errors import MapFault, UsageFault
from tasks.explore.annotation import Enrichment
from tasks.explore.arrays_file import NotArrays, read_arrays, write_arrays
from tasks.explore.cluster_counts import ClusterCounts
from tasks.explore.cluster_words import ClusterWords
from tasks.explore.document import exploration_document, exploration_text
from tasks.explore.embedding import coordinates_sha256
from tasks.explore.explore import Exploration, explore
from tasks.explore.map_clusters import reference_cells
from tasks.explore.map_files import FittedMap, maps_folder, read_map, write_map
from tasks.explore.map_values import map_values
from tasks.explore.placing import PlacedTube
from tasks.explore.tube_notes import tube_notes
from tasks.explore.unnamed import Part, Spanning, Unnamed
from tasks.explore.write_data import map_compartment, named_compartments, write_map_data
from tasks.export.map_cells import write_map_cells
from tasks.intake.take_in import take_in
from tasks.results.front_page import rewrite_front_page
from tasks.results.patient_tables import counted_tubes
from tasks.simulate.study import write_study
from tasks.store.audit import AuditEntry, add_entry
from tasks.store.exclusions import DONE, Exclusion, write_exclusion
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.tubes.count_tube import count_tube, counting_inputs
from tests.flows.command import reconflow_here

pytestmark = pytest.mark.xdist_group("explore")

SETTINGS = """intake: {settle_seconds: 0}
explore: {compartments: [t_cells, no_cells, car_double_positive]}
"""
MAKE_AGAIN = """
import sys
from pathlib import Path
from tasks.explore.compartments import compartment
from tasks.explore.make_map import make_map
from tasks.explore.placing import MapPlaces
from tasks.explore.study_tubes import TubeReader, read_tubes, tubes_of
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import open_study
snapshot = read_snapshot(open_study(Path(sys.argv[1])))
t_cells = compartment(snapshot, "t_cells")
tubes = read_tubes(TubeReader(snapshot, t_cells), tubes_of(snapshot, t_cells)[0]).tubes
places = MapPlaces(snapshot.study, make_map(snapshot.study, t_cells, tubes, "again"))
for _, events in tubes:
    places.place(events)
"""
AGAIN = """
import sys
from pathlib import Path
from tasks.explore.write_data import map_each
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import open_study
assert not map_each(read_snapshot(open_study(Path(sys.argv[1]))), ["t_cells"]).faults
"""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Count the CAR-T tubes of two visits."""
    folder = write_study(
        tmp_path_factory.mktemp("explore") / "s", patients=1, visits=2, events=0.012, workers=1
    ).folder
    for path in (folder / "inbox").glob("*.fcs"):
        if "_cart" not in path.name:
            path.unlink()
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(SETTINGS)
    study = open_study(folder)
    take_in(study)
    inputs = counting_inputs(read_snapshot(study))
    with study.store() as store:
        tubes = taken_in(store)
    assert all(count_tube(inputs, tube.identity.tube_sha256).counted for tube in tubes)
    return study


@pytest.fixture(scope="module")
def explored(counted: Study) -> Exploration:
    """Make the map of its T cells."""
    return explore(read_snapshot(counted), "t_cells")


@pytest.fixture
def copied(counted: Study, explored: Exploration, tmp_path: Path) -> Study:
    """Copy the study with its map, to be changed by one test."""
    assert explored.is_new
    return open_study(Path(shutil.copytree(counted.folder, tmp_path / "s")))


def again(study: Study) -> Exploration:
    return explore(read_snapshot(study), "t_cells")


def sample_of(study: Study, tube: PlacedTube) -> Path:
    """Give the file in which a tube's sampled events are kept."""
    return maps_folder(study, "t_cells") / "tubes" / f"{tube.identity.tube_sha256[:12]}.npz"


def counts_of(study: Study, tube: PlacedTube) -> Path:
    """Give the file in which a tube's counts of clusters are kept."""
    return maps_folder(study, "t_cells") / "1.0.0" / "clusters" / sample_of(study, tube).name


def written(study: Study) -> dict[str, bytes]:
    folder = maps_folder(study, "t_cells")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def arrays_of(content: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(content), allow_pickle=False) as read:
        return {name: read[name] for name in read.files}


def exclude(study: Study, tube: PlacedTube) -> None:
    sha = tube.identity.tube_sha256
    with study.store() as store, store.writing() as connection:
        write_exclusion(connection, Exclusion(sha, "exclude", "2026-11-30", "A. Meyer", "clotted"))
        told = {"tube_sha256": sha, "reason": "clotted"}
        add_entry(connection, AuditEntry("A. Meyer", DONE["exclude"], "tube", told))


def data_of(path: Path, key: str) -> Any:
    text = path.read_text(encoding="ascii")
    head = f'reconflow.add("map","{key}",'
    assert text.startswith(head)
    return json.loads(text[len(head) : -len(");\n")])


def unpacked(text: str, dtype: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=dtype)


def test_both_tubes_weigh_alike_and_lie_on_the_map(explored: Exploration) -> None:
    reference, record = explored.map.reference, explored.map.record
    assert record.map == "t_cells@1.0.0"
    assert len(explored.tubes) == len(record.tubes) == 2
    sampled = [each.sampled for each in record.tubes]
    smaller = min(each.events for each in record.tubes)
    assert min(sampled) == min(smaller, 2000)
    assert len(reference.rows) == sum(sampled)
    assert explored.placed == explored.opened == 2
    for tube in explored.tubes:
        assert tube.events.weights.sum() == pytest.approx(tube.events.events)
        assert np.isfinite(tube.coordinates).all()
        assert tube.placed_by == record.probe_sha256
    assert coordinates_sha256(explored.map.coordinates) == record.coordinates_sha256


def test_the_tables_say_of_a_tube_by_what_it_was_counted_as_the_map_does(
    counted: Study, explored: Exploration
) -> None:
    now = {t.identity.tube_sha256: t.counted_as for t in counted_tubes(read_snapshot(counted))}
    assert now == {t.identity.tube_sha256: t.counted_as for t in explored.tubes}


def test_placed_cells_lie_among_cells_of_their_kind(explored: Exploration) -> None:
    """Of the five cells of the reference that are nearest on the map, most are of a cell's kind."""
    reference, known = explored.map.reference, explored.map.coordinates
    is_cd4 = reference.of(["CD4"])[:, 0] > reference.of(["CD8"])[:, 0]
    assert 0.2 < is_cd4.mean() < 0.8
    for tube in explored.tubes:
        cd4, cd8 = (
            tube.events.values[:, tube.events.markers.index(name)] for name in ("CD4", "CD8")
        )
        apart = np.linalg.norm(tube.coordinates[:, None] - known[None], axis=2)
        near = np.argpartition(apart, 5, axis=1)[:, :5]
        kind = is_cd4[near].mean(axis=1) > 0.5
        assert (kind == (cd4 > cd8)).mean() > 0.95


def test_a_quiet_night_places_nothing_and_changes_no_byte(copied: Study) -> None:
    before = written(copied)
    done = again(copied)
    assert (done.placed, done.opened, done.is_new) == (0, 0, False)
    assert written(copied) == before


def test_another_process_makes_the_same_bytes(copied: Study, explored: Exploration) -> None:
    before = written(copied)
    shutil.rmtree(copied.folder / "maps")
    done = subprocess.run(
        [sys.executable, "-c", MAKE_AGAIN, str(copied.folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stderr
    after = written(copied)
    for name in ("1.0.0/reference.npz", *(n for n in before if n.startswith("tubes/"))):
        assert after[name] == before[name]
    other = read_map(copied, "t_cells", "1.0.0")
    assert other.record.coordinates_sha256 == explored.map.record.coordinates_sha256
    placed = [name for name in before if "/placed/" in name]
    assert len(placed) == 2
    for name in placed:
        # The map's own hash holds the time at which it was made: only the coordinates are alike.
        one, same = (arrays_of(each[name])["coordinates"] for each in (before, after))
        assert one.tobytes() == same.tobytes()


def test_a_tube_whose_file_vanished_stays_where_it_was_placed(copied: Study) -> None:
    for path in copied.archive.rglob("*.fcs"):
        path.unlink()
    assert len(again(copied).tubes) == 2


def test_a_tube_that_has_to_be_read_again_and_cannot_is_named(copied: Study) -> None:
    kept = sample_of(copied, again(copied).tubes[0])
    kept.unlink()
    for path in copied.archive.rglob("*.fcs"):
        path.unlink()
    done = again(copied)
    assert len(done.tubes) == 1
    (unread,) = done.unread
    assert (unread.patient, kept.stem in unread.sentence) == ("P01", True)
    assert "its file cannot be read" in unread.sentence
    of_patient, of_other = (map_values(done, {}, read_snapshot(copied), p) for p in ("P01", "P02"))
    assert of_patient["unread"] == [unread.tube_sha256]
    assert unread.tube_sha256.startswith(kept.stem)
    assert unread.sentence in of_patient["notes"]
    assert of_other["unread"] == []


def test_a_tube_is_counted_again_from_what_was_kept_or_from_its_file(
    copied: Study, explored: Exploration
) -> None:
    tube, other = explored.tubes
    kept = sample_of(copied, tube)
    events = kept.with_name(f"{kept.stem}-counted.npz")
    before = events.read_bytes()
    counts_of(copied, tube).unlink()
    done = again(copied)
    assert (done.tubes[0].clusters, done.opened) == (tube.clusters, 0)
    counts_of(copied, tube).unlink()
    events.unlink()
    done = again(copied)
    assert (done.tubes[0].clusters, done.opened) == (tube.clusters, 1)
    assert events.read_bytes() == before
    counts_of(copied, tube).unlink()
    events.unlink()
    for path in copied.archive.rglob("*.fcs"):
        path.unlink()
    done = again(copied)
    assert [each.identity for each in done.tubes] == [other.identity]
    [unread] = done.unread
    assert (unread.patient, "its file cannot be read" in unread.sentence) == ("P01", True)


def test_tubes_are_counted_again_where_the_clusters_are_others(
    copied: Study, explored: Exploration
) -> None:
    """Clusters are derived: found again on another computer, they may be slightly others."""
    path = maps_folder(copied, "t_cells") / "1.0.0" / "clusters.npz"
    _, head, arrays = read_arrays(path)
    write_arrays(path, head, arrays | {"reach": arrays["reach"] / 4})
    done = again(copied)
    for now, before in zip(done.tubes, explored.tubes, strict=True):
        assert now.clusters.outside > before.clusters.outside
        assert np.count_nonzero(now.labels < 0) > np.count_nonzero(before.labels < 0)
    assert done.opened == 0


def test_an_excluded_tube_is_on_no_map_and_the_map_stays(
    copied: Study, explored: Exploration
) -> None:
    exclude(copied, explored.tubes[0])
    done = again(copied)
    assert [t.identity.visit for t in done.tubes] == [explored.tubes[1].identity.visit]
    assert done.map.sha256 == explored.map.sha256
    assert "1 excluded by a person" in " ".join(done.left_out)
    assert "1 of the 2 tubes that t_cells@1.0.0 was made of is in no series" in done.notes[0]


def test_a_patient_whose_last_tube_was_excluded_has_a_map_without_cells(
    copied: Study, explored: Exploration
) -> None:
    snapshot = read_snapshot(copied)
    path = write_map_data(snapshot, explored)[0].parent / "maps" / "t_cells.js"
    of_all = copied.results / "cohort" / "maps" / "t_cells.js"
    for tube in explored.tubes:
        exclude(copied, tube)
    done = again(copied)
    for patients in (["P01"], []):
        write_map_data(snapshot, done, patients)
        value = data_of(path, "P01/t_cells")
        assert (value["tubes"], value["visits"], value["events"]["count"]) == ([], [], 0)
        assert "2 excluded by a person" in value["notes"][0]
    assert data_of(of_all, "/t_cells")["tubes"] == []
    path.unlink()
    write_map_data(snapshot, done)
    assert not path.exists(), "who never was on the map gets none"


@pytest.mark.parametrize("name", ["map.yaml", "reference.npz"])
def test_an_altered_map_is_refused(copied: Study, name: str) -> None:
    path = maps_folder(copied, "t_cells") / "1.0.0" / name
    content = path.read_bytes()
    place = content.index(b"map: t_cells") + 5 if name == "map.yaml" else len(content) // 2
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(
        MapFault, match=f"{name}.*(was changed|does not hold).*--compartment t_cells --new-map"
    ):
        again(copied)


def test_a_map_without_its_files_is_refused(copied: Study) -> None:
    shutil.rmtree(maps_folder(copied, "t_cells") / "1.0.0")
    with pytest.raises(MapFault, match=r"map\.yaml is missing"):
        again(copied)


@pytest.mark.parametrize("new_map", ["", "another"])
def test_a_map_that_lock_does_not_list_is_not_written_over(copied: Study, new_map: str) -> None:
    (copied.folder / "maps" / "LOCK").unlink()
    before = written(copied)
    with pytest.raises(MapFault, match=r"map\.yaml is a map that .*LOCK does not list"):
        explore(read_snapshot(copied), "t_cells", new_map=new_map)
    assert written(copied) == before


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, head=np.array([{"a": 1}], dtype=object))
    with pytest.raises(NotArrays):
        read_arrays(path)


def with_record(study: Study, **changes: Any) -> FittedMap:
    """Keep a map as the next version that says something else of itself."""
    fitted = read_map(study, "t_cells", "1.0.0")
    record = fitted.record.model_copy(update={"map": "t_cells@2.0.0", **changes})
    other = replace(fitted, record=record)
    return replace(other, sha256=write_map(study, other))


def test_a_map_of_another_strategy_is_refused(copied: Study) -> None:
    with_record(copied, strategy="cart@3.0.0", strategy_sha256="0" * 64)
    with pytest.raises(MapFault, match=r"made under cart@3\.0\.0, and .* under cart@4\.0\.0"):
        again(copied)


def test_libraries_that_place_otherwise_are_seen_by_their_hash_and_said(copied: Study) -> None:
    fitted = read_map(copied, "t_cells", "1.0.0")
    older = dict(fitted.record.libraries) | {"numba": "0.1.0"}
    with_record(copied, probe_sha256="0" * 64, libraries=older)
    done = again(copied)
    (sentence,) = [each for each in done.notes if "otherwise" in each and "placed" in each]
    assert sentence.startswith("2 of 2 tubes were placed by something")
    assert "numba 0.1.0 → " in sentence


def test_a_map_is_never_written_over(copied: Study) -> None:
    with pytest.raises(MapFault, match="there already"):
        write_map(copied, read_map(copied, "t_cells", "1.0.0"))


def test_the_data_of_a_page_hold_what_was_placed(copied: Study, explored: Exploration) -> None:
    done = again(copied)
    pages = write_map_data(read_snapshot(copied), done)
    assert [each.relative_to(copied.results).as_posix() for each in pages] == [
        "patients/P01/map.html",
        "cohort/map.html",
    ]
    patient = pages[0].parent / "maps" / "t_cells.js"
    value = data_of(patient, "P01/t_cells")
    events, count = value["events"], value["events"]["count"]
    assert count == sum(each["shown"] for each in value["tubes"])
    assert count == sum(len(each.coordinates) for each in done.tubes)
    tube = unpacked(events["tube"], "<u2")
    for axis, place in (("x", 0), ("y", 1)):
        low, high = value["limits"][axis]
        read = low + (unpacked(events[axis], "<u2") + 0.5) / 65536 * (high - low)
        placed = np.concatenate([each.coordinates[:, place] for each in done.tubes])
        assert np.abs(read - np.clip(placed, low, high)).max() <= (high - low) / 65536
    weights = unpacked(events["weight"], "<u4") / 1000
    for number, each in enumerate(value["tubes"]):
        assert weights[tube == number].sum() == pytest.approx(each["events"], rel=1e-3)
        rows = unpacked(events["row"], "<u4")[tube == number]
        np.testing.assert_array_equal(rows, done.tubes[number].events.rows)
    assert len(events["values"]) == len(value["markers"]) == 11
    assert all(len(unpacked(each, "u1")) == count for each in events["values"])
    codes = unpacked(events["code"], "<u2")
    car = [each["id"] for each in value["populations"]].index("cd4_t")
    held = np.array([car in ids for ids in value["sets"]])[codes]
    gates = done.compartment.used.populations["cd4_t"].gate
    expected = [
        gates in each.events.sets[code] for each in done.tubes for code in each.events.codes
    ]
    np.testing.assert_array_equal(held, expected)
    times = [each["counted_at"] for each in value["tubes"]]
    assert all(times)
    assert value["counted_until"] == max(times)
    assert [each["counted_as"] for each in value["tubes"]] == [
        each.counted_as for each in done.map.record.tubes
    ]
    assert value["exploratory"].startswith("Exploratory: no table")
    reference = value["reference"]
    ground = unpacked(reference["counts"], "<u4")
    assert len(ground) == reference["bins"] ** 2
    assert ground.sum() == reference["events"] == len(explored.map.reference.rows)
    assert reference["libraries"] == dict(explored.map.record.libraries)
    assert value["needed"] == {"detect": 20, "quantify": 50}
    assert {value["populations"][each]["id"] for each in value["products"]} <= {
        "car19_t",
        "carbcma_t",
    }
    ticks = dict(map(reversed, value["markers"][0]["ticks"]))
    assert 0 < ticks["0"] < ticks["10³"] < ticks["10⁵"] < 1
    assert value["visits"] == sorted(value["visits"], key=lambda each: each["day"])
    before = patient.stat().st_mtime_ns
    write_map_data(read_snapshot(copied), done)
    assert patient.stat().st_mtime_ns == before


def test_a_page_names_its_maps_and_who_has_a_page(copied: Study) -> None:
    snapshot = read_snapshot(copied)
    [alone] = write_map_data(snapshot, again(copied), ["P01"])
    assert "cohort/map.html" not in alone.read_text(encoding="utf-8")
    own, cohort = (
        page.read_text(encoding="utf-8") for page in write_map_data(snapshot, again(copied))
    )
    assert '<a href="#map=t_cells" data-compartment="t_cells">T cells</a>' in own
    assert 'data-page="map" data-root="../../" data-key="P01"' in own
    assert 'data-page="map" data-root="../" data-key=""' in cohort
    assert '<a href="../../cohort/map.html">All patients' in own
    assert '<a href="../patients/P01/map.html">P01</a>' in cohort
    assert 'href="cohort/map.html"' in rewrite_front_page(snapshot).read_text(encoding="utf-8")


def test_a_maps_cells_are_exported_with_their_places(copied: Study, tmp_path: Path) -> None:
    done = again(copied)
    path = tmp_path / "out" / "map.h5ad"
    assert write_map_cells(copied, path, "t_cells") == (
        sum(len(each.coordinates) for each in done.tubes),
        [],
    )
    cells = anndata.read_h5ad(path)
    np.testing.assert_array_equal(
        cells.obsm["X_umap"], np.concatenate([each.coordinates for each in done.tubes])
    )
    assert list(cells.obs["event"]) == [row for t in done.tubes for row in t.events.rows]
    assert list(cells.obs["tube_sha256"].unique()) == [t.events.tube_sha256 for t in done.tubes]
    gate = done.compartment.used.populations["cd4_t"].gate
    assert list(cells.obs["is_cd4_t"]) == [
        gate in t.events.sets[code] for t in done.tubes for code in t.events.codes
    ]
    labels = np.concatenate([t.labels for t in done.tubes])
    assert list(cells.obs["cluster"]) == [str(each + 1) if each >= 0 else "none" for each in labels]
    assert cells.uns["map"]["map"] == "t_cells@1.0.0"
    assert cells.uns["map"]["map_sha256"] == done.map.sha256
    assert cells.obs["is_t_cells"].all()
    opens_in_scanpy_and_cellxgene(cells)


def opens_in_scanpy_and_cellxgene(cells: anndata.AnnData) -> None:
    """Check what these two ask of a file, as they were seen to read one."""
    assert cells.obs_names.is_unique
    assert cells.var_names.is_unique
    for values in (cells.X, cells.obsm["X_umap"]):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert cells.obsm["X_umap"].shape == (cells.n_obs, 2)
    kinds = {name: str(kind) for name, kind in cells.obs.dtypes.items()}
    assert set(kinds.values()) <= {"category", "bool", "int64", "float64"}
    named = ("patient", "visit", "population", "cluster", "tube_sha256")
    for categories in (cells.obs[name].cat.categories for name in named):
        assert "" not in categories
    assert not cells.obs[list(named)].isna().any(axis=None)
    days = cells.obs.groupby("visit", observed=True)["day"].median()
    assert list(days) == sorted(days)
    numbers = [int(each) for each in cells.obs["cluster"].cat.categories if each != "none"]
    assert numbers == sorted(numbers)
    assert cells.uns["map"]["markers"][0] == "CD45RA"
    assert cells.uns["map"]["libraries"]["umap-learn"]


def test_what_is_on_no_map_cannot_be_exported(copied: Study, tmp_path: Path) -> None:
    with pytest.raises(MapFault, match=r"no map of car_t .*reconflow explore --compartment car_t"):
        write_map_cells(copied, tmp_path / "map.h5ad", "car_t")
    with pytest.raises(UsageFault, match="only with --format h5ad"):
        export(study=copied.folder, format="csv", compartment="t_cells")


def test_a_night_names_what_it_could_not_map_and_maps_the_rest(copied: Study) -> None:
    snapshot = read_snapshot(copied)
    faults = [
        fault for name in named_compartments(snapshot) for fault in map_compartment(snapshot, name)
    ]
    assert (copied.results / "cohort" / "maps" / "t_cells.js").is_file()
    assert [each.partition(" was not")[0] for each in faults] == [
        "The map of no_cells",
        "The map of car_double_positive",
    ]
    assert "once 3 visits are counted" in faults[1]


def test_a_night_makes_no_first_map_of_few_visits(copied: Study) -> None:
    shutil.rmtree(copied.folder / "maps")
    (first,) = map_compartment(read_snapshot(copied), "t_cells")
    assert "once 3 visits are counted (now: " in first
    assert "reconflow explore --compartment t_cells" in first
    assert not (copied.folder / "maps").exists()


def test_a_later_tube_with_cells_in_no_cluster_is_named(explored: Exploration) -> None:
    later = explored.tubes[0]
    moved = replace(
        later,
        clusters=ClusterCounts((8100,), 9000, 9000),
        identity=replace(later.identity, tube_sha256="f" * 64),
    )
    (sentence,) = tube_notes(explored, [moved])
    assert f"{later.identity.visit}: 10.0% (900 cells)" in sentence
    assert "--compartment t_cells --new-map" in sentence
    known = replace(moved, clusters=ClusterCounts((8950,), 9000, 9000))
    assert tube_notes(explored, [known]) == []
    # Of the map's own tubes a new map would say the same.
    assert tube_notes(explored, [replace(later, clusters=moved.clusters)]) == []


def test_populations_that_no_marker_of_the_map_cuts_out_name_no_cells(
    explored: Exploration,
) -> None:
    cells = reference_cells(explored.map, explored.compartment)
    assert "lymphocytes" in cells.populations
    assert "lymphocytes" not in cells.leaves
    assert "car19_t" in {*cells.populations}
    assert cells.leaves


def test_a_patient_reads_of_no_other_patients_visits(explored: Exploration) -> None:
    found = explored.findings
    assert found is not None
    own = int(np.bincount(explored.tubes[0].labels[explored.tubes[0].labels >= 0]).argmax())
    each = Unnamed(own, "outside", (), (), np.arange(40))
    record = explored.map.record.tubes[0]
    assert f"({record.patient}, {record.visit})" in ClusterWords(explored, found, {}).unnamed(each)
    ours = ClusterWords(explored, found, {}, "P01").unnamed(each)
    assert "of the compartment in this patient (" in ours
    assert "P01" not in ours
    nobody = ClusterWords(explored, found, {}, "P02").unnamed(each)
    assert "Fewer than 10 such cells in each tube of this patient" in nobody


def test_markers_without_any_gate_are_named_where_they_tell_cells_apart(
    explored: Exploration,
) -> None:
    found = explored.findings
    assert found is not None
    apart = (Enrichment("CD45RA", 3.0), Enrichment("CD8", -3.0))
    each = Unnamed(0, "inside", ("cd4_t",), apart, np.arange(40))
    said = ClusterWords(explored, found, {"cd4_t": "CD4 T cells"}).unnamed(each)
    assert "held by CD4 T cells, but differs from the cells that are usual there: CD45" in said
    assert "cart@4.0.0 has no gate on CD45RA. " in said


def test_a_gate_is_named_once_with_all_clusters_that_it_holds(explored: Exploration) -> None:
    found = explored.findings
    assert found is not None
    events = np.arange(40)
    parts = (
        Part(3, 0.24, (Enrichment("CCR7", 4.0),), events),
        Part(1, 0.03, (Enrichment("CD45RA", 5.0), Enrichment("CCR7", 4.0)), events),
    )
    words = ClusterWords(explored, found, {"cd4_t": "CD4 T cells"})
    said = words.spanning(Spanning(("cd4_t",), 0, 0.61, parts))
    first, second = "4 (24%: CCR7 high)", "2 (3%: CD45RA high, CCR7 high)"
    assert said.startswith(f"CD4 T cells hold clusters 1 (61% of the cells), {first} and {second}.")
    assert said.endswith(". cart@4.0.0 has no gate on CCR7, CD45RA.")


def test_what_is_said_names_map_tubes_and_markers(explored: Exploration) -> None:
    text = exploration_text(explored, [Path("a/page")])
    assert "t_cells@1.0.0, made now (first map)" in text
    assert "CD45RA, CAR19, CARBCMA, CD8, CCR7, CD4, PD1, HLA-DR" in text
    assert "Not in the map's distances: CD3, CD14+viability, CD45" in text
    assert "Clusters: " in text
    assert "Cells no gate names: " in text
    assert "Gates that span several clusters: " in text
    document = exploration_document(explored, [Path("a/page")])
    assert document["clusters"]["count"] >= document["clusters"]["stable"] > 0
    listed = [each["cluster"] for each in document["clusters"]["unnamed"]]
    assert explored.findings is not None
    assert listed == [each.cluster for each in explored.findings.lists.unnamed]
    assert json.loads(json.dumps(document))["placed_now"] == 2


def test_the_command_maps_what_study_yaml_names_and_says_what_it_could_not(
    copied: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    said = reconflow_here(capfd, "explore", "--study", copied.folder, "--json")
    assert said.code == 1
    assert [each["map"] for each in said.document["maps"]] == ["t_cells@1.0.0"]
    assert len(said.document["faults"]) == 2
    assert "and a map takes 200" in said.document["faults"][1]
    few = reconflow_here(
        capfd, "explore", "--study", copied.folder, "--compartment", "car_double_positive"
    )
    assert (few.code, "It is made once there are more" in few.err) == (1, True)
    alone = reconflow_here(
        capfd, "explore", "--study", copied.folder, "--compartment", "no_cells", "--json"
    )
    assert alone.code == 2
    assert "no strategy in use reports it" in alone.err
    misspelt = reconflow_here(capfd, "explore", "--study", copied.folder, "--compartment", "t_cell")
    assert misspelt.err.strip().endswith("did you mean 't_cells'?")
    stranger = reconflow_here(capfd, "explore", "--study", copied.folder, "--patient", "P77")
    assert (stranger.code, "patients.csv has no P77" in stranger.err) == (2, True)


def test_a_night_without_new_tubes_loads_nothing_heavy(copied: Study) -> None:
    heavy = "{'umap', 'numba', 'sklearn', 'flowkit', 'scipy.stats', 'bokeh'}"
    check = f"assert not {heavy} & set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", AGAIN + check, str(copied.folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stderr


def test_the_clusters_of_a_map_are_kept_beside_it_and_shown(
    copied: Study, explored: Exploration
) -> None:
    found = explored.findings
    assert found is not None
    count = found.judged.clusters.count
    assert count >= 2
    for tube in explored.tubes:
        assert np.mean(tube.labels >= 0) > 0.9
    done = again(copied)
    assert done.findings is not None
    assert np.array_equal(done.findings.judged.labels, found.judged.labels)
    value = map_values(done, {}, read_snapshot(copied))
    assert [each["name"] for each in value["clusters"]] == [str(i + 1) for i in range(count)]
    assert len(value["amounts"]) == count * len(done.tubes)
    assert [row[0] for row in value["outside"]] == list(range(len(done.tubes)))
    assert all(0 <= row[1] < 0.1 for row in value["outside"])
    for tube in done.tubes:
        counts = tube.clusters
        assert counts.counted == counts.events == tube.events.events
        in_sample = [float(tube.events.weights[tube.labels == each].sum()) for each in range(count)]
        assert counts.counts == pytest.approx(in_sample, abs=0.05 * counts.events)
    assert {row[6] for row in value["amounts"]} == {"NE"}
    assert value["composition"]["sentence"].startswith("Nothing is claimed from 1 patient")
    codes = unpacked(value["events"]["cluster"], "<u1")
    labels = np.concatenate([tube.labels for tube in done.tubes])
    assert np.array_equal(codes[: len(labels)], np.where(labels < 0, 255, labels))
