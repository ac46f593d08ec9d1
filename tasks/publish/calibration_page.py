"""Draw the page of evidence of a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from tasks.publish.pages import render
from tasks.publish.threshold_plot import ThresholdPlot, draw_threshold


@dataclass(frozen=True, slots=True)
class SourceLine:
    """What one source gives: ``between`` is the SD between tubes in percent (nan: too few)."""

    source: str
    value: float | None
    interval: tuple[float, float]
    tubes: int
    cells: int
    between: float
    fault: str
    taken: bool


@dataclass(frozen=True)
class ShownThreshold:
    """One threshold of the page.

    ``would_tell`` names tubes that would tell an unmeasured one; ``hangs_on`` says in words how
    many cells hang on where it lies.
    """

    name: str
    marker: str
    value: float | None
    drawn_on: float
    source: str
    doubt: str
    sources: Sequence[SourceLine]
    would_tell: Sequence[str]
    hangs_on: str
    plot: ThresholdPlot


@dataclass(frozen=True, slots=True)
class LandmarkLine:
    """One landmark on one axis; ``drawn_on`` is where it lies for the strategy."""

    gate: str
    axis: str
    value: float | None
    drawn_on: float | None
    interval: tuple[float, float]
    tubes: int
    cells: int
    between: float
    fault: str


@dataclass(frozen=True)
class CalibrationPage:
    """All that the page shows; ``effects`` are (population, events before, after, ratio).

    ``tubes`` are (file, role, whether it tells anything), ``telling`` says how many do;
    ``relative_to`` is the calibration the strategy is drawn on, ``compared_with`` names the numbers
    that the counts before are made with.
    """

    pin: str
    strategy: str
    relative_to: str
    compared_with: str
    cytometer: str
    telling: str
    tubes: Sequence[tuple[str, str, bool]]
    notes: Sequence[str]
    thresholds: Sequence[ShownThreshold]
    landmarks: Sequence[LandmarkLine]
    effects: Sequence[tuple[str, int, int, float | None]]


def calibration_page(page: CalibrationPage) -> str:
    """Fill the page of evidence."""
    plots = {each.name: draw_threshold(each.plot) for each in page.thresholds}
    return render(
        "calibration.html",
        {
            "page": page,
            "plots": plots,
            "whole": whole,
            "span": span,
            "times": times,
            "percent": percent,
        },
    )


def whole(value: float | None) -> str:
    """Write a linear intensity: no more digits than matter."""
    return "–" if value is None or not isfinite(value) else f"{float(f'{value:.3g}'):,.0f}"


def span(interval: tuple[float, float]) -> str:
    """Write an interval; a dash where there is none."""
    return f"{whole(interval[0])} to {whole(interval[1])}" if isfinite(interval[0]) else "–"


def times(value: float, drawn_on: float | None) -> str:
    """Write a value as a multiple of the strategy's own; empty where that is 0 or below."""
    return f"{value / drawn_on:.2f}" if drawn_on is not None and drawn_on > 0 else ""


def percent(value: float) -> str:
    """Write an SD in percent; a dash where it is not known."""
    return f"{value:.0f} %" if isfinite(value) else "–"
