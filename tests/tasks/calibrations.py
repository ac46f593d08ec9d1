"""Write and release calibrations in a study's folder, and tubes of instruments of their own."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gating.calibration.catalogue import place_of, read_calibration
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.strategy.catalogue import load_strategy, shipped
from gating.strategy.threshold import Threshold
from panels.files.lock import lock_content
from panels.text.errors import CalibrationFault
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.strategies.release import lock_release
from tasks.study.folder import Study

NOT_SCALED = ("FSC", "SSC", "Time")


def release_calibration(
    study: Study,
    pin: str,
    cytometers: Mapping[str, str],
    *,
    gain: float = 1.0,
    without: Collection[str] = (),
    strategy: str = "bcell@2.0.0",
    **more: Any,
) -> str:
    """Release a calibration of an instrument whose detectors have ``gain`` times the usual gain.

    ``cytometers`` maps ``$CYT`` to serial number, ``without`` names thresholds it could not
    measure. Gives the SHA-256 of its content.
    """
    (panel, instrument), version = pin.partition("@")[0].split("/"), pin.partition("@")[2]
    drawn = load_strategy(strategy, study.own_strategies).strategy
    declared = drawn.thresholds
    content = {
        "panel": panel,
        "instrument": instrument,
        "version": version,
        "title": f"A calibration for a test, gain {gain:g}",
        "strategy": strategy,
        "cytometers": [{"name": name, "serial": each} for name, each in cytometers.items()],
        "thresholds": {
            name: _numbers(each, gain) for name, each in declared.items() if name not in without
        },
        "landmarks": {
            name: {
                axis: at if axis.startswith(NOT_SCALED) else at * gain
                for axis, at in landmark.at.items()
            }
            for name, landmark in drawn.landmarks.items()
        },
        "unmeasured": dict.fromkeys(without, "no tube holds such cells"),
        **more,
    }
    path = place_of(study.own_calibrations, pin)
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    sha256 = read_calibration(path).sha256
    lock_content(study.own_calibrations, pin, sha256, CalibrationFault)
    return sha256


def release_strategy(study: Study, instruments: Collection[str]) -> str:
    """Release the shipped B-cell strategy as the study's own, with numbers for some instruments.

    It has the landmarks of the version after it. Gives its pin.
    """
    landmarks = {
        name: landmark.model_dump(mode="json")
        for name, landmark in load_strategy("bcell@3.0.0").strategy.landmarks.items()
    }
    written = (shipped() / "bcell" / "2.0.0" / "strategy.yaml").read_text(encoding="utf-8")
    assert written.count("version: 2.0.0\n") == 1
    named = f"version: 2.0.9\ninstruments: [{', '.join(instruments)}]\n"
    path = study.own_strategies / "bcell" / "2.0.9" / "strategy.yaml"
    path.parent.mkdir(parents=True)
    text = written.replace("version: 2.0.0\n", named) + yaml.safe_dump({"landmarks": landmarks})
    path.write_text(text, encoding="utf-8")
    return lock_release(study.own_strategies, "bcell", "2.0.9").strategy.name


def release_drawn_strategy(study: Study, calibration: str) -> str:
    """Release the shipped B-cell strategy with its numbers taken out: they are a calibration's.

    Gives its pin.
    """
    shipped_file = shipped() / "bcell" / "2.0.0" / "strategy.yaml"
    content = yaml.safe_load(shipped_file.read_text(encoding="utf-8"))
    content |= {"version": "2.9.0", "calibration": calibration}
    for threshold in content["thresholds"].values():
        del threshold["value"]
        threshold.pop("limits", None)
        threshold.get("anchor", {}).pop("median", None)
        threshold.get("negative", {}).pop("spread", None)
        for stretch in threshold.get("negative", {}).get("clearance", []):
            stretch.pop("clears", None)
    path = study.own_strategies / "bcell" / "2.9.0" / "strategy.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return lock_release(study.own_strategies, "bcell", "2.9.0").strategy.name


def _numbers(threshold: Threshold, gain: float) -> dict[str, Any]:
    numbers: dict[str, Any] = {"value": threshold.value * gain}
    if threshold.limits is not None:
        numbers["limits"] = [each * gain for each in threshold.limits]
    if threshold.anchor is not None:
        numbers["anchor"] = threshold.anchor.median * gain
    if threshold.negative is not None:
        numbers["spread"] = threshold.negative.spread * gain
        numbers["clears"] = [each.clears for each in threshold.negative.clearance]
    return numbers


def as_of_instrument(path: Path, target: Path, cytometer: str, serial: str, gain: float) -> None:
    """Write a tube as another instrument would: its detectors have ``gain`` times the gain."""
    header = read_header(path)
    events = open_events(header).columns(range(len(header.channels)))
    scaled = [not each.detector.startswith(NOT_SCALED) for each in header.channels]
    events[:, scaled] *= gain
    assert header.spill is not None
    write_fcs(
        target,
        events.astype(np.float32),
        [FcsChannel(each.detector, each.label) for each in header.channels],
        dialect="fcs3.1-le",
        spill=FcsSpill(header.spill.detectors, header.spill.matrix),
        keywords={"$TIMESTEP": f"{header.time_step:g}", "$CYT": cytometer, "$CYTSN": serial},
    )
