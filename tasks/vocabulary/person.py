"""Take the names and words of persons who decide something."""

import unicodedata

from panels.text.errors import FieldFault

LONGEST_NAME = 100
LONGEST_WORDS = 2000


def person(field: str, name: str) -> str:
    """Give a name without blanks around it; ``field`` (``by``) is what a refusal is about.

    Raises FieldFault when it is empty, longer than 100 characters, or holds characters that cannot
    be seen.
    """
    return _words(field, name, LONGEST_NAME, "a name")


def explanation(field: str, words: str) -> str:
    """Give the reason, comment or meaning that a decision needs, without blanks around it.

    Raises FieldFault when it is empty, longer than 2,000 characters, or holds characters that
    cannot be seen (a line break is one).
    """
    return _words(field, words, LONGEST_WORDS, "a text")


def is_same_person(name: str, other: str) -> bool:
    """Tell whether two names are one: blanks, dots, capitals and ways of writing a letter aside."""
    return _folded(name) == _folded(other)


def _words(field: str, text: str, longest: int, what: str) -> str:
    text = text.strip()
    if not text:
        raise FieldFault(field, f" is empty: {what} is needed here.")
    if len(text) > longest:
        raise FieldFault(
            field,
            f" has {len(text):,} characters: {what} of at most {longest:,} is needed here.",
        )
    if not text.isprintable():
        raise FieldFault(
            field,
            f" holds characters that cannot be seen (line breaks, marks that turn the "
            f"direction of reading): {what} in plain letters on one line is needed here.",
        )
    return text


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace(".", " ").split())
