"""Write text from outside so that a terminal shows it and does nothing else.

Names of files and cells of sheets may hold what moves the cursor, clears the screen, begins a line
that nobody wrote, or turns the direction of reading.
"""

import re

_CONTROLS = "\x00-\x1f\x7f-\x9f"
_SEPARATORS = "\u2028\u2029"
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_HALF_LETTERS = "\ud800-\udfff"
_UNSAFE = re.compile(f"[{_CONTROLS}{_SEPARATORS}{_DIRECTIONS}{_HALF_LETTERS}]")


def printable(text: str) -> str:
    r"""Write control characters as Python does (``\x1b``, ``\n``); other text stays as it is."""
    return _UNSAFE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """Write a text of several lines as ``printable`` does, without taking its lines for letters."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
