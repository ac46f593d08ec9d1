"""Write the report of one patient: curves, tables and parameters in words.

A patient appears by pseudonym only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tasks.counting.limits import LimitSettings
from tasks.kinetics.schema import population_rank
from tasks.publish.pages import render
from tasks.publish.wording import CODES, METHODS, Row, Sentence, explained, parameter_sentence
from tasks.vocabulary.elapsed import elapsed_days
from tasks.vocabulary.moments import instant

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CAR T cells", ("car19_t", "carbcma_t", "car_double_positive", "car_any_t")),
    (
        "B cells",
        (
            "b_cells",
            "b_cells_cd20",
            "naive_b",
            "naive_igm_igd_b",
            "transitional_b",
            "unswitched_memory_b",
            "switched_memory_b",
            "double_negative_b",
        ),
    ),
    ("Plasmablasts and plasma cells", ("plasmablasts", "plasma_cells", "long_lived_plasma_cells")),
    (
        "Leukocytes, T and NK cells",
        ("leukocytes", "lymphocytes", "t_cells", "cd4_t", "cd8_t", "nk_cells", "monocytes"),
    ),
)
DRAWN = GROUPS[:3]


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """What the report says of a patient beside the tables.

    ``infusions`` maps each product to its time; ``labels`` and ``flag_meanings`` put ids and flags
    into words; ``notes`` are sentences on what is missing and why; ``limits`` are the study's, and
    ``time_zone`` is that of times without offset.
    """

    patient: str
    infusions: Mapping[str, datetime]
    labels: Mapping[str, str] = field(default_factory=dict)
    flag_meanings: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    limits: LimitSettings = field(default_factory=LimitSettings)
    time_zone: str | None = None

    def label(self, population: str) -> str:
        """Name a population in few words, without its markers; an unknown one by its id."""
        return self.labels.get(population, population.replace("_", " ")).split(" (")[0]

    def infusion_days(self) -> dict[str, float]:
        """Give each product's day on the patient's clock, which starts with the first infusion."""
        first = min(
            self.infusions.values(), key=lambda time: instant(time, self.time_zone), default=None
        )
        return (
            {
                product: elapsed_days(first, time, self.time_zone)
                for product, time in self.infusions.items()
            }
            if first
            else {}
        )


@dataclass(frozen=True, slots=True)
class VisitTable:
    """One table of printed results: populations across, visits down; ``rows`` hold visit, day and (text, css class) pairs."""

    title: str
    unit: str
    populations: tuple[str, ...]
    rows: tuple[tuple[str, float, tuple[tuple[str, str, str], ...]], ...]


def patient_figures(record: PatientRecord, kinetics: "pd.DataFrame") -> dict[str, "Figure"]:
    """Draw a patient's curves: CAR T cells, B cells and what they consist of, plasma cells; and marrow where it was measured."""
    from tasks.kinetics.composition import composition_frame
    from tasks.publish.composition_plots import draw_composition, patient_bars
    from tasks.publish.curves import draw_kinetic_curves

    days = record.infusion_days()
    blood, marrow = (
        set(kinetics.loc[kinetics["specimen"] == s, "population"]) for s in ("blood", "marrow")
    )
    figures: dict[str, Figure] = {}
    for title, group in DRAWN:
        populations = [(p, record.label(p)) for p in group if p in blood]
        if populations:
            figures[title] = draw_kinetic_curves(kinetics, populations, days)
        bars = (
            patient_bars(composition_frame(kinetics, record.limits)) if title == DRAWN[1][0] else []
        )
        if bars:
            figures["What the B cells consist of"] = draw_composition({"": bars}, "B cells")
    in_marrow = [(p, record.label(p)) for p in DRAWN[2][1] if p in marrow]
    if in_marrow:
        figures["Marrow"] = draw_kinetic_curves(
            kinetics, in_marrow, days, specimen="marrow", detect_events=record.limits.detect_events
        )
    return figures


def render_patient_report(
    record: PatientRecord,
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    pictures: Mapping[str, bytes],
) -> str:
    """Write a patient's report.html; ``pictures`` maps the titles of `patient_figures` to PNG bytes."""
    words = {flag for flags in kinetics["flags"] for flag in _flags(flags)}
    values = {
        "record": record,
        "tables": visit_tables(record, kinetics),
        "pictures": pictures,
        "parameters": parameter_sentences(record, parameters),
        "tubes": tube_rows(kinetics),
        "strategies": sorted(
            {
                (str(s), str(h))
                for s, h in zip(kinetics["strategy"], kinetics["strategy_sha256"], strict=True)
            }
        ),
        "panels": sorted(
            {
                (str(p), str(h))
                for p, h in zip(kinetics["panel"], kinetics["panel_sha256"], strict=True)
                if h
            }
        ),
        "not_evaluable": not_evaluable(record, kinetics),
        "flags": explained(words, record.flag_meanings),
        "populations": {
            p: record.labels[p]
            for p in sorted(set(kinetics["population"]), key=population_rank)
            if p in record.labels
        },
        "codes": CODES,
        "methods": {m: METHODS[m] for m in METHODS if m in set(kinetics["method"])},
    }
    return render("report.html", values)


def visit_tables(record: PatientRecord, kinetics: "pd.DataFrame") -> list[VisitTable]:
    """Lay out what was measured as one table a group of populations and specimen."""
    from tasks.kinetics.table import with_percent_limits

    chosen = with_percent_limits(kinetics, record.limits.detect_events)
    known = {p for _, group in GROUPS for p in group}
    others = tuple(p for p in dict.fromkeys(chosen["population"]) if p not in known)
    tables = []
    for specimen, unit in (
        ("blood", "cells per µL"),
        ("marrow", "percent of the reference population"),
    ):
        rows = chosen[chosen["specimen"] == specimen]
        for title, group in (*GROUPS, ("Other populations", others)):
            present = tuple(p for p in group if p in set(rows["population"]))
            if present:
                suffix = " in marrow" if specimen == "marrow" else ""
                tables.append(
                    _visit_table(
                        record,
                        rows[rows["population"].isin(present)],
                        present,
                        (title + suffix, unit),
                    )
                )
    return tables


def _visit_table(
    record: PatientRecord,
    rows: "pd.DataFrame",
    populations: tuple[str, ...],
    heading: tuple[str, str],
) -> VisitTable:
    lines = []
    for visit, group in rows.groupby("visit", sort=False):
        found = {str(row["population"]): row for row in group.to_dict("records")}
        cells = tuple(_printed_cell(found.get(p)) for p in populations)
        lines.append((str(visit), float(group["day"].min()), cells))
    lines.sort(key=lambda line: line[1])
    return VisitTable(
        heading[0], heading[1], tuple(record.label(p) for p in populations), tuple(lines)
    )


def _printed_cell(row: Row | None) -> tuple[str, str, str]:
    """Give a cell's text, its code as a style class, and what to show of its evidence."""
    from tasks.kinetics.table import print_result

    if row is None:
        return "", "absent", "not measured"
    evidence = (
        f"{row['events']} events in {row['panel']}, "
        f"{METHODS.get(str(row['method']), row['method'])}"
    )
    return (
        print_result(row),
        str(row["code"]),
        f"{evidence}; {row['flags']}" if _flags(row["flags"]) else evidence,
    )


def parameter_sentences(
    record: PatientRecord, parameters: "pd.DataFrame"
) -> list[tuple[str, list[Sentence]]]:
    """Put the parameters into words, one list a population (and specimen other than blood)."""
    found: dict[tuple[str, str], list[Sentence]] = {}
    for row in parameters.to_dict("records"):
        found.setdefault((str(row["specimen"]), str(row["population"])), []).append(
            parameter_sentence(row)
        )
    keys = sorted(found, key=lambda key: (key[0], population_rank(key[1])))
    return [(record.label(p) + ("" if s == "blood" else f" ({s})"), found[s, p]) for s, p in keys]


def tube_rows(kinetics: "pd.DataFrame") -> list[dict[str, object]]:
    """List the tubes the table rests on, by day, each with all its flags."""
    tubes = []
    for sha, group in kinetics.groupby("tube_sha256"):
        first = group.to_dict("records")[0]
        flags = sorted({flag for flags in group["flags"] for flag in _flags(flags)})
        tubes.append(
            {
                **{k: first[k] for k in ("visit", "day", "specimen", "panel", "strategy")},
                "sha": str(sha),
                "flags": flags,
            }
        )
    return sorted(
        tubes,
        key=lambda tube: (
            float(str(tube["day"])),
            str(tube["specimen"]),
            str(tube["panel"]),
            tube["sha"],
        ),
    )


def not_evaluable(record: PatientRecord, kinetics: "pd.DataFrame") -> list[tuple[str, str, str]]:
    """List by visit what could not be evaluated in any tube, and why: (visit, populations, reason)."""
    from tasks.kinetics.table import winning_rows

    reasons: dict[tuple[str, str], list[str]] = {}
    lost = winning_rows(kinetics)
    for row in lost[lost["code"] == "NE"].to_dict("records"):
        meanings = explained(_flags(row["flags"]), record.flag_meanings)
        reason = " ".join(meanings.values()) or "The tube's counts do not allow a statement."
        reasons.setdefault((f"{row['visit']} {row['panel']}", reason), []).append(
            record.label(str(row["population"]))
        )
    return [
        (tube, ", ".join(populations), reason) for (tube, reason), populations in reasons.items()
    ]


def _flags(flags: object) -> list[str]:
    return [flag for flag in flags.split(";") if flag] if isinstance(flags, str) else []
