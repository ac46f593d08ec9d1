"""Say what holds for all tables of the store.

The same tables serve SQLite (one folder, one machine) and PostgreSQL (many workers). Times are ISO
8601 texts: those the laboratory wrote are kept as written, those of the program are UTC. Nothing in
``transitions``, ``gatings``, ``counts``, ``audit``, ``reviews``, ``signatures``, ``corrections``,
``withdrawals`` and ``exclusions`` is ever changed once written. A ``digest`` is that of its row
(tasks/store/digests.py) and the last column.
"""

from sqlalchemy import Column, Integer, MetaData, Table, Text

SCHEMA_VERSION = 9

metadata = MetaData()


def texts(*names: str) -> list[Column[str]]:
    """Describe columns of text that always hold a value."""
    return [Column(name, Text, nullable=False) for name in names]


versions = Table("schema_version", metadata, Column("version", Integer, primary_key=True))
