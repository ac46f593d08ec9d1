"""Change the primary key of a table, which SQLite cannot do in place."""

from collections.abc import Mapping
from typing import Any

from alembic import op
from sqlalchemy import CheckConstraint, Column, Text, column, literal, select, table


def text_columns(*names: str, primary_key: bool = False) -> list[Column[str]]:
    """Describe columns of text that always hold a value."""
    return [Column(name, Text, primary_key=primary_key, nullable=False) for name in names]


def rebuild_table(
    name: str, *columns: Column[Any] | CheckConstraint, filled: Mapping[str, str | None]
) -> None:
    """Make a table anew with these columns and carry its rows over.

    ``filled`` gives what the earlier rows hold in each column that is new.
    """
    earlier = f"{name}_earlier"
    op.rename_table(name, earlier)
    if op.get_bind().dialect.name == "postgresql":
        # The renamed table would keep the name that the new table's primary key gets.
        op.drop_constraint(f"{name}_pkey", earlier, type_="primary")
    new = op.create_table(name, *columns)
    carried = [
        literal(filled[each.name], Text).label(each.name)
        if each.name in filled
        else column(each.name)
        for each in new.c
    ]
    rows = select(*carried).select_from(table(earlier))
    op.execute(new.insert().from_select([each.name for each in new.c], rows))
    op.drop_table(earlier)
