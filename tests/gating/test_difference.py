"""What changed between two versions is said in words, and the version number has to agree with
it."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gating.strategy.catalogue import load_strategy, read_lock, shipped
from gating.strategy.difference import compare
from gating.strategy.model import Strategy
from panels.text.errors import StrategyFault
from tasks.strategies.release import release_version

BASE: dict[str, Any] = {
    "strategy": "small",
    "version": "1.0.0",
    "title": "T cells",
    "panel": "tbnk",
    "thresholds": {
        "cd3": {"marker": "CD3", "value": 1000, "evidence": "valley", "limits": [800, 1200]},
        "cd4": {"marker": "CD4", "value": 900, "evidence": "valley"},
    },
    "gates": [
        {
            "gate": "cells",
            "parent": "root",
            "polygon": {"x": "FSC-A", "y": "SSC-A", "vertices": [[0, 0], [9e4, 0], [9e4, 9e4]]},
        },
        {"gate": "t", "parent": "cells", "rectangle": {"CD3": {"above": "cd3"}}},
        {
            "gate": "t4",
            "parent": "t",
            "rectangle": {"CD4": {"above": "cd4"}, "CD8": {"below": 700}},
        },
        {"gate": "not_t4", "parent": "t", "none_of": ["t4"]},
        {
            "gate": "four",
            "parent": "t",
            "quadrant": {
                "x": "CD4",
                "y": "CD8",
                "x_divider": "cd4",
                "y_divider": 700.0,
                "quadrants": {"+-": "helper", "-+": "killer"},
            },
        },
    ],
    "populations": [{"id": "t_cells", "gate": "t", "label": "T", "reference": "t_cells"}],
}


def changed(edit, version: str = "1.0.0") -> dict[str, Any]:
    document = deepcopy(BASE) | {"version": version}
    edit(document)
    return document


def texts(edit) -> dict[str, str]:
    """Give what a change of the base is said to be, with the step it asks for."""
    difference = compare(Strategy.model_validate(BASE), Strategy.model_validate(changed(edit)))
    json.dumps(difference.document(), allow_nan=False)
    return {change.text: change.step for change in difference.changes}


def test_a_version_does_not_differ_from_itself():
    for folder in shipped().glob("*/*/strategy.yaml"):
        value = load_strategy(f"{folder.parent.parent.name}@{folder.parent.name}").strategy
        assert compare(value, value).changes == ()
        assert compare(value, value).step == "none"


def add(document, *, gate=None, population=None):
    document["gates"] += [gate] if gate else []
    document["populations"] += [population] if population else []


def gate(document, name):
    return next(each for each in document["gates"] if each["gate"] == name)


def rename(document):
    document["gates"][1]["gate"] = "t_all"
    for each in document["gates"][2:]:
        each["parent"] = "t_all"
    document["populations"][0]["gate"] = "t_all"


NEW_GATE = {"gate": "t8", "parent": "t", "rectangle": {"CD8": {"above": 700}}}
NEW_POPULATION = {"id": "cd4_t", "gate": "t4", "label": "T4", "reference": "t_cells"}
CASES = {
    "within limits": (
        lambda d: d["thresholds"]["cd3"].update(value=1100),
        {
            "gate t: lower bound on CD3 moves from 1000 to 1100 (threshold cd3)": "patch",
            "threshold cd3 moves from 1000 to 1100: within its limits (800, 1200)": "patch",
        },
    ),
    "beyond limits": (
        lambda d: d["thresholds"]["cd3"].update(value=1300, limits=[800, 1400]),
        {
            "gate t: lower bound on CD3 moves from 1000 to 1300 (threshold cd3)": "major",
            "threshold cd3 moves from 1000 to 1300: beyond its limits (800, 1200)": "major",
            "threshold cd3: limits is now (800, 1400) (was (800, 1200))": "major",
        },
    ),
    "without limits": (
        lambda d: d["thresholds"]["cd4"].update(value=901),
        {
            "gate t4: lower bound on CD4 moves from 900 to 901 (threshold cd4)": "major",
            "gate four: divider on CD4 moves from 900 to 901 (threshold cd4)": "major",
            "threshold cd4 moves from 900 to 901: it declares no limits": "major",
        },
    ),
    "a number of its own": (
        lambda d: gate(d, "t4")["rectangle"]["CD8"].update(below=750),
        {"gate t4: upper bound on CD8 moves from 700 to 750": "major"},
    ),
    "a bound more": (
        lambda d: gate(d, "t4")["rectangle"]["CD8"].update(above=-100),
        {"gate t4: lower bound on CD8 is added at -100": "major"},
    ),
    "a bound named": (
        lambda d: gate(d, "t")["rectangle"]["CD3"].update(above=1000),
        {"gate t: lower bound on CD3 stays 1000 and is now a number of its own": "patch"},
    ),
    "a gate and its population": (
        lambda d: add(
            d,
            gate=NEW_GATE,
            population=NEW_POPULATION | {"id": "cd8_t", "gate": "t8", "label": "T8"},
        ),
        {
            "gate t8 is added under t (rectangle CD8)": "minor",
            "population cd8_t is added: T8, counted in t8": "minor",
        },
    ),
    "a gate less": (lambda d: d["gates"].pop(3), {"gate not_t4 is removed (was under t)": "major"}),
    "a parent renamed": (
        rename,
        {
            "gate t is now called t_all": None,
            "gate t4: its parent t is now called t_all": "major",
            "gate not_t4: its parent t is now called t_all": "major",
            "gate four: its parent t is now called t_all": "major",
            "population t_cells: gate is now t_all (was t)": "major",
        },
    ),
    "a gate moved": (
        lambda d: gate(d, "t4").update(parent="cells"),
        {"gate t4 moves from under t to under cells": "major"},
    ),
    "a polygon": (
        lambda d: gate(d, "cells")["polygon"]["vertices"].__setitem__(0, [5, 5]),
        {
            (
                "gate cells: vertices is now ((5, 5), (90000, 0), (90000, 90000)) (was ((0, 0), "
                "(90000, 0), (90000, 90000)))"
            ): "major"
        },
    ),
    "another shape": (
        lambda d: d["gates"].__setitem__(
            3, {"gate": "not_t4", "parent": "t", "rectangle": {"CD4": {"below": 900}}}
        ),
        {"gate not_t4 is now a rectangle CD4 (was a none of t4)": "major"},
    ),
    "other members": (
        lambda d: gate(d, "not_t4").update(none_of=["helper"]),
        {"gate not_t4 no longer combines t4 and now combines helper too": "major"},
    ),
    "a scale": (
        lambda d: d.update(scales={"CD8": {"w": 1.0}}),
        {
            (
                "the scale of CD8 is now kind logicle, w 1, m 4.5, a 0 (was kind logicle, w 0.5, "
                "m 4.5, a 0)"
            ): "major"
        },
    ),
    "a rule": (
        lambda d: d["populations"][0].update(minimum_parent_events=100),
        {"population t_cells: minimum parent events is now 100 (was 0)": "major"},
    ),
    "words": (
        lambda d: (
            d.update(title="T"),
            gate(d, "t").update(note="why"),
            d["populations"][0].update(label="T cells"),
        ),
        {
            "gate t: note is now why (was not given)": "patch",
            "population t_cells: label is now T cells (was T)": "patch",
            "strategy: title is now T (was T cells)": "patch",
        },
    ),
    "order": (
        lambda d: d["gates"].insert(2, d["gates"].pop(4)),
        {"the gates are listed in another order": "patch"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_said_in_words_with_the_step_it_asks_for(case):
    edit, expected = CASES[case]
    said = texts(edit)
    assert set(said) == set(expected)
    assert {text: step for text, step in said.items() if expected[text]} == {
        t: s for t, s in expected.items() if s
    }


# Release


def write(
    study: Path,
    document: dict[str, Any],
    reasons: str | None = "# small\n\nMoved on control tubes, approved by the head.\n",
) -> None:
    folder = study / "strategies" / document["strategy"] / document["version"]
    folder.mkdir(parents=True)
    (folder / "strategy.yaml").write_text(json.dumps(document))
    if reasons is not None:
        (folder / "CHANGES.md").write_text(reasons)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Make a study whose own strategy small@1.0.0 is released."""
    write(tmp_path, BASE)
    release_version(tmp_path, "small", "1.0.0")
    return tmp_path


def test_a_released_version_is_locked_and_found(study):
    assert (
        load_strategy("small@1", study / "strategies").sha256
        == read_lock(study / "strategies")["small@1.0.0"]
    )
    with pytest.raises(StrategyFault, match=r"small@1\.0\.0 is already released"):
        release_version(study, "small", "1.0.0")


@pytest.mark.parametrize(
    ("case", "right", "wrong"),
    [
        ("within limits", "1.0.1", ["1.1.0", "2.0.0"]),
        ("a gate and its population", "1.1.0", ["1.0.1", "2.0.0"]),
        ("beyond limits", "2.0.0", ["1.0.1", "1.1.0"]),
        ("a gate less", "2.0.0", ["1.0.1", "1.1.0"]),
    ],
)
def test_the_version_number_has_to_say_what_changed(study, case, right, wrong):
    for version in wrong:
        write(study, changed(CASES[case][0], version))
        with pytest.raises(
            StrategyFault, match=rf"small@{version}: the number says .* Call it {right} or later"
        ):
            release_version(study, "small", version)
    write(study, changed(CASES[case][0], right))
    release, difference = release_version(study, "small", right)
    assert release.strategy.version == right
    assert difference.old == "small@1.0.0"


def test_a_draft_does_not_disturb_what_is_released(study):
    write(study, changed(CASES["within limits"][0], "1.0.1"))
    assert load_strategy("small@1", study / "strategies").strategy.version == "1.0.0"
    with pytest.raises(StrategyFault, match="has not been released"):
        load_strategy("small@1.0.1", study / "strategies")


@pytest.mark.parametrize("reasons", [None, "", "  \n", "# small 1.0.1\n"])
def test_a_version_without_reasons_is_not_released(study, reasons):
    write(study, changed(CASES["within limits"][0], "1.0.1"), reasons)
    with pytest.raises(StrategyFault, match=r"CHANGES\.md: say in it what changed, why"):
        release_version(study, "small", "1.0.1")
    assert "small@1.0.1" not in read_lock(study / "strategies")


def test_a_version_that_changes_nothing_is_not_released(study):
    write(study, BASE | {"version": "1.0.1"})
    with pytest.raises(StrategyFault, match=r"nothing differs from small@1\.0\.0"):
        release_version(study, "small", "1.0.1")


def test_a_successor_of_a_shipped_version_is_held_against_it(tmp_path):
    shipped_version = load_strategy("tbnk").strategy
    source = YAML(typ="safe", pure=True).load(
        (shipped() / "tbnk" / shipped_version.version / "strategy.yaml").read_text()
    )
    later = ".".join(
        [
            *shipped_version.version.split(".")[:2],
            str(int(shipped_version.version.split(".")[2]) + 1),
        ]
    )
    *kept, dropped = source["gates"]
    landmarks = {
        name: each for name, each in source["landmarks"].items() if each["gate"] != dropped["gate"]
    }
    changes = {"version": later, "gates": kept, "landmarks": landmarks, "populations": []}
    write(tmp_path, source | changes)
    with pytest.raises(StrategyFault, match="a definition changes"):
        release_version(tmp_path, "tbnk", later)


def test_a_strategy_for_markers_its_panel_lacks_is_not_released(tmp_path):
    gates = [*BASE["gates"], {"gate": "x", "parent": "root", "rectangle": {"CD99": {"above": 1}}}]
    write(tmp_path, BASE | {"gates": gates})
    with pytest.raises(StrategyFault, match=r"line \d+: the panel tbnk does not read 'CD99'"):
        release_version(tmp_path, "small", "1.0.0")


@pytest.mark.parametrize("words", [("../small", "1.0.0"), ("small", "1.0"), ("small", "9.9.9")])
def test_what_is_not_there_is_not_released(study, words):
    with pytest.raises(StrategyFault):
        release_version(study, *words)


def test_a_threshold_lies_within_its_own_limits():
    with pytest.raises(ValueError, match="must lie within 'limits'"):
        Strategy.model_validate(changed(lambda d: d["thresholds"]["cd3"].update(value=5000)))
