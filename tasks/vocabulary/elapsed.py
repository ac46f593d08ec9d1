"""Measure the time between two moments."""

from datetime import datetime, timedelta

from panels.text.errors import SheetFault
from tasks.vocabulary.moments import apart, comparable


def elapsed_days(since: datetime, until: datetime, time_zone: str | None = None) -> float:
    """Give the days of 24 hours from ``since`` to ``until``, negative where that is earlier.

    Times without an offset are meant in ``time_zone``. Raises SheetFault when only one of them has
    an offset and the study names no time zone.
    """
    if not comparable(since, until, time_zone):
        raise SheetFault(
            f"The times {since.isoformat()} and {until.isoformat()} cannot be compared: one has an "
            "offset from UTC and the other has none. Write the study's time zone in study.yaml "
            "(time_zone: Europe/Berlin), or all times of the patient alike."
        )
    return apart(since, until, time_zone) / timedelta(days=1)
