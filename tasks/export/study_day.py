"""Count study days as SDTM does: by dates, without a zero."""

from datetime import datetime, timedelta

from tasks.vocabulary.moments import instant, local_day

NEAREST = timedelta(seconds=1)
"""How far the moment of infusion that a table's rounded day gives may lie from the one the sheet
gives, to be the same."""


def study_day(
    collected: datetime, day: float, infused: datetime | None = None, time_zone: str | None = None
) -> int:
    """Count from the date of the first infusion, which is day 1; the date before it is day -1.

    ``day`` is the elapsed time of the table (days), which knows the infusion the table was made
    with; ``infused`` is what patients.csv gives now, whose time zone says which date the infusion
    had where it was given. A draw before the infusion on the same date is of day 1: the standard
    counts dates, not hours. Where the study names its ``time_zone`` both dates are of its calendar.
    """
    if time_zone is not None:
        infusion = _moment_of_infusion(instant(collected, time_zone), day)
        return _without_zero(local_day(collected, time_zone) - local_day(infusion, time_zone))
    given = _moment_of_infusion(collected, day)
    if infused is not None and (infused.tzinfo is None) == (given.tzinfo is None):
        given = given.astimezone(infused.tzinfo) if infused.tzinfo else given
        if abs(given - infused) <= NEAREST:
            given = infused
    return _without_zero(collected.date() - given.date())


def _without_zero(elapsed: timedelta) -> int:
    if elapsed.days >= 0:
        return elapsed.days + 1
    return elapsed.days


def _moment_of_infusion(collected: datetime, day: float) -> datetime:
    """Go back to the infusion, to the nearest second.

    A table's ten digits of a day leave 23:59:59.9999 of midnight.
    """
    exact = collected - timedelta(days=day)
    return (exact + timedelta(milliseconds=500)).replace(microsecond=0)
