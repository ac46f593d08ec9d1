"""Measure the time between two moments."""

from datetime import datetime, timedelta

from panels.errors import SheetFault


def elapsed_days(since: datetime, until: datetime) -> float:
    """Give the days from ``since`` to ``until``, negative where that is earlier.

    Raises SheetFault when only one of them has a time zone.
    """
    if (since.tzinfo is None) != (until.tzinfo is None):
        raise SheetFault(
            f"The times {since.isoformat()} and {until.isoformat()} cannot be compared: "
            "one has a time zone and one has none. "
            "Write all times of patients.csv and samples.csv with it, or all without."
        )
    return (until - since) / timedelta(days=1)
