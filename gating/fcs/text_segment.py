"""Split a TEXT segment into keywords, as the standard (FCS 3.1, TEXT) and cytometers write it.

Three things are written that the standard forbids: an empty value (two delimiters meet), no last
delimiter (SpectroFlo 2.2), and one delimiter too many at the end (Accuri). They can be read in one
way only, because a keyword's name is never empty and never holds the delimiter: of a run of
delimiters behind a name the first ends the name, of a run within a value an odd one ends the value.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gating.fcs.limits import MOST_KEYWORDS, too_many_keywords
from panels.text.errors import UnreadableFile
from panels.text.quoting import is_standard, may_be_shown

PADDING = b" \0\r\n\t"
SPILL_KEYWORDS = ("$SPILLOVER", "SPILL", "SPILLOVER", "$SPILL")
DECISIVE = frozenset({"CREATOR", "TIMESTEP"})
"""Keywords without a ``$`` that decide how values are read."""

_NAME_OF_THE_STANDARD = re.compile(
    r"\$(?:P[0-9]+[A-Z]+|PAR|TOT|MODE|BYTEORD|DATATYPE|NEXTDATA"
    r"|(?:BEGIN|END)(?:DATA|STEXT|ANALYSIS)"
    r"|SPILLOVER|TIMESTEP|VOL|CYT|CYTSN|FIL|SRC|OP|EXP|COM|DATE|BTIM|ETIM|SMNO|SYS|INST|PROJ|CELLS)",
    re.IGNORECASE,
)

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TextSegment:
    """The keywords of one TEXT segment in their order, names in upper case.

    ``padded`` tells that blanks stood around a name, ``irregular`` that something was written which
    the standard forbids, ``unfinished`` that the last delimiter is missing. ``length`` counts the
    segment's bytes without padding at its end.
    """

    pairs: tuple[Pair, ...]
    encoding: str
    delimiter: str
    padded: bool
    irregular: bool
    unfinished: bool
    length: int


def read_text_segment(name: str, raw: bytes) -> TextSegment:
    """Read the bytes of a TEXT segment; raises UnreadableFile when they give no whole pairs."""
    encoding = "utf-8"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = raw.decode(encoding)
    delimiter = text[0]
    if not delimiter.isascii() or delimiter.isalnum() or delimiter == "\0":
        raise UnreadableFile(
            f"{name}: its keywords do not begin with a delimiter. "
            f"Copy the file again from the cytometer."
        )
    padding = bytes(set(PADDING) - set(delimiter.encode()))
    body = text[1:].rstrip(padding.decode())
    pairs, irregular, unfinished = _pairs(name, body, delimiter)
    if len(pairs) > MOST_KEYWORDS:
        raise too_many_keywords(name, MOST_KEYWORDS)
    _refuse_shifted(name, pairs, delimiter)
    return TextSegment(
        pairs=tuple((key.strip().upper(), value.strip()) for key, value in pairs),
        encoding=encoding,
        delimiter=delimiter,
        padded=any(key != key.strip() for key, _ in pairs),
        irregular=irregular,
        unfinished=unfinished,
        length=len(raw.rstrip(padding)),
    )


def _pairs(name: str, body: str, delimiter: str) -> tuple[list[Pair], bool, bool]:
    """Give the pairs, whether the standard is broken, and whether the last delimiter is missing."""
    if delimiter * 2 not in body:
        pieces = body.split(delimiter)
        unfinished = pieces[-1] != ""
        if not unfinished:
            pieces.pop()
        pairs = list(zip(pieces[::2], pieces[1::2], strict=False))
        if len(pieces) % 2 or not all(key.strip() for key, _ in pairs):
            raise _damaged(name)
        return pairs, unfinished, unfinished
    pairs, pending = _pairs_of_runs(name, body, delimiter)
    if pending is None:
        return pairs, any(value == "" for _, value in pairs), False
    if not body.endswith(delimiter):
        return [*pairs, pending], True, True
    # One delimiter too many at the end.
    pairs, pending = _pairs_of_runs(name, body[:-1], delimiter)
    if pending is not None:
        raise _damaged(name)
    return pairs, True, False


def _pairs_of_runs(name: str, body: str, delimiter: str) -> tuple[list[Pair], Pair | None]:
    """Read runs of delimiters; give the pairs, and the last one apart when nothing ends it."""
    pieces = re.split(f"((?:{re.escape(delimiter)})+)", body)
    pairs: list[Pair] = []
    key: str | None = None
    value: list[str] = []
    for text, run in zip(pieces[::2], [*map(len, pieces[1::2]), 0], strict=True):
        if key is not None:
            value += (text, delimiter * (run // 2))
            ended = run % 2 == 1
        elif text.strip() and run:
            key, value = text, [delimiter * ((run - 1) // 2)]
            ended = run % 2 == 0
        elif text == "" and not run:
            return pairs, None
        else:
            raise _damaged(name)
        if ended:
            pairs.append((key, "".join(value)))
            key = None
    pending = None if key is None else (key, "".join(value))
    return pairs, pending


def _damaged(name: str) -> UnreadableFile:
    return UnreadableFile(
        f"{name}: its keywords are damaged or cut off. Copy the file again from the cytometer."
    )


def _refuse_shifted(name: str, pairs: Iterable[Pair], delimiter: str) -> None:
    """Refuse a TEXT in which a keyword stands where a value should.

    Then a delimiter is missing or too many before it, and reading on gives one keyword's value to
    another.
    """
    for value in (value for _, value in pairs if "$" in value):
        for part in value.split(delimiter):
            keyword = part.strip()
            if _NAME_OF_THE_STANDARD.fullmatch(keyword):
                where = keyword if is_standard(keyword.upper()) else "a keyword"
                raise UnreadableFile(
                    f"{name}: its keywords can be read in two ways, because a delimiter is missing "
                    f"or too many before {where}. Export the file again from the cytometer."
                )


def keywords_of(
    name: str, pairs: Sequence[Pair]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Put the pairs of all TEXT segments together: keywords, the values of every spill, sentences.

    A keyword written twice with different values is never chosen from. Where nothing depends on it,
    it is left out and a sentence says so. Else UnreadableFile is raised.
    """
    keywords: dict[str, str] = {}
    twice: dict[str, dict[str, None]] = {}
    for key, value in pairs:
        if keywords.setdefault(key, value) != value:
            twice.setdefault(key, {keywords[key]: None})[value] = None
    for key, values in twice.items():
        if key not in SPILL_KEYWORDS and (key.startswith("$") or key in DECISIVE):
            described = _written_twice(key, *list(values)[:2])
            raise UnreadableFile(f"{name}: {described}. Export the file again.")
    spills = {
        key: tuple(twice.get(key, (keywords[key],))) for key in SPILL_KEYWORDS if key in keywords
    }
    dropped = [key for key in twice if key not in SPILL_KEYWORDS]
    for key in dropped:
        del keywords[key]
    return keywords, spills, _dropped(len(dropped))


def _dropped(count: int) -> tuple[str, ...]:
    """Give the number of keywords left out; they may be called by a person's name."""
    if count == 0:
        return ()
    keywords = "1 keyword without $ is" if count == 1 else f"{count} keywords without $ are"
    return (f"{keywords} written twice with different values: none of them is used.",)


def _written_twice(key: str, first: str, second: str) -> str:
    """Describe a keyword with two values; a name or value that could be a person's is left out."""
    if not is_standard(key):
        return "A keyword with $ that the standard does not know is written twice"
    if may_be_shown(key, first) and may_be_shown(key, second):
        return f"{key} is written twice, as '{first}' and '{second}'"
    return f"{key} is written twice, with different values"
