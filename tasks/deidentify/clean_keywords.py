"""Keep of an FCS file's keywords those that cannot name a person, by keyword and by form.

The list says what may stay; everything else goes, known or not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from gating.fcs.text_segment import SPILL_KEYWORDS
from panels.text.quoting import is_standard, may_be_shown
from tasks.deidentify.date_shift import shifted_day, shifted_moment
from tasks.deidentify.known_words import names_a_signal, names_an_instrument

PLACES = re.compile(r"\$(?:BEGIN|END)(?:DATA|STEXT|ANALYSIS)|\$NEXTDATA")
"""Where segments lie: written anew in the copy."""
NOT_KEPT = "not on the list"
OTHER_FORM = "not in the form of this keyword"
UNKNOWN_WORD = "holds a word that is no marker, dye or instrument that is known"
REPEATS = "repeats what a removed keyword says"
NO_SHIFT = "a date that cannot be shifted"

_NUMBER = r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?"
_NUMBERS = rf"{_NUMBER}(?: ?, ?{_NUMBER})*"
_TIME = r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.:][0-9]{1,6})?"
_FORMS = tuple(
    (re.compile(keyword), re.compile(form))
    for keyword, form in (
        (r"\$P[0-9]{1,5}[LO]", _NUMBERS),
        (r"\$P[0-9]{1,5}F", r"[0-9]{2,4}(?:[/ ][0-9]{1,4})?(?: ?(?:BP|LP|SP|nm))?"),
        (r"\$P[0-9]{1,5}D", rf"(?i:linear|logarithmic),{_NUMBERS}"),
        (r"P[0-9]{1,5}DISPLAY", r"(?i:lin|log)"),
        (r"\$P[0-9]{1,5}FEATURE", r"(?i:area|height|width)"),
        (
            r"\$P[0-9]{1,5}TYPE",
            r"(?i:(?:forward|side)_scatter|(?:raw|unmixed)_fluorescence|mass|time|index)",
        ),
        (r"\$(?:LOST|ABRT)|\$COMP|\$DFC[0-9]{1,5}TO[0-9]{1,5}", _NUMBERS),
        (r"\$(?:BTIM|ETIM)", _TIME),
        (r"\$ORIGINALITY", r"(?i:original|nondatamodified|appended|datamodified)"),
    )
)
_SERIALS = ("$CYTSN", "CYTNUM")
_INSTRUMENT = ("$CYT", "CREATOR", "$CREATOR")
_NAME = re.compile(r"\$P([0-9]{1,5})([NS]|TAG|ANALYTE)")
_PERSONAL = re.compile(
    r"\$(?:OP|SRC|SMNO|LAST_MODIFIER|CELLS|COM|INST|INSTADDRESS|CARRIERID|PLATEID)"
    r"|(?:PATIENT|SAMPLE|SUBJECT|DONOR)[ _]?(?:ID|NAME)|EXPORT USER NAME|@SAMPLEID\d?|@BARCODE|PIN"
)
_VENDORS = re.compile(
    r"P[0-9]{1,5}(?:DISPLAY|BS|MS)|LASER[0-9](?:NAME|DELAY|ASF)|CH[0-9]{1,2}GAIN"
    r"|@(?:SAMPLEID[0-9]?|BARCODE|PANEL|LOCATION|CYTOMETERID|ABSCALFACTOR|SETTINGS?|PROTOCOL)"
    r"|(?:TUBE|GROUP|EXPERIMENT|PLATE|SPECIMEN|USERSETTING|EXPORT USER) ?NAME"
    r"|(?:PATIENT|SAMPLE|PLATE|WELL|CST BEADS LOT) ID|EXPORT TIME|(?:FILE )?GUID|FSC ASF|AUTOBS"
    r"|WINDOW EXTENSION|THRESHOLD|SETTINGS"
    r"|CST (?:SETUP STATUS|SETUP DATE|BASELINE DATE|PERFORMANCE EXPIRED)"
    r"|APPLY COMPENSATION|TBNM|CGNM|RCVOL|CYTEXPERTFIL|FJ_FCS_VERSION"
)
_LEAST_TELLING = 4
"""Shorter values, such as ``PE`` or ``no``, tell of nobody and stand in many keywords."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A keyword that was removed or rewritten, and why; never its value."""

    keyword: str
    why: str


@dataclass(frozen=True, slots=True)
class CleanKeywords:
    """The keywords of a clean copy, and what was removed."""

    kept: Mapping[str, str]
    removed: tuple[Removed, ...]


def clean_keywords(
    keywords: Mapping[str, str], days: int | None, also: Collection[str] = ()
) -> CleanKeywords:
    """Choose what a copy keeps of the keywords (upper case, with their ``$``) of one data set.

    Dates lie ``days`` earlier (None: they are removed). ``also`` are words of labels that a person
    has looked at, in upper case. Detectors with unknown words are called ``P7`` and so on.
    """
    names = dict(_renamed(keywords, also))
    kept: dict[str, str] = {}
    removed = [Removed(f"$P{number}N", UNKNOWN_WORD) for number in names.values()]
    for keyword, value in keywords.items():
        if PLACES.fullmatch(keyword) or not value:
            continue
        clean, why = _clean(keyword, value, days, also, names)
        if clean is None:
            removed.append(Removed(keyword, why))
        else:
            kept[keyword] = clean
    telling = _telling(keywords, kept)
    for keyword in [each for each in kept if not _is_required(each)]:
        if any(text in kept[keyword].casefold() for text in telling):
            del kept[keyword]
            removed.append(Removed(keyword, REPEATS))
    listed = tuple(Removed(listed_name(each.keyword), each.why) for each in removed)
    return CleanKeywords(kept, listed)


def listed_name(keyword: str) -> str:
    """Give the name of a removed keyword as it may be listed: that of a standard or a vendor.

    Others can be called by a person's name, as in a damaged file.
    """
    if is_standard(keyword) or _VENDORS.fullmatch(keyword):
        return keyword
    return f"(a keyword of {len(keyword)} characters)"


def _renamed(keywords: Mapping[str, str], also: Collection[str]) -> Iterator[tuple[str, int]]:
    """Yield detectors with a word that is not known, and the number of their channel."""
    for keyword, value in keywords.items():
        found = _NAME.fullmatch(keyword)
        if found and found[2] == "N" and not names_a_signal(value, also):
            yield value, int(found[1])


def _clean(
    keyword: str,
    value: str,
    days: int | None,
    also: Collection[str],
    names: Mapping[str, int],
) -> tuple[str | None, str]:
    """Give what a keyword says in the copy (None: it is removed), and why it is removed."""
    if keyword in ("$DATE", "$BEGINDATETIME", "$ENDDATETIME"):
        shift = shifted_day if keyword == "$DATE" else shifted_moment
        return (None if days is None else shift(value, days)), NO_SHIFT
    if keyword in SPILL_KEYWORDS:
        return _clean_spill(value, names, also), OTHER_FORM
    if keyword == "$TR":
        return _clean_trigger(value, names, also), OTHER_FORM
    named = _NAME.fullmatch(keyword)
    if named:
        called = _called(value, names) if named[2] == "N" else value
        return (called if called != value or names_a_signal(value, also) else None), UNKNOWN_WORD
    return _clean_by_form(keyword, value, also)


def _clean_by_form(keyword: str, value: str, also: Collection[str]) -> tuple[str | None, str]:
    """Keep a value that has the form its keyword asks for."""
    if keyword in _INSTRUMENT:
        known = may_be_shown("$CYT", value) and names_an_instrument(value, also)
        return (value if known else None), UNKNOWN_WORD
    if keyword not in _SERIALS and may_be_shown(keyword, value):
        return value, ""
    forms = [form for allowed, form in _FORMS if allowed.fullmatch(keyword)]
    fits = any(form.fullmatch(value.strip()) for form in forms)
    return (value if fits else None), OTHER_FORM if forms else NOT_KEPT


def _clean_trigger(value: str, names: Mapping[str, int], also: Collection[str]) -> str | None:
    """Give a trigger, a detector and a number; None where it has not this form."""
    detector, _, number = (part.strip() for part in value.rpartition(","))
    channel = _called(detector, names)
    known = channel != detector or names_a_signal(detector, also)
    return f"{channel},{number}" if known and re.fullmatch(_NUMBER, number) else None


def _called(detector: str, names: Mapping[str, int]) -> str:
    return f"P{names[detector]}" if detector in names else detector


def _clean_spill(value: str, names: Mapping[str, int], also: Collection[str]) -> str | None:
    """Give a spill with the copy's names of detectors; None where it has not the form of one."""
    size, *rest = [part.strip() for part in value.split(",")]
    if not re.fullmatch("[0-9]{1,3}", size) or len(rest) != int(size) * (int(size) + 1):
        return None
    detectors, numbers = rest[: int(size)], rest[int(size) :]
    known = all(each.isdigit() or each in names or names_a_signal(each, also) for each in detectors)
    if not known or not all(re.fullmatch(_NUMBER, number) for number in numbers):
        return None
    return ",".join([size, *(_called(detector, names) for detector in detectors), *numbers])


def _telling(keywords: Mapping[str, str], kept: Mapping[str, str]) -> frozenset[str]:
    """Give what keywords about persons say, in lower case."""
    said = (
        value.strip().casefold()
        for keyword, value in keywords.items()
        if keyword not in kept and _PERSONAL.fullmatch(keyword)
    )
    return frozenset(value for value in said if len(value) >= _LEAST_TELLING)


def _is_required(keyword: str) -> bool:
    """Tell whether events cannot be read without a keyword; its form has no room for a name."""
    return (
        re.fullmatch(r"\$(?:BYTEORD|DATATYPE|MODE|PAR|TOT|P[0-9]{1,5}[BENRG])", keyword) is not None
    )
