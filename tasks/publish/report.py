"""Write the report of one patient: curves, tables and parameters in words.

A patient appears by pseudonym only.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tasks.publish.pages import render
from tasks.publish.patient_record import PatientRecord
from tasks.publish.wording import (
    CODES,
    METHODS,
    Row,
    Sentence,
    explained,
    parameter_sentence,
    split_words,
)
from tasks.vocabulary.populations import in_family, population_rank

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

B_CELLS_TITLE = "B cells"
SECRETING = in_family("secreting")
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("CAR T cells", in_family("car_t")),
    (B_CELLS_TITLE, in_family("b_cells")),
    ("Plasmablasts and plasma cells", SECRETING),
    ("Leukocytes, T and NK cells", in_family("leukocytes")),
)
"""The tables of a report, each with its populations in order."""
DRAWN = GROUPS[:3]
TUBE_COLUMNS = ("visit", "day", "specimen", "panel", "strategy")
UNITS = (("blood", "cells per µL"), ("marrow", "percent of the reference population"))


class PrintedCell(NamedTuple):
    """One result as it is printed: its text, its code as a style class, and what it rests on."""

    text: str
    style: str
    basis: str


@dataclass(frozen=True, slots=True)
class VisitTable:
    """One table of printed results: populations across, visits down.

    ``rows`` hold visit, day and the printed cells.
    """

    title: str
    unit: str
    populations: tuple[str, ...]
    rows: tuple[tuple[str, float, tuple[PrintedCell, ...]], ...]


def patient_figures(record: PatientRecord, kinetics: "pd.DataFrame") -> dict[str, "Figure"]:
    """Draw a patient's curves, by their titles.

    They are CAR T cells, B cells and what they consist of, plasma cells; and marrow where it was
    measured.
    """
    from tasks.kinetics.composition import composition_frame
    from tasks.publish.composition_plots import draw_composition, patient_bars
    from tasks.publish.curves import draw_kinetic_curves

    days = record.infusion_days()
    blood, marrow = (
        set(kinetics.loc[kinetics["specimen"] == specimen, "population"])
        for specimen in ("blood", "marrow")
    )
    figures: dict[str, Figure] = {}
    for title, group in DRAWN:
        populations = _named(record, group, blood)
        if populations:
            figures[title] = draw_kinetic_curves(kinetics, populations, days)
        if title == B_CELLS_TITLE:
            bars = patient_bars(composition_frame(kinetics, record.limits))
            if bars:
                figures["What the B cells consist of"] = draw_composition({"": bars}, B_CELLS_TITLE)
    in_marrow = _named(record, SECRETING, marrow)
    if in_marrow:
        figures["Marrow"] = draw_kinetic_curves(
            kinetics, in_marrow, days, specimen="marrow", detect_events=record.limits.detect_events
        )
    return figures


def _named(
    record: PatientRecord, group: Sequence[str], measured: Container[str]
) -> list[tuple[str, str]]:
    """Pair the measured populations of a group with their names."""
    return [(name, record.label(name)) for name in group if name in measured]


def render_patient_report(
    record: PatientRecord,
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    pictures: Mapping[str, bytes],
) -> str:
    """Write a patient's report.html.

    ``pictures`` maps the titles of ``patient_figures`` to PNG bytes.
    """
    flags = {flag for words in kinetics["flags"] for flag in split_words(words)}
    populations = sorted(set(kinetics["population"]), key=population_rank)
    methods = set(kinetics["method"])
    values = {
        "record": record,
        "tables": visit_tables(record, kinetics),
        "pictures": pictures,
        "parameters": parameter_sentences(record, parameters),
        "tubes": tube_rows(kinetics),
        "strategies": _versions(kinetics, "strategy"),
        "calibrations": _versions(kinetics[kinetics["calibration"].astype(bool)], "calibration"),
        "panels": _versions(kinetics[kinetics["panel_sha256"].astype(bool)], "panel"),
        "not_evaluable": not_evaluable(record, kinetics),
        "flags": explained(flags, record.flag_meanings),
        "populations": {name: record.labels[name] for name in populations if name in record.labels},
        "codes": CODES,
        "methods": {name: words for name, words in METHODS.items() if name in methods},
    }
    return render("report.html", values)


def _versions(kinetics: "pd.DataFrame", column: str) -> list[tuple[str, str]]:
    """List what the column names, each with its content hash, in alphabetical order."""
    pairs = zip(kinetics[column], kinetics[f"{column}_sha256"], strict=True)
    return sorted({(str(name), str(sha256)) for name, sha256 in pairs})


def visit_tables(record: PatientRecord, kinetics: "pd.DataFrame") -> list[VisitTable]:
    """Lay out what was measured as one table a group of populations and specimen."""
    from tasks.kinetics.winning_rows import with_percent_limits

    chosen = with_percent_limits(kinetics, record.limits.detect_events)
    grouped = {name for _, group in GROUPS for name in group}
    others = tuple(name for name in dict.fromkeys(chosen["population"]) if name not in grouped)
    tables = []
    for specimen, unit in UNITS:
        rows = chosen[chosen["specimen"] == specimen]
        measured = set(rows["population"])
        for title, group in (*GROUPS, ("Other populations", others)):
            populations = tuple(name for name in group if name in measured)
            if populations:
                heading = f"{title} in marrow" if specimen == "marrow" else title
                lines = _visit_lines(rows[rows["population"].isin(populations)], populations)
                names = tuple(map(record.label, populations))
                tables.append(VisitTable(heading, unit, names, lines))
    return tables


def _visit_lines(
    rows: "pd.DataFrame", populations: Sequence[str]
) -> tuple[tuple[str, float, tuple[PrintedCell, ...]], ...]:
    """Give a line for each visit, by day, with a cell for each population."""
    lines = []
    for visit, group in rows.groupby("visit", sort=False):
        by_population = {str(row["population"]): row for row in group.to_dict("records")}
        cells = tuple(_printed_cell(by_population.get(name)) for name in populations)
        lines.append((str(visit), float(group["day"].min()), cells))
    return tuple(sorted(lines, key=lambda line: line[1]))


def _printed_cell(row: Row | None) -> PrintedCell:
    from tasks.kinetics.wide_table import print_result

    if row is None:
        return PrintedCell("", "absent", "not measured")
    method = METHODS.get(str(row["method"]), row["method"])
    basis = f"{row['events']} events in {row['panel']}, {method}"
    if split_words(row["flags"]):
        basis = f"{basis}; {row['flags']}"
    return PrintedCell(print_result(row), str(row["code"]), basis)


def parameter_sentences(
    record: PatientRecord, parameters: "pd.DataFrame"
) -> list[tuple[str, list[Sentence]]]:
    """Put the parameters into words, one list a population (and specimen other than blood)."""
    sentences: dict[tuple[str, str], list[Sentence]] = {}
    for row in parameters.to_dict("records"):
        key = str(row["specimen"]), str(row["population"])
        sentences.setdefault(key, []).append(parameter_sentence(row))
    titled = []
    for specimen, name in sorted(sentences, key=lambda key: (key[0], population_rank(key[1]))):
        title = record.label(name)
        if specimen != "blood":
            title = f"{title} ({specimen})"
        titled.append((title, sentences[specimen, name]))
    return titled


def tube_rows(kinetics: "pd.DataFrame") -> list[dict[str, object]]:
    """List the tubes the table rests on, by day, each with all its flags."""
    tubes = []
    for sha, group in kinetics.groupby("tube_sha256"):
        first = group.to_dict("records")[0]
        flags = sorted({flag for flags in group["flags"] for flag in split_words(flags)})
        tubes.append(
            {
                **{name: first[name] for name in TUBE_COLUMNS},
                "sha": str(sha),
                "flags": flags,
            }
        )
    return sorted(tubes, key=_tube_order)


def _tube_order(tube: Mapping[str, object]) -> tuple[float, str, str, str]:
    return float(str(tube["day"])), str(tube["specimen"]), str(tube["panel"]), str(tube["sha"])


def not_evaluable(record: PatientRecord, kinetics: "pd.DataFrame") -> list[tuple[str, str, str]]:
    """List by visit what could not be evaluated in any tube: (visit, populations, reason)."""
    from tasks.kinetics.winning_rows import winning_rows

    reasons: dict[tuple[str, str], list[str]] = {}
    lost = winning_rows(kinetics)
    for row in lost[lost["code"] == "NE"].to_dict("records"):
        meanings = explained(split_words(row["flags"]), record.flag_meanings)
        reason = " ".join(meanings.values()) or "The tube's counts do not allow a statement."
        reasons.setdefault((f"{row['visit']} {row['panel']}", reason), []).append(
            record.label(str(row["population"]))
        )
    return [
        (tube, ", ".join(populations), reason) for (tube, reason), populations in reasons.items()
    ]
