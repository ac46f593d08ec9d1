"""Judge whether a tube can be compensated as its panel requires, and say what cures it.

Intake, ``reconflow inspect`` and gating all use this judgement. Spectral cytometers write an
identity matrix as ``$SPILLOVER``: for raw signals, which nothing can compensate, and for unmixed
ones, which need no compensation. The two need opposite cures.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gating.fcs.header import TubeHeader
    from panels.panel import ChannelLike, Panel

FEWEST_RAW_DETECTORS = 30
"""Spectral cytometers with two lasers have 30; MACSQuants, whose names look alike, have 16 at
most."""

_RAW_NAME = re.compile(r"(?:UV|V|B|YG|R|IR)(?:[1-9]|1[0-9]|20)-A")
_SPECTRAL = re.compile(
    r"spectroflo|aurora|northern lights|id7000|sp6800|opteon|discover|bigfoot", re.IGNORECASE
)
_SPECTRAL_ALONE = re.compile(r"spectroflo|aurora|northern lights|id7000|sp6800", re.IGNORECASE)
"""Those that only unmix; Opteon, FACSDiscover and Bigfoot also compensate as others do."""


class SpectralLike(Protocol):
    """What tells that a spectral cytometer wrote a tube: its header, or a workspace's copy."""

    @property
    def keywords(self) -> Mapping[str, str]: ...
    @property
    def channels(self) -> Sequence[ChannelLike]: ...
    @property
    def identity_spill(self) -> bool: ...
    @property
    def stores_spill(self) -> bool: ...


def compensation_fault(header: TubeHeader, panel: Panel) -> str | None:
    """Say why a tube cannot be compensated as its panel requires, and what to do; else None."""
    if not panel.compensated or panel.matrix is not None:
        return None
    if header.spill_fault:
        return header.spill_fault
    if header.spill is not None:
        return None
    return raw_spectral(header) or _without_spill(header, panel.panel)


def raw_spectral(header: SpectralLike) -> str | None:
    """Say that a file holds a spectral cytometer's raw signals; None when it does not.

    No detector of a spectral cytometer reads one dye alone.
    """
    types = _types(header)
    named = sum(_RAW_NAME.fullmatch(channel.detector) is not None for channel in header.channels)
    count = sum(each.startswith("raw") for each in types) or named
    if any(each.startswith("unmixed") for each in types):
        return None
    if count < FEWEST_RAW_DETECTORS and not any(each.startswith("raw") for each in types):
        return None
    return (
        f"The file holds the raw signals of {count} detectors of a spectral cytometer, "
        f"not those of the fluorochromes. Unmix it and export the unmixed file."
    )


def _without_spill(header: TubeHeader, panel: str) -> str:
    what = "Its spill is an identity matrix" if header.identity_spill else "It stores no spill"
    if is_unmixed(header):
        return (
            f"The values of this tube are unmixed already and need no compensation "
            f"({what[0].lower()}{what[1:]}): the panel {panel} must say `compensated: false`."
        )
    if header.identity_spill:
        return (
            f"The file has no compensation: its spill is an identity matrix. If a spectral "
            f"cytometer unmixed its values already, the panel {panel} must say "
            f"`compensated: false`. If not, export it again from the cytometer with its "
            f"compensation, or give the panel a matrix of its own."
        )
    return (
        f"The file has no compensation (spill). Export it again from the cytometer with its "
        f"compensation, or give the panel {panel} a matrix of its own."
    )


def is_unmixed(header: SpectralLike) -> bool:
    """Tell whether a spectral cytometer unmixed the values, so that they need no compensation.

    The types of its channels say so (``$PnTYPE``). Without them the cytometer's name and an
    identity spill do, or no spill at all where that cytometer never compensates, as its raw signals
    are named otherwise.
    """
    if any(each.startswith("unmixed") for each in _types(header)):
        return True
    if header.stores_spill or raw_spectral(header):
        return False
    written = [header.keywords.get(key, "") for key in ("CREATOR", "$CREATOR", "$CYT")]
    always = _SPECTRAL if header.identity_spill else _SPECTRAL_ALONE
    return any(map(always.search, written))


def _types(header: SpectralLike) -> list[str]:
    """Give ``$PnTYPE`` of all channels, in lower case; SpectroFlo writes it in FCS 3.1 too."""
    numbers = range(1, len(header.channels) + 1)
    return [header.keywords.get(f"$P{n}TYPE", "").lower() for n in numbers]
