"""Make text of others fit to be shown: on one line, and without what steers a terminal."""

import re

LONGEST_PARSER_MESSAGE = 160
LONGEST_SHOWN = 60
LONGEST_SENTENCE = 900


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Replace characters that cannot be seen by their escapes.

    Such are line breaks, the escapes of a terminal, marks that turn the direction of reading, and
    halves of letters, which no encoding can write.
    """
    if text.isprintable():
        return text
    return "".join(_visible(letter) for letter in text)


def without_controls(text: str) -> str:
    """Put a blank in the place of characters that steer a terminal or end a line.

    Names of channels are kept this way, not by ``printable``: the letters of an escape would become
    part of a name, which panels and gates match.
    """
    return _CONTROLS.sub(" ", text)


def printable_lines(text: str) -> str:
    """Make each line of a text printable; the line breaks stay."""
    return "\n".join(printable(line) for line in text.split("\n"))


def shown(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Shorten a text to ``longest`` letters and make it printable, for a sentence."""
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return printable(text)


def one_line(message: object) -> str:
    """Put a parser's message into one short line, without a point at its end."""
    return printable(" ".join(str(message).split())[:LONGEST_PARSER_MESSAGE]).rstrip(".")


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    return letter.encode("unicode_escape").decode("ascii")
