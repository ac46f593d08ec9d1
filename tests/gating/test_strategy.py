"""A strategy is refused when it does not hang together, and a release when it is not what was
released."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from gating.strategy.catalogue import (
    known,
    load_strategy,
    read_lock,
    read_strategy,
    shipped,
    versions,
)
from gating.strategy.model import Strategy
from panels.catalogue import load_panel, panel_names
from panels.text.errors import StrategyFault
from tasks.strategies.release import lock_release
from tests.shared_data import SHARED, needs_shared

LYOPLATE = shipped().parents[1] / "tests" / "data" / "lyoplate"


def document(**changes):
    gates = [
        {"gate": "cells", "parent": "root", "rectangle": {"FSC-A": {"above": 1000.0}}},
        {"gate": "b_cells", "parent": "cells", "rectangle": {"CD19": {"above": "cd19"}}},
    ]
    populations = [{"id": "b_cells", "gate": "b_cells", "label": "B", "reference": "b_cells"}]
    thresholds = {"cd19": {"marker": "CD19", "value": 1000.0, "evidence": "test"}}
    return {
        "strategy": "s",
        "version": "1.0.0",
        "title": "t",
        "panel": "p",
        "gates": gates,
        "populations": populations,
        "thresholds": thresholds,
        **changes,
    }


def test_a_small_strategy_is_read():
    assert Strategy.model_validate(document()).name == "s@1.0.0"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {
                "gates": [
                    {"gate": "a", "parent": "b", "none_of": ["b"]},
                    {"gate": "b", "parent": "a", "none_of": ["a"]},
                ]
            },
            "in a circle: a, b",
        ),
        (
            {"gates": [{"gate": "a", "parent": "nowhere", "rectangle": {"CD19": {"above": 1.0}}}]},
            "refers to 'nowhere'",
        ),
        (
            {
                "gates": [
                    {
                        "gate": "a",
                        "parent": "root",
                        "rectangle": {"CD19": {"above": 5.0, "below": 5.0}},
                    }
                ]
            },
            "must be smaller",
        ),
        (
            {"gates": [{"gate": "a", "parent": "root", "rectangle": {"CD19": {"above": "cd91"}}}]},
            "'cd91', which is not listed",
        ),
        (
            {"gates": [{"gate": "a", "parent": "root", "rectangle": {"CD3": {"above": "cd19"}}}]},
            "is for CD19",
        ),
        ({"gates": [{"gate": "a", "parent": "root"}]}, "exactly one of"),
        (
            {
                "gates": [
                    {"gate": "a", "parent": "root", "rectangle": {"CD19": {"above": float("nan")}}}
                ]
            },
            "finite",
        ),
        (
            {"populations": [{"id": "x", "gate": "gone", "label": "X", "reference": "x"}]},
            "'gone', which does not exist",
        ),
        ({"beads": "gone"}, "'gone', which does not exist"),
        ({"gate": []}, "Extra inputs"),
    ],
)
def test_a_strategy_that_does_not_hang_together_is_refused(changes, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Strategy.model_validate(document(**changes))


@pytest.mark.parametrize("pin", known())
def test_every_shipped_release_is_locked_and_its_panel_reads_every_marker(pin):
    strategy = load_strategy(pin).strategy
    panel = load_panel(strategy.panel)
    assert strategy.name == pin
    assert strategy.markers() <= {stain.marker for stain in panel.markers} | set(panel.scatter)
    assert (shipped() / strategy.strategy / strategy.version / "CHANGES.md").is_file()


def test_every_shipped_panel_has_a_released_strategy():
    assert {load_strategy(pin).strategy.panel for pin in known()} == set(panel_names())


def test_the_shipped_strategies_report_the_populations_users_rely_on():
    ids = {
        population.id for pin in known() for population in load_strategy(pin).strategy.populations
    }
    assert ids == set(
        "leukocytes lymphocytes t_cells cd4_t cd8_t nk_cells monocytes b_cells b_cells_cd20 "
        "naive_b naive_igm_igd_b transitional_b "
        "unswitched_memory_b switched_memory_b double_negative_b plasmablasts plasma_cells "
        "long_lived_plasma_cells "
        "car19_t carbcma_t car_double_positive car_any_t".split()
    )


@pytest.fixture
def own(tmp_path):
    shutil.copytree(shipped() / "tbnk" / "1.0.0", tmp_path / "tbnk" / "1.0.0")
    shutil.copy(shipped() / "LOCK", tmp_path / "LOCK")
    return tmp_path


def test_a_released_strategy_that_was_tampered_with_is_refused(own):
    path = own / "tbnk" / "1.0.0" / "strategy.yaml"
    path.write_text(path.read_text().replace("value: 3000", "value: 3001"))
    with pytest.raises(StrategyFault, match="was changed after its release"):
        load_strategy("tbnk@1.0.0", own)


def test_a_mended_comment_leaves_a_release_valid(own):
    path = own / "tbnk" / "1.0.0" / "strategy.yaml"
    path.write_text("# another comment\n" + path.read_text())
    assert load_strategy("tbnk@1.0.0", own).sha256 == load_strategy("tbnk@1.0.0").sha256


def test_a_version_that_was_never_released_is_refused(own):
    (own / "LOCK").write_text("")
    with pytest.raises(StrategyFault, match="has not been released"):
        load_strategy("tbnk@1.0.0", own)


def test_a_pin_takes_the_newest_release_it_allows(own):
    for version in ("1.0.2", "1.0.10", "2.1.0"):
        content = YAML(typ="safe", pure=True).load(
            (own / "tbnk" / "1.0.0" / "strategy.yaml").read_text()
        ) | {"version": version}
        (own / "tbnk" / version).mkdir()
        (own / "tbnk" / version / "strategy.yaml").write_text(json.dumps(content))
        lock_release(own, "tbnk", version)
    assert versions(own, "tbnk") == ["1.0.0", "1.0.2", "1.0.10", "2.1.0"]
    found = {
        pin: load_strategy(pin, own).strategy.version
        for pin in ("tbnk", "tbnk@1", "tbnk@1.0", "tbnk@1.0.2")
    }
    assert found == {
        "tbnk": "2.1.0",
        "tbnk@1": "1.0.10",
        "tbnk@1.0": "1.0.10",
        "tbnk@1.0.2": "1.0.2",
    }
    with pytest.raises(StrategyFault, match="already released"):
        lock_release(own, "tbnk", "2.1.0")


def test_a_release_that_is_killed_leaves_the_lock_whole(own):
    text = (own / "tbnk" / "1.0.0" / "strategy.yaml").read_text(encoding="utf-8")
    (own / "tbnk" / "1.0.1").mkdir()
    (own / "tbnk" / "1.0.1" / "strategy.yaml").write_text(
        text.replace("version: 1.0.0", "version: 1.0.1"), encoding="utf-8"
    )
    before = (own / "LOCK").read_bytes()
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from tasks.strategies.release import lock_release\n"
        "Path.replace = lambda path, target: os._exit(9)\n"
        "lock_release(Path(sys.argv[1]), 'tbnk', '1.0.1')\n"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", script, str(own)], check=False, timeout=120
        ).returncode
        == 9
    )
    assert (own / "LOCK").read_bytes() == before
    assert lock_release(own, "tbnk", "1.0.1").strategy.name == "tbnk@1.0.1"
    assert set(read_lock(own)) == {*read_lock(shipped()), "tbnk@1.0.1"}


def test_strategies_released_at_once_are_all_in_the_lock(own):
    text = (own / "tbnk" / "1.0.0" / "strategy.yaml").read_text(encoding="utf-8")
    numbers = [f"1.0.{number}" for number in range(1, 7)]
    for number in numbers:
        (own / "tbnk" / number).mkdir()
        (own / "tbnk" / number / "strategy.yaml").write_text(
            text.replace("version: 1.0.0", f"version: {number}"), encoding="utf-8"
        )
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: lock_release(own, "tbnk", number), numbers))
    assert {f"tbnk@{number}" for number in numbers} <= set(read_lock(own))


@pytest.mark.parametrize("stray", [b"\x00\xff\n", b"tbnk@1.0.0\n", b"=======\n"])
def test_a_lock_with_stray_bytes_is_refused_with_its_line(own, stray):
    (own / "LOCK").write_bytes(stray + (own / "LOCK").read_bytes())
    with pytest.raises(StrategyFault, match="LOCK, line 1"):
        load_strategy("tbnk@1.0.0", own)


def test_an_unknown_pin_lists_what_there_is():
    with pytest.raises(StrategyFault, match=r"no strategy 'bcel@1'.*bcell@1\.0\.0"):
        load_strategy("bcel@1")


def test_an_error_names_the_file_the_gate_and_the_key_that_was_meant(own):
    path = own / "tbnk" / "1.0.0" / "strategy.yaml"
    path.write_text(path.read_text().replace("{above: cd19}", "{abov: cd19}", 1))
    with pytest.raises(
        StrategyFault,
        match=r"strategy\.yaml, line \d+: gates → b_cells → rectangle → CD19 → abov: .*'above'\?$",
    ):
        read_strategy(path)


@needs_shared
def test_a_lab_s_own_panel_and_strategy_give_the_reference_counts_of_the_real_b_cell_tube():
    from gating.evaluation.compile import compile_strategy
    from gating.evaluation.engine import evaluate
    from gating.fcs.events import open_events
    from gating.fcs.header import read_header
    from panels.panel import match_panel

    header = read_header(SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.fcs")
    strategy = load_strategy("lyoplate_b@1", LYOPLATE / "strategies").strategy
    match = match_panel(load_panel("lyoplate", LYOPLATE / "panels"), header.channels)
    assert match.problems == ()
    compiled = compile_strategy(strategy, match, header)
    kept = evaluate(compiled.gating, open_events(header), header)
    counts = {
        population.id: kept.count(compiled.path_of[population.gate])
        for population in strategy.populations
    }
    assert counts == {
        "lymphocytes": 51652,
        "t_cells": 32421,
        "b_cells": 11028,
        "naive_b": 9219,
        "transitional_b": 1070,
        "unswitched_memory_b": 454,
        "switched_memory_b": 590,
        "double_negative_b": 765,
        "plasmablasts": 67,
    }
    assert read_lock(shipped())
