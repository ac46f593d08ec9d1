"""Read the day that a visit's label names."""

import re

_DAY_LABEL = re.compile(r"D(?:ay)?[ _+]?(-?\d{1,5})", re.IGNORECASE)


def nominal_day(visit: str) -> int | None:
    """Give the day after infusion that a label such as ``D28`` or ``Day -7`` names, else None."""
    named = _DAY_LABEL.fullmatch(visit)
    return None if named is None else int(named[1])
