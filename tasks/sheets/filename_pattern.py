"""Read the pattern by which a study's file names say whose tube a file is."""

import re
import warnings

LONGEST = 500
"""Letters of a pattern; a name has at most 255."""
_TOKEN = re.compile(
    r"(?P<literal>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<opens>\((?:\?(?:P<\w+>|P=|:|=|!|<=|<!|\w*:)?)?)|(?P<closes>\))"
    r"|(?P<repeats>[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})|(?P<either>\|)|.",
    re.DOTALL,
)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Turn a file-name pattern into a regular expression with one named group a field.

    In ``{patient}_{visit}`` a field may hold anything but the characters written between the
    fields, so that a name with one ``_`` too many fits nowhere instead of being cut at a guess.
    Raises ValueError in words.
    """
    if len(pattern) > LONGEST:
        raise ValueError(f"a pattern has at most {LONGEST} letters")
    if "(?P<" not in pattern:
        pattern = _expression(pattern)
    try:
        with warnings.catch_warnings():
            # Python warns of what it may read otherwise one day; it reads it as it always did.
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"this is not a pattern that can be read ({error})") from error
    _refuse_endless(pattern)
    return compiled


def _expression(pattern: str) -> str:
    between = "".join(sorted(set(re.sub(r"\{\w+\}", "", pattern)) | {"/"}))
    pieces = re.split(r"\{(\w+)\}", pattern)
    if len(pieces) == 1:
        raise ValueError(
            "a pattern such as {patient}_{visit}_{panel}, "
            "or a regular expression with (?P<patient>…), is expected"
        )
    field = f"[^{re.escape(between)}]+"
    return "".join(
        f"(?P<{piece}>{field})" if place % 2 else re.escape(piece)
        for place, piece in enumerate(pieces)
    )


def _refuse_endless(pattern: str) -> None:
    """Refuse a repeat or a choice within what is repeated: each letter doubles the ways to fit."""
    many_ways = [False]
    closed = False
    for token in _TOKEN.finditer(pattern):
        kind = token.lastgroup
        if kind == "repeats" and closed and token[0] != "?":
            raise ValueError(
                f"'{token[0]}' repeats a group that itself holds a repeat or a choice, "
                "which may never end on some name. "
                "Write the pattern without it, such as [^_]+ for all up to the next '_'"
            )
        closed = kind == "closes" and len(many_ways) > 1 and many_ways.pop()
        if kind == "opens":
            many_ways.append(False)
        elif kind in {"repeats", "either"} or closed:
            many_ways[-1] = True
