"""Make the data of a small map of cells for the page drawn in a browser (docs/explore.md)."""

from typing import Any

import numpy as np

from tests.tasks.tube_documents import HOSTILE, TICKS, packed

PLACES = {"naive": (0.7, 0.7), "memory": (0.3, 0.3), "odd": (0.8, 0.2)}
"""Where the three kinds of cells lie on the map (shares of its frame)."""
KINDS = {"D-7": (200, 100, 0), "D28": (0, 0, 0), "D56": (100, 20, 60)}
"""How many cells of each kind a visit has."""
SETS = [[0, 1], [0, 2], [0]]
PER_UL = {"D-7": (30.0, 25.0, 36.0, "Q", "30.0"), "D56": (18.0, 14.0, 23.0, "Q", "18.0")}
LONG = "CD19 low, CD3 low, CD45RA low, HLA-DR low, CD16+CD56 low"
NO_CLUSTERS = {
    "clusters": [],
    "stability": None,
    "amounts": [],
    "unnamed": [],
    "spanning": [],
    "shifted": [],
    "composition": None,
    "groups": None,
}
NOT_DETECTED = (None, None, None, "ND", "<0.5")


def map_value(
    patient: str | None = "P01", *, patients: tuple[str, ...] = ("P01",), clusters: bool = True
) -> dict[str, Any]:
    """Give the map of three kinds of B cells: naive, memory, and odd ones that no gate names."""
    tubes = [_tube(each, visit) for each in patients for visit in KINDS]
    kind = np.concatenate([np.repeat([0, 1, 2], KINDS[tube["visit"]]) for tube in tubes])
    tube = np.repeat(np.arange(len(tubes)), [tube["shown"] for tube in tubes])
    spread = np.random.default_rng(17).uniform(-0.05, 0.05, (2, len(kind)))
    x, y = np.array(list(PLACES.values()))[kind].T + spread
    markers = np.array([[0.7, 0.3], [0.3, 0.7], [0.3, 0.3]])[kind].T
    return {
        "format": 1,
        "map": "b_cells@1.0.0",
        "map_sha256": "ab" * 32,
        "compartment": "b_cells",
        "population": "b_cells",
        "label": "B cells (CD19+)",
        "patient": patient,
        "panel": "bcell",
        "strategy": "bcell@3.0.0",
        "exploratory": "Exploratory: no table, parameter or flag reads this.",
        "counted_until": "2026-03-31T02:14:07+00:00",
        "visits": [
            {"visit": visit, "day": day}
            for visit, day in zip(KINDS, (-7.0, 27.9, 55.0), strict=True)
        ],
        "tubes": tubes,
        "populations": [
            {"id": id_, "label": label}
            for id_, label in {
                "b_cells": "B cells",
                "naive_b": HOSTILE,
                "memory_b": "Memory",
            }.items()
        ],
        "products": [],
        "sets": SETS,
        "markers": [
            {"name": name, "mapped": True, "low": 0.0, "high": 1.0, "ticks": TICKS}
            for name in ("CD19", "CD3")
        ],
        "left_out": [{"marker": "CD45", "why": "these cells are cut out by it"}],
        "needed": {"detect": 20, "quantify": 50},
        "events": {
            "count": len(kind),
            "x": packed((x * 65536).astype("<u2")),
            "y": packed((y * 65536).astype("<u2")),
            "tube": packed(tube.astype("<u2")),
            "row": packed(np.arange(len(kind), dtype="<u4")),
            "code": packed(kind.astype("<u2")),
            "weight": packed(np.full(len(kind), 1000, dtype="<u4")),
            "cluster": packed(np.where(clusters, kind, 255).astype(np.uint8)),
            "values": [packed((each * 256).astype(np.uint8)) for each in markers],
        },
        "limits": {"x": [-1.0, 9.0], "y": [-1.0, 9.0]},
        "reference": {"events": 20_000, "tubes": 12, "made": "2026-03-31T02:14:07+00:00"}
        | {"reason": "first map", "seed": 7, "libraries": {"umap-learn": "0.5.7"}},
        "shifts": [_shift("CD19", 0.01, 0.1), _shift("CD3", 0.08, 0.8)],
        "notes": ["1 of 3 tubes hold no such cell."],
        "unread": [],
        **(_clusters(len(patients)) if clusters else NO_CLUSTERS),
    }


def _tube(patient: str, visit: str) -> dict[str, Any]:
    per_ul, low, high, code, printed = PER_UL.get(visit, NOT_DETECTED)
    sha = f"{patient}{visit}".encode().hex().ljust(64, "0")
    return {
        "sha12": sha[:12],
        "sha256": sha,
        "patient": patient,
        "visit": visit,
        "day": {"D-7": -7.0, "D28": 27.9, "D56": 55.0}[visit],
        "collected": "2025-03-18T08:04:00",
        "instrument": "cytometer 1",
        "batch": "W1",
        "counted_as": sha[::-1],
        "counted_at": "2026-03-31T02:14:07+00:00",
        "correction": "",
        "review": "",
        "events": sum(KINDS[visit]),
        "shown": sum(KINDS[visit]),
        "per_ul": per_ul,
        "low": low,
        "high": high,
        "code": code,
        "printed": printed,
        "detect": 20,
        "quantify": 50,
    }


def series_value(value: dict[str, Any], patient: str) -> dict[str, Any]:
    """Give what a patient's tables say of the tubes of a map: the same as it was drawn from."""
    own = [tube for tube in value["tubes"] if tube["patient"] == patient]
    shared = tuple("sha12 sha256 visit day collected counted_as correction review".split())
    of_all = {"panel": "bcell", "specimen": "blood", "control": "", "strategy": "bcell@3.0.0"}
    of_all |= {"file": "D56.fcs", "flags": [], "severity": "", "counted": True, "corrected": []}
    return {
        "format": 1,
        "patient": patient,
        "baseline": None,
        **{name: {} for name in ("populations", "codes", "methods", "flags", "infusions")},
        "sentences": [],
        "visits": value["visits"],
        "tubes": [of_all | {name: tube[name] for name in shared} for tube in own],
        "counts": {tube["sha12"]: {"b_cells": {"printed": tube["printed"]}} for tube in own},
    }


def _shift(marker: str, shift: float, sd: float) -> dict[str, Any]:
    place = {"instrument": "cytometer 1", "batch": "W1", "gate": "t_cells", "tubes": 3}
    place |= {"of_reference": 2}
    return {**place, "marker": marker, "shift": shift, "sd": sd}


def _clusters(patients: int) -> dict[str, Any]:
    shares = {"D-7": (2 / 3, 1 / 3, 0.0), "D56": (5 / 9, 1 / 9, 1 / 3)}
    amounts = []
    for tube in range(3 * patients):
        visit = list(KINDS)[tube % 3]
        per_ul, *_, code, printed = PER_UL.get(visit, NOT_DETECTED)
        for cluster, share in enumerate(shares.get(visit, (0.0, 0.0, 0.0))):
            if per_ul is None or not share:
                told = printed if per_ul is None else "<0.4"
                amounts.append([tube, cluster, None, *NOT_DETECTED[:4], told])
                continue
            value = per_ul * share
            limits = value * 0.8, value * 1.25
            amounts.append([tube, cluster, share, value, *limits, code, f"{value:.1f}"])
    named = zip("123", ("CD19 high", "CD3 high", LONG), strict=True)
    return {
        "clusters": [
            {"name": name, "phenotype": phenotype, "stable": True, "jaccard": 0.9}
            | {"share": 0.3, "overlaps": [[0, 1.0, 0.3]]}
            for name, phenotype in named
        ],
        "stability": {"rand": [0.9], "sentence": "3 clusters; 0.0 % of the cells belong to none."},
        "amounts": amounts,
        "unnamed": [{"cluster": 2, "sentence": f"Cluster 3 is named by no gate {HOSTILE}."}],
        "spanning": [],
        "shifted": [],
        "composition": None
        if patients == 1
        else {
            "sentence": f"Nothing is claimed from {patients} patients.",
            "rows": [
                {"name": "1", "from": "D-7", "to": "D56", "patients": patients, "ratio": 0.5}
                | dict.fromkeys(("low", "high", "p", "adjusted"))
            ],
        },
        "groups": None if patients == 1 else _groups(patients),
    }


def _groups(patients: int) -> dict[str, Any]:
    """Compare two groups: in one the population with a hostile name is clearly more."""
    by = {"from": "high", "to": HOSTILE, "patients": patients}
    unclear = {"name": "1", "visit": "D-7", "ratio": 1.1, "low": 0.6, "high": 1.9, "p": 0.7}
    clear = {"name": HOSTILE, "visit": "D56", "ratio": 2.5, "low": 1.4, "high": 3.6, "p": 0.01}
    return {
        "column": "dose",
        "sentence": f"By dose: high (4 patients) and {HOSTILE} (4 patients).",
        "rows": [by | unclear | {"adjusted": 0.7}, by | clear | {"adjusted": 0.02}],
    }
