"""Read what manufacturers write otherwise than the FCS standard says."""

from collections.abc import Mapping

from gating.fcs.keyword_numbers import finite_number
from panels.text.quoting import may_be_shown, quoted

LEAST_VOLUME_UL, MOST_VOLUME_UL = 1.0, 20_000.0
"""No tube is run in less or more; a value outside was written in another unit than assumed."""


def acquired_volume_ul(keywords: Mapping[str, str]) -> tuple[float | None, tuple[str, ...]]:
    """Read ``$VOL`` in µL; FCS 3.1 says nanolitres, but Cytek SpectroFlo writes microlitres."""
    text = keywords.get("$VOL", "")
    stored = finite_number(text)
    if not stored:
        return None, ()
    creator = keywords.get("CREATOR", keywords.get("$CREATOR", ""))
    in_microlitres = creator.lower().startswith("spectroflo")
    volume = stored if in_microlitres else stored / 1000
    if LEAST_VOLUME_UL <= volume <= MOST_VOLUME_UL:
        return volume, ()
    sentence = (
        f"$VOL is {quoted('$VOL', text)}, which would be {volume:g} µL: its unit is in doubt, "
        f"so the acquired volume is not used."
    )
    return None, (sentence,)


def cytometer_name(keywords: Mapping[str, str]) -> str:
    """Read ``$CYT``; empty where it is missing, or holds what could be a person's."""
    return _instrument_word("$CYT", keywords)


def cytometer_serial(keywords: Mapping[str, str]) -> str:
    """Read the serial number: ``$CYTSN``, in files of FACSDiva ``CYTNUM``.

    Empty where it is missing, or has not the form of a serial number.
    """
    return _instrument_word("$CYTSN", keywords) or _instrument_word("CYTNUM", keywords)


def _instrument_word(keyword: str, keywords: Mapping[str, str]) -> str:
    value = keywords.get(keyword, "").strip()
    return value if value and may_be_shown(keyword, value) else ""
