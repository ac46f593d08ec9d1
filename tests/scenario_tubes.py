"""Simulate and gate the tubes of the acceptance scenarios, and follow draws to the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gating.fcs.spillover import Spill
from gating.strategy.catalogue import load_strategy
from gating.thresholds.apply import Applied, apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import TrueCount, simulate_tube, true_counts
from tasks.counting.background import baseline_backgrounds
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.quantity import Quantity, quantify_visit
from tasks.counting.visit import group_by_visit
from tasks.counting.volume import CountMethod
from tasks.kinetics.cohort import recovery_frame
from tasks.kinetics.parameters import parameters_frame
from tasks.results.patient_tables import parameter_settings, patient_kinetics
from tasks.strategies.in_use import read_snapshot
from tasks.study.snapshot import StrategyInUse
from tasks.tubes.population_counts import population_counts
from tasks.tubes.tube_quality import TubeJudgement, judge_tube
from tasks.vocabulary.tube_identity import TubeIdentity
from tests.gating.tubes import ArrayTube
from tests.tasks.study_folder import make_study

COUNTING: dict[str, tuple[CountMethod, ...]] = {
    "tbnk": ("bead",),
    "bcell": ("chain", "volumetric", "dual"),
    "cart": ("volumetric", "dual"),
}
INFUSED = datetime(2026, 1, 10, 11, tzinfo=UTC)
RESTING = {
    "granulocyte": 18_000.0,
    "monocyte": 2_000.0,
    "t_cd4_cm": 4_000.0,
    "t_cd4_em": 2_000.0,
    "t_cd8_em": 4_000.0,
    "nk": 2_500.0,
}
B_CELLS = {"naive_mature_b": 450.0, "transitional_b": 90.0, "switched_memory_b": 60.0}
CAR = {
    "t_cd8_em_car19": 500.0,
    "t_cd4_cm_car19": 300.0,
    "t_cd8_em_carbcma": 300.0,
    "t_cd4_cm_carbcma": 200.0,
}
VOLUME_UL = 20.0
"""Blood in a tube of ``acquired``."""
COURSE_VOLUME_UL = 400.0
"""Blood in a tube of a course: what two million leukocytes are at 5,000/µL."""


@dataclass(frozen=True)
class Made:
    """One simulated tube, gated by the shipped strategy: its counts as the tables get them, and the
    truth."""

    counts: TubeCounts
    truth: Mapping[str, TrueCount]
    applied: Applied
    judged: TubeJudgement

    def near(self, population: str, within: float = 0.10) -> bool:
        """Tell whether a count agrees with the truth."""
        true = self.truth[population].intact
        return abs(self.counts.counts[population].events - true) <= within * true

    def flags(self, population: str) -> set[str]:
        """Give the flags of one count of this tube, without those of the whole tube."""
        return set(self.counts.counts[population].flags)

    def moved(self) -> set[str]:
        """Name the thresholds that do not stand where they were declared."""
        return {n for n, each in self.applied.compiled.resolved.items() if each.source != "fixed"}

    def unproven(self) -> set[str]:
        """Name the thresholds that the tube contradicts without a proven value in their place."""
        return {n for n, each in self.applied.compiled.resolved.items() if not each.proven}

    def shift(self, threshold: str) -> float:
        """Give a threshold's value over the declared one."""
        compiled = self.applied.compiled
        declared = compiled.strategy.thresholds[threshold].value
        return compiled.resolved[threshold].value / declared


def make(
    panel: str,
    cells: Mapping[str, float],
    conditions: Conditions | None = None,
    *,
    seed: int = 1,
    day: float = 28.0,
    **identity: Any,
) -> Made:
    """Simulate and gate one tube."""
    made = simulate_tube(
        load_panel(panel), cells, conditions or Conditions(), np.random.default_rng(seed)
    )
    spill = Spill(made.spill_detectors, made.stored_spill)
    tube = ArrayTube(made.events.astype(np.float64), made.detectors, made.labels, spill)
    timed = ArrayTube(
        tube.events * np.where(np.array(made.detectors) == "Time", made.time_step, 1.0),
        made.detectors,
        made.labels,
        spill,
    )
    strategy = load_strategy(panel).strategy
    applied = apply_strategy(strategy, match_panel(load_panel(panel), tube.channels), tube, tube)
    negatives = {
        name: measured.negative
        for name, measured in applied.measurements.items()
        if measured.negative
    }
    judged = judge_tube(applied.compiled, applied.evaluation, timed, timed)
    counts = {
        each.population: replace(
            each, flags=(*each.flags, *map(str, judged.of_population.get(each.population, ())))
        )
        for each in population_counts(applied.compiled, applied.evaluation, tube, tube, negatives)
    }
    beads = (
        applied.evaluation.count(applied.compiled.path_of[strategy.beads])
        if strategy.beads
        else None
    )
    who = TubeIdentity(
        f"{panel}{seed}{day}".ljust(64, "0"),
        "t.fcs",
        "P01",
        INFUSED + timedelta(days=day),
        panel,
        f"D{day:.0f}",
    )
    flags = tuple(map(str, judged.flags))
    gated = TubeCounts(
        replace(who, **identity), strategy.name, "", counts, beads, tube.count, flags
    )
    return Made(gated, true_counts(made.truth), applied, judged)


def acquired(panel: str, cells: Mapping[str, float], *words: Conditions, **more: Any) -> Made:
    """Simulate and gate one tube whose cytometer measured ``VOLUME_UL`` of undiluted blood."""
    return make(panel, cells, *words, acquired_volume_ul=VOLUME_UL, dilution=1.0, **more)


def quantified(tubes: Sequence[TubeCounts]) -> dict[tuple[str, str, str], Quantity]:
    """Quantify tubes of one patient; gives (visit, panel, population) → quantity."""
    strategies = [load_strategy(panel).strategy for panel in COUNTING]
    rules = {each.name: {rule.id: rule for rule in each.populations} for each in strategies}
    known = baseline_backgrounds(tubes, rules, infused=INFUSED)
    return {
        (tube.identity.visit, tube.identity.panel, quantity.count.population): quantity
        for visit in group_by_visit(tubes).values()
        for tube, quantity in quantify_visit(visit, rules, counting=COUNTING, backgrounds=known)
    }


def drift(panel: str, gain: float) -> Conditions:
    """Change the signal of every stain of a panel alike."""
    return Conditions(gain={stain.detector: gain for stain in load_panel(panel).markers})


@dataclass(frozen=True)
class Course:
    """What a patient's tables hold: kinetics, parameters by population and name, recovery."""

    kinetics: pd.DataFrame
    parameters: Mapping[tuple[str, str], pd.Series]
    recovery: Mapping[str, pd.Series]


def course(
    folder: Path,
    levels: Mapping[float, Mapping[str, float]],
    *,
    panel: str = "cart",
    patients: str = "",
    settings: str = "study: test\ntime_zone: UTC\n",
) -> Course:
    """Follow the draws of one patient from the sheets to the tables.

    ``levels`` gives, by days since ``INFUSED``, the cells/µL of each population that was seen; of
    the others there are no cells. ``patients`` is patients.csv where that says more than
    ``INFUSED``.
    """
    study = make_study(folder, settings=settings)
    plain = f"patient,infused\nP01,{INFUSED.isoformat()}\n"
    study.patients_sheet.write_text(patients or plain, encoding="utf-8")
    snapshot = read_snapshot(study)
    patient, used = snapshot.patients.patients["P01"], snapshot.strategies[panel]
    tubes = [_drawn(used, panel, day, seen) for day, seen in sorted(levels.items())]
    kinetics = patient_kinetics(snapshot, patient, tubes)
    chosen = parameter_settings(study.settings, {"P01": patient}, kinetics, tubes)
    parameters = parameters_frame(kinetics, chosen)
    recovery = recovery_frame(kinetics, chosen)
    return Course(
        kinetics,
        {(row["population"], row["parameter"]): row for _, row in parameters.iterrows()},
        {row["definition"].split("@")[0]: row for _, row in recovery.iterrows()},
    )


def _drawn(used: StrategyInUse, panel: str, day: float, seen: Mapping[str, float]) -> TubeCounts:
    events = {
        "leukocytes": COURSE_VOLUME_UL * 5_000,
        "lymphocytes": COURSE_VOLUME_UL * 1_000,
        "t_cells": COURSE_VOLUME_UL * 800,
    } | {population: COURSE_VOLUME_UL * level for population, level in seen.items()}
    parent_of = used.release.strategy.parent_of()
    counts = {
        each.id: PopulationCount(
            each.id,
            round(events.get(each.id, 0)),
            parent_of[each.gate],
            round(events["leukocytes"]),
            each.reference,
            round(events.get(each.reference, 0)),
        )
        for each in used.populations.values()
    }
    identity = TubeIdentity(
        f"{panel}{day}".encode().hex().ljust(64, "0"),
        f"{panel}_{day}.fcs",
        "P01",
        INFUSED + timedelta(days=day),
        panel,
        f"D{day:g}",
        leukocytes_per_ul=5_000.0,
        time_zone="UTC",
    )
    return TubeCounts(
        identity, used.name, used.release.sha256, counts, panel_sha256=used.panel_sha256
    )
