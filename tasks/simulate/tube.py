"""Write one simulated tube: the FCS file into the inbox, the truth into a folder apart.

The pipeline never reads the truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID
from zlib import crc32

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from panels.catalogue import load_panel
from panels.panel import Panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import EventTruth, SimulatedTube, TrueCount, simulate_tube, true_counts
from tasks.simulate.fcs import Dialect, FcsChannel, FcsSpill, write_fcs

SERIAL = "SIMULATED"
"""The serial number of the simulated instruments, which no real one has."""
Instrument = Literal["BD FACSLyric", "BD FACSDiva"]

_DIALECTS: Mapping[Instrument, Dialect] = {
    "BD FACSLyric": "fcs3.1-le",
    "BD FACSDiva": "diva-fcs3.0-be",
}


@dataclass(frozen=True, slots=True)
class TubePlan:
    """Everything needed to make one tube, picklable and independent of every other tube.

    ``composition`` is the expected number of each kind of cell in what is acquired; ``seed`` is
    (study seed, patient, visit, tube).
    """

    file: str
    panel: str
    instrument: Instrument
    acquired: datetime
    composition: Mapping[str, float]
    conditions: Conditions
    seed: tuple[int, str, str, str]


@dataclass(frozen=True, slots=True)
class WrittenTube:
    """What was written: the number of events and the true counts.

    Counts are by population and by kind of cell (``kind:<name>``).
    """

    file: str
    events: int
    counts: Mapping[str, TrueCount]


def generator(seed: int, *names: str) -> Generator:
    """Give the random generator of a study, patient, visit or tube.

    The same names give the same numbers, on any machine.
    """
    return default_rng(SeedSequence([seed, *(crc32(name.encode()) for name in names)]))


def write_tube(plan: TubePlan, inbox: Path, truth: Path) -> WrittenTube:
    """Simulate one tube and write ``inbox/<file>`` and ``truth/events/<file stem>.parquet``."""
    rng = generator(*plan.seed)
    panel = load_panel(plan.panel)
    tube = simulate_tube(panel, plan.composition, plan.conditions, rng)
    names = _detector_names(panel, plan.instrument)
    channels = [
        _channel(names.get(name, name), label)
        for name, label in zip(tube.detectors, tube.labels, strict=True)
    ]
    write_fcs(
        inbox / plan.file,
        tube.events,
        channels,
        dialect=_DIALECTS[plan.instrument],
        spill=FcsSpill(tuple(names[name] for name in tube.spill_detectors), tube.stored_spill),
        keywords=_keywords(plan, tube, rng),
    )
    _write_event_truth(tube.truth, truth / "events" / f"{Path(plan.file).stem}.parquet")
    return WrittenTube(file=plan.file, events=len(tube.events), counts=true_counts(tube.truth))


def _detector_names(panel: Panel, instrument: Instrument) -> dict[str, str]:
    """Translate the panel's detector names into those of an instrument.

    FACSDiva writes PerCP-Cy5-5-A where others write PerCP-Cy5.5-A.
    """
    of_marker = panel.detectors()[instrument]
    names = {stain.detector: of_marker[stain.marker] for stain in panel.markers}
    if instrument == "BD FACSDiva":
        return {detector: name.replace(".", "-") for detector, name in names.items()}
    return names


def _channel(detector: str, label: str) -> FcsChannel:
    voltage = None if detector == "Time" else 300 + crc32(detector.encode()) % 300
    return FcsChannel(detector=detector, label=label, voltage=voltage)


def _keywords(plan: TubePlan, tube: SimulatedTube, rng: Generator) -> dict[str, str]:
    """Give the acquisition keywords an instrument of this family writes; none names a patient."""
    seconds = 0.0
    if len(tube.events):
        seconds = float(tube.events[-1, -1]) * tube.time_step
    begin, end = plan.acquired, plan.acquired + timedelta(seconds=seconds)
    common = {
        "$FIL": plan.file,
        "$DATE": begin.strftime("%d-%b-%Y").upper(),
        "$TIMESTEP": f"{tube.time_step:g}",
        "TUBE NAME": plan.panel,
    }
    if plan.instrument == "BD FACSLyric":
        return {
            **common,
            "$BTIM": begin.strftime("%H:%M:%S.00"),
            "$ETIM": end.strftime("%H:%M:%S.00"),
            "$CYT": "BD FACSLyric",
            "$CYTSN": SERIAL,
            "CREATOR": "BD FACSuite 1.5",
        }
    channel, minimum = plan.conditions.trigger
    return {
        **common,
        "$BTIM": begin.strftime("%H:%M:%S"),
        "$ETIM": end.strftime("%H:%M:%S"),
        "$CYT": "FACSCanto II" if plan.panel == "tbnk" else "FACSymphony A3",
        "CYTNUM": SERIAL,
        "CREATOR": "BD FACSDiva Software Version 8.0.1",
        "APPLY COMPENSATION": "TRUE",
        "THRESHOLD": f"{channel.removesuffix('-A')},{minimum:.0f}",
        "GUID": str(UUID(bytes=rng.bytes(16), version=4)),
    }


def _write_event_truth(truth: EventTruth, path: Path) -> None:
    """Write one row an event, in the order of the file's events."""
    import pandas as pd

    kinds = pd.Index(truth.kinds)
    frame = pd.DataFrame(
        {
            "event_index": np.arange(truth.kind.size, dtype=np.int32),
            "kind": pd.Categorical.from_codes(truth.kind, categories=kinds),
            "partner": pd.Categorical.from_codes(truth.partner, categories=kinds),
            "intact": truth.intact,
            "dead": truth.dead,
            "carried_over": truth.carried_over,
            "time_anomaly": truth.time_anomaly,
        }
    )
    frame.to_parquet(path, compression="zstd", index=False)
