"""Give the layout of the whole store, in which no table is missing."""

from tasks.store.schema import decisions, files, passes, results  # noqa: F401 - they declare tables
from tasks.store.schema.layout import metadata

__all__ = ["metadata"]
