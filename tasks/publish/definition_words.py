"""Put the definition of a parameter into words; the exact one stands beside them and in the CSV."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tasks.vocabulary.reasons import Why

AT_RECOVERY = "among the B cells of the first tube with 100 of them, once back at 10 per µL"
RULES: Mapping[str, str] = MappingProxyType(
    {
        "PKNCA-like": "by PKNCA's rules",
        "log-linear": "straight line through the logarithms of the rising samples",
        "log-linear-2-points": "straight line through two rising samples only",
        "biexponential-M3": "two-phase fit; samples below the limit count as below it (M3)",
        "ratio-to-baseline": "last visit over the baseline before treatment",
        "lowest-visit": "lowest of the visits after infusion",
        "naive-of-B-at-B_10": f"naive cells {AT_RECOVERY}",
        "naive-IgM-IgD-of-B-at-B_10": f"naive IgM+ IgD+ cells {AT_RECOVERY}",
        "transitional-of-B-at-B_10": f"transitional cells {AT_RECOVERY}",
        "memory-of-B-at-B_10": f"memory cells {AT_RECOVERY}",
        "B_10": "threshold 10 B cells per µL",
        "B_20": "threshold 20 B cells per µL",
        "B_1pct": "threshold 1 % of lymphocytes, or 100 per µL",
        "AUClast-as-BLQ-before-end": (
            "not quantified any more before the end, so the area to the last quantified sample"
        ),
        "to-last-sample-in-window": "the samples end shortly before that day",
        "AUClast-holds-a-lower-bound": (
            "the area to the last quantified sample; the samples had a gap right after it"
        ),
        "unconfirmed": "no later visit confirms it",
        "detected": "detected, but not quantified",
        "CP": "exact interval (Clopper-Pearson)",
        "profile-95": "95 % interval by profile likelihood",
        **{why.value: why.sentence for why in Why},
    }
)
"""What each part of a definition means, but for those with a number in them."""
_NUMBERED = (
    (re.compile(r"LLOQ=(.+)/uL"), r"limit of quantification \1 per µL"),
    (re.compile(r"day-(.+)"), r"day \1"),
    (re.compile(r"quantified-D(.+)±(.+)"), r"quantified within \2 days of day \1"),
    (re.compile(r"B_LLN\((.+)\)"), r"threshold: the lower limit of normal, \1 per µL"),
    (re.compile(r"reagent=(.*)"), r"CAR reagent \1"),
    (re.compile(r"(\w[\w.]*)=(.*)"), r"the study's rule \1: \2"),
)


def rule_in_words(definition: str, said: Why | None = None) -> str:
    """Put a definition such as ``PKNCA-like:LLOQ=2.2/uL@1`` into words.

    The version is left out, and a reason that was ``said`` already; a part that is not known here
    stays as it is.
    """
    return "; ".join(_part_in_words(part) for part in _parts(definition) if part != said)


def _parts(definition: str) -> Iterator[str]:
    """Part a definition, without its version, at its colons; what follows a semicolon is a rule."""
    versioned, *rules = definition.split(";")
    yield from filter(None, re.sub(r"@[^@]*$", "", versioned).split(":"))
    yield from rules


def _part_in_words(part: str) -> str:
    if part in RULES:
        return RULES[part]
    for pattern, words in _NUMBERED:
        if pattern.fullmatch(part):
            return pattern.sub(words, part)
    return part
