"""Read the numbers that keywords of an FCS file hold."""

import math
import re
from collections.abc import Mapping

from panels.text.errors import UnreadableFile
from panels.text.quoting import quoted


def finite_number(text: str) -> float | None:
    """Read a finite number; None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole_number(value: str | None) -> int | None:
    """Read a whole number as TEXT writes it (padded, with leading zeros); None if it is none."""
    digits = (value or "").strip()
    return int(digits) if re.fullmatch(r"[0-9]{1,18}", digits) else None


def nonnegative_number(
    name: str, keywords: Mapping[str, str], keyword: str, missing: float | None = None
) -> float:
    """Read a keyword that must hold a finite number of 0 or more; ``missing`` where it is absent.

    Raises UnreadableFile when it holds no such number, or is absent and nothing is given for it.
    """
    text = keywords.get(keyword, "")
    if not text and missing is not None:
        return missing
    value = finite_number(text)
    if value is None or value < 0:
        raise UnreadableFile(
            f"{name}: {keyword} is {quoted(keyword, text)}, but must be a number of 0 or more. "
            f"Export the file again from the cytometer."
        )
    return value
