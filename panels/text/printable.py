"""Write what somebody else wrote so that it can be shown: on one line, and no terminal obeys it."""

LONGEST_SAID = 160
LONGEST_SHOWN = 60
LONGEST_SENTENCE = 900


def printable(text: str) -> str:
    """Write letters that are not to be seen as their escapes.

    Such are line breaks, the escapes of a terminal, marks that turn the direction of reading, and
    halves of letters, which no encoding can write.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def printable_lines(text: str) -> str:
    """Write a text of several lines as ``printable`` does, without taking its lines for letters."""
    return "\n".join(printable(line) for line in text.split("\n"))


def shown(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Give what somebody wrote as it is repeated in a sentence, at most ``longest`` letters."""
    return printable(text if len(text) <= longest else f"{text[: longest - 1]}…")


def one_line(said: object) -> str:
    """Give what a parser says of a document in one short line, without a point at its end."""
    return printable(" ".join(str(said).split())[:LONGEST_SAID]).rstrip(".")


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
