"""Put what a pass did into words for a terminal."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from panels.text.printable import printable
from tasks.publish.wording import amount_text, is_point_in_time
from tasks.vocabulary.reasons import why_of

SHOWN = (
    ("car19_t", "Cmax", "anti-CD19 CAR-T cells, peak per µL"),
    ("car19_t", "Tmax", "anti-CD19 CAR-T cells, day of peak"),
    ("carbcma_t", "Cmax", "anti-BCMA CAR-T cells, peak per µL"),
    ("b_cells", "depletion_onset", "B cells below 10/µL, day"),
    ("b_cells", "recovery_B_10", "B cells back at 10/µL, day"),
    ("b_cells", "naive_share_at_recovery", "naive share of B cells then"),
)


def pass_text(summary: Mapping[str, Any]) -> str:
    """Sum one pass up in a few lines."""
    counts = ", ".join(
        f"{summary[key]} {key}"
        for key in ("accepted", "counted", "duplicates", "waiting", "quarantined", "failed")
    )
    if summary["uncalibrated"]:
        counts += f", {summary['uncalibrated']} uncalibrated"
    sentences = [f"  {printable(sentence)}" for sentence in summary["sentences"]]
    return "\n".join([counts, *sentences, f"report: {summary['report']}"])


def demo_text(folder: Path, summary: Mapping[str, Any]) -> str:
    """Show the demo's main results, one column a patient, and where to look."""
    tables = sorted((folder / "results" / "patients").glob("*/parameters.csv"))
    values = {path.parent.name: dict(_parameters(path)) for path in tables}
    width = max(len(label) for *_, label in SHOWN) + 2
    lines = [" " * width + "".join(f"{patient:>18}" for patient in sorted(values))]
    for population, parameter, label in SHOWN:
        cells = [values[patient].get((population, parameter), "") for patient in sorted(values)]
        lines.append(f"{label:<{width}}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(
        [
            pass_text(summary), "", *lines, "",
            f"tables   {folder / 'results' / 'patients'}",
            f"cohort   {folder / 'results' / 'cohort'}",
            f"truth    {folder / 'simulation-truth'} (never read by the pipeline)",
        ]
    )  # fmt: skip


def _parameters(path: Path) -> Iterator[tuple[tuple[str, str], str]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["specimen"] == "blood":
                yield (row["population"], row["parameter"]), _value(row)


def _value(row: Mapping[str, str]) -> str:
    unit = row["unit"]
    in_time = is_point_in_time(row["parameter"], unit)

    def written(column: str) -> str:
        return amount_text(float(row[column]), unit, in_time=in_time)

    if row["censoring"] == "interval" and row["low"] and row["high"]:
        return f"({written('low')}, {written('high')}]"
    if row["censoring"] == "right" and row["low"]:
        return f"> {written('low')}"
    if row["value"]:
        return written("value")
    why = why_of(row["definition"])
    return f"NE ({why.sentence})" if why else "NE"
