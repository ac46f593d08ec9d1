"""Write data files of a small study for the pages drawn in a browser (docs/pages.md)."""

import base64
import copy
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tasks.publish.app_files import write_app
from tasks.publish.gating_page import with_versions
from tasks.publish.pages import render

BINS = 32
TICKS = [[0.1, "-10³"], [0.25, "0"], [0.4, "10³"], [0.65, "10⁴"], [0.9, "10⁵"]]
HOSTILE = "<script>alert(1)</script> & \u202eevil \"'"
PER_UL = "cells/µL"


def packed(values: np.ndarray) -> str:
    """Deflate numbers and write them as base64."""
    return base64.b64encode(zlib.compress(values.tobytes())).decode()


def tube_value(
    b_cells: int = 40, others: int = 300, *, visit: str = "D28", **head: object
) -> dict[str, Any]:
    """Give a tube of B cells and other cells; below the B cells lies a branch without events."""
    numbers = np.random.default_rng(16)
    x = np.r_[numbers.normal(0.7, 0.03, b_cells), numbers.normal(0.25, 0.03, others)]
    y = np.r_[numbers.normal(0.3, 0.03, b_cells), numbers.normal(0.6, 0.03, others)]
    is_b = np.arange(b_cells + others) < b_cells
    every = np.ones(len(x), dtype=bool)
    held = {
        "cells": every,
        "b_cells": is_b,
        "not_b": ~is_b,
        "memory_b": np.zeros_like(is_b),
        "switched_b": np.zeros_like(is_b),
    }
    square = [[[0.5, 0.05], [0.95, 0.05], [0.95, 0.95], [0.5, 0.95], [0.5, 0.05]]]
    parents = {"cells": -1, "b_cells": 0, "not_b": 0, "memory_b": 1, "switched_b": 3}
    gates, densities = [], []
    for name, parent in parents.items():
        within = every if parent < 0 else held[list(held)[parent]]
        densities.append(
            {
                "x": 0,
                "y": 1,
                "parent": parent,
                "events": int(within.sum()),
                "bins": BINS,
                "counts": packed(
                    np.histogram2d(x[within], y[within], BINS, ((0, 1), (0, 1)))[0].astype("<u4")
                ),
            }
        )
        gates.append(
            {
                "name": name,
                "label": "B cells (CD19+)" if name == "b_cells" else name,
                "population": "" if name == "cells" else name,
                "parent": parent,
                "kind": "none_of" if name == "not_b" else "rectangle",
                "x": 0,
                "y": 1,
                "events": int(held[name].sum()),
                "parent_events": int(within.sum()),
                "density": len(densities) - 1,
                "outlines": [] if name == "not_b" else square,
                "declared": [[[px + 0.02, py] for px, py in square[0]]] * (name == "b_cells"),
                "hidden": ["events in none of: b_cells"] if name == "not_b" else [],
                "thresholds": [0] if name == "b_cells" else [],
                "flags": ["threshold_sensitive"] if name == "b_cells" else [],
            }
        )
    holders = [(0, 1), (0, 2)]
    return {
        "format": 1,
        "head": {
            **dict.fromkeys("control operator batch cytometer serial beads".split(), ""),
            "patient": "P01",
            "visit": visit,
            "specimen": "blood",
            "panel": "bcell",
            "file": f"P01_{visit}.fcs",
            "collected": "2025-03-18T08:04:00",
            "acquired": "2025-03-18T12:30:00",
            "instrument": "cytometer 1",
            "strategy": "bcell@3.0.0",
            "strategy_sha256": "ab" * 32,
            "panel_version": "bcell@1.0.0",
            "panel_sha256": "cd" * 32,
            "calibration": "",
            "calibration_sha256": "",
            "tube_sha256": "ef" * 32,
            "events": len(x),
            "kept": 0.9,
            "uncalibrated": "",
            **head,
        },
        "flags": [
            {"word": "beads_incomplete", "severity": "stop", "sentence": "Beads are missing."},
            {"word": "few_events", "severity": "look", "sentence": "Few events."},
        ],
        "axes": [axis("CD19", "PE-A"), axis("CD3", "APC-A")],
        "gates": gates,
        "densities": densities,
        "sample": {
            "events": len(x),
            "columns": packed((np.stack([x, y]).clip(0, 0.999) * 256).astype(np.uint8)),
            "codes": packed(np.where(is_b, 0, 1).astype("<u2")),
            "sets": holders,
            "shares": [1.0] * len(gates),
        },
        "thresholds": [
            {
                "name": "cd19",
                "marker": "CD19",
                "detector": "PE-A",
                "axis": 0,
                "declared": [2000.0, 0.48],
                "value": [2500.0, 0.5],
                "low": [1000.0, 0.4],
                "high": [5000.0, 0.57],
                "source": "valley",
                "rationale": "between the modes",
                "tried": [["fmo", None, "no such control"], ["valley", 2500.0, ""]],
            }
        ],
        "figures": {},
    }


def axis(label: str, detector: str) -> dict[str, Any]:
    """Give an axis from 0 to 1 with ticks of a logicle scale."""
    return {
        "label": label,
        "detector": detector,
        "scale": "logicle",
        "raw": False,
        "ticks": TICKS,
        "low": 0.0,
        "high": 1.0,
    }


def series_value(visits: dict[str, float], tubes: dict[str, str], **of_tube: Any) -> dict[str, Any]:
    """Give a patient's series: ``visits`` (visit → day), ``tubes`` (sha12 → visit).

    ``of_tube`` (sha12 → printed, code) says what the B cells of a tube came to.
    """
    counts = {
        sha12: {
            "b_cells": {
                "gate": "b_cells",
                "events": 40,
                "per_ul": 12.34,
                "low": 10.0,
                "high": 15.26,
                "printed": printed,
                "code": code,
                "flags": [],
                "used": True,
            }
        }
        for sha12, (printed, code) in of_tube.items()
    }
    return {
        "format": 1,
        "patient": "P01",
        "baseline": "D-7",
        "populations": {"b_cells": {"label": "B cells", "unit": {"blood": PER_UL}}},
        "codes": {"Q": "quantified", "NE": "not evaluable: nothing may be concluded"},
        "flags": {"threshold_sensitive": {"severity": "know", "sentence": "It hangs on a border."}},
        "visits": [{"visit": visit, "day": day} for visit, day in visits.items()],
        "tubes": [
            {
                "sha12": sha12,
                "file": f"P01_{visit}.fcs",
                "panel": "bcell",
                "specimen": "blood",
                "visit": visit,
                "day": visits[visit],
                "collected": "2025-03-18T08:04:00",
                "control": "fmo:CD19" if sha12.startswith("fmo") else "",
                "strategy": "bcell@3.0.0",
                "flags": ["beads_incomplete"],
                "severity": "stop",
            }
            for sha12, visit in tubes.items()
        ],
        "counts": counts,
    }


def version_value(
    tube: dict[str, Any], *, added: str, moved: str, elsewhere: str
) -> dict[str, Any]:
    """Give what a version lays over a tube.

    It adds a gate beside the B cells, holds half of the events of ``moved`` behind a border further
    right, and draws ``elsewhere`` on axes of its own.
    """
    other = copy.deepcopy(tube)
    other["head"] |= {"strategy": "bcell@4.0.0", "strategy_sha256": "12" * 32}
    other["axes"].append(axis("CD24", "BV605-A"))
    gates = {gate["name"]: gate for gate in other["gates"]}
    compared = {name: [gate["events"], gate["events"], 1.0] for name, gate in gates.items()}
    gates[moved]["events"] //= 2
    gates[moved]["outlines"] = [[[max(x, 0.6), y] for x, y in gates[moved]["outlines"][0]]]
    compared[moved] = [compared[moved][0], gates[moved]["events"], 0.6667]
    new = gates[moved] | {"name": added, "label": added, "population": "", "events": 7}
    other["gates"].append(new)
    compared[added] = [None, 7, None]
    gates[elsewhere]["y"] = 2
    for gate in other["gates"]:
        gate["density"] = 0 if gate["name"] == elsewhere else None
    other["densities"] = [other["densities"][1] | {"y": 2}]
    other["sample"]["columns"] = packed(np.full((3, other["sample"]["events"]), 90, np.uint8))
    over = {
        name: tube["head"][name]
        for name in ("strategy", "strategy_sha256", "panel_sha256", "calibration_sha256")
    }
    return {"format": 1, "over": over, "compared": compared, "tube": other}


def write_tube(results: Path, sha12: str, value: dict[str, Any]) -> str:
    """Write a tube's page and data; give the page's address."""
    folder = results / "tubes" / sha12
    write_data(folder / "gating.js", "tube", sha12, value)
    return write_page(results, folder / "gating.html", page="gating", root="../../", key=sha12)


def write_data(path: Path, kind: str, key: str, value: object) -> None:
    """Write a data file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ", ".join(json.dumps(part) for part in (kind, key, value))
    path.write_text(f"reconflow.add({text});\n", encoding="utf-8")


def write_version(results: Path, sha12: str, value: dict[str, Any]) -> None:
    """Write what a version lays over a tube whose page was written, and name it there."""
    folder, name = results / "tubes" / sha12, value["tube"]["head"]["strategy"]
    write_data(folder / f"{name}.js", "version", f"{sha12}/{name}", value)
    page = folder / "gating.html"
    page.write_text(with_versions(page.read_text(encoding="utf-8"), [name]), encoding="utf-8")


def write_page(results: Path, path: Path, *, gate: str = "", **shell: str) -> str:
    """Write the shell of a page (page, root, key), app.js and app.css; give its address."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_app(results)
    html = render("app_page.html", {"data": [], **shell})
    html = html.replace("<body ", f'<body data-gate="{gate}" ') if gate else html
    path.write_text(html, encoding="utf-8")
    return path.as_uri()
