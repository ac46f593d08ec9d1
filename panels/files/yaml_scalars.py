"""Give words of a YAML file their meaning, and write words so that they keep it.

A word that readers of YAML take for different things is refused rather than read: ``020`` is 16 to
one and 20 to another, ``no`` is "false" or a word, ``1:30`` is 90 or a word. Days are read only
where one is expected.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

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
    r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?(?:[eE][-+][0-9]+)?"
    r"|[-+]?[0-9]*\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
)
_POWER = re.compile(r"[-+]?[0-9]*\.?[0-9]*[eE][-+]?[0-9]+")
_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:(?:[Tt]|[ \t]+)\d{1,2}:\d{2}.*)?")
_PLAIN = re.compile(r"(?!\d)\w[\w+./@-]*(?: [\w+./@()-]+)*|\d+\.\d+\.\d+")


def meaning(word: str, *, day: bool = False) -> Scalar:
    """Give what a word that is not in quotes stands for.

    Where a ``day`` is expected, one is given as the text it is. Raises ValueError with a sentence
    where the word can be taken two ways.
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
            f"YAML takes '{shortened(word)}' for {other}. Write the number without leading zeros "
            f"or ':'. If it is a name, write it in quotes."
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
    """Give the number that another reader of YAML may take a word for; empty when there is none."""
    forms = (_OTHER_BASE, _SIXTIES, _SPACED)
    if len(word) > MOST_DIGITS and any(form.fullmatch(word) for form in forms):
        return "another number"
    digits = word.replace("_", "")
    minus = "-" if digits.startswith("-") else ""
    based = _OTHER_BASE.fullmatch(digits)
    if based:
        return f"{minus}{_based_number(based[2])}"
    if _SIXTIES.fullmatch(word):
        parts = [float(part) for part in digits.lstrip("+-").split(":")]
        value = sum(part * 60**power for power, part in enumerate(reversed(parts)))
        return f"{minus}{value:g}"
    if "_" in word and _SPACED.fullmatch(word):
        return f"{float(digits):g}"
    return ""


def _based_number(digits: str) -> int:
    """Read a number to the base 2 (``0b…``), 16 (``0x…``) or 8 (``0…`` or ``0o…``)."""
    base = {"b": 2, "x": 16}.get(digits[1:2], 8)
    if base == 8:
        digits = digits.removeprefix("0o")
    return int(digits, base)


def shortened(word: str) -> str:
    """Shorten a word for a sentence, to 40 characters."""
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
    """Write a mapping with one key a line.

    A list or mapping that holds lists or mappings has one line for each of them.
    """
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping) and _is_nested(value.values()):
            lines.append(f"{flow(key)}:")
            lines += [f"  {flow(name)}: {flow(each)}" for name, each in value.items()]
        elif isinstance(value, list | tuple) and _is_nested(value):
            lines.append(f"{flow(key)}:")
            lines += [f"  - {flow(each)}" for each in value]
        else:
            lines.append(f"{flow(key)}: {flow(value)}")
    return "".join(f"{line}\n" for line in lines)


def _is_nested(values: Iterable[object]) -> bool:
    return any(isinstance(each, Mapping | list | tuple) for each in values)


def _written(number: float) -> str:
    """Write a number so that every reader of YAML takes it for one: ``1.0e-07``, not ``1e-07``."""
    if math.isnan(number):
        return ".nan"
    if math.isinf(number):
        return ".inf" if number > 0 else "-.inf"
    whole, power, exponent = repr(number).partition("e")
    if power and "." not in whole:
        whole = f"{whole}.0"
    return f"{whole}{power}{exponent}"


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
