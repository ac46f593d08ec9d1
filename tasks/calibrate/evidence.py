"""Lay out the evidence of a draft on one page: every number, its sources, and a picture of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gating.thresholds.valley import HIGHEST, LOWEST, WIDTH, bin_of
from panels.text.plural import counted
from tasks.calibrate.draft_notes import silent_tubes, telling_tubes
from tasks.calibrate.effect import OWN, Effects
from tasks.calibrate.instrument_calibration import Measured
from tasks.calibrate.observation import shown_gate
from tasks.calibrate.threshold_proposals import Proposal
from tasks.calibrate.threshold_sources import SourceEstimate
from tasks.publish.calibration_page import (
    CalibrationPage,
    LandmarkLine,
    ShownThreshold,
    SourceLine,
    calibration_page,
)
from tasks.publish.threshold_plot import ThresholdPlot

SOURCES = {
    "fmo": "FMO controls: above 99.95 % of the cells without the stain",
    "landmark": "reference cells of this detector",
    "valley": "valley between two modes",
    "negative": "negative cells, as far above them as on the strategy's own instrument",
    "tail": "raised until few enough cells from before the infusion lie beyond",
}
WHAT_WOULD_TELL = {
    "fmo": "an FMO control of {marker} (sample sheet, control: fmo:{marker}) with 2,000 cells",
    "landmark": "more tubes from before the infusion, or of healthy donors, that hold {cells}",
    "valley": "more tubes whose {gate} hold both populations (100 cells each)",
    "negative": "tubes with 500 cells of {negative}",
}
BY_HAND = "no tube, for the strategy names no cells for it: write a value into calibration.yaml"


def evidence_page(measured: Measured, changed: Effects, notes: Sequence[str]) -> str:
    """Make the page on which a person decides whether to rely on a draft."""
    calibration, silent = measured.calibration, silent_tubes(measured)
    return calibration_page(
        CalibrationPage(
            pin=calibration.pin,
            strategy=calibration.strategy,
            relative_to=calibration.relative_to or OWN,
            compared_with=changed.compared_with,
            cytometer=", ".join(
                " ".join(filter(None, (each.name, each.serial))) for each in calibration.cytometers
            ),
            telling=counted(telling_tubes(measured), "tube"),
            tubes=[(tube.name, tube.role, tube.name not in silent) for tube in measured.tubes],
            notes=notes,
            thresholds=[*_thresholds(measured)],
            landmarks=[*_landmarks(measured)],
            effects=[
                (each.label, sum(each.before), sum(each.after), each.ratio)
                for each in changed.populations
            ],
        )
    )


def _thresholds(measured: Measured) -> Iterator[ShownThreshold]:
    """Show the thresholds, those that nobody could tell or that sources dispute first."""
    order = sorted(measured.proposals, key=lambda each: (each.value is not None, not each.doubt))
    for proposal in order:
        yield ShownThreshold(
            name=proposal.threshold,
            marker=proposal.marker,
            value=proposal.value,
            drawn_on=proposal.declared,
            source=SOURCES.get(proposal.source, ""),
            doubt=proposal.doubt,
            sources=[_source_line(each, proposal) for each in proposal.sources],
            would_tell=[] if proposal.value is not None else _would_tell(measured, proposal),
            hangs_on=_hangs_on(measured, proposal),
            plot=_plot(measured, proposal),
        )


def _would_tell(measured: Measured, proposal: Proposal) -> list[str]:
    """Name the tubes that would tell an unmeasured threshold; landmarks where there are any."""
    strategy, marker = measured.drawn, proposal.marker
    threshold = strategy.thresholds[proposal.threshold]
    landmarks = [each.gate for each in strategy.landmarks.values() if marker in each.axes]
    told = [
        WHAT_WOULD_TELL[each.source].format(
            marker=marker,
            cells=" or ".join(dict.fromkeys(landmarks)),
            gate=threshold.seen_in,
            negative=threshold.negative.gate if threshold.negative else "",
        )
        for each in proposal.sources
        if each.source != "landmark" or (landmarks and proposal.declared > 0)
    ]
    return told or [BY_HAND]


def _hangs_on(measured: Measured, proposal: Proposal) -> str:
    """Say how many cells lie beyond a threshold, in its interval, and up to the strategy's own."""
    counts = _counts(measured, proposal.threshold)
    taken = next((each for each in proposal.sources if each.source == proposal.source), None)
    if proposal.value is None or not len(counts) or not counts.sum():
        return ""
    place = bin_of(proposal.value)
    beyond = int(counts[place:].sum())
    low, high = sorted((place, bin_of(proposal.declared)))
    sentences = [f"Of {int(counts.sum()):,} cells (a sample) {beyond:,} lie beyond it"]
    if taken is not None and np.isfinite(taken.low):
        within = int(counts[bin_of(taken.low) : bin_of(taken.high)].sum())
        sentences.append(f"{within:,} within its interval")
    sentences.append(f"{int(counts[low:high].sum()):,} between it and the strategy's own value")
    return f"{', '.join(sentences)}."


def _counts(measured: Measured, name: str) -> NDArray[np.int64]:
    """Add up the cells of all tubes on both sides of a threshold, in the bins of the scale."""
    counts = [each.histograms[name] for each in measured.final if name in each.histograms]
    return np.sum(counts, axis=0) if counts else np.zeros(0, dtype=np.int64)


def _source_line(each: SourceEstimate, proposal: Proposal) -> SourceLine:
    return SourceLine(
        SOURCES[each.source],
        each.value,
        (each.low, each.high),
        each.tubes,
        each.cells,
        100 * each.between,
        each.fault,
        each.source == proposal.source,
    )


def _plot(measured: Measured, proposal: Proposal) -> ThresholdPlot:
    """Show the cells of all tubes on both sides of a threshold, and what each source gives."""
    name = proposal.threshold
    taken = next((each for each in proposal.sources if each.source == proposal.source), None)
    return ThresholdPlot(
        marker=proposal.marker,
        gate=shown_gate(measured.strategy, name) or "",
        counts=_counts(measured, name),
        edges=np.linspace(LOWEST, HIGHEST, round((HIGHEST - LOWEST) / WIDTH) + 1),
        value=proposal.value,
        interval=None if taken is None else (taken.low, taken.high),
        drawn_on=proposal.declared,
        others={
            each.source: each.value
            for each in proposal.sources
            if each.value is not None and each.source != proposal.source
        },
    )


def _landmarks(measured: Measured) -> Iterator[LandmarkLine]:
    for (name, axis), each in measured.alignment.landmarks.items():
        drawn = measured.drawn.landmarks[name]
        yield LandmarkLine(
            drawn.gate,
            axis,
            each.value,
            drawn.at.get(axis),
            (each.low, each.high),
            each.tubes,
            each.cells,
            100 * each.between,
            each.fault,
        )
