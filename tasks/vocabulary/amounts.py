"""Print concentrations and percentages with the digits that counts can carry, everywhere alike.

Whole numbers from 100, one decimal from 1, else two significant digits. What is printed anywhere
(wide table, workbook, report, cohort, terminal) goes through here, so that one number has the same
digits in every place; the long tables alone hold all digits.
"""

import math


def concentration_text(per_ul: float) -> str:
    """Print a concentration in cells/µL, without its unit."""
    return _text(per_ul)


def percent_text(percent: float) -> str:
    """Print a percentage, without its sign."""
    return _text(percent)


def decimals(value: float) -> int:
    """Give how many decimals a concentration or a percentage is printed with."""
    text = _text(value)
    return len(text.partition(".")[2])


def _text(value: float) -> str:
    size = abs(value)
    # Limits as they are printed: 99.96 is written 100, and 0.996 is written 1.0.
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 0.995:
        return f"{value:.1f}"
    if size == 0:
        return "0"
    places = 1 - math.floor(math.log10(float(f"{size:.1e}")))
    return f"{value:.{places}f}".rstrip("0")
