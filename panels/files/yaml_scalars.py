"""Say what a word of a YAML file means, and write words so that they are read as what they are.

A word that readers of YAML take for different things is refused rather than read: ``020`` is 16 to
one and 20 to another, ``no`` is "false" or a word, ``1:30`` is 90 or a word. Days are read only
where one is expected.
"""

import math
import re
from collections.abc import Mapping, Sequence

Scalar = str | int | float | bool | None

MOST_DIGITS = 18
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
WORDS_FOR_TRUTH = frozenset({"yes", "no", "on", "off"})

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:_[0-9]{3})+)")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?")
_BOUNDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_OTHER_BASE = re.compile(r"([-+]?)(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+)")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_SPACED = re.compile(
    r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?(?:[eE][-+][0-9]+)?|[-+]?[0-9]*\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
)
_POWER = re.compile(r"[-+]?[0-9]*\.?[0-9]*[eE][-+]?[0-9]+")
_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:(?:[Tt]|[ \t]+)\d{1,2}:\d{2}.*)?")
_PLAIN = re.compile(r"(?!\d)\w[\w+./@-]*(?: [\w+./@()-]+)*|\d+\.\d+\.\d+")


def meaning(word: str, *, day: bool = False) -> Scalar:
    """Give what a word that is not in quotes stands for; raises ValueError with a sentence where that can be taken two ways.

    Where a ``day`` is expected, one is given as the text it is.
    """
    if word in NULLS:
        return None
    if word in TRUTHS:
        return TRUTHS[word]
    if word.lower() in WORDS_FOR_TRUTH:
        raise ValueError(
            f"YAML takes '{word}' for true or false. Write it in quotes. If true or false is "
            f"meant, write that."
        )
    if word[0] not in "+-.0123456789":
        return word
    if _DAY.fullmatch(word):
        if day:
            return word
        raise ValueError(
            f"YAML takes '{shortened(word)}' for a day, and none is expected here. If it is a "
            f"name, write it in quotes."
        )
    return _number(word)


def _number(word: str) -> Scalar:
    if _INTEGER.fullmatch(word):
        if sum(map(str.isdigit, word)) > MOST_DIGITS:
            raise ValueError(
                f"a number of {len(word)} digits is not meant. Correct it, or write it in "
                f"quotes if it is a name."
            )
        return int(word)
    if _NUMBER.fullmatch(word):
        return _finite(word)
    if _BOUNDLESS.fullmatch(word):
        return float(word.replace(".", "", 1))
    other = _other_number(word)
    if other:
        raise ValueError(
            f"YAML takes '{shortened(word)}' for {other}. Write the number without leading "
            f"zeros or ':'. "
            "If it is a name, write it in quotes."
        )
    if _POWER.fullmatch(word) and any(map(str.isdigit, word.lower().partition("e")[0])):
        _finite(word)
    return word


def _finite(word: str) -> float:
    number = float(word)
    if math.isinf(number):
        raise ValueError(f"the number {shortened(word)} is too large. Correct it.")
    return number


def _other_number(word: str) -> str:
    """Give the number that a reader of YAML may take a word for that does not look like it; empty when none does."""
    digits = word.replace("_", "")
    if len(word) > MOST_DIGITS and (
        _OTHER_BASE.fullmatch(word) or _SIXTIES.fullmatch(word) or _SPACED.fullmatch(word)
    ):
        return "another number"
    based = _OTHER_BASE.fullmatch(digits)
    if based:
        base = {"b": 2, "x": 16}.get(based[2][1:2], 8)
        return f"{'-' if based[1] == '-' else ''}{int(based[2].removeprefix('0o') if base == 8 else based[2], base)}"
    if _SIXTIES.fullmatch(word):
        parts = [float(part) for part in digits.lstrip("+-").split(":")]
        value = sum(part * 60**power for power, part in enumerate(reversed(parts)))
        return f"{'-' if digits.startswith('-') else ''}{value:g}"
    if "_" in word and _SPACED.fullmatch(word):
        return f"{float(digits):g}"
    return ""


def shortened(word: str) -> str:
    """Give a word as it is repeated in a sentence."""
    return word if len(word) <= 40 else f"{word[:37]}…"


def flow(value: object) -> str:
    """Write a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(flow, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return _written(value)
    return str(value)


def block(values: Mapping[str, object]) -> str:
    """Write a mapping with one key a line; a value that is a list or mapping of mappings has one line each too."""
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping) and any(
            isinstance(each, Mapping | list | tuple) for each in value.values()
        ):
            lines += [
                f"{flow(key)}:",
                *(f"  {flow(name)}: {flow(each)}" for name, each in value.items()),
            ]
        elif isinstance(value, list | tuple) and any(
            isinstance(each, Mapping | list | tuple) for each in value
        ):
            lines += [f"{flow(key)}:", *(f"  - {flow(each)}" for each in value)]
        else:
            lines.append(f"{flow(key)}: {flow(value)}")
    return "".join(f"{line}\n" for line in lines)


def _written(number: float) -> str:
    if not math.isfinite(number):
        return ".nan" if math.isnan(number) else f"{'-' if number < 0 else ''}.inf"
    whole, power, exponent = repr(number).partition("e")
    return f"{whole}{'.0' if power and '.' not in whole else ''}{power}{exponent}"


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text) and not _taken_otherwise(text):
        return text
    written = "".join(_escaped(letter) for letter in text)
    return f'"{written}"'


def _taken_otherwise(text: str) -> bool:
    try:
        return meaning(text) != text
    except ValueError:
        return True


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    return f"\\U{ord(letter):08x}"
