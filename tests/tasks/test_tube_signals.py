"""A counted tube keeps what it shows of its instrument, and nothing it could not measure."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gating.fcs.spillover import Spill
from gating.strategy.catalogue import load_strategy
from gating.thresholds.apply import apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from tasks.store.gatings import gatings_of
from tasks.store.tubes import taken_in
from tasks.tubes.signals import tube_signals
from tasks.tubes.tube_quality import judge_tube
from tasks.vocabulary.signals import signal_name
from tests.gating.tubes import ArrayTube
from tests.scenario_tubes import drift
from tests.tasks.instrument_study import BLOOD, INFUSED, Run, instrument_study


def signals(
    panel: str,
    cells: Mapping[str, float],
    conditions: Conditions | None = None,
) -> dict[str, Any]:
    """Simulate and gate a tube; gives its signals."""
    made = simulate_tube(
        load_panel(panel), cells, conditions or Conditions(), np.random.default_rng(11)
    )
    spill = Spill(made.spill_detectors, made.stored_spill)
    tube = ArrayTube(made.events.astype(np.float64), made.detectors, made.labels, spill)
    match = match_panel(load_panel(panel), tube.channels)
    applied = apply_strategy(load_strategy(panel).strategy, match, tube, tube)
    judged = judge_tube(applied.compiled, applied.evaluation, tube, tube)
    return tube_signals(applied, judged.numbers)


def test_medians_spreads_spill_and_margins_are_kept_with_their_events() -> None:
    values = signals("bcell", {name: 6 * number for name, number in BLOOD.items()})
    assert values["t_cells/CD3/median"]["value"] == pytest.approx(11_500, rel=0.05)
    assert values["t_cells/CD3/median"]["detector"] == "BV786-A"
    assert values["t_cells/CD45/median"]["value"] == pytest.approx(26_600, rel=0.05)
    assert values["t_cells/CD3/median"]["events"] == pytest.approx(9_000, rel=0.1)
    assert values["t_cells/CD19/spread"]["value"] == pytest.approx(112, rel=0.3)
    assert 0 < values["t_cells/CD19/spill"]["value"] < 0.3
    assert values["root/CD19/margin"]["value"] == 0.0
    assert values["root/SSC-A/margin"]["value"] > 0
    assert all(signal_name(name) is not None for name in values)


def test_what_a_detector_gains_is_seen_in_its_signal_alone() -> None:
    usual = signals("tbnk", BLOOD)
    louder = signals("tbnk", BLOOD, Conditions(gain={"FITC-A": 1.2}))
    name = "t_cells/CD3/median"
    assert louder[name]["value"] / usual[name]["value"] == pytest.approx(1.2, rel=0.02)
    name = "t_cells/CD45/median"
    assert louder[name]["value"] / usual[name]["value"] == pytest.approx(1, rel=0.02)


def test_a_signal_of_too_few_cells_is_left_out_and_never_zero() -> None:
    few = {name: number for name, number in BLOOD.items() if not name.startswith("t_")}
    values = signals("bcell", few | {"t_cd4_cm": 60.0})
    assert not any(name.startswith("t_cells/") for name in values)
    assert "root/SSC-A/margin" in values
    some = signals("bcell", few | {"t_cd4_cm": 300.0})
    assert some["t_cells/CD3/median"]["events"] > 100
    assert "t_cells/CD19/spread" not in some


def test_beads_are_measured_where_they_lie_within_the_range() -> None:
    half = replace(drift("tbnk", 0.5), beads=800.0)
    values = signals("tbnk", BLOOD, half)
    beads = {name: each for name, each in values.items() if name.startswith("beads/")}
    assert len(beads) == 12
    assert all(each["events"] > 600 for each in beads.values())
    dimmer = replace(half, gain=dict(half.gain) | {"FITC-A": 0.45})
    again = signals("tbnk", BLOOD, dimmer)["beads/CD3/median"]["value"]
    assert again / beads["beads/CD3/median"]["value"] == pytest.approx(0.9, rel=0.02)
    assert 0.01 < beads["beads/CD3/cv"]["value"] < 0.08


def test_beads_at_the_end_of_the_range_are_no_signal() -> None:
    values = signals("tbnk", BLOOD, Conditions(beads=800.0))
    assert not any(name.startswith("beads/") for name in values)


def test_the_store_keeps_them_with_the_gating(tmp_path: Path) -> None:
    study = instrument_study(tmp_path / "s", [Run("R001", 1.0)], infused={"P01": INFUSED})
    with study.store() as store:
        (tube,) = taken_in(store)
        (gating,) = gatings_of(store, tube.identity.tube_sha256)
    assert gating.qc["signals"]["t_cells/CD3/median"]["value"] > 0
    assert (tube.cytometer, tube.serial) == ("BD FACSLyric", "R001")
