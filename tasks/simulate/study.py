"""Make a whole simulated study folder: settings, sheets, an inbox of genuine FCS files, and the truth in a folder of its own."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from numpy.random import Generator

from panels.conditions import Conditions
from panels.errors import UsageFault
from panels.simulated_expression import cell_table, optics
from tasks.simulate.patient import Composition, Patient, blood, draw_patient, marrow, with_residual
from tasks.simulate.tube import Instrument, TubePlan, WrittenTube, generator, write_tube

BEADS_PER_TUBE = 49_713
TBNK_BLOOD_UL = 50.0
VISIT_DAYS = (-7, 10, 28, 84, 168, 14, 112, 7, 56, 364, 21, 4, 42, 140, 252, 546, 728, -1)
"""Nominal days of the visits, the most telling first."""
MARROW_DAYS = (-7, 28, 168)
CAR_REAGENT = "anti-FMC63 idiotype PE lot A1 + BCMA-His APC lot B1"

_BUDGET = {"bcell": 80_000, "cart": 90_000, "tbnk": 40_000, "marrow": 80_000}
_MOST_BLOOD_UL = 800.0
_MOST_TBNK_UL = 30.0
_FIRST_INFUSION = datetime(2025, 1, 14, 11, 0)
_SECOND_PRODUCT = timedelta(hours=2)
_SAMPLE_COLUMNS = (
    "file patient collected panel visit specimen acquired instrument batch operator leukocytes_per_ul beads_per_tube blood_volume_ul "
    "car_reagent"
).split()
_DRAW_COLUMNS = "file patient visit day panel specimen".split()
_TUBE_COLUMNS = [*_DRAW_COLUMNS, "v_eff_ul", "events", "beads", "leukocytes_per_ul"]
_POPULATION_COLUMNS = [*_DRAW_COLUMNS, "population", "per_ul", "share_of_leukocytes", "intact_events", "cells"]
_KIND_COLUMNS = [*_DRAW_COLUMNS, "kind", "per_ul", "intact_events", "cells"]


@dataclass(frozen=True, slots=True)
class SimulatedStudy:
    """A study folder that was written: its tubes (file names in the inbox) and where the truth lies."""

    folder: Path
    tubes: tuple[str, ...]
    truth: Path


@dataclass(frozen=True, slots=True)
class _Draw:
    """One visit of one patient: when, what is in the blood and the marrow, what the analyser says."""

    patient: Patient
    number: int
    infused: datetime
    nominal: int
    collected: datetime
    blood: Composition
    marrow: Composition | None
    analyser_leukocytes: float

    @property
    def day(self) -> float:
        return (self.collected - self.infused) / timedelta(days=1)

    @property
    def visit(self) -> str:
        return f"D{self.nominal}"


@dataclass(frozen=True, slots=True)
class _Tube:
    """One tube of a draw. ``v_eff_ul`` is the blood its events stand for; marrow has none."""

    draw: _Draw
    plan: TubePlan
    specimen: str
    v_eff_ul: float | None


def write_study(
    folder: Path,
    *,
    patients: int = 2,
    visits: int = 12,
    seed: int = 1,
    workers: int = 2,
    events: float = 1.0,
    progress: Callable[[str, int, int], None] | None = None,
) -> SimulatedStudy:
    """Write a simulated study into ``folder``: the same arguments give the same bytes, whatever ``workers`` is.

    ``events`` scales how much of each tube is acquired; ``progress`` is told each file, how many are done and how many
    there will be. Raises UsageFault when the folder already holds a study or the numbers make no sense.
    """
    _check(folder, patients, visits)
    truth = folder / "simulation-truth"
    for needed in (folder / "inbox", truth / "events"):
        needed.mkdir(parents=True, exist_ok=True)
    draws = [draw for number in range(patients) for draw in _draws(number, visits, seed)]
    tubes = [tube for draw in draws for tube in _tubes(draw, seed, events)]
    _write_settings(folder, draws)
    _write_rows(folder / "samples.csv", _SAMPLE_COLUMNS, map(_sample_row, tubes))
    job = partial(write_tube, inbox=folder / "inbox", truth=truth)
    written = []
    with _mapper(workers) as mapper:
        for done, tube in enumerate(mapper(job, [tube.plan for tube in tubes]), 1):
            written.append(tube)
            if progress:
                progress(tube.file, done, len(tubes))
    _write_truth(truth, tubes, written)
    return SimulatedStudy(folder=folder, tubes=tuple(tube.plan.file for tube in tubes), truth=truth)


def _check(folder: Path, patients: int, visits: int) -> None:
    if (folder / "study.yaml").exists():
        raise UsageFault(f"{folder} already holds a study. Name a new folder, or remove this one first.")
    if patients < 1:
        raise UsageFault(f"A study needs at least one patient, not {patients}.")
    if not 2 <= visits <= len(VISIT_DAYS):
        raise UsageFault(f"A simulated patient has 2 to {len(VISIT_DAYS)} visits, not {visits}.")


def _draws(number: int, visits: int, seed: int) -> Iterator[_Draw]:
    """Plan every visit of one patient."""
    name = f"P{number + 1:02d}"
    patient = draw_patient(name, generator(seed, name), carbcma_delay=_SECOND_PRODUCT / timedelta(days=1))
    infused = _FIRST_INFUSION + timedelta(days=23 * number)
    for nominal in sorted(VISIT_DAYS[:visits]):
        rng = generator(seed, name, f"D{nominal}")
        collected = _collected(infused, nominal, rng)
        day = (collected - infused) / timedelta(days=1)
        in_blood = with_residual(blood(patient, day), rng)
        yield _Draw(
            patient=patient,
            number=number,
            infused=infused,
            nominal=nominal,
            collected=collected,
            blood=in_blood,
            marrow=marrow(patient, day) if nominal in MARROW_DAYS else None,
            analyser_leukocytes=_analyser(_total(in_blood, "leukocytes"), rng),
        )


def _collected(infused: datetime, nominal: int, rng: Generator) -> datetime:
    """Draw when blood was really taken: in the morning, within the visit's window (±2 days from D21, ±7 from D42, ±14 later)."""
    window = 0 if nominal <= 14 else 2 if nominal <= 28 else 7 if nominal <= 168 else 14
    off = int(round(min(max(rng.normal(0, window / 2), -window), window)))
    morning = infused.replace(hour=7, minute=30) + timedelta(days=nominal + off)
    return morning + timedelta(minutes=int(rng.integers(0, 120)))


def _analyser(true_per_ul: float, rng: Generator) -> float:
    """Read the leukocyte count as a haematology analyser does: 3 % error, 10 % when there are few; steps of 10/µL."""
    error = 0.03 if true_per_ul > 2000 else 0.10 if true_per_ul < 500 else 0.06
    return max(10.0, round(true_per_ul * rng.lognormal(0, error), -1))


def _tubes(draw: _Draw, seed: int, scale: float) -> Iterator[_Tube]:
    """Plan the tubes of a visit; blood volume bounds what can be acquired when leukocytes are few."""
    leukocytes = _total(draw.blood, "leukocytes")
    pipetting = generator(seed, draw.patient.name, draw.visit, "volume")
    for panel in ("bcell", "cart", "tbnk"):
        if panel == "tbnk":
            planned = min(_BUDGET[panel] / (leukocytes + BEADS_PER_TUBE / TBNK_BLOOD_UL), _MOST_TBNK_UL)
        else:
            planned = min(_BUDGET[panel] / leukocytes, _MOST_BLOOD_UL)
        volume = scale * planned * pipetting.lognormal(0, 0.03)
        # Beads are dispensed into the tube before the blood: an error of the pipette changes cells per bead, not the beads.
        beads = scale * planned * BEADS_PER_TUBE / TBNK_BLOOD_UL if panel == "tbnk" else 0.0
        content = {kind: value * volume for kind, value in draw.blood.items()}
        yield _Tube(draw, _plan(draw, panel, "blood", content, beads, seed), "blood", volume)
    if draw.marrow:
        content = {kind: share * scale * _BUDGET["marrow"] for kind, share in draw.marrow.items()}
        yield _Tube(draw, _plan(draw, "bcell", "marrow", content, 0.0, seed), "marrow", None)


def _plan(draw: _Draw, panel: str, specimen: str, content: Composition, beads: float, seed: int) -> TubePlan:
    """Choose instrument, time and conditions. Marrow, and TBNK of every second patient, run on FACSDiva instruments."""
    tube = panel if specimen == "blood" else f"{panel}_{specimen}"
    key = (seed, draw.patient.name, draw.visit, tube)
    rng = generator(seed, *key[1:], "conditions")
    diva = specimen == "marrow" or (panel == "tbnk" and draw.number % 2 == 1)
    instrument: Instrument = "BD FACSDiva" if diva else "BD FACSLyric"
    return TubePlan(
        file=f"{draw.patient.name}_{draw.visit}_{tube}.fcs",
        panel=panel,
        instrument=instrument,
        acquired=draw.collected + timedelta(minutes=int(rng.integers(120, 360))),
        composition=content,
        conditions=_conditions(draw, panel, content, beads, rng),
        seed=key,
    )


def _conditions(draw: _Draw, panel: str, content: Composition, beads: float, rng: Generator) -> Conditions:
    """Choose how the tube fares: more dead cells and debris under lymphodepletion, CAR down-modulated after the peak."""
    depleted = 0 <= draw.nominal <= 14
    washed = panel != "tbnk"
    down = 0.6 if draw.nominal > 28 else 1.0
    cells = sum(content.values())
    return Conditions(
        gain=_drift(draw, rng),
        abundance={"CAR19": down, "CARBCMA": down},
        dead_fraction=rng.uniform(0.06, 0.10) if depleted and washed else rng.uniform(0.02, 0.05) if washed else 0.01,
        debris_fraction=rng.uniform(0.25, 0.40) if depleted else rng.uniform(0.05, 0.15),
        doublet_fraction=rng.uniform(0.010, 0.016) if washed else 0.006,
        beads=beads,
        trigger=("FSC-A", 5000.0) if washed else ("PerCP-Cy5.5-A", 500.0),
        events_per_second=float(min(4000.0, max(300.0, cells / 30))),
    )


def _drift(draw: _Draw, rng: Generator) -> dict[str, float]:
    """Give the gain of each detector: a slow loss of light, of which the daily set-up corrects four fifths, and its scatter."""
    months = (draw.collected - _FIRST_INFUSION) / timedelta(days=30.4)
    return {name: float((1 - 0.005 * months * 0.2) * rng.lognormal(0, 0.013)) for name in (*optics().detectors, "FSC-A", "SSC-A")}


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterable[WrittenTube]]]:
    """Give a ``map`` over processes, or over none when one worker is wanted."""
    if workers <= 1:
        yield map
        return
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        yield pool.map


def _total(composition: Mapping[str, float], population: str) -> float:
    table = cell_table()
    member = table.members(population)
    return sum(value for kind, value in composition.items() if member[table.index(kind)])


def _write_settings(folder: Path, draws: Sequence[_Draw]) -> None:
    (folder / "study.yaml").write_text("# A simulated study: no patient was ever behind it.\nstudy: demo-sle\n", encoding="utf-8")
    infusions = {draw.patient.name: draw.infused for draw in draws}
    columns = ["patient", "infused", "infused_car19", "infused_carbcma", "baseline_visit"]
    rows = [
        dict(zip(columns, (name, _iso(at), _iso(at), _iso(at + _SECOND_PRODUCT), "D-7"), strict=True)) for name, at in infusions.items()
    ]
    _write_rows(folder / "patients.csv", columns, rows)


def _sample_row(tube: _Tube) -> dict[str, object]:
    draw, plan = tube.draw, tube.plan
    year, week, _ = plan.acquired.isocalendar()
    row: dict[str, object] = {
        "file": plan.file,
        "patient": draw.patient.name,
        "collected": _iso(draw.collected),
        "panel": plan.panel,
        "visit": draw.visit,
        "specimen": tube.specimen,
        "acquired": _iso(plan.acquired),
        "instrument": plan.instrument,
        "batch": f"{year}-W{week:02d}",
        "operator": f"tech-{1 + week % 2}",
    }
    if plan.panel == "tbnk":
        row |= {"beads_per_tube": BEADS_PER_TUBE, "blood_volume_ul": f"{TBNK_BLOOD_UL:g}"}
    elif tube.specimen == "blood":
        row["leukocytes_per_ul"] = f"{draw.analyser_leukocytes:g}"
    if plan.panel == "cart":
        row["car_reagent"] = CAR_REAGENT
    return row


def _write_truth(truth: Path, tubes: Sequence[_Tube], written: Sequence[WrittenTube]) -> None:
    """Write what the pipeline must find: one row a tube, one a tube × population, one a tube × kind of cell."""
    pairs = list(zip(tubes, written, strict=True))
    _write_rows(truth / "tubes.csv", _TUBE_COLUMNS, (_tube_truth(*pair) for pair in pairs))
    _write_rows(truth / "populations.csv", _POPULATION_COLUMNS, chain.from_iterable(_population_truth(*pair) for pair in pairs))
    _write_rows(truth / "kinds.csv", _KIND_COLUMNS, chain.from_iterable(_kind_truth(*pair) for pair in pairs))


def _tube_truth(tube: _Tube, written: WrittenTube) -> dict[str, object]:
    blood_tube = tube.v_eff_ul is not None
    return _draw_row(tube) | {
        "v_eff_ul": _number(tube.v_eff_ul),
        "events": written.events,
        "beads": written.counts["kind:bead"].intact,
        "leukocytes_per_ul": _number(_total(tube.draw.blood, "leukocytes")) if blood_tube else "",
    }


def _population_truth(tube: _Tube, written: WrittenTube) -> Iterator[dict[str, object]]:
    held = tube.draw.blood if tube.v_eff_ul is not None else tube.draw.marrow or {}
    for population in cell_table().populations():
        if population == "long_lived_plasma_cells" and tube.v_eff_ul is not None:
            continue
        amount = _total(held, population)
        yield _draw_row(tube) | {
            "population": population,
            "per_ul": _number(amount) if tube.v_eff_ul is not None else "",
            "share_of_leukocytes": _number(amount / _total(held, "leukocytes")),
            "intact_events": written.counts[population].intact,
            "cells": written.counts[population].cells,
        }


def _kind_truth(tube: _Tube, written: WrittenTube) -> Iterator[dict[str, object]]:
    for kind in cell_table().kinds:
        count = written.counts[f"kind:{kind}"]
        yield _draw_row(tube) | {
            "kind": kind,
            "per_ul": _number(tube.draw.blood.get(kind, 0.0)) if tube.v_eff_ul is not None else "",
            "intact_events": count.intact,
            "cells": count.cells,
        }


def _draw_row(tube: _Tube) -> dict[str, object]:
    draw = tube.draw
    values = (tube.plan.file, draw.patient.name, draw.visit, _number(draw.day), tube.plan.panel, tube.specimen)
    return dict(zip(_DRAW_COLUMNS, values, strict=True))


def _write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")
