"""Sum the monitoring up for programs (JSON) and for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tasks.control_charts.bridging import HIGH, LOW, Bridging, SignalRatio
from tasks.control_charts.drift import Drift
from tasks.control_charts.history import breaches
from tasks.control_charts.limits import ControlLimits
from tasks.control_charts.series import Chart
from tasks.monitor.instruments import FOLDER, Instrument, Monitoring

_HEADINGS = ("panel", "signal", "detector", "last value", "z", "rules broken", "since")


def monitoring_document(monitoring: Monitoring) -> dict[str, Any]:
    """Gather everything that is known of the instruments, as values JSON can hold."""
    return {
        "instruments": [_instrument(each) for each in monitoring.instruments],
        "drifts": [each.sentence for each in monitoring.drifts],
        "problems": list(monitoring.problems),
        "tubes_without_signals": monitoring.without_signals,
    }


def monitoring_text(monitoring: Monitoring) -> str:
    """Write the monitoring for a person: a table for each instrument, then what has drifted."""
    if not monitoring.instruments:
        return "\n".join(["No counted tube has signals yet.", *_notes(monitoring)])
    blocks = ["\n".join(_instrument_lines(each)) for each in monitoring.instruments]
    drifted = [each.sentence for each in monitoring.drifts]
    told = drifted or ["Nothing has drifted far enough to matter."]
    return "\n\n".join([*blocks, "\n".join([*told, *_notes(monitoring)])])


def _notes(monitoring: Monitoring) -> Iterator[str]:
    yield from monitoring.problems
    if monitoring.without_signals:
        yield (
            f"{monitoring.without_signals} tubes were counted by an earlier release and have no "
            f"signals; they get them when they are counted again."
        )


def _instrument(instrument: Instrument) -> dict[str, Any]:
    return {
        "instrument": instrument.title,
        "cytometer": instrument.key.cytometer,
        "serial": instrument.key.serial,
        "names_in_sheet": list(instrument.names),
        "page": f"{FOLDER}/{instrument.page}",
        "tubes": dict(instrument.tubes),
        "first": instrument.first,
        "last": instrument.last,
        "calibrations": list(instrument.calibrations),
        "events": [asdict(each) for each in instrument.events],
        "signals": [_signal(each, instrument.drifts) for each in instrument.charts],
        "bridging": [_bridging(each) for each in instrument.bridgings],
    }


def _signal(chart: Chart, drifts: tuple[Drift, ...]) -> dict[str, Any]:
    series, last = chart.series, chart.last
    newest = len(series.readings) - 1 if last is None else last
    reading, z = series.readings[newest], chart.z[newest]
    return {
        "panel": series.panel,
        "signal": str(series.signal),
        "detector": series.detector,
        "watched": series.signal.is_watched,
        "readings": len(series.readings),
        "judged": sum(z is not None for z in chart.z),
        "target": _limits(chart.limits[newest]),
        "last": {
            "tube": reading.tube[:12],
            "file": reading.file,
            "acquired": reading.acquired.isoformat(),
            "value": reading.value,
            "z": None if z is None else round(z, 4),
        },
        "broken_now": [str(rule) for rule in chart.now],
        "breaches": [asdict(each) for each in breaches(chart)],
        "drifted": any(each.chart is chart for each in drifts),
    }


def _limits(limits: ControlLimits | None) -> dict[str, Any] | None:
    if limits is None:
        return None
    return {
        "mean": float(f"{limits.mean:.10g}"),
        "sd": float(f"{limits.sd:.10g}"),
        "tubes": limits.tubes,
        "provisional": limits.provisional,
        "from": limits.origin or "the first tubes",
    }


def _bridging(bridging: Bridging) -> dict[str, Any]:
    return {
        "panel": bridging.panel,
        "old_lot": bridging.old,
        "new_lot": bridging.new,
        "samples": bridging.samples,
        "limits": [LOW, HIGH],
        "signals": [_ratio(each) for each in bridging.ratios],
    }


def _ratio(ratio: SignalRatio) -> dict[str, Any]:
    return {
        "signal": ratio.signal,
        "samples": ratio.samples,
        "ratio": round(ratio.ratio, 6),
        "lowest": round(ratio.lowest, 6),
        "highest": round(ratio.highest, 6),
        "verdict": ratio.in_words,
    }


def _instrument_lines(instrument: Instrument) -> Iterator[str]:
    """Write one instrument: its tubes, its watched signals, its lots; broken rules first."""
    tubes = ", ".join(f"{number} {panel}" for panel, number in instrument.tubes.items())
    yield f"{instrument.title}: {tubes} tubes, {instrument.first} to {instrument.last}"
    yield f"  calibration: {', '.join(instrument.calibrations) or 'none'}"
    yield f"  page: {FOLDER}/{instrument.page}"
    rows: list[tuple[str, ...]] = [_HEADINGS]
    rows += [_row(chart) for chart in instrument.charts if chart.series.signal.is_watched]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
    for bridging in instrument.bridgings:
        yield (
            f"  new lot {bridging.new} against {bridging.old} ({bridging.panel}, "
            f"{bridging.samples} draws with both): {_verdicts(bridging)}"
        )


def _verdicts(bridging: Bridging) -> str:
    """Sum the verdicts on a lot up; what is refused is named."""
    of_verdict: dict[str, list[SignalRatio]] = {}
    for ratio in bridging.ratios:
        of_verdict.setdefault(ratio.in_words, []).append(ratio)
    refused = of_verdict.pop("refused", [])
    told = [f"{each.signal} refused (ratio {each.ratio:.2f})" for each in refused]
    told += [f"{words} in {len(ratios)} signals" for words, ratios in sorted(of_verdict.items())]
    return ", ".join(told) or "nothing in common to compare"


def _row(chart: Chart) -> tuple[str, ...]:
    series, last = chart.series, chart.last
    place = len(series.readings) - 1 if last is None else last
    z = chart.z[place]
    lasting = [each for each in breaches(chart) if each.lasts]
    return (
        series.panel,
        str(series.signal),
        series.detector,
        f"{series.readings[place].value:.5g}",
        why_no_z(chart) if z is None else f"{z:+.1f}",
        ", ".join(each.rule for each in lasting) or ("" if z is None else "none"),
        min((each.since for each in lasting), default=""),
    )


def why_no_z(chart: Chart) -> str:
    """Say why the newest reading has no distance from a target."""
    if chart.limits[-1] is None:
        return "too few tubes" if not chart.reference.places else "does not vary"
    return "sets the target"
