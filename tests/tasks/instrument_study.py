"""Make studies whose tubes were run on known instruments, and count them without their pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from panels.catalogue import load_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from tasks.intake.take_in import take_in
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.store.gatings import save_gating
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.tubes.count_tube import counting_inputs
from tasks.tubes.gate_tube import gate_tube
from tests.tasks.study_folder import AT_ONCE, make_study, write_rows

HEADER = "file,patient,collected,panel,visit,acquired,instrument,batch,control\n"
BLOOD = {
    "granulocyte": 700.0,
    "monocyte": 150.0,
    "t_cd4_cm": 700.0,
    "t_cd4_em": 300.0,
    "t_cd8_em": 500.0,
    "nk": 250.0,
    "naive_mature_b": 120.0,
}
INFUSED = datetime.fromisoformat("2025-01-10T11:00")
FIRST = datetime.fromisoformat("2026-01-05T08:00")
"""When the first tube is drawn: long after all infusions."""


@dataclass(frozen=True)
class Run:
    """One tube of a panel on an instrument, ``day`` days after ``FIRST``."""

    serial: str
    day: float
    patient: str = "P01"
    panel: str = "tbnk"
    lot: str = "L1"
    named: str = ""
    control: str = ""
    gain: Mapping[str, float] = field(default_factory=dict)
    abundance: Mapping[str, float] = field(default_factory=dict)


def instrument_study(
    folder: Path,
    runs: Sequence[Run],
    *,
    infused: Mapping[str, datetime],
    settings: str = AT_ONCE,
) -> Study:
    """Write a study of these tubes, take them in and count them; ``infused`` is by patient."""
    study = write_instrument_study(folder, runs, infused=infused, settings=settings)
    take_in(study)
    count_without_pictures(study)
    return study


def write_instrument_study(
    folder: Path,
    runs: Sequence[Run],
    *,
    infused: Mapping[str, datetime],
    settings: str = AT_ONCE,
) -> Study:
    """Write a study with these tubes in its inbox; ``infused`` is by patient."""
    study = make_study(folder, settings=settings)
    for number, run in enumerate(runs):
        _write(study.inbox / _file(number), run, np.random.default_rng([20, number]))
    rows = [
        f"{_file(number)},{run.patient},{_time(run.day)},{run.panel},"
        f"V{run.day:g},{_time(run.day)},{run.named},{run.lot},{run.control}"
        for number, run in enumerate(runs)
    ]
    write_rows(folder, rows, header=HEADER)
    lines = "".join(f"{patient},{at.isoformat()}\n" for patient, at in infused.items())
    study.patients_sheet.write_text("patient,infused\n" + lines, encoding="utf-8")
    return study


def count_without_pictures(study: Study) -> None:
    """Gate and count every tube of a study; drawing them would take longer than all the rest."""
    snapshot = read_snapshot(study)
    inputs = counting_inputs(snapshot)
    with study.store() as store:
        for tube in taken_in(store):
            used = snapshot.strategies[tube.identity.panel]
            gated = gate_tube(study, tube, used, inputs.references)
            save_gating(store, gated.gating, seen=tube.file)


def daily_gain(rng: np.random.Generator, panel: str = "tbnk") -> dict[str, float]:
    """Draw the gain of each detector on one day: it scatters by 1.3 %."""
    return {stain.detector: rng.lognormal(0, 0.013) for stain in load_panel(panel).markers}


def _write(path: Path, run: Run, rng: np.random.Generator) -> None:
    conditions = Conditions(
        gain=run.gain, abundance=run.abundance, trigger=("PerCP-Cy5.5-A", 500.0)
    )
    if run.panel != "tbnk":
        conditions = Conditions(gain=run.gain, abundance=run.abundance)
    made = simulate_tube(load_panel(run.panel), BLOOD, conditions, rng)
    write_fcs(
        path,
        made.events,
        [FcsChannel(*each) for each in zip(made.detectors, made.labels, strict=True)],
        dialect="fcs3.1-le",
        spill=FcsSpill(made.spill_detectors, made.stored_spill),
        keywords={
            "$CYT": "BD FACSLyric",
            "$CYTSN": run.serial,
            "$TIMESTEP": f"{made.time_step:g}",
        },
    )


def _file(number: int) -> str:
    return f"t{number:03d}.fcs"


def _time(day: float) -> str:
    return (FIRST + timedelta(days=day)).isoformat(timespec="minutes")
