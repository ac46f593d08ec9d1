"""A calibration is released only where it makes sense for its strategy, and says its changes."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gating.calibration.catalogue import find_calibration, place_of, read_lock
from gating.calibration.model import Calibration
from panels.text.errors import CalibrationFault
from tasks.calibrate.release import calibration_changes, release_calibration

NUMBERS = find_calibration("bcell/simulated@1.0.0").calibration


def whole(**other: object) -> dict[str, object]:
    """Make a draft with every number of bcell@3.0.0."""
    content = NUMBERS.model_dump(mode="json", exclude_none=True)
    content |= {
        "instrument": "lyric-2",
        "relative_to": "bcell/simulated@1.0.0",
        "cytometers": [{"name": "BD FACSLyric", "serial": "R1"}],
    }
    return content | other


def changed(part: str, change: Mapping[str, object]) -> dict[str, object]:
    """Make a draft in which some entries of a part are others."""
    content = whole()
    entries = content[part]
    assert isinstance(entries, dict)
    return content | {part: entries | dict(change)}


def release(study: Path, content: dict[str, object]) -> None:
    """Write a draft and release it."""
    draft = Calibration.model_validate(content)
    path = place_of(study / "calibrations", draft.pin)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draft.model_dump_json(exclude_none=True), encoding="utf-8")
    name = (draft.panel, draft.instrument)
    release_calibration(study, name, draft.version, by="A. Keller", reason="a test")


def test_a_whole_draft_is_released(tmp_path: Path) -> None:
    release(tmp_path, whole())
    assert list(read_lock(tmp_path / "calibrations")) == ["bcell/lyric-2@1.0.0"]
    changes = tmp_path / "calibrations" / "bcell" / "lyric-2" / "1.0.0" / "CHANGES.md"
    assert "Released by A. Keller" in changes.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (changed("thresholds", {"cd38_tr": {"value": 60_000}}), "lie in the other order"),
        (changed("thresholds", {"cd91": {"value": 600}}), "has no threshold 'cd91'"),
        (changed("landmarks", {"lymphocyte": {"CD45": 5}}), "did you mean 'lymphocytes'"),
        (changed("landmarks", {"b_cells": {"CD21": 5}}), "is not read on 'CD21'"),
        (
            changed("landmarks", {"granulocytes": {"FSC-A": 60_000}}),
            "landmarks on FSC-A lie in another order",
        ),
        (whole(beads={"CD19": 5}), "looks for no beads on 'CD19'"),
        (whole(cytometers=[]), "names no cytometer"),
        (whole(strategy="cart@4.0.0"), "drawn on"),
        (whole(relative_to=None), "drawn on"),
        (whole(instrument="simulated"), "is a shipped calibration"),
        (
            changed("thresholds", {"cd19": {"value": 1000, "clears": [1, 2, 3]}}),
            "3 numbers under 'clears'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    tmp_path: Path, content: dict[str, object], said: str
) -> None:
    with pytest.raises(CalibrationFault, match=said):
        release(tmp_path, content)
    assert read_lock(tmp_path / "calibrations") == {}
    assert list(tmp_path.rglob("CHANGES.md")) == []


@pytest.mark.parametrize("name", ["..", "a/b", "Gerät", "", "x" * 80])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CalibrationFault, match="no name of a calibration"):
        release_calibration(tmp_path, ("bcell", name), "1.0.0", by="A", reason="B")


def test_every_entry_that_differs_is_named() -> None:
    old = Calibration.model_validate(whole())
    new = Calibration.model_validate(
        changed("thresholds", {"cd19": {"value": 2000, "limits": [900, 4000], "spread": 112}})
        | {
            "since": "2026-11-30",
            "batches": ["lot 7"],
            "cytometers": [{"name": "BD FACSLyric", "serial": "R2"}],
        }
    )
    texts = [change.text for change in calibration_changes(old, new)]
    assert "cd19: 1100 → 2000 (1.82 ×)" in texts
    assert "cd19 lower limit: 550 → 900 (1.64 ×)" in texts
    assert "cytometer 1: BD FACSLyric R1 → BD FACSLyric R2" in texts
    assert "since: 2026-11-30, which was not there before" in texts
    assert "batches: lot 7, which was not there before" in texts
    assert len(texts) == 6
    assert list(calibration_changes(old, old)) == []
