"""Gate one tube of the archive under one strategy.

The way of a tube, from top to bottom: read the file; leave out stretches of bad acquisition; apply
the strategy, its thresholds checked in the tube and taken from reference tubes where the tube
contradicts them, or set by a person who corrected the tube; judge quality; count beads and
populations. Concentrations follow when tables are made, because they need the other tubes of the
draw (``tasks.counting.quantity``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import ENGINE_VERSION, Evaluation
from gating.evaluation.preview import Preview
from gating.fcs.events import Events, open_events
from gating.fcs.header import TubeHeader, read_header
from gating.fcs.keyword_numbers import finite_number
from gating.quality.acquisition import TimeQuality, time_quality
from gating.strategy.calibrated import CalibratedStrategy
from gating.thresholds.apply import Applied, apply_declared, apply_strategy
from gating.thresholds.measure import ThresholdMeasurement, measure
from gating.thresholds.reference_measurements import ReferenceMeasurements
from panels.acquisition_time import TIME
from panels.panel import PanelMatch, match_panel
from panels.text.errors import PanelMismatch
from tasks.counting.counts import PopulationCount
from tasks.store.corrections import Binding, Correction, corrections_sha256
from tasks.store.gatings import TubeGating
from tasks.store.tubes import Tube
from tasks.study.archived_bytes import verified_bytes
from tasks.study.folder import Study
from tasks.study.snapshot import StrategyInUse
from tasks.tubes.bead_count import count_beads, seconds_counted
from tasks.tubes.corrections import (
    as_boundaries,
    binding_of,
    corrected_populations,
    corrections_in_force,
    document_of,
)
from tasks.tubes.population_counts import population_counts
from tasks.tubes.reference_tubes import (
    ReferenceIndex,
    measurements_among,
    needs_references,
    reference_measurements,
)
from tasks.tubes.signals import tube_signals
from tasks.tubes.stain_brightness import COMPARED_IN, stain_brightness, with_evidence
from tasks.tubes.tube_quality import judge_time, judge_tube
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.tube_identity import TubeIdentity


@dataclass(frozen=True, slots=True)
class GatedTube:
    """One gated tube: its events, the gates as they were used, and what the store keeps of it.

    ``calibrated`` is the strategy with the numbers of its instrument, ``match`` the panel in its
    channels; ``corrections`` are what a person set otherwise in this tube.
    """

    header: TubeHeader
    events: Events
    compiled: Compiled
    evaluation: Evaluation
    gating: TubeGating
    calibrated: CalibratedStrategy
    match: PanelMatch
    corrections: tuple[Correction, ...] = ()

    def preview(self) -> Preview:
        """Give what counts the tube with boundaries moved, as often as a hand moves them."""
        return Preview(self.compiled, self.evaluation, self.match, self.header, self.events)


def gate_tube(
    study: Study,
    tube: Tube,
    used: StrategyInUse,
    references: ReferenceIndex,
    *,
    corrections: Sequence[Correction] | None = None,
) -> GatedTube:
    """Gate one tube under a strategy with the numbers of its instrument; nothing is written.

    ``corrections`` are what a person set in it; None: those in force, empty: none of them.

    Raises TubeFault when the file holds other bytes than were taken in, cannot be read, fits its
    panel no more or cannot be compensated, OSError when the archive cannot be reached.
    """
    calibrated = used.for_tube(tube)
    in_force = _in_force(study, binding_of(tube, used, calibrated), corrections)
    with verified_bytes(study, tube) as path:
        header, match, events = _read(path, used)
        acquisition = time_quality(events, header, match.channel)
        lookup = ReferenceLookup(study, tube.identity, used, calibrated, references)
        applied = apply_strategy(
            calibrated.strategy,
            match,
            header,
            events,
            rows=acquisition.kept,
            fetch_references=lookup.fetch if needs_references(calibrated.strategy) else None,
            corrections=as_boundaries(in_force),
        )
        stains = (
            stain_brightness(calibrated, applied, events, header)
            if tube.identity.specimen == COMPARED_IN
            else {}
        )
        applied = replace(applied, compiled=with_evidence(applied.compiled, stains))
        quality = _quality(applied, acquisition, events, header)
        qc = _made_with(used, calibrated) | _qc(applied, header, match.instrument) | quality.numbers
        if in_force:
            qc["corrections"] = document_of(in_force)
        qc["stains"] = {name: each.document() for name, each in stains.items()}
        qc["signals"] = tube_signals(applied, quality.numbers)
        gating = replace(
            _uncounted(tube, used, calibrated, applied),
            correction_sha256=corrections_sha256(in_force),
            counts=_counts(applied, events, header, quality, in_force),
            beads=quality.beads,
            flags=quality.flags,
            qc=qc,
            reference_set_sha256=lookup.reference_set_sha256,
        )
    return GatedTube(
        header, events, applied.compiled, applied.evaluation, gating, calibrated, match, in_force
    )


def _in_force(
    study: Study, binding: Binding, corrections: Sequence[Correction] | None
) -> tuple[Correction, ...]:
    if corrections is not None:
        return tuple(corrections)
    with study.store() as store:
        return corrections_in_force(store, binding)


def measure_tube(study: Study, tube: Tube, used: StrategyInUse) -> dict[str, ThresholdMeasurement]:
    """Measure what a reference tube shows of each threshold, in the events that would be counted.

    Raises as ``gate_tube`` does.
    """
    return gate_control(study, tube, used)[1]


def gate_control(
    study: Study, tube: Tube, used: StrategyInUse
) -> tuple[GatedTube, dict[str, ThresholdMeasurement]]:
    """Gate a reference tube with the declared thresholds, and measure what it shows of each.

    Nothing is counted in it, and no flag is raised. Raises as ``gate_tube`` does.
    """
    calibrated = used.for_tube(tube)
    with verified_bytes(study, tube) as path:
        header, match, events = _read(path, used)
        acquisition = time_quality(events, header, match.channel)
        declared = apply_declared(calibrated.strategy, match, header, events, rows=acquisition.kept)
        beads = count_beads(declared.compiled, declared.evaluation, declared.beads)
        qc = _made_with(used, calibrated) | _qc(declared, header, match.instrument)
        qc |= judge_time(acquisition).numbers | dict(beads.numbers)
        gating = replace(_uncounted(tube, used, calibrated, declared), beads=beads.beads, qc=qc)
        measurements = measure(declared.compiled, declared.evaluation, events, header)
    gated = GatedTube(
        header, events, declared.compiled, declared.evaluation, gating, calibrated, match
    )
    return gated, measurements


def _uncounted(
    tube: Tube, used: StrategyInUse, calibrated: CalibratedStrategy, applied: Applied
) -> TubeGating:
    """Say what gated a tube; what was found in it is added by the caller."""
    return TubeGating(
        tube_sha256=tube.identity.tube_sha256,
        strategy=used.name,
        strategy_sha256=used.release.sha256,
        engine_version=ENGINE_VERSION,
        panel=f"{used.panel.panel}@{used.panel.version}",
        panel_sha256=used.panel_sha256,
        calibration=calibrated.calibration,
        calibration_sha256=calibrated.sha256,
        total_events=applied.evaluation.total,
        counts=(),
        thresholds=applied.compiled.thresholds,
    )


def _read(path: Path, used: StrategyInUse) -> tuple[TubeHeader, PanelMatch, Events]:
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
class ReferenceLookup:
    """Fetch the reference measurements of a tube when it needs them, and remember that it did.

    ``reference_set_sha256`` stays empty for a tube that agrees with all declared thresholds.
    """

    study: Study
    tube: TubeIdentity
    used: StrategyInUse
    calibrated: CalibratedStrategy
    index: ReferenceIndex
    reference_set_sha256: str = ""

    def fetch(self) -> ReferenceMeasurements:
        """Give what the reference tubes measured, of a draft or as it is kept in the store."""
        references = self.index.references_for(self.tube, self.used.name, self.calibrated.sha256)
        self.reference_set_sha256 = references.sha256
        if self.index.measure is not None:
            held = {sha: self.index.measure(sha) for sha in references.tubes}
            return measurements_among(held, references, self.calibrated)
        with self.study.store() as store:
            return reference_measurements(store, references, self.used, self.calibrated)


@dataclass(frozen=True, slots=True)
class _Quality:
    """What the quality checks of a tube gave; ``numbers`` are those behind the flags."""

    flags: tuple[str, ...]
    of_population: Mapping[str, Sequence[Flag]]
    beads: int | None
    numbers: dict[str, Any]


def _quality(
    applied: Applied, acquisition: TimeQuality, events: Events, header: TubeHeader
) -> _Quality:
    """Check the acquisition, the gates and the beads of a gated tube."""
    judged = judge_tube(applied.compiled, applied.evaluation, events, header)
    seconds = seconds_counted(header, events, 1 - acquisition.removed)
    beads = count_beads(applied.compiled, applied.evaluation, applied.beads, seconds)
    timed = judge_time(acquisition)
    flags = [*timed.flags, *judged.flags]
    if header.data_sets > 1:
        flags.insert(0, Flag.SEVERAL_DATA_SETS)
    return _Quality(
        tuple(str(flag) for flag in flags),
        judged.of_population,
        beads.beads,
        timed.numbers | judged.numbers | dict(beads.numbers),
    )


def _counts(
    applied: Applied,
    events: Events,
    header: TubeHeader,
    quality: _Quality,
    in_force: Sequence[Correction],
) -> tuple[PopulationCount, ...]:
    """Count the reported populations, each with the flags of its gates and of its events."""
    negatives = {
        name: measurement.negative
        for name, measurement in applied.measurements.items()
        if measurement.negative
    }
    counts = population_counts(applied.compiled, applied.evaluation, events, header, negatives)
    corrected = corrected_populations(applied.compiled.strategy, in_force) if in_force else ()

    def flags_of(count: PopulationCount) -> tuple[str, ...]:
        by_hand = [str(Flag.CORRECTED)] if count.population in corrected else []
        of_events = map(str, quality.of_population.get(count.population, ()))
        return (*by_hand, *count.flags, *of_events)

    return tuple(replace(count, flags=flags_of(count)) for count in counts)


def _made_with(used: StrategyInUse, calibrated: CalibratedStrategy) -> dict[str, Any]:
    return {
        "strategy": used.name,
        "strategy_sha256": used.release.sha256,
        "panel": f"{used.panel.panel}@{used.panel.version}",
        "panel_sha256": used.panel_sha256,
        "calibration": calibrated.calibration,
        "calibration_sha256": calibrated.sha256,
        "calibration_fault": calibrated.fault,
        "unmeasured_thresholds": sorted(calibrated.unmeasured),
    }


def _qc(applied: Applied, header: TubeHeader, instrument: str) -> dict[str, Any]:
    """Gather what a reviewer wants to know of a tube, and what made its numbers."""
    compiled, evaluation = applied.compiled, applied.evaluation
    condition = None
    if compiled.matrix is not None:
        condition = round(float(np.linalg.cond(compiled.matrix)), 6)
    return {
        "fcs_version": header.version,
        "events": evaluation.total,
        "instrument": instrument,
        "problems": list(header.problems),
        "detectors": _detectors(compiled, header),
        "compensation_condition": condition,
        "percent_of_parent": _percents_of_parent(compiled, evaluation),
        "reconflow": version("reconflow"),
        "engine": ENGINE_VERSION,
    }


def _percents_of_parent(compiled: Compiled, evaluation: Evaluation) -> dict[str, float | None]:
    """Give each gate's share of its parent in percent; None where the parent is empty."""
    percents: dict[str, float | None] = {}
    for gate, parent in compiled.strategy.parent_of().items():
        total = evaluation.count(compiled.path_of[parent])
        events = evaluation.count(compiled.path_of[gate])
        percents[gate] = round(100 * events / total, 6) if total else None
    return percents


def _detectors(compiled: Compiled, header: TubeHeader) -> dict[str, dict[str, Any]]:
    """Say on which detector each marker was read, and at what voltage ($PnV)."""
    number = {channel.detector: channel.index + 1 for channel in header.channels}
    return {
        marker: {
            "detector": detector,
            "voltage": finite_number(header.keywords.get(f"$P{number[detector]}V", "")),
        }
        for marker, detector in sorted(compiled.detector_of.items())
        if marker != TIME
    }
