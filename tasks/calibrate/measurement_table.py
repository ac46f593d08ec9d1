"""Lay out what a calibration was measured from: one row a number and source, and one a tube."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from tasks.calibrate.half_sample_mode import mode_on_log
from tasks.calibrate.instrument_calibration import Measured
from tasks.calibrate.landmark_estimates import CELLS

COLUMNS = (
    "kind",
    "name",
    "marker",
    "gate",
    "source",
    "taken",
    "tube",
    "value",
    "low",
    "high",
    "unit",
    "scale",
    "cells",
    "tubes",
    "between_tubes_percent",
    "drawn_on",
    "ratio",
    "fault",
)
Row = dict[str, object]
LINEAR, SCALE = "linear", "0 to 262144"


def measurement_rows(measured: Measured) -> list[Row]:
    """List every measured number: thresholds by source, landmarks, reference cells, tube by tube.

    Values are linear, compensated intensities on a scale that ends at 262144; ``drawn_on`` is the
    number of the instrument that the strategy is drawn on, ``ratio`` the value over it.
    """
    rows = [*_thresholds(measured), *_landmarks(measured), *_reference_cells(measured)]
    return [{name: row.get(name, "") for name in COLUMNS} for row in rows]


def _thresholds(measured: Measured) -> Iterator[Row]:
    for proposal in measured.proposals:
        for each in proposal.sources:
            yield {
                "kind": "threshold",
                "name": proposal.threshold,
                "marker": proposal.marker,
                "source": each.source,
                "taken": "Y" if each.source == proposal.source else "N",
                "value": _number(each.value),
                "low": _number(each.low),
                "high": _number(each.high),
                "unit": LINEAR,
                "scale": SCALE,
                "cells": each.cells,
                "tubes": each.tubes,
                "between_tubes_percent": _percent(each.between),
                "drawn_on": _number(proposal.declared),
                "ratio": _ratio(each.value, proposal.declared),
                "fault": each.fault,
            }


def _landmarks(measured: Measured) -> Iterator[Row]:
    strategy = measured.strategy
    for (name, axis), each in measured.alignment.landmarks.items():
        gate = strategy.landmarks[name].gate
        drawn = measured.drawn.landmarks[name].at.get(axis)
        common: Row = {"kind": "landmark", "name": name, "marker": axis, "gate": gate}
        common |= {"source": "half-sample mode", "unit": LINEAR, "scale": SCALE}
        yield common | {
            "taken": "Y" if each.value is not None else "N",
            "value": _number(each.value),
            "low": _number(each.low),
            "high": _number(each.high),
            "cells": each.cells,
            "tubes": each.tubes,
            "between_tubes_percent": _percent(each.between),
            "drawn_on": _number(drawn),
            "ratio": _ratio(each.value, drawn),
            "fault": each.fault,
        }
        for tube, seen in zip(measured.tubes, measured.final, strict=True):
            cells = seen.landmarks[name, axis]
            positive = cells[cells > 0]
            if len(positive) >= CELLS:
                value = mode_on_log(positive)
                yield common | {"tube": tube.name, "value": _number(value), "cells": len(cells)}


def _reference_cells(measured: Measured) -> Iterator[Row]:
    """List the anchors' medians and the negative cells' spreads, tube by tube."""
    for name, threshold in measured.strategy.thresholds.items():
        common: Row = {"name": name, "marker": threshold.marker, "unit": LINEAR, "scale": SCALE}
        for tube, seen in zip(measured.tubes, measured.final, strict=True):
            each = seen.measurements.get(name)
            if each is None:
                continue
            if threshold.anchor and each.usable_anchor:
                yield common | {
                    "kind": "anchor",
                    "gate": threshold.anchor.gate,
                    "source": "median",
                    "tube": tube.name,
                    "value": _number(each.usable_anchor.median),
                    "cells": each.usable_anchor.events,
                }
            if threshold.negative and each.negative:
                yield common | {
                    "kind": "negative spread",
                    "gate": threshold.negative.gate,
                    "source": "SD of the half below the mode",
                    "tube": tube.name,
                    "value": _number(each.negative.spread),
                    "cells": each.negative.events,
                }


def _number(value: float | None) -> object:
    return "" if value is None or isnan(value) else float(f"{value:.5g}")


def _percent(between: float) -> object:
    return "" if isnan(between) else round(100 * between, 1)


def _ratio(value: float | None, drawn: float | None) -> object:
    return "" if value is None or not drawn or drawn < 0 else round(value / drawn, 4)
