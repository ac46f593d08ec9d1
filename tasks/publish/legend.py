"""Write the legend of a workbook: sheets, columns, codes, methods, flags and populations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.kinetics.schema import KINETICS
from tasks.kinetics.table_schema import Column, TableSchema
from tasks.kinetics.wide_table import IN_MARROW, VISIT_COLUMNS
from tasks.publish.tables import Cell
from tasks.publish.wording import CODES, METHODS
from tasks.vocabulary.populations import population_rank, short_label
from tasks.vocabulary.reasons import Why
from tasks.vocabulary.severity import severity_of, worst_first

WIDE_GRAIN = (
    "one row a visit and specimen; blood in cells per µL, marrow in columns of its own in percent "
    "of the reference"
)
LEGEND = ["about", "term", "unit or severity", "meaning"]
SEVERITIES = {
    "stop": "the value is not to be used before a person decided",
    "look": "a person should look at the gate; the value usually stands",
    "know": "worth knowing; nothing is to be done",
}
OFFSET = "utc_offset"
OFFSET_MEANING = (
    "how far the local time in 'collected' is ahead of UTC, where the laboratory wrote it; empty: "
    "the time is meant in the study's own time zone"
)
SHEET_NOTES = (
    ("empty cell", "not measured; a zero would mean measured, and none found"),
    ("grey row", "not used: another tube's row is taken for the visit, or the tube is excluded"),
    (
        "link on a population",
        "opens the gate of this tube, while the workbook lies in its results folder",
    ),
    (
        "digits",
        (
            "concentrations and percentages are shown as every page prints them: whole from 100, "
            "one decimal from 1, else two digits; the cell holds all digits"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class LegendWords:
    """What a legend explains beside the columns.

    ``flag_meanings`` and ``labels`` put flags and population ids into words; ``contradictions``
    are the concentrations that contradict each other: (visit, sentence with both values and their
    ratio).
    """

    flag_meanings: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    contradictions: Sequence[tuple[str, str]] = ()


def legend_rows(words: LegendWords, schemas: Mapping[str, TableSchema]) -> list[list[Cell]]:
    """Explain sheets (by title), codes, methods, reasons, populations, flags and columns.

    The contradicted concentrations come first, the flags worst first.
    """
    rows: list[list[Cell]] = [
        ["contradicted concentrations", visit, "", sentence]
        for visit, sentence in words.contradictions
    ]
    rows += [["sheets", name, "", schema.grain] for name, schema in schemas.items()]
    rows += [["sheets", term, "", meaning] for term, meaning in SHEET_NOTES]
    rows += [["code", code, "", meaning] for code, meaning in CODES.items()]
    rows += [["method", method, "", meaning] for method, meaning in METHODS.items()]
    rows += [["severity", severity, "", meaning] for severity, meaning in SEVERITIES.items()]
    flags = worst_first(sorted(words.flag_meanings))
    rows += [["flag", flag, severity_of(flag), words.flag_meanings[flag]] for flag in flags]
    for name, schema in schemas.items():
        rows += [
            [f"column of {name}", column.name, column.unit, column.meaning]
            for column in schema.columns
        ]
        if "collected" in schema.names:
            rows.append([f"column of {name}", OFFSET, "", OFFSET_MEANING])
    known = sorted(words.labels, key=population_rank)
    rows += [["population", name, "", words.labels[name]] for name in known]
    return rows + [["reason in a definition", why.value, "", why.sentence] for why in Why]


def wide_schema(
    columns: Sequence[str], labels: Mapping[str, str], references: Mapping[str, str]
) -> TableSchema:
    """Describe the columns of the wide table.

    ``references`` names for each population measured in marrow what its percentage is of.
    """
    described = [each for each in KINETICS.columns if each.name in VISIT_COLUMNS]
    for column in columns[len(described) :]:
        population = column.removesuffix(IN_MARROW)
        label = labels.get(population, population)
        if column.endswith(IN_MARROW):
            whole = short_label(labels, references[population])
            described.append(Column(column, "%", f"{label}: percent of {whole}, in marrow"))
        else:
            described.append(Column(column, "1/uL", f"{label}: in blood"))
    return TableSchema(WIDE_GRAIN, ("patient", "visit", "specimen"), tuple(described))
