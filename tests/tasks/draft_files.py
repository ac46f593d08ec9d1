"""Lay drafts of calibrations and strategies into a study, as people and commands write them."""

import shutil
from pathlib import Path

import pytest

from gating.calibration.catalogue import find_calibration
from gating.strategy.catalogue import shipped
from tasks.study.folder import Study, open_study
from tests.tasks.made_once import made_once
from tests.tasks.simulated_patient import accompanied

NUMBERS = find_calibration("bcell/simulated@1.0.0").calibration
CALIBRATION = "calibration/bcell/lyric-2/1.0.0"
STRATEGY = "strategy/bcell/2.1.0"


def counted_with_drafts(temporary: pytest.TempPathFactory) -> Study:
    """Count a study with both drafts once for all tests of a run; they work on copies of it."""

    def make(folder: Path) -> None:
        study = open_study(shutil.copytree(accompanied(temporary), folder))
        lay_calibration(study)
        lay_strategy(study)

    return open_study(made_once(temporary, "counted_with_drafts", make))


def lay_calibration(
    study: Study,
    *,
    gain: float = 1.1,
    landmarks: float = 1.0,
    instrument: str = "lyric-2",
    more: str = "",
) -> Path:
    """Draft the numbers of the simulated instrument, thresholds times ``gain``.

    Its ``landmarks`` are multiplied as well.
    """
    lines = [
        "# A draft for a test.",
        "panel: bcell",
        f"instrument: {instrument}",
        "version: 1.0.0",
        'title: "drafted # by hand"',
        "strategy: bcell@3.0.0",
        "relative_to: bcell/simulated@1.0.0",
        "cytometers:",
        "  - {name: BD FACSLyric, serial: SIMULATED}",
        *filter(None, [more]),
        "thresholds:",
    ]
    for name, each in NUMBERS.thresholds.items():
        assert each.limits is not None
        low, high = (number * gain for number in each.limits)
        rest = f", anchor: {each.anchor:g}" if each.anchor else ""
        rest += f", spread: {each.spread:g}" if each.spread else ""
        value = f"value: {each.value * gain:g}, limits: [{low:g}, {high:g}]{rest}"
        lines.append(f"  {name}: {{{value}}}  # landmark, 2 tubes")
    lines.append("landmarks:")
    for name, places in NUMBERS.landmarks.items():
        listed = ", ".join(f"{axis}: {place * landmarks:g}" for axis, place in places.items())
        lines.append(f"  {name}: {{{listed}}}")
    path = study.own_calibrations / "bcell" / instrument / "1.0.0" / "calibration.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def lay_strategy(study: Study, version: str = "2.1.0", of: str = "2.0.0") -> Path:
    """Draft a next version of a shipped B-cell strategy; 2.0.0 holds its own numbers."""
    text = (shipped() / "bcell" / of / "strategy.yaml").read_text(encoding="utf-8")
    assert text.count(f"version: {of}\n") == 1
    path = study.own_strategies / "bcell" / version / "strategy.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(f"version: {of}\n", f"version: {version}\n"), encoding="utf-8")
    return path
