"""Made-up rows of the kinetic tables, as plain values, for the tests of what is published."""

from typing import Any

import pandas as pd

from tasks.kinetics.schema import KINETICS, PARAMETERS

ROW = {
    "patient": "SLE-001",
    "visit": "D28",
    "day": 28.0,
    "collected": "2026-03-29T09:00:00",
    "specimen": "blood",
    "panel": "cart",
    "population": "car19_t",
    "events": 212,
    "parent": "t_cells",
    "parent_events": 20_000,
    "percent_parent": 1.06,
    "reference": "t_cells",
    "percent_reference": 1.06,
    "per_ul": 5.3,
    "per_ul_low": 4.6,
    "per_ul_high": 6.1,
    "lod_per_ul": 0.5,
    "lloq_per_ul": 1.25,
    "code": "Q",
    "method": "chain",
    "flags": "",
    "strategy": "cart@1.0.0",
    "strategy_sha256": "ab" * 32,
    "tube_sha256": "cd" * 32,
    "panel_sha256": "ef" * 32,
    "calibration": "",
    "calibration_sha256": "",
    "file": "SLE-001_D28.fcs",
    "instrument": "lyric-1",
    "batch": "B01",
    "used": "",
    "corrected": "N",
    "review": "",
    "nominal_day": 28.0,
    "percent_low": 0.93,
    "percent_high": 1.21,
    "panel_version": "cart@1.0.0",
}
NO_PERCENT = dict.fromkeys(("percent_parent", "percent_reference", "percent_low", "percent_high"))
NO_AMOUNT = {"per_ul": None, **NO_PERCENT}
NOT_DETECTED = {"code": "ND", "events": 3, **NO_AMOUNT, "per_ul_low": 0.0, "per_ul_high": 0.2}
NOT_EVALUABLE = {"code": "NE", "events": 1, "per_ul": None, "per_ul_low": None, "per_ul_high": None}
DETECTED = {"code": "DNQ", "events": 30, "per_ul": 0.75, "per_ul_low": 0.5, "per_ul_high": 1.07}


def kinetics(*changes: dict[str, Any]) -> pd.DataFrame:
    measured = [name for name, value in ROW.items() if isinstance(value, float)]
    return pd.DataFrame([ROW | change for change in changes], columns=KINETICS.names).astype(
        dict.fromkeys(measured, "float64")
    )


def at(day: int, **change: Any) -> dict[str, Any]:
    """Give what differs in the tube of another day."""
    named = {"visit": f"D{day}", "day": float(day), "nominal_day": float(day)}
    return named | {"tube_sha256": f"{day + 100:064x}"} | change


def parameters(*rows: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=PARAMETERS.names)
