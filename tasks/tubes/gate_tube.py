"""Gate one tube of the archive under one strategy: what is drawn, compared and counted afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gating.evaluation.compile import Compiled
from gating.evaluation.engine import ENGINE_VERSION, Evaluation
from gating.fcs.encoding import finite
from gating.fcs.events import Events, open_events
from gating.fcs.header import TubeHeader, read_header
from gating.quality.acquisition import time_quality
from gating.thresholds.apply import apply_declared, apply_strategy
from gating.thresholds.measure import ThresholdMeasurement, measure
from gating.thresholds.resolution import ReferenceMeasurements
from panels.acquisition_time import TIME
from panels.panel import PanelMatch, match_panel
from panels.text.errors import PanelMismatch
from tasks.store.counts import TubeGating
from tasks.store.tubes import Tube
from tasks.strategies.in_use import InUse
from tasks.study.archived_bytes import verified_bytes
from tasks.study.folder import Study
from tasks.tubes.bead_count import count_beads, seconds_counted
from tasks.tubes.population_counts import population_counts
from tasks.tubes.reference_tubes import needs_references, reference_index, reference_measurements
from tasks.tubes.tube_quality import judge_time, judge_tube
from tasks.vocabulary.flags import Flag


@dataclass(frozen=True, slots=True)
class GatedTube:
    """One gated tube: its events, the gates as they were used, who is in them, and what the store keeps of it."""

    header: TubeHeader
    events: Events
    compiled: Compiled
    evaluation: Evaluation
    gating: TubeGating


def gate_tube(study: Study, tube: Tube, used: InUse) -> GatedTube:
    """Gate one tube under a strategy; nothing is written.

    Raises TubeFault when the file holds other bytes than were taken in, cannot be read, fits its
    panel no more or cannot be compensated, OSError when the archive cannot be reached.
    """
    with verified_bytes(study, tube) as path:
        return _gate(study, tube, used, path)


def _gate(study: Study, tube: Tube, used: InUse, path: Path) -> GatedTube:
    header, match, events = _open(path, used)
    asked = _Asked(study, tube, used)
    steady = time_quality(events, header, match.channel)
    ask = asked if needs_references(used.release.strategy) else None
    applied = apply_strategy(
        used.release.strategy, match, header, events, rows=steady.kept, ask=ask
    )
    compiled, evaluation = applied.compiled, applied.evaluation
    judged = judge_tube(compiled, evaluation, events, header)
    counted = count_beads(
        compiled, evaluation, applied.beads, seconds_counted(header, events, 1 - steady.removed)
    )
    timed = judge_time(steady)
    negatives = {
        name: measurement.negative
        for name, measurement in applied.measurements.items()
        if measurement.negative
    }
    gating = TubeGating(
        tube_sha256=tube.identity.tube_sha256,
        strategy=used.name,
        strategy_sha256=used.release.sha256,
        engine_version=ENGINE_VERSION,
        panel=f"{used.panel.panel}@{used.panel.version}",
        panel_sha256=used.panel_sha256,
        total_events=evaluation.total,
        counts=tuple(
            replace(
                count,
                flags=(*count.flags, *map(str, judged.of_population.get(count.population, ()))),
            )
            for count in population_counts(compiled, evaluation, events, header, negatives)
        ),
        beads=counted.beads,
        flags=tuple(str(flag) for flag in (*_flags(header), *timed.flags, *judged.flags)),
        qc=_made_with(used)
        | _qc(compiled, evaluation, header, match.instrument)
        | timed.numbers
        | judged.numbers
        | dict(counted.numbers),
        reference_set_sha256=asked.reference_set_sha256,
        thresholds=compiled.thresholds,
    )
    return GatedTube(header, events, compiled, evaluation, gating)


def measure_tube(study: Study, tube: Tube, used: InUse) -> dict[str, ThresholdMeasurement]:
    """Measure what one tube tells about the thresholds of a strategy, of the events that would be counted; raises as ``gate_tube``."""
    with verified_bytes(study, tube) as path:
        header, match, events = _open(path, used)
        steady = time_quality(events, header, match.channel)
        declared = apply_declared(used.release.strategy, match, header, events, rows=steady.kept)
        return measure(declared.compiled, declared.evaluation, events, header)


def _open(path: Path, used: InUse) -> tuple[TubeHeader, PanelMatch, Events]:
    """Read one tube's header and events and find its panel's markers in it."""
    header = read_header(path)
    match = match_panel(used.panel, header.channels)
    if not match.fits:
        raise PanelMismatch(
            f"{header.path.name} does not fit the panel {used.panel.panel}: "
            f"{' '.join(match.problems)}"
        )
    return header, match, open_events(header)


@dataclass(slots=True)
class _Asked:
    """Ask other tubes about one tube's thresholds, and remember which ones could have been asked (empty: none was)."""

    study: Study
    tube: Tube
    used: InUse
    reference_set_sha256: str = ""

    def __call__(self) -> ReferenceMeasurements:
        with self.study.store() as store:
            found = reference_index(self.study, store, panels=(self.used.panel_sha256,))
            references = found.references_for(self.tube.identity, self.used.name)
            self.reference_set_sha256 = references.sha256
            return reference_measurements(store, references, self.used)


def _flags(header: TubeHeader) -> list[Flag]:
    return [Flag.SEVERAL_DATA_SETS] if header.data_sets > 1 else []


def _made_with(used: InUse) -> dict[str, Any]:
    return {
        "strategy": used.name,
        "strategy_sha256": used.release.sha256,
        "panel": f"{used.panel.panel}@{used.panel.version}",
        "panel_sha256": used.panel_sha256,
    }


def _qc(
    compiled: Compiled, evaluation: Evaluation, header: TubeHeader, instrument: str
) -> dict[str, Any]:
    """Gather what a reviewer asks of a tube, and what made its numbers."""
    parent_of, path_of = compiled.strategy.parent_of(), compiled.path_of
    percent = {
        gate: round(100 * evaluation.count(path_of[gate]) / total, 6)
        if (total := evaluation.count(path_of[parent]))
        else None
        for gate, parent in parent_of.items()
    }
    return {
        "fcs_version": header.version,
        "events": evaluation.total,
        "instrument": instrument,
        "problems": list(header.problems),
        "detectors": _detectors(compiled, header),
        "compensation_condition": None
        if compiled.matrix is None
        else round(float(np.linalg.cond(compiled.matrix)), 6),
        "percent_of_parent": percent,
        "reconflow": version("reconflow"),
        "engine": ENGINE_VERSION,
    }


def _detectors(compiled: Compiled, header: TubeHeader) -> dict[str, dict[str, Any]]:
    """Say on which detector each marker was read, and at what voltage ($PnV)."""
    number = {channel.detector: channel.index + 1 for channel in header.channels}
    return {
        marker: {
            "detector": detector,
            "voltage": finite(header.keywords.get(f"$P{number[detector]}V", "")),
        }
        for marker, detector in sorted(compiled.detector_of.items())
        if marker != TIME
    }
