"""Describe the numbers that a reviewer decided on or that were signed, so that others are noticed.

What binds is what a reader takes for the result and what made it: counts, percentages,
concentrations, codes, flags, and the versions they were counted with. What a review itself writes
into the tables does not bind, or no review would hold.
"""

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from tasks.store.editions import Edition
from tasks.vocabulary.flags import Flag

COUNTS = ("population", "events", "parent_events")
MADE_WITH = ("strategy", "strategy_sha256", "panel_sha256", "calibration", "calibration_sha256")
BINDING = (
    *"patient visit day collected specimen panel population events parent_events".split(),
    *"percent_parent percent_reference per_ul per_ul_low per_ul_high".split(),
    *"lod_per_ul lloq_per_ul code method flags tube_sha256 used corrected".split(),
    *MADE_WITH,
)
"""The columns of kinetics.csv that bind a review or a signature."""

OWN_NUMBERS = "the strategy's own numbers"

Row = Mapping[str, str]
Seen = Mapping[str, Mapping[str, str]]
"""By SHA-256 of a tube: hashes of its rows and counts, and what they were made with."""


def rows_in(table: bytes) -> list[dict[str, str]]:
    """Read the rows of a table that was written as CSV, each cell as it was before."""
    reader = csv.DictReader(io.StringIO(table.decode()))
    return [{name: (cell or "").removeprefix("'") for name, cell in row.items()} for row in reader]


def seen(rows: Iterable[Row], visit: str, tube_sha256: str = "") -> dict[str, dict[str, str]]:
    """Describe a visit's rows of kinetics.csv as they are now, or those of one of its tubes."""
    chosen = [
        row for row in rows if row["visit"] == visit and tube_sha256 in {"", row["tube_sha256"]}
    ]
    return {sha256: _of_tube(list(its_rows)) for sha256, its_rows in by_tube(chosen)}


def by_tube(rows: Iterable[Row]) -> Iterator[tuple[str, Iterator[Row]]]:
    """Group rows by tube, in order of the SHA-256."""

    def tube(row: Row) -> str:
        return row["tube_sha256"]

    yield from groupby(sorted(rows, key=tube), key=tube)


def holds(saw: Seen, now: Seen) -> bool:
    """Tell whether a decision was made on the very numbers that there are now."""
    return _rows(saw) == _rows(now)


def why_reopened(saw: Seen, now: Seen) -> str:
    """Say how the numbers of now differ from those that were decided on; empty if not at all."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for sha256, tube in now.items():
        if sha256 not in saw:
            reasons["added"].append(_named(sha256, tube))
        elif saw[sha256].get("rows") != tube["rows"]:
            reasons[_how(saw[sha256], tube)].append(_named(sha256, tube))
    for sha256, tube in saw.items():
        if sha256 not in now:
            reasons["not of this visit any more"].append(_named(sha256, tube))
    return "; ".join(f"{', '.join(tubes)}: {how}" for how, tubes in reasons.items())


def content_sha256(edition: Edition) -> str:
    """Hash what of a patient's tables a signature binds: kinetics and parameters."""
    kinetics = [[row.get(name, "") for name in BINDING] for row in rows_in(edition.kinetics)]
    parameters = [list(row.values()) for row in rows_in(edition.parameters)]
    return _sha256([kinetics, parameters])


def _of_tube(rows: Sequence[Row]) -> dict[str, str]:
    binding = [[row.get(name, "") for name in BINDING] for row in rows]
    return {
        "panel": rows[0]["panel"],
        "rows": _sha256(binding),
        "counts": _sha256([[row[name] for name in COUNTS] for row in rows]),
        "corrected": " ".join(row["population"] for row in rows if _is_corrected(row)),
        **{name: rows[0].get(name, "") for name in MADE_WITH},
    }


def _is_corrected(row: Row) -> bool:
    return Flag.CORRECTED in row["flags"].split(";")


def _rows(described: Seen) -> dict[str, str]:
    return {sha256: tube.get("rows", "") for sha256, tube in described.items()}


def _named(sha256: str, tube: Mapping[str, str]) -> str:
    return f"{tube.get('panel', '')} {sha256[:12]}".strip()


def _how(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Give the cause that lies farthest back."""
    if _version(then) != _version(now):
        return f"counted under {now['strategy']} instead of {then.get('strategy')}"
    if then.get("panel_sha256") != now["panel_sha256"]:
        return "counted with another content of the panel"
    if then.get("calibration_sha256") != now["calibration_sha256"]:
        before, after = (each.get("calibration") or OWN_NUMBERS for each in (then, now))
        return f"counted with {after} instead of {before}"
    if then.get("corrected") != now["corrected"]:
        return "corrected, or a correction was taken back"
    if then.get("counts") != now["counts"]:
        return "counted anew, with other counts"
    return (
        "other results, dates or flags from the same counts (the sheets, limits, a companion tube "
        "or the baseline changed)"
    )


def _version(tube: Mapping[str, str]) -> tuple[str | None, str | None]:
    return tube.get("strategy"), tube.get("strategy_sha256")


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()
