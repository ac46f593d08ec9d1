"""Read what manufacturers write otherwise than the FCS standard says."""

from collections.abc import Mapping

from gating.fcs.keyword_numbers import finite_number
from panels.text.quoting import quoted

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
