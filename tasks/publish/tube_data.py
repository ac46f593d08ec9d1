"""Write what the page of a tube is made of, the data file of kind ``tube`` (docs/pages.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gating.evaluation.axis_units import to_display
from tasks.publish.page_data import data_script, packed

if TYPE_CHECKING:
    from gating.display.tube_drawing import DrawnAxis, DrawnGate, TubeDrawing
    from gating.evaluation.compiled_strategy import Compiled, RealisedThreshold

FORMAT = 1
"""What readers of the data go by; raised when they would have to be changed."""


@dataclass(frozen=True, slots=True)
class TubeHead:
    """What a page says of a tube before its gates: whose it is, and what gated it.

    Texts are empty where nothing is known. ``file`` is the name it came in under, times are as they
    were written. ``events`` counts all of the tube, ``kept`` is the share of them that was gated.
    ``beads`` says how many there are; ``uncalibrated`` says what is counted with numbers of another
    instrument, and why; ``stain`` how brightly cells are stained that should be as bright in every
    tube, where they are not; ``corrected`` what a person set otherwise, who, when and why, and
    ``corrections`` the same as values.
    """

    patient: str
    visit: str
    specimen: str
    panel: str
    control: str
    file: str
    collected: str
    acquired: str
    instrument: str
    operator: str
    batch: str
    cytometer: str
    serial: str
    strategy: str
    strategy_sha256: str
    panel_version: str
    panel_sha256: str
    calibration: str
    calibration_sha256: str
    tube_sha256: str
    events: int
    kept: float
    beads: str = ""
    uncalibrated: str = ""
    stain: str = ""
    corrected: str = ""
    correction_sha256: str = ""
    corrections: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class TubeFindings:
    """What was found in a tube: its flags, those of its populations, and the figures behind them.

    ``flags`` are words with their severity and sentence, worst first.
    """

    flags: Sequence[tuple[str, str, str]] = ()
    of_population: Mapping[str, Sequence[str]] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


def tube_data(
    head: TubeHead, findings: TubeFindings, compiled: Compiled, drawing: TubeDrawing
) -> bytes:
    """Write the data file of a tube that was gated as ``compiled`` and drawn as ``drawing``."""
    return data_script(
        "tube", head.tube_sha256[:12], tube_document(head, findings, compiled, drawing)
    )


def tube_document(
    head: TubeHead, findings: TubeFindings, compiled: Compiled, drawing: TubeDrawing
) -> dict[str, Any]:
    """Give the value of kind ``tube``, as its data file holds it."""
    names = list(compiled.strategy.thresholds)
    population_of = {each.gate: each for each in reversed(compiled.strategy.populations)}
    return {
        "format": FORMAT,
        "head": asdict(head),
        "flags": [
            {"word": word, "severity": severity, "sentence": sentence}
            for word, severity, sentence in findings.flags
        ],
        "axes": [_axis(each) for each in drawing.axes],
        "gates": [
            _gate(each, drawing, names)
            | _population(each.name, population_of, findings.of_population)
            for each in drawing.gates
        ],
        "densities": [
            {
                "x": each.x,
                "y": each.y,
                "parent": each.parent,
                "events": each.events,
                "bins": len(each.counts),
                "counts": packed(each.counts),
            }
            for each in drawing.densities
        ],
        "sample": _sample(drawing),
        "thresholds": [_threshold(compiled, each, drawing) for each in compiled.thresholds],
        "figures": findings.figures,
    }


def _axis(drawn: DrawnAxis) -> dict[str, Any]:
    axis = drawn.axis
    low, high = axis.limits
    return {
        "label": drawn.name,
        "detector": axis.detector,
        "scale": axis.scale,
        "raw": drawn.raw,
        "ticks": [[_rounded(place), text] for place, text in axis.ticks],
        "low": low,
        "high": high,
    }


def _gate(gate: DrawnGate, drawing: TubeDrawing, thresholds: Sequence[str]) -> dict[str, Any]:
    axes = (drawing.axes[gate.x], drawing.axes[gate.y])
    return {
        "name": gate.name,
        "parent": gate.parent,
        "kind": gate.kind,
        "x": gate.x,
        "y": gate.y,
        "events": gate.events,
        "parent_events": gate.parent_events,
        "density": gate.density,
        "outlines": [polyline(each, axes) for each in gate.outlines],
        "declared": [polyline(each, axes) for each in gate.declared],
        "hidden": list(gate.hidden),
        "thresholds": [thresholds.index(name) for name in gate.thresholds],
    }


def _population(
    gate: str, population_of: Mapping[str, Any], flags: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Say which population a gate is reported as; empty for one that is only gated through."""
    population = population_of.get(gate)
    if population is None:
        return {"population": "", "label": gate, "flags": []}
    return {
        "population": population.id,
        "label": population.label,
        "flags": list(flags.get(population.id, ())),
    }


def _sample(drawing: TubeDrawing) -> dict[str, Any]:
    sample = drawing.sample
    return {
        "events": len(sample.rows),
        "columns": packed(sample.columns),
        "codes": packed(sample.codes),
        "sets": [list(each) for each in sample.sets],
        "shares": [float(f"{each:.6g}") for each in sample.shares],
    }


def _threshold(
    compiled: Compiled, realised: RealisedThreshold, drawing: TubeDrawing
) -> dict[str, Any]:
    """Describe one threshold; values are pairs of channel units and display units."""
    declared = compiled.strategy.thresholds[realised.threshold]
    marker, factor = realised.marker, compiled.factor(realised.marker)
    low, high = declared.limits or (None, None)

    def pair(value: float | None) -> list[float] | None:
        return None if value is None else value_and_place(compiled, marker, value)

    return {
        "name": realised.threshold,
        "marker": marker,
        "detector": realised.detector,
        "axis": drawing.place_of(marker),
        "declared": pair(declared.value),
        "value": pair(realised.value / factor),
        "low": pair(low),
        "high": pair(high),
        "source": realised.source,
        "rationale": realised.rationale,
        "tried": [
            [
                each.source,
                None if each.value is None else float(f"{each.value * factor:.6g}"),
                each.fault,
            ]
            for each in realised.tried
        ],
    }


def value_and_place(compiled: Compiled, axis: str, value: float) -> list[float]:
    """Give a value in the strategy's linear units in channel units, and where it is displayed."""
    shown = float(to_display(compiled, axis, [value])[0])
    return [float(f"{value * compiled.factor(axis):.10g}"), _rounded(shown)]


def polyline(points: np.ndarray, axes: tuple[DrawnAxis, DrawnAxis]) -> list[list[float]]:
    """Write a polyline; what has no end is given that of its axis."""
    columns = []
    for column, drawn in zip(points.T, axes, strict=True):
        low, high = drawn.axis.limits
        ended = np.nan_to_num(column, nan=low, posinf=high, neginf=low)
        columns.append([_rounded(float(value)) for value in ended])
    return [list(point) for point in zip(*columns, strict=True)]


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
