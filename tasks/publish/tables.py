"""Write the result tables so that the same inputs give the same bytes, whichever worker writes them.

Every table has a schema beside it: its grain in words and, for each column, its kind and what it means. Writers check
it, put rows in a stated order, round floats to 10 significant digits and replace the old file only when the new one is whole.
"""

import csv
import io
import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import isnan
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["text", "integer", "number", "time"]
Cell = str | int | float | None

POPULATIONS = (
    "leukocytes",
    "lymphocytes",
    "t_cells",
    "cd4_t",
    "cd8_t",
    "nk_cells",
    "monocytes",
    "b_cells",
    "b_cells_cd20",
    "naive_b",
    "naive_igm_igd_b",
    "transitional_b",
    "unswitched_memory_b",
    "switched_memory_b",
    "double_negative_b",
    "plasmablasts",
    "plasma_cells",
    "long_lived_plasma_cells",
    "car19_t",
    "carbcma_t",
    "car_double_positive",
    "car_any_t",
)
CODES = {
    "Q": "quantified: the number is the result",
    "DNQ": "detected, but too few events to quantify; written as 'DNQ <x', x being the lower limit of quantification (LLOQ)",
    "ND": "not detected; written as '<x', x being the limit of detection (LOD) of that tube",
    "NE": "not evaluable: this tube cannot answer the question; nothing may be concluded from it",
}
METHODS = {
    "bead": "counting beads in the same tube",
    "volumetric": "acquired volume of the same tube",
    "dual": "the haematology analyser's leukocyte or lymphocyte count",
    "chain": "a population counted in a bead or volumetric tube of the same visit ties this tube to a concentration",
    "none": "no concentration, percentages only",
}
EVIDENCE = ("Q", "DNQ", "ND", "NE")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its name, its kind and its meaning with unit."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Schema:
    """What one row of a table stands for, its columns in order, and the columns its rows are sorted by."""

    grain: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """List the column names in order."""
        return [column.name for column in self.columns]


def _columns(text: str) -> tuple[Column, ...]:
    lines = (line.split("|") for line in text.strip().splitlines())
    kinds: dict[str, Kind] = {"t": "text", "i": "integer", "n": "number", "d": "time"}
    return tuple(Column(name.strip(), kinds[kind.strip()], meaning.strip()) for name, kind, meaning in lines)


KINETICS = Schema(
    grain="one row a tube × population",
    order=("patient", "day", "specimen", "panel", "tube_sha256", "population"),
    columns=_columns("""
patient            | t | pseudonym
visit              | t | nominal visit
day                | n | days since infusion, actual
collected          | d | when the specimen was taken
specimen           | t | blood or marrow
panel              | t | panel the tube was stained with
population         | t | reported population
events             | i | events counted in the population
parent             | t | gate above it
parent_events      | i | events in that gate
percent_parent     | n | events in percent of the parent's
reference          | t | population that is the denominator of percent_reference
percent_reference  | n | events in percent of the reference's
per_ul             | n | cells per µL
per_ul_low         | n | lower end of the 95 % interval, cells per µL
per_ul_high        | n | upper end of the 95 % interval, cells per µL
lod_per_ul         | n | limit of detection of this tube, cells per µL
lloq_per_ul        | n | lower limit of quantification of this tube, cells per µL
code               | t | Q, DNQ, ND or NE
method             | t | how events became a concentration
flags              | t | what to know before using the number, separated by semicolons
strategy           | t | gating strategy and version
strategy_sha256    | t | fingerprint of the strategy
tube_sha256        | t | fingerprint of the FCS file
"""),
)
PARAMETERS = Schema(
    grain="one row a patient × specimen × population × parameter",
    order=("patient", "specimen", "population", "parameter"),
    columns=_columns("""
patient     | t | pseudonym
specimen    | t | blood or marrow
population  | t | population the parameter describes
parameter   | t | name of the parameter
value       | n | its value; empty when it cannot be given
unit        | t | unit of value, low and high
low         | n | lower end of the interval the truth lies in
high        | n | upper end of the interval the truth lies in
censoring   | t | interval: between low and high; right: later than low; left: before high; none: known
points      | i | number of measurements it rests on
definition  | t | versioned definition it follows
"""),
)


def ordered(frame: "pd.DataFrame", schema: Schema) -> "pd.DataFrame":
    """Check that a table has exactly its schema's columns, and sort its rows in the stated order.

    Raises ValueError naming the columns that are missing or unknown.
    """
    missing, unknown = [n for n in schema.names if n not in frame], [str(n) for n in frame if n not in schema.names]
    if missing or unknown:
        raise ValueError(f"A table ({schema.grain}) lacks {missing or 'nothing'} and has the unknown columns {unknown or 'none'}.")

    def rank(column: "pd.Series") -> "pd.Series":
        return column.map(_population_rank) if column.name == "population" else column

    return frame[schema.names].sort_values(list(schema.order), key=rank, kind="stable", ignore_index=True)


def csv_bytes(frame: "pd.DataFrame", schema: Schema | None = None) -> bytes:
    """Write a table as CSV: UTF-8, line end ``\\n``, empty for not measured; text that a spreadsheet would run is quoted by ``'``."""
    table = ordered(frame, schema) if schema else frame
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_harmless(value) for value in row] for row in _rows(table, schema))
    return written.getvalue().encode()


def parquet_bytes(frame: "pd.DataFrame", schema: Schema) -> bytes:
    """Write a table as Parquet with the schema's types; times are ISO 8601 text as in the CSV."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[Kind, pa.DataType] = {"text": pa.string(), "time": pa.string(), "integer": pa.int64(), "number": pa.float64()}
    values = list(zip(*_rows(ordered(frame, schema), schema), strict=True)) or [()] * len(schema.columns)
    arrays = [pa.array(list(column), types[c.kind]) for column, c in zip(values, schema.columns, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=schema.names), sink)
    return sink.getvalue()


def widen(kinetics: "pd.DataFrame") -> "pd.DataFrame":
    """Lay the kinetic table out as a lab prints it: one row a visit and specimen, one column a population.

    Where several tubes of a visit counted a population, `preferred` says which one is printed.
    """
    import pandas as pd

    chosen = preferred(kinetics)
    populations = sorted(chosen["population"].unique(), key=_population_rank)
    rows = []
    for (specimen, visit), group in chosen.groupby(["specimen", "visit"], sort=False):
        values = {str(row["population"]): printed(row) for row in records(group)}
        rows.append({"visit": visit, "day": group["day"].min(), "specimen": specimen} | {p: values.get(p, "") for p in populations})
    wide = pd.DataFrame(rows, columns=["visit", "day", "specimen", *populations])
    return wide.sort_values(["day", "specimen", "visit"], kind="stable", ignore_index=True)


def preferred(kinetics: "pd.DataFrame") -> "pd.DataFrame":
    """Choose one row a patient × specimen × visit × population, in the table's order.

    A quantified result goes before a detected one, that before a not detected one, and not evaluable comes last; among equals
    the more direct method (beads, volume, analyser, chain), then the lower limit of quantification, then the tube's SHA-256.
    """
    ranked = ordered(kinetics, KINETICS)
    ranked["_code"] = ranked["code"].map(EVIDENCE.index)
    ranked["_method"] = ranked["method"].map(list(METHODS).index)
    # A tube that did not see a population is the better witness the less it can miss, whatever its method.
    ranked.loc[ranked["code"].isin(["ND", "DNQ"]), "_method"] = 0
    best = ranked.sort_values(["_code", "_method", "lloq_per_ul", "tube_sha256"], kind="stable")
    keys = ["patient", "specimen", "visit", "population"]
    return best.drop_duplicates(keys).sort_index()[KINETICS.names].reset_index(drop=True)


def records(frame: "pd.DataFrame") -> list[dict[str, object]]:
    """Give a table's rows as dictionaries by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def printed(row: Mapping[str, object]) -> str:
    """Write one result as a lab would print it: ``12.3``, ``<1.1`` (not detected), ``DNQ <2.8``, ``NE``; percent in marrow."""
    code, in_blood = row["code"], row["specimen"] == "blood"
    limit, amount = (row["lod_per_ul"], row["per_ul"]) if in_blood else (None, row["percent_reference"])
    if code == "NE":
        return "NE"
    if code == "ND":
        return f"<{significant(limit, 2)}" if _known(limit) else "ND"
    if code == "DNQ":
        return f"DNQ <{significant(row['lloq_per_ul'], 2)}" if in_blood and _known(row["lloq_per_ul"]) else "DNQ"
    return f"{significant(amount)}{'' if in_blood else ' %'}" if _known(amount) else "NE"


def significant(value: object, digits: int = 3) -> str:
    """Write a number with so many significant digits and never in scientific notation; whole from 100 on."""
    number = float(str(value))
    if number == 0 or abs(number) >= 100:
        return f"{number:.0f}"
    exponent = int(f"{number:.{digits - 1}e}".split("e")[1])
    return f"{number:.{max(0, digits - 1 - exponent)}f}"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its target and rename it, so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_patient_tables(
    folder: Path, kinetics: "pd.DataFrame", parameters: "pd.DataFrame", flag_meanings: Mapping[str, str] | None = None
) -> None:
    """Write one patient's kinetics.csv, kinetics_wide.csv, parameters.csv and kinetics.xlsx."""
    from tasks.publish.workbook import workbook_bytes

    write_atomically(folder / "kinetics.csv", csv_bytes(kinetics, KINETICS))
    write_atomically(folder / "kinetics_wide.csv", csv_bytes(widen(kinetics)))
    write_atomically(folder / "parameters.csv", csv_bytes(parameters, PARAMETERS))
    write_atomically(folder / "kinetics.xlsx", workbook_bytes(kinetics, parameters, flag_meanings or {}))


def write_cohort_tables(folder: Path, kinetics: "pd.DataFrame", parameters: "pd.DataFrame", recovery: "pd.DataFrame") -> None:
    """Write the cohort's kinetics and parameters as CSV and Parquet, and recovery.csv in the order it is given."""
    for name, frame, schema in (("kinetics", kinetics, KINETICS), ("parameters", parameters, PARAMETERS)):
        write_atomically(folder / f"{name}.csv", csv_bytes(frame, schema))
        write_atomically(folder / f"{name}.parquet", parquet_bytes(frame, schema))
    write_atomically(folder / "recovery.csv", csv_bytes(recovery))


def cells(frame: "pd.DataFrame", schema: Schema | None = None) -> list[list[Cell]]:
    """Give a table's rows as plain values: None for not measured, ISO 8601 for times, floats of 10 significant digits."""
    return list(_rows(ordered(frame, schema) if schema else frame, schema))


def _rows(table: "pd.DataFrame", schema: Schema | None) -> Iterable[list[Cell]]:
    kinds: Sequence[Kind | None] = [c.kind for c in schema.columns] if schema else [None] * len(table.columns)
    for row in table.itertuples(index=False, name=None):
        yield [_cell(value, kind) for value, kind in zip(row, kinds, strict=True)]


def _cell(value: object, kind: Kind | None) -> Cell:
    if not _known(value):
        return None
    if isinstance(value, date):
        return value.isoformat()
    if kind == "number" or (kind is None and isinstance(value, float)):
        return float(f"{float(str(value)):.10g}")
    if kind == "integer" or (kind is None and isinstance(value, Integral)):
        return int(float(str(value)))
    return str(value)


def _known(value: object) -> bool:
    """Tell a measured value from None, NaN, NaT and NA."""
    return value is not None and type(value).__name__ not in ("NAType", "NaTType") and not (isinstance(value, float) and isnan(value))


def _harmless(value: Cell) -> str:
    """Write a cell for CSV; a text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    risky = re.match(r"[=@\t\r]", value) or (re.match(r"[+-]", value) and not re.fullmatch(r"[+-][\w.]*", value))
    return f"'{value}" if risky else value


def _population_rank(population: str) -> str:
    """Sort populations in the order of the panels' hierarchy, unknown ones after them by name."""
    return f"{POPULATIONS.index(population):03d}" if population in POPULATIONS else f"999{population}"
