"""Write the page of one instrument: what has drifted, its control charts, its lots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.control_charts.bridging import HIGH, LOW, Bridging
from tasks.control_charts.drift import Drift, Event
from tasks.control_charts.series import Chart
from tasks.publish.levey_jennings import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Drawing,
    chart_in_words,
    lay_out,
    limits_in_words,
)
from tasks.publish.pages import render

OURS = b"<title>Control charts of "
"""Every page of an instrument has it, and nothing else does."""


@dataclass(frozen=True, slots=True)
class InstrumentPage:
    """What the page shows of one instrument.

    ``tubes`` counts them by panel; ``charts`` are worst first; ``names`` are those of the sample
    sheet.
    """

    study: str
    title: str
    names: Sequence[str]
    tubes: Mapping[str, int]
    first: str
    last: str
    calibrations: Sequence[str]
    charts: Sequence[Chart]
    drifts: Sequence[Drift]
    bridgings: Sequence[Bridging]
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class ChartOnPage:
    """One chart with its words."""

    title: str
    panel: str
    detector: str
    signal: str
    state: str
    target: str
    drawing: Drawing


def render_instrument_page(page: InstrumentPage) -> str:
    """Write the page of an instrument.

    First the charts of signals that break a rule now, then, folded, the quiet ones, and those that
    patients can move.
    """
    watched = [each for each in page.charts if each.series.signal.is_watched]
    broken = [_on_page(each, page.events) for each in watched if each.now]
    quiet = [_on_page(each, page.events) for each in watched if not each.now]
    moved = [each for each in page.charts if not each.series.signal.is_watched]
    varying = [each for each in moved if len({r.value for r in each.series.readings}) > 1]
    values = {
        "page": page,
        "broken": broken,
        "quiet": quiet,
        "moved": [_on_page(each, page.events) for each in varying],
        "still": len(moved) - len(varying),
        "limits": (LOW, HIGH),
        "size": {
            "width": WIDTH,
            "height": HEIGHT,
            "left": LEFT,
            "right": WIDTH - RIGHT,
            "top": TOP,
            "bottom": HEIGHT - BOTTOM,
        },
    }
    return render("instrument.html", values)


def _on_page(chart: Chart, events: Sequence[Event]) -> ChartOnPage:
    series = chart.series
    return ChartOnPage(
        title=series.signal.in_words,
        panel=series.panel,
        detector=series.detector,
        signal=str(series.signal),
        state=chart_in_words(chart),
        target=limits_in_words(chart),
        drawing=lay_out(chart, events),
    )
