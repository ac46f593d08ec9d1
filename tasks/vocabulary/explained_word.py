"""Give a word of a closed list the sentence that explains it."""

from enum import StrEnum
from typing import NamedTuple, Self


class Explained(NamedTuple):
    """A word with its sentence, as a member of an ``ExplainedWord`` is written."""

    word: str
    sentence: str


class ExplainedWord(StrEnum):
    """One word of a closed list; ``sentence`` explains it to the reader of the tables."""

    sentence: str

    def __new__(cls, word: str, sentence: str) -> Self:
        """Make a member of its word and sentence."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        return member
