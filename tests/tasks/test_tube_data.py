"""The data of a tube's page hold what was gated, and no name of a tube breaks them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gating.display.event_sample import RARE
from gating.evaluation.engine import evaluate
from tasks.intake.take_in import take_in
from tasks.publish.app_files import write_app
from tasks.publish.tube_data import FORMAT
from tasks.simulate.study import write_study
from tasks.store.tubes import Tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import open_study
from tasks.tubes.count_tube import counting_inputs
from tasks.tubes.gate_tube import GatedTube, gate_tube
from tasks.tubes.gating_page import FIGURES, write_gating_page
from tasks.tubes.tube_pages import write_tube_pages
from tests.browser import Browser, browser, needs_chromium
from tests.tasks.page_files import tube_data, unpacked

pytestmark = pytest.mark.xdist_group("tube data")
__all__ = ["browser"]

PANELS = ("bcell", "cart", "tbnk")
Counted = dict[str, tuple[Tube, GatedTube]]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """Gate the three simulated tubes of a patient's baseline."""
    folder = write_study(
        tmp_path_factory.mktemp("study") / "s", patients=1, visits=2, events=0.15, workers=1
    ).folder
    for path in (folder / "inbox").iterdir():
        if path.name not in [f"P01_D-7_{panel}.fcs" for panel in PANELS]:
            path.unlink()
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("intake: {settle_seconds: 0}\n")
    study = open_study(folder)
    take_in(study)
    snapshot = read_snapshot(study)
    inputs = counting_inputs(snapshot)
    with study.store() as store:
        tubes = taken_in(store)
    return {
        tube.identity.panel: (
            tube,
            gate_tube(study, tube, snapshot.strategies[tube.identity.panel], inputs.references),
        )
        for tube in tubes
    }


def written(folder: Path, tube: Tube, gated: GatedTube) -> dict[str, Any]:
    folder = folder / gated.gating.tube_sha256[:12]
    write_gating_page(folder, tube, gated)
    return tube_data(folder)


@pytest.mark.parametrize("panel", PANELS)
def test_densities_and_sample_agree_with_the_gates(
    counted: Counted, tmp_path: Path, panel: str
) -> None:
    tube, gated = counted[panel]
    data, kept = written(tmp_path, tube, gated), gated.evaluation
    assert data["format"] == FORMAT
    path_of = [gated.compiled.path_of[gate["name"]] for gate in data["gates"]]
    for density in data["densities"]:
        counts = unpacked(density["counts"], "<u4")
        assert len(counts) == density["bins"] ** 2
        path = ("root",) if density["parent"] == -1 else path_of[density["parent"]]
        assert counts.sum() == density["events"] == kept.count(path)
    sample = data["sample"]
    codes = unpacked(sample["codes"], "<u2")
    columns = unpacked(sample["columns"], "u1").reshape(len(data["axes"]), sample["events"])
    assert len(codes) == sample["events"]
    assert columns.max() <= 255
    sets = [set(each) for each in sample["sets"]]
    for place, (path, share) in enumerate(zip(path_of, sample["shares"], strict=True)):
        held = sum(place in sets[code] for code in codes)
        total = kept.count(path)
        assert share == pytest.approx(held / total if total else 1.0, rel=1e-5)
        assert held == total or held >= RARE


@pytest.mark.parametrize("panel", PANELS)
def test_a_sampled_rectangle_holds_the_sampled_events_that_it_shows(
    counted: Counted, tmp_path: Path, panel: str
) -> None:
    """What a reader sees inside an outline is what the codes say is in the gate."""
    data = written(tmp_path, *counted[panel])
    sample = data["sample"]
    codes = unpacked(sample["codes"], "<u2")
    columns = unpacked(sample["columns"], "u1").reshape(len(data["axes"]), -1)
    checked = 0
    for place, gate in enumerate(data["gates"]):
        if gate["kind"] != "rectangle" or gate["hidden"] or not gate["outlines"]:
            continue
        in_parent = np.array([gate["parent"] == -1 or gate["parent"] in s for s in sample["sets"]])
        in_gate = np.array([place in each for each in sample["sets"]])[codes]
        inside, sure = in_parent[codes], np.ones(len(codes), dtype=bool)
        for index, side in zip(
            (gate["x"], gate["y"]), np.transpose(gate["outlines"][0]), strict=True
        ):
            axis = data["axes"][index]
            width = (axis["high"] - axis["low"]) / 256
            values = axis["low"] + (columns[index] + 0.5) * width
            low, high = side.min(), side.max()
            inside = inside & (values >= low) & (values <= high)
            sure &= (np.abs(values - low) > width) | (low == axis["low"])
            sure &= (np.abs(values - high) > width) | (high == axis["high"])
        assert np.array_equal(inside[sure], in_gate[sure]), gate["name"]
        checked += in_gate.sum() > 20
    assert checked > 2


def test_the_beads_that_concentrations_hang_on_are_seen(counted: Counted, tmp_path: Path) -> None:
    tube, gated = counted["tbnk"]
    data = written(tmp_path, tube, gated)
    beads = next(gate for gate in data["gates"] if gate["kind"] == "cluster")
    assert beads["events"] == gated.gating.qc["beads"]["events"] > 500
    assert data["axes"][beads["x"]]["raw"]
    assert beads["outlines"]
    counts = unpacked(data["densities"][beads["density"]]["counts"], "<u4")
    assert counts.sum() == beads["parent_events"] > beads["events"]
    assert data["head"]["beads"].startswith(f"{gated.gating.beads:,} (")
    assert data["figures"]["beads"] == gated.gating.qc["beads"]
    (elsewhere,) = beads["hidden"]
    drawn = {data["axes"][beads[side]]["label"] for side in "xy"}
    for marker, low in gated.compiled.beads.floor.items():
        assert (marker in elsewhere) == (marker not in drawn)
        assert marker in drawn or f"{low * 262144:,.0f}" in elsewhere


def test_thresholds_are_in_channel_and_display_units(counted: Counted, tmp_path: Path) -> None:
    tube, gated = counted["bcell"]
    data = written(tmp_path, tube, gated)
    realised = {each.threshold: each for each in gated.compiled.thresholds}
    assert [each["name"] for each in data["thresholds"]] == list(realised)
    for each in data["thresholds"]:
        assert each["value"][0] == pytest.approx(realised[each["name"]].value)
        assert each["source"] == realised[each["name"]].source
        if each["low"] is not None:
            assert each["low"][0] <= each["value"][0] <= each["high"][0]
            assert each["low"][1] <= each["value"][1] <= each["high"][1]
    b_cells = next(gate for gate in data["gates"] if gate["name"] == "b_cells")
    cd19 = data["thresholds"][b_cells["thresholds"][0]]
    assert cd19["name"] == "cd19"
    assert cd19["axis"] == b_cells["x"]
    assert min(x for x, _ in b_cells["outlines"][0]) == cd19["value"][1]


def test_the_head_says_whose_the_tube_is_and_figures_are_those_of_flags(
    counted: Counted, tmp_path: Path
) -> None:
    tube, gated = counted["cart"]
    data = written(tmp_path, tube, gated)
    head, identity = data["head"], tube.identity
    assert head["file"] == "P01_D-7_cart.fcs"
    assert head["collected"] == identity.collected.isoformat()
    assert (head["operator"], head["batch"]) == (identity.operator, identity.batch)
    assert (head["events"], head["kept"]) == (gated.evaluation.total, 1.0)
    assert set(data["figures"]) <= set(FIGURES)
    assert "signals" not in data["figures"]
    assert [flag["word"] for flag in data["flags"]] == [*gated.gating.flags]


def test_flags_come_worst_first_with_their_sentence(counted: Counted, tmp_path: Path) -> None:
    tube, gated = counted["cart"]
    flags = ("several_data_sets", "low_viability", "compensation_doubtful")
    gated = replace(gated, gating=replace(gated.gating, flags=flags))
    data = written(tmp_path, tube, gated)
    assert [(flag["word"], flag["severity"]) for flag in data["flags"]] == [
        ("compensation_doubtful", "stop"),
        ("low_viability", "look"),
        ("several_data_sets", "know"),
    ]
    assert all(flag["sentence"].endswith(".") for flag in data["flags"])


def test_the_same_tube_gives_the_same_bytes(counted: Counted, tmp_path: Path) -> None:
    tube, gated = counted["bcell"]
    for name in ("one", "two"):
        write_tube_pages(tmp_path / name, tube, gated)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    assert one == two


def test_what_a_tube_is_called_is_inert(counted: Counted, tmp_path: Path) -> None:
    tube, gated = counted["tbnk"]
    name = "</script><img src=x onerror=alert(1)>\u202e\u2028=cmd|.fcs"
    named = replace(tube, identity=replace(tube.identity, file=name, operator=name))
    data = written(tmp_path, named, gated)
    assert data["head"]["file"] == data["head"]["operator"] == name
    script = (tmp_path / gated.gating.tube_sha256[:12] / "gating.js").read_bytes()
    assert script.isascii()
    assert b"<" not in script
    assert script.count(b"\n") == 1


@needs_chromium
@pytest.mark.parametrize("panel", PANELS)
def test_a_browser_draws_the_page_of_a_counted_tube(
    counted: Counted, tmp_path: Path, browser: Browser, panel: str
) -> None:
    tube, gated = counted[panel]
    name = "<img src=x onerror=alert(1)>.fcs"
    named = replace(tube, identity=replace(tube.identity, file=name))
    folder = tmp_path / "tubes" / gated.gating.tube_sha256[:12]
    write_app(tmp_path)
    write_gating_page(folder, named, gated)
    browser.open((folder / "gating.html").as_uri())
    browser.until("[...document.querySelectorAll('.plot canvas')].some((each) => each.width > 300)")
    shown = browser.evaluate("document.querySelector('main').innerText")
    assert name in shown
    for count in gated.gating.counts:
        assert f"{count.events:,}" in shown
    # The patient's own data are written with the tables, which this patient has none of.
    assert [each for each in browser.console if "series.js" not in each] == []
    assert all(each.startswith(("file:", "data:", "blob:")) for each in browser.requests)


@needs_chromium
@pytest.mark.parametrize("events", [0, 1])
def test_a_browser_draws_a_tube_of_which_hardly_an_event_was_kept(
    counted: Counted, tmp_path: Path, browser: Browser, events: int
) -> None:
    tube, gated = counted["bcell"]
    kept = evaluate(gated.compiled.gating, gated.events, gated.header, np.arange(events))
    gated = replace(gated, evaluation=kept)
    folder = tmp_path / "tubes" / gated.gating.tube_sha256[:12]
    write_app(tmp_path)
    write_gating_page(folder, tube, gated)
    data = tube_data(folder)
    assert data["head"]["kept"] == round(events / kept.total, 6)
    assert data["sample"]["events"] == events
    browser.open((folder / "gating.html").as_uri())
    browser.until("document.querySelector('.population-tree')")
    assert "NaN" not in browser.evaluate("document.querySelector('main').innerText")
    assert [each for each in browser.console if "series.js" not in each] == []
