"""Tell scatter, time, bookkeeping and dyes apart by the names that cytometers give channels."""

import re

from panels.acquisition_time import TIME, is_time_channel
from panels.panel import FLUOROCHROMES, plain

_SCATTER = re.compile(r"(FSC?|SSC?)(?:LIN)?(A|H|W|INT|PEAK|TOF|)(?:LIN)?")
_PARTS = {"": "A", "INT": "A", "PEAK": "H", "TOF": "W"}
"""Beckman's integral, peak and time of flight; a name without a part is taken for the area."""
_OTHER_SCATTER = re.compile(r"FSC|SSC")
_BOOKKEEPING = re.compile(
    r"TIME[A-Z]*|HDR[A-Z]*|WIDTH|DOUBLET|EVENT\w*|INDEX\w*|SORT\w*|CLASSIF\w*|DROPPHASE|TUBEID"
)
_AUTOFLUORESCENCE = re.compile(r"AF\d{0,2}A?|AUTOFLUOR\w*")
_ENDING = re.compile(
    r"(?i)(?:[ _]FLR)?[- ](?:A|H|W|AREA|HEIGHT|WIDTH)$|[ _](?:INT|PEAK|TOF)[ _](?:LIN|LOG)$"
)
_LASER = re.compile(r"(?:FL|UV|YG|IR|[BGRUVY]L?)(?:\d{1,2}|[4-9]\d\d)")
"""A laser and a number (``V2``, ``BL1``, ``FL4``) or a wavelength (``B515``); ``B220`` is none."""
_DYE = re.compile(
    r"(?:ALEXA(?:FLUOR)?|AX|AF|QDOT|QD|BV|BUV|BB|CF|ATTO|DYLIGHT|E?FLUOR|EF|SB|RB|RY|R|SPARK[A-Z]*)"
    r"\d{2,3}"
    r"|PE(?:TR|TEXASRED|TXRED[A-Z]*|DAZZLE\d*|(?:CF|CY|VIO|FIRE|ALEXAFLUOR)\d+)"
    r"|APC(?:[AR]|CY|FIRE|VIO|ALEXAFLUOR|EFLUOR)\d+"
    r"|PERCP(?:CY|VIO|EFLUOR|FIRE)\d+"
    r"|PAC(?:IFIC)?(?:BLUE?|ORANGE|GREEN)|CY\d+|TEXASRED"
)


def scatter_name(detector: str) -> str | None:
    """Give the name that strategies have for a scatter or time channel; None for any other."""
    if is_time_channel(detector):
        return TIME
    found = _SCATTER.fullmatch(plain(detector))
    if found is None:
        return None
    return f"{found[1][0]}SC-{_PARTS.get(found[2], found[2])}"


def is_scatter(detector: str) -> bool:
    """Tell whether a channel is scatter of any kind, such as that of the violet laser."""
    return scatter_name(detector) is not None or bool(_OTHER_SCATTER.search(plain(detector)))


def is_bookkeeping(detector: str) -> bool:
    """Tell whether a channel counts or times something, and measures no cell."""
    return _BOOKKEEPING.fullmatch(plain(detector)) is not None


def is_autofluorescence(name: str) -> bool:
    """Tell whether a channel or label is the autofluorescence that an unmixing sets apart."""
    return _AUTOFLUORESCENCE.fullmatch(plain(name)) is not None


def without_ending(name: str) -> str:
    """Cut ``-A``, ``-H``, ``INT LOG`` and the like from the end of a channel's name."""
    return _ENDING.sub("", name.strip()).strip() or name.strip()


def is_dye(name: str) -> bool:
    """Tell whether a name is that of a dye or of a detector, so that it tells of no marker."""
    bare = plain(without_ending(name))
    return (
        bare in FLUOROCHROMES
        or _LASER.fullmatch(bare) is not None
        or _DYE.fullmatch(bare) is not None
    )
