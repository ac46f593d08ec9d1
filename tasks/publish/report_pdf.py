"""Lay the report of one patient out as a document of A4 pages, for the file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tasks.publish.course import course_sentences
from tasks.publish.figure_style import FADED
from tasks.publish.patient_figures import patient_figures
from tasks.publish.patient_record import PatientRecord
from tasks.publish.pdf_pages import PdfPages
from tasks.publish.report import (
    counted_with,
    flag_lines,
    not_evaluable,
    parameter_sentences,
    tube_lines,
)
from tasks.publish.visit_tables import VisitTable, visit_tables
from tasks.publish.wording import CODES, Sentence

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

POPULATIONS_ACROSS = 8
"""So many populations fit beside each other on a page."""


@dataclass(frozen=True, slots=True)
class TubePicture:
    """The gates of one tube, or the sentence that says why they cannot be drawn."""

    name: str
    figure: "Figure | None" = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class DataEdition:
    """Which edition of a patient's tables a document shows: fingerprint, and when it was made."""

    fingerprint: str
    made: datetime


def report_pdf(
    record: PatientRecord,
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    edition: DataEdition,
    pictures: Iterable[TubePicture],
) -> tuple[bytes, int]:
    """Give the PDF of a patient's report, and its number of pages.

    ``pictures`` are drawn one after the other, so that one figure is held at a time. The same
    edition gives the same bytes.
    """
    made = f"{edition.made:%Y-%m-%d %H:%M} UTC"
    short = edition.fingerprint[:12]
    document = PdfPages(
        title=f"{record.patient}: cells after infusion",
        foot=f"{record.patient}  ·  data of {made}  ·  edition {short}",
        moment=edition.made,
    )
    _head(document, record, kinetics, parameters)
    for title, drawn in patient_figures(record, kinetics, columns=2).items():
        document.figure(drawn.figure, title)
    _results(document, visit_tables(record, kinetics))
    _parameters(document, record, parameters)
    _flags(document, record, kinetics)
    _tubes(document, record, kinetics)
    for picture in pictures:
        if picture.figure is None:
            document.heading(picture.name, 11)
            document.paragraph(picture.fault)
        else:
            document.picture(picture.figure, picture.name)
    return document.finish(), document.pages


def _head(
    document: PdfPages,
    record: PatientRecord,
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
) -> None:
    document.heading(f"{record.patient}: cells after infusion", 18)
    for sentence in course_sentences(record, kinetics, parameters):
        document.paragraph(sentence, 11)
    for product, time in record.infusions.items():
        document.paragraph(f"Infusion {product}: {time:%Y-%m-%d %H:%M %z}".strip())
    document.paragraph(f"Tubes counted: {kinetics['tube_sha256'].nunique()}")
    if record.notes:
        document.heading("Notes")
        for note in record.notes:
            document.paragraph(note)


def _results(document: PdfPages, tables: Sequence[VisitTable]) -> None:
    document.new_page()
    document.heading("Results by visit", 15)
    for code, meaning in CODES.items():
        document.paragraph(f"{code}: {meaning}", 8.5, colour=FADED)
    marks = {"stop": "■ ", "look": "▲ "}
    document.paragraph(
        "■ a flag forbids the result's use until a person decided; ▲ a flag asks for a look. "
        "Empty: not measured.",
        8.5,
        colour=FADED,
    )
    for table in tables:
        for first in range(0, len(table.populations), POPULATIONS_ACROSS):
            part = slice(first, first + POPULATIONS_ACROSS)
            document.heading(f"{table.title} ({table.unit})", 10.5)
            names = [
                f"{name}\n{of}".strip()
                for name, of in zip(table.populations[part], table.references[part], strict=True)
            ]
            rows = [
                [
                    visit,
                    f"{day:.1f}",
                    *(f"{marks.get(cell.severity, '')}{cell.text}" for cell in cells[part]),
                ]
                for visit, day, cells in table.rows
            ]
            document.table(["visit", "day", *names], rows, [0.6, 0.55, *[1.25] * len(names)])


def _parameters(document: PdfPages, record: PatientRecord, parameters: "pd.DataFrame") -> None:
    document.heading("Parameters", 15)
    rows = [
        [population if number == 0 else "", each.name, each.amount, each.points, _defined(each)]
        for population, sentences in parameter_sentences(record, parameters)
        for number, each in enumerate(sentences)
    ]
    if not rows:
        document.paragraph("No parameter can be given yet.")
        return
    header = ["cells", "what", "result", "measurements", "how it is defined"]
    document.table(header, rows, [1.2, 1.9, 2.1, 1.15, 2.2])


def _defined(parameter: Sentence) -> str:
    """Give the definition in words, and as parameters.csv has it."""
    return f"{parameter.rule} [{parameter.definition}]" if parameter.definition else ""


def _flags(document: PdfPages, record: PatientRecord, kinetics: "pd.DataFrame") -> None:
    document.heading("Not evaluable, and why", 15)
    lost = not_evaluable(record, kinetics)
    if lost:
        rows = [[each.tube, each.populations, each.reason] for each in lost]
        document.table(["visit and panel", "populations", "reason"], rows, [1, 2.5, 2.5])
    else:
        document.paragraph("Everything that was measured could be evaluated.")
    document.heading("Flags", 15)
    rows = [
        [
            flag.severity,
            flag.word,
            flag.meaning,
            "; ".join(f"{tube.name} ({', '.join(tube.populations)})" for tube in flag.tubes)
            or _results_text(flag.results),
        ]
        for flag in flag_lines(record, kinetics)
    ]
    if rows:
        document.table(["", "flag", "what it means", "where"], rows, [0.5, 1.7, 2.8, 2.6])
    else:
        document.paragraph("No result has a flag.")


def _results_text(count: int) -> str:
    return "1 result" if count == 1 else f"{count} results"


def _tubes(document: PdfPages, record: PatientRecord, kinetics: "pd.DataFrame") -> None:
    document.heading("Tubes", 15)
    rows = [
        [
            tube.visit,
            f"{tube.day:.1f}",
            f"{tube.specimen}, {tube.panel}",
            tube.file,
            tube.instrument,
            tube.batch,
            tube.strategy,
            tube.short,
            tube.review,
        ]
        for tube in tube_lines(record, kinetics)
    ]
    header = ["visit", "day", "panel", "file", "instrument", "batch", "strategy", "tube", "review"]
    widths = [0.6, 0.6, 1.1, 1.9, 1.3, 0.9, 1.1, 1.2, 0.8]
    if not any(row[-1] for row in rows):
        header, widths, rows = header[:-1], widths[:-1], [row[:-1] for row in rows]
    document.table(header, rows, widths)
    document.heading("How it was counted", 15)
    for name, what, sha256 in counted_with(kinetics):
        document.paragraph(f"{name}: {what}, fingerprint {sha256[:12]}", 8.5)
