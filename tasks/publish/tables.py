"""Write the result tables so that the same rows give the same bytes, whichever worker writes them.

Rows keep the order in which the kinetics lay them out. Floats are rounded to 10 significant digits,
an empty cell means not measured, and a file is replaced only when the new one is whole.
"""

import io
from collections.abc import Sequence
from datetime import date
from math import isnan
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panels.files.csv_cells import csv_blocks
from panels.files.durable import write_durably
from tasks.kinetics.table_schema import Kind, TableSchema

if TYPE_CHECKING:
    import pandas as pd

Cell = str | int | float | None
_EXACT = 2**53
"""A whole number up to this is the same as a float."""


def csv_bytes(frame: "pd.DataFrame", schema: TableSchema | None = None) -> bytes:
    """Write a table as CSV: UTF-8, line feed at line ends.

    Text that a spreadsheet would run gets an apostrophe in front.
    """
    return _csv(frame, _columns(frame, schema))


def csv_and_parquet(frame: "pd.DataFrame", schema: TableSchema) -> tuple[bytes, bytes]:
    """Write a table as CSV, as ``csv_bytes`` does, and as Parquet with one type a column.

    In both, times are ISO 8601 text.
    """
    columns = _columns(frame, schema)
    return _csv(frame, columns), _parquet(columns, schema)


def parquet_bytes(frame: "pd.DataFrame", schema: TableSchema) -> bytes:
    """Write a table as Parquet alone, as ``csv_and_parquet`` does."""
    return _parquet(_columns(frame, schema), schema)


def _csv(frame: "pd.DataFrame", columns: Sequence[Sequence[Cell]]) -> bytes:
    return b"".join(block.encode() for block in csv_blocks(frame.columns, columns))


def _parquet(columns: Sequence[Sequence[Cell]], schema: TableSchema) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[Kind, pa.DataType] = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
    }
    arrays = [
        pa.array(values, types[c.kind]) for values, c in zip(columns, schema.columns, strict=True)
    ]
    written = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=schema.names), written)
    return written.getvalue()


def read_table(path: Path | io.BytesIO, schema: TableSchema) -> "pd.DataFrame":
    """Read a table that ``csv_bytes`` wrote, each column in the type of its schema.

    An empty text stays an empty text. Columns that were added to the schema later are empty where
    the table is older.
    """
    import pandas as pd

    types = {"text": "str", "integer": "int64", "number": "float64"}
    kinds = {column.name: column.kind for column in schema.columns}
    unknown = {name: [""] for name, kind in kinds.items() if kind != "text"}
    frame = pd.read_csv(
        path,
        dtype={name: types[kind] for name, kind in kinds.items()},
        keep_default_na=False,
        na_values=unknown,
    )
    for column in schema.columns:
        if column.added_later and column.name not in frame:
            frame[column.name] = "" if column.kind == "text" else float("nan")
    for name, kind in kinds.items():
        if kind == "text" and any(text.startswith("'") for text in set(frame[name])):
            frame[name] = frame[name].str.removeprefix("'")
    return frame[[*schema.names, *(name for name in frame.columns if name not in kinds)]]


def cells(frame: "pd.DataFrame", schema: TableSchema | None = None) -> list[list[Cell]]:
    """Give a table's rows as plain values.

    None is not measured, times are ISO 8601 text, floats have 10 significant digits.
    """
    return [list(row) for row in zip(*_columns(frame, schema), strict=True)]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its target and rename it.

    A reader sees the old file or the new one, never a part, power cut or not.
    """
    write_durably(path, content)


def _columns(frame: "pd.DataFrame", schema: TableSchema | None) -> list[list[Cell]]:
    kinds: Sequence[Kind | None] = [None] * len(frame.columns)
    if schema:
        _check_columns(frame, schema)
        kinds = [column.kind for column in schema.columns]
    return [_cells(frame.iloc[:, place].tolist(), kind) for place, kind in enumerate(kinds)]


def _cells(values: list[Any], kind: Kind | None) -> list[Cell]:
    """Turn the values of a column into what its cells hold, as ``_cell`` does with each."""
    types = set(map(type, values))
    if types == {str} and kind in ("text", None):
        return values
    if types == {int} and kind in ("integer", None) and max(map(abs, values)) <= _EXACT:
        return values
    if types == {float} and kind in ("number", None):
        return [None if value != value else float("%.10g" % value) for value in values]  # noqa: PLR0124 UP031 - as isnan and format, of millions of cells
    return [_cell(value, kind) for value in values]


def _check_columns(frame: "pd.DataFrame", schema: TableSchema) -> None:
    names = [str(name) for name in frame.columns]
    if names != schema.names:
        raise ValueError(
            f"A table of {schema.grain} must have the columns {', '.join(schema.names)}, not "
            f"{', '.join(names)}."
        )


def _cell(value: object, kind: Kind | None) -> Cell:
    """Turn a value into what its cell holds; without a kind, a whole number stays whole."""
    if isinstance(value, float) and kind != "text":
        return None if isnan(value) else _number(value, kind or "number")
    if isinstance(value, str) and kind in ("text", None):
        return value
    return _known_cell(value, kind) if _is_known(value) else None


def _known_cell(value: object, kind: Kind | None) -> Cell:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "true" if value else "false"
    if kind in ("number", "integer"):
        return _number(value, kind)
    return int(value) if kind is None and isinstance(value, Integral) else str(value)


def _number(value: object, kind: Kind) -> float | int:
    number = value if isinstance(value, float) else float(str(value))
    return int(number) if kind == "integer" else float(f"{number:.10g}")


def _is_known(value: object) -> bool:
    """Tell a measured value from None, NaN, NaT and NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return False
    return not (isinstance(value, float) and isnan(value))
