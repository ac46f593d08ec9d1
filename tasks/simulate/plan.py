"""Plan a simulated study: visits, what is in blood and marrow then, and which tubes are filled."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from numpy.random import Generator

from panels.simulation.conditions import Conditions
from panels.simulation.expression import cell_table, optics
from tasks.simulate.patient import Composition, Patient, blood, draw_patient, marrow, with_residual
from tasks.simulate.tube import Instrument, TubePlan, generator
from tasks.vocabulary.moments import elapsed_days

BEADS_PER_TUBE = 49_713
TBNK_BLOOD_UL = 50.0
VISIT_DAYS = (-7, 10, 28, 84, 168, 14, 112, 7, 56, 364, 21, 4, 42, 140, 252, 546, 728, -1)
"""Nominal days of the visits, the most telling first."""
MARROW_DAYS = (-7, 28, 168)
SECOND_PRODUCT = timedelta(hours=2)

_EVENTS = {"bcell": 80_000, "cart": 90_000, "tbnk": 40_000, "marrow": 80_000}
_MOST_BLOOD_UL = 800.0
_MOST_TBNK_UL = 30.0
_FIRST_INFUSION = datetime.fromisoformat("2025-01-14T11:00")


@dataclass(frozen=True, slots=True)
class Draw:
    """One visit of one patient: when, and what is in the blood (cells/µL) and the marrow (shares).

    ``analyser_leukocytes`` is what the haematology analyser counts per µL.
    """

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
        """Give the actual time since infusion in days."""
        return elapsed_days(self.infused, self.collected)

    @property
    def visit(self) -> str:
        """Give the visit's nominal label."""
        return f"D{self.nominal}"


@dataclass(frozen=True, slots=True)
class PlannedTube:
    """One tube of a draw. ``v_eff_ul`` is the blood its events come from; marrow has none."""

    draw: Draw
    plan: TubePlan
    v_eff_ul: float | None

    @property
    def specimen(self) -> str:
        """Say what the tube was filled with."""
        return "marrow" if self.v_eff_ul is None else "blood"

    @property
    def filled_from(self) -> Composition:
        """Give what the tube was filled from: cells/µL of blood, or shares of the marrow."""
        return self.draw.blood if self.v_eff_ul is not None else self.draw.marrow or {}


def plan_draws(number: int, visits: int, seed: int) -> Iterator[Draw]:
    """Plan every visit of one patient, in order of time."""
    name = f"P{number + 1:02d}"
    patient = draw_patient(
        name, generator(seed, name), carbcma_delay=SECOND_PRODUCT / timedelta(days=1)
    )
    infused = _FIRST_INFUSION + timedelta(days=23 * number)
    for nominal in sorted(VISIT_DAYS[:visits]):
        rng = generator(seed, name, f"D{nominal}")
        collected = _collected(infused, nominal, rng)
        day = elapsed_days(infused, collected)
        in_blood = with_residual(blood(patient, day), rng)
        yield Draw(
            patient=patient,
            number=number,
            infused=infused,
            nominal=nominal,
            collected=collected,
            blood=in_blood,
            marrow=marrow(patient, day) if nominal in MARROW_DAYS else None,
            analyser_leukocytes=_analyser(total(in_blood, "leukocytes"), rng),
        )


def plan_tubes(draw: Draw, seed: int, scale: float) -> Iterator[PlannedTube]:
    """Plan the tubes of a visit, ``scale`` times the usual number of events in each.

    The volume of blood bounds what can be acquired when leukocytes are few.
    """
    leukocytes = total(draw.blood, "leukocytes")
    pipetting = generator(seed, draw.patient.name, draw.visit, "volume")
    beads_per_ul = BEADS_PER_TUBE / TBNK_BLOOD_UL
    planned = {
        name: scale * min(_EVENTS[name] / leukocytes, _MOST_BLOOD_UL) for name in ("bcell", "cart")
    }
    planned["tbnk"] = scale * min(_EVENTS["tbnk"] / (leukocytes + beads_per_ul), _MOST_TBNK_UL)
    for panel, volume in planned.items():
        # The beads are in the tube before the blood: an error of the pipette changes cells per
        # bead, not the beads.
        beads = volume * beads_per_ul if panel == "tbnk" else 0.0
        v_eff = volume * pipetting.lognormal(0, 0.03)
        content = {kind: value * v_eff for kind, value in draw.blood.items()}
        yield PlannedTube(draw, _tube(draw, panel, content, beads, seed), v_eff)
    if draw.marrow:
        content = {kind: share * scale * _EVENTS["marrow"] for kind, share in draw.marrow.items()}
        yield PlannedTube(draw, _tube(draw, "bcell_marrow", content, 0.0, seed), None)


def total(composition: Mapping[str, float], population: str) -> float:
    """Add up the kinds of cell that belong to a reported population."""
    table = cell_table()
    member = table.members(population)
    return sum(value for kind, value in composition.items() if member[table.index(kind)])


def _collected(infused: datetime, nominal: int, rng: Generator) -> datetime:
    """Draw when blood was really taken: in the morning, within the visit's window."""
    window = _visit_window(nominal)
    off = round(min(max(float(rng.normal(0, window / 2)), -window), window))
    morning = infused.replace(hour=7, minute=30) + timedelta(days=nominal + off)
    return morning + timedelta(minutes=int(rng.integers(0, 120)))


def _visit_window(nominal: int) -> int:
    """Give how many days a visit may be early or late: more the later it is."""
    if nominal <= 14:
        return 0
    if nominal <= 28:
        return 2
    return 7 if nominal <= 168 else 14


def _analyser(true_per_ul: float, rng: Generator) -> float:
    """Read the leukocyte count as a haematology analyser does, in steps of 10/µL.

    Its error is 3 %, 6 % below 2000/µL and 10 % below 500/µL.
    """
    if true_per_ul > 2000:
        error = 0.03
    elif true_per_ul < 500:
        error = 0.10
    else:
        error = 0.06
    return float(max(10.0, round(true_per_ul * rng.lognormal(0, error), -1)))


def _tube(draw: Draw, tube: str, content: Composition, beads: float, seed: int) -> TubePlan:
    """Choose instrument, time and conditions of a tube.

    Marrow, and TBNK of every second patient, run on FACSDiva instruments.
    """
    key = (seed, draw.patient.name, draw.visit, tube)
    rng = generator(seed, *key[1:], "conditions")
    panel = tube.partition("_")[0]
    diva = tube == "bcell_marrow" or (panel == "tbnk" and draw.number % 2 == 1)
    instrument: Instrument = "BD FACSDiva" if diva else "BD FACSLyric"
    return TubePlan(
        file=f"{draw.patient.name}_{draw.visit}_{tube}.fcs",
        panel=panel,
        instrument=instrument,
        acquired=draw.collected + timedelta(minutes=int(rng.integers(120, 360))),
        composition=content,
        conditions=_conditions(draw, panel, sum(content.values()), beads, rng),
        seed=key,
    )


def _conditions(draw: Draw, panel: str, cells: float, beads: float, rng: Generator) -> Conditions:
    """Choose the conditions of a tube.

    Under lymphodepletion there are more dead cells and debris; after the peak the CAR is
    down-modulated. The lysed tubes (TBNK) are not washed: they trigger on CD45.
    """
    depleted = 0 <= draw.nominal <= 14
    washed = panel != "tbnk"
    dead_range = (0.06, 0.10) if depleted else (0.02, 0.05)
    debris_range = (0.25, 0.40) if depleted else (0.05, 0.15)
    dead, doublets, trigger = 0.01, 0.006, ("PerCP-Cy5.5-A", 500.0)
    # The generator gives its numbers in this order: another one would be another study.
    gain = _drift(draw, rng)
    if washed:
        dead = rng.uniform(*dead_range)
    debris = rng.uniform(*debris_range)
    if washed:
        doublets, trigger = rng.uniform(0.010, 0.016), ("FSC-A", 5000.0)
    return Conditions(
        gain=gain,
        car_density=0.6 if draw.nominal > 28 else 1.0,
        dead_fraction=dead,
        debris_fraction=debris,
        doublet_fraction=doublets,
        beads=beads,
        trigger=trigger,
        events_per_second=min(4000.0, max(300.0, cells / 30)),
    )


def _drift(draw: Draw, rng: Generator) -> dict[str, float]:
    """Give the gain of each detector: light lost over months, and its scatter.

    The daily set-up restores four fifths of the loss.
    """
    months = (draw.collected - _FIRST_INFUSION) / timedelta(days=30.4)
    return {
        name: float((1 - 0.005 * months * 0.2) * rng.lognormal(0, 0.013))
        for name in (*optics().detectors, "FSC-A", "SSC-A")
    }
