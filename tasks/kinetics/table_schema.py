"""Describe what a table holds and promises, and check a data frame against it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from panels.text.errors import ReconflowError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["text", "integer", "number"]
COUNTED_UNITS = frozenset({"events", "patients", "samples", "visits"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its name, unit ("" for none) and meaning.

    A table of an earlier edition may lack a column that was ``added_later``; it reads as empty.
    """

    name: str
    unit: str
    meaning: str
    added_later: bool = False

    @property
    def kind(self) -> Kind:
        """Name what its cells hold.

        Things counted are whole numbers; what has another unit is a number; the rest is text.
        """
        if self.unit in COUNTED_UNITS:
            return "integer"
        return "number" if self.unit else "text"


@dataclass(frozen=True, slots=True)
class TableSchema:
    """What a table holds: one row a ``grain``, unique on ``key``, with ``invariants`` in words."""

    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    invariants: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """List the column names in order."""
        return [column.name for column in self.columns]

    def frame(self, records: Iterable[Sequence[object]]) -> "pd.DataFrame":
        """Make a table of records whose values come in the order of the columns.

        ``None`` in a column of numbers is "not measured" (NaN).
        """
        import pandas as pd

        values = list(zip(*records, strict=True)) or [()] * len(self.columns)
        columns = {
            column.name: _cells(column, cells)
            for column, cells in zip(self.columns, values, strict=True)
        }
        return pd.DataFrame(columns)


def check_shape(frame: "pd.DataFrame", schema: TableSchema, name: str) -> None:
    """Raise ReconflowError when a table has other columns than its schema, or repeats a key."""
    if list(frame.columns) != schema.names:
        raise ReconflowError(
            f"{name} table: the columns are {', '.join(frame.columns)}; they must be "
            f"{', '.join(schema.names)}."
        )
    repeated = frame.duplicated(list(schema.key))
    if repeated.any():
        first = frame.loc[repeated, list(schema.key)].iloc[0]
        raise ReconflowError(
            f"{name} table: there must be {schema.grain}, but {', '.join(map(str, first))} "
            f"comes twice."
        )


def _cells(column: Column, cells: Sequence[object]) -> object:
    """Give the cells of a column in the type that it declares."""
    import numpy as np

    # A text column with anything in it is left to pandas, which recognises true and false.
    if cells and column.kind == "text":
        return list(cells)
    types = {"number": np.float64, "integer": np.int64, "text": np.object_}
    return np.array(cells, dtype=types[column.kind])
