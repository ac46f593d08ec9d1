"""Quote the keywords of an FCS file in sentences, where they cannot name a person.

Cytometers keep names of patients and operators in many keywords, and a damaged file gives the value
of one keyword to another. So a value enters a sentence by this list alone: the keyword must be on
it, and the value must have the form that the keyword requires. Labels (``$PnS``) and detectors
(``$PnN``) are repeated whatever they say, because nobody could correct a panel without them.
"""

import re
import traceback
from pathlib import Path
from types import TracebackType

from panels.text.printable import without_controls

LONGEST_SHOWN = 64
"""Characters of a label, a detector or a cytometer's name that a sentence repeats."""
PACKAGES = ("flows", "tasks", "gating", "panels")

_NUMBER = r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?"
_PARAMETER = "B R E N S G V F L O P T D CALIBRATION DATATYPE DET FEATURE ANALYTE TAG TYPE".replace(
    " ", "|"
)
_STANDARD = re.compile(
    rf"""\$(?:(?:BEGIN|END)(?:ANALYSIS|DATA|STEXT|DATETIME) | P[0-9]{{1,5}}(?:{_PARAMETER})
    | (?:G|R|PK|PKN)[0-9]{{1,5}}[BEFINPRSTVW]? | DFC[0-9]{{1,5}}TO[0-9]{{1,5}} | CSV[0-9]{{1,5}}FLAG
    | ABRT | BTIM | BYTEORD | CARRIERID | CARRIERTYPE | CELLS | COM | COMP | CREATOR | CSMODE
    | CSVBITS | CYT | CYTSN | DATATYPE | DATE | ETIM | EXP | FIL | FLOWRATE | GATE | GATING | INST
    | LAST_MODIFIED | LAST_MODIFIER | LOCATIONID | LOST | MODE | NEXTDATA | OP | ORIGINALITY | PAR
    | PLATEID | PLATENAME | PROJ | SMNO | SPILL | SPILLOVER | SRC | SYS | TIMESTEP | TOT | TR
    | UNICODE | UNSTAINEDCENTERS | UNSTAINEDINFO | VOL | WELLID)
    | CREATOR | CYTNUM | TIMESTEP | SPILL | SPILLOVER""",
    re.VERBOSE,
)
_NUMERIC = (
    r"\$(?:TOT|PAR|NEXTDATA|(?:BEGIN|END)(?:DATA|STEXT|ANALYSIS)|BYTEORD|VOL|P[0-9]{1,5}[BREGV])"
    r"|\$?TIMESTEP"
)
_ALLOWED = tuple(
    (re.compile(keyword), re.compile(value))
    for keyword, value in (
        (
            _NUMERIC,
            rf"(?=.{{1,40}}$)(?:\*|{_NUMBER}(?: ?, ?{_NUMBER})*)",
        ),
        (r"\$(?:DATATYPE|MODE|P[0-9]{1,5}DATATYPE)", r"[A-Za-z]"),
        (r"\$CYT|\$?CREATOR", rf"[A-Za-z0-9µ®™ ./()+&:_-]{{1,{LONGEST_SHOWN}}}"),
        # A serial number begins with few letters and holds digits, a name of a person does not.
        (
            r"\$CYTSN|CYTNUM",
            r"[A-Za-z]{0,5}[-_. ]?[A-Za-z]?[0-9]{1,20}[-_.0-9A-Z]{0,16}|SIMULATED",
        ),
        ("APPLY COMPENSATION", r"(?i:true|false|yes|no|on|off|0|1)"),
        (
            "CST SETUP STATUS",
            r"(?i:success|failure|failed|fail|passed|pass|warning|error|expired|none|not run)",
        ),
    )
)


def is_standard(keyword: str) -> bool:
    """Tell whether a keyword (upper case, with its ``$``) is the standard's or decides here.

    Others may be called by a person's name, so they are counted in sentences and never named.
    """
    return _STANDARD.fullmatch(keyword) is not None


def may_be_shown(keyword: str, value: str) -> bool:
    """Tell whether this value of this keyword cannot be a person's, so that it may be repeated."""
    return any(
        allowed.fullmatch(keyword) and form.fullmatch(value.strip()) for allowed, form in _ALLOWED
    )


def value_shown(keyword: str, value: str) -> str:
    """Give the value, or say in brackets how long it is where it could be a person's."""
    value = value.strip()
    if may_be_shown(keyword, value):
        return value
    return f"({_described(value)}, not shown)"


def quoted(keyword: str, value: str) -> str:
    """Quote a value, or give its length: ``'4,3,2,1'``, ``a text of 7 characters``."""
    value = value.strip()
    if may_be_shown(keyword, value):
        return f"'{value}'"
    return _described(value)


def as_label(text: str) -> str:
    """Shorten a label or a detector for a sentence: one line, at most ``LONGEST_SHOWN`` letters."""
    plain = without_controls(text)
    if len(plain) > LONGEST_SHOWN:
        return f"{plain[: LONGEST_SHOWN - 1]}…"
    return plain


def unexpected(error: BaseException) -> str:
    """Describe an unforeseen error by its kind and place.

    Its message is not repeated: libraries quote in it what they could not read.
    """
    return " in ".join([type(error).__name__, *_places(error)])


def note_place(error: BaseException) -> None:
    """Keep the place of an error with it, for ``unexpected`` in another process."""
    if not getattr(error, "__notes__", None):
        for place in _places(error):
            error.add_note(place)


def _described(value: str) -> str:
    return f"a text of {len(value):,} characters" if value else "empty"


def _places(error: BaseException) -> list[str]:
    noted = [note for note in getattr(error, "__notes__", []) if _PLACE.fullmatch(note)]
    return noted[:1] or _place_of(error.__traceback__)


_PLACE = re.compile(rf"(?:{'|'.join(PACKAGES)})/[a-z_/]+\.py, line [0-9]+")


def _place_of(trace: TracebackType | None) -> list[str]:
    """Give the last line of ours that an error came through."""
    root = Path(__file__).resolve().parents[2]
    for frame in reversed(traceback.extract_tb(trace)):
        path = Path(frame.filename)
        if path.is_relative_to(root) and path.relative_to(root).parts[0] in PACKAGES:
            return [f"{path.relative_to(root).as_posix()}, line {frame.lineno}"]
    return []
