"""One draw of blood: its tubes as FCS files, its rows of the sample sheet, and the truth of
both."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from tests.second_simulator.blood import Amount, amounts, draw_blood
from tests.second_simulator.fcs import spill_text, write_fcs
from tests.second_simulator.instrument import Gains
from tests.second_simulator.particles import Codes
from tests.second_simulator.scenario import VERDICTS, BeadVariant, Kind, Scenario, Verdict
from tests.second_simulator.tubes import (
    LYSE_VOLUME_UL,
    TIME_STEP,
    Tube,
    channels_of,
    simulate_tube,
    singles,
)

SHEET_COLUMNS = (
    "file",
    "patient",
    "collected",
    "panel",
    "visit",
    "specimen",
    "acquired",
    "instrument",
    "batch",
    "operator",
    "leukocytes_per_ul",
    "lymphocytes_per_ul",
    "beads_per_tube",
    "blood_volume_ul",
    "acquired_volume_ul",
    "dilution",
    "control",
    "car_reagent",
    "comment",
)


@dataclass(frozen=True, slots=True, eq=False)
class TubeTruth:
    """What is in one file: events by label, single living cells by contract population, beads, and
    why.

    ``codes`` holds what every event is, as an index into ``particles.LABELS``. ``beads`` are the
    single beads in the file, ``bead_events`` all events that hold at least one bead.
    ``effective_volume_ul`` is the blood truly acquired.
    """

    file: str
    kind: Kind
    events: int
    by_label: Mapping[str, int]
    populations: Mapping[str, Amount]
    beads: int
    bead_events: int
    bead_variant: BeadVariant
    verdict: Verdict
    effective_volume_ul: float
    gains: Gains
    bead_positions: tuple[float, ...]
    codes: Codes


@dataclass(frozen=True, slots=True, eq=False)
class DrawTruth:
    """The truth of one draw: cells per µL by kind and population, its tubes, its rows of the
    sheet."""

    patient: str
    visit: str
    by_kind: Mapping[str, float]
    concentrations: Mapping[str, Amount]
    leukocytes_per_ul: float | None
    lymphocytes_per_ul: float | None
    tubes: tuple[TubeTruth, ...]
    rows: tuple[Mapping[str, str], ...]


def simulate_draw(rng: np.random.Generator, scenario: Scenario, folder: Path) -> DrawTruth:
    """Write the tubes of one draw to a folder and give their truth."""
    by_kind = (
        dict(scenario.blood) if scenario.blood is not None else draw_blood(rng, scenario.phase)
    )
    concentrations = amounts(by_kind)
    printed = _analysed(rng, concentrations, scenario)
    tubes, rows = [], []
    for kind in scenario.tubes:
        tube = simulate_tube(rng, kind, by_kind, scenario)
        file = f"{scenario.patient}_{scenario.visit}_{kind}.fcs"
        _write(folder / file, tube, scenario)
        tubes.append(_truth(file, tube, scenario))
        rows.append(_row(file, kind, printed, scenario))
    return DrawTruth(
        patient=scenario.patient,
        visit=scenario.visit,
        by_kind=by_kind,
        concentrations=concentrations,
        leukocytes_per_ul=printed[0],
        lymphocytes_per_ul=printed[1],
        tubes=tuple(tubes),
        rows=tuple(rows),
    )


def _analysed(
    rng: np.random.Generator, concentrations: Mapping[str, Amount], scenario: Scenario
) -> tuple[float | None, float | None]:
    """Print leukocytes and lymphocytes as an analyser would."""
    if not scenario.analyser:
        return None, None
    error = rng.normal(1, scenario.analyser_error, 2) * scenario.leukocyte_count_factor
    printed = [
        concentrations[name].value * wrong
        for name, wrong in zip(("leukocytes", "lymphocytes"), error, strict=True)
    ]
    return round(printed[0]), round(printed[1])


def _write(path: Path, tube: Tube, scenario: Scenario) -> None:
    detectors = tube.instrument.detectors
    acquired = scenario.collected + timedelta(hours=3)
    keyword = "$SPILLOVER" if scenario.fcs_version == "FCS3.1" else "SPILL"
    keywords = {
        keyword: spill_text(detectors, tube.spill),
        "$CYT": "BD FACSLyric",
        "$TIMESTEP": str(TIME_STEP),
        "$FIL": path.name,
        "$DATE": acquired.strftime("%d-%b-%Y").upper(),
        "$BTIM": acquired.strftime("%H:%M:%S.00"),
        "$ETIM": (acquired + timedelta(minutes=2)).strftime("%H:%M:%S.00"),
    }
    if tube.acquired_volume_ul is not None:
        keywords["$VOL"] = f"{tube.acquired_volume_ul * 1000:.0f}"
    channels = channels_of(tube.kind)
    write_fcs(
        path,
        tube.values,
        channels,
        keywords,
        version=scenario.fcs_version,
        big_endian=scenario.big_endian,
    )


def _truth(file: str, tube: Tube, scenario: Scenario) -> TubeTruth:
    counts = tube.counts
    holding = ("bead", "bead_pair", "bead_with_cell")
    verdict: Verdict = "absent" if tube.bead_positions is None else VERDICTS[scenario.beads.variant]
    return TubeTruth(
        file=file,
        kind=tube.kind,
        events=len(tube.codes),
        by_label=counts,
        populations=amounts(singles(counts)),
        beads=counts.get("bead", 0),
        bead_events=sum(counts.get(label, 0) for label in holding),
        bead_variant=scenario.beads.variant if tube.bead_positions is not None else "none",
        verdict=verdict,
        effective_volume_ul=tube.effective_volume_ul,
        gains=tube.gains,
        bead_positions=() if tube.bead_positions is None else tuple(tube.bead_positions.tolist()),
        codes=tube.codes,
    )


def _row(
    file: str, kind: Kind, printed: tuple[float | None, float | None], scenario: Scenario
) -> dict[str, str]:
    row = dict.fromkeys(SHEET_COLUMNS, "") | {
        "file": file,
        "patient": scenario.patient,
        "collected": scenario.collected.isoformat(timespec="minutes"),
        "panel": kind,
        "visit": scenario.visit,
        "acquired": (scenario.collected + timedelta(hours=3)).isoformat(timespec="minutes"),
        "leukocytes_per_ul": "" if printed[0] is None else f"{printed[0]:g}",
        "lymphocytes_per_ul": "" if printed[1] is None else f"{printed[1]:g}",
    }
    if kind == "cart":
        row["car_reagent"] = scenario.car_reagent
    if kind == "tbnk" and scenario.volumetric:
        row["dilution"] = (
            f"{(scenario.blood_volume_ul + LYSE_VOLUME_UL) / scenario.blood_volume_ul:g}"
        )
    elif kind == "tbnk":
        row |= {
            "beads_per_tube": f"{scenario.beads.per_tube:g}",
            "blood_volume_ul": f"{scenario.blood_volume_ul:g}",
        }
    return row
