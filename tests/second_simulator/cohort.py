"""A whole study: tubes in the inbox, the sheets, and the truth beside them."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tests.second_simulator.blood import Phase
from tests.second_simulator.draw import SHEET_COLUMNS, DrawTruth, simulate_draw
from tests.second_simulator.scenario import Scenario

FIRST_INFUSION = datetime(2026, 1, 12, 11, 0)  # noqa: DTZ001
COURSE: tuple[tuple[int, Phase], ...] = (
    (-7, "baseline"),
    (14, "aplasia"),
    (84, "recovering"),
    (168, "recovered"),
)
SETTINGS = 'study: "second simulator"\nintake: {settle_seconds: 0}\n'


def simulate_cohort(
    rng: np.random.Generator,
    n: int,
    folder: Path,
    *,
    scenarios: Sequence[Scenario] = (Scenario(),),
    course: Sequence[tuple[int, Phase]] = COURSE,
) -> tuple[DrawTruth, ...]:
    """Write a study of ``n`` patients who are seen on the days of a course; draws take the
    scenarios in turn.

    A scenario's patient, visit, time and phase are replaced; every patient has an instrument and a
    bead lot of their own. The folder gets study.yaml, patients.csv, samples.csv, the inbox, and
    truth/ with draws.csv (true concentrations), tubes.csv and events.csv.
    """
    truths: list[DrawTruth] = []
    for number in range(n):
        infused = FIRST_INFUSION + timedelta(days=number)
        for day, phase in course:
            asked = scenarios[len(truths) % len(scenarios)]
            scenario = replace(
                asked,
                patient=f"S{number + 1:02d}",
                visit=f"D{day}",
                collected=infused + timedelta(days=day, hours=-2),
                phase=phase,
                instrument_seed=asked.instrument_seed + number,
            )
            truths.append(simulate_draw(rng, scenario, folder / "inbox"))
    (folder / "study.yaml").write_text(SETTINGS, encoding="utf-8")
    infusions = [
        (f"S{number + 1:02d}", FIRST_INFUSION + timedelta(days=number)) for number in range(n)
    ]
    _write(
        folder / "patients.csv",
        ("patient", "infused"),
        [(patient, infused.isoformat(timespec="minutes")) for patient, infused in infusions],
    )
    _write(
        folder / "samples.csv",
        SHEET_COLUMNS,
        [[row[column] for column in SHEET_COLUMNS] for truth in truths for row in truth.rows],
    )
    write_truth(truths, folder / "truth")
    return tuple(truths)


def write_truth(truths: Iterable[DrawTruth], folder: Path) -> None:
    """Write the truth of draws as three tables."""
    draws, tubes, events = [], [], []
    for truth in truths:
        who = (truth.patient, truth.visit)
        draws += [
            (*who, name, each.value, each.low, each.high)
            for name, each in truth.concentrations.items()
        ]
        for tube in truth.tubes:
            gains = " ".join(f"{gain:.4f}" for gain in tube.gains.colour)
            told = (
                tube.file,
                *who,
                tube.kind,
                tube.events,
                tube.beads,
                tube.bead_events,
                tube.bead_variant,
                tube.verdict,
            )
            tubes.append(
                (*told, tube.effective_volume_ul, gains, tube.gains.forward, tube.gains.side)
            )
            events += [
                (tube.file, name, each.value, each.low, each.high)
                for name, each in tube.populations.items()
            ]
    _write(folder / "draws.csv", ("patient", "visit", "population", "per_ul", "low", "high"), draws)
    columns = (
        "file patient visit panel events beads bead_events bead_variant verdict effective_volume_ul"
    )
    _write(folder / "tubes.csv", (*columns.split(), "gains", "forward_gain", "side_gain"), tubes)
    _write(folder / "events.csv", ("file", "population", "events", "low", "high"), events)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
