"""Rewrite simulated tubes as another instrument's, whose detectors, gains and names are its own.

The values are unmixed (compensated with the tube's own spill, and stored with an identity matrix),
16 times as large on a range of 4,194,304, each detector with a gain of its own; scatter is scaled
too. The cells stay the same, event by event, so that the truth beside the tubes holds.
"""

import csv
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from gating.fcs.events import open_events
from gating.fcs.header import read_header
from panels.catalogue import load_panel
from panels.panel import match_panel
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs

RANGE = 4_194_304
FACTOR = 16
CYTOMETER, SERIAL = "Spectral Five", "SN-0042"
SCATTER = {"FSC-A": 0.6, "FSC-H": 0.6, "SSC-A": 1.7}


@dataclass(frozen=True)
class OtherInstrument:
    """Names and gains of another instrument: by panel and marker."""

    gains: Mapping[tuple[str, str], float]
    scatter: Mapping[str, float]

    def detector(self, panel: str, marker: str) -> str:
        """Name the detector of a marker."""
        markers = [stain.marker for stain in load_panel(panel).markers]
        return f"U{markers.index(marker) + 1}-A"


def other_instrument(
    seed: int,
    *,
    low: float = 0.4,
    high: float = 2.5,
    scatter: Mapping[str, float] = SCATTER,
    panels: tuple[str, ...] = ("bcell", "cart", "tbnk"),
) -> OtherInstrument:
    """Draw the gains of an instrument, evenly on the logarithm from ``low`` to ``high``."""
    rng = np.random.default_rng(seed)
    gains = {
        (name, stain.marker): float(np.exp(rng.uniform(np.log(low), np.log(high))))
        for name in panels
        for stain in load_panel(name).markers
    }
    return OtherInstrument(gains, scatter)


def rewrite_study(source: Path, target: Path, instrument: OtherInstrument) -> None:
    """Write a simulated study anew as if another instrument had acquired its tubes.

    The study gets panels of its own, which say where the markers are read now.
    """
    (target / "inbox").mkdir(parents=True)
    for name in ("study.yaml", "patients.csv"):
        shutil.copy(source / name, target / name)
    with (source / "samples.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["instrument"] = "five"
        rewrite_tube(
            source / "inbox" / row["file"],
            target / "inbox" / row["file"],
            row["panel"],
            instrument,
        )
    with (target / "samples.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for name in sorted({row["panel"] for row in rows}):
        write_panel(target / "panels", name, instrument)


def write_panel(folder: Path, name: str, instrument: OtherInstrument) -> None:
    """Write the panel of another instrument: its detectors, and nothing to compensate."""
    content = load_panel(name).model_dump(mode="json", exclude={"instruments", "matrix"})
    content |= {"version": "2.0.0", "instrument": CYTOMETER, "compensated": False}
    for stain in content["markers"]:
        stain["detector"] = instrument.detector(name, stain["marker"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def rewrite_tube(source: Path, target: Path, panel: str, instrument: OtherInstrument) -> None:
    """Write one tube anew; its events stay in their order."""
    header = read_header(source)
    events = open_events(header)
    values = np.asarray(events.columns(list(range(len(header.channels))), slice(None)))
    match = match_panel(load_panel(panel), header.channels)
    if header.spill is not None:
        names = [channel.detector for channel in header.channels]
        places = [names.index(name) for name in header.spill.detectors]
        values[:, places] = values[:, places] @ np.linalg.inv(header.spill.matrix)
    channels = []
    names_of = {index: name for name, index in match.channel.items()}
    for channel in header.channels:
        name = names_of.get(channel.index)
        gain, detector, label, maximum = FACTOR * 1.0, channel.detector, "", RANGE
        if name in instrument.scatter:
            gain *= instrument.scatter[name]
        elif (panel, name) in instrument.gains:
            gain *= instrument.gains[panel, name]
            detector, label = instrument.detector(panel, name), channel.label
        else:
            gain, maximum = 1.0, int(channel.maximum)
        if gain != 1.0:
            values[:, channel.index] = np.minimum(values[:, channel.index] * gain, RANGE - 1)
        channels.append(FcsChannel(detector=detector, label=label, maximum=maximum))
    stains = [channel.detector for channel in channels if channel.detector.startswith("U")]
    kept = ("$FIL", "$DATE", "$BTIM", "$ETIM", "$TIMESTEP", "TUBE NAME")
    write_fcs(
        target,
        values.astype(np.float32),
        channels,
        dialect="fcs3.1-le",
        spill=FcsSpill(tuple(stains), np.eye(len(stains))),
        keywords={key: header.keywords[key] for key in kept if key in header.keywords}
        | {"$CYT": CYTOMETER, "$CYTSN": SERIAL},
    )
