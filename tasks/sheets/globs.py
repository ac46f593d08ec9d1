"""Hold a file's path against a name with wildcards, in a time that grows with their lengths alone.

A regular expression made of many stars may try more ways than can ever be counted. Here all ways
are gone at once: a bit for each place in the pattern says whether the letters so far can have led
there.
"""

import re
from dataclasses import dataclass, field

WILDCARD = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[\w-]+\]")
"""What is no literal: ``**/`` (any folders, or none), ``**`` (anything), ``*`` (anything within one
folder), ``?`` (one letter, no ``/``), ``[abc]`` and ``[!abc]`` (one of these, or another)."""
_WORDS = re.compile(f"({WILDCARD.pattern})")


@dataclass(slots=True)
class Glob:
    """A pattern taken apart; the places of each kind of wildcard are bits.

    ``start`` and ``runs`` are what it has between the wildcards: most paths lack one of them, which
    is soon seen.
    """

    start: str = ""
    runs: list[str] = field(default_factory=list)
    letters: list[str | re.Pattern[str]] = field(default_factory=list)
    within: int = 0
    anywhere: int = 0
    folders: int = 0
    skipped: int = 0
    _takes: dict[str, int] = field(default_factory=dict)

    def matches(self, path: str) -> bool:
        """Tell whether the whole path is one that the pattern means."""
        if not path.startswith(self.start) or not all(run in path for run in self.runs):
            return False
        here = self._onward(1)
        for letter in path[len(self.start) :]:
            here = self._onward(self._after(here, letter))
            if not here:
                return False
        return bool(here >> len(self.letters))

    def _after(self, here: int, letter: str) -> int:
        """Give the places that can be reached by one more letter."""
        stays = self.anywhere if letter == "/" else self.anywhere | self.within
        leaves = self._taking(letter) | (self.folders if letter == "/" else 0)
        return here & stays | (here & leaves) << 1

    def _onward(self, here: int) -> int:
        """Add the places that are reached without any letter: behind a star, and behind ``**/``."""
        while True:
            more = (
                here
                | (here & (self.within | self.anywhere & ~self.folders | self.skipped)) << 1
                | (here & self.skipped) << 2
            )
            if more == here:
                return here
            here = more

    def _taking(self, letter: str) -> int:
        if letter not in self._takes:
            fits = (place for place, wanted in enumerate(self.letters) if _is(letter, wanted))
            self._takes[letter] = sum(1 << place for place in fits)
        return self._takes[letter]


def glob_of(pattern: str) -> Glob:
    """Take a pattern apart; one with a range that is none (``[z-a]``) stands for itself."""
    try:
        return _taken_apart(_WORDS.split(pattern))
    except re.error:
        return Glob(start=pattern)


def _taken_apart(words: list[str]) -> Glob:
    glob = Glob(start=words[0])
    for word in words[1:]:
        if not WILDCARD.fullmatch(word):
            glob.letters += word
            if word:
                glob.runs.append(word)
            continue
        place = 1 << len(glob.letters)
        if word == "**/":
            # Two places: the first is passed over at once, the second is left by a '/' alone.
            glob.skipped |= place
            glob.folders |= place << 1
            glob.anywhere |= place << 1
        elif word == "**":
            glob.anywhere |= place
        elif word == "*":
            glob.within |= place
        glob.letters += _wanted(word)
    return glob


def _wanted(word: str) -> list[str | re.Pattern[str]]:
    """Give what one wildcard takes, place by place; a star takes no letter of its own."""
    if word.startswith("["):
        return [re.compile(word.replace("[!", "[^"))]
    if word == "?":
        return [re.compile("[^/]")]
    return ["", ""] if word == "**/" else [""]


def _is(letter: str, wanted: str | re.Pattern[str]) -> bool:
    return letter == wanted if isinstance(wanted, str) else wanted.match(letter) is not None
