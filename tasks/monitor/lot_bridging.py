"""Find draws that were stained with two lots, and compare the lots by them.

No column says so: two tubes of the same patient, specimen, visit and panel with different
``batch`` are the same draw stained with both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import combinations

from tasks.control_charts.bridging import Bridging, bridge
from tasks.monitor.readings import MeasuredTube
from tasks.sheets.same_draw import draw_of
from tasks.vocabulary.signals import signal_name

LEAST_EVENTS = 50
"""So many events in both tubes a population needs for its percentage to be compared."""


def lot_bridgings(tubes: Sequence[MeasuredTube]) -> list[Bridging]:
    """Compare every two lots that stained the same draws on one instrument, by panel.

    ``tubes`` are in order of acquisition. Of two lots the one that was used first is the old one;
    of two that were first used at the same time, the first by name.
    """
    first_used: dict[tuple[str, str], tuple[datetime, str]] = {}
    draws: dict[tuple[str, ...], dict[str, MeasuredTube]] = {}
    for tube in tubes:
        panel, lot = tube.identity.panel, tube.identity.batch
        if lot:
            first_used.setdefault((panel, lot), (tube.acquired, lot))
            draws.setdefault((panel, *draw_of(tube.identity)), {}).setdefault(lot, tube)
    samples: dict[tuple[str, str, str], list[tuple[Mapping[str, float], ...]]] = {}
    for (panel, *_), of_lot in sorted(draws.items()):
        in_order = sorted(of_lot, key=lambda lot: first_used[panel, lot])
        for old, new in combinations(in_order, 2):
            pair = _compared(of_lot[old]), _compared(of_lot[new])
            samples.setdefault((panel, old, new), []).append(pair)
    return [
        bridge(panel, (old, new), pairs) for (panel, old, new), pairs in sorted(samples.items())
    ]


def _compared(tube: MeasuredTube) -> dict[str, float]:
    """Gather what two lots are compared in: medians of cells, and percentages of populations."""
    values = {}
    for text, measured in tube.gating.qc["signals"].items():
        name = signal_name(text)
        if name is not None and name.statistic == "median" and not name.of_beads:
            values[text] = float(measured["value"])
    for count in tube.gating.counts:
        if count.population != count.reference and count.events >= LEAST_EVENTS:
            values[f"{count.population}/percent"] = 100 * count.events / count.reference_events
    return values
